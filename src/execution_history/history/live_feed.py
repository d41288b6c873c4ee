"""The change feed as it happens, for any number of listeners.

    async with service.follow() as events:
        async for event in events:
            ...

One task reads the feed for all of them: at once when this process writes, and every quarter of a second for what other
processes write. It keeps the last thousand changes. A listener is only a place in the feed: it takes its next events
when it is ready, from those that are kept or, when it is further behind, from the store. A slow listener costs nothing,
misses nothing, and keeps no other waiting.
"""

import asyncio
import contextlib
import logging
from bisect import bisect_right
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import Final, Self

from execution_history.errors import FeedExpired, InvalidInput, StoreClosed, StoreError, quoted
from execution_history.history.live_events import Audience, LiveEvent, events_for, events_of, with_summaries
from execution_history.query.model import RecordKey
from execution_history.query.workflow_patterns import EVERY_WORKFLOW, WorkflowPatterns
from execution_history.records.identifiers import may_exist
from execution_history.stores.capabilities import Watched
from execution_history.stores.protocol import Change, HistoryStore

_log = logging.getLogger("execution_history.history")

MOST_EVENTS: Final = 100
"""The most events that are taken at once."""

_POLL_SECONDS: Final = 0.25
_BREATH_SECONDS: Final = 0.02
_KEPT: Final = 1_000
_READ_AT_ONCE: Final = 500
_BODIES_AT_ONCE: Final = 20


class LiveFeed:
    """The feed of one store, for the listeners of one event loop. It reads only while there are listeners.

    Args:
        store: the store whose changes are read.
        poll_seconds: how often it reads the changes of other processes.
        kept: the number of changes that it keeps.
    """

    def __init__(self, store: HistoryStore, *, poll_seconds: float = _POLL_SECONDS, kept: int = _KEPT) -> None:
        self.store = store
        self.position: int = 0
        self._poll_seconds = poll_seconds
        self._most_kept = kept
        self._kept: list[LiveEvent] = []
        self._kept_since = 0
        self._listeners: Counter[Audience] = Counter()
        self._starting = asyncio.Lock()
        self._news = asyncio.Event()
        self._changed = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None
        self.has_ended: bool = False

    @property
    def is_reading(self) -> bool:
        """Whether there are listeners."""
        return self._reading is not None

    def follow(
        self, since: int | None = None, workflow_ids: Collection[str] = (), workflows: WorkflowPatterns = EVERY_WORKFLOW
    ) -> "FeedSubscription":
        """Return a listener; it gets events only within ``async with``.

        Args:
            since: the revision after which it begins; 0 sends everything that is there, ``None`` only new events.
            workflow_ids: the workflows whose events it gets; all by default.
            workflows: those that exist for it.

        Raises:
            InvalidIdentifier: a workflow id is not text.
            InvalidInput: *since* is no whole number from 0 on, or *workflow_ids* is one text.
        """
        if since is not None and (type(since) is not int or since < 0):
            raise InvalidInput("Revisions are counted from 0 on; there is none %(since)s.", since=quoted(since))
        if isinstance(workflow_ids, (str, bytes)):
            raise InvalidInput("workflow_ids is a list of ids, not %(value)s.", value=quoted(workflow_ids))
        for workflow_id in workflow_ids:
            may_exist(workflow_id=workflow_id)
        return FeedSubscription(self, since, Audience(frozenset(workflow_ids), workflows))

    def end(self) -> None:
        """End every listener."""
        self.has_ended = True
        self._wake()

    async def aclose(self) -> None:
        """End, and stop reading."""
        self.end()
        await self._stop()

    async def join(self, audience: Audience) -> int:
        """Add a listener to the events for *audience*, and return the newest revision.

        Raises:
            StoreError: the store could not be read.
        """
        async with self._starting:
            await self.store.open()
            newest = await self.store.revision()
            if self._reading is None and not self.has_ended:
                self.position = self._kept_since = newest
                self._kept = []
                self._reading = asyncio.create_task(self._read())
            self._listeners[audience] += 1
        return newest

    async def leave(self, audience: Audience) -> None:
        """Remove a listener; the last one ends the reading."""
        self._listeners[audience] -= 1
        self._listeners = +self._listeners  # without those that are 0
        if not self._listeners:
            await self._stop()

    async def news(self, revision: int, patience: float | None) -> None:
        """Wait until there is a change after *revision*, the feed has ended, or *patience* seconds have passed."""
        if self.position <= revision and not self.has_ended:
            await _until(self._news, patience)

    async def after(self, revision: int, audience: Audience) -> tuple[list[LiveEvent], int]:
        """Return the next events for *audience* after *revision*, and the revision up to which they are complete.

        Raises:
            StoreError: the store could not be read.
        """
        position = self.position
        if revision < self._kept_since:
            try:
                changes: Sequence[Change] = await self.store.changes(revision, MOST_EVENTS)
            except FeedExpired:
                return [LiveEvent("reset", position)], position
            reached = changes[-1].revision if changes else position
            events = events_of(changes)
        else:
            first = bisect_right(self._kept, revision, key=lambda event: event.revision)
            events = self._kept[first : first + MOST_EVENTS]
            reached = events[-1].revision if events else max(revision, position)
        return await self._with_summaries(events_for(events, (audience,))), reached

    async def _stop(self) -> None:
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def _read(self) -> None:
        """Keep new changes and wake the listeners, until there are none; this is the feed's task."""
        end_watching = _watch(self.store, self._changed)
        is_troubled = False
        try:
            while not self.has_ended:
                self._changed.clear()
                try:
                    is_more = await self._step()
                    is_troubled = False
                except StoreClosed:
                    self.end()
                    return
                except StoreError as error:
                    if not is_troubled:
                        _log.warning("The live feed is interrupted until the store can be read: %s", error)
                    is_troubled, is_more = True, False
                # Changes that come in a rush are read together; one that comes alone is read at once.
                await asyncio.sleep(_BREATH_SECONDS)
                if not is_more:
                    await _until(self._changed, self._poll_seconds)
        finally:
            end_watching()

    async def _step(self) -> bool:
        """Keep the next changes; return whether there may be more."""
        changes = await self.store.changes(self.position, _READ_AT_ONCE)
        if not changes:
            return False
        events = events_of(changes)
        heard = await self._with_summaries(events_for(events, self._listeners))
        summarized = {event.revision: event for event in heard}
        # An event without a listener, or whose record is gone again, is kept without a summary.
        self._kept += [summarized.get(event.revision, event) for event in events]
        if len(self._kept) > 2 * self._most_kept:
            self._kept_since = self._kept[-self._most_kept - 1].revision
            del self._kept[: -self._most_kept]
        self.position = changes[-1].revision
        self._wake()
        return len(changes) == _READ_AT_ONCE

    async def _with_summaries(self, events: Sequence[LiveEvent]) -> list[LiveEvent]:
        """Return *events* with all summaries, without those whose record is gone or cannot be read."""
        bare = [event for event in events if event.kind == "put" and event.summary is None]
        summarized: dict[int, LiveEvent] = {}
        for start in range(0, len(bare), _BODIES_AT_ONCE):
            group = bare[start : start + _BODIES_AT_ONCE]
            keys = [RecordKey(each.workflow_id or "", each.execute_id or "") for each in group]
            found = (await self.store.get_many(keys)).documents
            pairs = [(event, found[key]) for event, key in zip(group, keys, strict=True) if key in found]
            summarized |= await asyncio.to_thread(with_summaries, pairs)
        whole = (summarized.get(event.revision, event) for event in events)
        return [event for event in whole if event.kind != "put" or event.summary is not None]


