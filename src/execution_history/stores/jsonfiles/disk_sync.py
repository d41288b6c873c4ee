"""Bringing bytes to a file, all of them, and large files to the disk in slices.

In slices, so that nobody else's small write waits behind all of a large file.
"""

import errno
import mmap
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from execution_history.errors import StoreError

SLICE: Final = 4 * 1024 * 1024
"""As many bytes are written to the disk in some milliseconds."""

_MOST_SYNCED: Final = 500
_SPACES: Final = b" " * (256 * 1024)
_MOST_PIECES: Final = 1_024  # limits.h of POSIX systems: IOV_MAX


def sync(descriptor: int, slice_size: int = SLICE) -> None:
    """Have a file on the disk, in slices of *slice_size* bytes.

    Raises:
        OSError: it could not be written.
    """
    size = os.fstat(descriptor).st_size
    if size > slice_size and hasattr(mmap, "PROT_READ"):
        # Of all calls that Python has, only this one takes a range; nothing is read by it.
        with mmap.mmap(descriptor, size, mmap.MAP_SHARED, mmap.PROT_READ) as mapped:
            for begin in range(0, size, slice_size):
                mapped.flush(begin, min(slice_size, size - begin))
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


def read_all(descriptor: int, size: int, offset: int) -> bytes:
    """Return *size* bytes from *offset*, fewer where the file ends, in as many reads as it takes (pread(2)).

    Raises:
        OSError: they could not be read.
    """
    data = os.pread(descriptor, size, offset)
    while len(data) < size and (more := os.pread(descriptor, size - len(data), offset + len(data))):
        data += more
    return data


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


def write_between(descriptor: int, offset: int, before: int, data: bytes, after: int) -> None:
    """Write *before* spaces, *data* and *after* more spaces at *offset*: at once, where the system can.

    Spaces in the place of a record of many megabytes are not gathered in memory first.

    Raises:
        OSError: not all of it could be written.
    """
    if before + after <= len(_SPACES) or not hasattr(os, "pwritev"):
        write_all(descriptor, b" " * before + data + b" " * after, offset)
        return
    pieces = [*_spaces(before), data, *_spaces(after)]
    written = os.pwritev(descriptor, pieces, offset) if len(pieces) <= _MOST_PIECES else 0
    if written < before + len(data) + after:
        write_all(descriptor, b"".join(pieces)[written:], offset + written)


def _spaces(count: int) -> list[bytes]:
    return [*(_SPACES,) * (count // len(_SPACES)), _SPACES[: count % len(_SPACES)]]


class Unsynced:
    """Remembers files by their workflows, and brings them to the disk; for several threads.

    Args:
        path_of: the file of a workflow.
        explain: gives what an error of the disk means for the user of the folder.
    """

    def __init__(self, path_of: Callable[[str], Path], explain: Callable[[BaseException], StoreError]) -> None:
        self._explain = explain
        self._path_of = path_of
        self._workflow_ids: set[str] = set()

    @property
    def workflow_ids(self) -> list[str]:
        """The workflows whose files are meant."""
        return list(self._workflow_ids)

    def add(self, workflow_id: str) -> None:
        """Note that the file of a workflow was written."""
        self._workflow_ids.add(workflow_id)

    def sync(self) -> None:
        """Have these files on the disk.

        Raises:
            StoreError: some could not be brought there, and are tried again with the next call.
        """
        if len(self._workflow_ids) > _MOST_SYNCED and hasattr(os, "sync"):
            self._workflow_ids.clear()
            os.sync()
        failure: BaseException | None = None
        for workflow_id in self.workflow_ids:
            self._workflow_ids.discard(workflow_id)  # before, as it may be written again meanwhile
            try:
                sync_file(self._path_of(workflow_id))
            except FileNotFoundError:
                pass  # its workflow is gone, or the next commit makes it anew
            except BaseException as error:  # noqa: BLE001 - the others are brought to the disk all the same
                failure = error
                self._workflow_ids.add(workflow_id)
        if failure is not None:
            raise self._explain(failure) from failure
