"""Records over HTTP: listed, read, compared, annotated and deleted."""

from typing import Annotated, Any, Final
from urllib.parse import unquote

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from execution_history.errors import ExecutionNotFound, quoted
from execution_history.history.annotations import Annotation
from execution_history.history.comparison import Run
from execution_history.history.service import ExecutionHistoryService
from execution_history.history.trace import MOST_RUNS
from execution_history.web.api.query_parameters import HISTORY_PARAMETERS, documented, has_new_parameters
from execution_history.web.api.schemas.executions import (
    ANNOTATING,
    DELETING,
    FINDING,
    FINDING_HISTORY,
    AccountId,
    DoneAnswer,
    ExecuteId,
    ExecutionAnswer,
    FoundAnswer,
    PageIndex,
    PageSize,
    WorkflowId,
    described,
)
from execution_history.web.api.schemas.reports import (
    AnnotationRequest,
    ComparisonAnswer,
    SeveralAnswer,
    TagChange,
    TraceAnswer,
)
from execution_history.web.api.search import found
from execution_history.web.responses import answer, detail_answer, page_answer

_PAGE: Final = "/workflows/{workflow_id}/history"
RECORD: Final = f"{_PAGE}/{{execute_id}}"
_LAST_SUCCESS: Final = "last_success"
_NOTHING: Final = {"note": "", "rating": 0, "pinned": False}

Other = Annotated[
    str, Query(alias="with", description="The older run: its execute_id, or last_success for the one before this.")
]
Forever = Annotated[bool, Query(description="true: remove at once and for good.")]
TraceLimit = Annotated[
    int, Query(alias="limit", ge=1, le=MOST_RUNS, description="How many runs of the tree are read at most.")
]
ComparedRuns = Annotated[
    list[str],
    Query(
        alias="run", description="A run as workflow_id/execute_id, each percent-encoded once more; two to six times."
    ),
]
Baseline = Annotated[
    int, Query(alias="baseline", description="The number of the run that all are compared with, from 1.")
]
OtherWorkflow = Annotated[str | None, Query(description="The other run's workflow; by default the same.")]


def add_reading(router: APIRouter, service: ExecutionHistoryService) -> None:
    """Add the routes that read: a page of a workflow, and one record."""

    @router.get(
        _PAGE,
        **described("A page of history", FoundAnswer, FINDING_HISTORY),
        openapi_extra=documented(*HISTORY_PARAMETERS, workflow=False),
    )
    async def get_workflow_history(
        request: Request,
        workflow_id: WorkflowId,
        page_size: PageSize = 20,
        page_index: PageIndex = 1,
        _account_id: AccountId = "default",
    ) -> Response:
        """Return the records of a workflow, newest first; a workflow without history has an empty page.

        With any of the filters, or an order, a cursor or a view, the answer has `total_is_exact` and `next_cursor` too.
        """
        pairs = request.query_params.multi_items()
        if has_new_parameters(pairs):
            return await found(service, pairs, page_size, page_index, workflow_id)
        return page_answer(await service.page_bytes(workflow_id, page_size, page_index))

    @router.get(RECORD, **described("One record", ExecutionAnswer, FINDING))
    async def get_execution_detail(
        workflow_id: WorkflowId, execute_id: ExecuteId, _account_id: AccountId = "default"
    ) -> Response:
        """Return the whole record of one execution."""
        document = await service.detail_bytes(workflow_id, execute_id)
        if document is None:
            raise no_such(workflow_id, execute_id)
        return detail_answer(document)


def add_tracing(router: APIRouter, service: ExecutionHistoryService) -> None:
    """Add the route for the runs around and within a run."""

    @router.get(f"{RECORD}/trace", **described("The runs around and within a run", TraceAnswer, FINDING))
    async def get_trace(
        workflow_id: WorkflowId,
        execute_id: ExecuteId,
        limit: TraceLimit = MOST_RUNS,
        _account_id: AccountId = "default",
    ) -> Response:
        """Return the tree of runs that a run belongs to, each before those within it.

        With a limit, what is around the run and within it comes first.
        """
        trace = await service.trace(workflow_id, execute_id, limit=limit)
        return answer({"success": True, **trace.to_json()})


