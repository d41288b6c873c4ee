"""The frames of a run as server-sent events."""

from collections.abc import AsyncGenerator
from typing import Any, Final

from execution_history.clock import now_ms
from execution_history.records.encoding import encode
from execution_history.web.api.streaming import ByteStream
from execution_history.web.errors import fault_of

Frame = dict[str, Any]

_DONE: Final = b"data: [DONE]\n\n"
_HEADERS: Final = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class EventStream(ByteStream):
    """Each frame as one ``data:`` line, sent at once; ``data: [DONE]`` at the end.

    The frames are closed when the answer ends or the caller hangs up, once and undisturbed.

    Args:
        first: the frame that there is already.
        rest: the frames that follow.
    """

    def __init__(self, first: Frame, rest: AsyncGenerator[Frame, None]) -> None:
        super().__init__(_events(first, rest), "text/event-stream", _HEADERS, rest.aclose)


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
