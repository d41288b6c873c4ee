"""Finding a place in a JSON file: records stand newest first, so by time it is a bisection of small reads."""

from typing import Final, Protocol

from execution_history.stores.jsonfiles.edits import Span, find_record
from execution_history.stores.jsonfiles.file_format import FOOTER, RECORD_START, Header, create_time_at

_NEAR: Final = 64 * 1024


class Readable(Protocol):
    """What is read of a JSON file."""

    header: Header
    body_start: int
    size: int

    def read(self, begin: int, end: int) -> bytes:
        """Return the bytes from offset *begin* to *end*."""


def first_not_newer(file: Readable, create_time: int) -> int:
    """Return the offset of the first record whose time is at most *create_time*, or of the footer.

    Records stand newest first, so this is a bisection over the file: O(log size) small reads.
    """
    low, high = file.header.newest_at, file.size - len(FOOTER)
    bound = high
    while bound - low > _NEAR:
        middle = (low + bound) // 2
        found = record_after(file, middle, high)
        if found is None or found[0] >= high or found[1] <= create_time:
            bound = middle
            if found is not None and found[0] < high and found[1] <= create_time:
                high = min(high, found[0])
        else:
            low = found[0]
    return _scan_for(file, low, high, create_time)


def record_after(file: Readable, at: int, end: int) -> tuple[int, int] | None:
    """Return the first record that starts in ``[at, end)``: its offset and its time."""
    reach = 16 * 1024
    while True:
        window = file.read(at, min(at + reach, file.size))
        start = window.find(RECORD_START)
        time = None if start < 0 else create_time_at(window, start)
        if time is not None:
            return (at + start, time) if at + start < end else None
        if at + reach >= file.size:
            return None
        reach *= 4


def _scan_for(file: Readable, low: int, high: int, create_time: int) -> int:
    at = low
    while at < high:
        found = record_after(file, at, high)
        if found is None:
            break
        if found[1] <= create_time:
            return found[0]
        at = found[0] + len(RECORD_START)
    return high


def find(file: Readable, execute_id: str, create_time: int) -> tuple[Span | None, bytes, int]:
    """Return the record's place, with a window around it that begins a little before and ends behind it."""
    base = max(file.body_start, file.header.newest_at - _NEAR // 4)
    for reach in (_NEAR // 4, _NEAR * 4):
        window = file.read(base, file.header.newest_at + reach)
        span = find_record(window, base, execute_id)
        if span is not None or base + len(window) >= file.size:
            return span, _with_tail(file, window, base, span), base
    return _find_from(file, first_not_newer(file, create_time), execute_id, create_time)


def _find_from(file: Readable, at: int, execute_id: str, create_time: int) -> tuple[Span | None, bytes, int]:
    base, reach = max(file.body_start, at - _NEAR), 2 * _NEAR
    while True:
        window = file.read(base, at + reach)
        span = find_record(window, base, execute_id, at - base)
        if span is not None:
            return span, _with_tail(file, window, base, span), base
        last = window.rfind(RECORD_START)
        older = None if last < at - base else create_time_at(window, last)
        if at + reach >= file.size or (older is not None and older < create_time):
            return None, window, base
        reach *= 4


def _with_tail(file: Readable, window: bytes, base: int, span: Span | None) -> bytes:
    """Return the window with what a removal has to see behind the record."""
    while span is not None and window.find(b"\n", span.end - base) < 0 and base + len(window) < file.size:
        window += file.read(base + len(window), base + len(window) + _NEAR)
    return window


def with_head(file: Readable, window: bytes, base: int, span: Span) -> tuple[bytes, int]:
    """Return the window, begun so far to the left that it shows what stands before the record and its gap."""
    reach = _NEAR
    while base > file.body_start and not window[: span.start - base].strip(b" "):
        begin = max(file.body_start, base - reach)
        window, base, reach = file.read(begin, base) + window, begin, reach * 4
    return window, base


def last_start(file: Readable) -> int:
    """Where the oldest record begins."""
    reach = _NEAR
    while True:
        begin = max(file.header.newest_at, file.size - reach)
        start = file.read(begin, file.size).rfind(RECORD_START)
        if start >= 0 or begin == file.header.newest_at:
            return begin + max(start, 0)
        reach *= 4
