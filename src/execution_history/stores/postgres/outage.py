"""Whether the server can be reached: told once when it goes and once when it is back."""

import logging
import threading
import time

import psycopg

from execution_history.stores.postgres.error_mapping import as_store_error, is_lost

_log = logging.getLogger("execution_history.stores.postgres")


class Outage:
    """What the attempts to connect have shown; for any number of threads.

    Args:
        patience_seconds: how long a caller waits for a server that has gone away, counted from when it went: those who
            come later learn of it at once.
    """

    def __init__(self, patience_seconds: float) -> None:
        self._patience_seconds = patience_seconds
        self._changing = threading.Lock()
        self._was_reached = self._is_told = False
        self._since: float | None = None

    def ends(self) -> None:
        """Note that the server can be reached."""
        with self._changing:
            self._was_reached, self._since = True, None
            is_back, self._is_told = self._is_told, False
        if is_back:
            _log.warning("The PostgreSQL server of this history can be reached again.")

    def goes_on(self, error: psycopg.Error) -> None:
        """Note that it cannot be reached because of *error*; what it refuses is no outage."""
        if not is_lost(error):
            return
        now = time.monotonic()
        with self._changing:
            if self._since is None:
                self._since = now
            # Who opens a history on a server that has never been reached is told by the error.
            is_new = self._was_reached and not self._is_told
            self._is_told |= is_new
        if is_new:
            _log.warning("%s", as_store_error(error))

    def deadline(self) -> float:
        """Return until when a caller who comes now waits for the server, on the monotonic clock."""
        now = time.monotonic()
        with self._changing:
            return (now if self._since is None else self._since) + self._patience_seconds
