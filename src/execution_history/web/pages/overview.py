"""The first page: what failed lately, what is open now, and every workflow on a line of its own."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from execution_history.errors import Message
from execution_history.history.overview import WINDOWS, Overview, OverviewQuery, Window, renamed, sorted_workflows
from execution_history.history.service import ExecutionHistoryService
from execution_history.maintenance.backup.status import BackupStatus, PlannedBackups, current, statuses
from execution_history.presentation.backup_notice import backup_problem
from execution_history.presentation.formatting import clock
from execution_history.query.model import PAGE_SECONDS
from execution_history.recording.trouble import RecordingTrouble
from execution_history.records.time_units import DAY_MS
from execution_history.stores.protocol import StoreHealth
from execution_history.web.pages import urls
from execution_history.web.pages.chart_axis import ChartAxis
from execution_history.web.pages.chart_view import currencies
from execution_history.web.pages.forms import query
from execution_history.web.pages.kept_answers import KeptAnswers
from execution_history.web.pages.last_runs import LastRuns
from execution_history.web.pages.overview_state import OverviewState, overview_state
from execution_history.web.pages.sparkline import counts_of, links_of, picture_of, spark_of
from execution_history.web.pages.templates import Renderer, viewer_for
from execution_history.web.pages.viewer import Viewer
from execution_history.web.pages.workflow_choice import choose_workflows

_SIZE: Final = 25
_SWITCHED: Final = 20
_FAILURES: Final = 8
_MOST_OVERVIEWS: Final = 20
_LEAST_KEPT: Final = 1_000
_HEALTH_SECONDS: Final = 0.05


@dataclass(slots=True)
class OverviewPages:
    """Shows the overview.

    Args:
        service: where the records are.
        recorder: the source of problems with recording.
        renderer: renders pages.
        planned: the backups that this process makes.
    """

    service: ExecutionHistoryService
    recorder: RecordingTrouble
    renderer: Renderer
    planned: PlannedBackups | None = None
    _last_runs: LastRuns = field(init=False)
    _known: KeptAnswers[Overview] = field(default_factory=lambda: KeptAnswers(_MOST_OVERVIEWS, _LEAST_KEPT))
    _looking: "asyncio.Task[None] | None" = None
    _health: StoreHealth = field(default_factory=StoreHealth)

    def __post_init__(self) -> None:
        self._last_runs = LastRuns(self.service)

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route(urls.OVERVIEW, self.overview, methods=["GET", "HEAD"])
        router.add_api_route(urls.SWITCHER, self.switcher, methods=["GET"])
        router.add_api_route("/workflows/{workflow_id}/last-runs", self.last_runs, methods=["GET"])

    async def overview(self, request: Request) -> Response:
        """Render the overview, or the first steps where nothing is recorded yet."""
        viewer, state = viewer_for(request), overview_state(request)
        found = await self._overview(state.window, viewer)
        backups = current(await statuses(self.service), self.planned)
        problems = [*self._health.problems, *self.recorder.problems()]
        unrecorded_at = self._unrecorded_lately(viewer.now)
        context: dict[str, Any] = {
            "state": state,
            "overview": found,
            "behind": found.reach.revision < await self.service.revision(),
            "is_whole": found.is_whole and not problems and unrecorded_at is None,
            "problems": [*problems, *backup_problems(backups, self.planned, viewer)],
            "unrecorded_at": unrecorded_at,
            "unrecorded": self.recorder.unrecorded,
            "backups": [each for each in backups if each.last is not None],
            **self._failures(found, state, viewer),
            **await self._workflows(found, state, viewer),
            "base": str(request.base_url).rstrip("/"),
        }
        return self.renderer.page(request, "overview.html" if found.workflows else "empty.html", context, HTTPStatus.OK)

    async def switcher(self, request: Request) -> Response:
        """Render the workflows with these words in their name or id, for the switcher."""
        summaries, words = await self.service.workflow_summaries(), query(request, "q").strip()
        found, hidden = choose_workflows(summaries, await self.service.names(), words)
        return self.renderer.page(request, "switcher.html", {"workflows": found[:_SWITCHED], "hidden": hidden})

    async def last_runs(self, request: Request, workflow_id: str) -> Response:
        """Render the last runs of a workflow as links, for the overview that somebody points at."""
        viewer = viewer_for(request)
        [lines] = await self._last_runs.of([workflow_id], viewer.now)
        context = {"drawn": links_of(lines, viewer.translate, viewer.zone)}
        return self.renderer.page(request, "last_runs.html", context)

    @staticmethod
    def _failures(found: Overview, state: OverviewState, viewer: Viewer) -> dict[str, Any]:
        """Return the failures that are shown, each with its bars, and those that are not."""
        shown = found.failures if state.has_all_failures else found.failures[:_FAILURES]
        axis = ChartAxis(found.bucket_edges, WINDOWS[found.window][1], viewer.zone)
        return {
            "failures": [(each, spark_of(axis, each.buckets, each.buckets)) for each in shown],
            "more_failures": found.failures[len(shown) :],
        }

    async def _workflows(self, found: Overview, state: OverviewState, viewer: Viewer) -> dict[str, Any]:
        """Return the workflows of one page, with the words in their name or id and in the chosen order."""
        names = await self.service.names()
        # Names are those of now, however long the figures have been kept.
        current = [renamed(each, names.get(each.workflow_id)) for each in found.workflows]
        chosen, hidden = choose_workflows(current, names, state.find, with_hidden=state.has_hidden)
        listed = sorted_workflows(chosen, state.order.sort, descending=state.order.is_descending)
        shown = listed[(state.page - 1) * _SIZE : state.page * _SIZE]
        last_runs = await self._last_runs.of([each.workflow_id for each in shown], viewer.now)
        return {
            "workflows": [
                (each, len(lines), picture_of(lines), counts_of(lines, viewer.translate))
                for each, lines in zip(shown, last_runs, strict=True)
            ],
            "listed": len(listed),
            "hidden": hidden,
            "pages": -(-len(listed) // _SIZE),
            "currencies": currencies,
            "has_costs": any(each.figures is not None and each.figures.costs for each in found.workflows),
        }

    async def _overview(self, window: Window, viewer: Viewer) -> Overview:
        """Return the overview; read again when something has changed, but not all the time."""
        revision = await self.service.revision()

        async def read() -> Overview:
            await self._look_after_health()
            asked = OverviewQuery(window=window, zone=viewer.zone.key, wait_seconds=PAGE_SECONDS)
            return await self.service.overview(asked, health=self._health)

        return await self._known.answer((window, viewer.zone.key), revision, viewer.now, read)

    def _unrecorded_lately(self, now: int) -> int | None:
        """Return when the last run passed without a record, where that is no longer ago than a day."""
        last = self.recorder.unrecorded_at
        return None if last is None or last < now - DAY_MS else last

    async def _look_after_health(self) -> None:
        """Learn how the store is; its writer, which an import keeps busy, may answer later."""
        looking = self._looking
        if looking is None or looking.done():
            looking = self._looking = asyncio.create_task(self._look())
        await asyncio.wait((looking,), timeout=_HEALTH_SECONDS)
        if looking.done():
            looking.result()

    async def _look(self) -> None:
        health = await self.service.health()
        if health != self._health:
            self._health = health
            self._known.clear()


def backup_problems(found: Iterable[BackupStatus], planned: PlannedBackups | None, viewer: Viewer) -> list[Message]:
    """Return a sentence for each place whose last backup failed or is late."""
    told = (
        backup_problem(each, lambda moment: clock(moment, viewer.zone), is_late=each.is_late(planned, viewer.now))
        for each in found
    )
    return [problem for problem in told if problem is not None]
