"""Salvage of records from a damaged text: everything that begins like a record is parsed from there.

Where parsing stops, the search continues. A beginning before that place is inside the broken record, so it is no record
of its own, and trying it would parse the same characters again, for each of them. A beginning with the indentation of
the broken record is a record of its own: a piece was lost between the two.
"""

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from execution_history.records.adoption import note_charset
from execution_history.records.charset import ESCAPES
from execution_history.records.json_text import TOLERANT, read_json
from execution_history.records.reading_limits import ReadingLimits
from execution_history.records.record import KEYS
from execution_history.stores.jsonfiles.bracket_reader import PLAIN

_LIKE_A_RECORD: Final = re.compile(
    rf'(?:\n(?P<indent> {{0,64}}))?\{{\s{{0,64}}+"(?P<key>{"|".join(KEYS)})"\s{{0,64}}+:'
)
_LONGEST_BEGINNING: Final = 256
# Where one string has lost its last quote, the first of the next record's ends it.
_BEGINNING_OF_STRING: Final = re.compile(r'\{\s{0,64}+"\s{0,64}+\Z')
_HISTORIES: Final = '"histories"'
_BRACKET: Final = re.compile(r"[{}\[\]]")
_BRACKETS: Final = ("{", "}", "[", "]")
_PLAIN: Final = re.compile(PLAIN, re.DOTALL)
_BROKEN_BYTE: Final = re.compile("[\udc80-\udcff]")  # as the error handler surrogateescape writes it
_SHALLOW: Final = 300
_LONGEST_TOKEN: Final = 64
_LEAST_TEXT: Final = 256 * 1024
_LEAST_TRIED: Final = 4 * 1024
_GROWTH: Final = 8
_FACTOR: Final = 8
_FREE: Final = 64 * 1024 * 1024


class Salvage:
    """Looks for records in a text.

    Args:
        pieces: the text, in UTF-8 or not quite.
        limits: what reading it may take.

    Attributes:
        workflow_id: the ``workflow_id`` of the last object around a list of records.
        parsed: the number of characters parsed, some of them more than once.
    """

    def __init__(self, pieces: Iterable[bytes], limits: ReadingLimits) -> None:
        self.workflow_id: object = None
        self.parsed = 0
        self._pieces = iter(pieces)
        self._limits = limits
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
        self._text = ""
        self._at = 0
        self._read = 0
        self._is_all = False
        self._sibling: str | None = None

    def objects(self) -> Iterator[dict[str, Any] | str]:
        """Yield every object that has the id of a run, and why others that begin like a record are not read."""
        while True:
            candidate = _LIKE_A_RECORD.search(self._text, self._at)
            if candidate is None:
                self._at = max(self._at, len(self._text) - _LONGEST_BEGINNING)
                if not self._read_on(_LEAST_TEXT):
                    return
                continue
            indent = candidate["indent"]
            self._sibling = None if indent is None else f"\n{indent}{{"
            self._at = candidate.start() if indent is None else candidate.end("indent")
            beginning = candidate.end() - self._at
            inside = self._list_inside() if candidate["key"] == "workflow_id" else 0
            if inside:
                self._at += inside
            else:
                yield from self._try(beginning)

    def _try(self, beginning: int) -> Iterator[dict[str, Any] | str]:
        """Parse the object at the current place, of which *beginning* characters are known, and step past it."""
        length = _LEAST_TRIED
        while True:
            # A short text first: an error counts the lines before it.
            text = self._next(length)
            try:
                found, end = TOLERANT.raw_decode(text)
            except json.JSONDecodeError as error:
                if len(text) == length and _is_cut(error, length):
                    if length <= self._limits.record:
                        length = min(length * _GROWTH, self._limits.record + 1)
                        continue
                    self._give_up(text, beginning, len(text))
                    yield self._limits.too_large
                    return
                between = _BEGINNING_OF_STRING.search(text, max(0, error.pos - _LONGEST_BEGINNING), error.pos)
                self._give_up(text, beginning, error.pos, None if between is None else between.start())
            except RecursionError:
                # Too many levels: this error has no position.
                self._give_up(text, beginning, _shallow_end(text))
            else:
                size = end
                self.parsed += end
                if "histories" in found and "execute_id" not in found and self._may_parse_again():
                    self.workflow_id, end = found.get("workflow_id"), beginning
                self._at += end
                if "execute_id" in found:
                    yield self._limits.fault_of_record(text[:size]) or _with_escapes(found, text[:size])
            return

    def _give_up(self, text: str, beginning: int, end: int, before: int | None = None) -> None:
        """Step to the *end* of what was parsed, or *before* it, or to the next record with the same indentation.

        Once too much has been parsed again, step to the end.
        """
        self.parsed += end
        if self._may_parse_again():
            sibling = text.find(self._sibling, beginning, end) if self._sibling else -1
            end = sibling if sibling >= 0 else end if before is None else before
        self._at += max(beginning, end)

    def _may_parse_again(self) -> bool:
        return self.parsed < _FACTOR * self._read + _FREE

    def _list_inside(self) -> int:
        """Return the distance to the list of records in the object at the current place; 0 where it has none."""
        text = self._next(_LEAST_TRIED)
        at = text.find(_HISTORIES)
        if at < 0 or _BRACKET.search(text, 1, at):
            return 0
        try:
            self.workflow_id = read_json(_escaped(text[:at].rstrip().removesuffix(",")) + "}").get("workflow_id")
        except ValueError:
            self.workflow_id = None
        return at

    def _next(self, length: int) -> str:
        """Return the next *length* characters, fewer at the end."""
        if len(self._text) - self._at < length:
            self._read_on(length)
        return self._text[self._at : self._at + length]

    def _read_on(self, least: int) -> bool:
        """Load at least *least* characters from the current place; return whether there are new ones."""
        parts = [self._text[self._at :]]
        known = length = len(parts[0])
        while length < least + known and not self._is_all:
            piece = next(self._pieces, None)
            self._is_all = piece is None
            parts.append(self._decoder.decode(piece or b"", final=self._is_all))
            length += len(parts[-1])
        self._text, self._at = "".join(parts), 0
        self._read += length - known
        return length > known


def _escaped(text: str) -> str:
    """Return *text* with a visible escape for each byte that is no UTF-8."""
    return _BROKEN_BYTE.sub(lambda found: rf"\\x{ord(found[0]) - 0xDC00:02x}", text)


def _with_escapes(found: dict[str, Any], text: str) -> dict[str, Any]:
    """Return the object that was *found* in *text*, with escapes for the bytes in it that are no UTF-8."""
    if not _BROKEN_BYTE.search(text):
        return found
    escaped: dict[str, Any] = TOLERANT.decode(_escaped(text))
    note_charset(escaped, ESCAPES)
    return escaped


def _shallow_end(text: str) -> int:
    """Return where *text* is too deep to be parsed; what begins after that is less deep."""
    depth = at = 0
    while depth < _SHALLOW:
        found = _PLAIN.match(text, at)
        stop = at if found is None else found.end()
        if text.startswith(_BRACKETS, stop):
            depth += 1 if text[stop] in "{[" else -1
            stop += 1
        if stop == at:  # the end, or a string without one
            break
        at = stop
    return at


def _is_cut(error: json.JSONDecodeError, end: int) -> bool:
    """Return whether parsing failed because the text continues after *end*."""
    return error.pos > end - _LONGEST_TOKEN or error.msg.startswith("Unterminated string")
