"""The first page: what needs attention, what runs now, and every workflow on a line of its own."""

import asyncio
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import orjson
from fastapi import APIRouter
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from execution_history.errors import RecordDamaged
from execution_history.history.service import ExecutionHistoryService
from execution_history.presentation.formatting import gist
from execution_history.presentation.index_notice import left_of
from execution_history.query.fields import RecordFilter
from execution_history.query.model import MAX_SIZE, IndexReach, RecordQuery, Selection, StatisticsQuery
from execution_history.recording.recorder import Recorder
from execution_history.records.partial import outline_of
from execution_history.stores.protocol import StoreHealth, WorkflowSummary
from execution_history.web.pages import urls
from execution_history.web.pages.forms import query, whole_number
from execution_history.web.pages.index_lag import IndexWait
from execution_history.web.pages.run_row import RunLine, line_of_run
from execution_history.web.pages.run_view import DEBUG_PAGE_LIVES, has_debug_page
from execution_history.web.pages.sparkline import RUNS, Recent, recent_of, ticks_drawn
from execution_history.web.pages.templates import Renderer, viewer_for
from execution_history.web.pages.viewer import Viewer
from execution_history.web.pages.workflow_choice import choose_workflows

_DAY: Final = 86_400_000
_SIZE: Final = 25
_SWITCHED: Final = 20
_SHOWN: Final = 5
_REMEMBERED: Final = 500
_LONGEST_GIST: Final = 100
_FRESH: Final = 10_000
_READING_SECONDS: Final = 0.03
_HEALTH_SECONDS: Final = 0.05


class Count(NamedTuple):
    """A number of runs; unless it is exact, at least so many."""

    number: int
    is_exact: bool


@dataclass(frozen=True, slots=True)
class WorkflowLine:
    """A workflow in the overview; its last runs were read at ``read_at`` (milliseconds)."""

    summary: WorkflowSummary
    recent: Recent
    ticks: Markup
    read_at: int


