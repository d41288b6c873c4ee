"""Making room in a JSON file: pure functions from a window of its bytes to the one write that changes it in place.

A window is a part of the file that ends before the record concerned. Room for growth is taken from the gaps to the
left, so that what is older never moves. Each edit is one write, after which the file parses.
"""

from typing import Final, NamedTuple

from execution_history.stores.jsonfiles.file_format import RECORD_START, SEPARATOR

_MOST_RECORDS: Final = 24
_MOST_BYTES: Final = 32 * 1024


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


class Front:
    """The records from ``newest_at`` on with nothing else between them, of which the newest are remembered.

    Of each it knows the lines, with the spaces before them that are unused and the separator behind them. Changes
    are drafted with ``put`` and ``replace``, until ``edit`` gives the write that makes them true.

    Args:
        length: the bytes from ``newest_at`` to the end of the file.
        newest: the ``create_time`` of the newest record; ``None`` when the file has none.
    """

    def __init__(self, length: int, newest: int | None) -> None:
        self.length = length
        self.newest = newest
        self._behind = length
        # Oldest first, so that new ones are appended.
        self._ids: list[str] = []
        self._times: list[int] = []
        self._texts: list[bytes] = []
        # Which of them have changed since the last edit, none where it is empty, and whether their place has.
        self._changed = range(0)
        self._moved: bool = False

    def __contains__(self, execute_id: str) -> bool:
        """Return whether the record is remembered."""
        return execute_id in self._ids

    def put(self, execute_id: str, create_time: int, text: bytes) -> bool:
        """Draft a new record before all others, if it is as new as they are; return whether it is."""
        if self.newest is None:
            text += b"\n"
        elif create_time >= self.newest:
            text += SEPARATOR
        else:
            return False
        self._note(len(self._ids))
        self._ids.append(execute_id)
        self._times.append(create_time)
        self._texts.append(text)
        self.newest = create_time
        self.length += len(text)
        self._moved = True
        return True

    def replace(self, execute_id: str, create_time: int, text: bytes) -> bool:
        """Draft another text for a remembered record, if it began at *create_time*; return whether it did."""
        number = self._ids.index(execute_id)
        if self._times[number] != create_time:
            return False
        old = self._texts[number]
        text += SEPARATOR if old.endswith(SEPARATOR) else b"\n"
        grown = len(text) - len(old)
        if grown < 0 and number < len(self._ids) - 1:
            # What is shorter leaves its room before it, unless it is the newest: then it becomes slack.
            text, grown = b" " * -grown + text, 0
        self._texts[number] = text
        if grown:
            self.length += grown
            self._moved = True
        self._note(number)
        return True

    def edit(self, size: int, newest_at: int, body_start: int) -> Edit | None:
        """Return the one write that makes the draft true in a file of *size* bytes; ``None`` where it has no room."""
        start, free, texts = size - self.length, 0, self._texts
        if start < body_start:
            return None
        end = len(texts) if self._moved else self._changed.stop
        data = b"".join(texts[self._changed.start : end][::-1])
        if not self._moved:
            start += sum(map(len, texts[end:]))
        elif start > newest_at:
            free = start - newest_at
            start, data = newest_at, b" " * free + data
        self._settle()
        return Edit(start, data, free)

    def forget_oldest(self) -> None:
        """Remember no more than is useful."""
        while len(self._ids) > _MOST_RECORDS or self.length - self._behind > _MOST_BYTES:
            del self._ids[0], self._times[0]
            self._behind += len(self._texts.pop(0))

    def _note(self, number: int) -> None:
        known = self._changed or range(number, number + 1)
        self._changed = range(min(known.start, number), max(known.stop, number + 1))

    def _settle(self) -> None:
        self._changed, self._moved = range(0), False
