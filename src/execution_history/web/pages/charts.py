"""Charts as coordinates: bars and lines on a grid of a thousand by a hundred, with a scale of round numbers. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from execution_history.records.time_units import DAY_MS
from execution_history.web.pages.chart_axis import WIDTH, ChartAxis, Slot

_HEIGHT: Final = 100
_LEAST: Final = 1.2
_LEAST_OF_SMALL: Final = 15
"""The height of the lowest bar, in a chart and in one that is no higher than a line of text."""

_ROOM: Final = 14
"""How far apart numbers beside a chart are at least."""

_ROUND: Final = (1, 1.2, 1.5, 2, 3, 4, 5, 6, 8, 10)
_TIMES: Final = (
    *(number * unit for unit in (1, 10, 100) for number in (1, 2, 5)),
    *(number * 1_000 for number in (1, 2, 4, 6, 10, 20, 30, 40)),
    *(number * 60_000 for number in (1, 2, 4, 6, 10, 20, 30, 40)),
    *(number * 3_600_000 for number in (1, 2, 4, 12)),
)

Values = Sequence[float | None]
"""A value for each bucket; ``None`` where there is none."""


class Bars(NamedTuple):
    """The bars of one kind, as the path of an SVG."""

    kind: str
    path: str


class Curve(NamedTuple):
    """A line through the points of an SVG path.

    ``dots`` is a path of the points that stand alone, which a thin line would not show.
    """

    kind: str
    path: str
    dots: str


class Level(NamedTuple):
    """A line across a chart at a round number: where it lies (0 at the top, 100 at the bottom), and the number."""

    y: float
    value: float


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart; ``zero`` is where the axis lies (0 at the top, 100 at the bottom)."""

    bars: tuple[Bars, ...] = ()
    curves: tuple[Curve, ...] = ()
    levels: tuple[Level, ...] = ()
    zero: float = _HEIGHT


def two_sided(axis: ChartAxis, above: Sequence[int], below: Sequence[int], kinds: tuple[str, str]) -> Chart:
    """Return bars above the axis and bars below it, on one scale."""
    highest, lowest = max(above, default=0), max(below, default=0)
    top = round_up(highest, is_whole=True) if highest or not lowest else 0.0
    bottom = round_up(lowest, is_whole=True) if lowest else 0.0
    unit = _HEIGHT / (top + bottom)
    zero = top * unit
    slots = axis.slots()
    up, down = [_high(value * unit) for value in above], [_high(value * unit) for value in below]
    bars = (
        Bars(kinds[0], _path((slot, zero - high, high) for slot, high in zip(slots, up, strict=True))),
        Bars(kinds[1], _path((slot, zero, high) for slot, high in zip(slots, down, strict=True))),
    )
    levels = [Level(zero - top * unit * part, top * part) for part in (1, 0.5, 0) if top and _is_whole(top * part)]
    levels += [Level(_HEIGHT, bottom)] if _HEIGHT - zero > _ROOM else []
    return Chart(bars, (), tuple(levels), zero)


def stacked(axis: ChartAxis, parts: Sequence[tuple[str, Sequence[float]]], *, is_whole: bool = False) -> Chart:
    """Return bars of several kinds that stand on each other; *is_whole*: they are counted in whole numbers."""
    slots = axis.slots()
    sums = [sum(values) for values in zip(*(values for _, values in parts), strict=True)] or [0.0]
    top = round_up(max(sums), is_whole=is_whole)
    bars, base = [], [0.0] * len(slots)
    for kind, values in parts:
        heights = [value * _HEIGHT / top for value in values]
        bars.append(Bars(kind, _path(
            (slot, _HEIGHT - below - high, high) for slot, below, high in zip(slots, base, heights, strict=True)
        )))  # fmt: skip
        base = [below + high for below, high in zip(base, heights, strict=True)]
    return Chart(tuple(bars), (), _levels(top, is_whole=is_whole))


