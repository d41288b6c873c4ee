"""What pages of other origins may do with the gateway: the browser's half of it (Fetch, section 3.2).

A page of an origin that the settings allow is told so before it sends, and may read the answer with all its headers,
which it may not of Coze itself. Cookies have no part in it. Requests of programs, which name no origin, pass untouched.
"""

from collections.abc import Iterable
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as ASGIMessage

from execution_history.coze.gateway_refusals import gateway_path
from execution_history.web.security import Origins, is_preflight

_METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_SECONDS: Final = "600"
"""How long a browser remembers the leave that it got."""

_ASKED: Final = "Origin, Access-Control-Request-Headers, Access-Control-Request-Private-Network"
_REPLACED: Final = (b"access-control-", b"cross-origin-resource-policy")
"""Beginnings of headers that are not the upstream's to decide."""


class CrossOrigin:
    """Middleware that gives pages of the *origins* leave to call the gateway; refusing others is the guard's.

    Args:
        app: answers the requests themselves.
        origins: as the settings allow them.
    """

    def __init__(self, app: ASGIApp, origins: Iterable[str]) -> None:
        self._app = app
        self._origins = Origins(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a browser's preflight, or pass a request on and let its page read the answer."""
        origin = self._allowed(scope)
        if origin is None:
            await self._app(scope, receive, send)
        elif is_preflight(scope, Headers(scope=scope)):
            await _leave(origin, Headers(scope=scope))(scope, receive, send)
        else:
            await self._app(scope, receive, _readable(origin, send))

    def _allowed(self, scope: Scope) -> bytes | None:
        """Return the origin of a request for the gateway, where it is allowed; ``None`` for all other requests."""
        if scope["type"] != "http":
            return None
        named = [value for name, value in scope["headers"] if name == b"origin"]
        if len(named) != 1 or gateway_path(scope) is None:
            return None
        return named[0] if self._origins.has(named[0].decode("latin-1")) else None


def _leave(origin: bytes, asked: Headers) -> Response:
    """Return the answer to a preflight: whatever headers it names may be sent."""
    headers = {
        "access-control-allow-origin": origin.decode("latin-1"),
        "access-control-allow-methods": _METHODS,
        "access-control-max-age": _SECONDS,
        "vary": _ASKED,
    }
    if names := asked.get("access-control-request-headers"):
        headers["access-control-allow-headers"] = names
    if asked.get("access-control-request-private-network") == "true":
        headers["access-control-allow-private-network"] = "true"
    return Response(status_code=204, headers=headers)


def _readable(origin: bytes, send: Send) -> Send:
    """Return *send* with the headers that let a page of *origin* read the answer, in the place of the upstream's."""

    async def sending(message: ASGIMessage) -> None:
        if message["type"] == "http.response.start":
            kept = [header for header in message.get("headers", ()) if not header[0].lower().startswith(_REPLACED)]
            message["headers"] = [
                *kept,
                (b"access-control-allow-origin", origin),
                (b"access-control-expose-headers", b"*"),
                (b"vary", b"Origin"),
            ]
        await send(message)

    return sending
