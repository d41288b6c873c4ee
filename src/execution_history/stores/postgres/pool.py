"""A pool of connections; whoever takes one makes it where none rests, so that errors reach those who wait.

Nothing is done in the background: a server that is away is not called when nobody needs it, and nothing is logged.
"""

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus

from execution_history.metrics import POOL, Sample, watch

_REST_SECONDS: Final = 600.0
"""How long a connection rests before it is closed, the next time that another one is given back."""


class PoolClosed(psycopg.OperationalError):
    """The pool is closed."""


class PoolExhausted(psycopg.OperationalError):
    """All connections of the pool are in use."""


class Pool:
    """The pool; for any number of threads.

    Args:
        most: how many connections there are at most.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._in_use = 0
        self._free = threading.BoundedSemaphore(most)
        self._changing = threading.Lock()
        self._resting: list[tuple[psycopg.Connection[Any], float]] = []
        self.closing: threading.Event = threading.Event()
        """Set when the pool is closed."""
        watch(self)

    def samples(self) -> Iterable[Sample]:
        """Return how many connections there are; see :class:`~execution_history.metrics.Source`."""
        if not self.closing.is_set():
            for state, number in (("in_use", self._in_use), ("resting", len(self._resting)), ("most", self._most)):
                yield Sample(POOL, number, (state,))

    def acquire(
        self, make: "Callable[[], psycopg.Connection[Any]]", seconds: float, *, is_new: bool = False
    ) -> "psycopg.Connection[Any]":
        """Return a connection, which is to be given back.

        Args:
            make: makes one.
            seconds: how long to wait for one that is in use.
            is_new: whether it must not be one that has rested: those may be of a server that has restarted since, and
                are closed.

        Raises:
            PoolClosed: the pool is closed.
            PoolExhausted: all are in use.
            psycopg.Error: *make* has raised it.
        """
        if not self._free.acquire(timeout=max(0.0, seconds)):
            raise PoolExhausted("all connections are in use")
        try:
            if is_new:
                self.forget()
            connection = self._rested(is_new=is_new) or make()
        except BaseException:
            self._free.release()
            raise
        with self._changing:
            self._in_use += 1
        return connection

    def _rested(self, *, is_new: bool) -> "psycopg.Connection[Any] | None":
        with self._changing:
            if self.closing.is_set():
                raise PoolClosed("the pool is closed")
            return None if is_new or not self._resting else self._resting.pop()[0]

    def release(self, connection: "psycopg.Connection[Any]") -> None:
        """Take *connection* back; it is closed unless it can be used again."""
        now = time.monotonic()
        is_usable = connection.info.transaction_status == TransactionStatus.IDLE
        with self._changing:
            self._in_use -= 1
            old = [each for each, since in self._resting if since < now - _REST_SECONDS]
            del self._resting[: len(old)]  # they are in the order in which they were given back
            if is_usable and not self.closing.is_set():
                self._resting.append((connection, now))
            else:
                old.append(connection)
        self._free.release()
        _close(old)

    def forget(self) -> None:
        """Close the connections that rest."""
        with self._changing:
            old, self._resting = [each for each, _ in self._resting], []
        _close(old)

    def close(self) -> None:
        """Close the pool; a connection in use is closed when it is given back."""
        self.closing.set()
        self.forget()


def _close(connections: "list[psycopg.Connection[Any]]") -> None:
    for each in connections:
        with suppress(psycopg.Error):
            each.close()