@dataclass(slots=True)
class OverviewPages:
    """Shows the overview.

    Args:
        service: where the records are.
        recorder: the source of problems with recording.
        renderer: renders pages.
    """

    service: ExecutionHistoryService
    recorder: Recorder
    renderer: Renderer
    _lines: "OrderedDict[tuple[str, str, tzinfo], WorkflowLine]" = field(default_factory=OrderedDict)
    _attention: tuple[int, int, dict[str, Any]] | None = None
    _looking: "asyncio.Task[None] | None" = None
    _health: StoreHealth = field(default_factory=StoreHealth)

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route(urls.OVERVIEW, self.overview, methods=["GET", "HEAD"])
        router.add_api_route(urls.SWITCHER, self.switcher, methods=["GET"])

    async def overview(self, request: Request) -> Response:
        """Render the overview, or the first steps where nothing is recorded yet."""
        viewer = viewer_for(request)
        words, page = query(request, "find").strip(), max(1, whole_number(request, "page", 10**6))
        summaries, with_hidden = await self.service.workflow_summaries(), query(request, "hidden") == "1"
        found, hidden = choose_workflows(summaries, await self.service.names(), words, with_hidden=with_hidden)
        shown = found[(page - 1) * _SIZE : page * _SIZE]
        attention = await self._attention_now(viewer.now)
        context: dict[str, Any] = {
            "attention": attention,
            "problems": [*attention["problems"], *self.recorder.problems()],
            "unrecorded_at": self._unrecorded_lately(viewer.now),
            "unrecorded": self.recorder.unrecorded,
            "workflows": await self._lines_of(shown, viewer),
            "total": len(found),
            "hidden": hidden,
            "with_hidden": with_hidden,
            "all": len(summaries),
            "page": page,
            "pages": -(-len(found) // _SIZE),
            "find": words,
            "base": str(request.base_url).rstrip("/"),
            "yesterday": viewer.now - _DAY,
        }
        return self.renderer.page(request, "overview.html" if summaries else "empty.html", context, HTTPStatus.OK)

    async def switcher(self, request: Request) -> Response:
        """Render the workflows with these words in their name or id, for the switcher."""
        summaries, words = await self.service.workflow_summaries(), query(request, "q").strip()
        found, hidden = choose_workflows(summaries, await self.service.names(), words)
        return self.renderer.page(request, "switcher.html", {"workflows": found[:_SWITCHED], "hidden": hidden})

    async def _lines_of(self, summaries: list[WorkflowSummary], viewer: Viewer) -> list[WorkflowLine]:
        """Return the lines of workflows; while an import changes all of them, not all are read again for each page."""
        end = time.monotonic() + _READING_SECONDS
        return [await self._line(each, viewer, _FRESH // 2 if time.monotonic() > end else 0) for each in summaries]

    async def _line(self, summary: WorkflowSummary, viewer: Viewer, age: int) -> WorkflowLine:
        """Return the line of a workflow; its last runs are read again when the workflow has changed.

        So they are when they were read more than *age* milliseconds ago.
        """
        key = (summary.workflow_id, viewer.translate.language, viewer.zone)
        known = self._lines.get(key)
        if known is not None and known.summary == summary:
            self._lines.move_to_end(key)
            return known
        if known is not None and viewer.now - known.read_at < age:
            return replace(known, summary=summary)
        found = await self.service.select(
            RecordQuery(filter=RecordFilter(workflow_ids=(summary.workflow_id,)), size=RUNS, summaries=True)
        )
        recent = recent_of(_lines(found, viewer.now))
        ticks = ticks_drawn(recent, summary.workflow_id, viewer.translate, viewer.zone)
        self._lines[key] = line = WorkflowLine(summary, recent, ticks, viewer.now)
        while len(self._lines) > _REMEMBERED:
            self._lines.popitem(last=False)
        return line

    async def _attention_now(self, now: int) -> dict[str, Any]:
        """Return what needs attention; read again when something has changed, but at most every second."""
        revision = await self.service.revision()
        if self._attention is not None:
            read_at, seen, attention = self._attention
            is_current = seen == revision and attention["reach"].is_complete
            if (is_current and now - read_at < 6 * _FRESH) or now - read_at < _FRESH // 10:
                return attention
        attention = await self._read_attention(now)
        self._attention = (now, revision, attention)
        return attention

    async def _read_attention(self, now: int) -> dict[str, Any]:
        """Read what needs attention.

        ``failed`` counts the runs that began in the last 24 hours and failed, ``failures`` are those of a new kind, and
        ``forgotten`` counts the failures whose debug page at Coze expires within a day.
        """
        oldest = now - DEBUG_PAGE_LIVES
        forgotten = RecordFilter(statuses=("failed", "interrupted"), created_from=oldest, created_before=oldest + _DAY)
        lately = RecordFilter(statuses=("failed",), created_from=now - _DAY)
        waiting = RecordFilter(statuses=("interrupted",), created_from=oldest)
        wait = IndexWait()
        found_running = await self._some(RecordFilter(statuses=("running",)), wait)
        found_waiting = await self._some(waiting, wait)
        found_forgotten = await self._some(forgotten, wait, MAX_SIZE)
        statistics = await self.service.statistics(
            StatisticsQuery(filter=lately, new_since=now - _DAY, wait_seconds=wait.seconds)
        )
        waiting_lines = [(line, await self._gist(line)) for line in _lines(found_waiting, now)]
        debug_pages = sum(map(has_debug_page, map(orjson.loads, found_forgotten.documents)))
        return {
            # The last that is awaited: what a look says later makes what is kept of this void.
            "problems": (await self._health_now()).problems,
            "failed": Count(statistics.totals.runs, statistics.reach.is_complete),
            "failures": [group for group in statistics.failures if group.is_new][:_SHOWN],
            "waiting": waiting_lines,
            "waiting_total": _count(found_waiting),
            "forgotten": Count(debug_pages, is_exact=_count(found_forgotten).is_exact and not found_forgotten.has_more),
            "running": _lines(found_running, now),
            "running_total": _count(found_running),
            "reach": _least([each.reach for each in (found_running, found_waiting, found_forgotten, statistics)]),
        }

    def _unrecorded_lately(self, now: int) -> int | None:
        """Return when the last run passed without a record, where that is no longer ago than a day."""
        last = self.recorder.unrecorded_at
        return None if last is None or last < now - _DAY else last

    async def _health_now(self) -> StoreHealth:
        """Return how the store is, or how it was when its writer, which an import keeps busy, last answered."""
        looking = self._looking
        if looking is None or looking.done():
            looking = self._looking = asyncio.create_task(self._look())
        await asyncio.wait((looking,), timeout=_HEALTH_SECONDS)
        if looking.done():
            looking.result()
        return self._health

    async def _look(self) -> None:
        health = await self.service.health()
        if health != self._health:
            self._health, self._attention = health, None

    async def _gist(self, line: RunLine) -> str:
        """Return the question of an interrupted run, or why it broke off."""
        body = None
        with suppress(RecordDamaged):
            body = await self.service.detail_bytes(line.workflow_id, line.execute_id)
        return "" if body is None else gist(outline_of(body), _LONGEST_GIST)

    async def _some(self, record_filter: RecordFilter, wait: IndexWait, size: int = _SHOWN) -> Selection:
        query = RecordQuery(filter=record_filter, size=size, summaries=True, wait_seconds=wait.seconds)
        return await self.service.select(query)


def _count(found: Selection) -> Count:
    return Count(found.total, found.total_is_exact and found.reach.is_complete)


def _lines(found: Selection, now: int) -> list[RunLine]:
    return [line_of_run(each, now) for each in found.documents]


def _least(reaches: list[IndexReach]) -> IndexReach:
    """Return the reach of an answer put together from answers with these *reaches*."""
    return max(reaches, key=lambda each: left_of(each.revision, each.newest, each.missing))
