"""What every request to the sandbox passes: a log id, a tidy path, and the token."""

import re
import secrets
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from execution_history.sandbox.dialect import Dialect
from execution_history.sandbox.json_text import to_wire


class LogId:
    """Gives each request a log id: ``request.state.log_id``, and a header of its answer."""

    def __init__(self, app: ASGIApp, log_id: Callable[[], str], header: str) -> None:
        self._app = app
        self._log_id = log_id
        self._header = header

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its log id."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        log_id = self._log_id()
        scope.setdefault("state", {})["log_id"] = log_id

        async def send_with_log_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[self._header] = log_id
            await send(message)

        await self._app(scope, receive, send_with_log_id)


class CollapsedSlashes:
    """Treats ``//v1/workflow/run`` as ``/v1/workflow/run``: SDKs send it for a base URL that ends in a slash (4.4)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a tidy path."""
        if scope["type"] == "http":
            scope["path"] = re.sub("/{2,}", "/", scope["path"])
        await self._app(scope, receive, send)


class BearerToken:
    """Lets only requests with the right token through; the others get the refusal of the dialect (protocol 4.1)."""

    def __init__(self, app: ASGIApp, token: str, dialect: Dialect) -> None:
        self._app = app
        self._token = token.encode()
        self._dialect = dialect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it with 401."""
        if scope["type"] != "http" or self._admits(Headers(scope=scope).get("authorization", "")):
            await self._app(scope, receive, send)
            return
        body, status = self._dialect.refused(scope["state"]["log_id"], self._dialect.unauthenticated)
        await Response(to_wire(body), status, media_type="application/json")(scope, receive, send)

    def _admits(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        sent = token.strip().encode("latin-1")  # as Headers decoded it
        return scheme.lower() == "bearer" and secrets.compare_digest(sent, self._token)
