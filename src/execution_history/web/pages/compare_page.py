"""The page that compares two runs: any two, or one with the last success before it."""

from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from execution_history.errors import InvalidInput
from execution_history.history.comparison import Run
from execution_history.history.service import ExecutionHistoryService
from execution_history.web.pages import urls
from execution_history.web.pages.compare_view import amounts_of, divergence_pair, same_parts, sections_of
from execution_history.web.pages.templates import Renderer

_BOTH: Final = 2
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
        """Compare the two runs that ``run`` names, the older one left; or one run with the last success before it."""
        keys = request.query_params.getlist("run")
        runs = [urls.run_of(key) for key in keys]
        if len(runs) == 1:
            workflow_id, execute_id = runs[0]
            comparison = await self.service.compare_with_last_success(Run(execute_id, workflow_id), _WAIT_SECONDS)
        elif len(runs) == _BOTH:
            first, second = (Run(execute_id, workflow_id) for workflow_id, execute_id in runs)
            comparison = await self.service.compare(first, second)
            if comparison.old.create_time > comparison.new.create_time:
                comparison = await self.service.compare(second, first)
        else:
            raise InvalidInput("Two runs can be compared; %(count)s are chosen.", count=len(runs))
        divergence = comparison.divergence
        context = {
            "comparison": comparison,
            "sections": sections_of(comparison),
            "same": same_parts(comparison),
            "amounts": amounts_of(comparison),
            "divergence": divergence,
            "parted": None if divergence is None else divergence_pair(divergence),
        }
        return self.renderer.page(request, "compare.html", context)
