"""Changes of many runs over HTTP: those that are named, or all that match; how far they are, and undoing them."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from execution_history.clock import now_ms
from execution_history.errors import InvalidInput
from execution_history.history.bulk_changes import BulkChange
from execution_history.history.keyword_query import keyword_filter
from execution_history.history.service import ExecutionHistoryService
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordKey
from execution_history.query.time_buckets import zone_of
from execution_history.web.api.records import annotation_of
from execution_history.web.api.schemas.executions import (
    ANNOTATING,
    CHANGING,
    FINDING,
    NAMING,
    READING,
    Responses,
    described,
)
from execution_history.web.api.schemas.reports import (
    AnnotateRequest,
    AnnotationReportAnswer,
    ChangeAnswer,
    ChangesAnswer,
    DeleteReportAnswer,
    DeleteRequest,
    MatchesAnswer,
    RunsRequest,
)
from execution_history.web.responses import answer

_UNDO_SECONDS: Final = 10.0
_CHANGES: Final = "/history/changes"
_CHANGE: Final = f"{_CHANGES}/{{change_id}}"
_GOES_ON: Final[Responses] = {
    202: {"model": ChangeAnswer, "description": "It goes on; its address says how far it is."}
}

MostChanges = Annotated[int, Query(ge=1, le=1_000, description="How many at most.")]
ChangeId = Annotated[str, Path(description="The id of the change, as its answer had it.")]


def add_bulk(router: APIRouter, service: ExecutionHistoryService) -> None:
    """Add the routes that change many runs."""

    @router.post(
        "/history/annotate",
        summary="Tag, rate, pin or annotate several runs, or all that match",
        response_model=AnnotationReportAnswer | ChangeAnswer | MatchesAnswer,
        responses=CHANGING | NAMING | _GOES_ON,
        tags=["history"],
    )
    async def annotate_several(request: AnnotateRequest) -> Response:
        """Annotate all of them alike. One that cannot be annotated is reported and does not hold up the others.

        With `filters` only runs are touched that were there at the call and are not changed by others meanwhile.
        """
        annotation, found = annotation_of(request), _filter(request)
        if request.dry_run:
            return await _counted(service, _keys(request) if found is None else found)
        if found is None:
            report = await service.annotate_many(_keys(request), annotation)
            return answer({"success": True, **report.to_json()})
        return await _waited(service, await service.bulk.annotate(found, annotation, "http"), request.wait_seconds)

    @router.post(
        "/history/delete",
        summary="Delete several records, or all that match",
        response_model=DeleteReportAnswer | ChangeAnswer | MatchesAnswer,
        responses=CHANGING | NAMING | _GOES_ON,
        tags=["history"],
    )
    async def delete_several(request: DeleteRequest) -> Response:
        """Remove the records. Missing ones are reported; the call can be repeated.

        With `filters` only runs are touched that were there at the call and are not changed by others meanwhile. That
        can be undone for a day, by the id of the change.
        """
        found, keys = _filter(request), _keys(request)
        if request.dry_run:
            return await _counted(service, keys if found is None else found)
        if found is None:
            deleted = set(await service.delete_execution_records(keys))
            missing = [{"workflow_id": key[0], "execute_id": key[1]} for key in keys if key not in deleted]
            return answer({"success": True, "deleted": len(deleted), "missing": missing})
        return await _waited(service, await service.bulk.delete(found, "http"), request.wait_seconds)


def add_changes(router: APIRouter, service: ExecutionHistoryService) -> None:
    """Add the routes of changes that go on: which there are, how far one is, and stopping, resuming or undoing it."""

    @router.get(_CHANGES, **described("The changes of many runs", ChangesAnswer, READING))
    async def list_changes(limit: MostChanges = 100) -> Response:
        """Return the changes of the last 30 days, whoever made them, the newest first."""
        changes = [change.to_json() for change in await service.bulk.all(limit)]
        return answer({"success": True, "changes": changes, "total": len(changes)})

    @router.get(_CHANGE, **described("How far a change of many runs is", ChangeAnswer, FINDING))
    async def get_change(change_id: ChangeId) -> Response:
        """Return a change of all runs that match; one that is over is known for 30 days."""
        return await _shown(service, change_id)

    @router.post(f"{_CHANGE}/stop", **described("Stop a change of many runs", ChangeAnswer, ANNOTATING))
    async def stop_change(change_id: ChangeId) -> Response:
        """Stop it after the batch that is under way; what it has changed stays changed."""
        await service.bulk.stop(change_id)
        return await _shown(service, change_id)

    @router.post(
        f"{_CHANGE}/resume", **described("Carry on a change that was cut short", ChangeAnswer, ANNOTATING | _GOES_ON)
    )
    async def resume_change(change_id: ChangeId) -> Response:
        """Carry on a change that was stopped, or whose program ended; its id stays."""
        return await _waited(service, await service.bulk.resume(change_id), _UNDO_SECONDS)

    @router.post(f"{_CHANGE}/undo", **described("Undo a deletion of many runs", ChangeAnswer, ANNOTATING | _GOES_ON))
    async def undo_change(change_id: ChangeId) -> Response:
        """Restore what a deletion has removed, byte for byte; that is a change too, with an id of its own."""
        return await _waited(service, await service.bulk.undo(change_id, "http"), _UNDO_SECONDS)


async def _counted(service: ExecutionHistoryService, what: RecordFilter | list[RecordKey]) -> Response:
    matches, is_exact = await service.bulk.count(what)
    return answer({"success": True, "matches": matches, "matches_are_exact": is_exact})


async def _waited(service: ExecutionHistoryService, change: BulkChange, seconds: float) -> Response:
    change = await service.bulk.wait(change.id, seconds) or change
    status = HTTPStatus.ACCEPTED if change.is_running else HTTPStatus.OK
    return answer({"success": True, "change": change.to_json()}, status)


async def _shown(service: ExecutionHistoryService, change_id: str) -> Response:
    return answer({"success": True, "change": (await service.bulk.get(change_id)).to_json()})


def _keys(request: RunsRequest) -> list[RecordKey]:
    """Return each of the executions once."""
    return list(dict.fromkeys(RecordKey(name.workflow_id, name.execute_id) for name in request.executions or ()))


def _filter(request: RunsRequest) -> RecordFilter | None:
    """Return the filter of a request; ``None`` where it names runs.

    Raises:
        InvalidInput: it does both or neither, or it would change the whole history.
        InvalidQuery: a filter is invalid.
    """
    if (request.executions is None) == (request.filters is None):
        raise InvalidInput("Say which runs: either executions, or filters.")
    if request.filters is None:
        return None
    found = keyword_filter(request.filters, now=now_ms(), zone=zone_of(request.zone))
    if not found.given():
        raise InvalidInput("Without any filter this would change the whole history: name at least one.")
    return found
