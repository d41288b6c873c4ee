"""A reader of the lines of any file: lines that are too long are skipped, blank ones cost nothing."""

import contextlib
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from execution_history.errors import ImportFailed, quoted
from execution_history.records.charset import BYTE_ORDER_MARK
from execution_history.stores.foreign_files import NotAFile, Readable, open_regular, pieces_of

_BLANKS: Final = re.compile(rb"\s*+")
_MARKS: Final = re.compile(rb"(?:\s|\xef\xbb\xbf)*+")
_BLANK_LINES: Final = re.compile(rb"[\r\n]*+")
_BREAK: Final = re.compile(rb"\r\n?|\n")
_LINE_FEED: Final = re.compile(rb"\n")


def open_file(path: Path) -> io.BufferedReader:
    """Open a file that is to be imported.

    Raises:
        ImportFailed: it is not a regular file.
        OSError: it cannot be opened.
    """
    try:
        return open_regular(path)
    except NotAFile:
        raise ImportFailed(
            "%(path)s is a device, a pipe or a socket, which may never end: put what it gives "
            "into a file and import that.",
            path=quoted(path),
        ) from None


@contextlib.contextmanager
def import_faults(path: Path) -> Iterator[None]:
    """Raise the operating system's errors in the block as one sentence that names *path*.

    Raises:
        ImportFailed: something could not be read.
    """
    try:
        yield
    except OSError as error:
        raise ImportFailed(
            "%(path)s cannot be imported: %(reason)s.", path=quoted(path), reason=error.strerror or error
        ) from error


class LineReader(Iterator[bytes | None]):
    """Yields each line of *stream* with its end, ``None`` for one that is too long; a byte order mark is dropped.

    Args:
        stream: read once.
        longest: a line of more bytes, its end not counted, is not read into memory.
        only_line_feeds: whether a carriage return alone is part of a line.

    Attributes:
        number: the number of the last line, from 1.
        length: its length in bytes, with its end.
        size: the number of bytes read.
        is_ended: whether a line break followed the last line.
        seen: called with every part of a line, those of long ones too.
    """

    def __init__(self, stream: Readable, longest: int, *, only_line_feeds: bool = True) -> None:
        self.seen: Callable[[bytes], object] = len
        self.number = self.length = self.size = 0
        self.is_ended = False
        self._pieces = pieces_of(stream)
        self._longest = longest
        self._only_line_feeds = only_line_feeds
        self._data = self._held = b""
        self._at = 0

    def __next__(self) -> bytes | None:
        """Return the next line.

        Raises:
            OSError: the file cannot be read.
        """
        parts: list[bytes] = []
        self.length = 0
        found = None
        while found is None and (self._at < len(self._data) or self._read_on()):
            found = (_LINE_FEED if self._only_line_feeds else _BREAK).search(self._data, self._at)
            end = len(self._data) if found is None else found.end()
            part = self._data[self._at : end]
            self._at = end
            self.seen(part)
            self.length += len(part)
            if self.length > self._longest + len(b"\r\n"):
                parts.clear()
            else:
                parts.append(part)
        if not self.length:
            raise StopIteration
        self.number += 1
        self.is_ended = found is not None
        line = b"".join(parts)
        is_too_long = not parts or len(line.rstrip(b"\r\n") if self.is_ended else line) > self._longest
        return None if is_too_long else line

    def contents(self) -> Iterator[bytes | None]:
        """Yield each line that is not blank, without the blanks before it and without its end.

        A byte order mark before any of them is read over: files that have one each were joined.

        Raises:
            OSError: the file cannot be read.
        """
        self.pass_blanks(_BLANKS)
        for line in self:
            if line is None:
                yield None
            elif content := line[_end_of_marks(line) :]:
                yield content if not self.is_ended else content.removesuffix(b"\n").removesuffix(b"\r")
            self.pass_blanks(_BLANKS)

    def pass_blanks(self, blanks: "re.Pattern[bytes]" = _BLANK_LINES) -> None:
        """Skip the line breaks that come next, or other *blanks*: millions of them are one step."""
        while self._at < len(self._data) or self._read_on():
            found = blanks.match(self._data, self._at)
            passed = b"" if found is None else found[0]
            self.number += passed.count(b"\n")
            if not self._only_line_feeds:
                self.number += passed.count(b"\r") - passed.count(b"\r\n")
            self._at += len(passed)
            if self._at < len(self._data):
                return

    def _read_on(self) -> bool:
        """Load the next piece and return whether there is one; a carriage return waits for what follows it."""
        while True:
            piece = next(self._pieces, None)
            read = piece or b""
            data = self._held + (read if self.size else read.removeprefix(BYTE_ORDER_MARK))
            self.size += len(read)
            self._held = b"\r" if piece is not None and data.endswith(b"\r") else b""
            self._data, self._at = data.removesuffix(self._held), 0
            if self._data or piece is None:
                return bool(self._data)


def _end_of_marks(line: bytes) -> int:
    found = _MARKS.match(line)
    return 0 if found is None else found.end()
