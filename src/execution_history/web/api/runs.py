"""The routes that run workflows, answer runs that wait, and record runs that happened elsewhere."""

from typing import Annotated, Final

from fastapi import APIRouter, Body
from starlette.responses import Response, StreamingResponse

from execution_history.coze import CozeRunner, Reconciler, WorkflowResult
from execution_history.errors import AccountError
from execution_history.web.api.records import RECORD, no_such
from execution_history.web.api.schemas.executions import (
    FETCHING,
    RESUMING,
    RUNNING,
    AccountId,
    Answerer,
    ExecuteId,
    ExecutionAnswer,
    Responses,
    ResumeRequest,
    RunAnswer,
    RunRequest,
    StreamRunRequest,
    WorkflowId,
    described,
)
from execution_history.web.api.streaming import EventStream
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
    """Add the routes that run a workflow; without *runner* they answer with an error."""

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
        frames = _required(runner).stream_workflow(**dict(request), account_id=account_id)
        # An error before the run begins is an ordinary error answer, not a stream.
        first = await anext(frames)
        return EventStream(first, frames)

    @router.post("/workflows/{workflow_id}/run", **described("Run a workflow", RunAnswer, RUNNING, "run"))
    async def run(
        workflow_id: WorkflowId,
        request: Annotated[RunRequest, Body(default_factory=RunRequest)],
        account_id: AccountId = "default",
    ) -> Response:
        """Run a workflow, recorded, wait for its end and answer with the result.

        A failed run is an answer too, with status 200: `success` and `status` have its result.
        """
        return _result(await _required(runner).execute_workflow(workflow_id, **dict(request), account_id=account_id))


def add_resuming(router: APIRouter, runner: CozeRunner | None) -> None:
    """Add the route that answers a waiting run; without *runner* it answers with an error."""

    @router.post(f"{RECORD}/resume", **described("Answer an interrupted run", RunAnswer, RESUMING, "run"))
    async def resume(
        workflow_id: WorkflowId, execute_id: ExecuteId, request: ResumeRequest, account_id: Answerer = None
    ) -> Response:
        """Answer the question of an interrupted run, wait for the result, and keep it in the same record.

        The question is in the record's `metadata.interrupt`.
        """
        result = await _required(runner).resume_workflow(workflow_id, execute_id, request.data, account_id=account_id)
        if result is None:
            raise no_such(workflow_id, execute_id)
        return _result(result)


def add_fetching(router: APIRouter, reconciler: Reconciler | None) -> None:
    """Add the route that records a run that happened elsewhere; without *reconciler* it answers with an error."""

    @router.post(
        f"{RECORD}/fetch", **described("Record a run that happened elsewhere", ExecutionAnswer, FETCHING, "run")
    )
    async def fetch(workflow_id: WorkflowId, execute_id: ExecuteId, account_id: AccountId = "default") -> Response:
        """Fetch a run from Coze by its `execute_id` there, and record it, or bring its record up to date.

        Coze keeps outputs for one to seven days.
        """
        if reconciler is None:
            raise AccountError("This server only keeps histories: it is not set up to fetch runs from Coze.")
        record = await reconciler.fetch(workflow_id, execute_id, account_id)
        return answer({"success": True, "execution": record})


def _required(runner: CozeRunner | None) -> CozeRunner:
    if runner is None:
        raise AccountError("This server only keeps histories: it is not set up to run workflows.")
    return runner


def _result(result: WorkflowResult) -> Response:
    return answer({"success": result["status"] == "success", **result})
