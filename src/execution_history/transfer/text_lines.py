"""The lines of a text with their ends, of a file of any kind: long ones are passed over, blank ones cost nothing."""

import codecs
import re
from collections.abc import Callable, Iterator
from typing import Final

from execution_history.stores.foreign_files import Readable, pieces_of

_BREAKS: Final = re.compile(r"[\r\n]*+")
_BREAK: Final = re.compile(r"\r\n?|\n")
_LINE_FEED: Final = re.compile(r"\n")


class TextLines:
    """Each line of *stream*, in UTF-8 or not, or ``None`` where one has more than *longest* characters.

    Args:
        stream: read once.
        longest: without the line break.
        only_line_feeds: whether a carriage return alone is part of a line.

    Attributes:
        number: of the last line, from 1.
        length: how many characters it has, with its end.
        size: how many bytes have been read.
        seen: called with every part of a line, those of long ones too.
    """

    def __init__(self, stream: Readable, longest: int, *, only_line_feeds: bool) -> None:
        self.seen: Callable[[str], None] = _not_seen
        self.number = self.length = self.size = 0
        self._pieces = pieces_of(stream)
        self._longest = longest
        self._break = _LINE_FEED if only_line_feeds else _BREAK
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
        self._text = self._held = ""
        self._at = 0

    def __iter__(self) -> Iterator[str | None]:
        return self

    def __next__(self) -> str | None:
        """Return the next line.

        Raises:
            OSError: the file cannot be read.
        """
        parts: list[str] = []
        self.length = 0
        found = None
        while found is None and (self._at < len(self._text) or self._read_on()):
            found = self._break.search(self._text, self._at)
            end = len(self._text) if found is None else found.end()
            part = self._text[self._at : end]
            self._at = end
            self.seen(part)
            self.length += len(part)
            if self.length > self._longest + len("\r\n"):
                parts.clear()
            else:
                parts.append(part)
        if not self.length:
            raise StopIteration
        self.number += 1
        line = "".join(parts)
        return None if not parts or len(line.rstrip("\r\n")) > self._longest else line

    def pass_blanks(self) -> None:
        """Pass over the line breaks that come next, as if they were none."""
        while self._at < len(self._text) or self._read_on():
            found = _BREAKS.match(self._text, self._at)
            end = self._at if found is None else found.end()
            returns, feeds = self._text.count("\r", self._at, end), self._text.count("\n", self._at, end)
            self.number += returns + feeds - self._text.count("\r\n", self._at, end)
            self._at = end
            if end < len(self._text):
                return

    def _read_on(self) -> bool:
        """Have the next piece; whether there is one. A carriage return waits for what comes behind it."""
        while True:
            piece = next(self._pieces, None)
            self.size += len(piece or b"")
            text = self._held + self._decoder.decode(piece or b"", final=piece is None)
            self._held = "\r" if piece is not None and text.endswith("\r") else ""
            self._text, self._at = text.removesuffix(self._held), 0
            if self._text or piece is None:
                return bool(self._text)


def _not_seen(part: str) -> None:
    """Nobody looks at the parts of lines."""