def add_comparing(router: APIRouter, service: ExecutionHistoryService) -> None:
    """Add the route that compares a run with another."""

    @router.get(f"{RECORD}/compare", **described("Compare a run with another", ComparisonAnswer, FINDING))
    async def compare(
        workflow_id: WorkflowId,
        execute_id: ExecuteId,
        other: Other = _LAST_SUCCESS,
        with_workflow: OtherWorkflow = None,
    ) -> Response:
        """Return how two runs differ: in input, output, settings, ending, nodes, duration and tokens.

        The run of the address is the new one. An execution whose id is `last_success` is named with `with_workflow`.
        """
        run = Run(execute_id, workflow_id)
        if other == _LAST_SUCCESS and with_workflow is None:
            comparison = await service.compare_with_last_success(run)
        else:
            comparison = await service.compare(Run(other, with_workflow or workflow_id), run)
        return answer({"success": True, "comparison": comparison.to_json()})

    @router.get("/compare", **described("Compare several runs", SeveralAnswer, FINDING))
    async def compare_several(runs: ComparedRuns, baseline: Baseline = 1) -> Response:
        """Return how two to six runs compare with one of them: figures, nodes and what differs from the baseline."""
        named = [key.partition("/") for key in runs]
        found = await service.compare_runs(
            [Run(unquote(execute_id), unquote(workflow_id)) for workflow_id, _, execute_id in named], baseline
        )
        return answer({"success": True, **found.to_json()})


def add_noting(router: APIRouter, service: ExecutionHistoryService) -> None:
    """Add the route that annotates a run."""

    @router.patch(RECORD, **described("Tag, rate, pin or annotate a run", ExecutionAnswer, ANNOTATING))
    async def annotate(
        workflow_id: WorkflowId, execute_id: ExecuteId, request: AnnotationRequest, _account_id: AccountId = "default"
    ) -> Response:
        """Change the annotations of a run; a missing field stays as it is. The answer is the changed record.

        Tags are set with a list, or changed with `{"add": […], "remove": […]}`; when several people tag one run at
        once, no tag is lost. `null` removes a note or a rating.
        """
        record = await service.annotate(workflow_id, execute_id, annotation_of(request))
        return answer({"success": True, "execution": record})


def add_deleting(router: APIRouter, service: ExecutionHistoryService) -> None:
    """Add the routes that delete one record, or a workflow's whole history."""

    @router.delete(RECORD, **described("Delete one record", DoneAnswer, DELETING))
    async def delete_execution(
        workflow_id: WorkflowId, execute_id: ExecuteId, *, forever: Forever = False, _account_id: AccountId = "default"
    ) -> Response:
        """Remove the record of one execution; it can be restored for a while."""
        if await service.delete_execution_record(workflow_id, execute_id, forever=forever):
            return answer({"success": True})
        raise no_such(workflow_id, execute_id)

    @router.delete(_PAGE, **described("Delete a workflow's history", DoneAnswer, DELETING))
    async def clear_history(
        workflow_id: WorkflowId, *, forever: Forever = False, _account_id: AccountId = "default"
    ) -> Response:
        """Remove all records of a workflow; they can be restored for a while."""
        if await service.clear_workflow_history(workflow_id, forever=forever):
            return answer({"success": True})
        raise ExecutionNotFound("Workflow %(workflow)s has no history.", workflow=quoted(workflow_id))


def no_such(workflow_id: str, execute_id: str) -> ExecutionNotFound:
    """Return the error for a record that does not exist."""
    return ExecutionNotFound(
        "Workflow %(workflow)s has no run %(run)s.", workflow=quoted(workflow_id), run=quoted(execute_id)
    )


def annotation_of(request: AnnotationRequest) -> Annotation:
    """Return the annotation that a request holds.

    Raises:
        InvalidInput: a tag, the note or the rating is invalid.
    """
    fields: dict[str, Any] = {
        name: _NOTHING.get(name, ()) if value is None else value
        for name, value in request
        if name in request.model_fields_set and name in AnnotationRequest.model_fields
    }
    if isinstance(tags := fields.get("tags"), TagChange):
        del fields["tags"]
        fields |= {"add_tags": tuple(tags.add), "remove_tags": tuple(tags.remove)}
    return Annotation(**fields)
