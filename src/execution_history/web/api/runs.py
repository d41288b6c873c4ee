"""Running workflows."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Body
from starlette.responses import Response, StreamingResponse

from execution_history.coze import CozeRunner
from execution_history.errors import AccountError
from execution_history.web.api.event_stream import EventStream
from execution_history.web.api.schemas.executions import (
    RUNNING,
    AccountId,
    Responses,
    RunAnswer,
    RunRequest,
    StreamRunRequest,
    WorkflowId,
)
from execution_history.web.responses import answer

_EXAMPLE: Final = (
    'data: {"event":"workflow_started","data":{"workflow_id":"7431","parameters":{},"execution_id":"0194…"},'
    '"timestamp":1735689600000}\n\ndata: [DONE]\n\n'
)
_STREAMING: Final[Responses] = {
    200: {"description": "The events of the run.", "content": {"text/event-stream": {"example": _EXAMPLE}}},
    **RUNNING,
}


def add_running(router: APIRouter, runner: CozeRunner | None) -> None:
    """Add the routes that run a workflow; without *runner* they say that they cannot."""
    _add_stream_run(router, runner)
    _add_run(router, runner)


def _add_stream_run(router: APIRouter, runner: CozeRunner | None) -> None:
    @router.post(
        "/workflows/stream_run",
        tags=["run"],
        summary="Run a workflow and stream it",
        response_class=StreamingResponse,
        responses=_STREAMING,
    )
    async def stream_run(request: StreamRunRequest, account_id: AccountId = "default") -> Response:
        """Run a workflow, recorded, and answer with server-sent events, each one `data:` line of JSON.

        The first is `workflow_started` with the `execution_id`, then comes one `data` for each event of Coze, and an
        `error` if the run failed; at the end stands `data: [DONE]`. Hanging up does not end the run or its recording.
        """
        frames = given(runner).stream_workflow(
            request.workflow_id,
            request.parameters,
            request.bot_id,
            request.conversation_id,
            user_id=request.user_id,
            account_id=account_id,
        )
        # What is wrong before the run begins is an ordinary error answer, not a stream.
        first = await anext(frames)
        return EventStream(first, frames)


def _add_run(router: APIRouter, runner: CozeRunner | None) -> None:
    @router.post(
        "/workflows/{workflow_id}/run",
        tags=["run"],
        summary="Run a workflow",
        response_model=RunAnswer,
        responses=RUNNING,
    )
    async def run(
        workflow_id: WorkflowId,
        request: Annotated[RunRequest, Body(default_factory=RunRequest)],
        account_id: AccountId = "default",
    ) -> Response:
        """Run a workflow, recorded, wait for its end and answer with the result.

        A run that failed is an answer too, with status 200: `success` and `status` say what became of it.
        """
        result = await given(runner).execute_workflow(
            workflow_id,
            request.parameters,
            request.bot_id,
            request.conversation_id,
            user_id=request.user_id,
            account_id=account_id,
        )
        content: dict[str, Any] = {"success": result["status"] == "success", **result}
        return answer(content)


def given(runner: CozeRunner | None) -> CozeRunner:
    """Return the *runner*, where there is one.

    Raises:
        AccountError: there is none.
    """
    if runner is None:
        raise AccountError("This server keeps histories only: it was given no runner to run workflows with.")
    return runner
