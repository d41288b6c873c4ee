"""The page of prices: what tokens cost, the budget of a month, and costs computed again."""

from collections.abc import Awaitable, Callable, Mapping
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
from execution_history.records.pricing import EVERY
from execution_history.web.errors import fault_of
from execution_history.web.pages import urls
from execution_history.web.pages.forms import Form, form_of, query
from execution_history.web.pages.templates import Renderer, viewer_for

_RANGE_NAMES: Final = {**WINDOWS, "all": N_("all runs")}
_DEFAULT: Final = "30d"
_FIELDS: Final = ("workflow", "account", "input", "output", "total", "currency")
_MOST_DIGITS: Final = 18


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

    async def prices(self, request: Request) -> Response:
        """Render all prices, with a form that the address can fill in."""
        given = {name: query(request, name) for name in _FIELDS}
        return await self._page(request, given)

    async def change(self, request: Request) -> Response:
        """Set or remove a price, set the budget, or compute costs again, as the form asks."""
        form = await form_of(request)
        works: Mapping[str, Callable[[Form], Awaitable[None]]] = {
            "set": self._set,
            "remove": self._remove,
            "budget": self._budget,
        }
        action = form.get("action", "")
        given = {name: form.get(name, "") for name in _FIELDS} if action == "set" else dict.fromkeys(_FIELDS, "")
        try:
            if action in ("try", "reprice"):
                return await self._reprice(request, form, is_trial=action == "try")
            if action not in works:
                raise InvalidInput("There is no action %(action)s.", action=quoted(action))
            await works[action](form)
        except ExecutionHistoryError as error:
            fault = fault_of(error, request.url.path)
            return await self._page(request, given, notice=fault.message, status=fault.status)
        return RedirectResponse(urls.PRICES, HTTPStatus.SEE_OTHER)

    async def _set(self, form: Form) -> None:
        values = {name: text for name in _FIELDS if (text := form.get(name, "").strip())}
        await self.service.set_price(values, expected=_entry(form))

    async def _remove(self, form: Form) -> None:
        workflow, account = form.get("workflow", EVERY), form.get("account", EVERY)
        await self.service.remove_price(workflow, account, expected=_entry(form))

    async def _budget(self, form: Form) -> None:
        await self.service.set_budget(form.get("amount", "").strip(), form.get("currency", "").strip())

    async def _reprice(self, request: Request, form: Form, *, is_trial: bool) -> Response:
        """Compute costs again, or only what they would be, and say so on the page."""
        name = form.get("window", "")
        name = name if name in _RANGE_NAMES else _DEFAULT
        filters = {} if name == "all" else {"since": [name]}
        report = await self.service.reprice(filter_of(filters, now=viewer_for(request).now), dry_run=is_trial)
        return await self._page(request, dict.fromkeys(_FIELDS, ""), report=report, range=name)

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
        context: dict[str, Any] = {
            "known": known,
            "given": given,
            "every": EVERY,
            "ranges": _RANGE_NAMES,
            "range": _DEFAULT,
            "report": None,
            "notice": None,
            "workflows": sorted((each.name or each.workflow_id) for each in names.values()),
            "is_budget_fixed": known.budget.is_fixed,
            **more,
        }
        return self.renderer.page(request, "prices.html", context, status)


def _entry(form: Form) -> int | None:
    """Return the entry that the reader has seen; ``None`` where the form names none."""
    text = form.get("entry", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS else None
