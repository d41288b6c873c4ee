"""What is noted of every request: its id, how it ended, and a line in the log for whoever asked for one."""

import logging
import time
from http import HTTPMethod, HTTPStatus
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as ASGIMessage

from execution_history import request_id
from execution_history.coze.gateway_refusals import gateway_path
from execution_history.errors import quoted
from execution_history.metrics import HTTP_REQUESTS, HTTP_SECONDS

ACCESS_LOG: Final = "execution_history.access"
"""The logger that has a line for each request, without its query, which may hold what somebody searched for."""

_log = logging.getLogger(ACCESS_LOG)

_METHODS: Final = frozenset(HTTPMethod)
_STARTS: Final = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})
_AREAS: Final = (
    ("health", ("/healthz", "/readyz", "/metrics")),
    ("asset", ("/assets/", "/static-offline-docs/")),
    ("api", ("/coze/", "/docs", "/redoc", "/openapi.json")),
)


class Observation:
    """The outermost middleware: gives a request its id, and counts and logs it when its answer has ended."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and note how it ended."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        answer = _Answer(scope, send)
        try:
            await self._app(scope, receive, answer.send)
        finally:
            answer.note()


class _Answer:
    """The answer to one request, as it goes out."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope, self._send = scope, send
        self._began = time.perf_counter()
        self._status: int | None = None
        self._is_stream = False
        area = _area(scope)
        name = request_id.RELAYED_HEADER if area == "gateway" else request_id.HEADER
        sent = Headers(scope=scope).get(request_id.HEADER, "")
        self._area, self._header = area, (name.lower().encode(), request_id.begin_request(sent).encode())

    async def send(self, message: ASGIMessage) -> None:
        """Send a part of the answer on, the first one with the id."""
        if message["type"] in _STARTS:
            headers = [*message.get("headers", ()), self._header]
            self._status = message.get("status", HTTPStatus.SWITCHING_PROTOCOLS)
            self._is_stream = any(
                name.lower() == b"content-type" and value.startswith(b"text/event-stream") for name, value in headers
            )
            message = {**message, "headers": headers}
        await self._send(message)

    def note(self) -> None:
        """Count the request and log it; without an answer, as when its caller left, it has the status 499."""
        seconds = time.perf_counter() - self._began
        status, method = str(self._status or 499), self._scope.get("method", "WEBSOCKET")
        known = method if method in _METHODS or method == "WEBSOCKET" else "other"
        HTTP_REQUESTS.count(1, self._area, known, status)
        if not self._is_stream:
            HTTP_SECONDS.observe(seconds, self._area)
        if _log.isEnabledFor(logging.INFO):
            client = (self._scope.get("client") or ("-",))[0]
            path = quoted(self._scope["path"])[1:-1]
            fields = {
                "client": client,
                "method": known,
                "path": path,
                "status": int(status),
                "duration_ms": round(seconds * 1000, 1),
            }
            _log.info("%s %s %s %s %.1f ms", client, known, path, status, seconds * 1000, extra={"fields": fields})


def _area(scope: Scope) -> str:
    """Return which part of the server answers a request."""
    if gateway_path(scope) is not None:
        return "gateway"
    path = scope["path"]
    return next((area for area, beginnings in _AREAS if path.startswith(beginnings)), "page")
