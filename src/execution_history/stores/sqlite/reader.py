"""A pool of connections for reading, used on the caller's own thread while the result is small.

Passing a read to another thread costs several times as much as reading a page, so a bounded read runs on the caller's
thread; documents beyond ``_INLINE_BYTES`` are read and unpacked in another.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import apsw

from execution_history.errors import StoreClosed, StoreDamaged, StoreError
from execution_history.query.model import RecordKey
from execution_history.stores.compression import StoredRecord, Unreadable
from execution_history.stores.mirror_port import FileChange, FileState, Part
from execution_history.stores.sqlite.connections import one_moment, open_reader
from execution_history.stores.sqlite.documents import NO_LIMIT, Documents, Recover, nowhere
from execution_history.stores.sqlite.error_mapping import as_store_error, faults
from execution_history.stores.sqlite.folder import Presence
from execution_history.stores.sqlite.queries import query, rows, value

_Result = TypeVar("_Result")
_INLINE_BYTES: Final = 128 * 1024
_MOST_IDLE: Final = 4
_NEVER: Final = 1 << 62  # milliseconds


class MirrorSnapshot:
    """See :class:`~execution_history.stores.mirror_port.RecordSnapshot`."""

    def __init__(self, documents: Documents, connection: apsw.Connection) -> None:
        self._documents = documents
        self._connection = connection

    def revision(self) -> int:
        """See :meth:`RecordSnapshot.revision`."""
        return int(value(self._connection, "feed_revision"))

    def states(self) -> dict[str, FileState]:
        """See :meth:`RecordSnapshot.states`."""
        return {row[0]: FileState(*row[1:]) for row in rows(self._connection, "file_states")}

    def state(self, workflow_id: str) -> FileState | None:
        """See :meth:`RecordSnapshot.state`."""
        found = rows(self._connection, "file_state", workflow_id)
        return FileState(*found[0][1:]) if found else None

    def is_small(self, workflow_id: str, count: int, size: int) -> bool:
        """See :meth:`RecordSnapshot.is_small`."""
        [(found, total)] = rows(self._connection, "size_up_to", workflow_id, count + 1)
        return bool(found <= count and total <= size)

    def documents(self, workflow_id: str) -> Iterator[bytes]:
        """See :meth:`RecordSnapshot.documents`."""
        found = self._connection.execute(query("workflow_documents"), (workflow_id,))
        return (body for _, body in self._documents.read(self._connection, found) if body is not None)

    def changes(self, workflow_id: str, since: int) -> list[FileChange] | None:
        """See :meth:`RecordSnapshot.changes`.

        New and changed records are in the order of creation, which decides between records of one millisecond; a record
        that was deleted and created again is in both parts.
        """
        deleted = rows(self._connection, "deleted_in_workflow", since, workflow_id)
        if any(execute_id is None for execute_id, _ in deleted):
            return None
        gone = [FileChange(execute_id, create_time, None) for execute_id, create_time in deleted]
        changed = [StoredRecord(*row) for row in rows(self._connection, "changed_in_workflow", since, workflow_id)]
        found = [(stored, self._documents.find(self._connection, stored)) for stored in changed]
        return gone + [FileChange(s.execute_id, s.create_time, body) for s, body in found if body is not None]

    def part(self, workflow_id: str, before: int | None, size: int) -> Part:
        """See :meth:`RecordSnapshot.part`."""
        bodies: dict[str, bytes | None] = {}
        read, oldest = 0, None
        # Closed when left early, or the connection would stay at this moment.
        place = (workflow_id, _NEVER if before is None else before)
        with closing(self._connection.execute(query("workflow_part"), place)) as found:
            for stored in map(StoredRecord._make, found):
                if read >= size and stored.create_time != oldest:
                    return Part(bodies, oldest, read)
                bodies[stored.execute_id] = self._documents.find(self._connection, stored)
                read, oldest = read + stored.size, stored.create_time
        return Part(bodies, None, read)

    def safety(self) -> tuple[str, int]:
        """See :meth:`RecordSnapshot.safety`."""
        [(boot, revision)] = rows(self._connection, "feed_safety")
        return boot, revision


class _TakesLong(Exception):  # noqa: N818 - a signal between two methods
    """A document is too large for the caller's thread, or has to be recovered from elsewhere."""


