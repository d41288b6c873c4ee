"""What a list shows of its runs beside them, on request: the numbers of its tabs, and facets with counts."""

import asyncio
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from execution_history.history.index_wait import IndexWait
from execution_history.history.service import ExecutionHistoryService
from execution_history.query.breakdown import BreakdownQuery, By
from execution_history.query.fields import FILTERS, RecordFilter
from execution_history.query.model import RecordQuery, StatisticsQuery
from execution_history.query.rollups import is_rolled_up
from execution_history.web.pages import urls
from execution_history.web.pages.forms import query
from execution_history.web.pages.list_filters import (
    FACETS,
    TAB_FILTERS,
    Count,
    counts_of,
    counts_of_statistics,
    facet_of,
    tabs_of,
)
from execution_history.web.pages.list_state import ListState, list_state
from execution_history.web.pages.templates import Renderer, viewer_for
from execution_history.web.pages.viewer import Viewer

_SHOWN: Final = 8
_COUNT_SECONDS: Final = 1.0
_MOST_SHOWN: Final = 200
_MOST_RUNS: Final = 2_000
"""So many runs are counted by each of several facets: all of them together take no longer than one page."""
_KEYWORDS: Final = {row.name: row.keyword for row in FILTERS}


@dataclass(frozen=True, slots=True)
class FacetPages:
    """Counts the runs of lists.

    Args:
        service: where the records are.
        renderer: renders pages.
    """

    service: ExecutionHistoryService
    renderer: Renderer

    def add_to(self, router: APIRouter) -> None:
        """Add the routes: each for all workflows, and for one."""
        for path in (urls.RUNS, "/workflows/{workflow_id}"):
            router.add_api_route(f"{path}/tabs", self.tabs, methods=["GET"])
            router.add_api_route(f"{path}/facets", self.facets, methods=["GET", "HEAD"])

    async def record_filter(self, state: ListState, viewer: Viewer, workflow_id: str | None) -> RecordFilter:
        """Return the filter of a list, with the ids of the workflows that it calls by their names.

        Raises:
            InvalidQuery: a filter is invalid, or several workflows are called so.
        """
        return await self.service.with_workflow_ids(state.record_filter(viewer, workflow_id))

    async def tabs(self, request: Request) -> Response:
        """Render the tabs of a list with their numbers."""
        state, viewer, workflow_id = _list_of(request)
        found = await self.record_filter(state, viewer, workflow_id)
        counts = await self.counts(found)
        return self.renderer.page(request, "list_tabs.html", {"tabs": tabs_of(state, counts), "is_counted": True})

    async def counts(self, record_filter: RecordFilter) -> dict[str, Count]:
        """Return the numbers of the tabs of a list with this filter."""
        wait, among = IndexWait(), replace(record_filter, statuses=(), pinned=None)
        if not replace(among, workflow_ids=()).given():
            counts = await self._counters(among.workflow_ids)
        elif is_rolled_up(among, 0):
            counted = StatisticsQuery(filter=among, counts_only=True, figures_only=True, wait_seconds=wait.seconds)
            counts = counts_of_statistics(await self.service.statistics(counted))
        else:
            counts = counts_of(
                await self.service.breakdown(
                    BreakdownQuery(filter=among, by="status", counts_only=True, wait_seconds=wait.seconds)
                )
            )
        pins = RecordQuery(filter=replace(among, pinned=True), size=1, summaries=True, wait_seconds=wait.seconds)
        pinned = await self.service.select(pins)
        return {**counts, "pinned": Count(pinned.total, pinned.total_is_exact and pinned.reach.is_complete)}

    async def facets(self, request: Request) -> Response:
        """Render the values of a list's filters with their counts; of one filter all that can be shown."""
        state, viewer, workflow_id = _list_of(request)
        asked = query(request, "of")
        names = tuple(name for name in FACETS if name == asked) or FACETS
        found = await self.record_filter(state, viewer, workflow_id)
        limit, most = (_SHOWN, _MOST_RUNS) if len(names) > 1 else (_MOST_SHOWN, None)
        counting = asyncio.create_task(self.service.breakdowns([_counted(found, name, limit, most) for name in names]))
        # What takes long holds up no page: each is counted by a request of its own.
        await asyncio.wait([counting], timeout=_COUNT_SECONDS if len(names) > 1 else None)
        counting.cancel()
        breakdowns = dict(zip(names, counting.result(), strict=True)) if counting.done() else {}
        facets = [facet_of(state, name, each) for name, each in breakdowns.items()]
        context = {
            "state": state,
            "workflow_id": workflow_id,
            "facets": [facet for facet in facets if facet.values],
            "late": [name for name in names if name not in breakdowns],
            "covers": min((each.covers for each in breakdowns.values() if each.covers is not None), default=None),
            "is_piece": query(request, "piece") == "1",
            "facets_address": f"{_base(workflow_id)}/facets",
        }
        return self.renderer.page(request, "facets.html", context)

    async def _counters(self, workflow_ids: tuple[str, ...]) -> dict[str, Count]:
        """Return the numbers per status of some workflows, or of all, which are counted with each change."""
        summaries = await self.service.workflow_summaries()
        if workflow_ids:
            summaries = [each for each in summaries if each.workflow_id in workflow_ids]
        totals: dict[str, int] = {"all": 0}
        for summary in summaries:
            totals["all"] += summary.total
            for status, count in summary.counts.items():
                totals[status] = totals.get(status, 0) + count
        return {key: Count(totals.get(key, 0)) for key in ("failed", "running", "interrupted", "success", *totals)}


def _counted(record_filter: RecordFilter, by: By, limit: int, most: int | None) -> BreakdownQuery:
    """Return the query that counts the runs of a list by one filter, without the values of that filter that are on."""
    among = record_filter if by == "tag" else replace(record_filter, **cast("dict[str, Any]", {_KEYWORDS[by]: ()}))
    return BreakdownQuery(
        filter=among, by=by, limit=limit, most_runs=most, counts_only=True, wait_seconds=IndexWait().seconds
    )


def is_counted(state: ListState) -> bool:
    """Return whether the numbers of a list's tabs are counters, and need no request."""
    return not state.besides(*TAB_FILTERS, "workflow").pairs


def _base(workflow_id: str | None) -> str:
    return urls.RUNS if workflow_id is None else urls.workflow(workflow_id)


def _list_of(request: Request) -> tuple[ListState, Viewer, str | None]:
    workflow_id = request.path_params.get("workflow_id")
    state = list_state(urls.runs(workflow_id), request.query_params.multi_items())
    return replace(state, after=None), viewer_for(request), workflow_id
