"""Queries go before work in the background: both need the interpreter, which runs one thread at a time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_LONGEST_SECONDS: Final = 0.02


class Precedence:
    """Lets background work wait a moment while queries are answered; for any number of threads."""

    def __init__(self) -> None:
        self._queries = 0
        self._lock = threading.Lock()
        self._is_quiet = threading.Event()
        self._is_quiet.set()

    @contextmanager
    def query(self) -> Iterator[None]:
        """Go before background work, for the time of a ``with`` block."""
        with self._lock:
            self._queries += 1
            self._is_quiet.clear()
        try:
            yield
        finally:
            with self._lock:
                self._queries -= 1
                if self._queries == 0:
                    self._is_quiet.set()

    def give_way(self) -> None:
        """Wait until no query is answered, 20 ms at most: many queries in a row must not stop the index."""
        self._is_quiet.wait(_LONGEST_SECONDS)
