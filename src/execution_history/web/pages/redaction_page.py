"""The page of redaction: the rules in force, a preview, and redaction of what the history has already."""

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from execution_history.errors import ExecutionHistoryError, InvalidInput, quoted
from execution_history.history.service import ExecutionHistoryService
from execution_history.maintenance.redaction import last_redaction, preview_redaction
from execution_history.maintenance.redaction_runs import RedactionRuns
from execution_history.presentation import redaction_sentences
from execution_history.web.errors import fault_of
from execution_history.web.pages import urls
from execution_history.web.pages.forms import form_of
from execution_history.web.pages.templates import Renderer

_MOST: Final = 20_000
_MOST_WORKFLOWS: Final = 20


@dataclass(frozen=True, slots=True)
class RedactionPages:
    """Shows the rules, and redacts.

    Args:
        service: the history, with the rules in force.
        renderer: renders pages.
    """

    service: ExecutionHistoryService
    renderer: Renderer
    runs: RedactionRuns = field(init=False)

    def __post_init__(self) -> None:
        """Make what keeps redactions going."""
        object.__setattr__(self, "runs", RedactionRuns(self.service))

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route(urls.REDACTION, self.rules, methods=["GET", "HEAD"])
        router.add_api_route(urls.REDACTION, self.act, methods=["POST"])

    async def rules(self, request: Request) -> Response:
        """Render the rules, and the last redaction."""
        last = await last_redaction(self.service)
        return await self._page(request, run=last, report=None if last is None else last.report)

    async def act(self, request: Request) -> Response:
        """Preview what would be redacted, or redact, as the form asks."""
        action = (await form_of(request)).get("action", "")
        try:
            if action == "preview":
                report = await preview_redaction(self.service, most=_MOST)
                is_part = report.records >= _MOST
                return await self._page(request, report=report.to_json(), most=_MOST if is_part else None)
            if action != "redact":
                raise InvalidInput("There is no action %(action)s.", action=quoted(action))
            run = await self.runs.begin("page")
        except ExecutionHistoryError as error:
            fault = fault_of(error, request.url.path)
            return await self._page(request, notice=fault.message, status=fault.status)
        return await self._page(request, run=run, report=None if run is None else run.report)

    async def _page(self, request: Request, *, status: int = HTTPStatus.OK, **more: Any) -> Response:  # noqa: ANN401
        await self.service.names()
        rules = self.service.rules
        context = {
            "redaction": rules.redaction,
            "recording": rules.recording,
            "sentences": redaction_sentences,
            "run": None,
            "report": None,
            "notice": None,
            "most": None,
            "most_workflows": _MOST_WORKFLOWS,
            **more,
        }
        return self.renderer.page(request, "redaction.html", context, status)
