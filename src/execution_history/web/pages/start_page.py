"""The page that runs a workflow: a form filled from an earlier run, and the redirect to the run that it begins."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from execution_history.coze import CozeRunner
from execution_history.errors import ExecutionHistoryError, Message, RecordDamaged, StoreError
from execution_history.history.service import ExecutionHistoryService
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordQuery
from execution_history.records.identifiers import is_identifier
from execution_history.records.metadata import ACCOUNT
from execution_history.records.origin import is_function
from execution_history.records.partial import read_record
from execution_history.web.errors import fault_of
from execution_history.web.pages import urls
from execution_history.web.pages.forms import form_of, query
from execution_history.web.pages.run_starter import RunStarter, input_of
from execution_history.web.pages.run_view import edited, not_again
from execution_history.web.pages.templates import Renderer

TRIAL_WORKFLOW: Final = "7000000000000000002"
TRIAL_INPUT: Final = '{"city": "Paris", "pace_ms": 120}'
"""A workflow of the sandbox, and an input with which one can watch it for some seconds."""

_LOOKED_AT: Final = 20
_OFFERED: Final = 6
_LARGEST: Final = 100_000
_MODES: Final = ("stream_run", "run")
_FIELDS: Final = {"mode": "stream_run", "account": "", "bot_id": "", "conversation_id": ""}
"""What the form begins with where there is no earlier run."""


class EarlierInput(NamedTuple):
    """The input of an earlier run, on one line."""

    execute_id: str
    line: str
    create_time: int


@dataclass(frozen=True, slots=True)
class StartPages:
    """Runs any workflow.

    Args:
        service: where earlier inputs are.
        runner: runs workflows.
        starter: reads the runs to their end.
        renderer: renders pages.
        accounts: the names of the accounts to choose from.
    """

    service: ExecutionHistoryService
    runner: CozeRunner
    starter: RunStarter
    renderer: Renderer
    accounts: tuple[str, ...]

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route(urls.START, self.choose, methods=["GET"])
        router.add_api_route("/workflows/{workflow_id}/run", self.form, methods=["GET"])
        router.add_api_route("/workflows/{workflow_id}/run", self.start, methods=["POST"])

    async def choose(self, request: Request) -> Response:
        """Redirect to the form of the workflow that was typed or chosen."""
        chosen = query(request, "workflow").strip()
        address = urls.start(chosen) if is_identifier(chosen) else urls.OVERVIEW
        return RedirectResponse(address, HTTPStatus.SEE_OTHER)

    async def form(self, request: Request, workflow_id: str) -> Response:
        """Render the form with the input of the newest run, or of the one that the address names."""
        earlier = await self._earlier(workflow_id)
        chosen = query(request, "from") or (earlier[0].execute_id if earlier else "")
        record = await self._record(workflow_id, chosen)
        text, notice = "{}", None
        fields = _FIELDS
        if record is not None:
            notice = not_again(record)
            found = edited(record, _LARGEST)
            if notice is None and found is None:
                notice = Message("The input of this run is too long to be edited here: run it again from its page.")
            text = found if found is not None and notice is None else text
            fields = {**_FIELDS, "account": ACCOUNT.of(record) or ""}
            fields |= {name: str(record[name] or "") for name in ("bot_id", "conversation_id")}
        view = {
            "chosen": chosen, "earlier": earlier, "text": text, "fields": fields, "notice": notice, "wrong": None,
            "is_function": record is not None and is_function(record),
        }  # fmt: skip
        return self._page(request, workflow_id, view)

    async def start(self, request: Request, workflow_id: str) -> Response:
        """Begin a run with what was typed, and redirect to its page; what is wrong is shown beside the input."""
        form = await form_of(request)
        text = form.get("parameters", "")
        mode = form.get("mode", "") if form.get("mode") in _MODES else _MODES[0]
        try:
            frames = self.runner.stream_workflow(
                workflow_id,
                input_of(text),
                form.get("bot_id") or None,
                form.get("conversation_id") or None,
                account_id=form.get("account") or "default",
                is_streamed=mode == _MODES[0],
            )
            execute_id = await self.starter.started(frames)
        except ExecutionHistoryError as error:
            fault = fault_of(error, request.url.path)
            view = {
                "chosen": form.get("from", ""), "earlier": await self._earlier(workflow_id), "text": text,
                "fields": {**_FIELDS, **form}, "notice": None, "wrong": fault.message,
                "is_function": False,
            }  # fmt: skip
            return self._page(request, workflow_id, view, fault.status)
        return RedirectResponse(urls.run(workflow_id, execute_id), HTTPStatus.SEE_OTHER)

    def _page(
        self, request: Request, workflow_id: str, view: Mapping[str, Any], status: int = HTTPStatus.OK
    ) -> Response:
        more = {"workflow_id": workflow_id, "accounts": self.accounts, "modes": _MODES}
        return self.renderer.page(request, "start.html", {**view, **more}, status)

    async def _earlier(self, workflow_id: str) -> list[EarlierInput]:
        """Return the inputs of the newest runs that differ, the newest first."""
        if not is_identifier(workflow_id):
            return []
        chosen = RecordFilter(workflow_ids=(workflow_id,))
        found = await self.service.select(RecordQuery(filter=chosen, size=_LOOKED_AT, summaries=True, wait_seconds=0))
        lines: dict[str, EarlierInput] = {}
        for summary in map(orjson.loads, found.documents):
            line = summary["input_line"] or "{}"
            lines.setdefault(line, EarlierInput(summary["execute_id"], line, summary["create_time"]))
        return list(lines.values())[:_OFFERED]

    async def _record(self, workflow_id: str, execute_id: str) -> dict[str, Any] | None:
        """Return the run whose input is taken; ``None`` where it is gone or cannot be read."""
        try:
            body = await self.service.detail_bytes(workflow_id, execute_id) if execute_id else None
        except (RecordDamaged, StoreError):
            return None
        return None if body is None else read_record(body)
