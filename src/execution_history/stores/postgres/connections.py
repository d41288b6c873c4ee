"""Connections of one process to its history in PostgreSQL: a pool for reading, and others for writing and listening."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import psycopg
from psycopg_pool import ConnectionPool

from execution_history.errors import StoreClosed
from execution_history.stores.compression import Unpacker
from execution_history.stores.postgres.error_mapping import faults, is_lost
from execution_history.stores.postgres.location import Location
from execution_history.stores.postgres.queries import Statements

_Result = TypeVar("_Result")
Connection = psycopg.Connection[Any]
"""A connection whose rows are tuples."""

WAIT_SECONDS: Final = 10.0
"""How long a caller waits for a connection of the pool."""

_STATEMENT_SECONDS: Final = 60


class Connections:
    """The connections; for any number of threads. Nothing is connected before it is needed.

    Args:
        location: where the history is.
    """

    def __init__(self, location: Location) -> None:
        self.location = location
        self.statements = Statements(location.schema)
        self.unpacker: Unpacker | None = None
        self._opening = threading.Lock()
        self._pool: ConnectionPool[Connection] | None = None
        self._is_closed = False

    def connect(self) -> Connection:
        """Return a new connection, which commits each statement unless a transaction is begun.

        Raises:
            psycopg.Error: there is none.
        """
        connection = psycopg.connect(self.location.conninfo, autocommit=True)
        self._configure(connection)
        return connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection of the pool.

        Raises:
            StoreError: there is none, or what the block does with it fails.
        """
        with faults(), self._opened().connection(WAIT_SECONDS) as connection:
            yield connection

    def read(self, work: Callable[[Connection], _Result]) -> _Result:
        """Return the result of *work*, which only reads; once more where the connection turns out to be lost.

        Raises:
            StoreError: it could not be read.
        """
        try:
            with faults(), self._opened().connection(WAIT_SECONDS) as connection:
                return work(connection)
        except Exception as error:
            if not is_lost(error.__cause__ or error) or self._is_closed:
                raise
        self._opened().check()  # a server that was restarted has closed all of them
        with self.reading() as connection:
            return work(connection)

    async def read_in_thread(self, work: Callable[[Connection], _Result]) -> _Result:
        """Return the result of *work*, which only reads, from another thread."""
        return await asyncio.to_thread(self.read, work)

    def rows(self, name: str, *values: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - whatever a column takes
        """Return all rows of the reading statement called *name*."""
        return self.read(lambda connection: connection.execute(self.statements[name], values).fetchall())

    def close(self) -> None:
        """Close the pool; a connection in use is closed when it is given back."""
        with self._opening:
            self._is_closed = True
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    def _opened(self) -> "ConnectionPool[Connection]":
        with self._opening:
            if self._is_closed:
                raise StoreClosed("This history was closed; create a new service.")
            if self._pool is None:
                self._pool = ConnectionPool(
                    self.location.conninfo,
                    kwargs={"autocommit": True},
                    min_size=0,
                    max_size=self.location.pool_size,
                    timeout=WAIT_SECONDS,
                    configure=self._configure,
                    name="execution-history",
                    open=True,
                )
            return self._pool

    def _configure(self, connection: Connection) -> None:
        if not self.location.prepares:
            connection.prepare_threshold = None
