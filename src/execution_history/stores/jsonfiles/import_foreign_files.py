"""Import of the files that others wrote into the folder, and a check of which files have to be rewritten."""

import contextlib
import logging
import os
import stat
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from execution_history.clock import boot_id, now_ms
from execution_history.errors import N_, Message, StoreBusy, StoreError, StoreFull, message_of, quoted
from execution_history.records.adoption import adopt_record, fault_of_times
from execution_history.records.reading_limits import ReadingLimits
from execution_history.records.record import Document
from execution_history.stores.foreign_files import in_groups, open_regular
from execution_history.stores.jsonfiles.cut_short import LONGEST_EDIT_NS, is_cut_short
from execution_history.stores.jsonfiles.file_format import stamp
from execution_history.stores.jsonfiles.file_names import SUFFIX, workflow_id_of
from execution_history.stores.jsonfiles.json_file_reader import JSONFileReader, NotOurs
from execution_history.stores.jsonfiles.tolerant_reader import FoundFile, identifier_of
from execution_history.stores.mirror_port import FileState, RecordSource, TransactionRunner

_log = logging.getLogger("execution_history.stores.jsonfiles")

_AT_ONCE: Final = 500
_BYTES_AT_ONCE: Final = 4 * 1024 * 1024
_NO_FILE: Final = -1
_NO_BOOT_ID: Final = "unknown"
REPAIRED: Final = "repaired"
"""Stands in the place of a start of the machine where the database was made anew of what was left of a damaged one."""


