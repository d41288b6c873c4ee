"""The page of keys, for whoever may do everything."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from execution_history.access.gate import Gate
from execution_history.access.keys import Key, NewKey
from execution_history.access.limits import lifetime_of, rate_of, size_of
from execution_history.access.principals import SCOPES
from execution_history.errors import ExecutionHistoryError, InvalidInput, quoted
from execution_history.web.errors import fault_of
from execution_history.web.pages import urls
from execution_history.web.pages.forms import Form, form_of
from execution_history.web.pages.templates import Renderer, viewer_for

_FIELDS: Final = ("name", "workflows", "expires", "rate", "largest_body")
_EMPTY: Final[Mapping[str, str]] = dict.fromkeys(_FIELDS, "")


@dataclass(frozen=True, slots=True)
class KeyPages:
    """Shows, adds, renews and revokes keys.

    Args:
        gate: has the keys.
        renderer: renders pages.
    """

    gate: Gate
    renderer: Renderer

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route(urls.KEYS, self.keys, methods=["GET", "HEAD"])
        router.add_api_route(urls.KEYS, self.change, methods=["POST"])

    async def keys(self, request: Request) -> Response:
        """Render all keys, and a form for another one."""
        return await self._page(request, _Shown())

    async def change(self, request: Request) -> Response:
        """Add, renew or revoke a key, or sign all browsers out, by the form; this answer alone shows a new key."""
        form = await form_of(request)
        shown, status = _Shown(), HTTPStatus.OK
        try:
            match form.get("action", ""):
                case "add":
                    shown = _Shown(made=await self._add(form))
                case "renew":
                    shown = _Shown(renewed=(await self._renew(form)).name)
                case "revoke":
                    shown = _Shown(revoked=(await self.gate.keys.revoke(form.get("key", ""))).name)
                case "rotate":
                    await self.gate.sessions.rotate(ends_all=True)
                case action:
                    raise InvalidInput("There is no action %(action)s.", action=quoted(action))
        except ExecutionHistoryError as error:
            fault = fault_of(error, request.url.path)
            given = {name: form.get(name, "") for name in _FIELDS}
            shown = _Shown(fault.message, given=given, scopes=tuple(form.getlist("scope")))
            status = HTTPStatus(fault.status)
        return await self._page(request, shown, status)

    async def _add(self, form: Form) -> NewKey:
        text = {name: form.get(name, "").strip() for name in _FIELDS}
        return await self.gate.keys.add(
            text["name"],
            form.getlist("scope"),
            workflows=text["workflows"].replace(",", " ").split(),
            lifetime_ms=lifetime_of(text["expires"]) if text["expires"] else None,
            rate=rate_of(text["rate"]) if text["rate"] else None,
            largest_body=size_of(text["largest_body"]) if text["largest_body"] else None,
        )

    async def _renew(self, form: Form) -> Key:
        lifetime = form.get("expires", "").strip()
        return await self.gate.keys.renew(form.get("key", ""), lifetime_ms=lifetime_of(lifetime) if lifetime else None)

    async def _page(self, request: Request, shown: "_Shown", status: int = HTTPStatus.OK) -> Response:
        view: dict[str, Any] = {
            "keys": await self.gate.keys.all(),
            "all_scopes": SCOPES,
            "shown": shown,
            "now": viewer_for(request).now,
            "base": str(request.base_url).rstrip("/"),
        }
        return self.renderer.page(request, "access_keys.html", view, status)


@dataclass(frozen=True, slots=True)
class _Shown:
    """The page's sentence on the last form: what is wrong with it, or what it did."""

    notice: str | None = None
    made: NewKey | None = None
    renewed: str | None = None
    revoked: str | None = None
    given: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    scopes: tuple[str, ...] = ("read",)
