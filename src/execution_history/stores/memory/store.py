"""The memory store: the executable specification of the promise, and a store for tests and trials."""

import threading
import time
from collections.abc import Callable, Collection, Iterable
from itertools import islice
from typing import Final

from execution_history.clock import now_ms
from execution_history.errors import ExecutionExists, FeedExpired, Message, StoreClosed
from execution_history.query.model import (
    IndexReach,
    RecordFilter,
    RecordKey,
    RecordQuery,
    Selection,
    Statistics,
    StatisticsQuery,
)
from execution_history.records.record import STATUSES, Document, RecordChange
from execution_history.records.size_limit import LARGEST_RECORD
from execution_history.stores.capabilities import Binned
from execution_history.stores.listeners import Watchers
from execution_history.stores.memory import select
from execution_history.stores.memory.administration import MemoryAdministration
from execution_history.stores.memory.workflow import Entry, Workflow
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

_FROM_THE_BEGINNING: Final = RecordKey("", "")


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class MemoryStore(MemoryAdministration):
    """Keeps everything in this process's memory and forgets it on ``aclose``.

    Args:
        record_limit_bytes: how large a record may be that is made for it.
        clock: milliseconds since the epoch.
        uptime: milliseconds on a clock that nobody sets, for leases.
    """

    def __init__(
        self,
        record_limit_bytes: int = LARGEST_RECORD,
        clock: Callable[[], int] = now_ms,
        uptime: Callable[[], int] = _monotonic_ms,
    ) -> None:
        self._clock = clock
        self._uptime = uptime
        self.record_limit_bytes = record_limit_bytes
        self._lock = threading.RLock()
        self._workflows: dict[str, Workflow] = {}
        self._deleted: list[tuple[Change, int]] = []
        self._bin: dict[RecordKey, tuple[Binned, Document]] = {}
        self._init_administration()
        self._revision = 0
        self._sequence = 0
        self._closed = False
        self._watchers = Watchers()

    async def open(self) -> None:
        """Nothing has to be opened."""
        self._check_open()

    async def aclose(self) -> None:
        """Forget everything."""
        with self._lock:
            self._closed = True
            self._workflows.clear()

    async def create(self, document: Document) -> None:
        """See :meth:`HistoryStore.create`."""
        with self._lock:
            self._check_open()
            workflow = self._workflows.get(document.workflow_id)
            if workflow is not None and document.execute_id in workflow.entries:
                raise ExecutionExists(document.workflow_id, document.execute_id)
            self._put(document)

    async def update(self, workflow_id: str, execute_id: str, change: RecordChange) -> Document | None:
        """See :meth:`HistoryStore.update`."""
        with self._lock:
            entry = self._entry(workflow_id, execute_id)
            document = None if entry is None else change.apply(entry.document.body)
            if document is None:
                return None
            self._put(document)
            return document

    async def merge(self, documents: Iterable[Document], *, settle: bool = True) -> MergeReport:  # noqa: ARG002
        """See :meth:`HistoryStore.merge`; there is nothing to settle."""
        added = replaced = unchanged = 0
        for document in documents:
            with self._lock:
                entry = self._entry(document.workflow_id, document.execute_id)
                if entry is None:
                    added += 1
                elif entry.document.update_time < document.update_time:
                    replaced += 1
                else:
                    unchanged += 1
                    continue
                self._put(document)
        return MergeReport(added, replaced, unchanged)

    async def get(self, workflow_id: str, execute_id: str) -> bytes | None:
        """See :meth:`HistoryStore.get`."""
        with self._lock:
            entry = self._entry(workflow_id, execute_id)
            return None if entry is None else entry.document.body

    async def get_many(self, keys: Collection[RecordKey]) -> FoundRecords:
        """See :meth:`HistoryStore.get_many`."""
        with self._lock:
            found = {key: self._entry(*key) for key in keys}
            return FoundRecords({key: entry.document.body for key, entry in found.items() if entry is not None})

    async def find(self, execute_id: str) -> list[bytes]:
        """See :meth:`HistoryStore.find`."""
        with self._lock:
            self._check_open()
            found = [w.entries[execute_id] for w in self._workflows.values() if execute_id in w.entries]
            return [entry.document.body for entry in sorted(found, key=Entry.place, reverse=True)]

    async def find_upstream(self, upstream_id: str) -> list[bytes]:
        """See :meth:`HistoryStore.find_upstream`."""
        with self._lock:
            self._check_open()
            entries = (e for w in self._workflows.values() for e in w.oldest_first)
            found = [entry for entry in entries if entry.document.upstream_id == upstream_id]
            return [entry.document.body for entry in sorted(found, key=Entry.place, reverse=True)]

    async def scan(self, after: ScanToken | None, limit: int) -> Batch:
        """See :meth:`HistoryStore.scan`."""
        with self._lock:
            self._check_open()
            place = place_of(after)
            entries = (e for w in self._workflows.values() for e in w.oldest_first if e.sequence > place)
            chosen = sorted(entries, key=lambda entry: entry.sequence)[:limit]
            documents = [entry.document.body for entry in chosen]
            return Batch(documents, scan_token(chosen[-1].sequence) if len(chosen) == limit else None)

    async def select(self, query: RecordQuery) -> Selection:
        """See :meth:`HistoryStore.select`."""
        return select.select(query, self._all_records(), await self._reach())

    async def statistics(self, query: StatisticsQuery) -> Statistics:
        """See :meth:`HistoryStore.statistics`."""
        return select.statistics(query, self._all_records(), await self._reach())

    async def open_records(self, statuses: frozenset[str], limit: int) -> list[bytes]:
        """See :meth:`HistoryStore.open_records`."""
        with self._lock:
            self._check_open()
            entries = (e for w in self._workflows.values() for e in w.oldest_first)
            chosen = sorted((e for e in entries if e.document.status in statuses), key=Entry.place)
            return [entry.document.body for entry in chosen[:limit]]

    async def delete(self, workflow_id: str, execute_id: str) -> bool:
        """See :meth:`HistoryStore.delete`."""
        with self._lock:
            self._check_open()
            return self._delete(RecordKey(workflow_id, execute_id))

    async def delete_many(self, what: Collection[RecordKey] | RecordFilter, limit: int) -> list[RecordKey]:
        """See :meth:`HistoryStore.delete_many`."""
        with self._lock:
            self._check_open()
            keys = select.keys_of(what, self._all_records()) if isinstance(what, RecordFilter) else dict.fromkeys(what)
            return [key for key in islice(keys, limit) if self._delete(key)]

    async def discard(self, keys: Iterable[RecordKey], keep_ms: int) -> list[RecordKey]:
        """See :meth:`Bin.discard`."""
        with self._lock:
            self._check_open()
            now, discarded = self._clock(), []
            for key in dict.fromkeys(keys):
                entry = self._entry(*key)
                if entry is not None:
                    kept = Binned(key, len(entry.document.body), now, now + keep_ms)
                    self._bin[key] = (kept, entry.document)
                    discarded.append(key)
                    self._delete(key)
            return discarded

    async def restore(self, keys: Iterable[RecordKey]) -> list[RecordKey]:
        """See :meth:`Bin.restore`."""
        with self._lock:
            restored = [key for key in dict.fromkeys(keys) if self._is_binned(key) and self._entry(*key) is None]
            for key in restored:
                self._put(self._bin.pop(key)[1])
            return restored

    async def binned(self, after: RecordKey = _FROM_THE_BEGINNING, limit: int | None = None) -> list[Binned]:
        """See :meth:`Bin.binned`."""
        with self._lock:
            self._check_open()
            return [self._bin[key][0] for key in sorted(self._bin) if key > after and self._is_binned(key)][:limit]

    async def empty_bin(self, keys: Iterable[RecordKey]) -> None:
        """See :meth:`Bin.empty_bin`."""
        with self._lock:
            self._check_open()
            for key in keys:
                self._bin.pop(key, None)

    async def clear(self, workflow_id: str) -> bool:
        """See :meth:`HistoryStore.clear`."""
        with self._lock:
            self._check_open()
            if self._workflows.pop(workflow_id, None) is None:
                return False
            self._note_deletion(workflow_id, None)
            return True

    async def workflows(
        self, prefix: str = "", after: WorkflowSummary | None = None, limit: int | None = None
    ) -> list[WorkflowSummary]:
        """See :meth:`HistoryStore.workflows`."""
        with self._lock:
            self._check_open()
            found = [_summary(*item) for item in self._workflows.items() if item[0].startswith(prefix)]
        behind = [each for each in found if after is None or _recency(each) > _recency(after)]
        return sorted(behind, key=_recency)[:limit]

    async def revision(self) -> int:
        """See :meth:`HistoryStore.revision`."""
        with self._lock:
            self._check_open()
            return self._revision

    async def changes(self, since: int, limit: int, *, documents: bool = False) -> list[Change]:
        """See :meth:`HistoryStore.changes`."""
        with self._lock:
            self._check_open()
            if 0 < since < self._floor:
                raise FeedExpired(since, self._floor)
            found = [change for change, _ in self._deleted if change.revision > since]
            found += [
                Change(
                    entry.revision,
                    "created" if entry.first_revision > since else "updated",
                    workflow_id,
                    execute_id,
                    _status(entry),
                    entry.document.body if documents else None,
                )
                for workflow_id, workflow in self._workflows.items()
                for execute_id, entry in workflow.entries.items()
                if entry.revision > since
            ]
            found += self._changed_entries(since, documents=documents)
            return sorted(found, key=lambda change: change.revision)[:limit]

    async def health(self) -> StoreHealth:
        """See :meth:`HistoryStore.health`."""
        return StoreHealth((Message("The store is closed."),) if self._closed else ())

    def on_change(self, call: Callable[[], None]) -> Callable[[], None]:
        """See :class:`~execution_history.stores.capabilities.Watched`."""
        return self._watchers.add(call)

    async def _reach(self) -> IndexReach:
        newest = await self.revision()
        return IndexReach(newest, newest)

    def _all_records(self) -> list[tuple[bytes, int]]:
        with self._lock:
            self._check_open()
            return [(e.document.body, e.sequence) for w in self._workflows.values() for e in w.oldest_first]

    def _is_binned(self, key: RecordKey) -> bool:
        return key in self._bin and self._bin[key][0].ends > self._clock()

    def _delete(self, key: RecordKey) -> bool:
        workflow = self._workflows.get(key.workflow_id)
        if workflow is None or workflow.take(key.execute_id) is None:
            return False
        if not workflow.entries:
            del self._workflows[key.workflow_id]
        self._note_deletion(*key)
        return True

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosed("This history was closed; make a new service.")

    def _entry(self, workflow_id: str, execute_id: str) -> Entry | None:
        self._check_open()
        workflow = self._workflows.get(workflow_id)
        return None if workflow is None else workflow.entries.get(execute_id)

    def _put(self, document: Document) -> None:
        workflow = self._workflows.setdefault(document.workflow_id, Workflow())
        self._revision += 1
        old = workflow.take(document.execute_id)
        if old is None:
            self._sequence += 1
        place = (self._sequence, self._revision) if old is None else (old.sequence, old.first_revision)
        workflow.put(Entry(document, place[0], self._revision, place[1]))
        workflow.updated_at = max(workflow.updated_at, document.update_time)
        self._watchers.tell()

    def _note_deletion(self, workflow_id: str, execute_id: str | None) -> None:
        self._revision += 1
        self._deleted.append((Change(self._revision, "deleted", workflow_id, execute_id), self._clock()))
        self._watchers.tell()


def _status(entry: Entry) -> str:
    status = entry.document.status
    return status if status in STATUSES else "other"


def _recency(summary: WorkflowSummary) -> tuple[int, str]:
    """Return what sorts the workflow with the newest record first."""
    return (-summary.last_create_time, summary.workflow_id)


def _summary(workflow_id: str, workflow: Workflow) -> WorkflowSummary:
    counts = dict.fromkeys((*STATUSES, "other"), 0)
    for entry in workflow.oldest_first:
        counts[_status(entry)] += 1
    newest = workflow.oldest_first[-1].document.create_time
    return WorkflowSummary(workflow_id, len(workflow.oldest_first), counts, newest, workflow.updated_at)
