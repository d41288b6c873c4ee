"""Connections of one process to its history in PostgreSQL: a pool for reading, and others for writing and listening."""

import itertools
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from hashlib import blake2b
from typing import Any, Final, TypeVar
from uuid import UUID, uuid4

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.types.numeric import Int8Dumper

from execution_history.errors import StoreError, StoreUnwritable
from execution_history.stores.compression import StoredRecord, Unpacker, Unreadable
from execution_history.stores.postgres.conversation import LOCK_SECONDS, limit_locks
from execution_history.stores.postgres.error_mapping import as_store_error, faults, is_lost, is_transient
from execution_history.stores.postgres.location import Location
from execution_history.stores.postgres.outage import Outage
from execution_history.stores.postgres.pool import Pool, PoolExhausted
from execution_history.stores.postgres.queries import Statements
from execution_history.stores.postgres.watchdog import Watchdog

_Result = TypeVar("_Result")
Connection = psycopg.Connection[Any]
"""A connection whose rows are tuples."""

WAIT_SECONDS: Final = 30.0
"""How long a caller waits for a server that has gone away, or for conflicts to end; who reads waits a third of it."""

_LEAST_SECONDS: Final = 2
"""What libpq takes a shorter time to connect for."""

_COUNTED_SECONDS: Final = 60.0
"""How old a number of runs may be by which a way to read them is chosen."""

_SHARE_OF_WAITING: Final = 0.8
"""How much of its time a caller waits for a connection that is in use; in the rest it finds out why."""


_SETTINGS: Final = (
    f"SET lock_timeout = '{LOCK_SECONDS}s'; SET idle_session_timeout = 0; SET standard_conforming_strings = on"
)
"""No statement waits for a lock for long, and the pool decides what becomes of idle connections."""

_PAUSES: Final = (0.0, 0.01, 0.05, 0.2, 0.5)


