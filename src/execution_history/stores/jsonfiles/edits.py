"""Making room in a JSON file: pure functions from a window of its bytes to the one write that changes it in place.

A window is a part of the file that ends before the record concerned. Room for growth is taken from the gaps to the
left, so that what is older never moves. Each edit is one write, after which the file parses.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from execution_history.stores.jsonfiles.file_format import FIRST_LINES, RECORD_START, RUNNING, SEPARATOR

_MOST_RECORDS: Final = 24
_MOST_BYTES: Final = 32 * 1024


class Edit(NamedTuple):
    """Write ``free`` spaces, which remain usable, then ``data`` and ``spare`` more spaces, at ``offset``."""

    offset: int
    data: bytes
    free: int
    spare: int = 0

    @property
    def end(self) -> int:
        """The offset behind it."""
        return self.offset + self.free + len(self.data) + self.spare


class Span(NamedTuple):
    """Where a record stands in the file: from its indentation to behind its closing brace."""

    start: int
    end: int


class Replacement(NamedTuple):
    """What is put where *span* is: in the place of a record or, where *span* is empty, between two.

    Without a text the record goes; then *span* has its separator too.
    """

    span: Span
    text: bytes


def splice(window: bytes, base: int, changed: Sequence[Replacement], *, spare: int = 0, gap: int = 0) -> Edit | None:
    """Put each text where its span is, the last one ending where it ended; ``None`` when the window has no room.

    What a text is longer is taken from the gaps to its left, newer records moving towards them; what one is
    shorter becomes a gap.

    Args:
        window: what stands in the file from offset *base* to the beginning of the last span.
        base: where the window begins.
        changed: at least one replacement, in the order of the file.
        spare: the gap before each running record that has to move, which will grow too.
        gap: the gap before all of them.
    """
    moved = _Moved(window, spare)
    for number in range(len(changed) - 1, -1, -1):
        span, text = changed[number]
        if number + 1 < len(changed):
            moved.copy(span.end - base)
        moved.put(span.start - base, text, len(text) - (span.end - span.start))
    # Never between a record and the separator behind it, with which a text for the last place begins.
    moved.leave(0 if changed[0].text.startswith(SEPARATOR) else gap)
    if not moved.take_room(0):
        return None
    return Edit(base + moved.at, b"".join(reversed(moved.parts)), moved.gap)


def paid_by_older(changed: list[Replacement], window: bytes, low: int) -> list[Replacement]:
    """Return *changed* with the first of them, where it takes more than it had, joined to those that pay for it.

    These stand behind it, and what they have become shorter is its room: to the left of it there may be none for a long
    way. Where that is not enough, *changed* is returned as it is.

    Args:
        changed: in the order of the file.
        window: what stands in the file from offset *low* on.
        low: where the window begins.
    """
    joined, *others = changed
    while len(joined.text) > joined.span.end - joined.span.start:
        if not others:
            return changed
        second = others.pop(0)
        between = window[joined.span.end - low : second.span.start - low]
        joined = Replacement(Span(joined.span.start, second.span.end), joined.text + between + second.text)
    return [joined, *others]


class _Moved:
    """The new text of a window from ``at`` on: its ``parts`` from right to left, after ``gap`` spaces.

    It is ``missing`` bytes longer than what stood there.
    """

    def __init__(self, window: bytes, spare: int) -> None:
        self.parts: list[bytes] = []
        self.at = len(window)
        self.missing = 0
        self.gap = 0
        self._window = window
        self._spare = spare
        self._will_grow = False

    def put(self, at: int, text: bytes, grown: int) -> None:
        """Add a text for what begins at *at*, longer by *grown*, with a gap for what is left over."""
        self._add(at, text)
        self.missing += grown
        self.leave(max(0, -self.missing))

    def leave(self, length: int) -> None:
        """Add a gap."""
        self.gap += length
        self.missing += length

    def copy(self, begin: int) -> None:
        """Add what stands between *begin* and what is added already, without the gaps that are needed."""
        self.take_room(begin)
        self._add(begin, self._window[begin : self.at])

    def take_room(self, begin: int) -> bool:
        """Use the gaps from *begin* on, the nearest first, and add what stands between; whether they are enough."""
        window = self._window
        while self.missing:
            text_end = _spaces_before(window, self.at, self.missing)
            taken = min(self.at - text_end, self.missing)
            self.at -= taken
            self.missing -= taken
            if not self.missing:
                break
            if self._will_grow:
                self.leave(self._spare)
            previous = window.rfind(RECORD_START, begin, text_end)
            if previous < 0:
                return False
            self._add(previous, window[previous:text_end])
            self._will_grow = self._spare > 0 and RUNNING in window[previous : min(text_end, previous + FIRST_LINES)]
        return True

    def _add(self, at: int, text: bytes) -> None:
        self.at, self._will_grow = at, False
        if not text or text.isspace():  # what was between two records that go may be a gap, or nothing
            self.gap += len(text)
            return
        if self.gap:
            self.parts.append(b" " * self.gap)
        self.parts.append(text)
        self.gap = 0


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
            start, free = newest_at, start - newest_at
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
