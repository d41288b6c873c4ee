"""The edits that change a JSON file in place: pure functions from a window of its bytes to one write.

A window is a part of the file that begins anywhere before the record concerned, at best in the slack or
a gap, and reaches beyond its end. Room for growth is taken from the gaps to the left, so
that what is older never moves. Each edit is one write, after which the file parses.
"""

from typing import NamedTuple

from execution_history.stores.jsonfiles.file_format import CLOSING, FOOTER, RECORD_START, SEPARATOR, record_key


class Edit(NamedTuple):
    """Write ``data`` at ``offset``; ``free`` of its first bytes are spaces that remain usable."""

    offset: int
    data: bytes
    free: int


class Span(NamedTuple):
    """Where a record stands in the file: from its indentation to behind its closing brace."""

    start: int
    end: int


def find_record(window: bytes, base: int, execute_id: str, begin: int = 0) -> Span | None:
    """Return the record with this id in a window from file offset *base* on; ``None`` when it is not wholly there."""
    key = record_key(execute_id)
    start = window.find(key, begin)
    if start < 0:
        return None
    end = window.find(CLOSING, start)
    return None if end < 0 else Span(base + start, base + end + len(CLOSING))


def splice(window: bytes, base: int, span: Span, replacement: bytes) -> Edit | None:
    """Put *replacement* where *span* is, ending where it ended; ``None`` when the window has not enough room.

    What it is longer is taken from the gaps to the left, newer records moving towards them; what it is
    shorter becomes a gap.
    """
    grow = len(replacement) - (span.end - span.start)
    if grow <= 0:
        return Edit(span.start, b" " * -grow + replacement, -grow)
    parts = [replacement]
    at, missing = span.start - base, grow
    while True:
        text_end = _spaces_before(window, at, missing)
        if at - text_end >= missing:
            return Edit(base + at - missing, b"".join(reversed(parts)), 0)
        missing -= at - text_end
        previous = window.rfind(RECORD_START, 0, text_end)
        if previous < 0:
            return None
        parts.append(window[previous:text_end])
        at = previous


def removal(window: bytes, base: int, span: Span) -> Edit:
    """Blank a record together with the separator that has become one too many.

    The window must reach from the end of the record before it (or the slack) to the footer or the next record.
    """
    start, end = span.start - base, span.end - base
    if window.startswith(SEPARATOR, end):
        return _blank(base, start, end + len(SEPARATOR))
    text_end = _spaces_before(window, start)
    line_end = window.index(b"\n", end)
    if window[text_end - len(SEPARATOR) : text_end] == SEPARATOR:
        # The oldest of several: the one before it becomes the last and loses its comma.
        return _blank(base, text_end - len(SEPARATOR), line_end)
    return _blank(base, start, line_end + 1)


def ends_here(window: bytes, offset: int) -> bool:
    """Return whether the list of records ends at this place of the window."""
    return window.startswith(FOOTER, offset)


def _blank(base: int, start: int, end: int) -> Edit:
    return Edit(base + start, b" " * (end - start), end - start)


def _spaces_before(window: bytes, at: int, enough: int = 1 << 62) -> int:
    """Return where the run of spaces that ends at *at* begins; a little more than *enough* need not be seen."""
    chunk, limit = 4096, at - enough
    while at > max(0, limit):
        begin = max(0, at - chunk)
        kept = len(window[begin:at].rstrip(b" "))
        if kept:
            return begin + kept
        at, chunk = begin, chunk * 4
    return at
