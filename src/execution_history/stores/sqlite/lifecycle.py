"""The life of an embedded store: it is opened, closed and reopened after a fork."""

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import apsw

from execution_history.clock import now_ms
from execution_history.errors import StoreClosed, StoreError
from execution_history.records.price_book import PriceBook
from execution_history.records.reading_limits import ReadingLimits
from execution_history.records.size_limit import LARGEST_RECORD, LEAST_LIMIT
from execution_history.stores.capabilities import BIN_MS
from execution_history.stores.compression import CURRENT, Packer, shipped_dictionary
from execution_history.stores.jsonfiles import JSONFileMirror
from execution_history.stores.jsonfiles.file_sizes import SIZES, FileSizes
from execution_history.stores.jsonfiles.recovery import recovered_from
from execution_history.stores.mirror_port import Mirror
from execution_history.stores.opened_store import OpenedStore
from execution_history.stores.sqlite.connections import load_dictionaries, open_writer
from execution_history.stores.sqlite.documents import nowhere
from execution_history.stores.sqlite.error_mapping import as_store_error, faults, is_full
from execution_history.stores.sqlite.folder import Reserve, prepare_folder
from execution_history.stores.sqlite.process_lock import WAIT_SECONDS, ProcessLock
from execution_history.stores.sqlite.queries import Value, rows
from execution_history.stores.sqlite.reader import Reader
from execution_history.stores.sqlite.registry_copy import RegistryCopy
from execution_history.stores.sqlite.repaired_database import complete_repair
from execution_history.stores.sqlite.write_batcher import Writer
from execution_history.stores.sqlite.write_transaction import WriteTransaction

if TYPE_CHECKING:
    from execution_history.stores.sqlite.index import RecordIndex

_log = logging.getLogger("execution_history.stores.sqlite")
_Result = TypeVar("_Result")

LOCK_FILE: Final = ".lock"
"""Locked by the process that writes into the folder."""


@dataclass(frozen=True, slots=True)
class StoreParts:
    """The parts of a store that is open; an archive has no copy of its registry."""

    registry: RegistryCopy | None
    writer: Writer
    reader: Reader
    mirror: Mirror
    lock: ProcessLock
    queries: "QueryIndex"

    @property
    def index(self) -> "RecordIndex":
        """The index, which the first query that needs it makes."""
        return self.queries.get()

    def close(self) -> None:
        """Finish queued work, bring the files up to date and release everything. Never raises."""
        for step in (
            self.writer.stop,
            self.close_registry,
            self.lock.acquire,
            self.mirror.close,
            self.queries.close,
            self.reader.close,
            self.writer.close,
            self.lock.close,
        ):
            try:
                step()
            except BaseException as error:  # noqa: BLE001 - the other parts have to be closed too
                _log.warning("A history was not closed completely; its next opening completes it: %s", error)

    def save_registry(self) -> None:
        """Write the copy of the registry beside the database, where it has changed."""
        if self.registry is not None:
            self.registry.save()

    def close_registry(self) -> None:
        """Write the copy of the registry for the last time."""
        if self.registry is not None:
            self.registry.close()


class QueryIndex:
    """Makes the index when it is first needed: what it imports takes a tenth of the time of a short command.

    Args:
        folder: the store's folder.
        reader: reads the history.
        has_texts: whether texts can be searched for.
    """

    def __init__(self, folder: Path, reader: Reader, *, has_texts: bool) -> None:
        self._folder = folder
        self._reader = reader
        self._has_texts = has_texts
        self._making = threading.Lock()
        self._index: RecordIndex | None = None
        self._is_closed = False

    def get(self) -> "RecordIndex":
        """Return the index; it is closed where the store is."""
        with self._making:
            if self._index is None:
                from execution_history.stores.sqlite.index import RecordIndex, TextIndex  # noqa: PLC0415 - see above

                self._index = RecordIndex(self._folder, self._reader, TextIndex() if self._has_texts else None)
                if self._is_closed:
                    self._index.close()
            return self._index

    def close(self) -> None:
        """End its thread and close its file."""
        with self._making:
            self._is_closed = True
            if self._index is not None:
                self._index.close()


