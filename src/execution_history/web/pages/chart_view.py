"""Charts as they are shown: with their values, and with the words of the reader's language. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from execution_history.presentation.formatting import duration, money, round_money, thin
from execution_history.presentation.translator import Translator
from execution_history.query.model import Figures
from execution_history.query.statistics import Sums
from execution_history.web.pages.chart_axis import ChartAxis, Tick
from execution_history.web.pages.charts import Chart, Level, lines, stacked, two_sided

_TOP: Final = 8
_PIXELS: Final = 1.12
MOST_CURRENCIES: Final = 3
"""Each has charts and figures of its own."""

_SHORT: Final = ((1_000_000_000, 1_000_000_000, "G"), (1_000_000, 1_000_000, "M"), (10_000, 1_000, "k"))
_UNITS: Final = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"), (1, "ms"))
_EMPTY: Final = Sums({}).figures()


class Value(NamedTuple):
    """A value beside a chart, or of one of its buckets: the kind of its bar or line, its name and its text."""

    kind: str
    name: str
    text: str


class Mark(NamedTuple):
    """A number beside a chart: at which height (pixels), and its text."""

    y: float
    text: str


class Spot(NamedTuple):
    """A bucket that can be pointed at: where it begins, how wide it is, its time and its values as one text."""

    x: float
    width: float
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Card:
    """A chart with its title, its values over the whole time, and what stands around it."""

    title: str
    chart: Chart
    values: tuple[Value, ...]
    marks: tuple[Mark, ...]
    spots: tuple[Spot, ...]
    ticks: tuple[Tick, ...]
    line: Mark | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """The figures of a stretch of time: of each bucket of *axis*, and of all of it."""

    axis: ChartAxis
    totals: Figures
    buckets: tuple[Figures, ...]
    is_exact: bool = True

    @classmethod
    def of(cls, axis: ChartAxis, totals: Figures, buckets: Mapping[int, Figures], *, is_exact: bool) -> "Counted":
        """Return the figures of *buckets*, which are known by the time at which they begin; others are empty."""
        return cls(axis, totals, tuple(buckets.get(start, _EMPTY) for start in axis.edges[:-1]), is_exact)

    @property
    def about(self) -> str:
        """The sign before percentiles that are approximate."""
        return "" if self.is_exact else "≈ "

    def rows(self) -> list[tuple[int, int, str, Figures]]:
        """Return each bucket that has runs: its times (ms), its name and its figures."""
        slots = zip(self.axis.slots(), self.buckets, strict=True)
        return [(slot.start, slot.end, self.axis.name(slot.start, slot.end), each) for slot, each in slots if each.runs]


def cards_of(counted: Counted, _: Translator) -> list[Card]:
    """Return the charts of runs, durations, tokens and, where there are any, costs."""
    axis, totals, buckets = counted.axis, counted.totals, counted.buckets
    failed = [_failed(each) for each in buckets]
    runs = [each.runs for each in buckets]
    times = [("p95", [each.p95 for each in buckets]), ("p50", [each.p50 for each in buckets])]
    cards = [
        _card(_("Runs, failures below the axis"), counted, two_sided(axis, runs, failed, ("runs", "failed")),
              lambda each: _run_values(each, _), short),
        _card(_("Duration"), counted,
lines(axis, times, is_time=True),
              lambda each: _durations(each, counted.about), round_duration),
    ]  # fmt: skip
    if totals.tokens:
        parts = [
            ("read", [each.input_tokens for each in buckets]),
            ("written", [each.output_tokens for each in buckets]),
            ("unsplit", [_unsplit(each) for each in buckets]),
        ]
        chart = stacked(axis, parts, is_whole=True)
        cards.append(_card(_("Tokens"), counted, chart, lambda each: _token_values(each, totals, _), short))
    return [*cards, *(_cost_card(counted, currency, _) for currency in currencies(totals))]


def currencies(figures: Figures) -> list[str]:
    """Return the currencies that are shown of what runs have cost, the one with the largest amount first."""
    return sorted(figures.costs, key=lambda name: (-figures.costs[name], name))[:MOST_CURRENCIES]


def marks_of(levels: Sequence[Level], text: Callable[[float], str]) -> tuple[Mark, ...]:
    """Return the numbers beside a chart."""
    return tuple(Mark(round(_TOP + level.y * _PIXELS + 4, 1), text(level.value)) for level in levels)


def short(value: float) -> str:
    """Return a number with few digits: ``950``, ``12k``, ``1.5M``."""
    for least, unit, name in _SHORT:
        if value >= least:
            return f"{value / unit:.3g}{name}"
    return thin(round(value)) if value == round(value) else f"{value:g}"


def round_duration(milliseconds: float) -> str:
    """Return a round time with few letters: ``500 ms``, ``1.5 s``, ``20 min``, ``0``."""
    for unit, name in _UNITS:
        if milliseconds >= unit:
            return f"{milliseconds / unit:.3g} {name}"
    return "0"


def text_of(values: Sequence[Value]) -> str:
    """Return *values* as one text."""
    return " · ".join(f"{value.name} {value.text}".strip() for value in values)


def _card(
    title: str,
    counted: Counted,
    chart: Chart,
    values: Callable[[Figures], tuple[Value, ...]],
    text: Callable[[float], str],
) -> Card:
    spots = tuple(
        Spot(slot.x, slot.width, counted.axis.name(slot.start, slot.end), text_of(values(each)))
        for slot, each in zip(counted.axis.slots(), counted.buckets, strict=True)
    )
    return Card(title, chart, values(counted.totals), marks_of(chart.levels, text), spots, tuple(counted.axis.ticks()))


def _cost_card(counted: Counted, currency: str, _: Translator) -> Card:
    def cost(figures: Figures) -> float:
        return figures.costs.get(currency, 0.0)

    chart = stacked(counted.axis, [("cost", [cost(each) for each in counted.buckets])])
    return _card(
        _("Cost"),
        counted,
        chart,
        lambda each: (Value("cost", "", money(cost(each), currency)),),
        lambda value: round_money(value, currency),
    )


def _failed(figures: Figures) -> int:
    return figures.counts.get("failed", 0)


def _unsplit(figures: Figures) -> int:
    return max(0, figures.tokens - figures.input_tokens - figures.output_tokens)


def _run_values(figures: Figures, _: Translator) -> tuple[Value, ...]:
    return (Value("runs", _("Runs"), thin(figures.runs)), Value("failed", _("Failed"), thin(_failed(figures))))


def _durations(figures: Figures, about: str) -> tuple[Value, ...]:
    times = (("p95", figures.p95), ("p50", figures.p50))
    return tuple(Value(name, name, "–" if each is None else f"{about}{duration(each)}") for name, each in times)


def _token_values(figures: Figures, totals: Figures, _: Translator) -> tuple[Value, ...]:
    """Return the parts of the tokens that there are at all in the *totals*."""
    values = (
        Value("read", _("input"), thin(figures.input_tokens)),
        Value("written", _("output"), thin(figures.output_tokens)),
    )
    if not _unsplit(totals):
        return values
    rest = Value("unsplit", _("total only"), thin(_unsplit(figures)))
    return (*values, rest) if totals.input_tokens or totals.output_tokens else (rest,)
