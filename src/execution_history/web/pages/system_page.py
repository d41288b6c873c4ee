"""The page of the system: what needs attention, what runs by itself and how it went, backups, and quick checks."""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from execution_history.application import Application, trouble_told
from execution_history.errors import N_, StoreError
from execution_history.jobs.job import JobRun, last_runs
from execution_history.maintenance.backup.status import last_restoration, statuses
from execution_history.maintenance.doctor import Doctor
from execution_history.presentation.job_sentences import JOBS, job_text
from execution_history.presentation.translator import Translator
from execution_history.web.pages import urls
from execution_history.web.pages.overview import backup_problems
from execution_history.web.pages.templates import Renderer, viewer_for
from execution_history.web.readiness import disk_of, findings

_VERDICTS: Final = {"ok": N_("in order"), "remark": N_("remark"), "problem": N_("problem")}


class JobLine(NamedTuple):
    """Periodic work: what it is called, its last run and how that went, and when it is due next (milliseconds)."""

    title: str
    last: JobRun | None
    result: str
    next_run: int | None


@dataclass(frozen=True, slots=True)
class SystemPages:
    """Shows in one place how the history and its server are.

    Args:
        application: the open parts.
        renderer: renders pages.
    """

    application: Application
    renderer: Renderer

    def add_to(self, router: APIRouter) -> None:
        """Add the route."""
        router.add_api_route(urls.SYSTEM, self.show, methods=["GET", "HEAD"])

    async def show(self, request: Request) -> Response:
        """Render what is wrong, the jobs, the backups, and what the quick checks find."""
        application, viewer = self.application, viewer_for(request)
        service, planned = application.service, application.backups
        wrong = [(each.severity == "problem", each.sentence) for each in await findings(application)]
        try:
            backups, jobs = await statuses(service), await self._jobs(viewer.translate)
            restoration = None if backups else await last_restoration(service.store)
        except StoreError:
            backups, jobs, restoration = [], [], None  # the store is among what is wrong
        doctor = Doctor(service.store, application.settings)
        context: dict[str, Any] = {
            "wrong": [*wrong, *((False, sentence) for sentence in backup_problems(backups, planned, viewer))],
            "unrecorded": trouble_told(application).unrecorded,
            "backups": backups,
            "restoration": restoration,
            "planned": planned,
            "jobs": jobs,
            "reports": [report async for report in doctor.examine(is_quick=True)],
            "verdicts": _VERDICTS,
            "disk": await disk_of(application),
        }
        return self.renderer.page(request, "system.html", context)

    async def _jobs(self, translate: Translator) -> list[JobLine]:
        """Return what runs by itself here, and what ran in any process before.

        Raises:
            StoreError: the store could not be read.
        """
        runs, schedule = await last_runs(self.application.service), self.application.schedule
        planned = {} if schedule is None else schedule.jobs
        found = []
        for name in sorted({*planned, *runs}):
            last = runs.get(name)
            result = "" if last is None else job_text(translate, name, last.outcome, last.reason, last.report)
            due = schedule.next_run(name, last) if schedule is not None and name in planned else None
            found.append(JobLine(translate(JOBS.get(name, name)), last, result, due))
        return found
