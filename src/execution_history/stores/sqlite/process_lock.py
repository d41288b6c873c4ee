"""One lock on the folder, so that several processes write into it one after the other.

SQLite's own lock is enough for the database, but the JSON files are edited after its commit, in the order of the
commits. The operating system releases the lock of a process that dies (flock(2)).
"""

import os
import sys
import time
from pathlib import Path
from typing import Final

from execution_history.errors import StoreBusy

WAIT_SECONDS: Final = 30.0
"""How long a writer waits for other processes before the caller gets :class:`StoreBusy`."""

_FIRST_PAUSE: Final = 0.000_2
_LONGEST_PAUSE: Final = 0.005

if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            os.lseek(descriptor, 0, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


class ProcessLock:
    """Held by one process at a time; not re-entrant, and not for several threads at once.

    Args:
        path: the lock file, made when it is missing, never deleted.
        wait_seconds: how long :meth:`acquire` waits for other processes.
    """

    def __init__(self, path: Path, wait_seconds: float = WAIT_SECONDS) -> None:
        self._wait_seconds = wait_seconds
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)

    def acquire(self, wait_seconds: float | None = None) -> None:
        """Take the lock.

        Args:
            wait_seconds: how long to wait for it; by default as long as the constructor's argument.

        Raises:
            StoreBusy: another process held it for that long.
        """
        if self.try_acquire():
            return
        if wait_seconds is None:
            wait_seconds = self._wait_seconds
        deadline, pause = time.monotonic() + wait_seconds, _FIRST_PAUSE
        while not self.try_acquire():
            if time.monotonic() > deadline:
                raise StoreBusy(
                    "Another process has been writing this history for %(wait_seconds)s seconds: find "
                    "it, or try again.",
                    wait_seconds=f"{wait_seconds:.0f}",
                )
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    def try_acquire(self) -> bool:
        """Take the lock if no process holds it; return whether it was taken."""
        return _try_lock(self._descriptor)

    def release(self) -> None:
        """Release the lock."""
        _unlock(self._descriptor)

    def close(self) -> None:
        """Close the file, which releases a lock that is held."""
        os.close(self._descriptor)
