"""What stands before every request: whose host and origin it names, how large it is, and what the answer forbids.

A page in a browser can make it send requests to 127.0.0.1. A ``Host`` that is not ours is therefore refused,
which stops a foreign name that resolves here (DNS rebinding), and so is a change that another origin asks for.
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from execution_history.web.answers import error_answer

LARGEST_BODY: Final = 20 * 1024 * 1024
"""Bytes of a request body: what Coze takes (coze-protocol 4.6)."""

_TOO_LARGE: Final = f"The request body is larger than the {LARGEST_BODY // 1024 // 1024} MB that Coze takes."
_OWN_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")
_CHANGING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_POLICY: Final = (
    b"content-security-policy",
    (
        b"default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; "
        b"base-uri 'none'; form-action 'self'"
    ),
)


class Guard:
    """The outermost layer of the application.

    Args:
        app: what is guarded.
        hosts: names, besides this machine's own, under which the server may be addressed; ``*`` allows any.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in (*_OWN_NAMES, *hosts))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await refusal(scope, receive, send)
            return

        async def guarded_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS, _POLICY]
            await send(message)

        await self._app(scope, _limited(receive), guarded_send)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if "*" not in self._hosts and _name(host) not in self._hosts:
            return error_answer(
                HTTPStatus.MISDIRECTED_REQUEST,
                "host_not_allowed",
                f"This server does not answer to the name {host[:100]!r}: add it to the setting allowed_hosts "
                "(EXECUTION_HISTORY_ALLOWED_HOSTS) if it should.",
            )
        if scope["method"] in _CHANGING and not _is_same_origin(headers, host):
            return error_answer(
                HTTPStatus.FORBIDDEN,
                "foreign_origin",
                "A page of another origin may not change anything here; use this server's own page, or a program.",
            )
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > LARGEST_BODY:
            return _too_large()
        return None


def _name(host: str) -> str:
    """The name in a ``Host`` header, without its port."""
    host = host.strip().lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def _is_same_origin(headers: Headers, host: str) -> bool:
    """Whether the request comes from a program, or from a page of this very server (Fetch, section 3.1)."""
    if headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
        return False
    origin = headers.get("origin")
    return origin is None or origin.lower().partition("://")[2] == host.strip().lower()


def _limited(receive: Receive) -> Receive:
    taken = 0

    async def limited() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > LARGEST_BODY:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TOO_LARGE)
        return message

    return limited


def _too_large() -> Response:
    return error_answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "request_entity_too_large", _TOO_LARGE)
