"""Ends what goes on for long once its sender may not come in any more: feeds, streams, WebSocket connections.

A key is looked for when a request comes, and every few seconds for as long as it is answered. Once it is revoked or has
expired, it is for the application as if the caller had hung up, and the caller that the answer breaks off: a run
through the gateway goes on at Coze, and its record ends as that of any other caller who left.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from starlette import status
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as ASGIMessage

from execution_history.errors import StoreError

REVOKED: Final = "The key was revoked or has expired."
CLOSED: Final = "A key is needed now."

_PATIENCE_SECONDS: Final = 1.0


class Connection:
    """The way to and from one caller, which can be cut.

    Args:
        scope: the request.
        receive: the caller's messages.
        send: takes the answers.
        reason: why it is cut, for the other end.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, reason: str) -> None:
        self._kind = scope["type"]
        self._reason = reason
        self._receive, self._send = receive, send
        self._waiting: set[asyncio.Timeout] = set()
        self.is_cut: bool = False

    async def receive(self) -> ASGIMessage:
        """Return the next message of the caller; that they have left, once the connection is cut."""
        if not self.is_cut:
            with suppress(TimeoutError):
                async with asyncio.timeout(None) as waiting:
                    self._waiting.add(waiting)
                    try:
                        return await self._receive()
                    finally:
                        self._waiting.discard(waiting)
        return {"type": f"{self._kind}.disconnect", "code": status.WS_1008_POLICY_VIOLATION, "reason": self._reason}

    async def send(self, message: ASGIMessage) -> None:
        """Send a message to the caller.

        Raises:
            OSError: the connection was cut, as servers raise it for callers who have hung up.
        """
        if self.is_cut:
            raise OSError(self._reason)
        await self._send(message)

    async def cut(self) -> None:
        """End the connection."""
        self.is_cut = True
        if self._kind == "websocket":
            close = {"type": "websocket.close", "code": status.WS_1008_POLICY_VIOLATION, "reason": self._reason}
            # It may have been closed at the same moment, and a caller who reads nothing does not hold it open.
            with suppress(RuntimeError, TimeoutError):
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    await self._send(close)
        now = asyncio.get_running_loop().time()
        for waiting in list(self._waiting):
            waiting.reschedule(now)


async def answer_while(
    is_valid: Callable[[], Awaitable[bool]],
    seconds: float,
    reason: str,
    app: ASGIApp,
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    """Let *app* answer a request, and cut it off when *is_valid*, asked every so many *seconds*, returns false.

    While the store does not answer, the sender is taken as it was.
    """
    connection = Connection(scope, receive, send, reason)
    watching: asyncio.Task[None] | None = None

    async def watch() -> None:
        while not connection.is_cut:
            with suppress(StoreError):
                if not await is_valid():
                    await connection.cut()
                    return
            await asyncio.sleep(seconds)

    def begin() -> None:
        nonlocal watching
        watching = asyncio.create_task(watch())

    # Nearly all requests are answered before a task is worth making.
    timer = asyncio.get_running_loop().call_later(seconds, begin)
    try:
        await app(scope, connection.receive, connection.send)
    except OSError:
        if not connection.is_cut:
            raise
    finally:
        timer.cancel()
        if watching is not None:
            watching.cancel()
