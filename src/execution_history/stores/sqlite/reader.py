"""Reading: a pool of connections, used on the caller's own thread while the answer is small.

Handing a read to another thread costs several times what the read of a page does, so a bounded read
runs where it is asked for; documents beyond ``_INLINE_BYTES`` are fetched and unpacked in a thread.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import apsw
import zstandard

from execution_history.errors import StoreClosed, StoreDamaged, quoted
from execution_history.store import Batch, Change, Page, WorkflowSummary
from execution_history.stores.sqlite.changes import STATUS_NAMES, STATUS_NUMBERS, FaceChange, FaceState
from execution_history.stores.sqlite.database import load_dictionaries, open_reader
from execution_history.stores.sqlite.faults import as_store_error, faults
from execution_history.stores.sqlite.packing import Unpacker
from execution_history.stores.sqlite.presence import Presence
from execution_history.stores.sqlite.queries import query
from execution_history.stores.sqlite.scanning import scan_batch

_Result = TypeVar("_Result")
_INLINE_BYTES: Final = 128 * 1024
_NO_LIMIT: Final = 1 << 62
_MOST_IDLE: Final = 4
_OPEN: Final = frozenset({STATUS_NUMBERS["running"], STATUS_NUMBERS["interrupted"]})


class _TooLarge(Exception):  # noqa: N818 - a signal between two methods, never an error
    """A document is too large for the caller's thread."""


