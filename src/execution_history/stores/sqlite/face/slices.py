"""Bringing large files to the disk in slices, so that nobody else's small write waits behind all of it."""

import mmap
import os
from typing import Final

SLICE: Final = 4 * 1024 * 1024
"""As many bytes are written to the disk in some milliseconds."""


def sync(descriptor: int) -> None:
    """Have a file on the disk.

    Raises:
        OSError: it could not be written.
    """
    size = os.fstat(descriptor).st_size
    if size > SLICE and hasattr(mmap, "PROT_READ"):
        # Of all calls that Python has, only this one takes a range; nothing is read by it.
        with mmap.mmap(descriptor, size, mmap.MAP_SHARED, mmap.PROT_READ) as mapped:
            for begin in range(0, size, SLICE):
                mapped.flush(begin, min(SLICE, size - begin))
    os.fsync(descriptor)
