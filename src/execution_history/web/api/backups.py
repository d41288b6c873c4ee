"""Backups over HTTP: what the history knows of them; they are made by a server itself, or on the command line."""

import msgspec
from fastapi import APIRouter
from starlette.responses import Response

from execution_history.clock import now_ms
from execution_history.history.service import ExecutionHistoryService
from execution_history.maintenance.backup.status import statuses
from execution_history.web.api.schemas.backups import BackupsAnswer
from execution_history.web.api.schemas.executions import READING, described
from execution_history.web.responses import answer


def add_backups(router: APIRouter, service: ExecutionHistoryService) -> None:
    """Add the route of backups."""

    @router.get("/backups", **described("When the history was backed up last", BackupsAnswer, READING))
    async def list_backups() -> Response:
        """Return the newest backup in each place, and why a later one failed."""
        found, now = await statuses(service), now_ms()
        places = [{**msgspec.to_builtins(each), "is_late": each.is_late(now)} for each in found]
        return answer({"success": True, "backups": places})
