"""The route class of the API: any text in its path, a bounded body, errors in our shape.

Servers decode a path before it is matched, and a slash that was ``%2F`` would then divide it. These routes are matched
against the path as it was sent, in which encoded slashes and percent signs are still written out.
"""

import re
from collections.abc import Callable
from http import HTTPStatus
from threading import RLock
from typing import Any, Final
from urllib.parse import unquote, unquote_to_bytes

from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Message as ASGIMessage
from starlette.types import Scope

from execution_history.errors import InvalidInput, Message
from execution_history.web.errors import answer_error
from execution_history.web.route_scopes import check_scope

LARGEST_BODY: Final = 20 * 1024 * 1024
"""Bytes of a request body: what Coze takes (coze-protocol 4.6)."""

MOST_PARAMETERS: Final = 1_000
"""The limit of a query: each is compared with the names that it may be a typo of."""

_TOO_LARGE: Final = Message(
    "The request body is larger than the %(value)s MB that Coze takes.", value=LARGEST_BODY // 1024 // 1024
)
_KEPT: Final = re.compile(rb"%(2[Ff5])")


class HistoryRoute(APIRoute):
    """A route of the API, the same wherever it is mounted.

    FastAPI analyses the function behind a route when the route is made: a quarter of a second for all of ours, in which
    nobody else is answered when a key that sees some workflows only has come. Here that waits until a path matches, or
    another attribute is looked at.
    """

    largest_body: int | None = LARGEST_BODY
    is_scoped: bool = True
    """Whether a key needs the scope of :mod:`~execution_history.web.route_scopes`."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:  # noqa: ANN401 - FastAPI's own
        self._given: tuple[str, Callable[..., Any], dict[str, Any]] | None = path, endpoint, options
        self.path, self.methods = path, {each.upper() for each in options.get("methods") or ["GET"]}
        self._outline = Route(path, endpoint, methods=list(self.methods))
        self._analysing = RLock()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any attribute of FastAPI's
        """Return an attribute that FastAPI sets: the function behind the route is analysed now."""
        attributes = self.__dict__
        if "_analysing" in attributes:  # not while a copy of this one is made
            with self._analysing:
                if self._given is not None:
                    (path, endpoint, options), self._given = self._given, None
                    super().__init__(path, endpoint, **options)
                if name in attributes:
                    return attributes[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name}.")

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match *scope* by its undecoded path."""
        scope = {**scope, "path": _careful_path(scope)}
        if self._given is not None and self._outline.matches(scope)[0] is Match.NONE:
            return Match.NONE, {}
        match, child = super().matches(scope)
        parameters = child.get("path_params")
        if parameters:
            child["path_params"] = {
                key: unquote(value) if isinstance(value, str) else value for key, value in parameters.items()
            }
        return match, child

    def get_route_handler(self) -> Any:  # noqa: ANN401 - FastAPI's own type is a coroutine it does not name
        """Return the handler, which turns every exception into an answer."""
        handle = super().get_route_handler()
        takes_body = bool(self.methods and self.methods & {"POST", "PUT", "PATCH"}) and self.largest_body is not None

        async def answer(request: Request) -> Response:
            try:
                if self.is_scoped:
                    check_scope(request.scope, self.path_format)
                if request.scope["query_string"].count(b"&") >= MOST_PARAMETERS:
                    raise InvalidInput(  # noqa: TRY301 - handled like all others
                        "An address has at most %(most_parameters)s parameters in its query.",
                        most_parameters=f"{MOST_PARAMETERS:,}",
                    )
                await self.before()
                return await handle(_bounded(request) if takes_body else request)
            except Exception as error:  # noqa: BLE001 - each has its answer, the unexpected one is logged there
                return self.error_answer(request, error)

        return answer

    async def before(self) -> None:
        """Do what comes before every answer; nothing here."""

    def error_answer(self, request: Request, error: Exception) -> Response:
        """Return the answer for *error*."""
        return answer_error(request, error)


class UploadRoute(HistoryRoute):
    """A route with a body of any size, received as a stream."""

    largest_body = None


def _careful_path(scope: Scope) -> str:
    """Return the decoded path in which an encoded slash or percent sign stays encoded."""
    raw = scope.get("raw_path")
    if not isinstance(raw, bytes) or b"%" not in raw:
        return str(scope["path"]).replace("%", "%25")
    path = _KEPT.sub(rb"%25\1", raw.partition(b"?")[0])
    return unquote_to_bytes(path).decode("utf-8", "replace")


def _bounded(request: Request) -> Request:
    """Return *request*, with its body refused with 413 as soon as it is known to be too large."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > LARGEST_BODY:
        raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TOO_LARGE)
    received = 0

    async def bounded() -> ASGIMessage:
        nonlocal received
        message = await request.receive()
        received += len(message.get("body", b""))
        if received > LARGEST_BODY:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TOO_LARGE)
        return message

    return Request(request.scope, bounded)
