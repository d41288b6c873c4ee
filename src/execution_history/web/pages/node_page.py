"""The page of a workflow's nodes over its runs: where it fails, and where its time goes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from execution_history.history.index_wait import IndexWait
from execution_history.history.overview import WINDOWS, Window
from execution_history.history.overview_reader import spread
from execution_history.history.service import ExecutionHistoryService
from execution_history.query.breakdown import Breakdown, BreakdownQuery, Group, GroupSort
from execution_history.query.fields import RecordFilter
from execution_history.query.sort_order import known_first
from execution_history.web.pages import urls
from execution_history.web.pages.chart_axis import ChartAxis, axis_of
from execution_history.web.pages.forms import query
from execution_history.web.pages.sparkline import Spark, spark_of
from execution_history.web.pages.table_order import TableOrder, order_of
from execution_history.web.pages.templates import Renderer, viewer_for

_DEFAULT: Final[Window] = "7d"
_MOST_NODES: Final = 50
_VALUES: Final[dict[str, Callable[[Group], Any]]] = {
    "failed": lambda node: node.figures.counts["failed"],
    "name": lambda node: node.title.casefold(),
    "runs": lambda node: node.figures.runs,
    "p50": lambda node: node.figures.p50,
    "p95": lambda node: node.figures.p95,
    "share": lambda node: node.total_ms,
    "tokens": lambda node: node.figures.tokens,
}
"""What nodes are sorted by, the first unless the address names another."""
_CHOSEN_BY: Final[dict[str, GroupSort]] = {
    "name": "key", "runs": "runs", "p50": "p50", "p95": "p95", "share": "p50", "tokens": "tokens",
}  # fmt: skip
"""By what the nodes are chosen that are shown, where there are more."""


@dataclass(frozen=True, slots=True)
class NodeState:
    """What the page shows, as its address has it."""

    workflow_id: str
    window: Window
    order: TableOrder[str]

    @property
    def address(self) -> str:
        """The address."""
        return urls.with_query(urls.nodes(self.workflow_id), {"window": self.window, **self.order.parameters()})

    def within(self, window: Window) -> str:
        """Return the address of the same for another window."""
        return replace(self, window=window).address

    def sorted_by(self, sort: str) -> str:
        """Return the address of the same nodes sorted by *sort*, or reversed where they are sorted so already."""
        return replace(self, order=self.order.by(sort)).address

    def runs(self, **filters: str) -> str:
        """Return the address of the runs of the window that match *filters*."""
        return urls.with_query(urls.runs(self.workflow_id), {**filters, "since": self.window})


@dataclass(frozen=True, slots=True)
class NodePages:
    """Shows nodes over runs.

    Args:
        service: where the records are.
        renderer: renders pages.
    """

    service: ExecutionHistoryService
    renderer: Renderer

    def add_to(self, router: APIRouter) -> None:
        """Add the route."""
        router.add_api_route("/workflows/{workflow_id}/nodes", self.nodes, methods=["GET", "HEAD"])

    async def nodes(self, request: Request, workflow_id: str) -> Response:
        """Render the nodes of a workflow: runs, failures, times, tokens and trends in a window."""
        viewer, state, wait = viewer_for(request), _state(request, workflow_id), IndexWait()
        length, bucket = WINDOWS[state.window]
        within = RecordFilter(
            workflow_ids=(workflow_id,), created_from=max(0, viewer.now - length), created_before=viewer.now + 1
        )
        found = await self.service.breakdown(
            BreakdownQuery(
                filter=within,
                by="node",
                sort=_CHOSEN_BY.get(state.order.sort, "failed"),
                limit=_MOST_NODES,
                bucket=bucket,
                zone=viewer.zone.key,
                wait_seconds=wait.seconds,
            )
        )
        whole = await self.service.breakdown(BreakdownQuery(filter=within, by="workflow", wait_seconds=wait.seconds))
        axis = axis_of(max(0, viewer.now - length), viewer.now + 1, viewer.zone, bucket)
        nodes = _sorted(found.groups, state)
        context: dict[str, Any] = {
            "workflow_id": workflow_id,
            "state": state,
            "nodes": [(each, _trend(each, found, axis)) for each in nodes],
            "more": found.total_groups - len(nodes),
            "runs": sum(group.figures.runs for group in whole.groups) if found.covers is None else found.covers,
            "total_ms": sum(each.total_ms or 0 for each in found.groups),
            "timed": max((each.timed or 0 for each in nodes), default=0),
            "found": found,
            # Else only days of nodes are still to be added up, which no index shows.
            "is_index_behind": not whole.reach.is_complete,
        }
        return self.renderer.page(request, "nodes.html", context)


def _state(request: Request, workflow_id: str) -> NodeState:
    window = query(request, "window")
    order = order_of(request, _VALUES, next(iter(_VALUES)), frozenset({"name"}))
    return NodeState(workflow_id, window if window in WINDOWS else _DEFAULT, order)


def _sorted(nodes: Iterable[Group], state: NodeState) -> list[Group]:
    """Return *nodes* in the chosen order, those without the value last, of equal value the slowest first."""
    slowest = sorted(nodes, key=lambda node: (-(node.total_ms or 0), node.key))
    return known_first(slowest, _VALUES[state.order.sort], descending=state.order.is_descending)


def _trend(node: Group, found: Breakdown, axis: ChartAxis) -> Spark:
    """Return the runs of a node over the window, and its failures among them."""
    starts, edges = found.bucket_edges[:-1], list(axis.edges)
    runs = spread([point.runs for point in node.trend], starts, edges)
    failed = spread([point.failed for point in node.trend], starts, edges)
    return spark_of(axis, runs, failed)
