"""Redaction of archives: each is written anew without what is taken out, and takes its own place once it is whole."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection
from pathlib import Path

import orjson

from execution_history.access.audit import Action
from execution_history.access.principals import current_actor
from execution_history.errors import N_, ExecutionHistoryError, Message, message_of
from execution_history.history.service import ExecutionHistoryService
from execution_history.maintenance.archive import copy_audit, copy_entries, write_archive
from execution_history.maintenance.redaction_report import ArchiveRedaction
from execution_history.query.fields import RecordFilter
from execution_history.records.content_rules import ContentRules
from execution_history.records.partial import outline_of
from execution_history.records.record import Document
from execution_history.stores import store_at
from execution_history.stores.sqlite.archive import is_archive
from execution_history.transfer.progress import in_thread, read_ahead, to_its_end


async def redact_archive(
    file: Path,
    rules: ContentRules,
    workflow_ids: Collection[str],
    clock: Callable[[], int],
    *,
    actor: str | None = None,
    is_dry: bool = False,
) -> ArchiveRedaction:
    """Redact an archive, or with *is_dry* count what would be redacted; return what was found, or what went wrong.

    Its own audit log gets a line. Who has it open goes on to read the file that it was.
    """
    if not is_archive(file):
        trouble = N_("it is not there any more, or is no archive; redact it where it is now (redact --store FILE)")
        return ArchiveRedaction(str(file), is_there=False, trouble=Message(trouble))
    walk = _Walk(file, rules, frozenset(workflow_ids), clock)
    try:
        async with ExecutionHistoryService(store_at(file, search=False)) as old:
            async for _ in walk.over(old):
                pass
            found = ArchiveRedaction(str(file), walk.records, walk.changed, dict(walk.values), walk.bytes)
            if found.changed and not is_dry:
                if walk.damaged:
                    trouble = Message("some of its runs cannot be read")
                    return ArchiveRedaction(str(file), walk.records, trouble=trouble)
                await _write_anew(old, walk, found, actor or current_actor())
    except ExecutionHistoryError as error:
        return ArchiveRedaction(str(file), walk.records, trouble=message_of(error))
    return found


async def _write_anew(old: ExecutionHistoryService, walk: "_Walk", found: ArchiveRedaction, actor: str) -> None:
    """Write the archive *old* anew."""

    async def fill(made: ExecutionHistoryService) -> None:
        async for documents in walk.over(old):
            await to_its_end(made.take_over(documents))
        await copy_entries(old, made)
        await copy_audit(old, made)
        details = {"records": found.changed, "values": found.values}
        await made.append_audit(actor, Action.REDACT.value, orjson.dumps(details))

    await write_archive(walk.file, fill)


class _Walk:
    """Goes over the records of an archive, each as it is to be, and counts what is taken out.

    Attributes:
        file: the archive.
        records: records that were looked at, of all walks.
        bytes: of JSON that they have.
        changed: those in which something was found.
        values: how many values by which rule.
        damaged: records that cannot be read.
    """

    def __init__(self, file: Path, rules: ContentRules, workflow_ids: frozenset[str], clock: Callable[[], int]) -> None:
        self.file = file
        self._rules, self._workflow_ids, self._clock = rules, workflow_ids, clock
        self.records = self.bytes = self.changed = self.damaged = 0
        self.values: Counter[str] = Counter()

    async def over(self, archive: ExecutionHistoryService) -> AsyncIterator[list[Document]]:
        """Yield the records batch by batch, in their order."""
        async for batch in read_ahead(archive.batches(RecordFilter())):
            self.damaged += len(batch.damaged)
            yield await in_thread(lambda bodies: [self._made(body) for body in bodies], batch.documents)

    def _made(self, body: bytes) -> Document:
        document = Document.of(outline_of(body), body)
        if self._workflow_ids and document.workflow_id not in self._workflow_ids:
            return document
        self.records += 1
        self.bytes += len(body)
        made = self._rules.of_run(document.workflow_id).redacted(document, self._clock())
        if made is None:
            return document
        self.changed += 1
        for tally in made[1].values():
            self.values.update(tally)
        return made[0]
