"""Answers that are sent piece by piece, and end well when nobody listens any more."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any, Final

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from execution_history.clock import now_ms
from execution_history.records.encoding import encode
from execution_history.web.errors import fault_of

Frame = dict[str, Any]

_DONE: Final = b"data: [DONE]\n\n"
NOT_HELD_BACK: Final = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
"""The headers of a stream of events, which no proxy on its way may gather."""


class ByteStream(StreamingResponse):
    """Pieces sent as they come; their source is closed when the answer ends or the caller hangs up, undisturbed.

    A source that fails on its way breaks the answer off, which a caller sees: it has no proper end.

    Args:
        pieces: what is sent.
        media_type: of the whole.
        headers: more of them.
        close: called at the end, also when nothing has been sent: it lets go of where the pieces come from.
    """

    def __init__(
        self,
        pieces: AsyncGenerator[bytes, None],
        media_type: str,
        headers: Mapping[str, str],
        close: Callable[[], Awaitable[None]],
    ) -> None:
        self._pieces = pieces
        self._close = close
        super().__init__(pieces, headers=headers, media_type=media_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the pieces until they end or nobody listens any more."""
        del scope
        # Tasks of asyncio instead of Starlette's cancel scope: that one goes on cancelling while the source ends well,
        # and cuts short what it still has to write down.
        sending = asyncio.create_task(self.stream_response(send))
        leaving = asyncio.create_task(self.listen_for_disconnect(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            sending.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
            await self._pieces.aclose()
            await self._close()
        if not sending.cancelled():
            _raise_unless_hung_up(sending.exception())


class EventStream(ByteStream):
    """Each frame as one ``data:`` line, sent at once; ``data: [DONE]`` at the end.

    The frames are closed when the answer ends or the caller hangs up, once and undisturbed.

    Args:
        first: the frame that there is already.
        rest: the frames that follow.
    """

    def __init__(self, first: Frame, rest: AsyncGenerator[Frame, None]) -> None:
        super().__init__(_events(first, rest), "text/event-stream", NOT_HELD_BACK, rest.aclose)


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
