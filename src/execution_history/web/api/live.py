"""What happens in a history as it happens, as server-sent events."""

from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query
from starlette.responses import Response, StreamingResponse

from execution_history.errors import InvalidInput
from execution_history.followers import Following, LiveEvent, LiveFeed
from execution_history.service import ExecutionHistoryService
from execution_history.web.api.schemas import READING, Responses

_HEARTBEAT_SECONDS: Final = 15.0
_HEADERS: Final = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
_EXAMPLE: Final = (
    'id: 17\nevent: put\ndata: {"event":"put","revision":17,"workflow_id":"7431","execute_id":"0194…","summary":{}}\n\n'
)
_STREAMING: Final[Responses] = {
    200: {"description": "The events.", "content": {"text/event-stream": {"example": _EXAMPLE}}},
    **READING,
}

Since = Annotated[int | None, Query(ge=0, description="Begin behind this revision; 0 tells all that is there.")]
LastEventId = Annotated[str | None, Header(description="The id of the last event that came: go on behind it.")]
Workflows = Annotated[list[str] | None, Query(alias="workflow", description="Only these workflows; repeatable.")]


def add_live(router: APIRouter, service: ExecutionHistoryService) -> None:
    """Add the route that follows the change feed; all listeners share one reading of it."""
    feed = LiveFeed(service.store)

    @router.get(
        "/history/live",
        tags=["history"],
        summary="Follow what happens",
        response_class=StreamingResponse,
        responses=_STREAMING,
    )
    async def live(since: Since = None, last_event_id: LastEventId = None, workflow: Workflows = None) -> Response:
        """Every change of a record, as server-sent events: `put` with its summary, or `delete`; nothing is left out.

        The `id` of an event is its revision: `Last-Event-ID` or `since` goes on behind it. `reset` says that this is
        another history than the one that the revision is from. A comment comes when nothing has for 15 seconds.
        """
        following = feed.follow(_begin(last_event_id, since), workflow or ())
        return StreamingResponse(_events(following), media_type="text/event-stream", headers=_HEADERS)


def _begin(last_event_id: str | None, since: int | None) -> int | None:
    if not last_event_id:
        return since
    if not last_event_id.isdecimal():
        raise InvalidInput(f"Last-Event-ID is the id of an event, a whole number, not {last_event_id[:80]!r}.")
    return int(last_event_id[:18])


async def _events(following: Following) -> AsyncIterator[bytes]:
    async with following as events:
        yield b"retry: 2000\n\n"
        while not events.has_ended:
            found = await events.take(_HEARTBEAT_SECONDS)
            yield b"".join(map(_event, found)) if found else b": nothing new\n\n"


def _event(event: LiveEvent) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.revision, event.kind.encode(), event.to_json())