class Reader:
    """Answers questions about the store; for any number of threads.

    Args:
        folder: the store's folder.
        dictionaries: its dictionaries by number.
    """

    def __init__(self, folder: Path, dictionaries: dict[int, bytes]) -> None:
        self._folder = folder
        self._presence = Presence(folder)
        self._unpacker = Unpacker(dictionaries)
        self._idle: deque[apsw.Connection] = deque()
        self._closed = False

    def close(self) -> None:
        """Close the idle connections, and each busy one when it is given back."""
        self._closed = True
        while self._idle:
            self._idle.popleft().close()

    @contextmanager
    def connection(self) -> Iterator[apsw.Connection]:
        """A connection for the time of a ``with`` block."""
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
            raise as_store_error(error, self._folder) from error
        finally:
            self._give_back(connection)

    def _give_back(self, connection: apsw.Connection) -> None:
        if self._closed or len(self._idle) >= _MOST_IDLE:
            connection.close()
        else:
            self._idle.append(connection)

    async def get(self, workflow_id: str, execute_id: str) -> bytes | None:
        """One record, or ``None``."""

        def ask(connection: apsw.Connection, limit: int) -> bytes | None:
            row = connection.execute(query("document"), (limit, workflow_id, execute_id)).fetchone()
            return None if row is None else self.unpack(connection, *row)

        return await self._bounded(ask)

    async def find(self, identifier: str, named: str = "documents_by_execute_id") -> list[bytes]:
        """The records with one id in any workflow; *named* is the query that knows which id is meant."""

        def ask(connection: apsw.Connection) -> list[bytes]:
            rows = connection.execute(query(named), (identifier,))
            return [self.unpack(connection, *row) for row in rows]

        return await self.in_thread(ask)

    async def page(self, workflow_id: str | None, size: int, index: int) -> Page:
        """A numbered page; a far one is counted from the other end when that is nearer."""
        first = (index - 1) * size
        if workflow_id is None:
            return await self._bounded(lambda connection, limit: self._page_of_all(connection, limit, size, first))
        if first < size:
            return await self._bounded(lambda c, limit: self._near_page(c, limit, workflow_id, size, first))
        return await self.in_thread(lambda connection: self._far_page(connection, workflow_id, size, first))

    async def scan(self, after: int, limit: int) -> Batch:
        """A batch of all records in the order in which they came."""

        def ask(connection: apsw.Connection) -> Batch:
            return scan_batch(connection, lambda *row: self.unpack(connection, *row), after, limit)

        return await self.in_thread(ask)

    async def open_records(self, statuses: frozenset[str], most: int) -> list[bytes]:
        """Records in some statuses, oldest first."""

        def ask(connection: apsw.Connection) -> list[bytes]:
            rows: list[tuple[Any, ...]] = []
            for number in {STATUS_NUMBERS.get(status, 4) for status in statuses}:
                name = "open_documents" if number in _OPEN else "ended_documents"
                rows += connection.execute(query(name), (number, most)).fetchall()
            return [self.unpack(connection, *row[2:]) for row in sorted(rows, key=lambda r: r[:2])[:most]]

        return await self.in_thread(ask)

    async def workflows(self) -> list[WorkflowSummary]:
        """Every workflow that has history."""

        def ask(connection: apsw.Connection) -> list[WorkflowSummary]:
            return [
                WorkflowSummary(row[0], sum(row[1:6]), dict(zip(STATUS_NAMES, row[1:6], strict=True)), row[7], row[6])
                for row in connection.execute(query("workflow_summaries"))
            ]

        return await self.in_thread(ask)

    async def changes(self, since: int, most: int) -> list[Change]:
        """The change feed; both halves come from one snapshot, so that no change hides behind a later one."""

        def ask(connection: apsw.Connection) -> list[Change]:
            with _snapshot(connection):
                puts = [
                    Change(row[0], "put", row[1], row[2])
                    for row in connection.execute(query("changed_executions"), (since, most))
                ]
                gone = [
                    Change(row[0], "delete", row[1], row[2])
                    for row in connection.execute(query("deleted_executions"), (since, most))
                ]
            return sorted(puts + gone, key=lambda change: change.revision)[:most]

        return await self.in_thread(ask)

    async def leases(self) -> dict[str, int]:
        """The recorders that have a lease."""

        def ask(connection: apsw.Connection) -> dict[str, int]:
            return {str(owner): int(expires) for owner, expires in _rows(connection, "leases")}

        return await self.in_thread(ask)

    async def check(self) -> None:
        """Raise a :class:`StoreError` when the database cannot be read."""
        await self.in_thread(lambda connection: connection.execute(query("feed_revision")).fetchall())

    def documents(self, connection: apsw.Connection, workflow_id: str) -> Iterator[bytes]:
        """All records of a workflow, newest first, one at a time."""
        for row in connection.execute(query("workflow_documents"), (workflow_id,)):
            yield self.unpack(connection, *row)

    def is_small(self, connection: apsw.Connection, workflow_id: str, rows: int, size: int) -> bool:
        """Whether a workflow has at most *rows* records of together at most *size* bytes."""
        count, total = _rows(connection, "size_up_to", workflow_id, rows + 1)[0]
        return bool(count <= rows and total <= size)

    def face_states(self, connection: apsw.Connection) -> dict[str, FaceState]:
        """What the JSON file of every workflow should say of itself."""
        return {row[0]: FaceState(*row[1:]) for row in connection.execute(query("face_states"))}

    def face_state(self, connection: apsw.Connection, workflow_id: str) -> FaceState | None:
        """What the JSON file of one workflow should say of itself; ``None`` when it should not be there."""
        row = connection.execute(query("face_state"), (workflow_id,)).fetchone()
        return None if row is None else FaceState(*row[1:])

    def snapshot(self, connection: apsw.Connection, workflow_id: str) -> tuple[FaceState, list[bytes]] | None:
        """A small workflow's state and all its records, newest first, from one moment."""
        with self.frozen(connection):
            state = self.face_state(connection, workflow_id)
            return None if state is None else (state, list(self.documents(connection, workflow_id)))

    def face_changes(self, connection: apsw.Connection, workflow_id: str, since: int) -> list[FaceChange]:
        """What has changed in a workflow after a revision: first what went, then what came or changed.

        The latter stands in the order in which it came, which decides between records of one millisecond; a record that
        was deleted and came again is in both parts.
        """
        gone = [
            FaceChange(row[0], row[1], None)
            for row in _rows(connection, "deleted_in_workflow", since, workflow_id)
            if row[0] is not None
        ]
        return gone + [
            FaceChange(row[0], row[1], self.unpack(connection, row[2], row[3]))
            for row in _rows(connection, "changed_in_workflow", since, workflow_id)
        ]

    def safety(self, connection: apsw.Connection) -> tuple[str, int]:
        """During which start of the machine the store was last open, and up to which revision its files are safe."""
        boot, revision = _rows(connection, "feed_safety")[0]
        return boot, revision

    @contextmanager
    def frozen(self, connection: apsw.Connection) -> Iterator[None]:
        """All reads in the block see one moment."""
        with _snapshot(connection):
            yield

    async def in_thread(self, ask: Callable[[apsw.Connection], _Result]) -> _Result:
        """The answer of *ask*, which may take its time."""

        def run() -> _Result:
            with self.connection() as connection:
                return ask(connection)

        return await asyncio.to_thread(run)

    async def _bounded(self, ask: Callable[[apsw.Connection, int], _Result]) -> _Result:
        """The answer of *ask*, here when its documents are small, in a thread otherwise."""
        with contextlib.suppress(_TooLarge), self.connection() as connection:
            return ask(connection, _INLINE_BYTES)
        return await self.in_thread(lambda connection: ask(connection, _NO_LIMIT))

    def _near_page(self, connection: apsw.Connection, limit: int, workflow_id: str, size: int, first: int) -> Page:
        rows = _rows(connection, "page_newest_first", limit, workflow_id, size, first)
        if not rows:
            return Page([], 0, has_more=False)
        total = int(rows[0][0])
        documents = [self.unpack(connection, row[1], row[2]) for row in rows if row[1] is not None]
        return Page(documents, total, first + len(documents) < total)

    def _far_page(self, connection: apsw.Connection, workflow_id: str, size: int, first: int) -> Page:
        with _snapshot(connection):
            row = connection.execute(query("workflow_total"), (workflow_id,)).fetchone()
            total = 0 if row is None else int(row[0])
            if first >= total:
                return Page([], total, has_more=False)
            if first <= total // 2:
                return self._near_page(connection, _NO_LIMIT, workflow_id, size, first)
            most = min(size, total - first)
            rows = _rows(connection, "page_oldest_first", _NO_LIMIT, workflow_id, most, total - first - most)
        documents = [self.unpack(connection, row[1], row[2]) for row in reversed(rows)]
        return Page(documents, total, first + most < total)

    def _page_of_all(self, connection: apsw.Connection, limit: int, size: int, first: int) -> Page:
        rows = _rows(connection, "page_of_all", limit, size, first)
        total = int(rows[0][0] if rows else _rows(connection, "total_of_all")[0][0])
        documents = [self.unpack(connection, row[1], row[2]) for row in rows]
        return Page(documents, total, first + len(documents) < total)

    def unpack(self, connection: apsw.Connection, packing: int, document: bytes | None) -> bytes:
        """The JSON bytes of a stored document that *connection* has read.

        Raises:
            StoreDamaged: they cannot be unpacked.
        """
        if document is None:
            raise _TooLarge
        try:
            return self._unpacker.unpack(packing, document)
        except KeyError:
            # Another process, of a newer version, has brought a dictionary since we opened.
            self._unpacker = Unpacker(load_dictionaries(connection))
            return self._unpacker.unpack(packing, document)
        except zstandard.ZstdError as error:
            raise StoreDamaged(
                f"A record in {quoted(self._folder)} cannot be unpacked: its database is damaged ({error})."
            ) from error


def _rows(connection: apsw.Connection, name: str, *values: int | str) -> list[tuple[Any, ...]]:
    """All rows of a named query; what is in their columns the schema knows."""
    return connection.execute(query(name), values).fetchall()


@contextmanager
def _snapshot(connection: apsw.Connection) -> Iterator[None]:
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("COMMIT")
