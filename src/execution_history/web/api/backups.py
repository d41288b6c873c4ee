"""Backups over HTTP: what the history knows of them; they are made by a server itself, or on the command line."""

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from execution_history.clock import now_ms
from execution_history.history.service import ExecutionHistoryService
from execution_history.maintenance.backup.status import PlannedBackups, statuses
from execution_history.web.api.schemas.backups import BackupsAnswer
from execution_history.web.api.schemas.executions import READING, described
from execution_history.web.responses import answer, translator_for


def add_backups(router: APIRouter, service: ExecutionHistoryService, planned: PlannedBackups | None) -> None:
    """Add the route of backups, of which this process makes those that are *planned*."""

    @router.get("/backups", **described("When the history was backed up last", BackupsAnswer, READING))
    async def list_backups(request: Request) -> Response:
        """Return the newest backup in each place, which one was verified last, and why a later one failed."""
        now, translate = now_ms(), translator_for(request.headers)
        places = [
            {
                "place": each.place,
                "last": None if each.last is None else msgspec.to_builtins(each.last),
                "failure": None
                if each.failure is None
                else {"at": each.failure.at, "problem": translate.message(each.failure.problem)},
                "is_late": each.is_late(planned, now),
                "verified": None if each.verified is None else msgspec.to_builtins(each.verified),
                "unverified": each.unverified,
            }
            for each in await statuses(service)
        ]
        return answer({"success": True, "backups": places, "planned": None if planned is None else planned._asdict()})
