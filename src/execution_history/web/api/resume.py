"""Going on with runs that wait for an answer, and recording runs that happened elsewhere."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from execution_history.coze import CozeRunner, Reconciler
from execution_history.errors import AccountError
from execution_history.web.api.records import no_such
from execution_history.web.api.runs import given
from execution_history.web.api.schemas.executions import (
    ASKING,
    RESUMING,
    AccountId,
    Answerer,
    ExecuteId,
    ExecutionAnswer,
    ResumeRequest,
    RunAnswer,
    WorkflowId,
)
from execution_history.web.responses import answer

_RECORD = "/workflows/{workflow_id}/history/{execute_id}"


def add_resuming(router: APIRouter, runner: CozeRunner | None, reconciler: Reconciler | None) -> None:
    """Add the routes; without *runner* or *reconciler* they say that they cannot."""
    _add_resume(router, runner)
    _add_fetch(router, reconciler)


def _add_resume(router: APIRouter, runner: CozeRunner | None) -> None:
    @router.post(
        f"{_RECORD}/resume",
        tags=["run"],
        summary="Answer an interrupted run",
        response_model=RunAnswer,
        responses=RESUMING,
    )
    async def resume(
        workflow_id: WorkflowId, execute_id: ExecuteId, request: ResumeRequest, account_id: Answerer = None
    ) -> Response:
        """Answer the question of an interrupted run, wait for what comes of it, and keep it in the same record.

        What the run asks stands in the record's `metadata.interrupt`.
        """
        result = await given(runner).resume_workflow(workflow_id, execute_id, request.data, account_id=account_id)
        if result is None:
            raise no_such(workflow_id, execute_id)
        content: dict[str, Any] = {"success": result["status"] == "success", **result}
        return answer(content)


def _add_fetch(router: APIRouter, reconciler: Reconciler | None) -> None:
    @router.post(
        f"{_RECORD}/fetch",
        tags=["run"],
        summary="Record a run that happened elsewhere",
        response_model=ExecutionAnswer,
        responses=ASKING,
    )
    async def fetch(workflow_id: WorkflowId, execute_id: ExecuteId, account_id: AccountId = "default") -> Response:
        """Ask Coze for a run by its `execute_id` there, and record it, or bring its record up to date.

        Coze keeps outputs for one to seven days.
        """
        if reconciler is None:
            raise AccountError("This server keeps histories only: it was given nothing to ask Coze with.")
        record = await reconciler.fetch(workflow_id, execute_id, account_id)
        return answer({"success": True, "execution": record})
