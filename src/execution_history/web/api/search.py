"""Finding records: filters, order, search and pages, over one workflow or all of them."""

import asyncio
from dataclasses import replace
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from execution_history.clock import now_ms
from execution_history.history.keyword_query import damaged_of
from execution_history.history.service import ExecutionHistoryService
from execution_history.query.model import IndexReach, Selection
from execution_history.query.search_results import RANKED, best_first
from execution_history.query.text import Snippet, parse_search, snippets
from execution_history.records.attributes import attributes_of
from execution_history.records.encoding import encode
from execution_history.records.partial import outline_of
from execution_history.records.record import is_identifier
from execution_history.records.summary import summary_of
from execution_history.web.api.query_parameters import (
    HISTORY_PARAMETERS,
    HistoryQuestion,
    Pairs,
    documented,
    history_question,
)
from execution_history.web.api.schemas.executions import FINDING_HISTORY, FoundAnswer, PageIndex, PageSize
from execution_history.web.responses import json_answer

_NOTHING: Final = Selection(
    documents=(), total=0, total_is_exact=True, next=None, has_more=False, reach=IndexReach(0, 0)
)


def add_finding(router: APIRouter, service: ExecutionHistoryService) -> None:
    """Add the route that finds records of all workflows."""

    @router.get(
        "/history",
        tags=["history"],
        summary="Find records of all workflows",
        response_model=FoundAnswer,
        responses=FINDING_HISTORY,
        openapi_extra=documented(*HISTORY_PARAMETERS),
    )
    async def find_history(request: Request, page_size: PageSize = 20, page_index: PageIndex = 1) -> Response:
        """Return the records of all workflows, newest first, or those that filters mean; all filters can be combined.

        Pages are numbered, or follow each other by `next_cursor`, which never skips or repeats a record.
        """
        return await found(service, request.query_params.multi_items(), page_size, page_index)


async def found(
    service: ExecutionHistoryService, pairs: Pairs, size: int, index: int, workflow_id: str | None = None
) -> Response:
    """Return the answer to a question in the query *pairs*.

    Raises:
        InvalidQuery: the question cannot be.
        StoreError: the store could not be read.
    """
    question = history_question(pairs, now=now_ms(), size=size, index=index, workflow_id=_possible(workflow_id))
    if workflow_id is not None and not is_identifier(workflow_id):
        return _answer(_NOTHING, None, explain=question.query.explain)
    if question.query.filter.text is None:
        return _answer(await service.select(question.query), None, explain=question.query.explain)
    selection, pieces = await _searched(service, question, question.query.filter.text)
    return _answer(selection, pieces, explain=question.query.explain)


def _possible(workflow_id: str | None) -> str | None:
    """Return a workflow id that a question can be made with; for one that no record can have, one without records."""
    return workflow_id if workflow_id is None or is_identifier(workflow_id) else "-"


async def _searched(
    service: ExecutionHistoryService, question: HistoryQuestion, text: str
) -> tuple[Selection, list[list[Snippet]]]:
    """Return the hits of a search, as records or summaries, and for each the places where it has the text."""
    search, query = parse_search(text), question.query
    # Places are looked for in whole records, also when only their summaries are shown.
    whole = replace(query, summaries=False, size=RANKED if question.is_ranked else query.size)
    selection = await service.select(whole)

    def prepare() -> tuple[Selection, list[list[Snippet]]]:
        bodies = selection.documents
        if question.is_ranked:
            bodies = best_first(bodies, search)[: query.size]
        records: list[dict[str, Any]] = [outline_of(body) for body in bodies]
        shown = [summary_of(record, attributes_of(record)) for record in records] if query.summaries else bodies
        following = (
            {"next": None, "has_more": False}
            if question.is_ranked
            else {"next": selection.next, "has_more": selection.has_more}
        )
        return replace(selection, documents=shown, **following), [snippets(record, search) for record in records]

    return await asyncio.to_thread(prepare)


def _answer(selection: Selection, pieces: list[list[Snippet]] | None, *, explain: bool) -> Response:
    """Return a page of what was found; records are the very bytes that are stored, and snippets stand beside them."""
    more: dict[str, Any] = {
        "total": selection.total,
        "total_is_exact": selection.total_is_exact and selection.reach.is_complete,
        "has_more": selection.has_more,
        "next_cursor": selection.next,
    }
    if pieces is not None:
        more["snippets"] = [[{"field": p.field, "text": p.text, "hits": p.hits} for p in each] for each in pieces]
    if explain:
        more["explain"] = selection.explain
    more |= reach_of(selection.reach) | damaged_of(selection.damaged)
    begin = b'{"success":true,"histories":[' + b",".join(selection.documents)
    return json_answer(begin + b"]," + encode(more)[1:])


def reach_of(reach: IndexReach) -> dict[str, Any]:
    """Return the part of an answer on how much of the history is in it: nothing when that is all."""
    return {} if reach.is_complete else {"reach": {"revision": reach.revision, "newest": reach.newest}}
