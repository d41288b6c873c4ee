"""The charts of all workflows and of one: runs, durations, tokens and costs over time."""

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from execution_history.errors import N_, InvalidQuery
from execution_history.history.index_wait import IndexWait
from execution_history.history.overview import WINDOWS as _WINDOWS
from execution_history.history.prices import PriceList
from execution_history.history.service import ExecutionHistoryService
from execution_history.presentation.formatting import machine
from execution_history.presentation.phrases import WINDOWS
from execution_history.query.breakdown import Breakdown, BreakdownQuery, By
from execution_history.query.fields import LABELS, RecordFilter
from execution_history.query.model import BucketSize, Figures, Statistics, StatisticsQuery
from execution_history.query.time_buckets import midnight, moment_of
from execution_history.query.values import read_time
from execution_history.records.time_units import DAY_MS
from execution_history.web.pages import urls
from execution_history.web.pages.chart_axis import ChartAxis, axis_of
from execution_history.web.pages.chart_view import MOST_CURRENCIES, Counted, cards_of, currencies
from execution_history.web.pages.forms import query
from execution_history.web.pages.kept_answers import KeptAnswers
from execution_history.web.pages.month_view import Spent, months_of, spent_of
from execution_history.web.pages.templates import Renderer, viewer_for
from execution_history.web.pages.viewer import Viewer

_RANGES: Final[dict[str, tuple[int, BucketSize]]] = {
    "24h": _WINDOWS["24h"],
    "7d": _WINDOWS["7d"],
    "30d": _WINDOWS["30d"],
    "1y": (365 * DAY_MS, "week"),
}
"""How far back from now a range goes, and how long its buckets are; of the first and the last it may have a part."""

_RANGE_NAMES: Final = {**WINDOWS, "1y": N_("1 year")}
_DEFAULT: Final = "7d"
_MOST_GROUPS: Final = 30
_MOST_KEPT: Final = 50
_LONGEST: Final = 40 * 366 * DAY_MS


class Stretch(NamedTuple):
    """The time that a page is about, from ``since`` (ms) on, and the axis of the whole buckets that it touches.

    ``name`` is that of its range, or empty for days that were chosen; ``first`` and ``last`` are these days.
    """

    axis: ChartAxis
    since: int
    name: str
    first: str
    last: str

    def filters(self) -> dict[str, str]:
        """Return the filters of a list with the runs of this time, as its address has them."""
        if self.name in WINDOWS:
            return {"since": self.name}
        return {"since": machine(self.since), **({} if self.name else {"until": machine(self.axis.end)})}