class Adopter:
    """Merges files into the store by ``execute_id``: the newer ``update_time`` wins, and within a file then the first.

    A file that cannot be merged is skipped, and :meth:`problems` names it. One that has several records of one id is
    kept beside, as only one of them can be taken.

    Args:
        folder: the folder of the files.
        writer: runs the merges.
        path_of: returns the file of a workflow.
        limits: what reading a file may take.
    """

    def __init__(
        self,
        folder: Path,
        writer: TransactionRunner,
        path_of: Callable[[str], Path],
        limits: ReadingLimits | None = None,
    ) -> None:
        self._folder = folder
        self._writer = writer
        self._path_of = path_of
        self._limits = limits or ReadingLimits()
        self._problems: dict[Path, str] = {}

    def problems(self) -> tuple[str, ...]:
        """Return one sentence for each file that was not taken completely, as long as it is there."""
        return tuple(sentence for path, sentence in list(self._problems.items()) if os.path.lexists(path))

    def reconcile(self, source: RecordSource) -> set[str]:
        """Check every file once and adopt those that this store did not write as they are.

        Returns the workflows whose file has to be rewritten. A file is recognised by its modification time alone, so
        that opening a store does not depend on the size of its files.
        """
        boot = boot_id() or _NO_BOOT_ID
        with source.snapshot() as records:
            states = records.states()
            last_boot, safe_revision = records.safety()
        doubt_from = safe_revision if last_boot and last_boot != boot else None
        expected = {self._path_of(workflow_id).name: workflow_id for workflow_id in states}
        renew = set(states)
        is_repaired = last_boot == REPAIRED
        foreign: list[tuple[str, FileState | None, bool]] = []
        for name, modified in _json_files(self._folder):
            workflow_id, path = expected.get(name), self._folder / name
            state = None if workflow_id is None else states[workflow_id]
            is_doubtful = state is not None and doubt_from is not None and state.revision > doubt_from
            if workflow_id is None or state is None:
                foreign.append((name, None, False))
            elif modified == stamp(state) and not is_doubtful:
                renew.discard(workflow_id)
            elif is_repaired or not is_cut_short(path, state, machine_went_down=is_doubtful):
                is_touched = modified > state.updated_at * 1_000_000 + LONGEST_EDIT_NS
                may_be_torn = is_doubtful and not is_repaired and not is_touched
                foreign.append((name, state, may_be_torn))
        for name, state, may_be_torn in foreign:
            path = self._folder / name
            hand_wins = not (may_be_torn or is_repaired or _is_as_written(path))
            try:
                renew |= self.adopt(
                    path, state, is_needed=name in expected, hand_wins=hand_wins, may_be_torn=may_be_torn
                )
            except (StoreFull, StoreBusy):
                renew.discard(expected.get(name, ""))  # it is merged with the next change, or opening
        try:
            self._writer.run_now(lambda transaction: transaction.note_safety(boot, safe_revision))
        except StoreError as error:
            # The next opening then checks more files than necessary.
            _log.warning("Which start of the machine this is could not be noted: %s", error)
        return renew

    def adopt(
        self,
        path: Path,
        state: FileState | None = None,
        *,
        is_needed: bool,
        hand_wins: bool = True,
        may_be_torn: bool = False,
    ) -> set[str]:
        """Merge the records of *path*; return the workflows whose file has to be rewritten.

        A file that could not be read completely is renamed, and so is one without the name of its workflow.

        Args:
            path: the file.
            state: the one that the store knows, where it has the workflow; what is behind it has no edits by hand.
            is_needed: whether a workflow's file has this name; otherwise JSON that is no history is left alone.
            hand_wins: whether a record with other content than the stored one of the same time was edited by hand, and
                takes its place; in a file that nobody has touched since it was written here it is damaged.
            may_be_torn: whether the file may be of several moments, if it is one of ours: then no deleted run is in it.

        Raises:
            StoreFull: there is no space for its records; the file stays as it is.
            StoreBusy: another process kept the database locked; the file stays as it is.
        """
        touched: set[str] = set()
        self._problems.pop(path, None)
        try:
            self._adopt(path, state, touched, is_needed=is_needed, hand_wins=hand_wins, may_be_torn=may_be_torn)
        except (StoreFull, StoreBusy) as error:
            self._problems[path] = Message(
                "%(file)s was not imported: %(reason)s.", file=quoted(path.name), reason=_reason(error)
            )
            raise
        except Exception as error:  # noqa: BLE001 - whatever one file raises, the others are adopted too
            self._step_over(path, error, is_ours=is_needed or path.name in self._names(touched))
        return touched

    def _adopt(
        self,
        path: Path,
        state: FileState | None,
        touched: set[str],
        *,
        is_needed: bool,
        hand_wins: bool,
        may_be_torn: bool,
    ) -> None:
        """Take the records of a file into the store, and add the workflows that they are of to *touched*."""
        found = FoundFile(partial(open_regular, path, follow=False), self._limits)
        faults: list[str] = []
        repeated = _Repeated()
        documents = filter(repeated.is_first, self._documents(path, found, faults))
        for group in in_groups(documents, _AT_ONCE, _BYTES_AT_ONCE, lambda document: len(document.body)):
            if found.revision and not touched and self._is_outdated(group[0].workflow_id, found.revision):
                kept = _set_aside(path, "outdated")
                self._problems[kept] = Message(
                    "%(file)s was not imported: it is older than the deletions that the history remembers, and is "
                    "kept as %(kept)s. Import it to restore all of its runs.",
                    file=quoted(path.name),
                    kept=quoted(kept.name),
                )
                return
            # Records that were deleted after this file was last written stay deleted.
            since = None if not found.revision else 0 if may_be_torn else found.revision
            ties = hand_wins and not (state is not None and 0 < found.revision < state.revision)
            self._writer.run_now(
                lambda t, group=group, since=since, ties=ties: t.merge(  # type: ignore[misc]
                    t.not_deleted(group, since), ties=ties, are_copies=bool(found.revision) and not hand_wins
                )
            )
            touched.update(document.workflow_id for document in group)
        self._settle(path, found, touched, faults, repeated, is_needed=is_needed)

    def _settle(
        self,
        path: Path,
        found: FoundFile,
        touched: set[str],
        faults: list[str],
        repeated: "_Repeated",
        *,
        is_needed: bool,
    ) -> None:
        """Set aside a file that was read, or remove it, where it does not stay; note what was wrong with it."""
        if not found.is_history:
            if is_needed:
                _set_aside(path, "foreign")
        elif found.is_damaged:
            kept = _set_aside(path, "damaged")
            self._problems[kept] = _damage(quoted(path.name), faults, quoted(kept.name))
        elif repeated.example is not None:
            kept = _set_aside(path, "adopted")
            self._problems[kept] = Message(
                "%(file)s has several records of run %(run)s, and one of them was imported; it is kept as %(kept)s.",
                file=quoted(path.name),
                run=quoted(repeated.example),
                kept=quoted(kept.name),
            )
        elif path.name not in self._names(touched):
            if touched:
                _set_aside(path, "adopted")
            elif found.workflow_id is not None and self._path_of(found.workflow_id).name == path.name:
                path.unlink(missing_ok=True)

    def _is_outdated(self, workflow_id: str, revision: int) -> bool:
        return self._writer.run_now(lambda transaction: transaction.is_outdated(workflow_id, revision))

    def _documents(self, path: Path, found: FoundFile, faults: list[str]) -> Iterator[Document]:
        by_name = identifier_of(workflow_id_of(path.name))
        is_noted = False
        for number, record in enumerate(found.records(), 1):
            document = None
            if isinstance(record, str):
                faults.append(Message("record %(number)s: %(fault)s", number=number, fault=record))
            else:
                workflow_id = found.workflow_id or by_name or identifier_of(record.get("workflow_id"))
                if workflow_id is not None:
                    document = adopt_record(record, workflow_id, now_ms(), is_ours=bool(found.revision))
                if document is not None and not is_noted and (fault := fault_of_times(record)):
                    is_noted = True
                    _log.warning(
                        "Runs in %s got other times, and keep theirs as metadata.adopted_fields; record %d: %s",
                        quoted(path.name),
                        number,
                        fault,
                    )
            if document is None:
                found.is_damaged = True
            else:
                yield document.fitted(self._limits.record)

    def _names(self, workflow_ids: set[str]) -> set[str]:
        return {self._path_of(workflow_id).name for workflow_id in workflow_ids}

    def _step_over(self, path: Path, error: Exception, *, is_ours: bool) -> None:
        """Leave a file alone, or rename it if it has the name of a workflow's file, so that it is not overwritten."""
        kept = path
        if is_ours and os.path.lexists(path):
            with contextlib.suppress(OSError):  # then the workflow's file cannot be written either, and raises
                kept = _set_aside(path, "unread")
        if not isinstance(error, (OSError, StoreError)):
            _log.warning("Reading %s failed", quoted(path), exc_info=error)
        sentence = N_("%(file)s was not imported: %(reason)s.")
        if kept != path:
            sentence = N_("%(file)s was not imported: %(reason)s. It is kept as %(kept)s.")
        self._problems[kept] = Message(sentence, file=quoted(path.name), reason=_reason(error), kept=quoted(kept.name))


