"""What this month costs, beside the last one and the budget. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from zoneinfo import ZoneInfo

from execution_history.presentation.formatting import money, round_money
from execution_history.presentation.translator import Translator
from execution_history.query.model import Figures
from execution_history.query.time_buckets import bucket_edges, moment_of
from execution_history.web.pages.chart_axis import ChartAxis
from execution_history.web.pages.chart_view import Card, Spot, Value, marks_of, text_of
from execution_history.web.pages.charts import lines


@dataclass(frozen=True, slots=True)
class Months:
    """The days of this month and of the last one, as the times at which they begin and the last one ends (ms)."""

    this: tuple[int, ...]
    last: tuple[int, ...]
    now: int

    @property
    def days(self) -> int:
        """How many days of this month there have been, with today."""
        return sum(start <= self.now for start in self.this[:-1])


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent in one currency: this month, in as many days of the last month, and in all of that."""

    currency: str
    this: float
    last: float
    whole: float
    card: Card


def months_of(now: int, zone: ZoneInfo) -> Months:
    """Return the months at the time *now* (milliseconds) in a *zone*."""
    start, end = bucket_edges(now, now, "month", zone)
    before = bucket_edges(start - 1, start - 1, "month", zone)[0]
    days = [bucket_edges(first, last - 1, "day", zone) for first, last in ((start, end), (before, start))]
    return Months(tuple(days[0]), tuple(days[1]), now)


def spent_of(
    months: Months, days: Mapping[int, Figures], currency: str, budget: float | None, zone: ZoneInfo, _: Translator
) -> Spent:
    """Return what was spent in *currency*, by the figures of *days*, which are known by the time they begin.

    Args:
        months: this month and the last one.
        days: the figures of the days on which there were runs.
        currency: the currency.
        budget: what may be spent in a month, in this currency; ``None`` for no limit.
        zone: the reader's.
        _: the reader's language.
    """
    sums = [
        list(accumulate(days[start].costs.get(currency, 0.0) if start in days else 0.0 for start in edges[:-1]))
        for edges in (months.this, months.last)
    ]
    this: list[float | None] = [*sums[0][: months.days], *[None] * (len(sums[0]) - months.days)]
    last: list[float | None] = [sums[1][min(day, len(sums[1]) - 1)] for day in range(len(this))]
    axis = ChartAxis(months.this, "day", zone)
    chart = lines(axis, [("last", last), ("this", this)], at_ends=True, budget=budget)

    def values(number: int) -> tuple[Value, ...]:
        shown = (("this", _("This month"), this[number]), ("last", _("Last month to the same day"), last[number]))
        found = [Value(kind, name, money(each, currency)) for kind, name, each in shown if each is not None]
        return tuple(found if budget is None else [*found, Value("budget", _("Budget"), money(budget, currency))])

    spots = tuple(
        Spot(slot.x, slot.width, f"{moment_of(slot.start, zone):%m-%d}",
             text_of(values(number)))
        for number, slot in enumerate(axis.slots())
    )  # fmt: skip
    marks = marks_of(chart.levels, lambda value: round_money(value, currency))
    title = _("Spending this month, cumulative")
    card = Card(title, chart, values(months.days - 1), marks, spots, tuple(axis.ticks()))
    compared = last[months.days - 1] or 0.0
    return Spent(currency, this[months.days - 1] or 0.0, compared, sums[1][-1], card)
