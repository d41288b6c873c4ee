"""Checks on every request: its host and its origin; and headers for what a browser may do with the answer.

A page in a browser can make it send requests to 127.0.0.1, and open WebSocket connections. The rule for both:

1. There is one ``Host``, and it is a name of this server, with any port. This stops a foreign name that resolves here
   (DNS rebinding).
2. What may change something, which is every method but GET, HEAD, OPTIONS and TRACE, and every WebSocket connection,
   comes from a page of this server or from a program: ``Sec-Fetch-Site`` is neither ``cross-site`` nor
   ``same-site``; each ``Origin`` is this server's own, which ``null`` is not; where there is no ``Origin``, the
   ``Referer`` is an address of this server. A browser sends at least one of the three, and a program need not send any.

A request that breaks the rule is refused before it is read, passed on or upgraded: 1 with 421, 2 with 403.
"""

import re
from collections.abc import Iterable
from email.utils import formatdate
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from starlette import status
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as ASGIMessage

from execution_history.errors import Message, quoted
from execution_history.web.errors import Fault

_OWN_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_OWN_SITE: Final = frozenset({"same-origin", "none"})
_SCHEMES: Final = {"ws": "http", "wss": "https"}
_STARTS: Final = frozenset({"http.response.start", "websocket.http.response.start"})
# uri-host [ ":" port ] (RFC 9110, section 7.2), an IPv6 address in brackets.
_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:@/\s]+)(?::\d{0,5})?")
_POLICY: Final = (
    b"default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; "
    b"frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", _POLICY),
)
_FOREIGN: Final = Fault(
    HTTPStatus.FORBIDDEN,
    "foreign_origin",
    Message(
        "A page of another origin may not change anything here: use this server's own page, or a program. "
        "A proxy that adds TLS has to send X-Forwarded-Proto."
    ),
)


class SecurityHeaders:
    """Middleware that adds the security headers, and the date, to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and add the headers to its answer."""

        async def guarded(message: ASGIMessage) -> None:
            if message["type"] in _STARTS:
                date = (b"date", formatdate(usegmt=True).encode())
                # An answer's own headers, such as those of pages, take precedence.
                own = list(message.get("headers", ()))
                names = {name.lower() for name, _ in own}
                message["headers"] = [*own, *(header for header in (*_HEADERS, date) if header[0] not in names)]
            await send(message)

        await self._app(scope, receive, guarded)


class Guard:
    """The outermost middleware: refuses what must not come in, whichever route would answer it.

    Args:
        app: the application that is guarded.
        hosts: names and addresses, besides this machine's own, that a ``Host`` may carry, with any port; ``*``
            allows every name.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self._app = app
        self._names = frozenset((*_OWN_NAMES, *map(_as_name, hosts)))
        self._allows_every_name = "*" in self._names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        fault = self._fault(scope) if scope["type"] in {"http", "websocket"} else None
        if fault is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http" or "websocket.http.response" in scope.get("extensions", {}):
            await SecurityHeaders(fault.answer(Headers(scope=scope)))(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": status.WS_1008_POLICY_VIOLATION})

    def _fault(self, scope: Scope) -> Fault | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        host = hosts[0].strip().lower() if len(hosts) == 1 else ""
        if not self._allows_every_name and _name(host) not in self._names:
            return Fault(
                HTTPStatus.MISDIRECTED_REQUEST,
                "host_not_allowed",
                Message(
                    "This server does not answer to the name %(host)s: add it to the setting allowed_hosts "
                    "(EXECUTION_HISTORY_ALLOWED_HOSTS) if it should.",
                    host=quoted(host),
                ),
            )
        own = f"{_SCHEMES.get(scope['scheme'], scope['scheme'])}://{host}"
        return None if _is_harmless(scope, headers) or _is_own(headers, own) else _FOREIGN


def _as_name(host: str) -> str:
    """Return a name from the settings in the form of a ``Host`` header."""
    host = host.strip().lower()
    is_bare_ipv6 = host.count(":") > 1 and not host.startswith("[")
    return f"[{host}]" if is_bare_ipv6 else _name(host)


def _name(host: str) -> str:
    """Return the name in a ``Host`` header, without its port; empty when it is none."""
    found = _HOST.fullmatch(host)
    return "" if found is None else found[1]


def _is_harmless(scope: Scope, headers: Headers) -> bool:
    """Return whether a request can change nothing, and cannot become a connection over which more is sent."""
    return scope["type"] == "http" and scope["method"] in _SAFE and "upgrade" not in headers


def _is_own(headers: Headers, own: str) -> bool:
    """Return whether the request comes from a program, or from a page of the origin *own* (Fetch, section 3.1)."""
    if not {site.strip().lower() for site in headers.getlist("sec-fetch-site")} <= _OWN_SITE:
        return False
    origins = headers.getlist("origin")
    named = origins or [_origin(address) for address in headers.getlist("referer") if address.strip()]
    return {origin.strip().lower() for origin in named} <= {own}


def _origin(address: str) -> str:
    """Return the origin of an address; empty where it has none."""
    try:
        parts = urlsplit(address.strip())
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}"
