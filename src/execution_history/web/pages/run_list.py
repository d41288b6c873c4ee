"""Lists of runs: of one workflow or of all, filtered, sorted, and with one run open beside them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from execution_history.errors import InvalidQuery
from execution_history.history.service import ExecutionHistoryService
from execution_history.query.model import RecordFilter, RecordQuery, Selection
from execution_history.query.text import parse_search
from execution_history.records.values import LAST_TIME
from execution_history.web.pages import urls
from execution_history.web.pages.bulk_actions import Trash
from execution_history.web.pages.forms import query, whole_number
from execution_history.web.pages.list_state import ListState, list_state
from execution_history.web.pages.run_page import RunPages, aside
from execution_history.web.pages.run_row import RunLine, line_of_hit, line_of_run
from execution_history.web.pages.templates import Renderer, reader_for

_SIZE: Final = 50
_MOST_FOLLOWED: Final = 20


@dataclass(frozen=True, slots=True)
class ListPages:
    """Shows lists of runs.

    Args:
        service: where the records are.
        renderer: what makes pages of views.
        runs: what shows the run beside the list.
        trash: what was deleted and can be brought back.
    """

    service: ExecutionHistoryService
    renderer: Renderer
    runs: RunPages
    trash: Trash

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route(urls.RUNS, self.all_runs, methods=["GET", "HEAD"])
        router.add_api_route(f"{urls.RUNS}/news", self.all_news, methods=["GET"])
        router.add_api_route("/workflows/{workflow_id}/runs", self.workflow_runs, methods=["GET", "HEAD"])
        router.add_api_route("/workflows/{workflow_id}/news", self.workflow_news, methods=["GET"])

    async def all_runs(self, request: Request) -> Response:
        """Render the runs of all workflows; redirect a search for nothing but an id to its run."""
        words = query(request, "q").strip()
        if words and " " not in words and list(request.query_params) == ["q"]:
            found = await self.service.find_execution(words)
            if len(found) == 1:
                address = urls.run(found[0]["workflow_id"], found[0]["execute_id"])
                return RedirectResponse(address, HTTPStatus.SEE_OTHER)
        return await self._list(request, None)

    async def workflow_runs(self, request: Request, workflow_id: str) -> Response:
        """Render the runs of one workflow."""
        return await self._list(request, workflow_id)

    async def all_news(self, request: Request) -> Response:
        """Render what has happened in the list of all runs."""
        return await self._news(request, None)

    async def workflow_news(self, request: Request, workflow_id: str) -> Response:
        """Render what has happened in the list of one workflow."""
        return await self._news(request, workflow_id)

    async def _list(self, request: Request, workflow_id: str | None) -> Response:
        reader = reader_for(request)
        path = urls.runs(workflow_id)
        notice, status = "", HTTPStatus.OK
        try:
            state = list_state(path, request.query_params.multi_items())
            selection = await self._selected(state.record_filter(reader, workflow_id), state)
        except InvalidQuery as error:
            # The filters stay, so that the one that is wrong can be fixed or removed.
            notice, status = error.message, HTTPStatus.UNPROCESSABLE_ENTITY
            given = [pair for pair in request.query_params.multi_items() if pair[0] not in {"sort", "after"}]
            state, selection = list_state(path, given), None
        lines = await self._lines(selection, reader.now, state.words) if selection else []
        context: dict[str, Any] = {
            "state": state,
            "workflow_id": workflow_id,
            "query": state.words,
            "notice": notice,
            "lines": lines,
            "selection": selection,
            "damaged": selection.damaged if selection else (),
            "news": urls.with_query(f"{path.removesuffix('/runs')}/news" if workflow_id else f"{path}/news", {}),
            "newest": max((line.create_time for line in lines), default=reader.now) if state.after is None else None,
            "undo": query(request, "undo"),
            "undone": self.trash.count(query(request, "undo")),
            "base": str(request.base_url).rstrip("/"),
        }
        if opened := query(request, "open"):
            context = {**await self._beside(request, opened), **context}
        return self.renderer.page(request, "list.html", context, status)

    async def _beside(self, request: Request, opened: str) -> Mapping[str, Any]:
        """Return what is shown beside the list: the run that *opened*, ``workflow/execution``, names."""
        return await self.runs.context(request, *urls.run_of(opened))

    async def _news(self, request: Request, workflow_id: str | None) -> Response:
        """How many runs have begun since, and how those that went on are now."""
        reader = reader_for(request)
        state = list_state(urls.runs(workflow_id), request.query_params.multi_items())
        wanted = state.record_filter(reader, workflow_id)
        since = whole_number(request, "newest", LAST_TIME)
        count = 0
        # A page further back tells of no newer runs, only of how its own are now.
        if query(request, "newest") and (wanted.created_from is None or since >= wanted.created_from):
            newer = replace(wanted, created_from=since + 1)
            count = (await self.service.select(RecordQuery(filter=newer, size=1, summaries=True))).total
        lines = [
            line
            for key in query(request, "rows").split(" ")[:_MOST_FOLLOWED]
            if (line := await self._row(key, reader.now))
        ]
        context = {"state": state, "count": count, "lines": lines, "workflow_id": workflow_id}
        return self.renderer.page(request, "news.html", context)

    async def _row(self, key: str, now: int) -> RunLine | None:
        """Return the line of the run that *key*, ``workflow/execution``, names; ``None`` without one."""
        workflow_id, execute_id = urls.run_of(key)
        if not workflow_id or not execute_id:
            return None
        one = RecordFilter(workflow_ids=(workflow_id,), execute_id_prefix=execute_id)
        found = await self.service.select(RecordQuery(filter=one, size=1, summaries=True))
        return next((line_of_run(summary, now) for summary in found.documents), None)

    async def _selected(self, wanted: RecordFilter, state: ListState) -> Selection:
        return await self.service.select(
            RecordQuery(
                filter=wanted,
                sort=state.sort,
                descending=not state.is_ascending,
                size=_SIZE,
                after=state.after,
                # Where what was searched for stands is told by the record itself.
                summaries=not state.words,
            )
        )

    @staticmethod
    async def _lines(selection: Selection, now: int, words: str) -> list[RunLine]:
        found = selection.documents
        if not words:
            return [line_of_run(summary, now) for summary in found]
        search = parse_search(words)
        return await aside(sum(map(len, found)), lambda: [line_of_hit(body, now, search) for body in found])
