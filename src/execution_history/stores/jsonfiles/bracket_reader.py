"""A reader that steps through a JSON text from bracket to bracket, outside of its strings, without parsing the rest.

Every byte is scanned once, in pieces, so that a text of any size and kind takes no more memory than what is kept.
"""

import re
from collections.abc import Iterable
from typing import Final

from execution_history.stores.foreign_files import PIECE

OPENING: Final = b"{["
DEEPEST: Final = 1_000_000
"""Values that are nested more deeply are not followed to their end."""

_QUOTE: Final = ord('"')
_IN_STRING: Final = r'[^"\\]*+(?:\\.[^"\\]*+)*+'
# No possessive group around strings: Python before 3.11.5 keeps what such a group's last, failing round has passed.
# Other groups remember each round, some 200 bytes; so there are at most a thousand.
PLAIN: Final = rf'(?>[^"{{}}\[\]]*+(?:"{_IN_STRING}"[^"{{}}\[\]]*+){{0,1000}})'
"""What has no bracket outside of its strings, as a pattern for :data:`re.DOTALL`; at most a thousand strings."""

# They stop only at a bracket, at a string, at the end, or where a string or an escape continues in the next piece.
_TO_BRACKET: Final = re.compile(PLAIN.encode(), re.DOTALL)
_TO_NESTED: Final = re.compile(rf"{PLAIN}(?:[{{\[]{PLAIN}[}}\]]{PLAIN}){{0,1000}}".encode(), re.DOTALL)
_INSIDE: Final = re.compile(_IN_STRING.encode(), re.DOTALL)
_BLANKS: Final = b" \t\r\n"
_BLANK_ENDS: Final = (b" ", b"\t", b"\r", b"\n")
_BLANK: Final = re.compile(rb"[ \t\r\n]*+")
_MARKS: Final = b'{}[],:"'
# Blanks beside a mark or a quote are removed; those between two other tokens stay, so that 1 2 does not become 12.
_SPACED: Final = re.compile(
    rb'((?:"' + _IN_STRING.encode() + rb'(?:"|\Z)|[^" \t\r\n]++){1,1000})'
    rb'(?:(?<=[{}\[\],:"])[ \t\r\n]++|[ \t\r\n]++(?=[{}\[\],:"]))?|(?<![ \t\r\n])[ \t\r\n]++(?=[{}\[\],:"])',
    re.DOTALL,
)


class BracketReader:
    """Steps through a text.

    What is stepped over is kept until it is taken, without blanks at its beginning and, where it is long, without those
    outside of strings: an indented text may have a hundred times the bytes that it has without them.

    Args:
        pieces: the text.
        limit: nothing is kept of what has more bytes, blanks outside of strings not counted.
        long: blanks are removed from what has so many more bytes.
    """

    def __init__(self, pieces: Iterable[bytes], limit: int, long: int = PIECE) -> None:
        self._pieces = iter(pieces)
        self._limit = limit
        self._long = long
        self._data = bytearray()
        self._base = self._kept = self._at = 0
        self._is_inside = self._was_inside = False
        self._dense = 0  # up to here blanks are removed from what is kept
        self._is_too_long = False

    @property
    def offset(self) -> int:
        """The place in the text where the next step begins."""
        return self._base + self._at

    def step(self) -> int:
        """Step past the next bracket and return it; 0 at the end of the text."""
        return self._step(_TO_BRACKET)

    def close(self) -> int:
        """Step past the bracket that closes the one that was found last.

        Returns the depth of nested brackets, or one less; 0 when there is no such bracket, because the text ends before
        or is nested too deeply.
        """
        depth = deepest = 1
        while depth:
            found = self._step(_TO_NESTED)
            if not found or depth > DEEPEST:
                return 0
            depth += 1 if found in OPENING else -1
            deepest = max(deepest, depth)
        return deepest

    def _step(self, passed_over: "re.Pattern[bytes]") -> int:
        data = self._data
        while True:
            if self._kept == self._at and not self._is_inside:
                self._kept = self._at = self._dense = _end(_BLANK, data, self._at)
            at = self._at = _end(_INSIDE if self._is_inside else passed_over, data, self._at)
            found = data[at] if at < len(data) else 0
            if not found or (self._is_inside and found != _QUOTE):
                if not self._read_on():
                    return 0
                continue
            self._at = at + 1
            if found != _QUOTE:
                return found
            self._is_inside = not self._is_inside

    def take(self, *, leave: int = 0) -> bytes | None:
        """Return what was stepped over since the last call, without the last *leave* bytes, which stay.

        ``None`` stands for a text that exceeds the limit.
        """
        if self._at - self._kept - leave > self._limit:
            self._take_out_blanks(self._at - leave)
        end = self._at - leave
        is_too_long = self._is_too_long or end - self._kept > self._limit
        text = None if is_too_long else bytes(self._data[self._kept : end])
        self._kept = self._dense = end
        self._is_too_long = self._was_inside = False
        return text

    def _read_on(self) -> bool:
        """Load the next piece; return whether there is one."""
        piece = next(self._pieces, None)
        if piece is None:
            self._at = len(self._data)
            return False
        if self._at - self._dense > self._long or self._at - self._kept > self._limit:
            self._take_out_blanks(self._at)
        if self._at - self._kept > self._limit:
            self._is_too_long, self._kept, self._dense = True, self._at, self._at
            self._was_inside = self._is_inside
        del self._data[: self._kept]
        self._base += self._kept
        self._at -= self._kept
        self._dense -= self._kept
        self._kept = 0
        self._data += piece
        return True

    def _take_out_blanks(self, end: int) -> None:
        """Remove the blanks outside of strings from what is kept before *end*, where that has not been done."""
        begin = self._dense
        text = bytes(self._data[begin:end])
        inside = b""
        if self._was_inside:
            found = _INSIDE.match(text)
            at = 1 + (0 if found is None else found.end())
            inside, text = text[:at], text[at:]
        elif begin > self._kept and self._data[begin - 1] in _MARKS:
            text = text.lstrip(_BLANKS)
        text = _SPACED.sub(rb"\1", text)
        blank = b""
        if not self._is_inside and text.endswith(_BLANK_ENDS):
            text, blank = text.rstrip(_BLANKS), b" "
        dense = inside + text
        self._data[begin:end] = dense + blank
        removed = end - begin - len(dense) - len(blank)
        self._base += removed
        self._at -= removed
        self._dense = begin + len(dense)
        self._was_inside = self._is_inside


def _end(pattern: "re.Pattern[bytes]", data: bytearray, at: int) -> int:
    """Return where the match of *pattern* at *at* ends; every pattern matches the empty text at least."""
    found = pattern.match(data, at)
    return at if found is None else found.end()
