"""What stands before every request: whose host and origin it names, and what a browser may do with the answer.

A page in a browser can make it send requests to 127.0.0.1. A ``Host`` that is not ours is therefore refused,
which stops a foreign name that resolves here (DNS rebinding), and so is a change that another origin asks for.
"""

import re
from collections.abc import Iterable
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from execution_history.errors import quoted
from execution_history.web.errors import Fault

_OWN_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")
_CHANGING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
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
    "A page of another origin may not change anything here: use this server's own page, or a program. "
    "A proxy that adds TLS has to send X-Forwarded-Proto.",
)


class SecurityHeaders:
    """The layer that tells a browser what it may do with an answer of ours, and when it was made."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and add the headers to its answer."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = (b"date", formatdate(usegmt=True).encode())
                # What an answer says of itself, as the pages do, goes before what is said for all.
                said = list(message.get("headers", ()))
                names = {name.lower() for name, _ in said}
                message["headers"] = [*said, *(header for header in (*_HEADERS, date) if header[0] not in names)]
            await send(message)

        await self._app(scope, receive, guarded if scope["type"] == "http" else send)


class Guard:
    """The outermost layer of the application: it refuses what must not come in, whatever would answer it.

    Args:
        app: what is guarded.
        hosts: names and addresses, besides this machine's own, that a ``Host`` may carry, with any port; ``*``
            allows every name.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self._app = app
        self._names = frozenset((*_OWN_NAMES, *map(_as_name, hosts)))
        self._allows_every_name = "*" in self._names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        fault = self._fault(scope)
        await (self._app if fault is None else SecurityHeaders(fault.answer()))(scope, receive, send)

    def _fault(self, scope: Scope) -> Fault | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "").strip().lower()
        if not self._allows_every_name and _name(host) not in self._names:
            return Fault(
                HTTPStatus.MISDIRECTED_REQUEST,
                "host_not_allowed",
                f"This server does not answer to the name {quoted(host)}: add it to the setting allowed_hosts "
                "(EXECUTION_HISTORY_ALLOWED_HOSTS) if it should.",
            )
        if scope["method"] in _CHANGING and not _is_own_origin(headers, f"{scope['scheme']}://{host}"):
            return _FOREIGN
        return None


def _as_name(host: str) -> str:
    """A name of the settings in the form that a ``Host`` header has it."""
    host = host.strip().lower()
    is_bare_ipv6 = host.count(":") > 1 and not host.startswith("[")
    return f"[{host}]" if is_bare_ipv6 else _name(host)


def _name(host: str) -> str:
    """The name in a ``Host`` header, without its port; empty when it is none."""
    found = _HOST.fullmatch(host)
    return "" if found is None else found[1]


def _is_own_origin(headers: Headers, own: str) -> bool:
    """Whether the request comes from a program, or from a page of this very server (Fetch, section 3.1)."""
    if headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
        return False
    origin = headers.get("origin")
    return origin is None or origin.strip().lower() == own
