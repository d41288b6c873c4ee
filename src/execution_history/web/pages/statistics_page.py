"""The page of a workflow: its runs over time."""

from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from execution_history.errors import N_
from execution_history.history.service import ExecutionHistoryService
from execution_history.query.fields import RecordFilter
from execution_history.query.model import BucketSize, StatisticsQuery
from execution_history.web.pages.charts import axis_of, bucket_name, duration_chart, run_chart, token_chart
from execution_history.web.pages.forms import query
from execution_history.web.pages.index_lag import IndexWait
from execution_history.web.pages.templates import Renderer, viewer_for

_HOUR: Final = 3_600_000
_RANGES: Final[dict[str, tuple[int, BucketSize]]] = {
    "24h": (24 * _HOUR, "hour"),
    "7d": (7 * 24 * _HOUR, "day"),
    "30d": (30 * 24 * _HOUR, "day"),
    "1y": (365 * 24 * _HOUR, "week"),
}
_RANGE_NAMES: Final = {"24h": N_("24 hours"), "7d": N_("7 days"), "30d": N_("30 days"), "1y": N_("1 year")}
_DEFAULT: Final = "7d"


@dataclass(frozen=True, slots=True)
class FigurePages:
    """Shows charts.

    Args:
        service: where the records are.
        renderer: renders pages.
    """

    service: ExecutionHistoryService
    renderer: Renderer

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route("/workflows/{workflow_id}", self.figures, methods=["GET", "HEAD"])

    async def figures(self, request: Request, workflow_id: str) -> Response:
        """Render runs, failures, durations and tokens of a workflow over a range of time."""
        viewer = viewer_for(request)
        name = query(request, "range")
        name = name if name in _RANGES else _DEFAULT
        length, bucket = _RANGES[name]
        since = viewer.now - length
        statistics = await self.service.statistics(
            StatisticsQuery(
                filter=RecordFilter(workflow_ids=(workflow_id,), created_from=since, created_before=viewer.now + 1),
                bucket=bucket,
                zone=viewer.zone.key,
                new_since=since,
                wait_seconds=IndexWait().seconds,
            )
        )
        buckets = statistics.buckets
        axis = axis_of(buckets, since, viewer.now, viewer.zone)
        context: dict[str, Any] = {
            "workflow_id": workflow_id,
            "statistics": statistics,
            "range": name,
            "ranges": _RANGE_NAMES,
            "rows": [(bucket_name(each, viewer.zone), each.figures) for each in buckets],
            "runs": run_chart(buckets, axis),
            "durations": duration_chart(buckets, axis),
            "tokens": token_chart(buckets, axis),
        }
        return self.renderer.page(request, "figures.html", context)
