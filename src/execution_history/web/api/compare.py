"""Comparing two runs."""

from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.responses import Response

from execution_history.history.comparison import Run
from execution_history.history.service import ExecutionHistoryService
from execution_history.web.api.schemas.executions import FINDING, ExecuteId, WorkflowId
from execution_history.web.api.schemas.reports import ComparisonAnswer
from execution_history.web.responses import answer

LAST_SUCCESS: Final = "last_success"

Other = Annotated[
    str, Query(alias="with", description="The older run: its execute_id, or last_success for the one before this.")
]
OtherWorkflow = Annotated[str | None, Query(description="The other run's workflow; by default the same.")]


def add_comparing(router: APIRouter, service: ExecutionHistoryService) -> None:
    """Add the route that compares a run with another."""

    @router.get(
        "/workflows/{workflow_id}/history/{execute_id}/compare",
        tags=["history"],
        summary="Compare a run with another",
        response_model=ComparisonAnswer,
        responses=FINDING,
    )
    async def compare(
        workflow_id: WorkflowId, execute_id: ExecuteId, other: Other = LAST_SUCCESS, with_workflow: OtherWorkflow = None
    ) -> Response:
        """Return what is different in input, output, settings and ending, where the nodes part, and what both took.

        The run of the address is the new one. An execution whose id is `last_success` is named with `with_workflow`.
        """
        run = Run(execute_id, workflow_id)
        if other == LAST_SUCCESS and with_workflow is None:
            comparison = await service.compare_with_last_success(run)
        else:
            comparison = await service.compare(Run(other, with_workflow or workflow_id), run)
        return answer({"success": True, "comparison": comparison.to_json()})
