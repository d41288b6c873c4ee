"""Runs of spaces between the records of a JSON file that are known, so that no search reads them again.

Deleting many records leaves gaps of any size, and a bisection that falls into one would read on to its end.
"""

from bisect import bisect_left, bisect_right
from typing import Final

_INDENTATION: Final = 8
_MOST: Final = 20_000


class Blanks:
    """Half-open ranges of offsets with nothing but spaces in them; none touches another."""

    def __init__(self) -> None:
        self._begins: list[int] = []
        self._ends: list[int] = []

    def past(self, at: int) -> int:
        """Return where to read on from *at*: near the end of its run, as the next line begins with spaces too."""
        number = bisect_right(self._begins, at) - 1
        return at if number < 0 else max(at, self._ends[number] - _INDENTATION)

    def following(self, at: int) -> int | None:
        """Return where the first run begins that begins behind *at*; ``None`` where none does."""
        number = bisect_right(self._begins, at)
        return self._begins[number] if number < len(self._begins) else None

    def before(self, at: int) -> int:
        """Return where the run that ends at *at* or contains it begins; *at* where there is none."""
        number = bisect_left(self._begins, at) - 1
        return at if number < 0 or self._ends[number] < at else self._begins[number]

    def add(self, begin: int, end: int) -> None:
        """Note that there are only spaces from *begin* to *end*."""
        first, last = bisect_left(self._ends, begin), bisect_right(self._begins, end)
        if first < last:
            begin, end = min(begin, self._begins[first]), max(end, self._ends[last - 1])
        elif len(self._begins) >= _MOST:  # knowing less only costs time
            self._begins, self._ends, first, last = [], [], 0, 0
        self._begins[first:last], self._ends[first:last] = [begin], [end]

    def cut(self, begin: int, end: int) -> None:
        """Note that something may stand from *begin* to *end*."""
        if not self._begins:
            return
        first, last = bisect_right(self._ends, begin), bisect_left(self._begins, end)
        if first >= last:
            return
        ends = ((self._begins[first], begin), (end, self._ends[last - 1]))
        kept = [each for each in ends if each[0] < each[1]]
        self._begins[first:last], self._ends[first:last] = [each[0] for each in kept], [each[1] for each in kept]
