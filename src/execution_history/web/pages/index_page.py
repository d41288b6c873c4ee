"""The line about what the index still lacks, as open pages fetch it until nothing is missing."""

from dataclasses import dataclass

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from execution_history.history.service import ExecutionHistoryService
from execution_history.web.pages import urls
from execution_history.web.pages.forms import query
from execution_history.web.pages.templates import Renderer


@dataclass(frozen=True, slots=True)
class IndexPages:
    """Shows how far the index has come.

    Args:
        service: where the records are.
        renderer: renders pages.
    """

    service: ExecutionHistoryService
    renderer: Renderer

    def add_to(self, router: APIRouter) -> None:
        """Add the route."""
        router.add_api_route(urls.INDEXING, self.indexing, methods=["GET"])

    async def indexing(self, request: Request) -> Response:
        """Render what the index lacks now, with ``texts`` for searches; or that it is complete."""
        has_texts = bool(query(request, "texts"))
        reach = await self.service.index_reach(has_texts=has_texts)
        return self.renderer.page(request, "indexing.html", {"reach": reach, "has_texts": has_texts})
