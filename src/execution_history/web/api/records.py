"""Reading histories, and deleting them."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from execution_history.errors import ExecutionNotFound, quoted
from execution_history.history.service import ExecutionHistoryService
from execution_history.web.api.query_parameters import HISTORY_PARAMETERS, asks_for_more, documented
from execution_history.web.api.schemas.executions import (
    DELETING,
    FINDING,
    FINDING_HISTORY,
    READING,
    AccountId,
    DoneAnswer,
    ExecuteId,
    ExecutionAnswer,
    FoundAnswer,
    PageIndex,
    PageSize,
    WorkflowId,
    WorkflowsAnswer,
)
from execution_history.web.api.search import found
from execution_history.web.responses import answer, detail_answer, page_answer

_PAGE = "/workflows/{workflow_id}/history"
_RECORD = "/workflows/{workflow_id}/history/{execute_id}"


def add_reading(router: APIRouter, service: ExecutionHistoryService) -> None:
    """Add the routes that read: the workflows, a page of one, and one record."""

    @router.get(
        "/workflows", tags=["history"], summary="List workflows", response_model=WorkflowsAnswer, responses=READING
    )
    async def list_workflows(account_id: AccountId = "default") -> Response:
        """Every workflow that has history, with its counts per status, the one with the newest run first."""
        del account_id
        workflows = [
            {
                "workflow_id": summary.workflow_id,
                "total": summary.total,
                "counts": summary.counts,
                "last_create_time": summary.last_create_time,
                "updated_at": summary.updated_at,
            }
            for summary in await service.workflow_summaries()
        ]
        return answer({"success": True, "workflows": workflows, "total": len(workflows)})

    @router.get(
        _PAGE,
        tags=["history"],
        summary="A page of history",
        response_model=FoundAnswer,
        responses=FINDING_HISTORY,
        openapi_extra=documented(*HISTORY_PARAMETERS, workflow=False),
    )
    async def get_workflow_history(
        request: Request,
        workflow_id: WorkflowId,
        page_size: PageSize = 20,
        page_index: PageIndex = 1,
        account_id: AccountId = "default",
    ) -> Response:
        """Return the records of a workflow, newest first; a workflow without history has an empty page.

        With any of the filters, or an order, a cursor or a view, the answer has `total_is_exact` and `next_cursor` too.
        """
        del account_id
        pairs = request.query_params.multi_items()
        if asks_for_more(pairs):
            return await found(service, pairs, page_size, page_index, workflow_id)
        return page_answer(await service.page_bytes(workflow_id, page_size, page_index))

    @router.get(_RECORD, tags=["history"], summary="One record", response_model=ExecutionAnswer, responses=FINDING)
    async def get_execution_detail(
        workflow_id: WorkflowId, execute_id: ExecuteId, account_id: AccountId = "default"
    ) -> Response:
        """Return the whole record of one execution."""
        del account_id
        document = await service.detail_bytes(workflow_id, execute_id)
        if document is None:
            raise no_such(workflow_id, execute_id)
        return detail_answer(document)


def add_deleting(router: APIRouter, service: ExecutionHistoryService) -> None:
    """Add the routes that delete one record, or a workflow's whole history."""

    @router.delete(
        _RECORD, tags=["history"], summary="Delete one record", response_model=DoneAnswer, responses=DELETING
    )
    async def delete_execution(
        workflow_id: WorkflowId, execute_id: ExecuteId, account_id: AccountId = "default"
    ) -> Response:
        """Remove the record of one execution."""
        del account_id
        if await service.delete_execution_record(workflow_id, execute_id):
            return answer({"success": True})
        raise no_such(workflow_id, execute_id)

    @router.delete(
        _PAGE, tags=["history"], summary="Delete a workflow's history", response_model=DoneAnswer, responses=DELETING
    )
    async def clear_history(workflow_id: WorkflowId, account_id: AccountId = "default") -> Response:
        """Remove all records of a workflow."""
        del account_id
        if await service.clear_workflow_history(workflow_id):
            return answer({"success": True})
        raise ExecutionNotFound("Workflow %(workflow)s has no history.", workflow=quoted(workflow_id))


def no_such(workflow_id: str, execute_id: str) -> ExecutionNotFound:
    """Return the error of a question for a record that is not there."""
    return ExecutionNotFound(
        "Workflow %(workflow)s has no run %(run)s.", workflow=quoted(workflow_id), run=quoted(execute_id)
    )