def overlaid(axis: ChartAxis, parts: Sequence[tuple[str, Sequence[int]]]) -> Chart:
    """Return bars of several kinds, the later ones in front, without a scale: for a chart as high as a line of text.

    The highest bar has the whole height, and whatever is not zero can be seen.
    """
    slots, top = axis.slots(), max((value for _, values in parts for value in values), default=0) or 1
    bars = []
    for kind, values in parts:
        heights = [_high(value * _HEIGHT / top, _LEAST_OF_SMALL) for value in values]
        bars.append(Bars(kind, _path((slot, _HEIGHT - high, high) for slot, high in zip(slots, heights, strict=True))))
    return Chart(tuple(bars))


def lines(
    axis: ChartAxis,
    parts: Sequence[tuple[str, Values]],
    *,
    is_time: bool = False,
    at_ends: bool = False,
    budget: float | None = None,
) -> Chart:
    """Return lines that break where there is no value.

    Args:
        axis: the time.
        parts: the kind of each line, and its values.
        is_time: whether the values are milliseconds, whose round numbers are seconds, minutes and hours.
        at_ends: whether a value belongs to the end of its bucket, as sums up to there do, rather than to its middle.
        budget: a value at which another line goes all across.
    """
    highest = max([budget or 0, *(value for _, values in parts for value in values if value is not None)])
    top = round_up_time(highest) if is_time else round_up(highest)
    slots = axis.slots()
    places = [slot.x + slot.width * (1 if at_ends else 0.5) for slot in slots]
    curves = [_curve(kind, places, values, top) for kind, values in parts]
    if budget is not None:
        curves.append(Curve("budget", f"M0 {_HEIGHT - budget * _HEIGHT / top:.4g}h{WIDTH}", ""))
    return Chart((), tuple(curves), _levels(top))


def round_up(value: float, *, is_whole: bool = False) -> float:
    """Return the smallest round number that is not below *value*, such as 1, 12, 0.15 or 3000; 1 for 0."""
    if value <= 0:
        return 1.0
    unit = 1.0
    while unit < value:
        unit *= 10
    while unit / 10 >= value:
        unit /= 10
    found = (round(unit / 10 * number, 12) for number in _ROUND)
    return next(each for each in found if each >= value * (1 - 1e-9) and (_is_whole(each) or not is_whole))


def round_up_time(milliseconds: float) -> float:
    """Return the shortest round time that is not below *milliseconds*."""
    found = next((each for each in _TIMES if each >= milliseconds), None)
    return float(found) if found else DAY_MS * round_up(milliseconds / DAY_MS)


def _levels(top: float, *, is_whole: bool = False) -> tuple[Level, ...]:
    middle = () if is_whole and not _is_whole(top / 2) else (Level(_HEIGHT / 2, top / 2),)
    return (Level(0, top), *middle, Level(_HEIGHT, 0))


def _is_whole(number: float) -> bool:
    return number == round(number)


def _high(height: float, least: float = _LEAST) -> float:
    """Return a height that can be seen, where there is any."""
    return max(height, least) if height else 0.0


def _path(boxes: Iterable[tuple[Slot, float, float]]) -> str:
    return "".join(
        f"M{slot.bar_x:g} {y:.4g}h{slot.bar_width:g}v{height:.4g}h-{slot.bar_width:g}z"
        for slot, y, height in boxes
        if height
    )


def _curve(kind: str, places: Sequence[float], values: Values, top: float) -> Curve:
    path, dots = "", ""
    for x, before, value, after in zip(places, (None, *values[:-1]), values, (*values[1:], None), strict=True):
        if value is None:
            continue
        y = _HEIGHT - value * _HEIGHT / top
        path += f"{'M' if before is None else 'L'}{x:g} {y:.4g}"
        if before is None and after is None:
            dots += f"M{x:g} {y:.4g}l0 0"  # a line of no length is drawn as a dot: it has round ends
    return Curve(kind, path, dots)
