"""The pages of a database with what its log has committed, read without SQLite (sqlite.org/fileformat.html)."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from execution_history.stores.jsonfiles.disk_sync import read_all
from execution_history.stores.sqlite.salvage.log import Log

_MAGIC: Final = b"SQLite format 3\x00"
_LOCK_BYTE: Final = 1 << 30
_PAGE_SIZE: Final = 4096  # of every database that this package has made
_LARGEST_PAGE: Final = 65536
_FREE: Final = 2
_HEADER: Final = 100
_MOST_PASSES: Final = 16
_SPARE_PASSES: Final = 1_000_000


class FileBytes:
    """The bytes of a file; those that the disk does not give are missing, where a map of it would end the process."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        self._size = os.fstat(self._descriptor).st_size

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def __len__(self) -> int:
        """Return its size."""
        return self._size

    def read(self, begin: int, size: int) -> bytes:
        """Return *size* bytes from offset *begin*; fewer at the end, and none where they cannot be read."""
        try:
            return read_all(self._descriptor, size, begin)
        except OSError:
            return b""

    def whole(self, piece: int = 4096) -> bytes:
        """Return all bytes, with zeros for those that cannot be read."""
        pieces = ((self.read(at, piece), min(piece, self._size - at)) for at in range(0, self._size, piece))
        return b"".join(content.ljust(size, b"\0") for content, size in pieces)


class Pages:
    """The pages of one moment: the newest that were committed.

    Args:
        database: the file; ``None`` where there is none.
        log: of its log.
        log_content: the bytes of that.

    Attributes:
        size: bytes of a page.
        usable: those of them that SQLite uses.
        count: how many pages there are.
        has_header: whether the first page begins as that of a database does.
    """

    def __init__(self, database: FileBytes | None, log: Log, log_content: bytes) -> None:
        self._database, self._log_content = database, log_content
        self._newest = {frame.page: frame.at for frame in log.committed}
        self.size = log.page_size or _PAGE_SIZE
        first = self.page(1)
        self.has_header = first[: len(_MAGIC)] == _MAGIC
        reserved = 0
        if self.has_header:
            [stated] = struct.unpack_from(">H", first, 16)
            stated = _LARGEST_PAGE if stated == 1 else stated
            if stated >= 512 and not stated & (stated - 1):  # noqa: PLR2004 - SQLite's smallest
                self.size = stated
            reserved = first[20] if first[20] <= self.size // 8 else 0
        self.usable = self.size - reserved
        self._stored = len(database or b"") // self.size
        self.count = max(self._stored, max(self._newest, default=0))
        self._overflows_left = _MOST_PASSES * (self._stored + len(self._newest)) + _SPARE_PASSES

    def page(self, number: int) -> bytes:
        """Return the content of a page; fewer bytes, or none, where it is not there."""
        at = self._newest.get(number)
        if at is not None:
            return self._log_content[at : at + self.size]
        if number <= 0 or self._database is None:
            return b""
        return self._database.read((number - 1) * self.size, self.size)

    def numbers(self) -> Iterator[int]:
        """Yield the numbers of the pages that are there: a log may name a page far behind them all."""
        yield from range(1, self._stored + 1)
        yield from sorted(number for number in self._newest if number > self._stored)

    def overflow(self, number: int) -> bytes:
        """Return the content of a page in which a row goes on; none once far more were read than there are.

        A page belongs to one row, but in a database that somebody has made up every row may go on in all pages.
        """
        self._overflows_left -= 1
        return self.page(number) if self._overflows_left >= 0 else b""

    def unused(self) -> set[int]:
        """Return the pages that hold no rows: free ones, those that map others, and that of SQLite's locks."""
        found = {_LOCK_BYTE // self.size + 1}
        first = self.page(1)
        if not self.has_header:
            return found
        [trunk, _, is_mapped] = struct.unpack_from(">II", first, 32) + struct.unpack_from(">I", first, 52)
        while 0 < trunk <= self.count and trunk not in found:
            found.add(trunk)
            page = self.page(trunk)
            if len(page) < self.size:
                break
            following, leaves = struct.unpack_from(">II", page, 0)
            if leaves <= self.usable // 4 - 2:
                found.update(struct.unpack_from(f">{leaves}I", page, 8))
            trunk = following
        if is_mapped:
            found.update(self._mapped_as_free())
        return found

    def _mapped_as_free(self) -> Iterator[int]:
        """Yield the pages that map others (section 1.8), and those that they call free."""
        each = self.usable // 5
        for number in range(2, self.count + 1, each + 1):
            if number > self._stored and number not in self._newest:
                continue
            yield number
            content = self.page(number)[: each * 5]
            yield from (number + 1 + place for place, kind in enumerate(content[::5]) if kind == _FREE)
