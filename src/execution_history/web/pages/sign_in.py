"""Signing in with a key, and out."""

from dataclasses import dataclass
from http import HTTPStatus

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from execution_history.access.gate import Gate
from execution_history.access.sessions import LIFETIME_MS
from execution_history.errors import Message
from execution_history.records.time_units import SECOND_MS
from execution_history.web.access import COOKIE, cookie_of
from execution_history.web.pages import urls
from execution_history.web.pages.forms import form_of, query
from execution_history.web.pages.templates import Renderer

_UNKNOWN = Message("This key is not known, has expired or was revoked.")
_RUNS_ONLY = Message("This key only starts runs, for programs: sign in with one that has the scope read.")


@dataclass(frozen=True, slots=True)
class SignInPages:
    """Gives a browser a session for a key, and ends it.

    Args:
        gate: has the keys.
        renderer: renders pages.
    """

    gate: Gate
    renderer: Renderer

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route(urls.SIGN_IN, self.form, methods=["GET", "HEAD"])
        router.add_api_route(urls.SIGN_IN, self.sign_in, methods=["POST"])
        router.add_api_route(urls.SIGN_OUT, self.sign_out, methods=["POST"])

    async def form(self, request: Request) -> Response:
        """Render the form that takes a key; who was signed in before reads why they have to do it again."""
        cookie = cookie_of(request.scope)
        reason = None if cookie is None or not await self.gate.is_closed() else await self.gate.reason_out(cookie)
        return await self._page(request, urls.own(query(request, "back")), reason)

    async def sign_in(self, request: Request) -> Response:
        """Begin a session of the key that was sent, and go to where the browser was going."""
        form = await form_of(request)
        back = urls.own(form.get("back", ""))
        key = await self.gate.keys.holder_of(form.get("key", "").strip())
        if key is None:
            await self.gate.note_failure(request.client.host if request.client else "?")
            return await self._page(request, back, _UNKNOWN, HTTPStatus.UNAUTHORIZED)
        if not key.principal.may("read"):
            return await self._page(request, back, _RUNS_ONLY, HTTPStatus.FORBIDDEN)
        answer = RedirectResponse(back, HTTPStatus.SEE_OTHER)
        answer.set_cookie(
            COOKIE,
            await self.gate.sessions.begin(key.id),
            max_age=2 * LIFETIME_MS // SECOND_MS,  # it outlives its session, and brings the reason to sign in again
            path="/",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="lax",
        )
        return answer

    async def sign_out(self, request: Request) -> Response:
        """End the session of this browser."""
        del request
        answer = RedirectResponse(urls.SIGN_IN, HTTPStatus.SEE_OTHER)
        answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
        return answer

    async def _page(
        self, request: Request, back: str, notice: Message | None = None, status: int = HTTPStatus.OK
    ) -> Response:
        is_closed, has_keys = await self.gate.is_closed(), await self.gate.keys.any()
        view = {"back": back, "notice": notice, "is_closed": is_closed, "has_keys": has_keys}
        return self.renderer.page(request, "sign_in.html", view, status)
