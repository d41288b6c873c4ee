"""Workflows over HTTP: listed with their names, named, and their names requested upstream."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Body
from starlette.responses import Response

from execution_history.coze import UpstreamNames
from execution_history.errors import AccountError
from execution_history.history.service import ExecutionHistoryService
from execution_history.web.api.schemas.executions import (
    CHANGING,
    READING,
    RUNNING,
    AccountId,
    LearnedNamesAnswer,
    NamingAnswer,
    NamingRequest,
    WorkflowId,
    WorkflowsAnswer,
    described,
)
from execution_history.web.responses import answer, encode_shapes, json_answer

_WORKFLOW: Final = "/workflows/{workflow_id}"
_NOTHING: Final = {"name": "", "description": "", "starred": False, "hidden": False}

Naming = Annotated[NamingRequest, Body()]


def add_workflows(router: APIRouter, service: ExecutionHistoryService) -> None:
    """Add the routes that list workflows and name them."""

    @router.get("/workflows", **described("List workflows", WorkflowsAnswer, READING))
    async def list_workflows(_account_id: AccountId = "default") -> Response:
        """Return every workflow that has history, with its counts per status, the one with the newest run first.

        Each has its name, its description, and whether people starred or hid it; hidden ones are listed too.
        """
        workflows = await service.listed_workflows()
        return json_answer(encode_shapes({"success": True, "workflows": workflows, "total": len(workflows)}))

    @router.patch(_WORKFLOW, **described("Name, star or hide a workflow", NamingAnswer, CHANGING))
    async def change_workflow(workflow_id: WorkflowId, request: Naming) -> Response:
        """Change what is noted about a workflow: what the body has, and nothing else; null removes it.

        The workflow may have no history yet.
        """
        return await named(workflow_id, _given(request))

    @router.put(_WORKFLOW, **described("Replace what is noted about a workflow", NamingAnswer, CHANGING))
    async def replace_workflow(workflow_id: WorkflowId, request: Naming) -> Response:
        """Replace all that people noted about a workflow; what the body leaves out is removed."""
        return await named(workflow_id, _NOTHING | _given(request))

    async def named(workflow_id: str, words: dict[str, Any]) -> Response:
        name = await service.name_workflow(workflow_id, **words)
        noted = {"name": name.name, "description": name.description}
        flags = {"starred": name.starred, "hidden": name.hidden}
        return answer({"success": True, "workflow_id": workflow_id, **noted, **flags})


def add_learning(router: APIRouter, names: UpstreamNames | None) -> None:
    """Add the route that requests names from an upstream; without *names* it answers with an error."""

    @router.post(
        "/workflows/names/learn", **described("Ask Coze for the names of workflows", LearnedNamesAnswer, RUNNING, "run")
    )
    async def learn_names(account_id: AccountId = "default") -> Response:
        """Ask the account's upstream for its workflows, and keep their names; those that people gave stay."""
        if names is None:
            raise AccountError("This server only keeps histories: it is not set up to ask Coze for names.")
        return answer({"success": True, **(await names.learn(account_id))._asdict()})


def _given(request: NamingRequest) -> dict[str, Any]:
    return {key: _NOTHING[key] if value is None else value for key, value in request if key in request.model_fields_set}
