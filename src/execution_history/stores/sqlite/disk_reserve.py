"""A little space that is kept for the day on which the disk is full, so that deleting still works and makes room."""

import contextlib
import os
from pathlib import Path
from typing import Final

_FILE: Final = ".reserve"
_BYTES: Final = 1024 * 1024
_PLENTY: Final = 8
_CHUNK: Final = bytes(64 * 1024)


class Reserve:
    """One file that is given up when a deletion finds the disk full, and made again when there is space.

    A transaction that deletes is written to SQLite's log before it gives anything back (sqlite.org/wal.html).

    Args:
        folder: where the file lies.
        size: its bytes.
    """

    def __init__(self, folder: Path, size: int = _BYTES) -> None:
        self._path = folder / _FILE
        self._size = size
        self._is_made = False

    def make_early(self) -> None:
        """Set the space aside before anything is written, where there is plenty. Never raises."""
        with contextlib.suppress(OSError, AttributeError):  # Windows has no statvfs: idle time comes soon enough
            space = os.statvfs(self._path.parent)
            if space.f_bavail * space.f_frsize >= _PLENTY * self._size:
                self.make()

    def make(self) -> None:
        """Set the space aside, as far as there is any; costs nothing once that is done."""
        if self._is_made:
            return
        self._is_made = True  # a disk that has no space for it is not asked again and again
        with contextlib.suppress(OSError):
            if self._path.stat().st_size >= self._size:
                return
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                for _ in range(0, self._size, len(_CHUNK)):
                    file.write(_CHUNK)  # a hole would take no space
        except OSError:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

    def release(self) -> bool:
        """Give the space back; return whether there was any."""
        try:
            self._path.unlink()
        except OSError:
            return False
        self._is_made = False
        return True
