"""The changes of a history as server-sent events."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query
from starlette.requests import Request
from starlette.responses import Response

from execution_history.errors import InvalidInput, quoted
from execution_history.history.live_events import LiveEvent
from execution_history.history.live_feed import FeedSubscription
from execution_history.web.api.query_parameters import parameters_of
from execution_history.web.api.schemas.executions import FINDING_HISTORY, Responses
from execution_history.web.api.streaming import NOT_HELD_BACK, ByteStream

HEARTBEAT_SECONDS: Final = 15.0

_WORDS: Final = frozenset({"since", "workflow", "account_id"})
_RETRY_MS: Final = 1_000
_EXAMPLE: Final = (
    'event: put\nid: 42\ndata: {"event":"put","revision":42,"workflow_id":"7431","execute_id":"0194…","summary":{…}}'
    "\n\n"
)
_STREAM: Final[Responses] = {
    200: {"description": "What happens, as it happens.", "content": {"text/event-stream": {"example": _EXAMPLE}}},
    **FINDING_HISTORY,
}

Since = Annotated[str | None, Query(description="The revision to continue after; 0 begins with everything there is.")]
LastEventId = Annotated[str | None, Header(alias="Last-Event-ID", description="The same, as browsers send it.")]
Workflows = Annotated[list[str] | None, Query(alias="workflow", description="Only of this workflow; repeatable.")]


def add_live(
    router: APIRouter,
    follow: Callable[[int | None, Collection[str]], FeedSubscription],
    workflow_named: Callable[[str], Awaitable[str]],
) -> None:
    """Add the route of the change feed.

    Args:
        router: gets the route.
        follow: returns a subscription, as :meth:`ExecutionHistoryService.follow` does.
        workflow_named: returns the id of a workflow that is called by its name, as the service does.
    """

    @router.get(
        "/history/live", tags=["history"], summary="Follow what happens", response_class=Response, responses=_STREAM
    )
    async def follow_history(
        request: Request, since: Since = None, last_event_id: LastEventId = None, workflow_ids: Workflows = None
    ) -> Response:
        """Stream every record that is created, changed or deleted, as it happens, without a gap.

        `put` has a summary of the record, `delete` of a whole workflow has no `execute_id`. The id of an event is its
        revision: an `EventSource` that reconnects goes on after the last one. `reset` means that this is not possible,
        because the history is another one or an older copy: read it again, and go on from there.
        """
        parameters_of(request.query_params.multi_items(), _WORDS, filters=False)
        named = [await workflow_named(each) for each in workflow_ids or ()]
        following = follow(_revision(last_event_id or since), named)
        # An error before the first event is an ordinary error answer, not a stream.
        await following.begin()
        return ByteStream(events(following), "text/event-stream", NOT_HELD_BACK, following.end)


async def events(
    following: FeedSubscription, heartbeat_seconds: float = HEARTBEAT_SECONDS
) -> AsyncGenerator[bytes, None]:
    """Yield what *following*, which has begun, receives as server-sent events; a comment while nothing comes."""
    yield b"retry: %d\n%s" % (_RETRY_MS, _heartbeat(following))
    while not following.has_ended:
        received = await following.take(heartbeat_seconds)
        yield b"".join(map(_event, received)) if received else _heartbeat(following)


def _event(event: LiveEvent) -> bytes:
    return b"event: %s\nid: %d\ndata: %s\n\n" % (event.kind.encode(), event.revision, event.to_json())


def _heartbeat(following: FeedSubscription) -> bytes:
    """Return a comment, and how far the feed has been read: an id without data lets browsers resume from there."""
    return b": heartbeat\nid: %d\n\n" % following.revision


def _revision(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and int(text[:20]) < 2**63):
        raise InvalidInput(
            "A place in the feed is the id of an event, a whole number, not %(text)s.", text=quoted(text)
        )
    return int(text[:20])
