"""Bodies in and answers out: JSON, a stream that follows a run, and a connection that breaks."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from execution_history.sandbox.dialect import StreamWriter
from execution_history.sandbox.errors import bad_request
from execution_history.sandbox.executions import Interruption
from execution_history.sandbox.json_text import to_wire
from execution_history.sandbox.requests import MAX_BODY_BYTES
from execution_history.sandbox.step_queue import Outlet
from execution_history.sandbox.steps import Cut, Failure, Finished, Hush

BREAK_EXTENSION = "execution_history.sandbox.break"
"""The ASGI extension by which ``serve_sandbox`` lends the application its connection, to break it."""

BreakConnection = Callable[[bool], None]
"""Closes the connection of a request at once, with a TCP reset if the argument is true."""


async def break_connection(scope: Scope, receive: Receive, *, reset: bool) -> None:
    """Break the connection of a request whose response is not complete.

    On a server without the extension nothing is done here: it drops the connection itself when the response
    stays incomplete.
    """
    close: BreakConnection | None = scope.get("extensions", {}).get(BREAK_EXTENSION)
    if close is not None:
        close(reset)
        while (await receive())["type"] != "http.disconnect":
            pass


async def read_body(request: Request) -> bytes:
    """Return the request's body, refusing to read more than the documented limit.

    Raises:
        RefusedError: 4000 when it is longer.

    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise bad_request(f"the body is larger than {MAX_BODY_BYTES} bytes.")
    return bytes(body)


def json_response(body: Mapping[str, object], status: int = 200) -> Response:
    """Return ``body`` as an answer."""
    return Response(to_wire(body), status, media_type="application/json")


class BrokenConnection(Response):
    """No answer at all: the connection breaks instead."""

    def __init__(self, *, reset: bool = False) -> None:
        super().__init__()
        self._reset = reset

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Break the connection; a server without the extension sends headers that promise a body first."""
        if BREAK_EXTENSION not in scope.get("extensions", {}):
            headers = [(b"content-length", b"1")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
        await break_connection(scope, receive, reset=self._reset)


class EventStream(Response):
    """The server-sent events of one leg of a run, each sent as it happens, as ``writer`` puts them.

    Ends ``open_ms`` milliseconds after the leg's terminator. When the leg is stopped from outside, the connection
    breaks, so that no reader takes what it has for everything.
    """

    def __init__(self, outlet: Outlet, writer: StreamWriter, content_type: str, open_ms: int = 0) -> None:
        super().__init__()
        self._outlet = outlet
        self._writer = writer
        self._content_type = content_type.encode()
        self._open_seconds = open_ms / 1000

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        try:
            await self._send_all(scope, receive, send)
        finally:
            self._outlet.abandon()

    async def _send_all(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", self._content_type), (b"cache-control", b"no-cache")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if opening := self._writer.opening():
            await send({"type": "http.response.body", "body": opening, "more_body": True})
        while not isinstance(step := await self._outlet.get(), Hush):
            if step is None or isinstance(step, Cut):
                await break_connection(scope, receive, reset=step is not None and step.reset)
                return
            await send({"type": "http.response.body", "body": self._writer.frame(step), "more_body": True})
            if isinstance(step, Interruption | Failure | Finished):
                await self._stay_open(receive)
                break
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _stay_open(self, receive: Receive) -> None:
        if self._open_seconds:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._open_seconds):
                    while (await receive())["type"] != "http.disconnect":
                        pass
