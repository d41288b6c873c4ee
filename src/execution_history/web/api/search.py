"""Records and statistics of one workflow or of all: filters, order, search and pages."""

import asyncio
from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from execution_history.clock import now_ms
from execution_history.history.answers import json_of, remarks_of
from execution_history.history.service import ExecutionHistoryService
from execution_history.query.breakdown import BYS, GROUP_SORTS, BreakdownQuery
from execution_history.query.breakdown_plan import breakdown_of
from execution_history.query.model import BUCKETS, IndexReach, RecordQuery, Selection, StatisticsQuery
from execution_history.query.search_results import RANKED, best_of
from execution_history.query.statistics import statistics_of
from execution_history.query.text import Snippet, parse_search, snippets
from execution_history.records.attributes import attributes_of
from execution_history.records.identifiers import is_identifier
from execution_history.records.partial import outline_of
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
from execution_history.web.api.schemas.reports import BreakdownAnswer, StatisticsAnswer
from execution_history.web.responses import encode_shapes, json_answer

_NOWHERE: Final = IndexReach(0, 0)
_NOTHING: Final = Selection(documents=(), total=0, total_is_exact=True, next=None, has_more=False, reach=_NOWHERE)
_COUNTING: Final = frozenset({"bucket", "zone", "new_since", "account_id"})
_GROUPING: Final = frozenset({"by", "sort", "limit", "bucket", "zone", "account_id"})
_DIGITS: Final = 6

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
By = Annotated[str, Query(alias="by", description=f"What runs are counted by: {', '.join(BYS)}.")]
GroupOrder = Annotated[
    str,
    Query(
        alias="sort",
        description=f"{', '.join(GROUP_SORTS)}: the largest or newest first; success_rate: the lowest first.",
    ),
]
Limit = Annotated[str, Query(alias="limit", description="How many groups, 1 to 1000; 100 by default.")]
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


def add_grouping(router: APIRouter, service: ExecutionHistoryService) -> None:
    """Add the routes of figures by group."""

    @router.get(
        "/breakdown",
        **described("Figures by workflow, account, tag and so on", BreakdownAnswer, FINDING_HISTORY),
        openapi_extra=documented(),
    )
    async def get_breakdown(
        request: Request,
        _by: By = "workflow",
        _sort: GroupOrder = "runs",
        _limit: Limit = "100",
        _bucket: Bucket = None,
        _zone: Zone = "UTC",
    ) -> Response:
        """Return the figures of all matching runs by group, with the trend of each where there is a bucket.

        Percentiles of workflows and nodes with very many runs are approximate. By what hourly and daily sums do not
        have, only the newest runs are counted where they are many: `covers` tells how many.
        """
        return await _broken_down(service, request.query_params.multi_items())

    @router.get(
        "/workflows/{workflow_id}/breakdown",
        **described("Figures of a workflow by node, account, tag and so on", BreakdownAnswer, FINDING_HISTORY),
        openapi_extra=documented(workflow=False),
    )
    async def get_workflow_breakdown(
        request: Request,
        workflow_id: WorkflowId,
        _by: By = "node",
        _sort: GroupOrder = "runs",
        _limit: Limit = "100",
        _bucket: Bucket = None,
        _zone: Zone = "UTC",
    ) -> Response:
        """Return the figures of one workflow by group; one without history has no groups."""
        return await _broken_down(service, request.query_params.multi_items(), workflow_id)


async def found(
    service: ExecutionHistoryService, pairs: Pairs, size: int, index: int, workflow_id: str | None = None
) -> Response:
    """Return the records that the query *pairs* describes, as an answer.

    Raises:
        InvalidQuery: the query is invalid, or several workflows have a name in it.
        StoreError: the store could not be read.
    """
    query, is_ranked = history_query(pairs, now=now_ms(), size=size, index=index, workflow_id=_possible(workflow_id))
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
    return json_answer(begin + b"]," + encode_shapes(more | remarks_of(selection))[1:])


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
    query = StatisticsQuery(
        filter=words.record_filter(now),
        bucket=words.only("bucket"),  # type: ignore[arg-type] # checked by StatisticsQuery
        zone=words.zone().key,
        new_since=words.time("new_since", now),
    )
    if _possible(workflow_id) != workflow_id:
        counted = statistics_of(query, [], frozenset(), _NOWHERE)
    else:
        counted = await service.statistics(query)
    return json_answer(encode_shapes({"success": True, **json_of(counted)}))


async def _broken_down(service: ExecutionHistoryService, pairs: Pairs, workflow_id: str | None = None) -> Response:
    words = parameters_of(pairs, _GROUPING, _possible(workflow_id))
    query = BreakdownQuery(
        filter=words.record_filter(now_ms()),
        by=words.only("by") or ("workflow" if workflow_id is None else "node"),  # type: ignore[arg-type] # checked there
        sort=words.only("sort") or "runs",  # type: ignore[arg-type] # likewise
        limit=int(limit) if (limit := words.only("limit") or "100").isdecimal() and len(limit) < _DIGITS else 0,
        bucket=words.only("bucket"),  # type: ignore[arg-type] # likewise
        zone=words.zone().key,
    )
    if _possible(workflow_id) != workflow_id:
        grouped = breakdown_of(query, [], _NOWHERE)
    else:
        grouped = await service.breakdown(query)
    return json_answer(encode_shapes({"success": True, **json_of(grouped)}))
