"""The copy of a whole history into another store of any kind, every record byte for byte, and the comparison of both.

The source is read in the order of arrival and only read; records are merged into the target, so that a copy that was
cut short is continued by running it again. What the source changes meanwhile is taken from its change feed. Then every
record of the source is read again beside the one of the target, and both sides get a digest
(:mod:`execution_history.records.digest`).

| besides records | becomes |
|---|---|
| entries of the registry | copied where the target has none of that name; another value in the target stays |
| the audit log, the cursors of followers, leases | stay: they speak of the old store, its feed and its processes |
| deleted records that can be restored | stay, and are counted |
"""

import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final, Literal

from execution_history.errors import InvalidInput
from execution_history.history.service import ExecutionHistoryService
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordKey
from execution_history.records.digest import RecordDigest
from execution_history.records.partial import outline_of
from execution_history.records.record import Document
from execution_history.stores.administration import EntryName
from execution_history.stores.foreign_files import in_groups
from execution_history.stores.protocol import Change
from execution_history.transfer.copy_report import CopyReport, SideDigest
from execution_history.transfer.named_records import NamedRecords
from execution_history.transfer.progress import Progress, flushed, in_thread, read_ahead, to_its_end

CopyStep = Literal["copy", "compare"]

OnCopyProgress = Callable[[CopyStep, Progress], None]
"""Called now and then with the step of the copy and its progress, in the event loop's thread; must not block."""

# A group is one transaction, and every other writer of the target waits for it.
_AT_ONCE: Final = 500
_BYTES_AT_ONCE: Final = 1024 * 1024
_CHANGES_AT_ONCE: Final = 500


async def copy_history(
    source: ExecutionHistoryService, target: ExecutionHistoryService, on_progress: OnCopyProgress = lambda *_: None
) -> CopyReport:
    """Copy everything of *source* into *target*, and compare them; see the module for what is not a record.

    Both may be in use. A record that the target has in a newer version stays; a record of the same ``update_time`` with
    other content stays too, and is reported as differing. A record that cannot be read is reported and left out.

    Raises:
        InvalidInput: both are the same store.
        StoreError: one of them failed; what was copied before stays, and copying again continues.
    """
    await source.open()
    await target.open()
    if source.is_same(target):
        raise InvalidInput("The source and the target are the same history: name another place to copy it to.")
    copier = _Copier(source, target, on_progress)
    async with flushed(target):
        await copier.copy()
    return await copier.report()


