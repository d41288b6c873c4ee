"""The embedded store: keeps the promise of :class:`~execution_history.stores.protocol.HistoryStore` in one folder."""

import asyncio
import logging
import threading
import weakref
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

import apsw

from execution_history.clock import now_ms
from execution_history.errors import Message, StoreClosed, StoreError, message_of, quoted
from execution_history.query.model import (
    MAX_SIZE,
    IndexReach,
    RecordFilter,
    RecordKey,
    RecordQuery,
    Selection,
    Statistics,
    StatisticsQuery,
)
from execution_history.records.partial import outline_of
from execution_history.records.reading_limits import ReadingLimits
from execution_history.records.record import Document, RecordChange
from execution_history.records.size_limit import LARGEST_RECORD, LEAST_LIMIT
from execution_history.stores.listeners import Watchers
from execution_history.stores.protocol import (
    Batch,
    Change,
    FoundRecords,
    MergeReport,
    ScanToken,
    StoreHealth,
    WorkflowSummary,
)
from execution_history.stores.sqlite.administration import SQLiteAdministration
from execution_history.stores.sqlite.bin import SQLiteBin
from execution_history.stores.sqlite.disk_reserve import Reserve
from execution_history.stores.sqlite.error_mapping import faults, is_full
from execution_history.stores.sqlite.fork_safety import watch
from execution_history.stores.sqlite.plain_select import is_plain, select_plainly
from execution_history.stores.sqlite.process_lock import WAIT_SECONDS
from execution_history.stores.sqlite.store_parts import StoreParts, open_parts
from execution_history.stores.sqlite.write_batcher import Writer
from execution_history.stores.sqlite.write_transaction import WriteTransaction

_log = logging.getLogger("execution_history.stores.sqlite")

_MERGE_GROUP: Final = 500
_ANSWER_SECONDS: Final = 5


