"""The memory store: the executable specification of the contract, and a store for tests and trials."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Literal

from execution_history.clock import now_ms
from execution_history.errors import ExecutionExists, FeedExpired, Message
from execution_history.query.breakdown import Breakdown, BreakdownQuery
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordKey, RecordQuery, Selection, Statistics, StatisticsQuery
from execution_history.records.record import STATUSES, Document, RecordChange
from execution_history.records.size_limit import LARGEST_RECORD
from execution_history.stores.capabilities import BIN_MS, Binned, DiskUse, Versions, reach_of, versions_of
from execution_history.stores.memory import select
from execution_history.stores.memory.administration import MemoryAdministration
from execution_history.stores.protocol import (
    Batch,
    Change,
    FoundRecords,
    MergeReport,
    ScanToken,
    StoreHealth,
    WorkflowSummary,
)
from execution_history.stores.scan_token import place_of, scan_token
from execution_history.stores.status_numbers import STATUS_NAMES


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


@dataclass(slots=True)
class _Stored:
    """A record, its place in the order of arrival, and the revisions of its last and its first change."""

    document: Document
    sequence: int
    revision: int
    first_revision: int

    @property
    def status(self) -> str:
        """The status under which it is counted."""
        return self.document.status if self.document.status in STATUSES else "other"

    def time(self) -> tuple[int, int]:
        """Return the key that sorts records by time."""
        return (self.document.create_time, self.sequence)


@dataclass(slots=True)
class _Workflow:
    """The records of a workflow by their ids."""

    records: dict[str, _Stored] = field(default_factory=dict)
    updated_at: int = 0

    def summary(self, workflow_id: str) -> WorkflowSummary:
        """Return its entry in a list of workflows."""
        counts = dict.fromkeys(STATUS_NAMES, 0)
        for each in self.records.values():
            counts[each.status] += 1
        newest = max(each.document.create_time for each in self.records.values())
        size = sum(len(each.document.body) for each in self.records.values())
        return WorkflowSummary(workflow_id, len(self.records), counts, newest, self.updated_at, size)


class MemoryStore(MemoryAdministration):
    """Keeps everything in this process's memory and forgets it on ``aclose``.

    Args:
        record_limit_bytes: the largest size of a record that is made for it.
        clock: milliseconds since the epoch.
        uptime: milliseconds on a clock that is never set, for leases.
    """

    def __init__(
        self,
        record_limit_bytes: int = LARGEST_RECORD,
        clock: Callable[[], int] = now_ms,
        uptime: Callable[[], int] = _monotonic_ms,
    ) -> None:
        super().__init__(clock, uptime)
        self.record_limit_bytes = record_limit_bytes
        self._workflows: dict[str, _Workflow] = {}
        self.bin_ms = BIN_MS
        self._bin: dict[RecordKey, tuple[Binned, Document]] = {}
        self._sequence = 0

    async def open(self) -> None:
        """Raise if the store was closed; nothing has to be opened."""
        with self._opened():
            pass

    async def aclose(self) -> None:
        """Forget everything."""
        with self._lock:
            self._closed = True
            self._workflows.clear()

    async def create(self, document: Document) -> None:
        """See :meth:`HistoryStore.create`."""
        with self._opened():
            if self._find(document.workflow_id, document.execute_id) is not None:
                raise ExecutionExists(document.workflow_id, document.execute_id)
            self._put(document.with_cost(self._costs))

    async def update(self, workflow_id: str, execute_id: str, change: RecordChange) -> Document | None:
        """See :meth:`HistoryStore.update`."""
        with self._opened():
            stored = self._find(workflow_id, execute_id)
            document = None if stored is None else change.apply(stored.document.body, None, self._costs)
            if document is not None:
                self._put(document)
            return document

    async def merge(self, documents: Iterable[Document], *, settle: bool = True) -> MergeReport:  # noqa: ARG002
        """See :meth:`HistoryStore.merge`; there is nothing to settle."""
        added = replaced = unchanged = 0
        differing: list[int] = []
        for place, document in enumerate(documents):
            with self._opened():
                stored = self._find(document.workflow_id, document.execute_id)
                if stored is not None and stored.document.update_time >= document.update_time:
                    unchanged += 1
                    if stored.document.update_time == document.update_time and stored.document.body != document.body:
                        differing.append(place)
                    continue
                added += stored is None
                replaced += stored is not None
                self._put(document)
        return MergeReport(added, replaced, unchanged, tuple(differing))

    async def get(self, workflow_id: str, execute_id: str) -> bytes | None:
        """See :meth:`HistoryStore.get`."""
        with self._opened():
            stored = self._find(workflow_id, execute_id)
            return None if stored is None else stored.document.body

    async def get_many(self, keys: Collection[RecordKey]) -> FoundRecords:
        """See :meth:`HistoryStore.get_many`."""
        with self._opened():
            found = {key: self._find(*key) for key in keys}
            return FoundRecords({key: stored.document.body for key, stored in found.items() if stored is not None})

    async def find(self, execute_id: str) -> list[bytes]:
        """See :meth:`HistoryStore.find`."""
        with self._opened():
            return self._newest_first(each for each in self._records() if each.document.execute_id == execute_id)

    async def find_upstream(self, upstream_id: str) -> list[bytes]:
        """See :meth:`HistoryStore.find_upstream`."""
        with self._opened():
            return self._newest_first(each for each in self._records() if each.document.upstream_id == upstream_id)

    async def scan(self, after: ScanToken | None, limit: int) -> Batch:
        """See :meth:`HistoryStore.scan`."""
        with self._opened():
            place = place_of(after)
            behind = (each for each in self._records() if each.sequence > place)
            chosen = sorted(behind, key=lambda each: each.sequence)[:limit]
            documents = [each.document.body for each in chosen]
            return Batch(documents, scan_token(chosen[-1].sequence) if len(chosen) == limit else None)

    async def select(self, query: RecordQuery) -> Selection:
        """See :meth:`HistoryStore.select`."""
        return select.select(query, self._all_records(), await reach_of(self))

    async def statistics(self, query: StatisticsQuery) -> Statistics:
        """See :meth:`HistoryStore.statistics`."""
        return select.statistics(query, self._all_records(), await reach_of(self))

    async def breakdown(self, query: BreakdownQuery) -> Breakdown:
        """See :meth:`HistoryStore.breakdown`."""
        return select.breakdown(query, self._all_records(), await reach_of(self))

    async def breakdowns(self, queries: Sequence[BreakdownQuery]) -> list[Breakdown]:
        """See :meth:`HistoryStore.breakdowns`."""
        return [await self.breakdown(each) for each in queries]

    async def open_records(self, statuses: frozenset[str], limit: int) -> list[bytes]:
        """See :meth:`HistoryStore.open_records`."""
        with self._opened():
            found = self._newest_first(each for each in self._records() if each.document.status in statuses)
            return found[::-1][:limit]

    async def delete(self, workflow_id: str, execute_id: str) -> bool:
        """See :meth:`HistoryStore.delete`."""
        with self._opened():
            return self._delete(RecordKey(workflow_id, execute_id))

    async def delete_many(self, what: Collection[RecordKey] | RecordFilter, limit: int) -> list[RecordKey]:
        """See :meth:`HistoryStore.delete_many`."""
        with self._opened():
            keys = select.keys_of(what, self._all_records()) if isinstance(what, RecordFilter) else what
            return [key for key, version in islice(versions_of(keys).items(), limit) if self._delete(key, version)]

    async def discard(
        self, keys: Iterable[RecordKey] | Versions, keep_ms: int, rule: str | None = None
    ) -> list[RecordKey]:
        """See :meth:`Bin.discard`."""
        with self._opened():
            now, versions = self._clock(), versions_of(keys)
            there = {key: self._find(*key, version) for key, version in versions.items()}
            found = {key: stored.document for key, stored in there.items() if stored is not None}
            for key, document in found.items():
                self._bin[key] = (Binned(key, len(document.body), now, now + keep_ms, rule), document)
                self._delete(key)
            return list(found)

    async def restore(self, keys: Iterable[RecordKey]) -> list[RecordKey]:
        """See :meth:`Bin.restore`."""
        with self._opened():
            restored = [key for key in dict.fromkeys(keys) if self._is_binned(key) and self._find(*key) is None]
            for key in restored:
                self._put(self._bin.pop(key)[1])
            return restored

    async def binned(self, after: Binned | None = None, limit: int | None = None) -> list[Binned]:
        """See :meth:`Bin.binned`."""
        with self._opened():
            found = sorted((each for each, _ in self._bin.values() if self._is_binned(each.key)), key=_deletion)
            return [each for each in found if after is None or _deletion(each) > _deletion(after)][:limit]

    async def binned_documents(self, keys: Iterable[RecordKey]) -> dict[RecordKey, bytes]:
        """See :meth:`Bin.binned_documents`."""
        with self._opened():
            return {key: self._bin[key][1].body for key in keys if self._is_binned(key)}

    async def replace_binned(self, document: Document, expected: int) -> bool:
        """See :meth:`Bin.replace_binned`."""
        with self._opened():
            key = RecordKey(document.workflow_id, document.execute_id)
            binned, there = self._bin[key] if self._is_binned(key) else (None, document)
            if binned is None or (there.update_time, there.status) != (expected, document.status):
                return False
            self._bin[key] = replace(binned, size=len(document.body)), document
            return True

    async def bin_size(self) -> tuple[int, int]:
        """See :meth:`Bin.bin_size`."""
        found = await self.binned()
        return len(found), sum(each.size for each in found)

    async def disk_use(self) -> DiskUse:
        """See :meth:`Sized.disk_use`; nothing is on a disk, and documents stand for all that is kept."""
        with self._opened():
            sizes = [len(each.document.body) for each in self._records()]
            binned = sum(each.size for each, _ in self._bin.values())
            return DiskUse(database=sum(sizes) + binned, documents=sum(sizes), runs=len(sizes))

    async def sizes_of(self, keys: Collection[RecordKey]) -> dict[RecordKey, int]:
        """See :meth:`Sized.sizes_of`."""
        with self._opened():
            return {key: len(stored.document.body) for key in keys if (stored := self._find(*key)) is not None}

    async def give_back(self, workflow_ids: Collection[str] = (), *, is_thorough: bool = False) -> bool:  # noqa: ARG002 - as others have
        """See :meth:`Sized.give_back`; there is nothing to give back."""
        return True

    async def empty_bin(self, keys: Iterable[RecordKey]) -> None:
        """See :meth:`Bin.empty_bin`."""
        with self._opened():
            for key in keys:
                self._bin.pop(key, None)

    async def clear(self, workflow_id: str) -> bool:
        """See :meth:`HistoryStore.clear`."""
        with self._opened():
            is_there = self._workflows.pop(workflow_id, None) is not None
            if is_there:
                self._note_deletion(workflow_id, None)
            return is_there

    async def workflows(
        self, prefix: str = "", after: WorkflowSummary | None = None, limit: int | None = None
    ) -> list[WorkflowSummary]:
        """See :meth:`HistoryStore.workflows`."""
        with self._opened():
            found = [each.summary(name) for name, each in self._workflows.items() if name.startswith(prefix)]
        behind = [each for each in found if after is None or _recency(each) > _recency(after)]
        return sorted(behind, key=_recency)[:limit]

    async def revision(self) -> int:
        """See :meth:`HistoryStore.revision`."""
        with self._opened():
            return self._revision

    async def changes(self, since: int, limit: int, *, documents: bool = False) -> list[Change]:
        """See :meth:`HistoryStore.changes`."""
        with self._opened():
            if 0 < since < self._floor:
                raise FeedExpired(since, self._floor)
            found = [change for change, _ in self._deleted if change.revision > since]
            found += self._changed_entries(since, documents=documents)
            for each in self._records():
                if each.revision > since:
                    kept, is_new = each.document, each.first_revision > since
                    key, body = (kept.workflow_id, kept.execute_id), kept.body if documents else None
                    kind: Literal["created", "updated"] = "created" if is_new else "updated"
                    found.append(Change(each.revision, kind, *key, each.status, body, arrival=each.sequence))
            return sorted(found, key=lambda change: change.revision)[:limit]

    async def health(self) -> StoreHealth:
        """See :meth:`HistoryStore.health`."""
        return StoreHealth((Message("The store is closed."),) if self._closed else ())

    def _records(self) -> Iterator[_Stored]:
        return (each for workflow in self._workflows.values() for each in workflow.records.values())

    def _all_records(self) -> list[tuple[bytes, int]]:
        with self._opened():
            return [(each.document.body, each.sequence) for each in self._records()]

    def _newest_first(self, records: Iterable[_Stored]) -> list[bytes]:
        return [each.document.body for each in sorted(records, key=_Stored.time, reverse=True)]

    def _is_binned(self, key: RecordKey) -> bool:
        return key in self._bin and self._bin[key][0].ends > self._clock()

    def _find(self, workflow_id: str, execute_id: str, version: int | None = None) -> _Stored | None:
        workflow = self._workflows.get(workflow_id)
        found = None if workflow is None else workflow.records.get(execute_id)
        return None if found is None or version not in (None, found.document.update_time) else found

    def _put(self, document: Document) -> None:
        workflow = self._workflows.setdefault(document.workflow_id, _Workflow())
        self._revision += 1
        old = workflow.records.get(document.execute_id)
        if old is None:
            self._sequence += 1
            old = _Stored(document, self._sequence, self._revision, self._revision)
        workflow.records[document.execute_id] = _Stored(document, old.sequence, self._revision, old.first_revision)
        workflow.updated_at = max(workflow.updated_at, document.update_time)
        self._notify()

    def _delete(self, key: RecordKey, version: int | None = None) -> bool:
        if self._find(*key, version) is None:
            return False
        del self._workflows[key.workflow_id].records[key.execute_id]
        if not self._workflows[key.workflow_id].records:
            del self._workflows[key.workflow_id]
        self._note_deletion(*key)
        return True

    def _note_deletion(self, workflow_id: str, execute_id: str | None) -> None:
        self._revision += 1
        self._deleted.append((Change(self._revision, "deleted", workflow_id, execute_id), self._clock()))
        self._notify()


def _deletion(binned: Binned) -> tuple[int, RecordKey]:
    """Return the key that sorts the last deleted first."""
    return (-binned.deleted_at, binned.key)


def _recency(summary: WorkflowSummary) -> tuple[int, str]:
    """Return the key that sorts the workflow with the newest record first."""
    return (-summary.last_create_time, summary.workflow_id)
