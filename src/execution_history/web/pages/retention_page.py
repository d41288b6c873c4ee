"""The page of retention: the rules by which old runs go, what the history takes, and what the last run did."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from execution_history.access.principals import current_actor
from execution_history.errors import N_, ExecutionHistoryError, InvalidInput, quoted
from execution_history.history.service import ExecutionHistoryService
from execution_history.jobs.schedule import Schedule
from execution_history.maintenance.report import disk_json
from execution_history.maintenance.retention import JOB, Retention
from execution_history.web.errors import fault_of
from execution_history.web.pages import urls
from execution_history.web.pages.forms import Form, form_of, query
from execution_history.web.pages.templates import Renderer

_FIELDS: Final = ("name", "workflow", "status", "tag", "older_than", "keep_runs", "keep_bytes", "action_of_rule")
_LARGEST_WORKFLOWS: Final = 10
_SECONDS: Final = 3.0
_GOES_ON: Final = N_("This takes a while and goes on in the background; the report appears here when it has ended.")


@dataclass(frozen=True, slots=True)
class RetentionPages:
    """Shows and changes rules, and carries them out.

    Args:
        service: the history.
        retention: its rules.
        schedule: when they are carried out by themselves, if they are.
        renderer: renders pages.
    """

    service: ExecutionHistoryService
    retention: Retention
    schedule: Schedule | None
    renderer: Renderer

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route(urls.RETENTION, self.show, methods=["GET", "HEAD"])
        router.add_api_route(urls.RETENTION, self.change, methods=["POST"])

    async def show(self, request: Request) -> Response:
        """Render the rules, with a form that the address can fill in."""
        return await self._page(request, {name: query(request, name) for name in _FIELDS})

    async def change(self, request: Request) -> Response:
        """Set or remove a rule, show what the rules would do, or carry them out, as the form asks."""
        form = await form_of(request)
        action = form.get("action", "")
        given = {name: form.get(name, "") if action == "set" else "" for name in _FIELDS}
        works: Mapping[str, Callable[[Form], Awaitable[None]]] = {"set": self._set, "remove": self._remove}
        try:
            if action == "preview":
                report = (await self.retention.preview(seconds=_SECONDS)).to_json()
                return await self._page(request, given, preview=report)
            if action == "run":
                done = await self.retention.prune_within(_SECONDS)
                if done is None:
                    return await self._page(request, given, notice=_GOES_ON)
            elif action in works:
                await works[action](form)
            else:
                raise InvalidInput("There is no action %(action)s.", action=quoted(action))
        except ExecutionHistoryError as error:
            fault = fault_of(error, request.url.path)
            return await self._page(request, given, notice=fault.message, status=fault.status)
        return RedirectResponse(urls.RETENTION, HTTPStatus.SEE_OTHER)

    async def _set(self, form: Form) -> None:
        values: dict[str, Any] = {name: text for name in _FIELDS[:-1] if (text := form.get(name, "").strip())}
        if "workflow" in values:
            values["workflow"] = await self.service.workflow_named(values["workflow"])
        await self.retention.rule_book.put({**values, "action": form.get("action_of_rule", "")}, current_actor())

    async def _remove(self, form: Form) -> None:
        await self.retention.rule_book.remove(form.get("name", ""), current_actor())

    async def _page(
        self,
        request: Request,
        given: Mapping[str, str],
        *,
        status: int = HTTPStatus.OK,
        **more: Any,  # noqa: ANN401 - whatever else the template has
    ) -> Response:
        """Render the page, its form filled in with what is *given*."""
        known, names = await self.retention.rule_book.rules(), await self.service.names()
        last = await self.retention.last_run()
        summaries = await self.service.workflow_summaries()
        context: dict[str, Any] = {
            "known": known,
            "rules": [rule.to_json() for rule in known.rules],
            "given": given,
            "limit": self.retention.settings.max_bytes,
            "keep_tags": self.retention.settings.keep_tags,
            "disk": disk_json(await self.retention.disk_use()),
            "largest": sorted(summaries, key=lambda each: -each.size)[:_LARGEST_WORKFLOWS],
            "last": last,
            "removal": await self.retention.last_removal(),
            "next_run": None if self.schedule is None else self.schedule.next_run(JOB, last),
            "binned": await self.service.bin.page(limit=1),
            "workflows": sorted((each.name or each.workflow_id) for each in names.values()),
            "preview": None,
            "notice": None,
            **more,
        }
        return self.renderer.page(request, "retention.html", context, status)
