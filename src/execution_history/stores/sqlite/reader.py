"""Reading: a pool of connections, used on the caller's own thread while the answer is small.

Handing a read to another thread costs several times what the read of a page does, so a bounded read
runs where it is asked for; documents beyond ``_INLINE_BYTES`` are fetched and unpacked in a thread.
"""

import asyncio
import contextlib
import heapq
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar

import apsw
import orjson

from execution_history.errors import StoreClosed, StoreDamaged, StoreError
from execution_history.query.model import RecordKey
from execution_history.records.encoding import encode
from execution_history.records.partial import outline_of
from execution_history.stores.compression import StoredRecord, Unreadable
from execution_history.stores.protocol import Batch, Change, FoundRecords, ScanToken, WorkflowSummary
from execution_history.stores.sqlite import change_feed
from execution_history.stores.sqlite.connections import open_reader
from execution_history.stores.sqlite.documents import NO_LIMIT, Documents, Recover, nowhere
from execution_history.stores.sqlite.error_mapping import as_store_error, faults
from execution_history.stores.sqlite.folder_presence import Presence
from execution_history.stores.sqlite.queries import past_prefix, query
from execution_history.stores.status_numbers import STATUS_NAMES, STATUS_NUMBERS

_Result = TypeVar("_Result")
_INLINE_BYTES: Final = 128 * 1024
_MOST_IDLE: Final = 4
_OPEN: Final = frozenset({STATUS_NUMBERS["running"], STATUS_NUMBERS["interrupted"]})


class _TakesLong(Exception):  # noqa: N818 - a signal between two methods, never an error
    """A document is too large for the caller's thread, or has to be looked for elsewhere."""


