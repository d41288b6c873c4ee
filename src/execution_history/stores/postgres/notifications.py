"""Word of other processes' commits: a connection that listens, opened again when it breaks.

It is a hint and no more: through a pool such as PgBouncer's nothing may come. Whoever follows looks now and then too.
"""

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Final

import psycopg
from psycopg import sql

from execution_history.stores.postgres.connections import Connection, Connections
from execution_history.stores.postgres.error_mapping import reason_of

_log = logging.getLogger("execution_history.stores.postgres")

_LOOK_SECONDS: Final = 0.5
"""How soon the thread notices that it has to end."""

_PAUSES: Final = (0.5, 1.0, 2.0, 5.0, 15.0)


class Notifications:
    """The thread that listens; it starts when somebody follows.

    Args:
        connections: connects to the server.
        call: called in the thread when another process, or this one, has committed.
    """

    def __init__(self, connections: Connections, call: Callable[[], None]) -> None:
        self._connections = connections
        self._call = call
        self._ending = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread; a further call does nothing."""
        with self._starting:
            if self._thread is None and not self._ending.is_set():
                self._thread = threading.Thread(target=self._listen, name="execution-history-listener", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        with self._starting:
            self._ending.set()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _listen(self) -> None:
        failures = 0
        while not self._ending.is_set():
            try:
                with contextlib.closing(self._connections.connect()) as connection:
                    channel = sql.Identifier(self._connections.channel)
                    seconds = self._connections.wait_seconds / 3
                    with self._connections.watchdog.watching(connection, seconds, seconds):
                        connection.execute(sql.SQL("LISTEN {}").format(channel))
                    self._call()  # there may have been commits since the last connection
                    failures = 0
                    self._hear(connection)
            except psycopg.Error as error:
                _log.debug("No word of other processes' commits for now: %s", reason_of(error))
                self._ending.wait(_PAUSES[min(failures, len(_PAUSES) - 1)])
                failures += 1

    def _hear(self, connection: Connection) -> None:
        while not self._ending.is_set():
            for _ in connection.notifies(timeout=_LOOK_SECONDS, stop_after=1):
                self._call()
