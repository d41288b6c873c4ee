"""Files that somebody else wrote, opened safely and read piece by piece.

Such a file may be endless, without line breaks, growing while it is read, a pipe under the name of a file, or a few
bytes of text that take gigabytes once they are parsed.
"""

import io
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, Protocol, TypeVar

_Item = TypeVar("_Item")

PIECE: Final = 256 * 1024
"""Bytes that are read at once: processing them in one call keeps other threads waiting for a moment only."""

_HEAD: Final = 64 * 1024
_NOT_WAITING: Final = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NO_LINKS: Final = getattr(os, "O_NOFOLLOW", 0)


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int = -1, /) -> bytes:
        """Return at most *size* bytes, and none at the end."""


class NotAFile(OSError):  # noqa: N818 - named for what was found
    """The path is a folder, a link, a device, a pipe or a socket."""


def open_regular(path: Path, *, follow: bool = True) -> io.BufferedReader:
    """Open a regular file for reading: a pipe would wait for a writer, and a device may never end.

    Args:
        path: the file.
        follow: whether a link to a file is accepted.

    Raises:
        NotAFile: it is something else.
        OSError: it cannot be opened.
    """
    _check_regular(path.stat() if follow else path.lstat())
    descriptor = os.open(path, os.O_RDONLY | _NOT_WAITING | (0 if follow else _NO_LINKS))
    try:
        # Again, as something else may have taken the file's place just now.
        _check_regular(os.fstat(descriptor))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _check_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = "folder" if stat.S_ISDIR(status.st_mode) else "link" if stat.S_ISLNK(status.st_mode) else None
        raise NotAFile(f"it is {f'a {kind}' if kind else 'a device, a pipe or a socket'}, not a file")


def begins_like_history(path: Path) -> bool:
    """Return whether a JSON file begins like one that we or an older deployment wrote.

    Raises:
        OSError: it cannot be read.
    """
    try:
        with open_regular(path) as content:
            head = content.read(_HEAD)
    except NotAFile:
        return False
    return any(key in head for key in (b'"histories"', b'"execute_id"'))


def pieces_of(stream: Readable, size: int = PIECE) -> Iterator[bytes]:
    """Yield the content of *stream* in pieces of at most *size* bytes; of a file no more than it had at the beginning.

    Raises:
        OSError: it cannot be read on.
    """
    left = _size_of(stream)
    while left is None or left > 0:
        piece = stream.read(size if left is None else min(size, left))
        if not piece:
            return
        left = None if left is None else left - len(piece)
        yield piece


def _size_of(stream: Readable) -> int | None:
    if not isinstance(stream, io.BufferedReader):
        return None  # not a file of the system, but a member of a zip file
    return os.fstat(stream.fileno()).st_size


def in_groups(
    items: Iterable[_Item], limit: int, size_limit: int, size_of: Callable[[_Item], int]
) -> Iterator[list[_Item]]:
    """Yield *items* in lists of at most *limit* items and about *size_limit* bytes.

    Args:
        items: read no further than the current list.
        limit: the largest number of items of a list.
        size_limit: a list ends with the item that reaches so many bytes.
        size_of: returns the bytes of an item.
    """
    group: list[_Item] = []
    size = 0
    for item in items:
        group.append(item)
        size += size_of(item)
        if len(group) >= limit or size >= size_limit:
            yield group
            group, size = [], 0
    if group:
        yield group
