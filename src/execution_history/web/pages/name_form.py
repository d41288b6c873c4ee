"""The form that names, describes, stars and hides a workflow."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from execution_history.history.service import ExecutionHistoryService
from execution_history.web.pages import urls
from execution_history.web.pages.forms import form_of

_FLAGS: Final = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class NameForm:
    """Keeps what people note about workflows.

    Args:
        service: where the names are.
    """

    service: ExecutionHistoryService

    def add_to(self, router: APIRouter) -> None:
        """Add the route."""
        router.add_api_route("/workflows/{workflow_id}/name", self.keep, methods=["POST"])

    async def keep(self, request: Request, workflow_id: str) -> Response:
        """Keep what the form has fields for, and nothing else; redirect back."""
        form = await form_of(request)
        await self.service.name_workflow(
            workflow_id,
            name=form.get("name"),
            description=form.get("description"),
            starred=_FLAGS.get(form.get("starred", "")),
            hidden=_FLAGS.get(form.get("hidden", "")),
        )
        return RedirectResponse(urls.own(form.get("back", "") or urls.runs(workflow_id)), HTTPStatus.SEE_OTHER)
