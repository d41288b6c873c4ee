"""The page of the audit log: who did what, found by action, person and time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from execution_history.access.audit import EVERYTHING, LABELS, AuditFilter, AuditLine, AuditPage, newest_lines
from execution_history.errors import ExecutionHistoryError
from execution_history.history.service import ExecutionHistoryService
from execution_history.presentation.audit_sentences import actor_text, details_text
from execution_history.query.fields import LABELS as FILTER_LABELS
from execution_history.web.errors import fault_of
from execution_history.web.pages import urls
from execution_history.web.pages.forms import query, whole_number
from execution_history.web.pages.templates import Renderer, viewer_for

_SIZE: Final = 100
_FIELDS: Final = ("action", "by", "since", "until")
_LARGEST: Final = 10**15
_PLACES: Final = {
    "delete": urls.BIN, "bin.empty": urls.BIN, "undelete": urls.BIN, "bulk_delete": urls.CHANGES,
    "reprice": urls.PRICES,
    "retention.prune": urls.RETENTION, "retention.rule.set": urls.RETENTION, "retention.rule.remove": urls.RETENTION,
    "redact": urls.REDACTION, "backup": urls.SYSTEM, "doctor": urls.SYSTEM,
    "key_added": urls.KEYS, "key_renewed": urls.KEYS, "key_revoked": urls.KEYS, "sessions_ended": urls.KEYS,
}  # fmt: skip
"""Where one sees more of what a line is about."""


@dataclass(frozen=True, slots=True)
class AuditPages:
    """Shows who did what.

    Args:
        service: the history.
        renderer: renders pages.
    """

    service: ExecutionHistoryService
    renderer: Renderer

    def add_to(self, router: APIRouter) -> None:
        """Add the route."""
        router.add_api_route(urls.AUDIT, self.lines, methods=["GET", "HEAD"])

    async def lines(self, request: Request) -> Response:
        """Render a page of the lines that the address describes, the newest first."""
        viewer, notice, status = viewer_for(request), None, HTTPStatus.OK
        given = {name: query(request, name) for name in _FIELDS}
        found = AuditPage([], None)
        try:
            chosen = AuditFilter.of(
                [given["action"]], given["by"], given["since"], given["until"], now=viewer.now, zone=viewer.zone
            )
            await self.service.open()
            before = whole_number(request, "before", _LARGEST) or None
            found = await newest_lines(self.service.store, _SIZE, chosen, before)
        except ExecutionHistoryError as error:
            fault = fault_of(error, request.url.path)
            notice, status, chosen = fault.message, HTTPStatus(fault.status), EVERYTHING
        context: dict[str, Any] = {
            "page": found,
            "given": given,
            "is_filtered": any(given.values()),
            "is_first": not query(request, "before"),
            "labels": LABELS,
            "places": dict(self._places(found)),
            "actor_text": lambda actor: actor_text(viewer.translate, actor),
            "details_text": lambda line: details_text(viewer.translate, line.action, line.details),
            "notice": notice,
        }
        return self.renderer.page(request, "audit.html", context, status)

    def _places(self, page: AuditPage) -> Iterator[tuple[int, str]]:
        """Yield where each line leads, by its number."""
        for line in page.lines:
            if place := _place_of(line):
                yield line.number, place


def _place_of(line: AuditLine) -> str | None:
    """Return the address of what a line is about; ``None`` where there is nothing to see."""
    workflow_id, filters = line.details.get("workflow_id"), line.details.get("filters")
    if line.action == "clear" and isinstance(workflow_id, str):
        return urls.runs(workflow_id)
    if line.action == "bulk_delete" and isinstance(line.details.get("change"), str):
        return urls.with_query(urls.CHANGES, {"change": line.details["change"]})
    if line.action == "export" and isinstance(filters, Mapping):
        texts = {name: value for name, value in filters.items() if name in FILTER_LABELS and isinstance(value, list)}
        return urls.with_query(urls.RUNS, {name: ",".join(map(str, value)) for name, value in texts.items()})
    return _PLACES.get(line.action)