class _Copier:
    """One copy, with what it has done so far."""

    def __init__(
        self, source: ExecutionHistoryService, target: ExecutionHistoryService, on_progress: OnCopyProgress
    ) -> None:
        self._source, self._target, self._on_progress = source, target, on_progress
        self._revision = 0
        self._added = self._replaced = self._deleted = self._entries = 0
        self._was_empty = False
        self._digests = RecordDigest(), RecordDigest()
        self._missing, self._differing = NamedRecords(), NamedRecords()
        self._newer, self._damaged = NamedRecords(), NamedRecords()
        self._cleared: dict[str, None] = {}
        self._versions: dict[EntryName, int] = {}
        self._kept_entries: dict[EntryName, None] = {}

    async def copy(self) -> None:
        """Copy all records, then the registry; compare, and take what has changed since the beginning."""
        self._revision = await self._source.revision()
        self._was_empty = not await _total(self._target)
        await self._every_record("copy", self._bring)
        await self._bring_registry()
        await self._every_record("compare", self._compare)
        await self._follow()

    async def report(self) -> CopyReport:
        """Return what was done."""
        source, target = map(SideDigest.of, self._digests)
        others = await _total(self._target) - target.records - self._newer.count
        return CopyReport(
            source=source,
            target=target,
            added=self._added,
            replaced=self._replaced,
            deleted=self._deleted,
            missing=self._missing,
            differing=self._differing,
            newer=self._newer,
            damaged=self._damaged,
            others=max(0, others),
            cleared=tuple(self._cleared),
            entries=self._entries,
            kept_entries=tuple(self._kept_entries),
            binned=await self._source.count_binned(),
            revision=self._revision,
        )

    async def _every_record(self, step: CopyStep, work: Callable[[list[Document]], Awaitable[None]]) -> None:
        """Do *work* with all records of the source, one batch after the other, and report the progress."""
        total, records, size = await _total(self._source), 0, 0
        async with contextlib.aclosing(read_ahead(self._source.batches(RecordFilter()))) as batches:
            async for batch in batches:
                await work(await in_thread(_documents, batch.documents))
                if step == "compare":
                    self._damaged.add(*batch.damaged)
                records += len(batch.documents) + len(batch.damaged)
                size += sum(map(len, batch.documents))
                self._on_progress(step, Progress(records, size, max(total, records)))

    async def _bring(self, documents: Sequence[Document]) -> None:
        """Merge those of *documents* into the target that it does not have as they are."""
        if not self._was_empty:
            found = (await self._target.get_many(_keys(documents))).documents
            documents = [each for each in documents if found.get(_key(each)) != each.body]
        for group in in_groups(documents, _AT_ONCE, _BYTES_AT_ONCE, lambda each: len(each.body)):
            merged = await to_its_end(self._target.merge(group, settle=False))
            self._added += merged.added
            self._replaced += merged.replaced

    async def _compare(self, documents: Sequence[Document]) -> None:
        """Compare *documents* with the target's, and add them to the digests of both sides.

        Those that are not the same may have changed meanwhile: they are brought once more, and compared as brought.
        """
        found = (await self._target.get_many(_keys(documents))).documents
        doubtful = await in_thread(self._add_equal, documents, found)
        if not doubtful:
            return
        now = await self._source.get_many(_keys(doubtful))
        self._damaged.add(*now.damaged)
        fresh = await in_thread(_documents, now.documents.values())
        await self._bring(fresh)
        found = (await self._target.get_many(_keys(fresh))).documents
        for document in await in_thread(self._add_equal, fresh, found):
            self._judge(document, found.get(_key(document)), self._digests)

    def _add_equal(self, documents: Iterable[Document], found: Mapping[RecordKey, bytes]) -> list[Document]:
        """Add the records that are the same on both sides to both digests; return the others."""
        others: list[Document] = []
        for document in documents:
            body = found.get(_key(document))
            if body == document.body:
                self._digests[0].add(*_key(document), document.body)
                self._digests[1].add(*_key(document), body)
            else:
                others.append(document)
        return others

    def _judge(self, document: Document, body: bytes | None, digests: Sequence[RecordDigest] = ()) -> None:
        """Note that the target has *body* for *document*, which it took, rather than what the source has."""
        key = _key(document)
        if body is not None and outline_of(body)["update_time"] > document.update_time:
            self._newer.add(key)
            return
        (self._missing if body is None else self._differing).add(key)
        for digest, side in zip(digests, (document.body, body), strict=False):
            if side is not None:
                digest.add(*key, side)

    async def _follow(self) -> None:
        """Take what the source has changed since the beginning up to now, and compare it as taken."""
        newest = await self._source.revision()
        while self._revision < newest:
            changes = await self._source.changes(self._revision, _CHANGES_AT_ONCE, documents=True)
            if not changes:
                return
            await self._take(changes)
            self._revision = changes[-1].revision

    async def _take(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.kind == "registry" and change.entry is not None:
                await self._bring_entry(change.entry)
        deleted = [each for each in changes if each.kind == "deleted"]
        # The target may have runs of its own in that workflow, so they stay, and the report names it.
        self._cleared |= {each.workflow_id or "": None for each in deleted if each.execute_id is None}
        if gone := [_key_of(each) for each in deleted if each.execute_id is not None]:
            # Before the others: a record that was deleted and created again is in both.
            self._deleted += len(await to_its_end(self._target.delete_execution_records(gone, forever=True)))
        put = [each for each in changes if each.kind in ("created", "updated")]
        documents = await in_thread(_documents, [each.document for each in put if each.document is not None])
        await self._bring(documents)
        found = (await self._target.get_many(_keys(documents))).documents
        for document in documents:
            body = found.get(_key(document))
            if body != document.body:
                self._judge(document, body)

    async def _bring_registry(self) -> None:
        """Bring every entry of the registry."""
        for entry in await self._source.registry():
            await self._bring_entry(entry.name)

    async def _bring_entry(self, name: EntryName) -> None:
        """Make the target's entry what the source's is, unless the target has another of its own."""
        entry, there = await self._source.entry(name), await self._target.entry(name)
        version = 0 if there is None else there.version
        if entry is None:
            if there is not None and self._versions.pop(name, None) == version:
                await self._target.drop_entry(name, expected=version)
            return
        if there is not None and there.value == entry.value:
            self._versions[name] = version
            return
        put = None
        if there is None or self._versions.get(name) == version:
            put = await self._target.put_entry(name, entry.value, expected=version)
        if put is None:
            self._kept_entries[name] = None
            return
        self._entries += there is None
        self._versions[name] = put.version


async def _total(service: ExecutionHistoryService) -> int:
    return sum(summary.total for summary in await service.workflow_summaries())


def _documents(bodies: Iterable[bytes]) -> list[Document]:
    return [Document.of(outline_of(body), body) for body in bodies]


def _key(document: Document) -> RecordKey:
    return RecordKey(document.workflow_id, document.execute_id)


def _keys(documents: Iterable[Document]) -> list[RecordKey]:
    return [_key(document) for document in documents]


def _key_of(change: Change) -> RecordKey:
    return RecordKey(change.workflow_id or "", change.execute_id or "")
