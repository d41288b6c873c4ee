"""What people note about runs, and deleting several at once."""

from typing import Any, Final

from fastapi import APIRouter
from starlette.responses import Response

from execution_history.history.annotations import Annotation
from execution_history.history.service import ExecutionHistoryService
from execution_history.web.api.schemas.executions import (
    ANNOTATING,
    CHANGING,
    AccountId,
    ExecuteId,
    ExecutionAnswer,
    WorkflowId,
)
from execution_history.web.api.schemas.reports import (
    AnnotateRequest,
    AnnotationReportAnswer,
    AnnotationRequest,
    DeleteReportAnswer,
    DeleteRequest,
    ExecutionName,
    TagChange,
)
from execution_history.web.responses import answer

_AT_ONCE: Final = 64


def add_noting(router: APIRouter, service: ExecutionHistoryService) -> None:
    """Add the routes that note something about runs, and the one that deletes several."""
    _add_one(router, service)
    _add_several(router, service)


def _add_one(router: APIRouter, service: ExecutionHistoryService) -> None:
    @router.patch(
        "/workflows/{workflow_id}/history/{execute_id}",
        tags=["history"],
        summary="Tag, rate, pin or annotate a run",
        response_model=ExecutionAnswer,
        responses=ANNOTATING,
    )
    async def annotate(
        workflow_id: WorkflowId, execute_id: ExecuteId, request: AnnotationRequest, account_id: AccountId = "default"
    ) -> Response:
        """Change what people noted about a run; what is not given stays. The answer is the record as it is then.

        Tags are set with a list, or changed with `{"add": […], "remove": […]}`; of several people who tag one run at
        once nobody's tag is lost. `null` removes a note or a rating.
        """
        del account_id
        record = await service.annotate(workflow_id, execute_id, _annotation(request))
        return answer({"success": True, "execution": record})


def _add_several(router: APIRouter, service: ExecutionHistoryService) -> None:
    @router.post(
        "/history/annotate",
        tags=["history"],
        summary="Tag, rate, pin or annotate several runs",
        response_model=AnnotationReportAnswer,
        responses=CHANGING,
    )
    async def annotate_several(request: AnnotateRequest) -> Response:
        """Note the same about all of them. One that cannot be annotated is reported and does not hold up the others."""
        report = await service.annotate_many(_keys(request.executions), _annotation(request))
        return answer({"success": True, **report.to_json()})

    @router.post(
        "/history/delete",
        tags=["history"],
        summary="Delete several records",
        response_model=DeleteReportAnswer,
        responses=CHANGING,
    )
    async def delete_several(request: DeleteRequest) -> Response:
        """Remove the records. Those that are not there are reported; the call can be repeated."""
        keys = _keys(request.executions)
        deleted = set(await service.delete_execution_records(keys))
        missing = [{"workflow_id": key[0], "execute_id": key[1]} for key in keys if key not in deleted]
        return answer({"success": True, "deleted": len(deleted), "missing": missing})


def _keys(names: list[ExecutionName]) -> list[tuple[str, str]]:
    """Each of the executions once."""
    return list(dict.fromkeys((name.workflow_id, name.execute_id) for name in names))


def _annotation(request: AnnotationRequest) -> Annotation:
    """Return the annotation that a request holds.

    Raises:
        InvalidInput: a tag, the note or the rating cannot be.
    """
    given: dict[str, Any] = {}
    if "tags" in request.model_fields_set:
        if isinstance(request.tags, TagChange):
            given |= {"add_tags": tuple(request.tags.add), "remove_tags": tuple(request.tags.remove)}
        else:
            given["tags"] = tuple(request.tags or ())
    for name, nothing in (("note", ""), ("rating", 0), ("pinned", False)):
        if name in request.model_fields_set:
            value = getattr(request, name)
            given[name] = nothing if value is None else value
    return Annotation(**given)
