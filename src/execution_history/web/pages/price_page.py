"""The pages of prices: what tokens cost and have cost, the budget of a month, and costs computed again."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from execution_history.errors import N_, ExecutionHistoryError, InvalidInput, quoted
from execution_history.history.service import ExecutionHistoryService
from execution_history.presentation.phrases import WINDOWS
from execution_history.query.parameters import filter_of
from execution_history.records.price_book import EVERY
from execution_history.web.errors import fault_of
from execution_history.web.pages import urls
from execution_history.web.pages.forms import Form, form_of, query, whole_number
from execution_history.web.pages.templates import Renderer, viewer_for

_RANGE_NAMES: Final = {**WINDOWS, "all": N_("all runs")}
_DEFAULT: Final = "30d"
_FIELDS: Final = ("workflow", "account", "input", "output", "total", "currency")
_MOST_DIGITS: Final = 18
_SIZE: Final = 50
_MOST_PAGES: Final = 10**6
_MOST_NAMES: Final = 500
_WAIT_SECONDS: Final = 1.0
"""How long an answer waits until costs are computed again; it takes longer only where runs are many."""


@dataclass(frozen=True, slots=True)
class PricePages:
    """Shows and changes prices.

    Args:
        service: where the prices are.
        renderer: renders pages.
    """

    service: ExecutionHistoryService
    renderer: Renderer

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route(urls.PRICES, self.prices, methods=["GET", "HEAD"])
        router.add_api_route(urls.PRICES, self.change, methods=["POST"])
        router.add_api_route(urls.PRICE_VERSIONS, self.versions, methods=["GET", "HEAD"])
        router.add_api_route(urls.RECALCULATION, self.recalculation, methods=["GET"])
        router.add_api_route(urls.RECALCULATION, self.recalculate, methods=["POST"])

    async def prices(self, request: Request) -> Response:
        """Render the current prices, with a form that the address can fill in, and how far a recalculation is."""
        given = {name: query(request, name) for name in _FIELDS}
        found = self.service.recalculations.find(query(request, "recalculation"))
        return await self._page(request, given, recalculation=found)

    async def versions(self, request: Request) -> Response:
        """Render the versions of the price of a workflow and an account, the newest first."""
        named = query(request, "workflow") or EVERY, query(request, "account") or EVERY
        lines = (await self.service.price_list()).lines
        line = next((each for each in lines if (each.price.workflow, each.price.account) == named), None)
        known = [] if line is None else [(line.price, line.since), *line.earlier]
        context = {"named": named, "every": EVERY, "line": line, **_paged(request, known)}
        return self.renderer.page(request, "price_versions.html", context)

    async def recalculation(self, request: Request) -> Response:
        """Render how far costs that are computed again are, for the page that shows it."""
        found = self.service.recalculations.find(query(request, "recalculation"))
        return self.renderer.page(request, "recalculation.html", {"recalculation": found})

    async def change(self, request: Request) -> Response:
        """Set or remove a price, or set the budget, by the form."""
        form = await form_of(request)
        works: Mapping[str, Callable[[Form], Awaitable[None]]] = {
            "set": self._set,
            "remove": self._remove,
            "budget": self._budget,
        }
        action = form.get("action", "")
        given = {name: form.get(name, "") for name in _FIELDS} if action == "set" else dict.fromkeys(_FIELDS, "")
        try:
            if action not in works:
                raise InvalidInput("There is no action %(action)s.", action=quoted(action))
            await works[action](form)
        except ExecutionHistoryError as error:
            return await self._refused(request, given, error)
        return RedirectResponse(urls.PRICES, HTTPStatus.SEE_OTHER)

    async def recalculate(self, request: Request) -> Response:
        """Compute costs again, only what they would be, or stop computing them, by the form."""
        form = await form_of(request)
        action = form.get("action", "")
        try:
            if action in ("try", "reprice"):
                return await self._reprice(request, form, is_trial=action == "try")
            if action != "stop":
                raise InvalidInput("There is no action %(action)s.", action=quoted(action))
            await self.service.recalculations.stop(form.get("recalculation", ""))
        except ExecutionHistoryError as error:
            return await self._refused(request, dict.fromkeys(_FIELDS, ""), error)
        shown = {"recalculation": form.get("recalculation", "")}
        return RedirectResponse(urls.with_query(urls.PRICES, shown), HTTPStatus.SEE_OTHER)

    async def _refused(self, request: Request, given: Mapping[str, str], error: ExecutionHistoryError) -> Response:
        fault = fault_of(error, request.url.path)
        return await self._page(request, given, notice=fault.message, status=fault.status)

    async def _set(self, form: Form) -> None:
        values = {name: text for name in _FIELDS if (text := form.get(name, "").strip())}
        await self.service.set_price(values, expected=_entry(form))

    async def _remove(self, form: Form) -> None:
        workflow, account = form.get("workflow", EVERY), form.get("account", EVERY)
        await self.service.remove_price(workflow, account, expected=_entry(form))

    async def _budget(self, form: Form) -> None:
        await self.service.set_budget(form.get("amount", "").strip(), form.get("currency", "").strip())

    async def _reprice(self, request: Request, form: Form, *, is_trial: bool) -> Response:
        """Compute costs again, or only what they would be; the page shows that, or how far it is."""
        name = form.get("window", "")
        name = name if name in _RANGE_NAMES else _DEFAULT
        record_filter = filter_of({} if name == "all" else {"since": [name]}, now=viewer_for(request).now)
        recalculations, prices = self.service.recalculations, (await self.service.price_list()).in_force
        begun = await recalculations.begin(record_filter, prices, dry_run=is_trial)
        await recalculations.wait(begun.id, _WAIT_SECONDS)
        if begun.state == "running":
            place = urls.with_query(urls.PRICES, {"recalculation": begun.id, "window": name})
            return RedirectResponse(f"{place}#again", HTTPStatus.SEE_OTHER)
        return await self._page(request, dict.fromkeys(_FIELDS, ""), recalculation=begun, range=name)

    async def _page(
        self,
        request: Request,
        given: Mapping[str, str],
        *,
        status: int = HTTPStatus.OK,
        **more: Any,  # noqa: ANN401
    ) -> Response:
        """Render the page, its form filled in with what is *given*; *more* is what else the template has."""
        known, names = await self.service.price_list(), await self.service.names()
        chosen = query(request, "window")
        context: dict[str, Any] = {
            "known": known,
            "given": given,
            "every": EVERY,
            "ranges": _RANGE_NAMES,
            "range": chosen if chosen in _RANGE_NAMES else _DEFAULT,
            "recalculation": None,
            "notice": None,
            "removed": sorted((each for each in known.lines if each.is_removed), key=lambda each: -(each.since or 0)),
            **_paged(request, [each for each in known.lines if not each.is_removed]),
            "workflows": sorted((each.name or each.workflow_id) for each in names.values())[:_MOST_NAMES],
            "is_budget_fixed": known.budget.is_fixed,
            **more,
        }
        return self.renderer.page(request, "prices.html", context, status)


def _paged(request: Request, found: Sequence[object]) -> dict[str, Any]:
    """Return what one page shows of what was *found*, which page that is, and how many there are."""
    pages = max(1, -(-len(found) // _SIZE))
    page = min(pages, max(1, whole_number(request, "page", _MOST_PAGES)))
    return {"shown": found[(page - 1) * _SIZE : page * _SIZE], "page": page, "pages": pages, "size": _SIZE}


def _entry(form: Form) -> int | None:
    """Return the entry that the reader has seen; ``None`` where the form names none."""
    text = form.get("entry", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS else None
