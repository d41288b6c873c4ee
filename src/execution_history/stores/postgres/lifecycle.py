"""The life of a shared store: it is opened, closed and reopened after a fork."""

import asyncio
import contextlib
import logging
import secrets
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from execution_history.clock import now_ms
from execution_history.records.price_book import PriceBook
from execution_history.records.size_limit import LARGEST_RECORD, LEAST_LIMIT
from execution_history.stores.capabilities import BIN_MS
from execution_history.stores.compression import Packer, shipped_dictionary
from execution_history.stores.opened_store import OpenedStore
from execution_history.stores.postgres.connections import WAIT_SECONDS, Connection, Connections
from execution_history.stores.postgres.error_mapping import faults
from execution_history.stores.postgres.group_commit import GroupCommit
from execution_history.stores.postgres.location import Location
from execution_history.stores.postgres.notifications import Notifications
from execution_history.stores.postgres.queries import Statements
from execution_history.stores.postgres.schema import prepare
from execution_history.stores.postgres.write_batcher import Writer
from execution_history.stores.protocol import StoreHealth

_log = logging.getLogger("execution_history.stores.postgres")
_Result = TypeVar("_Result")

_MORE_THREADS: Final = 8
"""Threads beyond the connections: those that wait for one."""

_SLOTS: Final = 32
"""How many rows a counter is divided into; each process writes one of them."""


@dataclass(frozen=True, slots=True)
class StoreParts:
    """The parts of a store that is open."""

    connections: Connections
    writer: Writer
    notifications: Notifications
    threads: ThreadPoolExecutor

    def close(self) -> None:
        """Finish queued work, unless the server is away, and release everything. Never raises."""
        self.connections.is_ending = True
        for step in (self.writer.stop, self.notifications.stop, self.connections.close, self.threads.shutdown):
            try:
                step()
            except BaseException as error:  # noqa: BLE001 - the other parts have to be closed too
                _log.warning("A history was not closed completely: %s", error)


class SharedStore(OpenedStore[StoreParts]):
    """A history that is opened with its first use and closed once.

    Args:
        location: where it is; its tables are made where they are missing.
        search: whether it can be searched for texts.
        record_limit_bytes: the largest size of a record that is made for it.
        clock: milliseconds since the epoch, for what is forgotten after some time.
        wait_seconds: how long a write waits for a server that has gone away; what reads waits a third of it.
    """

    def __init__(
        self,
        location: Location,
        *,
        search: bool = True,
        record_limit_bytes: int = LARGEST_RECORD,
        clock: Callable[[], int] = now_ms,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        super().__init__()
        self.record_limit_bytes = max(LEAST_LIMIT, record_limit_bytes)
        self.prices = PriceBook()
        self.bin_ms = BIN_MS
        self._place = location
        self._statements = Statements(location.schema)
        self._search = search
        self._clock = clock
        self._wait_seconds = wait_seconds
        self._slot = secrets.randbelow(_SLOTS)
        self._checking: Future[StoreHealth] | None = None

    @property
    def location(self) -> str:
        """See :class:`~execution_history.stores.capabilities.Located`: database and schema, without a password."""
        return self._place.name

    async def open(self) -> None:
        """See :meth:`HistoryStore.open`; makes the tables, or brings them up to date.

        Raises:
            StoreTooNew: a newer version has changed the tables so that this one cannot use them.
            StoreUnwritable: the role may not make them.
            StoreError: the database could not be used.
        """
        await super().open()

    async def aclose(self) -> None:
        """See :meth:`HistoryStore.aclose`."""
        await asyncio.to_thread(self._close)

    def on_change(self, call: Callable[[], None]) -> Callable[[], None]:
        """See :class:`~execution_history.stores.capabilities.Watched`; other processes' changes are told of too."""
        end = super().on_change(call)
        if self._opened is not None:
            self._opened.notifications.start()
        return end

    @property
    def _connections(self) -> Connections:
        return self._parts.connections

    async def _read(self, work: Callable[[Connection], _Result]) -> _Result:
        """Return the result of *work*, which only reads."""
        return await self._in_thread(self._connections.read, work)

    async def _rows(self, name: str, *values: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - whatever a column takes
        """Return the rows of a named statement, which only reads."""
        return await self._in_thread(self._connections.rows, name, *values)

    async def _in_thread(self, function: Callable[..., _Result], *values: Any, **more: Any) -> _Result:  # noqa: ANN401
        """Return the result of *function*, called in a thread of the store.

        They are its own: those of the event loop look up names for the gateway, and must not wait for a server.
        """
        threads = self._parts.threads
        return await asyncio.get_running_loop().run_in_executor(threads, partial(function, *values, **more))

    def _open_parts(self) -> StoreParts:
        connections = Connections(self._place, self._wait_seconds)
        with (
            faults(),
            contextlib.closing(connections.connect(self._wait_seconds / 3)) as connection,
            connections.watchdog.watching(connection, self._wait_seconds / 10),
        ):
            prepare(connection, connections.statements)
        told = weakref.WeakMethod(self._notify)

        def tell() -> None:
            if (notify := told()) is not None:
                notify()

        packer = Packer(shipped_dictionary())
        commits = GroupCommit(connections, packer, self._slot, self._clock, tell, self.prices)
        threads = ThreadPoolExecutor(self._place.pool_size + _MORE_THREADS, "execution-history-postgres")
        return StoreParts(connections, Writer(commits), Notifications(connections, tell), threads)

    def _begin(self, parts: StoreParts) -> None:
        parts.writer.start(self)
        if self._listeners:
            parts.notifications.start()

    def after_fork(self, *, is_child: bool) -> None:
        """See :class:`~execution_history.stores.forks.Forkable`; the child writes counters of its own."""
        super().after_fork(is_child=is_child)
        if is_child:
            self._slot, self._checking = secrets.randbelow(_SLOTS), None
