"""The stretch of time that charts show: its buckets, and times at whole hours, days, weeks and months. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from execution_history.query.model import BucketSize
from execution_history.query.time_buckets import bucket_edges, moment_of
from execution_history.records.time_units import DAY_MS

WIDTH: Final = 1_000
"""The width of a chart, in its own units."""

_GAP: Final = 0.2
_MOST_TICKS: Final = 8
_EDGE: Final = 3
_LONGEST: Final[tuple[tuple[BucketSize, int], ...]] = (
    ("hour", 2 * DAY_MS),
    ("day", 62 * DAY_MS),
    ("week", 371 * DAY_MS),
)
_HOURS: Final = (1, 2, 3, 6, 12, 24)
_DAYS: Final = (1, 2, 7, 14, 28)
_MONTHS: Final = (1, 2, 3, 6, 12, 60)


class Tick(NamedTuple):
    """A time below a chart: where (in hundredths of the width), its text, and how the text lies there.

    ``is_minor``: it may be left out where there is little room; ``is_moment``: it is a point of time and
    not the name of the bucket above it.
    """

    x: float
    text: str
    anchor: str
    is_minor: bool
    is_moment: bool


class Slot(NamedTuple):
    """A bucket on the axis: its times (ms), where it begins and how wide it is, and the same of the bar in it."""

    start: int
    end: int
    x: float
    width: float
    bar_x: float
    bar_width: float


@dataclass(frozen=True, slots=True)
class ChartAxis:
    """The time from the first of *edges* to the last (milliseconds), in buckets of one *size* in the reader's zone."""

    edges: Sequence[int]
    size: BucketSize
    zone: tzinfo

    @property
    def start(self) -> int:
        """Where it begins (milliseconds)."""
        return self.edges[0]

    @property
    def end(self) -> int:
        """Where it ends (milliseconds)."""
        return self.edges[-1]

    def x(self, moment: float) -> float:
        """Return where *moment* is drawn, within the chart."""
        return min(WIDTH, max(0.0, (moment - self.start) * WIDTH / (self.end - self.start)))

    def slots(self) -> list[Slot]:
        """Return the buckets, from the first to the last."""
        found = []
        for start, end in pairwise(self.edges):
            x, width = self.x(start), self.x(end) - self.x(start)
            gap = width * _GAP
            found.append(Slot(start, end, round(x, 1), round(width, 1),
                              round(x + gap / 2, 1), round(max(1.0, width - gap), 1)))  # fmt: skip
        return found

    def ticks(self) -> list[Tick]:
        """Return times along the axis, eight at most, each at a whole hour, day, week or month."""
        moments = [moment_of(edge, self.zone) for edge in self.edges[:-1]]
        if self.size == "hour":
            return self._at_moments(_every(moments, _HOURS, lambda each, step: each.hour % step == 0), _hour_text)
        if self.size == "day":
            return self._at_buckets(_every(moments, _DAYS, lambda each, step: _is_day(each.date(), step)), "%m-%d")
        if self.size == "week":
            days = bucket_edges(self.start, self.end - 1, "month", _zone(self.zone))
            firsts = [moment_of(edge, self.zone) for edge in days if self.start <= edge < self.end]
            return self._at_moments(_every(firsts, _MONTHS, _is_month), lambda each: f"{each:%Y-%m}")
        return self._at_buckets(_every(moments, _MONTHS, _is_month), "%Y-%m")

    def name(self, start: int, end: int) -> str:
        """Return what a bucket is called: its hour with the day, its day, its week or its month."""
        moment = moment_of(start, self.zone)
        if self.size == "hour":
            return f"{moment:%m-%d %H:%M} – {moment_of(end, self.zone):%H:%M}"
        if self.size == "week":
            return f"{moment:%Y-%m-%d} – {moment_of(end - 1, self.zone):%m-%d}"
        return f"{moment:%Y-%m-%d}" if self.size == "day" else f"{moment:%Y-%m}"

    def _at_moments(self, moments: list[datetime], text: Callable[[datetime], str]) -> list[Tick]:
        return [
            _tick(self.x(each.timestamp() * 1000), text(each), number, is_moment=True)
            for number, each in enumerate(moments)
        ]

    def _at_buckets(self, moments: list[datetime], style: str) -> list[Tick]:
        middles = {start: (start + end) / 2 for start, end in pairwise(self.edges)}
        return [
            _tick(self.x(middles[round(each.timestamp() * 1000)]), f"{each:{style}}", number, is_moment=False)
            for number, each in enumerate(moments)
        ]


def axis_of(since: int, until: int, zone: ZoneInfo, size: BucketSize | None = None) -> ChartAxis:
    """Return the axis of the whole buckets from the one with *since* to the one before *until* (milliseconds).

    Without a *size* it is hours up to two days, days up to two months, weeks up to a year, else months.

    Raises:
        InvalidQuery: that would be more than 5,000 buckets, or the year 9999.
    """
    chosen = _fitting(until - since) if size is None else size
    return ChartAxis(bucket_edges(since, max(since, until - 1), chosen, zone), chosen, zone)


def _fitting(length: int) -> BucketSize:
    for size, longest in _LONGEST:
        if length <= longest:
            return size
    return "month"


def _zone(zone: tzinfo) -> ZoneInfo:
    return zone if isinstance(zone, ZoneInfo) else ZoneInfo("UTC")


def _every(moments: list[datetime], steps: Sequence[int], is_at: Callable[[datetime, int], bool]) -> list[datetime]:
    """Return those of *moments* that are at the smallest of *steps* that leaves few enough."""
    for step in steps:
        found = [each for each in moments if is_at(each, step)]
        if len(found) <= _MOST_TICKS:
            break
    return found


def _is_day(day: date, step: int) -> bool:
    """Return whether a day is one of every *step*; weeks begin on Monday."""
    if step < 7:  # noqa: PLR2004 - a week
        return day.toordinal() % step == 0
    monday = day - timedelta(days=day.weekday())
    return day == monday and monday.toordinal() // 7 % (step // 7) == 0


def _is_month(moment: datetime, step: int) -> bool:
    return (12 * moment.year + moment.month - 1) % step == 0


def _hour_text(moment: datetime) -> str:
    return f"{moment:%m-%d}" if moment.hour == 0 else f"{moment:%H:%M}"


def _tick(x: float, text: str, number: int, *, is_moment: bool) -> Tick:
    at = round(x * 100 / WIDTH, 2)
    anchor = "start" if at < _EDGE else "end" if at > 100 - _EDGE else "middle"
    return Tick(at, text, anchor, bool(number % 2), is_moment)
