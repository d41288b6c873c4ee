"""Sums of days: what is counted of a group in a day, and how it is packed. Pure; the same in every store.

A day is one of UTC, counted from the epoch. Its figures are numbers in columns; how many runs began in each of its
hours, and how long they took, are packed: as rows they would be a hundred times as many.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from struct import Struct, pack
from typing import Final

from execution_history.query.breakdown import TrendPoint
from execution_history.query.rollups import DAY_HOURS, Piece
from execution_history.query.time_buckets import bucket_number
from execution_history.records.time_units import DAY_MS, HOUR_MS
from execution_history.stores.sql_fragments import TOKENS
from execution_history.stores.status_numbers import STATUS_NAMES, STATUS_NUMBERS

SIZE: Final = len(STATUS_NAMES) + len(TOKENS)
"""How many figures a rollup has: counts per status, then sums of tokens."""

MOST_NODES: Final = 200
"""So many nodes of a workflow have days. One with more names them anew in each run: days would be as many as runs."""

_HOURS: Final = Struct(f"<{2 * DAY_HOURS}I")
_LANE: Final = 4
_FAILED: Final = STATUS_NUMBERS["failed"]


@dataclass(slots=True)
class Day:
    """What is counted in a day, or by how much that changes.

    Attributes:
        figures: as in a row of rollups.
        hours: how many began in each of 24 hours, then how many of them failed.
        durations: how many ended after a duration, by its bucket.
    """

    figures: list[int] = field(default_factory=lambda: [0] * SIZE)
    hours: list[int] = field(default_factory=lambda: [0] * 2 * DAY_HOURS)
    durations: Counter[int] = field(default_factory=Counter)

    def count(self, hour: int, status: int, tokens: Sequence[int | None], change: int) -> None:
        """Count *change* more that began in an *hour* of the day; *tokens* are those of all of them together."""
        self.figures[status] += change
        self.hours[hour] += change
        self.hours[DAY_HOURS + hour] += change * (status == _FAILED)
        sign = -1 if change < 0 else 1
        for place, number in enumerate(tokens, len(STATUS_NAMES)):
            self.figures[place] += sign * (number or 0)

    def add(self, figures: Sequence[int], hours: bytes, durations: bytes) -> None:
        """Add a day as it is stored."""
        self.figures = [one + other for one, other in zip(self.figures, figures, strict=True)]
        self.hours = [one + other for one, other in zip(self.hours, _HOURS.unpack(hours), strict=True)]
        self.durations.update(unpacked(lanes_of(durations)))

    def packed(self) -> tuple[bytes, bytes]:
        """Return its hours and durations as they are stored."""
        return _HOURS.pack(*self.hours), _packed(self.durations)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is counted in it."""
        return not any(self.figures[: len(STATUS_NAMES)])


class GroupDetails:
    """The histogram and the trend of a group, as they are added up.

    Args:
        edges: of the buckets of the trend.
    """

    def __init__(self, edges: Sequence[int]) -> None:
        self.durations: Counter[int] = Counter()
        self._lanes = 0
        self._edges = edges
        self._points: dict[int, list[int]] = {}

    def add(self, time: int, runs: int, failed: int) -> None:
        """Add runs that began in one bucket, in which *time* (ms) is."""
        self.add_to(bucket_number(self._edges, time), runs, failed)

    def add_to(self, number: int, runs: int, failed: int) -> None:
        """Add runs to the bucket with this number."""
        point = self._points.setdefault(number, [0, 0])
        point[0] += runs
        point[1] += failed

    def add_durations(self, packed: bytes) -> None:
        """Add the histogram of a day."""
        self._lanes += lanes_of(packed)

    def add_hours(self, parts: Sequence[Piece], packed: bytes) -> None:
        """Add the hours of a day; *parts* are its hours by bucket."""
        hours = _HOURS.unpack(packed)
        for number, begin, end in parts:
            self.add_to(number, sum(hours[begin:end]), sum(hours[DAY_HOURS + begin : DAY_HOURS + end]))

    def histogram(self) -> dict[int, int]:
        """Return how many ended after which duration, by its bucket."""
        self.durations.update(unpacked(self._lanes))
        self._lanes = 0
        return dict(self.durations)

    def trend(self) -> dict[int, TrendPoint]:
        """Return the points by the numbers of buckets."""
        return {number: TrendPoint(*point) for number, point in self._points.items() if any(point)}


def parts_of(day: int, edges: Sequence[int]) -> list[Piece]:
    """Return the hours of a day by the buckets that they are in."""
    numbers = [bucket_number(edges, day * DAY_MS + hour * HOUR_MS) for hour in range(DAY_HOURS)]
    return [(number, numbers.index(number), DAY_HOURS - numbers[::-1].index(number)) for number in set(numbers)]


def lanes_of(packed: bytes) -> int:
    """Return a packed histogram as one number with 32 bits for each bucket: a sum of such numbers is that of all."""
    first = int.from_bytes(packed[:_LANE], "little")
    return int.from_bytes(packed[_LANE:], "little") << (8 * _LANE * first)


def unpacked(lanes: int) -> dict[int, int]:
    """Return the histogram in such a number, or in a sum: how many there are in each bucket."""
    size = -(-lanes.bit_length() // (8 * _LANE))
    numbers = Struct(f"<{size}I").unpack(lanes.to_bytes(size * _LANE, "little"))
    return {bucket: count for bucket, count in enumerate(numbers) if count}


def _packed(durations: Mapping[int, int]) -> bytes:
    """Return a histogram as its first bucket and the number in each from there on, 32 bits each."""
    buckets = [bucket for bucket, count in durations.items() if count]
    if not buckets:
        return pack("<I", 0)
    first, last = min(buckets), max(buckets)
    return pack(f"<{last - first + 2}I", first, *(durations.get(bucket, 0) for bucket in range(first, last + 1)))
