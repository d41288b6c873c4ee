"""Writes portions of work in another thread, each while the next one is made.

The interpreter runs one thread at a time, but a statement of SQLite does not need it: so a portion should be written
with a few large statements. Each end of one may wait 5 ms for the interpreter.
"""

import threading
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

_Portion = TypeVar("_Portion")


class _Write(threading.Thread, Generic[_Portion]):
    """The writing of one portion. A daemon: who leaves without closing the store undoes its transaction."""

    def __init__(self, write: Callable[[_Portion], None], portion: _Portion) -> None:
        super().__init__(name="execution-history-index-write", daemon=True)
        self._write = write
        self._portion = portion
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Write it, and keep the error for whoever waits."""
        try:
            self._write(self._portion)
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            self._error = error

    def finish(self) -> None:
        """Wait for the end, and raise what the writing raised."""
        self.join()
        if self._error is not None:
            raise self._error


def overlapped(portions: Iterable[_Portion], write: Callable[[_Portion], None]) -> None:
    """Call *write* for each of *portions*, in order, one at a time, while the next one is made in this thread.

    What either raises is raised, when nothing is being written any more; what was made meanwhile is not written.
    """
    writing: _Write[_Portion] | None = None
    try:
        for portion in portions:
            if writing is not None:
                writing.finish()
            writing = _Write(write, portion)
    except BaseException:
        if writing is not None:
            writing.join()
        raise
    if writing is not None:
        writing.finish()