class _Repeated:
    """Tells the records of a file whose id came before.

    Attributes:
        example: the id of one that came before with other content.
    """

    def __init__(self) -> None:
        self.example: str | None = None
        self._seen: dict[int, tuple[int, int]] = {}

    def is_first(self, document: Document) -> bool:
        """Return whether *document* is to be merged: nothing as new of its id came before."""
        key = hash((document.workflow_id, document.execute_id))
        update_time, content = self._seen.get(key, (-1, 0))
        if update_time >= 0 and content != hash(document.body):
            self.example = self.example or document.execute_id
        if document.update_time <= update_time:
            return False
        self._seen[key] = document.update_time, hash(document.body)
        return True


def _is_as_written(path: Path) -> bool:
    """Return whether a file has the time that it was given here, by what it says of itself: nobody has edited it."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return False  # opening a pipe waits for its writer
        with contextlib.closing(JSONFileReader(path)) as file:
            return file.is_untouched(file.header.state)
    except (OSError, NotOurs):
        return False


def _json_files(folder: Path) -> Iterator[tuple[str, int]]:
    """Yield the names and modification times of files, links and folders with the name of a JSON file."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(SUFFIX) and not entry.name.startswith("."):
                with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                    is_file = entry.is_file(follow_symlinks=False)
                    yield entry.name, entry.stat(follow_symlinks=False).st_mtime_ns if is_file else _NO_FILE


def _set_aside(path: Path, why: str) -> Path:
    """Rename a file, so that it is kept but not read again; return its new path."""
    kept = path.with_name(f"{path.name}.{why}-{time.strftime('%Y%m%d-%H%M%S')}")
    number = 1
    while os.path.lexists(kept):
        number += 1
        kept = kept.with_name(f"{path.name}.{why}-{time.strftime('%Y%m%d-%H%M%S')}-{number}")
    path.rename(kept)
    _log.warning("A history file was %s and is kept as %s", why, quoted(kept.name))
    return kept


def _damage(file: str, faults: list[str], kept: str) -> Message:
    """Return the sentence for a file that could not be read completely, with the first of its *faults*."""
    sentence = N_("Not all of %(file)s could be read; it is kept as %(kept)s.")
    if faults:
        sentence = N_("Not all of %(file)s could be read; it is kept as %(kept)s. The first fault: %(fault)s")
    return Message(sentence, file=file, kept=kept, **({"fault": faults[0]} if faults else {}))


def _reason(error: Exception) -> str:
    """Return the message of *error* without its full stop."""
    if isinstance(error, OSError):
        return (error.strerror or str(error)).rstrip(".")
    if isinstance(error, MemoryError):
        return Message("there is not enough memory to read it")
    message = message_of(error) if isinstance(error, StoreError) else ""
    return message.rstrip(".") or Message("reading it failed with %(name)s, see the log", name=type(error).__name__)
