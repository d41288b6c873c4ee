"""Who sends a request, and whether they may: keys, sessions of browsers, and their limits.

A key comes as ``Authorization: Bearer eh_…`` or as ``X-Execution-History-Key``. Callers of Coze's SDKs, whose
``Authorization`` is Coze's, may also put it into the base address: what follows ``/k/eh_…`` is the path. However it
comes, it goes no further than here: not to Coze, into no record and no log. Browsers have a cookie instead, which does
not open the gateway, as a page of another port could send it along.

Who sees some workflows only is answered by an application of their own, which has nothing else in it.
"""

import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as ASGIMessage

from execution_history.access.gate import Gate
from execution_history.access.keys import Key
from execution_history.access.principals import LOCAL, NOBODY, Principal, acting
from execution_history.coze.gateway_refusals import gateway_path
from execution_history.errors import BodyTooLarge, Message, StoreError
from execution_history.query.workflow_patterns import WorkflowPatterns
from execution_history.web.errors import Fault, fault_of
from execution_history.web.route_scopes import NO_KEY, OPEN, PRINCIPAL
from execution_history.web.security import refusal_of, refuse
from execution_history.web.validity import CLOSED, REVOKED, answer_while

COOKIE: Final = "execution_history"
KEY_HEADER: Final = b"x-execution-history-key"
SIGN_IN: Final = "/sign-in"

_IN_PATH: Final = re.compile(rb"/+k/(eh_[^/?%]{0,200})(?=/|\?|$)")
_BEARER: Final = re.compile(rb"bearer\s+(eh_\S*)", re.IGNORECASE)
_LOGIN: Final = re.compile(rb"(?:\S+\s+)?eh_[0-9a-f]{8}_\S*", re.IGNORECASE)
"""A login that has a key of ours, in whatever way: it is nothing to Coze."""

_SESSION: Final = re.compile(rb"(?:^|;)\s*execution_history=[^;]*")
_MOST_APPS: Final = 64
_TOO_LARGE: Final = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
_SENT: Final = "execution_history.sent"
"""The key of a request's scope that has the key that came with it."""

_UNKNOWN: Final = Message("This key is not known, has expired or was revoked.")
_NO_RUNS: Final = Message("Your key does not allow this: it needs the scope %(scope)s.", scope="run")


class Sent(NamedTuple):
    """The key that a request has, and whether it is a browser's session instead."""

    secret: str
    is_cookie: bool = False


class TakenKeys:
    """The outermost middleware: takes the key out of a request, so that it reaches nothing behind it, and no log.

    Args:
        app: gets the request.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on without its key, which stands beside it."""
        if scope["type"] in {"http", "websocket"}:
            scope[_SENT] = _taken_from(scope)
        await self._app(scope, receive, send)


class AccessControl:
    """The middleware that lets in who may come in.

    Args:
        app: answers whoever sees every workflow.
        gate: has the keys.
        app_within: returns the application for whoever sees some workflows only.
    """

    def __init__(self, app: ASGIApp, gate: Gate, app_within: Callable[[WorkflowPatterns], ASGIApp]) -> None:
        self._app = app
        self._gate = gate
        self._app_within = app_within
        self._apps: dict[WorkflowPatterns, ASGIApp] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on to the application of its sender, or refuse it."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        try:
            sender = await self._sender(scope)
        except StoreError as error:
            sender = fault_of(error, scope["path"])
        if isinstance(sender, Fault):
            await refuse(_refusal(scope, sender), scope, receive, send)
            return
        principal, key = sender
        scope[PRINCIPAL] = principal
        if limit := self._largest(key):
            fault = _too_large(limit)
            is_relayed = gateway_path(scope) is not None
            # FastAPI takes any other error for a body that cannot be read.
            receive = _bounded(receive, limit, fault if is_relayed else HTTPException(_TOO_LARGE, fault.message))
        app, is_valid = self._app_of(principal.workflows), self._validity(scope, principal)
        with acting(principal):
            if is_valid is None:
                await app(scope, receive, send)
            else:
                reason = CLOSED if key is None else REVOKED
                await answer_while(is_valid, self._gate.checked_again_seconds, reason, app, scope, receive, send)

    async def _sender(self, scope: Scope) -> tuple[Principal, Key | None] | Fault:
        """Return who sends a request, and with which key; or why it is refused.

        Raises:
            StoreError: the keys could not be read.
        """
        sent: Sent | None = scope.get(_SENT)
        key = None if sent is None else await self._holder(scope, sent)
        if key is not None:
            return self._fault(scope, key) or (key.principal, key)
        is_open = scope["path"].startswith(OPEN) and gateway_path(scope) is None
        if sent is None and is_open:  # whether the server lives must not depend on its store
            return NOBODY, None
        if not await self._gate.is_closed():
            return LOCAL, None
        if sent is not None and not sent.is_cookie:
            await self._gate.note_failure(_client_of(scope))
            return _not_signed_in(_UNKNOWN)
        return (NOBODY, None) if is_open else _not_signed_in(NO_KEY)

    async def _holder(self, scope: Scope, sent: Sent) -> Key | None:
        if not sent.is_cookie:
            return await self._gate.keys.holder_of(sent.secret)
        return None if gateway_path(scope) is not None else await self._gate.holder_of_cookie(sent.secret)

    def _fault(self, scope: Scope, key: Key) -> Fault | None:
        """Return why a request with a valid key is refused, if it is."""
        seconds = 0.0 if key.rate is None else self._gate.buckets.take(key.id, key.rate)
        if seconds:
            sentence = Message("Your key allows %(rate)s requests: try again later.", rate=key.rate)
            return Fault(
                HTTPStatus.TOO_MANY_REQUESTS, "too_many_requests", sentence, {"Retry-After": str(int(seconds) + 1)}
            )
        if gateway_path(scope) is not None and not key.principal.may("run"):
            return Fault(HTTPStatus.FORBIDDEN, "not_allowed", _NO_RUNS)
        length, limit = Headers(scope=scope).get("content-length", ""), self._largest(key)
        if limit and length.isdecimal() and int(length[:20]) > limit:
            return fault_of(_too_large(limit), scope["path"])
        return None

    def _largest(self, key: Key | None) -> int | None:
        """Return how many bytes a request may have."""
        limits = (self._gate.largest_body, None if key is None else key.largest_body)
        return min((each for each in limits if each is not None), default=None)

    def _app_of(self, workflows: WorkflowPatterns) -> ASGIApp:
        if workflows.are_all:
            return self._app
        if workflows not in self._apps:
            if len(self._apps) >= _MOST_APPS:
                del self._apps[next(iter(self._apps))]
            self._apps[workflows] = self._app_within(workflows)
        return self._apps[workflows]

    def _validity(self, scope: Scope, principal: Principal) -> Callable[[], Awaitable[bool]] | None:
        """Return a function for whether a sender may still get a long answer; ``None`` where that cannot change."""
        sent: Sent | None = scope.get(_SENT)
        is_run = scope["type"] == "http" and gateway_path(scope) is not None

        async def has_key() -> bool:
            return sent is not None and await self._holder(scope, sent) is not None

        async def is_open() -> bool:
            return not await self._gate.is_closed()

        if principal.key_id is not None:
            return has_key
        # A run that began before there was any key is its caller's to finish.
        return None if principal is NOBODY or is_run else is_open


