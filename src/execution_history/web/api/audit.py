"""The audit log over HTTP, for keys with the scope ``admin``: searched page by page, or taken out."""

from dataclasses import asdict
from typing import Annotated, Final, cast

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from execution_history.access.audit import Action, AuditFilter, newest_lines
from execution_history.clock import now_ms
from execution_history.errors import InvalidInput, quoted
from execution_history.history.service import ExecutionHistoryService
from execution_history.query.time_buckets import zone_of
from execution_history.transfer.audit_export import AuditFormat, audit_chunks
from execution_history.web.api.refusals import add_refusals
from execution_history.web.api.route_class import HistoryRoute
from execution_history.web.api.schemas.executions import FINDING_HISTORY, READING, Responses, described
from execution_history.web.api.schemas.keys import AuditAnswer
from execution_history.web.api.streaming import file_answer
from execution_history.web.responses import answer

MOST_LINES: Final = 1_000
_TYPES: Final = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}
_EXPORTING: Final[Responses] = {
    200: {
        "description": "The lines, the oldest first.",
        "content": {name: {"schema": {"type": "string", "format": "binary"}} for name in _TYPES.values()},
    },
    **FINDING_HISTORY,
}

MostLines = Annotated[int, Query(ge=1, le=MOST_LINES, description="How many at most.")]
Before = Annotated[int | None, Query(ge=1, description="The next of the page before.")]
Actions = Annotated[list[str], Query(alias="action", description=f"One of {', '.join(Action)}; repeatable.")]
By = Annotated[str, Query(alias="by", description="A part of who did it, such as the name or the id of a key.")]
Since = Annotated[str, Query(alias="since", description="From then on, such as 7d, monday or 2026-11-24.")]
Until = Annotated[str, Query(alias="until", description="Before then; a date alone includes its day.")]
Zone = Annotated[
    str, Query(description="The zone of times without an offset, such as Asia/Shanghai; UTC unless given.")
]
Format = Annotated[str, Query(alias="format", description="csv, for a table, or jsonl, one JSON object a line.")]


def audit_filter(
    actions: Actions = [],  # noqa: B006 - FastAPI copies it
    by: By = "",
    since: Since = "",
    until: Until = "",
    zone: Zone = "UTC",
) -> AuditFilter:
    """Return what the parameters of an address look for.

    Raises:
        InvalidInput: a parameter cannot be read.
    """
    return AuditFilter.of(actions, by, since, until, now=now_ms(), zone=zone_of(zone))


Chosen = Annotated[AuditFilter, Depends(audit_filter)]


def audit_router(service: ExecutionHistoryService) -> APIRouter:
    """Return the router of the audit log."""
    router = APIRouter(prefix="/coze/audit", route_class=HistoryRoute)

    @router.get("", **described("The audit log", AuditAnswer, READING, "access"))
    async def read_audit(chosen: Chosen, limit: MostLines = 100, before: Before = None) -> Response:
        """Return who deleted, restored, exported or imported runs, changed keys or rules and so on, the newest first.

        At most 50,000 lines are looked at for a page: one can be empty and yet have a `next`, with which to go on.
        """
        await service.open()
        found = await newest_lines(service.store, limit, chosen, before)
        return answer({"success": True, "lines": [asdict(line) for line in found.lines], "next": found.next})

    @router.get(
        "/export", tags=["access"], summary="Export the audit log", response_class=Response, responses=_EXPORTING
    )
    async def export_audit(chosen: Chosen, kind: Format = "jsonl") -> Response:
        """Stream the lines of the audit log that match, the oldest first; that they were exported is a line of it."""
        if kind not in _TYPES:
            raise InvalidInput(
                "%(name)s is not a format; there are %(names)s.", name=quoted(kind), names=", ".join(_TYPES)
            )
        await service.open()
        pieces = audit_chunks(service.store, chosen, cast("AuditFormat", kind))
        return await file_answer(pieces, f"audit.{kind}", _TYPES[kind])

    add_refusals(router)
    return router
