"""Runs within the runs of a list: counted for each row, folded under the run around them, and unfolded on request."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from execution_history.history.index_wait import IndexWait
from execution_history.history.service import ExecutionHistoryService
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordKey, RecordQuery
from execution_history.web.pages import urls
from execution_history.web.pages.forms import query
from execution_history.web.pages.list_columns import shown_in
from execution_history.web.pages.list_state import ListState
from execution_history.web.pages.run_page import RUN
from execution_history.web.pages.run_row import RunLine, line_of_run
from execution_history.web.pages.templates import Renderer, viewer_for

_MOST: Final = 50
_UNFOLDING: Final = frozenset({"nested", "parent", "id", "q"})
"""Filters for single runs, with which none is folded under another."""


def folded(lines: Sequence[RunLine], state: ListState) -> list[RunLine]:
    """Return *lines* without those whose parent is on the same page: they are found within that one.

    Only a list by time is folded: any other order, and a search, is of single runs.
    """
    if state.sort != "create_time" or any(name in _UNFOLDING for name, _ in state.pairs):
        return [*lines]
    keys = {(workflow_id, line.execute_id) for line in lines for workflow_id in (None, line.workflow_id)}
    return [line for line in lines if not _is_within(line, keys)]


async def with_counts(
    service: ExecutionHistoryService, lines: Sequence[RunLine], wait_seconds: float | None
) -> list[RunLine]:
    """Return *lines*, each with how many runs began directly within it.

    Raises:
        StoreError: the store could not be read.
    """
    counts = await service.count_children(
        [(line.workflow_id, line.execute_id) for line in lines], wait_seconds=wait_seconds
    )
    return [replace(line, within=counts.get(RecordKey(line.workflow_id, line.execute_id), 0)) for line in lines]


@dataclass(frozen=True, slots=True)
class NestedRuns:
    """Shows the runs within one as further rows of a list.

    Args:
        service: where the records are.
        renderer: renders pages.
    """

    service: ExecutionHistoryService
    renderer: Renderer

    def add_to(self, router: APIRouter) -> None:
        """Add the route."""
        router.add_api_route(f"{RUN}/within", self.within, methods=["GET"])

    async def within(self, request: Request, workflow_id: str, execute_id: str) -> Response:
        """Render the first runs that began within a run, as rows like those of the list that requests them."""
        viewer, wait = viewer_for(request), IndexWait()
        found = await self.service.select(
            RecordQuery(
                filter=RecordFilter(parents=(execute_id,)),
                descending=False,
                size=_MOST,
                summaries=True,
                wait_seconds=wait.seconds,
            )
        )
        around: set[tuple[str | None, str]] = {(workflow_id, execute_id), (None, execute_id)}
        lines = [line for summary in found.documents if _is_within(line := line_of_run(summary, viewer.now), around)]
        context = {
            "lines": await with_counts(self.service, lines, wait.seconds),
            "shown": shown_in(query(request, "shown")),
            "missing": max(0, found.total - len(found.documents)),
            "all": urls.with_query(urls.RUNS, {"parent": execute_id}),
        }
        return self.renderer.page(request, "nested_rows.html", context)


def _is_within(line: RunLine, keys: set[tuple[str | None, str]]) -> bool:
    own = {(line.workflow_id, line.execute_id), (None, line.execute_id)}
    return line.parent is not None and line.parent in keys and line.parent not in own
