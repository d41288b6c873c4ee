"""Reading a file line by line, whatever is in it: a line that is too long is passed over, not read into memory."""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from execution_history.errors import ImportFailed, quoted
from execution_history.stores.foreign_files import NotAFile, Readable, open_regular, pieces_of

_MARK: Final = b"\xef\xbb\xbf"
_BLANK: Final = re.compile(rb"\s*+")


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its end, ``None`` when it was too long; ``is_ended`` says that a line break followed."""

    number: int
    content: bytes | None
    is_ended: bool


def open_file(path: Path) -> io.BufferedReader:
    """Open what is to be imported.

    Raises:
        ImportFailed: it is no file.
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


class LineReader:
    """The lines of *stream* that are not blank, numbered from 1, without blanks before them.

    Args:
        stream: read once.
        longest: a line of more bytes is too long.

    Attributes:
        size: how many bytes have been read.
    """

    def __init__(self, stream: Readable, longest: int) -> None:
        self.size = 0
        self._stream = stream
        self._longest = longest
        self._number = 1
        self._held: list[bytes] = []
        self._length = 0

    def __iter__(self) -> Iterator[Line]:
        """Every line, without a byte order mark before the first and CR before the line break.

        Raises:
            OSError: the file cannot be read.
        """
        for piece in pieces_of(self._stream):
            at = len(_MARK) if not self.size and piece.startswith(_MARK) else 0
            self.size += len(piece)
            while at < len(piece):
                if not self._length:
                    at = self._pass_blanks(piece, at)
                end = piece.find(b"\n", at)
                self._hold(piece[at : end if end >= 0 else None])
                if end < 0:
                    break
                yield self._line(is_ended=True)
                at = end + 1
        if self._length:
            yield self._line(is_ended=False)

    def _pass_blanks(self, piece: bytes, at: int) -> int:
        """Where the next line begins that is not blank: millions of blank ones are no more than one step."""
        found = _BLANK.match(piece, at)
        end = at if found is None else found.end()
        self._number += piece.count(b"\n", at, end)
        return end

    def _hold(self, part: bytes) -> None:
        self._length += len(part)
        if self._length > self._longest + 1:  # and a CR
            self._held.clear()
        elif part:
            self._held.append(part)

    def _line(self, *, is_ended: bool) -> Line:
        content = b"".join(self._held).removesuffix(b"\r") if is_ended else b"".join(self._held)
        is_too_long = self._length > self._longest + 1 or len(content) > self._longest
        line = Line(self._number, None if is_too_long else content, is_ended)
        self._held.clear()
        self._length = 0
        self._number += 1
        return line
