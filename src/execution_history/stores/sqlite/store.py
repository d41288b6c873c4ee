"""The embedded store: keeps the promise of :class:`~execution_history.store.HistoryStore` in one folder."""

import asyncio
import contextlib
import logging
import threading
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from execution_history.errors import StoreClosed, StoreError
from execution_history.foreign_files import ReadingLimits
from execution_history.query import IndexReach, RecordQuery, Selection, Statistics, StatisticsQuery
from execution_history.record import Document, RecordChange
from execution_history.store import Batch, Change, MergeReport, Page, StoreHealth, WorkflowSummary
from execution_history.stores.sqlite.checkpoint import Checkpointer
from execution_history.stores.sqlite.commits import Commits
from execution_history.stores.sqlite.database import load_dictionaries, open_writer, prepare_folder
from execution_history.stores.sqlite.face import Faces, FacesOff
from execution_history.stores.sqlite.faults import faults
from execution_history.stores.sqlite.forking import watch
from execution_history.stores.sqlite.index import RecordIndex, TextIndex
from execution_history.stores.sqlite.packing import CURRENT, Packer, Unpacker, shipped_dictionary
from execution_history.stores.sqlite.process_lock import ProcessLock
from execution_history.stores.sqlite.queries import query
from execution_history.stores.sqlite.reader import Reader
from execution_history.stores.sqlite.transaction import WriteTransaction
from execution_history.stores.sqlite.writer import Writer
from execution_history.stores.watchers import Watchers

_log = logging.getLogger("execution_history.stores.sqlite")

_MERGE_GROUP: Final = 500
_LOCK_FILE: Final = ".lock"


@dataclass(frozen=True, slots=True)
class _Opened:
    """The parts of a store that is open."""

    writer: Writer
    reader: Reader
    faces: Faces | FacesOff
    lock: ProcessLock
    index: RecordIndex

    def close(self) -> None:
        """Finish what has queued up, bring the files in order and let go of everything."""
        self.writer.stop()
        try:
            self.lock.acquire()
            self.faces.close()
        except (StoreError, OSError) as error:
            _log.warning("Closing a history left its JSON files to the next opening: %s", type(error).__name__)
        self.index.close()
        self.reader.close()
        self.writer.close()
        self.lock.close()