class EmbeddedStore(OpenedStore[StoreParts]):
    """A folder that is opened with its first use and closed once.

    Args:
        folder: made, for its owner only, where it is missing.
        json_files: whether the JSON files are kept; without them no file in the folder is read or adopted.
        search: whether the index has the texts of the records too.
        record_limit_bytes: the largest size of a record that is made for it, or that is read from the folder.
        limits: what reading JSON files that others wrote may take.
        lock_seconds: how long a write waits for other processes.
        file_sizes: the sizes by which the JSON files are edited.
        clock: milliseconds since the epoch, for what is forgotten after some time.
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
        file_sizes: FileSizes = SIZES,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        super().__init__()
        self.record_limit_bytes = max(LEAST_LIMIT, record_limit_bytes)
        self.prices = PriceBook()
        self.bin_ms = BIN_MS
        self._folder = folder.absolute()  # the program may change its own folder later
        self._json_files = json_files
        self._search = search
        self._limits = limits or ReadingLimits(self.record_limit_bytes)
        self._lock_seconds = lock_seconds
        self._sizes = file_sizes
        self._clock = clock

    @property
    def location(self) -> str:
        """See :class:`~execution_history.stores.capabilities.Located`: the folder."""
        return f"sqlite:{self._folder}"

    async def open(self) -> None:
        """See :meth:`HistoryStore.open`; imports what others wrote into the folder."""
        await super().open()

    async def aclose(self) -> None:
        """See :meth:`HistoryStore.aclose`."""
        opened = self._opened
        if opened is not None:
            try:
                await opened.mirror.flush()
            except StoreClosed:
                pass  # it is being closed elsewhere too
            except StoreError as error:
                _log.warning("A history is closed although not all is on the disk: %s", error)
        await asyncio.to_thread(self._close)

    async def _write(
        self,
        work: Callable[[WriteTransaction], _Result],
        record: tuple[str, str | None] | None = None,
        *,
        size: int = 0,
        makes_room: bool = False,
    ) -> _Result:
        """Return the result of *work*, a change, once it is on the disk and the listeners have been called.

        See :meth:`Writer.submit`.
        """
        result = await self._parts.writer.submit(work, record, size=size, makes_room=makes_room)
        self._notify()
        return result

    async def _rows(self, name: str, *values: Value) -> list[tuple[Any, ...]]:
        """Return the rows of a named statement."""
        return await self._parts.reader.in_thread(lambda connection: rows(connection, name, *values))

    def _open_parts(self) -> StoreParts:
        with faults(self._folder):
            try:
                return self._read_folder()
            except (apsw.Error, OSError) as error:
                if not (is_full(error) and Reserve(self._folder).release()):
                    raise
                return self._read_folder()  # so that records can be deleted

    def _begin(self, parts: StoreParts) -> None:
        parts.writer.start(self)

    def _read_folder(self) -> StoreParts:
        """Open the database, import what others wrote into the folder, and return the parts of the store.

        Raises:
            StoreError: another process holds the lock, or the database is of a newer version or another owner.
            apsw.Error: SQLite could not open it.
            OSError: the folder cannot be used.
        """
        prepare_folder(self._folder)
        folder, lock = self._folder, ProcessLock(self._folder / LOCK_FILE, self._lock_seconds)
        try:
            lock.acquire()
            complete_repair(folder)
            connection = open_writer(folder)
            dictionaries = load_dictionaries(connection)
            if CURRENT not in dictionaries:
                rows(connection, "add_dictionary", CURRENT, shipped_dictionary())
                dictionaries = load_dictionaries(connection)
            reader = Reader(folder, dictionaries, recovered_from(folder) if self._json_files else nowhere)
            packer = Packer(dictionaries[CURRENT])
            transaction = WriteTransaction(connection, reader.stored, packer, self._clock, self.prices)
            mirror = Mirror()
            if self._json_files:
                mirror = JSONFileMirror(
                    folder, reader, lambda error: as_store_error(error, folder), self._limits, self._sizes
                )
            writer = Writer(folder, connection, transaction, lock, mirror)
            mirror.begin(writer)
            lock.release()
        except BaseException:
            lock.close()
            raise
        queries = QueryIndex(folder, reader, has_texts=self._search)
        return StoreParts(RegistryCopy(folder, reader), writer, reader, mirror, lock, queries)
