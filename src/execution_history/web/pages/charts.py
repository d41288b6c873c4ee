"""Charts of a workflow as coordinates: bars and lines on a grid of a thousand by a hundred. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Final, NamedTuple

from execution_history.query.model import Bucket

_WIDTH: Final = 1_000
_HEIGHT: Final = 100
_GAP: Final = 0.2
_LABELS: Final = 7
_TWO_HOURS: Final = 2 * 3_600_000
_TWO_DAYS: Final = 24 * _TWO_HOURS


class Bar(NamedTuple):
    """A rectangle and the name of its colour."""

    x: float
    y: float
    width: float
    height: float
    kind: str


class Curve(NamedTuple):
    """A line through the points of an SVG path, and where it ends: ``x`` in hundredths of the width, and ``y``.

    ``dots`` is a path of the points that stand alone, which a thin line would not show; ``value`` is the last one's.
    """

    path: str
    dots: str
    name: str
    x: float
    y: float
    value: int


class Mark(NamedTuple):
    """A time under the axis, in hundredths of its width."""

    x: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart; ``zero`` is where the axis lies (0 at the top, 100 at the bottom).

    ``highest`` is the largest value above the axis, ``lowest`` the largest below it.
    """

    bars: tuple[Bar, ...]
    curves: tuple[Curve, ...]
    marks: tuple[Mark, ...]
    zero: float
    highest: int
    lowest: int


@dataclass(frozen=True, slots=True)
class Axis:
    """The stretch of time that a chart shows, from ``start`` to ``end`` (milliseconds), in the reader's zone."""

    start: int
    end: int
    zone: tzinfo

    def x(self, moment: int) -> float:
        """Return where *moment* is drawn, within the chart."""
        return min(_WIDTH, max(0.0, (moment - self.start) * _WIDTH / (self.end - self.start)))

    def slot(self, bucket: Bucket) -> tuple[float, float]:
        """Return where the bar of a bucket begins and how wide it is, with a gap to the next."""
        begin, end = self.x(bucket.start), self.x(bucket.end)
        gap = (bucket.end - bucket.start) * _WIDTH / (self.end - self.start) * _GAP
        return round(begin + gap / 2, 1), round(max(1.0, end - begin - gap), 1)

    def marks(self) -> tuple[Mark, ...]:
        """Return times along the axis."""
        length = self.end - self.start
        style = "%H:%M" if length <= _TWO_DAYS else "%m-%d"
        moments = [self.start + length * (2 * number + 1) // (2 * _LABELS) for number in range(_LABELS)]
        return tuple(Mark(round(self.x(moment) / 10, 2), f"{_moment(moment, self.zone):{style}}") for moment in moments)


def axis_of(buckets: Sequence[Bucket], since: int, now: int, zone: tzinfo) -> Axis:
    """Return the axis from *since* to *now*, widened to hold the whole of every bucket."""
    start = min([since, *(bucket.start for bucket in buckets)])
    return Axis(start, max([now, start + 1, *(bucket.end for bucket in buckets)]), zone)


def run_chart(buckets: Sequence[Bucket], axis: Axis) -> Chart:
    """Return a chart of runs above the axis and failures below it, on one scale."""
    below = [bucket.figures.counts.get("failed", 0) for bucket in buckets]
    above = [bucket.figures.runs - bad for bucket, bad in zip(buckets, below, strict=True)]
    highest, lowest = max(above, default=0), max(below, default=0)
    unit = _HEIGHT / max(1, highest + lowest)
    zero = highest * unit if lowest else float(_HEIGHT)
    bars: list[Bar] = []
    for bucket, good, bad in zip(buckets, above, below, strict=True):
        x, width = axis.slot(bucket)
        sides = (Bar(x, zero - good * unit, width, good * unit, "runs"), Bar(x, zero, width, bad * unit, "failed"))
        bars += (bar for bar in sides if bar.height)
    return Chart(tuple(bars), (), axis.marks(), zero, highest, lowest)


def duration_chart(buckets: Sequence[Bucket], axis: Axis) -> Chart:
    """Return a chart of the median and the 95th percentile of durations, as lines that break where nothing ended."""
    highest = max((bucket.figures.p95 or 0 for bucket in buckets), default=0)
    curves = (
        _curve(buckets, axis, lambda bucket: bucket.figures.p95, "p95", highest),
        _curve(buckets, axis, lambda bucket: bucket.figures.p50, "p50", highest),
    )
    return Chart((), tuple(curve for curve in curves if curve.path), axis.marks(), _HEIGHT, highest, 0)


def token_chart(buckets: Sequence[Bucket], axis: Axis) -> Chart:
    """Return a chart of the tokens of each bucket."""
    highest = max((bucket.figures.tokens for bucket in buckets), default=0)
    bars: list[Bar] = []
    for bucket in buckets:
        x, width = axis.slot(bucket)
        height = bucket.figures.tokens * _HEIGHT / max(1, highest)
        bars += [Bar(x, _HEIGHT - height, width, height, "tokens")] if height else []
    return Chart(tuple(bars), (), axis.marks(), _HEIGHT, highest, 0)


def bucket_name(bucket: Bucket, zone: tzinfo) -> str:
    """Return when a bucket began: with the time for short buckets, else the date alone."""
    moment = _moment(bucket.start, zone)
    return f"{moment:%m-%d %H:%M}" if bucket.end - bucket.start <= _TWO_HOURS else f"{moment:%Y-%m-%d}"


def _curve(
    buckets: Sequence[Bucket], axis: Axis, value_of: Callable[[Bucket], int | None], name: str, highest: int
) -> Curve:
    path, dots, last, end_x, end_y = "", "", 0, 0.0, 0.0
    values = [value_of(bucket) for bucket in buckets]
    for number, (bucket, value) in enumerate(zip(buckets, values, strict=True)):
        if value is None:
            continue
        end_x = axis.x((bucket.start + bucket.end) // 2)
        end_y, last = _HEIGHT - value * _HEIGHT / max(1, highest), value
        continues = number > 0 and values[number - 1] is not None
        path += f"{'L' if continues else 'M'}{end_x:.1f} {end_y:.1f}"
        if not continues and not any(each is not None for each in values[number + 1 : number + 2]):
            # A line of no length is drawn as a dot: it has round ends.
            dots += f"M{end_x:.1f} {end_y:.1f}l0 0"
    return Curve(path, dots, name, round(end_x / 10, 2), end_y, last)


def _moment(milliseconds: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone(zone)
