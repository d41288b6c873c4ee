"""Checks on every request: its host and its origin; and headers for what a browser may do with the answer.

A page in a browser can make it send requests to 127.0.0.1, and open WebSocket connections. The rule for both:

1. There is one ``Host``, and it is a name of this server, with any port. This stops a foreign name that resolves here
   (DNS rebinding).
2. What may change something comes from a page of this server or from a program. That is every method but GET, HEAD,
   OPTIONS and TRACE, a browser's question whether it may send one, and every WebSocket connection. ``Sec-Fetch-Site``
   is neither ``cross-site`` nor ``same-site``; each ``Origin`` is this server's own, which ``null`` is not; where there
   is no ``Origin``, the ``Referer`` is an address of this server. A browser sends at least one of the three, and a
   program need not send any.

A request that breaks the rule is refused before it is read, passed on or upgraded: 1 with 421, 2 with 403; one for the
gateway with the envelope that Coze's SDKs show (:mod:`~execution_history.coze.gateway_refusals`).

The gateway also takes requests from pages of the origins that the settings allow; they send the token of the page, as
any program does, and this server adds none. The API and the pages, which can delete the history, never do.
"""

import logging
import re
from collections.abc import Iterable, Sequence
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from ipaddress import IPv6Address
from typing import Final
from urllib.parse import urlsplit

from starlette import status
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as ASGIMessage

from execution_history.coze.gateway_refusals import BAD_REQUEST, Refusal, gateway_path
from execution_history.errors import Message, listed, quoted
from execution_history.web.errors import Fault

_log = logging.getLogger("execution_history.web")

_OWN_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_OWN_SITE: Final = frozenset({"same-origin", "none"})
_EVERY: Final = "*"
_SCHEMES: Final = {"ws": "http", "wss": "https"}
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}
_MOST_LOGGED: Final = 100
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
        "A proxy that adds TLS has to send X-Forwarded-Proto, and to be named in the setting trusted_proxies."
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


class Origins:
    """The origins whose pages may call the gateway.

    Args:
        allowed: as browsers send them in ``Origin``; ``*`` allows every one.
    """

    def __init__(self, allowed: Iterable[str]) -> None:
        self._allowed = frozenset(allowed)

    def has(self, origin: str) -> bool:
        """Return whether pages of *origin* may call the gateway."""
        return _EVERY in self._allowed or origin.strip().lower() in self._allowed

    def has_all(self, origins: Sequence[str]) -> bool:
        """Return whether pages of each of *origins* may; not where there is none."""
        return bool(origins) and all(map(self.has, origins))


class Guard:
    """The middleware that refuses what must not come in, whichever route would answer it.

    Args:
        app: the application that is guarded.
        hosts: names and addresses, besides this machine's own, that a ``Host`` may carry, with any port; ``*``
            allows every name.
        origins: the origins of pages that may call the gateway.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str], origins: Iterable[str] = ()) -> None:
        self._app = app
        self._names = frozenset((*_OWN_NAMES, *map(_as_name, hosts)))
        self._allows_every_name = _EVERY in self._names
        self._origins = Origins(origins)
        self._logged: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        fault = self._fault(scope) if scope["type"] in {"http", "websocket"} else None
        if fault is None:
            await self._app(scope, receive, send)
        else:
            self._log(fault)
            await refuse(refusal_of(scope, fault), scope, receive, send)

    def _log(self, fault: Fault) -> None:
        """Log a fault once: a browser does not show it to those who could change the setting."""
        if fault.message not in self._logged and len(self._logged) < _MOST_LOGGED:
            self._logged.add(fault.message)
            _log.warning("%s", fault.message)

    def _fault(self, scope: Scope) -> Fault | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        host = hosts[0].strip().lower() if len(hosts) == 1 else ""
        name = _name(host)
        if not self._allows_every_name and name not in self._names:
            return _unknown_host(host, name)
        if _is_harmless(scope, headers):
            return None
        named = [origin.strip().lower() for origin in _origins(headers)]
        foreign = [origin for origin in named if origin not in _own_origins(scope["scheme"], host)]
        if not foreign and _is_own_site(headers):
            return None
        if gateway_path(scope) is None:
            return _FOREIGN
        return None if self._origins.has_all(foreign) else _foreign_to_gateway(foreign)


def refusal_of(scope: Scope, fault: Fault) -> Response:
    """Return the refusal of a request, in the form that its callers show."""
    if gateway_path(scope) is None:
        return fault.answer(Headers(scope=scope))
    code, fields, body = Refusal(BAD_REQUEST, fault.code, fault.message, fault.status).answer(scope)
    response = Response(body, code)
    response.raw_headers = fields
    response.headers.update(fault.headers)
    return response


async def refuse(answer: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Send *answer* instead of letting the request in; a handshake is closed where the server can send it none."""
    if scope["type"] == "http" or "websocket.http.response" in scope.get("extensions", {}):
        await SecurityHeaders(answer)(scope, receive, send)
    else:
        await send({"type": "websocket.close", "code": status.WS_1008_POLICY_VIOLATION})


