"""Statistics over the runs of one workflow or of all."""

from dataclasses import asdict
from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from execution_history.clock import now_ms
from execution_history.history.keyword_query import damaged_of
from execution_history.history.service import ExecutionHistoryService
from execution_history.query.model import BUCKETS, BucketSize, IndexReach, Statistics, StatisticsQuery
from execution_history.query.statistics import statistics_of
from execution_history.records.record import is_identifier
from execution_history.web.api.query_parameters import Pairs, documented, parameters_of
from execution_history.web.api.schemas.executions import FINDING_HISTORY, WorkflowId
from execution_history.web.api.schemas.reports import StatisticsAnswer
from execution_history.web.api.search import reach_of
from execution_history.web.responses import answer

_OTHERS: Final = frozenset({"bucket", "zone", "new_since", "account_id"})

Bucket = Annotated[
    str | None,
    Query(description=f"The length of a time bucket: {', '.join(BUCKETS)}; a day, or more where days are too many."),
]
Zone = Annotated[str, Query(description="The time zone of buckets, and of times without one, such as Asia/Shanghai.")]
NewSince = Annotated[str | None, Query(description="A failure first seen since then is new: 1d ago, or a time.")]


def add_counting(router: APIRouter, service: ExecutionHistoryService) -> None:
    """Add the routes that count."""

    @router.get(
        "/statistics",
        tags=["history"],
        summary="Statistics over all workflows",
        response_model=StatisticsAnswer,
        responses=FINDING_HISTORY,
        openapi_extra=documented(),
    )
    async def get_statistics(
        request: Request, bucket: Bucket = None, zone: Zone = "UTC", new_since: NewSince = None
    ) -> Response:
        """Return runs, success rate, durations, tokens, error codes, and similar failures, of all that filters mean."""
        del bucket, zone, new_since
        return await _counted(service, request.query_params.multi_items())

    @router.get(
        "/workflows/{workflow_id}/statistics",
        tags=["history"],
        summary="Statistics of a workflow",
        response_model=StatisticsAnswer,
        responses=FINDING_HISTORY,
        openapi_extra=documented(workflow=False),
    )
    async def get_workflow_statistics(
        request: Request,
        workflow_id: WorkflowId,
        bucket: Bucket = None,
        zone: Zone = "UTC",
        new_since: NewSince = None,
    ) -> Response:
        """Return the same of one workflow; one without history has no buckets."""
        del bucket, zone, new_since
        return await _counted(service, request.query_params.multi_items(), workflow_id)


async def _counted(service: ExecutionHistoryService, pairs: Pairs, workflow_id: str | None = None) -> Response:
    now = now_ms()
    is_possible = workflow_id is None or is_identifier(workflow_id)
    words = parameters_of(pairs, _OTHERS, workflow_id if is_possible else "-")
    query = StatisticsQuery(
        filter=words.record_filter(now),
        bucket=bucket_of(words.only("bucket")),
        zone=words.zone(),
        new_since=words.time("new_since", now),
    )
    if not is_possible:
        return answer(statistics_content(statistics_of(query, [], frozenset(), IndexReach(0, 0))))
    return answer(statistics_content(await service.statistics(query)))


def bucket_of(value: str | None) -> BucketSize | None:
    """Return the length of a bucket that *value* names; ``None`` where none is given.

    Raises:
        InvalidQuery: there is no such bucket.
    """
    found = next((each for each in BUCKETS if each == value), None)
    return StatisticsQuery(bucket=found or value).bucket  # type: ignore[arg-type] # it says what is wrong


def statistics_content(statistics: Statistics) -> dict[str, object]:
    """Statistics as programs get them."""
    content = asdict(statistics)
    del content["reach"], content["damaged"]
    return {"success": True, **content, **reach_of(statistics.reach), **damaged_of(statistics.damaged)}
