"""The page that compares runs: two or more of a choice, or one with the last success before it."""

from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from execution_history.errors import InvalidInput
from execution_history.history.comparison import Run
from execution_history.history.diff import SeveralComparison
from execution_history.history.service import ExecutionHistoryService
from execution_history.web.pages import urls
from execution_history.web.pages.compare_view import (
    amounts_of,
    divergence_cells,
    node_sections,
    same_parts,
    sections_of,
)
from execution_history.web.pages.forms import query, whole_number
from execution_history.web.pages.templates import Renderer, viewer_for

_BOTH: Final = 2
_MOST: Final = 1_000
_WAIT_SECONDS: Final = 2.0  # more than other pages: without the index there is nothing to show


@dataclass(frozen=True, slots=True)
class ComparePages:
    """Shows comparisons of runs.

    Args:
        service: where the records are.
        renderer: renders pages.
    """

    service: ExecutionHistoryService
    renderer: Renderer

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route(urls.COMPARE, self.compare, methods=["GET", "HEAD"])

    async def compare(self, request: Request) -> Response:
        """Compare the runs that ``run`` names with the one whose number is ``baseline``, or else with the oldest.

        One run alone is compared with the last success before it.
        """
        keys = request.query_params.getlist("run")
        runs = [Run(execute_id, workflow_id) for workflow_id, execute_id in map(urls.run_of, keys)]
        if not runs:
            raise InvalidInput("No run is chosen: tick the boxes of two to six runs in a list, then compare them.")
        if len(runs) == 1:
            partner = (await self.service.compare_with_last_success(runs[0], _WAIT_SECONDS)).old
            runs.insert(0, Run(partner.execute_id, partner.workflow_id))
        baseline = whole_number(request, "baseline", _MOST) if query(request, "baseline") else None
        found = await self._compared(runs, baseline)
        two = found.comparisons[0] if len(found.runs) == _BOTH else None
        divergence = None if two is None else two.divergence
        back = query(request, "back") and urls.own(query(request, "back"))
        shown = [urls.key_of(run.workflow_id, run.execute_id) for run in found.runs]
        context = {
            "back": back,
            "found": found,
            "is_chosen": baseline is not None,
            "sections": sections_of(viewer_for(request).translate, found),
            "same": same_parts(found),
            "amounts": amounts_of(found),
            "nodes": node_sections(found),
            "divergence": divergence,
            "parted": None if divergence is None else divergence_cells(divergence),
            "is_same": all(comparison.is_same for comparison in found.comparisons),
            "left_out": list(dict.fromkeys(each for comparison in found.comparisons for each in comparison.left_out)),
            "baselines": [urls.compare(shown, number, back) for number in range(1, len(shown) + 1)],
        }  # fmt: skip
        return self.renderer.page(request, "compare.html", context)

    async def _compared(self, runs: list[Run], baseline: int | None) -> SeveralComparison:
        """Return the comparison with the run number *baseline*, or with the oldest; the others by their times."""
        found = await self.service.compare_runs(runs, 1 if baseline is None else baseline)
        # The baseline of a choice stays the first one.
        shown, rest = list(found.runs), [] if baseline is None else list(found.runs[:1])
        wanted = [*rest, *sorted(shown[len(rest) :], key=lambda run: run.create_time)]
        if wanted == shown:
            return found
        return await self.service.compare_runs([Run(run.execute_id, run.workflow_id) for run in wanted])
