"""The JSON routes: each reads its parameters, calls one thing and answers."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from http import HTTPStatus
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Body, Path, Query
from pydantic import BaseModel, Field
from starlette.responses import Response, StreamingResponse

from execution_history.coze import CozeRunner
from execution_history.errors import AccountError
from execution_history.service import MAX_PAGE_SIZE, ExecutionHistoryService
from execution_history.store import WorkflowSummary
from execution_history.web.answers import answer, detail_answer, error_answer, page_answer
from execution_history.web.paths import HistoryRoute

_STREAM_HEADERS: Final = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}

WorkflowId = Annotated[str, Path(description="The workflow; any text, percent-encoded.")]
ExecuteId = Annotated[str, Path(description="The execution's own id, as the list gives it.")]
PageSize = Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE, description="Records on a page.")]
PageIndex = Annotated[int, Query(ge=1, description="Which page, counted from 1, newest records first.")]
AccountId = Annotated[str, Query(description="The configured Coze account that calls go to.")]


class RunRequest(BaseModel):
    """What a run is started with."""

    parameters: dict[str, Any] | None = Field(None, description="The inputs of the workflow's start node.")
    bot_id: str | None = Field(None, description="The bot, where the workflow needs one.")
    conversation_id: str | None = Field(None, description="The conversation the run belongs to; kept and given back.")
    user_id: str | None = Field(None, description="The end user, passed on to Coze.")


class StreamRunRequest(RunRequest):
    """The same, with the workflow."""

    workflow_id: str = Field(description="The workflow to run.")


_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    422: {"description": "A parameter is wrong; the message names it.", "content": {"application/json": {}}},
    503: {"description": "The store, or the Coze account, cannot be used now; the message says why."},
}
_NOT_FOUND: Final[dict[int | str, dict[str, Any]]] = {404: {"description": "There is no such record."}, **_ERRORS}


def history_router(
    service: ExecutionHistoryService, runner: CozeRunner | None = None, prefix: str = "/coze"
) -> APIRouter:
    """The history routes, for an application of ours or of yours (``app.include_router(history_router(service))``).

    Args:
        service: where histories are.
        runner: what runs workflows; without one the run routes say so.
        prefix: what every path begins with.
    """
    router = APIRouter(prefix=prefix, route_class=HistoryRoute)
    _add_reading(router, service)
    _add_deleting(router, service)
    _add_running(router, runner)
    return router


def _add_reading(router: APIRouter, service: ExecutionHistoryService) -> None:
    @router.get("/workflows", tags=["history"], summary="The workflows that have history", responses=_ERRORS)
    async def list_workflows(account_id: AccountId = "default") -> Response:
        """Every workflow with its counts per status, the one with the newest run first; times in milliseconds."""
        del account_id
        summaries = await service.workflow_summaries()
        return answer({"success": True, "workflows": [_summary(s) for s in summaries], "total": len(summaries)})

    @router.get("/workflows/{workflow_id}/history", tags=["history"], summary="A page of history", responses=_ERRORS)
    async def get_workflow_history(
        workflow_id: WorkflowId, page_size: PageSize = 20, page_index: PageIndex = 1, account_id: AccountId = "default"
    ) -> Response:
        """The records of a workflow, newest first; a workflow without history has an empty page."""
        del account_id
        return page_answer(await service.page_bytes(workflow_id, page_size, page_index))

    @router.get(
        "/workflows/{workflow_id}/history/{execute_id}",
        tags=["history"],
        summary="One record",
        responses=_NOT_FOUND,
    )
    async def get_execution_detail(
        workflow_id: WorkflowId, execute_id: ExecuteId, account_id: AccountId = "default"
    ) -> Response:
        """The whole record of one execution."""
        del account_id
        document = await service.detail_bytes(workflow_id, execute_id)
        return _no_such(workflow_id, execute_id) if document is None else detail_answer(document)


def _add_deleting(router: APIRouter, service: ExecutionHistoryService) -> None:
    @router.delete(
        "/workflows/{workflow_id}/history/{execute_id}",
        tags=["history"],
        summary="Delete one record",
        responses=_NOT_FOUND,
    )
    async def delete_execution(
        workflow_id: WorkflowId, execute_id: ExecuteId, account_id: AccountId = "default"
    ) -> Response:
        """Remove the record of one execution."""
        del account_id
        if await service.delete_execution_record(workflow_id, execute_id):
            return answer({"success": True})
        return _no_such(workflow_id, execute_id)

    @router.delete(
        "/workflows/{workflow_id}/history",
        tags=["history"],
        summary="Delete a workflow's history",
        responses=_NOT_FOUND,
    )
    async def clear_history(workflow_id: WorkflowId, account_id: AccountId = "default") -> Response:
        """Remove all records of a workflow."""
        del account_id
        if await service.clear_workflow_history(workflow_id):
            return answer({"success": True})
        return error_answer(HTTPStatus.NOT_FOUND, "not_found", f"Workflow {workflow_id[:200]!r} has no history.")


def _add_running(router: APIRouter, runner: CozeRunner | None) -> None:
    def running() -> CozeRunner:
        if runner is None:
            raise AccountError("This server keeps histories only: it was given no runner to run workflows with.")
        return runner

    @router.post("/workflows/stream_run", tags=["run"], summary="Run a workflow and stream it", responses=_ERRORS)
    async def stream_run(request: StreamRunRequest, account_id: AccountId = "default") -> Response:
        """Server-sent events, each one ``data:`` line of JSON, at the end ``data: [DONE]``. The run is recorded."""
        frames = running().stream_workflow(
            request.workflow_id,
            request.parameters,
            request.bot_id,
            request.conversation_id,
            user_id=request.user_id,
            account_id=account_id,
        )
        # What is wrong before the run begins is an ordinary error answer, not a stream.
        first = await anext(frames)
        return StreamingResponse(_lines(first, frames), media_type="text/event-stream", headers=_STREAM_HEADERS)

    @router.post("/workflows/{workflow_id}/run", tags=["run"], summary="Run a workflow", responses=_ERRORS)
    async def run(
        workflow_id: WorkflowId,
        request: Annotated[RunRequest, Body(default_factory=RunRequest)],
        account_id: AccountId = "default",
    ) -> Response:
        """Run a workflow, wait for its end and answer with the result. The run is recorded."""
        result = await running().execute_workflow(
            workflow_id,
            request.parameters,
            request.bot_id,
            request.conversation_id,
            user_id=request.user_id,
            account_id=account_id,
        )
        return answer({"success": result["status"] == "success", **result})


async def _lines(first: dict[str, Any], frames: AsyncGenerator[dict[str, Any], None]) -> AsyncIterator[bytes]:
    async with aclosing(frames):
        yield b"data: " + orjson.dumps(first) + b"\n\n"
        async for frame in frames:
            yield b"data: " + orjson.dumps(frame) + b"\n\n"
    yield b"data: [DONE]\n\n"


def _summary(summary: WorkflowSummary) -> dict[str, Any]:
    return {
        "workflow_id": summary.workflow_id,
        "total": summary.total,
        "counts": summary.counts,
        "last_create_time": summary.last_create_time,
        "updated_at": summary.updated_at,
    }


def _no_such(workflow_id: str, execute_id: str) -> Response:
    sentence = f"Workflow {workflow_id[:200]!r} has no execution {execute_id[:200]!r}."
    return error_answer(HTTPStatus.NOT_FOUND, "not_found", sentence)
