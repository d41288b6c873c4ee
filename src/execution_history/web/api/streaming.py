"""Answers that are sent piece by piece, and that close their source when the caller hangs up."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from execution_history.clock import now_ms
from execution_history.records.encoding import encode
from execution_history.web.errors import fault_of

Frame = dict[str, Any]

_DONE: Final = b"data: [DONE]\n\n"
NOT_HELD_BACK: Final = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
"""The headers of a stream of events, which no proxy may buffer."""


class ByteStream(StreamingResponse):
    """Sends pieces as they come; closes their source, undisturbed, when the answer ends or the caller hangs up.

    A source that fails breaks the answer off, which the caller notices: it has no proper end.

    Args:
        pieces: the parts of the body.
        media_type: of the whole.
        headers: additional headers.
        close: called at the end, also when nothing has been sent: releases the source of the pieces.
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
        """Send the pieces until they end or the caller hangs up."""
        del scope
        # asyncio tasks instead of Starlette's cancel scope: that scope goes on cancelling while the source closes, and
        # cuts short what it still has to write.
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


async def file_answer(pieces: AsyncGenerator[bytes, None], name: str, media_type: str) -> ByteStream:
    """Return *pieces* as a file to keep; its name gets the time, so that no two have the same.

    An error before the first piece is raised, and becomes an ordinary error answer.
    """
    first = await anext(pieces, b"")
    stem, _, ending = name.partition(".")
    dated = f"{stem}-{datetime.now(UTC):%Y%m%d-%H%M%S}.{ending}"
    headers = {"Content-Disposition": f'attachment; filename="{dated}"'}
    return ByteStream(_with_first(first, pieces), media_type, headers, pieces.aclose)


async def _with_first(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    yield first
    async for piece in rest:
        yield piece


class EventStream(ByteStream):
    """Sends each frame as one ``data:`` line, at once, and ``data: [DONE]`` at the end.

    The frames are closed when the answer ends or the caller hangs up, once and undisturbed.

    Args:
        first: the frame that has been read already.
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
    """Raise *error* unless it is an ``OSError``, which ASGI 2.4 servers raise where the caller has hung up."""
    if error is not None and not isinstance(error, OSError):
        raise error
