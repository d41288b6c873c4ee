"""Redaction of the steps of runs that wait in files for the store, as an earlier version put them there. Blocks."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from execution_history.maintenance.redaction_report import SpoolRedaction
from execution_history.recording.spool import Spool, open_regular, write_whole
from execution_history.recording.spool_batch import Batch
from execution_history.recording.step_lines import BadLineError, key_in, line_of, step_in
from execution_history.records.content_rules import ContentRules
from execution_history.records.record import Document

_TROUBLE: Final = (OSError, BadLineError)


def redact_spool(spool: Spool, rules: ContentRules, workflow_ids: Collection[str], *, is_dry: bool) -> SpoolRedaction:
    """Redact the steps that wait in *spool*, or with *is_dry* count what would be, and return what was found.

    A file is written anew whole. What another process is writing into the store now, has been refused by it or cannot
    be read is named.
    """
    found = SpoolRedaction()
    for path in _files(spool, found):
        try:
            _redact_file(path, spool, rules, workflow_ids, found, is_dry=is_dry)
        except FileNotFoundError:
            continue  # another process has written it into the store
        except _TROUBLE:
            found.missed.append(str(path))
    return found


def _files(spool: Spool, found: SpoolRedaction) -> list[Path]:
    try:
        kept = [*spool.damaged(), *([spool.refused] if spool.refused.exists() else [])]
        found.missed += map(str, kept)
        return spool.batches()
    except OSError:
        found.missed.append(str(spool.folder))
        return []


def _redact_file(
    path: Path, spool: Spool, rules: ContentRules, workflow_ids: Collection[str], found: SpoolRedaction, *, is_dry: bool
) -> None:
    """Redact the steps in one file.

    Raises:
        BadLineError: a line cannot be read.
        OSError: the file cannot be read or written.
    """
    batch = Batch.scanned(path, spool.location)
    if batch.is_foreign:
        return
    if not batch.claim():
        found.missed.append(str(path))
        return
    try:
        changed = steps = 0
        for before, after in _redacted(path, spool, rules, workflow_ids):
            steps += 1
            changed += before != after
        if changed and not is_dry:
            write_whole(path, (after for _, after in _redacted(path, spool, rules, workflow_ids)))
    finally:
        batch.release()
    found.steps += steps
    found.changed += changed


def _redacted(
    path: Path, spool: Spool, rules: ContentRules, workflow_ids: Collection[str]
) -> Iterator[tuple[bytes, bytes]]:
    """Yield each line of a file, and as it is kept from now on: the same where nothing is to be taken out."""
    with open_regular(path) as file:
        for line in file:
            location, key = key_in(line)
            if location != spool.location or (workflow_ids and key[0] not in workflow_ids):
                yield line, line
                continue
            contents, step = rules.of_run(key[0]), step_in(line)
            kept = contents.document(step) if isinstance(step, Document) else contents.change(step)
            yield line, line if kept is step else line_of(location, key, kept)