def _unknown_host(host: str, name: str) -> Fault:
    sentence = Message(
        "This server does not answer to the name %(host)s: if it should, add the name to the setting allowed_hosts, as "
        "in EXECUTION_HISTORY_ALLOWED_HOSTS=%(example)s.",
        host=quoted(host),
        example=_example(name or "name"),
    )
    return Fault(HTTPStatus.MISDIRECTED_REQUEST, "host_not_allowed", sentence)


def _foreign_to_gateway(origins: Sequence[str]) -> Fault:
    if not origins:
        return _FOREIGN
    sentence = Message(
        "A page of the origin %(origins)s may not call the gateway: if it should, add the origin to the setting "
        "allowed_origins, as in EXECUTION_HISTORY_ALLOWED_ORIGINS=%(example)s.",
        origins=listed(origins),
        example=_example(origins[0]),
    )
    return Fault(HTTPStatus.FORBIDDEN, "foreign_origin", sentence)


def _example(value: str) -> str:
    """Return a list of one value as a variable of the environment holds it."""
    return f"'[\"{quoted(value)[1:-1]}\"]'"


def _as_name(host: str) -> str:
    """Return a name from the settings in the form of a ``Host`` header."""
    host = host.strip().lower()
    is_bare_ipv6 = host.count(":") > 1 and not host.startswith("[")
    return _name(f"[{host}]" if is_bare_ipv6 else host) or host


@lru_cache(maxsize=256)  # a server is called by few names
def _name(host: str) -> str:
    """Return the name in a ``Host`` header, without its port and a dot at its end; empty when it is none."""
    found = _HOST.fullmatch(host)
    if found is None:
        return ""
    name = found[1]
    if not name.startswith("["):
        return name.removesuffix(".")
    try:
        return f"[{IPv6Address(name[1:-1])}]"
    except ValueError:
        return ""


def _is_harmless(scope: Scope, headers: Headers) -> bool:
    """Return whether a request can change nothing, and cannot become a connection over which more is sent.

    A preflight (Fetch, section 3.2.2) is none: the gateway would pass it on to Coze, and with it the change.
    """
    if scope["type"] != "http" or scope["method"] not in _SAFE or "upgrade" in headers:
        return False
    return not is_preflight(scope, headers)


def is_preflight(scope: Scope, headers: Headers) -> bool:
    """Return whether a browser asks for leave to send the gateway a request from a page of another origin."""
    return scope["method"] == "OPTIONS" and "access-control-request-method" in headers and "origin" in headers


def _own_origins(scheme: str, host: str) -> tuple[str, str]:
    """Return the origin of this server's pages; a proxy may write a ``Host`` with the port that origins leave out."""
    scheme = _SCHEMES.get(scheme, scheme)
    return f"{scheme}://{host}", f"{scheme}://{host.removesuffix(_DEFAULT_PORTS.get(scheme, ''))}"


def _is_own_site(headers: Headers) -> bool:
    return {site.strip().lower() for site in headers.getlist("sec-fetch-site")} <= _OWN_SITE


def _origins(headers: Headers) -> list[str]:
    """Return the origins that a request names (Fetch, section 3.1), of its ``Referer`` where it names none."""
    return headers.getlist("origin") or [_origin(address) for address in headers.getlist("referer") if address.strip()]


def _origin(address: str) -> str:
    """Return the origin of an address; empty where it has none."""
    try:
        parts = urlsplit(address.strip())
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}"
