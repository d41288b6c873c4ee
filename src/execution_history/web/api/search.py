"""Records and statistics of one workflow or of all: filters, order, search and pages."""

import asyncio
from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from execution_history.clock import now_ms
from execution_history.history.keyword_query import damaged_of
from execution_history.history.service import ExecutionHistoryService
from execution_history.query.model import BUCKETS, IndexReach, RecordQuery, Selection, Statistics, StatisticsQuery
from execution_history.query.search_results import RANKED, best_of
from execution_history.query.statistics import statistics_of
from execution_history.query.text import Snippet, parse_search, snippets
from execution_history.records.attributes import attributes_of
from execution_history.records.partial import outline_of
from execution_history.records.record import is_identifier
from execution_history.records.summary import summary_of
from execution_history.web.api.query_parameters import (
    HISTORY_PARAMETERS,
    Pairs,
    documented,
    history_query,
    parameters_of,
)
from execution_history.web.api.schemas.executions import (
    FINDING_HISTORY,
    FoundAnswer,
    PageIndex,
    PageSize,
    WorkflowId,
    described,
)
from execution_history.web.api.schemas.reports import StatisticsAnswer
from execution_history.web.responses import encode_shapes, json_answer

_COUNTED: Final = ("totals", "buckets", "error_codes", "failures", "percentiles_are_exact")
_NOWHERE: Final = IndexReach(0, 0)
_NOTHING: Final = Selection(documents=(), total=0, total_is_exact=True, next=None, has_more=False, reach=_NOWHERE)
_COUNTING: Final = frozenset({"bucket", "zone", "new_since", "account_id"})

Bucket = Annotated[
    str | None,
    Query(
        alias="bucket",
        description=f"The length of a time bucket: {', '.join(BUCKETS)}; a day, or more where days are too many.",
    ),
]
Zone = Annotated[
    str, Query(alias="zone", description="The time zone of buckets, and of times without one, such as Asia/Shanghai.")
]
NewSince = Annotated[
    str | None, Query(alias="new_since", description="A failure first seen since then is new: 1d ago, or a time.")
]


def add_finding(router: APIRouter, service: ExecutionHistoryService) -> None:
    """Add the route that finds records of all workflows."""

    @router.get(
        "/history",
        **described("Find records of all workflows", FoundAnswer, FINDING_HISTORY),
        openapi_extra=documented(*HISTORY_PARAMETERS),
    )
    async def find_history(request: Request, page_size: PageSize = 20, page_index: PageIndex = 1) -> Response:
        """Return the records of all workflows, newest first, or those that match filters; all filters can be combined.

        Pages are numbered, or follow each other by `next_cursor`, which never skips or repeats a record.
        """
        return await found(service, request.query_params.multi_items(), page_size, page_index)


def add_counting(router: APIRouter, service: ExecutionHistoryService) -> None:
    """Add the routes of statistics."""

    @router.get(
        "/statistics",
        **described("Statistics over all workflows", StatisticsAnswer, FINDING_HISTORY),
        openapi_extra=documented(),
    )
    async def get_statistics(
        request: Request, _bucket: Bucket = None, _zone: Zone = "UTC", _new_since: NewSince = None
    ) -> Response:
        """Return counts, success rate, durations, tokens, error codes and similar failures of all matching runs."""
        return await _counted(service, request.query_params.multi_items())

    @router.get(
        "/workflows/{workflow_id}/statistics",
        **described("Statistics of a workflow", StatisticsAnswer, FINDING_HISTORY),
        openapi_extra=documented(workflow=False),
    )
    async def get_workflow_statistics(
        request: Request,
        workflow_id: WorkflowId,
        _bucket: Bucket = None,
        _zone: Zone = "UTC",
        _new_since: NewSince = None,
    ) -> Response:
        """Return the statistics of one workflow; one without history has no buckets."""
        return await _counted(service, request.query_params.multi_items(), workflow_id)


async def found(
    service: ExecutionHistoryService, pairs: Pairs, size: int, index: int, workflow_id: str | None = None
) -> Response:
    """Return the records that the query *pairs* describes, as an answer.

    Raises:
        InvalidQuery: the query is invalid, or several workflows have a name in it.
        StoreError: the store could not be read.
    """
    query, is_ranked = history_query(pairs, now=now_ms(), size=size, index=index, workflow_id=_possible(workflow_id))
    if workflow_id is None:
        query = replace(query, filter=await service.with_workflow_ids(query.filter))
    pieces = None
    if _possible(workflow_id) != workflow_id:
        selection = _NOTHING
    elif query.filter.text is None:
        selection = await service.select(query)
    else:
        # Snippets come from whole records, also when only their summaries are shown.
        whole = replace(query, summaries=False, size=RANKED if is_ranked else query.size)
        selection, pieces = await asyncio.to_thread(_with_places, await service.select(whole), query, is_ranked)
    more: dict[str, Any] = {
        "total": selection.total,
        "total_is_exact": selection.total_is_exact and selection.reach.is_complete,
        "has_more": selection.has_more,
        "next_cursor": selection.next,
        **({} if pieces is None else {"snippets": pieces}),
        **({"explain": selection.explain} if query.explain else {}),
    }
    begin = b'{"success":true,"histories":[' + b",".join(selection.documents)
    return json_answer(begin + b"]," + encode_shapes(more | _remarks(selection))[1:])


def _possible(workflow_id: str | None) -> str | None:
    """Return *workflow_id*; where no record can have it, an id without records that queries accept."""
    return workflow_id if workflow_id is None or is_identifier(workflow_id) else "-"


def _with_places(
    selection: Selection,
    query: RecordQuery,
    is_ranked: bool,  # noqa: FBT001 - passed on by to_thread
) -> tuple[Selection, list[list[Snippet]]]:
    """Return the hits of a search, as records or summaries, and the snippets of each."""
    search = parse_search(query.filter.text or "")
    page = best_of(selection, search, query.size) if is_ranked else selection
    records: list[dict[str, Any]] = [outline_of(body) for body in page.documents]
    if query.summaries:
        page = replace(page, documents=[summary_of(record, attributes_of(record)) for record in records])
    return page, [snippets(record, search) for record in records]


async def _counted(service: ExecutionHistoryService, pairs: Pairs, workflow_id: str | None = None) -> Response:
    now = now_ms()
    words = parameters_of(pairs, _COUNTING, _possible(workflow_id))
    record_filter = words.record_filter(now)
    query = StatisticsQuery(
        filter=record_filter if workflow_id is not None else await service.with_workflow_ids(record_filter),
        bucket=words.only("bucket"),  # type: ignore[arg-type] # checked by StatisticsQuery
        zone=words.zone().key,
        new_since=words.time("new_since", now),
    )
    if _possible(workflow_id) != workflow_id:
        counted = statistics_of(query, [], frozenset(), _NOWHERE)
    else:
        counted = await service.statistics(query)
    parts = {name: getattr(counted, name) for name in _COUNTED}
    return json_answer(encode_shapes({"success": True, **parts, **_remarks(counted)}))


def _remarks(found: Selection | Statistics) -> dict[str, Any]:
    """Return what an answer has beside the records: how far the index was behind, and what cannot be read."""
    return ({} if found.reach.is_complete else {"reach": found.reach}) | damaged_of(found.damaged)