class SQLiteStore(SQLiteAdministration, SQLiteBin):
    """One folder: ``history.db``, and ``{workflow_id}.json`` for every workflow.

    Several processes may open the same folder. A write waits up to 30 seconds for other processes.

    Args:
        folder: made, for its owner only, when it is missing.
        json_files: whether the JSON files are kept; without them nothing in the folder is read or adopted.
        search: whether the index of the records has their texts too.
        record_limit_bytes: how large a record may be that is made for it, or that is found in the folder.
        limits: what reading JSON files that others wrote may take.
        lock_seconds: how long a write waits for other processes.
        clock: milliseconds since the epoch, for what is forgotten after a time.
    """

    def __init__(
        self,
        folder: Path,
        *,
        json_files: bool = True,
        search: bool = True,
        record_limit_bytes: int = LARGEST_RECORD,
        limits: ReadingLimits | None = None,
        lock_seconds: float = WAIT_SECONDS,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self.record_limit_bytes = max(LEAST_LIMIT, record_limit_bytes)
        self._folder = folder.absolute()  # the program may change its own folder later
        self._open_parts = partial(
            open_parts,
            self._folder,
            json_files=json_files,
            search=search,
            limits=limits or ReadingLimits(self.record_limit_bytes),
            lock_seconds=lock_seconds,
            clock=clock,
        )
        self._clock = clock
        self._opened: StoreParts | None = None
        self._closed = False
        self._left_for_fork = False
        self._opening = threading.Lock()
        self._watchers = Watchers()

    @property
    def location(self) -> str:
        """See :class:`~execution_history.stores.capabilities.Located`: the folder."""
        return f"sqlite:{self._folder}"

    async def open(self) -> None:
        """See :meth:`HistoryStore.open`; adopts what others wrote into the folder."""
        if self._opened is None or self._closed:
            await asyncio.to_thread(self._open)

    async def aclose(self) -> None:
        """See :meth:`HistoryStore.aclose`."""
        opened = self._opened
        if opened is not None:
            try:
                await opened.mirror.flush()
            except StoreClosed:
                pass  # somebody else is closing too
            except StoreError as error:
                _log.warning("A history is closed although not all is on the disk: %s", error)
        await asyncio.to_thread(self._close)

    async def create(self, document: Document) -> None:
        """See :meth:`HistoryStore.create`."""
        record = (document.workflow_id, document.execute_id)
        await self._writer.submit(lambda t: t.create(document), record, size=len(document.body))
        self._watchers.tell()

    async def update(self, workflow_id: str, execute_id: str, change: RecordChange) -> Document | None:
        """See :meth:`HistoryStore.update`."""
        record = (workflow_id, execute_id)
        updated = await self._writer.submit(
            lambda t: t.update(workflow_id, execute_id, change), record, size=change.size()
        )
        self._watchers.tell()
        return updated

    async def merge(self, documents: Iterable[Document], *, settle: bool = True) -> MergeReport:
        """See :meth:`HistoryStore.merge`; every five hundred records are one transaction."""
        added = replaced = unchanged = 0
        remaining = iter(documents)
        while group := list(islice(remaining, _MERGE_GROUP)):
            report = await self._writer.submit(lambda t, group=group: t.merge(group))  # type: ignore[misc]
            added += report.added
            replaced += report.replaced
            unchanged += report.unchanged
            self._watchers.tell()
        if settle:
            try:
                await self.flush()
            except StoreError as error:  # the records are safe: health tells of files that are behind, as after create
                _log.warning("Records were merged, but not all is on the disk: %s", error)
        return MergeReport(added, replaced, unchanged)

    async def get(self, workflow_id: str, execute_id: str) -> bytes | None:
        """See :meth:`HistoryStore.get`."""
        return await self._parts.reader.get(workflow_id, execute_id)

    async def get_many(self, keys: Collection[RecordKey]) -> FoundRecords:
        """See :meth:`HistoryStore.get_many`."""
        return await self._parts.reader.get_many(keys)

    async def find(self, execute_id: str) -> list[bytes]:
        """See :meth:`HistoryStore.find`."""
        return await self._parts.reader.find(execute_id)

    async def find_upstream(self, upstream_id: str) -> list[bytes]:
        """See :meth:`HistoryStore.find_upstream`."""
        return await self._parts.reader.find(upstream_id, "documents_by_upstream_id")

    async def scan(self, after: ScanToken | None, limit: int) -> Batch:
        """See :meth:`HistoryStore.scan`."""
        return await self._parts.reader.scan(after, limit)

    async def select(self, query: RecordQuery) -> Selection:
        """See :meth:`HistoryStore.select`."""
        parts = self._parts
        return await (select_plainly(parts.reader, query) if is_plain(query) else parts.index.select(query))

    async def statistics(self, query: StatisticsQuery) -> Statistics:
        """See :meth:`HistoryStore.statistics`."""
        return await self._parts.index.statistics(query)

    async def index_reach(self) -> IndexReach:
        """See :class:`~execution_history.stores.capabilities.Indexed`."""
        return await self._parts.index.reach()

    async def rebuild_index(self) -> None:
        """See :class:`~execution_history.stores.capabilities.Indexed`."""
        await self._parts.index.rebuild()

    async def open_records(self, statuses: frozenset[str], limit: int) -> list[bytes]:
        """See :meth:`HistoryStore.open_records`."""
        return await self._parts.reader.open_records(statuses, limit)

    async def delete(self, workflow_id: str, execute_id: str) -> bool:
        """See :meth:`HistoryStore.delete`."""
        record = (workflow_id, execute_id)
        is_deleted = await self._writer.submit(lambda t: t.delete(workflow_id, execute_id), record, makes_room=True)
        self._watchers.tell()
        return is_deleted

    async def delete_many(self, what: Collection[RecordKey] | RecordFilter, limit: int) -> list[RecordKey]:
        """See :meth:`HistoryStore.delete_many`."""
        if not isinstance(what, RecordFilter):
            return await self._delete_versions(dict.fromkeys(islice(dict.fromkeys(what), limit)))
        deleted: list[RecordKey] = []
        after: str | None = None
        while len(deleted) < limit:
            size = min(limit - len(deleted), MAX_SIZE)
            page = await self.select(RecordQuery(filter=what, size=size, descending=False, after=after))
            found = [outline_of(body) for body in page.documents]
            versions = {RecordKey(each["workflow_id"], each["execute_id"]): each["update_time"] for each in found}
            deleted += await self._delete_versions(versions)
            after = page.next
            if after is None:
                break
        return deleted

    async def _delete_versions(self, versions: Mapping[RecordKey, int | None]) -> list[RecordKey]:
        """Remove records that still have the update times given; ``None`` stands for any."""
        by_workflow: dict[str, dict[str, int | None]] = {}
        for key, update_time in versions.items():
            by_workflow.setdefault(key.workflow_id, {})[key.execute_id] = update_time
        deleted = await asyncio.gather(
            *(
                self._writer.submit(partial(_delete_many, name, wanted), (name, None), makes_room=True)
                for name, wanted in by_workflow.items()
            )
        )
        self._watchers.tell()
        return [key for keys in deleted for key in keys]

    async def clear(self, workflow_id: str) -> bool:
        """See :meth:`HistoryStore.clear`."""
        is_cleared = await self._writer.submit(lambda t: t.clear(workflow_id), (workflow_id, None), makes_room=True)
        self._watchers.tell()
        return is_cleared

    async def workflows(
        self, prefix: str = "", after: WorkflowSummary | None = None, limit: int | None = None
    ) -> list[WorkflowSummary]:
        """See :meth:`HistoryStore.workflows`."""
        return await self._parts.reader.workflows(prefix, after, limit)

    async def revision(self) -> int:
        """See :meth:`HistoryStore.revision`."""
        return await self._parts.reader.revision()

    async def changes(self, since: int, limit: int, *, documents: bool = False) -> list[Change]:
        """See :meth:`HistoryStore.changes`."""
        return await self._parts.reader.changes(since, limit, documents=documents)

    async def flush(self) -> None:
        """See :class:`~execution_history.stores.capabilities.Mirrored`."""
        await self._parts.mirror.flush()

    async def health(self) -> StoreHealth:
        """See :meth:`HistoryStore.health`."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self.open()
                await self._parts.reader.check()
                await self._writer.submit(lambda t: t.check())
                parts = self._parts
                return StoreHealth(
                    (
                        *parts.mirror.problems(),
                        *parts.writer.damage,
                        *await parts.reader.problems(),
                        *parts.index.problems(),
                    )
                )
        except TimeoutError:
            return StoreHealth(
                (
                    Message(
                        "The history in %(folder)s has not answered for %(seconds)s seconds.",
                        folder=quoted(self._folder),
                        seconds=_ANSWER_SECONDS,
                    ),
                )
            )
        except StoreError as error:
            return StoreHealth((message_of(error),))

    def on_change(self, call: Callable[[], None]) -> Callable[[], None]:
        """See :class:`~execution_history.stores.capabilities.Watched`."""
        return self._watchers.add(call)

    @property
    def _parts(self) -> StoreParts:
        opened = self._opened
        if opened is None and self._left_for_fork:
            # It was open, and whoever opened it knows nothing of forks.
            self._open()
            opened = self._opened
        if opened is None:
            raise StoreClosed("This history is not open; open it first, or make a new service after closing one.")
        return opened

    @property
    def _writer(self) -> Writer:
        return self._parts.writer

    def _open(self) -> None:
        with self._opening:
            if self._closed:
                raise StoreClosed("This history was closed; make a new service.")
            if self._opened is None:
                with faults(self._folder):
                    try:
                        self._opened = self._open_parts()
                    except (apsw.Error, OSError) as error:
                        if not (is_full(error) and Reserve(self._folder).release()):
                            raise
                        self._opened = self._open_parts()  # so that there can be deleted
                self._opened.writer.start(self)
                # A program that ends without aclose still leaves its files in order.
                self._at_exit = weakref.finalize(self, self._opened.close)
                self._left_for_fork = False
                watch(self)

    def before_fork(self) -> None:
        """See :class:`~execution_history.stores.sqlite.fork_safety.CrossesForks`."""
        self._opening.acquire()
        if self._opened is not None:
            # First, so that nobody begins anything with parts that are being closed.
            self._opened, self._left_for_fork = None, True
            self._at_exit()

    def after_fork(self, *, is_child: bool) -> None:
        """See :class:`~execution_history.stores.sqlite.fork_safety.CrossesForks`."""
        if is_child:
            self._opening = threading.Lock()
            self._watchers = Watchers()  # those of the parent live there
        else:
            self._opening.release()

    def _close(self) -> None:
        with self._opening:
            self._closed = True
            opened, self._opened = self._opened, None
            if opened is not None:
                self._at_exit()


def _delete_many(
    workflow_id: str, update_times: Mapping[str, int | None], transaction: WriteTransaction
) -> list[RecordKey]:
    return transaction.delete_many(workflow_id, update_times)