class Reader:
    """Answers questions about the store; for any number of threads.

    Args:
        folder: the store's folder.
        dictionaries: its dictionaries by number.
        recover: where a damaged record is looked for.
    """

    def __init__(self, folder: Path, dictionaries: dict[int, bytes], recover: Recover = nowhere) -> None:
        self._folder = folder
        self._presence = Presence(folder)
        self._damage: tuple[str, ...] = ()
        self.stored = Documents(folder, dictionaries, recover)
        self._idle: deque[apsw.Connection] = deque()
        self._closed = False

    def close(self) -> None:
        """Close the idle connections, and each busy one when it is given back."""
        self._closed = True
        while self._idle:
            self._idle.popleft().close()

    @contextmanager
    def connection(self) -> Iterator[apsw.Connection]:
        """Return a connection for the time of a ``with`` block."""
        if self._closed:
            raise StoreClosed("This history was closed; make a new service.")
        self._presence.check()
        try:
            connection = self._idle.pop()
        except IndexError:
            with faults(self._folder):
                connection = open_reader(self._folder)
        try:
            yield connection
        except apsw.Error as error:
            raise self._noted(as_store_error(error, self._folder)) from error
        except UnicodeDecodeError as error:  # a text of a row is none: SQLite does not look
            raise self._noted(as_store_error(apsw.CorruptError(str(error)), self._folder)) from error
        finally:
            self._give_back(connection)

    def _noted(self, error: StoreError) -> StoreError:
        if isinstance(error, StoreDamaged):
            self._damage = (error.message,)
        return error

    def _give_back(self, connection: apsw.Connection) -> None:
        if self._closed or len(self._idle) >= _MOST_IDLE:
            connection.close()
        else:
            self._idle.append(connection)

    async def get(self, workflow_id: str, execute_id: str) -> bytes | None:
        """Return one record, or ``None``."""

        def ask(connection: apsw.Connection, limit: int) -> bytes | None:
            row = connection.execute(query("document"), (limit, workflow_id, execute_id)).fetchone()
            if row is None:
                return None
            body = self._exactly(connection, [row], limit)[0]
            if not _has_id(body, execute_id):
                raise apsw.CorruptError("An index leads to another record.")
            return body

        return await self.bounded(ask)

    async def get_many(self, keys: Collection[RecordKey]) -> FoundRecords:
        """See :meth:`HistoryStore.get_many`."""
        pairs = orjson.dumps([tuple(key) for key in keys]).decode()

        def ask(connection: apsw.Connection) -> FoundRecords:
            found: dict[RecordKey, bytes] = {}
            damaged = []
            with closing(connection.execute(query("documents_by_key"), (pairs,))) as rows:
                for row in rows:
                    stored = StoredRecord(*row)
                    body = self.stored.find(connection, stored)
                    if body is None:
                        damaged.append(stored.key)
                    else:
                        found[stored.key] = body
            return FoundRecords(found, tuple(damaged))

        return await self.in_thread(ask)

    async def find(self, identifier: str, named: str = "documents_by_execute_id") -> list[bytes]:
        """Return the records with one id in any workflow; *named* is the query that knows which id is meant."""

        def ask(connection: apsw.Connection) -> list[bytes]:
            rows = connection.execute(query(named), (identifier,)).fetchall()
            return self._exactly(connection, rows)

        return await self.in_thread(ask)

    async def scan(self, after: ScanToken | None, limit: int) -> Batch:
        """See :meth:`HistoryStore.scan`."""
        return await self.in_thread(lambda connection: self.stored.scan(connection, after, limit))

    async def open_records(self, statuses: frozenset[str], most: int) -> list[bytes]:
        """Return records in some statuses, oldest first; damaged ones do not stand in the way of others."""

        def ask(connection: apsw.Connection) -> list[bytes]:
            with contextlib.ExitStack() as opened:
                walks = []
                for number in {STATUS_NUMBERS.get(status, 4) for status in statuses}:
                    name = "open_documents" if number in _OPEN else "ended_documents"
                    # Closed when left early, or the connection would keep looking at this moment.
                    walks.append(opened.enter_context(closing(connection.execute(query(name), (number,)))))
                rows = heapq.merge(*walks, key=lambda row: row[:2])
                return list(islice(self.readable(connection, (row[2:] for row in rows)), most))

        return await self.in_thread(ask)

    async def workflows(self, prefix: str, after: WorkflowSummary | None, limit: int | None) -> list[WorkflowSummary]:
        """See :meth:`HistoryStore.workflows`."""
        place = (None, None) if after is None else (after.last_create_time, after.workflow_id)

        def ask(connection: apsw.Connection) -> list[WorkflowSummary]:
            values = (prefix, past_prefix(prefix), *place, -1 if limit is None else limit)
            return [
                WorkflowSummary(row[0], sum(row[1:6]), dict(zip(STATUS_NAMES, row[1:6], strict=True)), row[7], row[6])
                for row in _rows(connection, "workflow_summaries", *values)
            ]

        return await self.in_thread(ask)

    async def revision(self) -> int:
        """See :meth:`HistoryStore.revision`."""
        return await self.bounded(lambda connection, _: int(_rows(connection, "feed_revision")[0][0]))

    async def changes(self, since: int, limit: int, *, documents: bool) -> list[Change]:
        """See :meth:`HistoryStore.changes`."""

        def ask(connection: apsw.Connection) -> list[Change]:
            with frozen(connection):
                return change_feed.changes(connection, self.stored, since, limit, documents=documents)

        return await self.in_thread(ask)

    async def check(self) -> None:
        """Raise a :class:`StoreError` when the database cannot be read."""
        await self.in_thread(lambda connection: connection.execute(query("feed_revision")).fetchall())

    async def problems(self) -> tuple[str, ...]:
        """Return what there is to say of damaged records that have been met, as long as they are damaged.

        Raises:
            StoreError: the database cannot be read.
        """
        return (*self._damage, *await self.in_thread(self.stored.problems))

    async def in_thread(self, ask: Callable[[apsw.Connection], _Result]) -> _Result:
        """Return the answer of *ask*, which may take its time."""

        def run() -> _Result:
            with self.connection() as connection:
                return ask(connection)

        return await asyncio.to_thread(run)

    async def bounded(self, ask: Callable[[apsw.Connection, int], _Result]) -> _Result:
        """Return the answer of *ask*, here when its documents are small, in a thread otherwise."""
        with contextlib.suppress(_TakesLong), self.connection() as connection:
            return ask(connection, _INLINE_BYTES)
        return await self.in_thread(lambda connection: ask(connection, NO_LIMIT))

    def read(
        self, connection: apsw.Connection, rows: Iterable[tuple[Any, ...]], limit: int = NO_LIMIT
    ) -> tuple[list[bytes], list[RecordKey]]:
        """Return the records of *rows* that can be read, and the ids of the others.

        Raises:
            _TakesLong: there is a *limit*, and one of them is larger or has to be looked for elsewhere.
        """
        find = self.stored.find if limit == NO_LIMIT else self._find_quickly
        bodies, damaged = [], []
        for row in rows:
            stored = StoredRecord(*row)
            body = find(connection, stored)
            if body is None:
                damaged.append(stored.key)
            else:
                bodies.append(body)
        return bodies, damaged

    def _find_quickly(self, connection: apsw.Connection, stored: StoredRecord) -> bytes:
        with contextlib.suppress(Unreadable):
            if stored.document is not None:
                return self.stored.unpack(connection, stored)
        raise _TakesLong

    def _exactly(
        self, connection: apsw.Connection, rows: Sequence[tuple[Any, ...]], limit: int = NO_LIMIT
    ) -> list[bytes]:
        """Return the same, where these very records were asked for.

        Raises:
            RecordDamaged: one of them cannot be read.
            _TakesLong: as above.
        """
        bodies, damaged = self.read(connection, rows, limit)
        if damaged:
            raise self.stored.damage(damaged[0])
        return bodies

    def readable(self, connection: apsw.Connection, rows: Iterable[tuple[Any, ...]]) -> Iterator[bytes]:
        """Return the records of *rows* that can be read, one at a time."""
        for row in rows:
            body = self.stored.find(connection, StoredRecord(*row))
            if body is not None:
                yield body


def _has_id(body: bytes, execute_id: str) -> bool:
    """Whether a record is the one with this id; most are known by their first bytes."""
    return body.startswith(b'{"execute_id":%b,' % encode(execute_id)) or outline_of(body)["execute_id"] == execute_id


def _rows(connection: apsw.Connection, name: str, *values: int | str | None) -> list[tuple[Any, ...]]:
    """Return all rows of a named query; what is in their columns the schema knows."""
    return connection.execute(query(name), values).fetchall()


@contextmanager
def frozen(connection: apsw.Connection) -> Iterator[None]:
    """Let all reads in the block see one moment."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("COMMIT")