class Connections:
    """The connections; for any number of threads. Nothing is connected before it is needed.

    Args:
        location: where the history is.
        wait_seconds: how long a caller waits.
    """

    def __init__(self, location: Location, wait_seconds: float = WAIT_SECONDS) -> None:
        self.location = location
        self.wait_seconds = wait_seconds
        self.most_seconds: float = wait_seconds + 2 * LOCK_SECONDS
        """How long a write may wait on a connection, though the server answers others; locks have their own limit."""
        self.statements = Statements(location.schema)
        self.channel: str = f"execution_history_{blake2b(location.schema.encode(), digest_size=8).hexdigest()}"
        """The channel on which processes tell each other of commits."""
        self.watchdog = Watchdog(self._reach, wait_seconds / 10)
        self._outage = Outage(wait_seconds / 3)
        self._pool = Pool(location.pool_size)
        self._unpacker: Unpacker | None = None
        self._runs = 0
        self._counted_at = -math.inf
        self._probing = threading.Lock()
        self._probed_at = -math.inf
        self.is_ending: bool = False
        """Whether the history is being closed: a server that is away is not waited for any more."""

    def connect(self, seconds: float | None = None) -> Connection:
        """Return a new connection, which commits each statement unless a transaction is begun.

        Args:
            seconds: how long this may take, if less than the URL of the store says; two at least.

        Raises:
            psycopg.Error: there is none.
        """
        connection = self._reach(seconds)
        with ExitStack() as cleanup:
            cleanup.callback(connection.close)
            with self.watchdog.watching(connection, self.wait_seconds / 10, self.wait_seconds / 3):
                self._configure(connection)
            cleanup.pop_all()
        return connection

    def _reach(self, seconds: float | None = None) -> Connection:
        """Return a new connection as it is."""
        if self.is_ending:
            seconds = _LEAST_SECONDS
        conninfo = self.location.conninfo if seconds is None else self._limited(seconds)
        try:
            connection: Connection = psycopg.connect(conninfo, autocommit=True)
        except psycopg.Error as error:
            self._outage.goes_on(error)
            raise
        self._outage.ends()
        return connection

    def _limited(self, seconds: float) -> str:
        """Return how to connect within *seconds*, or within what the URL of the store says where that is less."""
        with suppress(ValueError):
            named = float(conninfo_to_dict(self.location.conninfo).get("connect_timeout") or 0)
            seconds = min(seconds, named) if named > 0 else seconds
        return make_conninfo(self.location.conninfo, connect_timeout=max(_LEAST_SECONDS, int(seconds)))

    @contextmanager
    def reading(self, deadline: float | None = None, *, is_new: bool = False) -> Iterator[Connection]:
        """Yield a connection of the pool.

        Args:
            deadline: until when one is waited for, on the monotonic clock; as long as who reads waits unless given.
            is_new: whether it must be a new one.

        Raises:
            StoreError: there is none, or what the block does with it fails.
        """
        with faults(), self._borrowed(deadline or self._outage.deadline(), is_new=is_new) as connection:
            yield connection

    def read(self, work: Callable[[Connection], _Result], deadline: float | None = None) -> _Result:
        """Return the result of *work*, which may be done twice; once more where the connection turns out to be lost.

        Args:
            work: called with a connection.
            deadline: see :meth:`reading`.

        Raises:
            StoreError: it could not be read.
        """
        deadline, is_begun = deadline or self._outage.deadline(), False
        try:
            with self.reading(deadline) as connection:
                is_begun = True
                return work(connection)
        except StoreError as error:
            if not is_begun or not is_lost(error.__cause__ or error):
                raise
        with self.reading(deadline, is_new=True) as connection:
            return work(connection)

    def read_moment(self, work: Callable[[Connection], _Result]) -> _Result:
        """Return the result of *work*, whose statements all see one moment; it only reads.

        Raises:
            StoreError: it could not be read.
        """

        def within(connection: Connection) -> _Result:
            connection.isolation_level, connection.read_only = psycopg.IsolationLevel.REPEATABLE_READ, True
            try:
                with connection.transaction():
                    return work(connection)
            finally:
                if not connection.closed:
                    connection.isolation_level = connection.read_only = None

        return self.read(within)

    def rows(self, name: str, *values: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - whatever a column takes
        """Return all rows of the reading statement called *name*."""
        return self.read(lambda connection: connection.execute(self.statements[name], values).fetchall())

    def runs(self, connection: Connection) -> int:
        """Return about how many runs the history has: as many as a minute ago, or now.

        Raises:
            psycopg.Error: they could not be counted.
        """
        now = time.monotonic()
        if now > self._counted_at + _COUNTED_SECONDS:
            [(self._runs,)] = connection.execute(self.statements["number_of_runs"]).fetchall()
            self._counted_at = now
        return self._runs

    def unpack(self, connection: Connection, stored: StoredRecord) -> bytes:
        """Return the JSON bytes of a record that *connection* has read.

        Raises:
            Unreadable: its document is damaged.
            psycopg.Error: the dictionaries could not be read.
        """
        unpacker = self._unpacker
        if unpacker is None or not unpacker.can_unpack(stored.packing):
            # Another process, of a newer version, may have added a dictionary meanwhile.
            found = connection.execute(self.statements["dictionaries"]).fetchall()
            unpacker = self._unpacker = Unpacker({int(number): bytes(content) for number, content in found})
        return unpacker.unpack(stored)

    def body(self, connection: Connection, stored: StoredRecord) -> bytes | None:
        """Return the JSON bytes of a record that *connection* has read, or ``None`` where its document is damaged."""
        try:
            return self.unpack(connection, stored)
        except Unreadable:
            return None

    def run(self, work: Callable[[Connection, UUID], _Result], *, is_long: bool = False) -> _Result:
        """Return the result of *work*, done in a transaction, again where that has failed for a reason that passes.

        Args:
            work: called with a connection in a transaction and the token of its entry in the log of changes, if it
                makes one: so a commit whose answer was lost is not repeated. It may be called several times.
            is_long: whether it may take any time, as long as the server answers.

        Raises:
            StoreError: it could not be done, or it is not known whether it was.
        """
        most = math.inf if is_long else self.most_seconds
        token, deadline = uuid4(), time.monotonic() + self.wait_seconds
        pauses = itertools.chain(_PAUSES, itertools.repeat(1.0))
        results: list[_Result] = []
        is_new = False
        while True:
            try:
                with self._borrowed(deadline, is_new=is_new, most=most) as connection:
                    with connection.transaction():
                        limit_locks(connection)
                        results.append(work(connection, token))
                    return results[-1]
            except errors.UniqueViolation as error:
                # An earlier try, whose answer was lost, has been committed with this token.
                if not results or error.diag.constraint_name != "changes_token_key":
                    raise as_store_error(error) from error
                return results[-1]
            except psycopg.Error as error:
                pause = next(pauses)
                is_over = time.monotonic() + pause > deadline or (self.is_ending and is_new)
                if is_over or not is_transient(error):
                    raise as_store_error(error) from error
                is_new = is_lost(error)
                time.sleep(pause)

    def execute(self, name: str, values: Sequence[Any] | Mapping[str, Any]) -> None:
        """Run the statement called *name* in a transaction of its own; see :meth:`run`.

        Raises:
            StoreError: it could not be done, or it is not known whether it was.
        """

        def execute(connection: Connection, _: UUID) -> None:
            connection.execute(self.statements[name], values)

        self.run(execute)

    def check(self) -> None:
        """Write an unchanged value, which raises where nothing can be written; who asks waits less than who reads.

        Raises:
            StoreError: it could not be written.
        """

        def write(connection: Connection) -> None:
            with connection.transaction():
                limit_locks(connection)
                lacking = connection.execute(self.statements["lacking"], (self.location.schema,)).fetchall()
                if lacking:
                    raise StoreUnwritable(
                        "The PostgreSQL role of this history lacks rights on %(tables)s: grant SELECT, INSERT, UPDATE "
                        "and DELETE on tables, and USAGE on sequences.",
                        tables=", ".join(sorted(name for (name,) in lacking)),
                    )
                connection.execute(self.statements["check_writable"])

        self.read(write, self._outage.deadline() - self.wait_seconds / 6)

    def close(self) -> None:
        """Close the pool; a connection in use is closed when it is given back."""
        self.watchdog.stop()
        self._pool.close()

    @contextmanager
    def _borrowed(self, deadline: float, *, is_new: bool = False, most: float = math.inf) -> Iterator[Connection]:
        """Yield a connection of the pool.

        Raises:
            PoolClosed: the pool is closed.
            PoolExhausted: all are in use.
            psycopg.OperationalError: none can be made.
        """
        connection = self._taken(deadline, is_new=is_new)
        try:
            with self.watchdog.watching(connection, self.wait_seconds / 10, most):
                yield connection
        finally:
            self._pool.release(connection)

    def _taken(self, deadline: float, *, is_new: bool) -> Connection:
        """Return a connection of the pool; tried once, and again until *deadline* while the server is away."""

        def left() -> float:
            return deadline - time.monotonic()

        for pause in itertools.chain(_PAUSES, itertools.repeat(_PAUSES[-1])):
            try:
                return self._pool.acquire(lambda: self.connect(left()), left() * _SHARE_OF_WAITING, is_new=is_new)
            except PoolExhausted:
                self._probe(left())
                raise
            except psycopg.Error as error:
                needed = _LEAST_SECONDS if isinstance(error, errors.ConnectionTimeout) else 0
                if not is_lost(error) or left() <= needed or self.is_ending:
                    raise
            self._pool.closing.wait(max(0.0, min(pause, left())))
        raise AssertionError

    def _probe(self, seconds: float) -> None:
        """Connect once for all who find the pool exhausted: where the server is away, that is the error to raise.

        Raises:
            psycopg.Error: it is.
        """
        with self._probing:
            if time.monotonic() > self._probed_at + self.wait_seconds / 10:
                self.connect(seconds).close()
                self._probed_at = time.monotonic()

    def _configure(self, connection: Connection) -> None:
        # One type for all numbers: statements with other types would be other prepared statements.
        connection.adapters.register_dumper(int, Int8Dumper)
        if not self.location.prepares:
            connection.prepare_threshold = None
            return
        # Not through a pool in transaction mode, where others would get these settings.
        connection.execute(_SETTINGS)