@dataclass(frozen=True, slots=True)
class FigurePages:
    """Shows charts.

    Args:
        service: where the records are.
        renderer: renders pages.
    """

    service: ExecutionHistoryService
    renderer: Renderer
    _statistics: KeptAnswers[Statistics] = field(default_factory=lambda: KeptAnswers(_MOST_KEPT))
    _breakdowns: KeptAnswers[Breakdown] = field(default_factory=lambda: KeptAnswers(_MOST_KEPT))

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route(urls.CHARTS, self.figures, methods=["GET", "HEAD"])
        router.add_api_route("/workflows/{workflow_id}", self.figures, methods=["GET", "HEAD"])

    async def figures(self, request: Request, workflow_id: str | None = None) -> Response:
        """Render runs, failures, durations, tokens and costs of a workflow, or of all, over a range of time."""
        viewer, wait = viewer_for(request), IndexWait()
        stretch = stretch_of(request, viewer)
        named = RecordFilter(workflow_ids=() if workflow_id is None else (workflow_id,))
        statistics = await self._counted(named, stretch, viewer, wait)
        counted = Counted.of(
            stretch.axis, statistics.totals, _by_start(statistics), is_exact=statistics.percentiles_are_exact
        )
        prices = await self.service.price_list()
        kinds: tuple[By, ...] = ("workflow", "account", "caller") if workflow_id is None else ("account", "caller")
        by: By | None = next((name for name in kinds if name == query(request, "by")), None)
        context: dict[str, Any] = {
            "workflow_id": workflow_id,
            "place": urls.CHARTS if workflow_id is None else urls.workflow(workflow_id),
            "statistics": statistics,
            "behind": statistics.reach.revision < await self.service.revision(),
            "range": stretch,
            "within": stretch.filters(),
            "ranges": _RANGE_NAMES,
            "rows": counted.rows(),
            "cards": cards_of(counted, viewer.translate),
            "spent": await self._spent(named, prices, statistics.totals, viewer, wait),
            "has_prices": bool(len(prices.in_force)),
            "currencies": currencies(statistics.totals),
            "more_currencies": max(0, len(statistics.totals.costs) - MOST_CURRENCIES),
            "by": by or "time",
            "bys": {"time": N_("Over time"), **{name: LABELS[name] for name in kinds}},
            "groups": by and await self._groups(named, stretch, by, statistics.totals, viewer, wait),
        }
        return self.renderer.page(request, "figures.html", context)

    async def _counted(
        self, named: RecordFilter, stretch: Stretch, viewer: Viewer, wait: IndexWait, *, figures_only: bool = False
    ) -> Statistics:
        """Return the statistics of the runs that began in a stretch of time, until now."""
        asked = StatisticsQuery(
            filter=_within(named, stretch, viewer),
            bucket=stretch.axis.size,
            zone=viewer.zone.key,
            figures_only=figures_only,
            wait_seconds=wait.seconds,
        )
        return await self._statistics.answer(
            (*_key(named, stretch, viewer), figures_only),
            await self.service.revision(),
            viewer.now,
            lambda: self.service.statistics(asked),
            lambda found: not found.percentiles_are_exact,
        )

    async def _groups(
        self, named: RecordFilter, stretch: Stretch, by: By, totals: Figures, viewer: Viewer, wait: IndexWait
    ) -> Breakdown:
        """Return the figures of each group, the one that costs most first, or else the one with most tokens."""
        asked = BreakdownQuery(
            filter=_within(named, stretch, viewer),
            by=by,
            sort="cost" if totals.costs else "tokens",
            limit=_MOST_GROUPS,
            zone=viewer.zone.key,
            wait_seconds=wait.seconds,
        )
        return await self._breakdowns.answer(
            (*_key(named, stretch, viewer), by, asked.sort),
            await self.service.revision(),
            viewer.now,
            lambda: self.service.breakdown(asked),
            lambda found: found.covers is not None or not found.percentiles_are_exact,
        )

    async def _spent(
        self, named: RecordFilter, prices: PriceList, totals: Figures, viewer: Viewer, wait: IndexWait
    ) -> list[Spent]:
        """Return what was spent in this month, for each currency; nothing where no run can have cost anything."""
        if not (prices.in_force or totals.costs):
            return []
        months = months_of(viewer.now, viewer.zone)
        axis = axis_of(months.last[0], viewer.now + 1, viewer.zone, "day")
        counted = await self._counted(named, Stretch(axis, axis.start, "", "", ""), viewer, wait, figures_only=True)
        days, budget = _by_start(counted), prices.budget
        # A budget is for everything, not for one workflow.
        limit = None if budget.amount is None or named.workflow_ids else float(budget.amount)
        return [
            spent_of(months, days, each, limit if each == budget.currency else None, viewer.zone, viewer.translate)
            for each in currencies(counted.totals)
        ]


def stretch_of(request: Request, viewer: Viewer) -> Stretch:
    """Return the time that the address names: a range until now, or whole days of the reader's."""
    zone, today = viewer.zone, moment_of(viewer.now, viewer.zone).date()
    first, last = _day(request, "from", viewer), _day(request, "to", viewer)
    if first or last:
        first, last = sorted((first or last or today, last or today))
        axis = axis_of(midnight(first, zone), midnight(last + timedelta(days=1), zone), zone)
        return Stretch(axis, axis.start, "", f"{first}", f"{last}")
    name = query(request, "window")
    name = name if name in _RANGES else _DEFAULT
    ago, size = _RANGES[name]
    since = max(0, viewer.now - ago)
    axis = axis_of(since, viewer.now + 1, zone, size)
    return Stretch(axis, since, name, f"{moment_of(since, zone).date()}", f"{today}")


def _within(named: RecordFilter, stretch: Stretch, viewer: Viewer) -> RecordFilter:
    """Return the filter of the runs that began in a stretch of time, until now."""
    return replace(named, created_from=stretch.since, created_before=min(stretch.axis.end, viewer.now + 1))


def _key(named: RecordFilter, stretch: Stretch, viewer: Viewer) -> tuple[object, ...]:
    """Return what is different for each question, whenever it is asked."""
    axis = stretch.axis
    # A range moves with the clock; its answer is kept by its name and its buckets.
    since = stretch.name or stretch.since
    return named.workflow_ids, since, axis.start, axis.end, axis.size, viewer.zone.key


def _day(request: Request, name: str, viewer: Viewer) -> date | None:
    """Return the day that the address names as filters do, none later than today; ``None`` where it names none."""
    try:
        moment = read_time(name, query(request, name), now=viewer.now, zone=viewer.zone)
    except InvalidQuery:
        return None
    return moment_of(min(max(moment, viewer.now - _LONGEST), viewer.now), viewer.zone).date()


def _by_start(statistics: Statistics) -> dict[int, Figures]:
    return {bucket.start: bucket.figures for bucket in statistics.buckets}
