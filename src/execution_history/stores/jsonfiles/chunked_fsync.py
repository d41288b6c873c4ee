"""Bringing bytes to a file, all of them, and large files to the disk in slices.

In slices, so that nobody else's small write waits behind all of a large file.
"""

import errno
import mmap
import os
from pathlib import Path
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


def sync_file(path: Path) -> None:
    """Have the file *path* on the disk.

    Raises:
        OSError: it is not there, or could not be written.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes, offset: int) -> None:
    """Write *data* at *offset*, in as many writes as the system takes for it (a short one is no error, pwrite(2)).

    Raises:
        OSError: not all of it could be written.
    """
    written = os.pwrite(descriptor, data, offset)
    while written < len(data):
        count = os.pwrite(descriptor, data[written:], offset + written)
        if not count:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        written += count