def cookie_of(scope: Scope) -> str | None:
    """Return the session that a browser sent, valid or not; ``None`` where it sent none."""
    sent: Sent | None = scope.get(_SENT)
    return sent.secret if sent is not None and sent.is_cookie else None


def _taken_from(scope: Scope) -> Sent | None:
    """Return the key of a request, and remove it from its path and its headers."""
    found: Sent | None = None
    raw = scope.get("raw_path") or scope["path"].encode()
    if in_path := _IN_PATH.match(raw):
        found = Sent(in_path[1].decode("latin-1"))
        # The prefix has nothing encoded in it, and is as long in the decoded path.
        scope["raw_path"] = raw[in_path.end() :] or b"/"
        scope["path"] = scope["path"][in_path.end() :] or "/"
    if found is None and scope["type"] == "http" and (cookie := Request(scope).cookies.get(COOKIE)):
        found = Sent(cookie, is_cookie=True)
    kept = []
    for name, value in scope["headers"]:
        bearer = _BEARER.fullmatch(value.strip()) if name == b"authorization" else None
        if name == KEY_HEADER or bearer is not None:
            found = Sent((value.strip() if bearer is None else bearer[1]).decode("latin-1"))
        elif name == b"cookie":
            others = _SESSION.sub(b"", value).lstrip(b"; ")
            kept += [(name, others)] if others else []
        elif name != b"authorization" or not _LOGIN.fullmatch(value.strip()):
            kept.append((name, value))
    scope["headers"] = kept
    return found


def _refusal(scope: Scope, fault: Fault) -> Response:
    """Return the page to sign in for a browser without a key, else what callers of the API or the gateway show."""
    if fault.status == HTTPStatus.UNAUTHORIZED and gateway_path(scope) is None and _is_of_browser(scope):
        return RedirectResponse(f"{SIGN_IN}?back={quote(_page_of(scope), safe='')}", HTTPStatus.SEE_OTHER)
    return refusal_of(scope, fault)


def _is_of_browser(scope: Scope) -> bool:
    is_page = scope["type"] == "http" and not scope["path"].startswith("/coze/")
    return is_page and "text/html" in Headers(scope=scope).get("accept", "")


def _page_of(scope: Scope) -> str:
    """Return the path and the query of the page that a browser shows or has sent a form from."""
    if scope["method"] not in {"GET", "HEAD"}:
        try:
            referer = urlsplit(Headers(scope=scope).get("referer", ""))
        except ValueError:
            return "/"
        return f"{referer.path or '/'}?{referer.query}" if referer.query else referer.path or "/"
    query = scope["query_string"].decode("latin-1")
    path: str = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").partition("?")[0]
    return f"{path}?{query}" if query else path


def _client_of(scope: Scope) -> str:
    return str(scope["client"][0]) if scope.get("client") else "?"


def _not_signed_in(sentence: Message) -> Fault:
    return Fault(HTTPStatus.UNAUTHORIZED, "not_signed_in", sentence, {"WWW-Authenticate": "Bearer"})


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge("The request is larger than the %(limit)s bytes that are allowed.", limit=f"{limit:,}")


def _bounded(receive: Receive, limit: int, error: Exception) -> Receive:
    """Return *receive* that raises *error* as soon as a request has more than *limit* bytes."""
    received = 0

    async def bounded() -> ASGIMessage:
        nonlocal received
        message = await receive()
        if message["type"] == "http.request":
            received += len(message.get("body", b""))
            if received > limit:
                raise error
        return message

    return bounded