class Reader:
    """Reads the store; for any number of threads.

    Args:
        folder: the store's folder.
        dictionaries: its dictionaries by number.
        recover: returns a damaged record from elsewhere.
        opens: opens a connection to the database in the folder.
    """

    def __init__(
        self,
        folder: Path,
        dictionaries: dict[int, bytes],
        recover: Recover = nowhere,
        opens: Callable[[Path], apsw.Connection] = open_reader,
    ) -> None:
        self._folder = folder
        self._opens = opens
        self._presence = Presence(folder)
        self._damage: tuple[str, ...] = ()
        self.stored = Documents(folder, dictionaries, recover)
        self._idle: deque[apsw.Connection] = deque()
        self._closed = False

    def close(self) -> None:
        """Close the idle connections, and each busy one when it is returned."""
        self._closed = True
        while self._idle:
            self._idle.popleft().close()

    @contextmanager
    def connection(self) -> Iterator[apsw.Connection]:
        """Yield a connection for the time of a ``with`` block."""
        if self._closed:
            raise StoreClosed("This history was closed; create a new service.")
        self._presence.check()
        try:
            connection = self._idle.pop()
        except IndexError:
            with faults(self._folder):
                connection = self._opens(self._folder)
        try:
            yield connection
        except apsw.Error as error:
            raise self._noted(as_store_error(error, self._folder)) from error
        except UnicodeDecodeError as error:  # a text column is not UTF-8: SQLite does not check
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

    async def problems(self) -> tuple[str, ...]:
        """Return sentences on the damaged records that were found, as long as they are damaged.

        Raises:
            StoreError: the database cannot be read.
        """
        return (*self._damage, *await self.in_thread(self.stored.problems))

    async def in_thread(self, read: Callable[[apsw.Connection], _Result]) -> _Result:
        """Return the result of *read*, run in a thread."""

        def run() -> _Result:
            with self.connection() as connection:
                return read(connection)

        return await asyncio.to_thread(run)

    async def bounded(self, read: Callable[[apsw.Connection, int], _Result]) -> _Result:
        """Return the result of *read*, run here if its documents are small, in a thread otherwise."""
        with contextlib.suppress(_TakesLong), self.connection() as connection:
            return read(connection, _INLINE_BYTES)
        return await self.in_thread(lambda connection: read(connection, NO_LIMIT))

    @contextmanager
    def snapshot(self) -> Iterator[MirrorSnapshot]:
        """See :meth:`~execution_history.stores.mirror_port.RecordSource.snapshot`."""
        with self.connection() as connection, one_moment(connection):
            yield MirrorSnapshot(self.stored, connection)

    def read(
        self, connection: apsw.Connection, rows: Iterable[tuple[Any, ...]], limit: int = NO_LIMIT
    ) -> tuple[list[bytes], list[RecordKey]]:
        """Return the records of *rows* that can be read, and the ids of the others.

        Raises:
            _TakesLong: there is a *limit*, and one of them is larger or has to be recovered.
        """
        find = self.stored.find if limit == NO_LIMIT else self._find_quickly
        read = [(stored.key, find(connection, stored)) for stored in map(StoredRecord._make, rows)]
        return [body for _, body in read if body is not None], [key for key, body in read if body is None]

    def _find_quickly(self, connection: apsw.Connection, stored: StoredRecord) -> bytes:
        with contextlib.suppress(Unreadable):
            if stored.document is not None:
                return self.stored.unpack(connection, stored)
        raise _TakesLong

    def exactly(
        self, connection: apsw.Connection, rows: Sequence[tuple[Any, ...]], limit: int = NO_LIMIT
    ) -> list[bytes]:
        """Return the records of *rows*.

        Raises:
            RecordDamaged: one of them cannot be read.
            _TakesLong: as in :meth:`read`.
        """
        bodies, damaged = self.read(connection, rows, limit)
        if damaged:
            raise self.stored.damage(damaged[0])
        return bodies