class FeedSubscription:
    """One listener: an async iterator of events within ``async with``.

    Args:
        feed: the feed.
        since: see :meth:`LiveFeed.follow`.
        audience: which events it gets.
    """

    def __init__(self, feed: LiveFeed, since: int | None, audience: Audience) -> None:
        self.revision: int = since or 0
        self._feed = feed
        self._since = since
        self._audience = audience
        self._reset: LiveEvent | None = None

    async def __aenter__(self) -> Self:
        """See :meth:`begin`."""
        await self.begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.end()

    async def begin(self) -> None:
        """Begin to listen.

        Raises:
            StoreError: the store could not be read.
        """
        newest = await self._feed.join(self._audience)
        if self._since is None:
            self.revision = newest
        elif self._since > newest:
            # The listener has seen more than there is: this is another history, or an older copy of it.
            self.revision = newest
            self._reset = LiveEvent("reset", newest)

    async def end(self) -> None:
        """Stop listening."""
        await self._feed.leave(self._audience)

    @property
    def has_ended(self) -> bool:
        """Whether the feed has ended, so that nothing more will come."""
        return self._feed.has_ended

    async def take(self, patience: float | None = None) -> list[LiveEvent]:
        """Return the next events, at most 100; none when the feed has ended or *patience* seconds passed without one.

        Afterwards ``revision`` is the place up to which everything has been taken.

        Raises:
            StoreError: the store could not be read.
        """
        if self._reset is not None:
            reset, self._reset = self._reset, None
            return [reset]
        clock = asyncio.get_running_loop().time
        deadline = None if patience is None else clock() + patience
        while not self._feed.has_ended:
            events, self.revision = await self._feed.after(self.revision, self._audience)
            remaining = None if deadline is None else deadline - clock()
            if events or (remaining is not None and remaining <= 0):
                return events
            await self._feed.news(self.revision, remaining)
        return []

    async def __aiter__(self) -> AsyncIterator[LiveEvent]:
        """Yield every event, until the feed ends."""
        while events := await self.take():
            for event in events:
                yield event


def _watch(store: HistoryStore, changed: asyncio.Event) -> Callable[[], None]:
    """Set *changed*, in this event loop, whenever this process writes into *store*; return a function that ends it."""
    if not isinstance(store, Watched):
        return lambda: None
    loop = asyncio.get_running_loop()

    def note() -> None:
        if not changed.is_set():
            with contextlib.suppress(RuntimeError):  # the loop has been closed
                loop.call_soon_threadsafe(changed.set)

    return store.on_change(note)


async def _until(event: asyncio.Event, seconds: float | None) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
