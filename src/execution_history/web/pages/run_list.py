"""Lists of runs: of one workflow or of all, filtered, sorted, and with one run open beside them."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from execution_history.errors import AmbiguousName, InvalidQuery
from execution_history.history.bulk_changes import BulkChange
from execution_history.history.diff.several import MOST_RUNS
from execution_history.history.index_wait import IndexWait
from execution_history.history.run_lookup import FoundRun
from execution_history.history.service import ExecutionHistoryService
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordQuery, Selection
from execution_history.query.text import parse_search
from execution_history.records.values import LAST_TIME
from execution_history.stores.protocol import WorkflowSummary
from execution_history.transfer import DEFAULT_COLUMNS
from execution_history.web.pages import urls
from execution_history.web.pages.chip_titles import titles_of
from execution_history.web.pages.facet_pages import FacetPages, is_counted
from execution_history.web.pages.forms import query, whole_number
from execution_history.web.pages.list_columns import column_choices, moved, shown_columns, shown_in
from execution_history.web.pages.list_filters import Count, chips_shown, current_tab, has_blanks, tabs_of
from execution_history.web.pages.list_state import ListState, list_state
from execution_history.web.pages.nested_runs import folded, with_counts
from execution_history.web.pages.run_page import RunPages, run_in_thread_if_large
from execution_history.web.pages.run_row import RunLine, line_of_hit, line_of_run
from execution_history.web.pages.templates import Renderer, viewer_for
from execution_history.web.pages.view_pages import is_changed
from execution_history.web.pages.workflow_choice import choose_workflows

_COLUMNS: Final = (
    *((name, True) for name in DEFAULT_COLUMNS),
    *((name, False) for name in ("account", "caller", "bot_id", "conversation_id", "tags", "pinned", "usage")),
)
"""The columns that the menu of exports offers, and whether they are chosen at first."""

_SIZE: Final = 50
_MOST_FOLLOWED: Final = 20
_MOST_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class ListPages:
    """Shows lists of runs.

    Args:
        service: where the records are.
        renderer: renders pages.
        runs: shows the run beside the list.
        facets: counts the runs of the tabs.
    """

    service: ExecutionHistoryService
    renderer: Renderer
    runs: RunPages
    facets: FacetPages

    def add_to(self, router: APIRouter) -> None:
        """Add the routes: each for all workflows, and for one."""
        for path in (urls.RUNS, "/workflows/{workflow_id}/runs"):
            router.add_api_route(path, self.runs_page, methods=["GET", "HEAD"])
        for path in (f"{urls.RUNS}/news", "/workflows/{workflow_id}/news"):
            router.add_api_route(path, self.news, methods=["GET"])

    async def runs_page(self, request: Request) -> Response:
        """Render the runs of one workflow, or of all; redirect a search of all that names one run or workflow."""
        workflow_id, viewer = request.path_params.get("workflow_id"), viewer_for(request)
        wait, words = IndexWait(), query(request, "q").strip()
        named: tuple[FoundRun, ...] = ()
        if workflow_id is None and words and list(request.query_params) == ["q"]:
            named = (await self.service.find_runs(words, wait_seconds=wait.seconds)).runs
            if only := await self._only_place(words, named):
                return RedirectResponse(only, HTTPStatus.SEE_OTHER)
        path, pairs = urls.runs(workflow_id), request.query_params.multi_items()
        notice, status, selection, record_filter = "", HTTPStatus.OK, None, RecordFilter()
        try:
            state = list_state(path, pairs)
            if has_blanks(pairs):
                return RedirectResponse(state.address, HTTPStatus.SEE_OTHER)
            if move := query(request, "move"):
                return RedirectResponse(f"{moved(state, move)}#choice", HTTPStatus.SEE_OTHER)
            record_filter = await self.facets.record_filter(state, viewer, workflow_id)
            selection = await self._selected(record_filter, state, wait)
        except InvalidQuery as error:
            # The filters stay, so that the wrong one can be fixed or removed.
            notice, status = error.message, HTTPStatus.UNPROCESSABLE_ENTITY
            state = list_state(path, [pair for pair in pairs if pair[0] not in {"sort", "after", "columns"}])
        listed = await self._lines(selection, viewer.now, state.words) if selection else []
        lines = await with_counts(self.service, folded(listed, state), wait.seconds)
        context: dict[str, Any] = {
            "state": state,
            "workflow_id": workflow_id,
            "query": state.words,
            "with_words": await self._workflows_with("" if workflow_id else words),
            "named": named,
            "notice": notice,
            "lines": lines,
            "folded": len(listed) - len(lines),
            **_columns(state, lines, with_workflow=workflow_id is None),
            "selection": selection,
            "damaged": selection.damaged if selection else (),
            "news": f"{path.removesuffix('/runs')}/news" if workflow_id else f"{path}/news",
            "newest": _newest(listed, state, viewer.now),
            "change": await self._change(query(request, "change")),
            "most_compared": MOST_RUNS,
            **await self._bar(state, workflow_id, record_filter, selection),
            "base": str(request.base_url).rstrip("/"),
        }
        if opened := query(request, "open"):
            context = {**await self.runs.context(request, *urls.run_of(opened)), **context}
        return self.renderer.page(request, "list.html", context, status)

    async def _only_place(self, words: str, runs: Sequence[FoundRun]) -> str | None:
        """Return the address of the one run or workflow that *words* name; ``None`` for none or several."""
        workflow_id = None
        with suppress(AmbiguousName):
            workflow_id = await self.service.known_workflow(words)
        places = [urls.run(*run.key) for run in runs] + ([] if workflow_id is None else [urls.runs(workflow_id)])
        return places[0] if len(places) == 1 else None

    async def news(self, request: Request) -> Response:
        """Render how many runs have begun since the page was made, and its unfinished runs as they are now."""
        workflow_id, viewer = request.path_params.get("workflow_id"), viewer_for(request)
        state = list_state(urls.runs(workflow_id), request.query_params.multi_items())
        record_filter = await self.facets.record_filter(state, viewer, workflow_id)
        since = whole_number(request, "newest", LAST_TIME)
        count, wait = 0, IndexWait()
        # A page further back has no newer runs, only updates of its own.
        if query(request, "newest") and (record_filter.created_from is None or since >= record_filter.created_from):
            newer = replace(record_filter, created_from=since + 1)
            found = RecordQuery(filter=newer, size=1, summaries=True, wait_seconds=wait.seconds)
            count = (await self.service.select(found)).total
        lines = [
            line
            for key in query(request, "rows").split(" ")[:_MOST_FOLLOWED]
            if (line := await self._row(key, viewer.now, wait))
        ]
        lines = await with_counts(self.service, lines, wait.seconds)
        context = {"state": state, "count": count, "lines": lines, "shown": shown_in(query(request, "shown"))}
        return self.renderer.page(request, "news.html", context)

    async def _bar(
        self, state: ListState, workflow_id: str | None, record_filter: RecordFilter, selection: Selection | None
    ) -> dict[str, Any]:
        """Return what the filter bar shows; numbers that take a while to count are requested by the page itself."""
        counts: dict[str, Count] = {}
        if selection is not None and is_counted(state):
            counts = await self.facets.counts(record_filter)
        elif selection is not None and (current := current_tab(state)):
            is_exact = selection.total_is_exact and selection.reach.is_complete
            counts = {current: Count(selection.total, is_exact)}
        base = urls.RUNS if workflow_id is None else urls.workflow(workflow_id)
        views = await self.service.views.all() if state.view else []
        view = next((each for each in views if each.id == state.view), None)
        return {
            "tabs": tabs_of(state, counts),
            "is_counted": selection is None or is_counted(state),
            "tabs_address": f"{base}/tabs?{urlencode(state.hidden())}",
            "facets_address": f"{base}/facets",
            "chips": chips_shown(state),
            "titles": await titles_of(self.service, state, record_filter, IndexWait().seconds),
            "view": view,
            "is_changed": view is not None and is_changed(view, state),
            "kept": state.kept(workflow_id),
        }

    async def _change(self, change_id: str) -> BulkChange | None:
        """Return the change of many runs to show: the one that is named, or one that goes on."""
        bulk = self.service.bulk
        found = await bulk.find(change_id) if change_id else None
        return found or next(reversed(bulk.running()), None)

    async def _row(self, key: str, now: int, wait: IndexWait) -> RunLine | None:
        """Return the line of the run that *key*, ``workflow/execution``, names; ``None`` without one."""
        workflow_id, execute_id = urls.run_of(key)
        if not workflow_id or not execute_id:
            return None
        one = RecordFilter(workflow_ids=(workflow_id,), execute_id_prefix=execute_id)
        found = await self.service.select(RecordQuery(filter=one, size=1, summaries=True, wait_seconds=wait.seconds))
        return next((line_of_run(summary, now) for summary in found.documents), None)

    async def _workflows_with(self, words: str) -> list[WorkflowSummary]:
        """Return the first workflows with these words in their name or id; none without words."""
        if not words:
            return []
        found, _ = choose_workflows(await self.service.workflow_summaries(), await self.service.names(), words)
        return found[:_MOST_NAMED]

    async def _selected(self, record_filter: RecordFilter, state: ListState, wait: IndexWait) -> Selection:
        return await self.service.select(
            RecordQuery(
                filter=record_filter,
                sort=state.sort,
                descending=not state.is_ascending,
                size=_SIZE,
                after=state.after,
                # The places of the hits are only in the record itself.
                summaries=not state.words,
                wait_seconds=wait.seconds,
            )
        )

    @staticmethod
    async def _lines(selection: Selection, now: int, words: str) -> list[RunLine]:
        found = selection.documents
        if not words:
            return [line_of_run(summary, now) for summary in found]
        search = parse_search(words)
        return await run_in_thread_if_large(
            sum(map(len, found)), lambda: [line_of_hit(body, now, search) for body in found]
        )


def _columns(state: ListState, lines: list[RunLine], *, with_workflow: bool) -> dict[str, Any]:
    """Return the columns of the table, those that can be chosen, and those of exports."""
    with_cost = state.sort == "cost" or any(line.cost for line in lines)
    shown = shown_columns(state.columns, with_workflow=with_workflow, with_cost=with_cost)
    return {"shown": shown, "choices": column_choices(shown), "columns": _COLUMNS}


def _newest(lines: list[RunLine], state: ListState, now: int) -> int | None:
    """Return the time (ms) after which runs are news to a list; ``None`` on a page further back."""
    if state.after is not None:
        return None
    is_by_time = state.sort == "create_time" and not state.is_ascending
    return max((line.create_time for line in lines), default=now) if is_by_time else now
