"""Finding a place in a face file by time: records stand newest first, so it is a bisection of small reads."""

from typing import Final, Protocol

from execution_history.stores.sqlite.face.layout import FOOTER, RECORD_START, Header, create_time_at

_NEAR: Final = 64 * 1024


class Readable(Protocol):
    """What is read of a face file."""

    header: Header
    size: int

    def read(self, begin: int, end: int) -> bytes:
        """The bytes from offset *begin* to *end*."""


def first_not_newer(file: Readable, create_time: int) -> int:
    """The offset of the first record whose time is at most *create_time*, or of the footer.

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
    """The first record that starts in ``[at, end)``: its offset and its time."""
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