class SQLiteStore:
    """One folder: ``history.db``, and ``{workflow_id}.json`` for every workflow.

    Several processes may open the same folder. A write waits up to 30 seconds for other processes.

    Args:
        folder: made, for its owner only, when it is missing.
        json_files: whether the JSON files are kept; without them nothing in the folder is read or adopted.
        search: whether the index of the records has their texts too.
        on_loops: whether small writes may be committed on the thread of the event loop that asks for them: quicker
            for one that has nothing else to do, slower for one that serves many.
        limits: what reading JSON files that others wrote may take.
    """

    def __init__(
        self,
        folder: Path,
        *,
        json_files: bool = True,
        search: bool = True,
        on_loops: bool = True,
        limits: ReadingLimits | None = None,
    ) -> None:
        self._on_loops = on_loops
        self._limits = limits
        self._folder = folder
        self._json_files = json_files
        self._search = search
        self._opened: _Opened | None = None
        self._closed = False
        self._left_for_fork = False
        self._opening = threading.Lock()
        self._watchers = Watchers()

    @property
    def location(self) -> str:
        """See :class:`~execution_history.store.Located`: the folder."""
        return f"sqlite:{self._folder.absolute()}"

    async def open(self) -> None:
        """See :meth:`HistoryStore.open`; adopts what others wrote into the folder."""
        if self._opened is None or self._closed:
            await asyncio.to_thread(self._open)

    async def aclose(self) -> None:
        """See :meth:`HistoryStore.aclose`."""
        opened = self._opened
        if opened is not None:
            with contextlib.suppress(StoreClosed):  # somebody else is closing too
                await opened.faces.flush()
        await asyncio.to_thread(self._close)

    async def create(self, document: Document) -> None:
        """See :meth:`HistoryStore.create`."""
        record = (document.workflow_id, document.execute_id)
        await self._writer.submit(lambda t: t.create(document), record, size=len(document.body), bounded=True)
        self._watchers.tell()

    async def update(self, workflow_id: str, execute_id: str, change: RecordChange) -> bytes | None:
        """See :meth:`HistoryStore.update`."""
        record = (workflow_id, execute_id)
        updated = await self._writer.submit(
            lambda t: t.update(workflow_id, execute_id, change), record, size=change.size(), bounded=True
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
            await self.flush()
        return MergeReport(added, replaced, unchanged)

    async def get(self, workflow_id: str, execute_id: str) -> bytes | None:
        """See :meth:`HistoryStore.get`."""
        return await self._parts.reader.get(workflow_id, execute_id)

    async def find(self, execute_id: str) -> list[bytes]:
        """See :meth:`HistoryStore.find`."""
        return await self._parts.reader.find(execute_id)

    async def find_upstream(self, upstream_id: str) -> list[bytes]:
        """See :meth:`HistoryStore.find_upstream`."""
        return await self._parts.reader.find(upstream_id, "documents_by_upstream_id")

    async def page(self, workflow_id: str | None, size: int, index: int) -> Page:
        """See :meth:`HistoryStore.page`."""
        return await self._parts.reader.page(workflow_id, size, index)

    async def scan(self, after: int, limit: int) -> Batch:
        """See :meth:`HistoryStore.scan`."""
        return await self._parts.reader.scan(after, limit)

    async def select(self, query: RecordQuery) -> Selection:
        """See :meth:`HistoryStore.select`."""
        return await self._parts.index.select(query)

    async def statistics(self, query: StatisticsQuery) -> Statistics:
        """See :meth:`HistoryStore.statistics`."""
        return await self._parts.index.statistics(query)

    async def index_reach(self) -> IndexReach:
        """See :meth:`HistoryStore.index_reach`."""
        return await self._parts.index.reach()

    async def rebuild_index(self) -> None:
        """See :meth:`HistoryStore.rebuild_index`."""
        await self._parts.index.rebuild()

    async def open_records(self, statuses: frozenset[str], limit: int) -> list[bytes]:
        """See :meth:`HistoryStore.open_records`."""
        return await self._parts.reader.open_records(statuses, limit)

    async def delete(self, workflow_id: str, execute_id: str) -> bool:
        """See :meth:`HistoryStore.delete`."""
        record = (workflow_id, execute_id)
        is_deleted = await self._writer.submit(lambda t: t.delete(workflow_id, execute_id), record, tidies=True)
        self._watchers.tell()
        return is_deleted

    async def clear(self, workflow_id: str) -> bool:
        """See :meth:`HistoryStore.clear`."""
        is_cleared = await self._writer.submit(lambda t: t.clear(workflow_id), (workflow_id, None), tidies=True)
        self._watchers.tell()
        return is_cleared

    async def workflows(self) -> list[WorkflowSummary]:
        """See :meth:`HistoryStore.workflows`."""
        return await self._parts.reader.workflows()

    async def changes(self, since: int, limit: int) -> list[Change]:
        """See :meth:`HistoryStore.changes`."""
        return await self._parts.reader.changes(since, limit)

    async def renew_lease(self, owner: str, expires: int) -> None:
        """See :meth:`HistoryStore.renew_lease`."""
        await self._writer.submit(lambda t: t.renew_lease(owner, expires), bounded=True)

    async def leases(self) -> dict[str, int]:
        """See :meth:`HistoryStore.leases`."""
        return await self._parts.reader.leases()

    async def flush(self) -> None:
        """See :meth:`HistoryStore.flush`: every JSON file is current and on the disk."""
        await self._parts.faces.flush()

    async def health(self) -> StoreHealth:
        """See :meth:`HistoryStore.health`."""
        try:
            await self.open()
            await self._parts.reader.check()
            await self._writer.submit(lambda t: t.check())
        except StoreError as error:
            return StoreHealth((str(error),))
        return StoreHealth(self._parts.faces.problems())

    def on_change(self, call: Callable[[], None]) -> Callable[[], None]:
        """See :class:`~execution_history.store.Watched`."""
        return self._watchers.add(call)

    @property
    def _parts(self) -> _Opened:
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
                    self._opened = _open_parts(
                        self._folder,
                        json_files=self._json_files,
                        search=self._search,
                        on_loops=self._on_loops,
                        limits=self._limits,
                    )
                self._opened.writer.start(self)
                # A program that ends without aclose still leaves its files in order.
                self._at_exit = weakref.finalize(self, self._opened.close)
                self._left_for_fork = False
                watch(self)

    def before_fork(self) -> None:
        """See :class:`~execution_history.stores.sqlite.forking.CrossesForks`."""
        self._opening.acquire()
        if self._opened is not None:
            # First, so that nobody begins anything with parts that are being closed.
            self._opened, self._left_for_fork = None, True
            self._at_exit()

    def after_fork(self, *, is_child: bool) -> None:
        """See :class:`~execution_history.stores.sqlite.forking.CrossesForks`."""
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


def _open_parts(
    folder: Path, *, json_files: bool, search: bool, on_loops: bool, limits: ReadingLimits | None
) -> _Opened:
    prepare_folder(folder)
    lock = ProcessLock(folder / _LOCK_FILE)
    try:
        lock.acquire()
        connection = open_writer(folder)
        dictionaries = load_dictionaries(connection)
        if CURRENT not in dictionaries:
            connection.execute(query("add_dictionary"), (CURRENT, shipped_dictionary()))
            dictionaries = load_dictionaries(connection)
        transaction = WriteTransaction(connection, Unpacker(dictionaries), Packer(dictionaries[CURRENT]))
        reader = Reader(folder, dictionaries)
        faces = Faces(folder, reader, limits) if json_files else FacesOff()
        turn = threading.Lock()
        turn.acquire()
        commits = Commits(folder, connection, transaction, lock, faces, on_loops=on_loops)
        writer = Writer(commits, Checkpointer(folder, connection, turn, lock), turn)
        faces.begin(writer)
    except BaseException:
        lock.close()
        raise
    lock.release()
    return _Opened(writer, reader, faces, lock, RecordIndex(folder, reader, [TextIndex()] if search else []))
