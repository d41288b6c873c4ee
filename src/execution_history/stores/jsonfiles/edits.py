"""Making room in a JSON file: pure functions from a window of its bytes to the one write that changes it in place.

A window is a part of the file that ends before the record concerned. Room for growth is taken from the gaps to the
left, so that what is older never moves. Each edit is one write, after which the file parses.
"""

from typing import NamedTuple

from execution_history.stores.jsonfiles.file_format import RECORD_START


class Edit(NamedTuple):
    """Write ``data`` at ``offset``; ``free`` of its first bytes are spaces that remain usable."""

    offset: int
    data: bytes
    free: int


class Span(NamedTuple):
    """Where a record stands in the file: from its indentation to behind its closing brace."""

    start: int
    end: int


def splice(window: bytes, base: int, span: Span, replacement: bytes) -> Edit | None:
    """Put *replacement* where *span* is, ending where it ended; ``None`` when the window has not enough room.

    The window is what stands in the file from offset *base* to the beginning of *span*.

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


def _spaces_before(window: bytes, at: int, enough: int) -> int:
    """Return where the run of spaces that ends at *at* begins; a little more than *enough* need not be seen."""
    chunk, limit = 4096, at - enough
    while at > max(0, limit) and window.endswith(b" ", 0, at):
        begin = max(0, at - chunk)
        kept = len(window[begin:at].rstrip(b" "))
        if kept:
            return begin + kept
        at, chunk = begin, chunk * 4
    return at
