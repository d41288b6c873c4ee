"""One JSON file, open for reading: records stand newest first, so one is found by time with a few small reads."""

import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Final

import orjson

from execution_history.stores.jsonfiles.blanks import Blanks
from execution_history.stores.jsonfiles.disk_sync import read_all
from execution_history.stores.jsonfiles.edits import Span
from execution_history.stores.jsonfiles.file_format import (
    CLOSING,
    FIRST_LINES,
    FOOTER,
    HEADER_LIMIT,
    RECORD_START,
    create_time_at,
    parse_header,
    record_key,
    stamp,
)
from execution_history.stores.jsonfiles.file_sizes import SIZES, FileSizes
from execution_history.stores.mirror_port import FileState

_MOST_READ: Final = 4 * 1024 * 1024
_MOST_SEARCHED: Final = 256 * 1024
"""Bytes of one read of a search: what it reads next is put in the same memory, still in the processor's cache."""

_RECORD_ID: Final = re.compile(re.escape(RECORD_START) + rb'("(?:[^"\\\n]|\\.)*"),\n')
_FLAGS: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class NotOurs(Exception):  # noqa: N818 - a finding, not a failure
    """The file is not a JSON file of ours, or somebody has touched it."""


class JSONFileReader:
    """A file whose header has been read.

    Args:
        path: the file.
        sizes: see :class:`FileSizes`.
        mode: how it is opened.

    Raises:
        NotOurs: it does not begin like a JSON file.
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path, sizes: FileSizes = SIZES, mode: int = os.O_RDONLY) -> None:
        self.path, self._name = path, str(path)
        self.sizes = sizes
        self.blanks, self.insides = Blanks(), Blanks()
        self._is_complete = True
        self._fd = os.open(path, _FLAGS | mode)
        try:
            self._read_header()
        except BaseException:
            os.close(self._fd)
            raise

    def _read_header(self) -> None:
        status = os.fstat(self._fd)
        self._inode, self.size = status.st_ino, status.st_size
        parsed = parse_header(read_all(self._fd, HEADER_LIMIT, 0))
        if parsed is None or not parsed[1] <= parsed[0].newest_at <= self.size:
            raise NotOurs(self._name)
        self.header, self.body_start = parsed
        self._stamp = stamp(self.header.state)

    def close(self) -> None:
        """Let go of the file; a second call does nothing."""
        descriptor, self._fd = self._fd, -1  # whoever still holds this object must not read another file
        if descriptor >= 0:
            os.close(descriptor)

    def is_untouched(self, state: FileState) -> bool:
        """Return whether it is still the file under its name and carries the time we gave it in this state."""
        try:
            status = os.stat(self._name)  # noqa: PTH116 - once for every edit, and a Path object costs as much as the call
        except FileNotFoundError:
            return False
        expected = self._stamp if state == self.header.state else stamp(state, complete=self._is_complete)
        return status.st_mtime_ns == expected and status.st_ino == self._inode

    def is_current(self, state: FileState) -> bool:
        """Return whether it is of the revision of *state*, and untouched in that."""
        return self.header.state.revision == state.revision and self.is_untouched(state)

    def read(self, begin: int, end: int) -> bytes:
        """Return the bytes from offset *begin* to *end*, fewer where the file ends before."""
        return read_all(self._fd, max(0, end - begin), begin)

    def find(self, text: bytes, begin: int, end: int) -> int:
        """Return the offset of the first *text*, which has a line break, between two offsets; -1 for none."""
        reach, lead = self.sizes.near, text.index(b"\n")
        while (begin := self.blanks.past(begin)) < end:
            piece = self.read(begin, min(begin + reach + len(text) - 1, end))
            # A large value is one line, and one byte is found several times as fast as a text.
            line = piece.find(b"\n")
            at = -1 if line < 0 else piece.find(text, max(0, line - lead))
            if at >= 0:
                return begin + at
            self._note_blank(piece, begin)
            begin, reach = begin + reach, min(reach * 4, _MOST_SEARCHED)
        return -1

    def next_record(self, begin: int, end: int) -> int:
        """Return where the first record begins between two offsets; -1 where none does.

        The inside of a very large record is read through once: a bisection would fall into it again and again.
        """
        at = self.insides.past(begin)
        while True:
            known = self.insides.following(at)
            stop = end if known is None else min(end, known + len(RECORD_START) - 1)
            found = self.find(RECORD_START, at, stop)
            if found >= 0 or known is None or stop == end:
                break
            at = self.insides.past(known)
        inside = end - len(RECORD_START) if found < 0 else found  # one may begin shortly before the end
        if inside - begin > self.sizes.reach:
            self.insides.add(begin, inside)
        return found

    def rfind(self, text: bytes, begin: int, end: int) -> int:
        """Return the offset of the last *text* between two offsets; -1 where there is none."""
        reach = self.sizes.near
        while begin < (end := self.blanks.before(end)):
            start = max(begin, end - reach - len(text) + 1)
            at = self.read(start, end).rfind(text)
            if at >= 0:
                return start + at
            end, reach = end - reach, min(reach * 4, _MOST_READ)
        return -1

    def _note_blank(self, piece: bytes, at: int) -> None:
        if piece.isspace() and not piece.strip(b" "):
            self.blanks.add(at, at + len(piece))

    def newest_time(self) -> int | None:
        """Return the ``create_time`` of the newest record; ``None`` when there is none."""
        at = self.header.newest_at
        first = self.read(at, at + FIRST_LINES)
        return None if first == FOOTER else create_time_at(first, 0) or self._time_at(at)

    def first_not_newer(self, create_time: int, low: int | None = None, end: int | None = None) -> int:
        """Return the offset of the first record whose time is at most *create_time*, or *end*, that of the footer.

        This is a bisection over the file: O(log size) small reads.

        Args:
            create_time: the time.
            low: an offset to begin at, where all records before it are newer.
            end: an offset to end at, where no record behind it is newer.

        Raises:
            NotOurs: a record has no time.
        """
        end = self.size - len(FOOTER) if end is None else end
        low, high = self.header.newest_at if low is None else low, end
        while high - low > self.sizes.near:
            middle = (low + high) // 2
            found = self.next_record(middle, end)
            if found < 0 or self._time_at(found) <= create_time:
                high = middle
            else:
                low = found + 1
        found = self.next_record(low, end)
        while found >= 0 and self._time_at(found) > create_time:
            found = self.next_record(found + 1, end)
        return end if found < 0 else found

    def locate(self, execute_id: str, create_time: int) -> Span | None:
        """Return where the record with this id and time stands; ``None`` where there is none.

        Raises:
            NotOurs: a record has no time.
        """
        key, newest_at = record_key(execute_id), self.header.newest_at
        near, reach = newest_at + self.sizes.near, newest_at + self.sizes.reach
        start = self.find(key, newest_at, min(near, self.size))
        if start < 0 and near < self.size:
            # Retention deletes the oldest, which stand at the end.
            oldest = self.find(RECORD_START, self.size - self.sizes.near, self.size)
            if oldest >= 0 and create_time <= self._time_at(oldest):
                start = self.find(key, oldest, self.size)
        if start < 0:
            start = self.find(key, max(newest_at, near - len(key)), min(reach, self.size))
        if start < 0:
            first = self.first_not_newer(create_time)
            start = self.find(key, first, min(first + self.sizes.near, self.size))
            if start < 0:  # many may have begun in that millisecond
                start = self.find(key, first, self.first_not_newer(create_time - 1))
        return None if start < 0 else self._span_at(start)

    def _span_at(self, start: int) -> Span | None:
        """Return where the record that begins at *start* stands; ``None`` where it has no end."""
        end = self.find(CLOSING, start, min(start + self.sizes.near, self.size))
        if end < 0:
            following = self.next_record(start + 1, self.size)
            end = self.rfind(CLOSING, start, self.size if following < 0 else following)
        return None if end < 0 else Span(start, end + len(CLOSING))

    def times_of(self, execute_ids: Collection[str]) -> dict[str, int]:
        """Return the ``create_time`` of those of these records that are here; for this the whole file may be read.

        Raises:
            NotOurs: one of them has no time.
            OSError: the file cannot be read.
        """
        wanted = {orjson.dumps(execute_id): execute_id for execute_id in execute_ids}
        found: dict[str, int] = {}
        at = self.header.newest_at
        while at < self.size and len(found) < len(wanted):
            # What begins in a piece ends in it, unless its id is very long: then the next piece begins with it.
            piece = self.read(at, at + _MOST_READ)
            end = 0
            for match in _RECORD_ID.finditer(piece):
                end = match.end()
                if match[1] in wanted:
                    found[wanted[match[1]]] = self._time_at(at + match.start())
            at += max(end, len(piece) - HEADER_LIMIT, 1)
        return found

    def _time_at(self, start: int) -> int:
        for length in (FIRST_LINES, HEADER_LIMIT):  # ids may be long
            time = create_time_at(self.read(start, start + length), 0)
            if time is not None:
                return time
        raise NotOurs(f"{self._name} has a record without a time")
