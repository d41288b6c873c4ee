"""The frames of a run as server-sent events."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, Final

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from execution_history.clock import now_ms
from execution_history.jsonvalue import encode
from execution_history.web.errors import fault_of

Frame = dict[str, Any]

_DONE: Final = b"data: [DONE]\n\n"
_HEADERS: Final = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class EventStream(StreamingResponse):
    """Each frame as one ``data:`` line, sent at once; ``data: [DONE]`` at the end.

    The frames are closed when the answer ends or the caller hangs up, once and undisturbed.

    Args:
        first: the frame that there is already.
        rest: the frames that follow.
    """

    media_type = "text/event-stream"

    def __init__(self, first: Frame, rest: AsyncGenerator[Frame, None]) -> None:
        self._rest = rest
        self._events = _events(first, rest)
        super().__init__(self._events, headers=_HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the frames until they end or nobody listens any more."""
        del scope
        # Tasks of asyncio instead of Starlette's cancel scope: that one goes on cancelling while the frames' source
        # ends well, and cuts short what it still has to write down.
        sending = asyncio.create_task(self.stream_response(send))
        leaving = asyncio.create_task(self.listen_for_disconnect(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            sending.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
            await self._events.aclose()
            await self._rest.aclose()
        if not sending.cancelled():
            _raise_unless_hung_up(sending.exception())


async def _events(first: Frame, rest: AsyncGenerator[Frame, None]) -> AsyncGenerator[bytes, None]:
    yield _event(first)
    try:
        async for frame in rest:
            yield _event(frame)
    except Exception as error:  # noqa: BLE001 - the status has gone out: the failure can only be a frame
        fault = fault_of(error, "a stream")
        data = {"message": fault.message, "type": fault.code}
        yield _event({"event": "error", "data": data, "timestamp": now_ms()})
    yield _DONE


def _event(frame: Frame) -> bytes:
    return b"data: " + encode(frame) + b"\n\n"


def _raise_unless_hung_up(error: BaseException | None) -> None:
    """Servers of ASGI 2.4 say by an ``OSError`` from ``send`` that nobody listens any more."""
    if error is not None and not isinstance(error, OSError):
        raise error
