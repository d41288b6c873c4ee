"""The change feed as it happens, for any number of listeners.

    async with service.follow() as events:
        async for event in events:
            ...

One task reads the feed for all of them: at once when this process writes, and every quarter of a second for what other
processes write. It keeps the last thousand changes. A listener is only a place in the feed: it takes its next events
when it wants them, from those that are kept or, when it is further behind, from the store. So a slow one costs nothing,
misses nothing, and waits for nobody.
"""

import asyncio
import contextlib
import logging
from bisect import bisect_right
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, Self

import orjson

from execution_history.errors import FeedExpired, InvalidInput, StoreClosed, StoreError
from execution_history.query.model import RecordKey
from execution_history.records.attributes import attributes_of
from execution_history.records.partial import outline_of
from execution_history.records.summary import summary_of
from execution_history.stores.capabilities import Watched
from execution_history.stores.protocol import Change, HistoryStore

_log = logging.getLogger("execution_history.history")

MOST_EVENTS: Final = 100
"""So many events are taken at once, at most."""

_POLL_SECONDS: Final = 0.25
_BREATH_SECONDS: Final = 0.02
_KEPT: Final = 1_000
_READ_AT_ONCE: Final = 500
_BODIES_AT_ONCE: Final = 20
_ALL: Final = frozenset[str]()


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """Something that has happened to a history.

    Attributes:
        kind: ``put`` for a record that is new or has changed; ``delete`` for one that is gone; ``reset`` when the feed
            cannot go on from where the listener was, who has to read the history anew and goes on from here.
        revision: the place in the feed; whoever passes it as ``since`` later gets what follows.
        workflow_id: whose record; ``None`` for a reset.
        execute_id: which record; ``None`` for a reset, and when all records of the workflow are gone.
        summary: of a ``put`` the JSON of :func:`~execution_history.records.summary.summary_of`, as the record is when
            the event is told.
    """

    kind: Literal["put", "delete", "reset"]
    revision: int
    workflow_id: str | None = None
    execute_id: str | None = None
    summary: bytes | None = None

    def to_json(self) -> bytes:
        """``{"event", "revision", "workflow_id", "execute_id", "summary"}``."""
        summary = None if self.summary is None else orjson.Fragment(self.summary)
        about = {"workflow_id": self.workflow_id, "execute_id": self.execute_id, "summary": summary}
        return orjson.dumps({"event": self.kind, "revision": self.revision, **about})


class LiveFeed:
    """The feed of one store, for the listeners of one event loop. It reads while somebody listens.

    Args:
        store: whose changes.
        poll_seconds: how often it looks for what other processes have written.
        kept: how many changes it keeps.
    """

    def __init__(self, store: HistoryStore, *, poll_seconds: float = _POLL_SECONDS, kept: int = _KEPT) -> None:
        self.store = store
        self.position: int = 0
        self._poll_seconds = poll_seconds
        self._most_kept = kept
        self._kept: list[LiveEvent] = []
        self._kept_since = 0
        self._listeners: Counter[frozenset[str]] = Counter()
        self._starting = asyncio.Lock()
        self._news = asyncio.Event()
        self._changed = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None
        self.has_ended: bool = False

    @property
    def is_reading(self) -> bool:
        """Whether somebody listens."""
        return self._reading is not None

    def follow(self, since: int | None = None, workflow_ids: Collection[str] = ()) -> "FeedSubscription":
        """Return a listener; it gets events only within ``async with``.

        Args:
            since: the revision behind which it begins; 0 sends everything that is there, ``None`` only what is new.
            workflow_ids: the workflows whose events it gets; without any, those of all.

        Raises:
            InvalidInput: *since* is below 0.
        """
        if since is not None and since < 0:
            raise InvalidInput("Revisions are counted from 0 on; there is none %(since)s.", since=since)
        return FeedSubscription(self, since, frozenset(workflow_ids))

    def end(self) -> None:
        """Let every listener come to an end."""
        self.has_ended = True
        self._tell()

    async def aclose(self) -> None:
        """End, and stop reading."""
        self.end()
        await self._stop()

    async def join(self, wanted: frozenset[str]) -> int:
        """Begin to read for one more listener, who wants the workflows *wanted*; the newest revision there is.

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
            self._listeners[wanted] += 1
        return newest

    async def leave(self, wanted: frozenset[str]) -> None:
        """One listener less; the last one ends the reading."""
        self._listeners[wanted] -= 1
        self._listeners = +self._listeners  # without those that are 0
        if not self._listeners:
            await self._stop()

    async def news(self, revision: int, patience: float | None) -> None:
        """Return when there is something behind *revision*, when the feed has ended, or after *patience* seconds."""
        if self.position <= revision and not self.has_ended:
            await _until(self._news, patience)

    async def after(self, revision: int, wanted: frozenset[str]) -> tuple[list[LiveEvent], int]:
        """Return the next events of workflows *wanted* behind *revision*, and the revision up to which none is missing.

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
            events = _events(changes)
        else:
            first = bisect_right(self._kept, revision, key=lambda event: event.revision)
            events = self._kept[first : first + MOST_EVENTS]
            reached = events[-1].revision if events else max(revision, position)
        return await self._with_summaries(_of(events, wanted)), reached

    async def _stop(self) -> None:
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def _read(self) -> None:
        """Keep what is new and wake the listeners, until nobody listens; this is the feed's task."""
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
                        _log.warning("Listeners will hear later what happens in the history: %s", error)
                    is_troubled, is_more = True, False
                # What comes in a rush is read together; what comes alone is read at once.
                await asyncio.sleep(_BREATH_SECONDS)
                if not is_more:
                    await _until(self._changed, self._poll_seconds)
        finally:
            end_watching()

    async def _step(self) -> bool:
        """Keep the changes behind the last one; whether there may be more."""
        changes = await self.store.changes(self.position, _READ_AT_ONCE)
        if not changes:
            return False
        wanted = _ALL if _ALL in self._listeners else _ALL.union(*self._listeners)
        events = _events(changes)
        told = {event.revision: event for event in await self._with_summaries(_of(events, wanted))}
        # One that nobody wanted, or whose record is gone again, is kept without a summary.
        self._kept += [told.get(event.revision, event) for event in events]
        if len(self._kept) > 2 * self._most_kept:
            self._kept_since = self._kept[-self._most_kept - 1].revision
            del self._kept[: -self._most_kept]
        self.position = changes[-1].revision
        self._tell()
        return len(changes) == _READ_AT_ONCE

    async def _with_summaries(self, events: Sequence[LiveEvent]) -> list[LiveEvent]:
        """*events* with the summaries that they lack, without those whose record is gone or cannot be read."""
        bare = [event for event in events if event.kind == "put" and event.summary is None]
        told: dict[int, LiveEvent] = {}
        for start in range(0, len(bare), _BODIES_AT_ONCE):
            group = bare[start : start + _BODIES_AT_ONCE]
            keys = [RecordKey(each.workflow_id or "", each.execute_id or "") for each in group]
            found = (await self.store.get_many(keys)).documents
            pairs = [(event, found[key]) for event, key in zip(group, keys, strict=True) if key in found]
            told |= await asyncio.to_thread(_summed_up, pairs)
        whole = (told.get(event.revision, event) for event in events)
        return [event for event in whole if event.kind != "put" or event.summary is not None]


class FeedSubscription:
    """One listener: an async iterator of events within ``async with``.

    Args:
        feed: what it listens to.
        since: see :meth:`LiveFeed.follow`.
        wanted: the workflows that it wants to hear of; without any, all.
    """

    def __init__(self, feed: LiveFeed, since: int | None, wanted: frozenset[str]) -> None:
        self.revision: int = since or 0
        self._feed = feed
        self._since = since
        self._wanted = wanted
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
        newest = await self._feed.join(self._wanted)
        if self._since is None:
            self.revision = newest
        elif self._since > newest:
            # The listener has seen more than there is: this is another history, or an older copy of it.
            self.revision = newest
            self._reset = LiveEvent("reset", newest)

    async def end(self) -> None:
        """Listen no more."""
        await self._feed.leave(self._wanted)

    @property
    def has_ended(self) -> bool:
        """Whether the feed has ended, so that nothing more will come."""
        return self._feed.has_ended

    async def take(self, patience: float | None = None) -> list[LiveEvent]:
        """Return the next events, at most 100; none when the feed has ended or *patience* seconds went by without one.

        ``revision`` is then the place up to which everything has been taken.

        Raises:
            StoreError: the store could not be read.
        """
        if self._reset is not None:
            reset, self._reset = self._reset, None
            return [reset]
        clock = asyncio.get_running_loop().time
        deadline = None if patience is None else clock() + patience
        while not self._feed.has_ended:
            events, self.revision = await self._feed.after(self.revision, self._wanted)
            remaining = None if deadline is None else deadline - clock()
            if events or (remaining is not None and remaining <= 0):
                return events
            await self._feed.news(self.revision, remaining)
        return []

    async def __aiter__(self) -> AsyncIterator[LiveEvent]:
        """Every event, until the feed ends."""
        while events := await self.take():
            for event in events:
                yield event


def _watch(store: HistoryStore, changed: asyncio.Event) -> Callable[[], None]:
    """Set *changed*, in this event loop, whenever this process writes into *store*; the result ends that."""
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


def _events(changes: Iterable[Change]) -> list[LiveEvent]:
    """Return what happened to records."""
    return [
        LiveEvent("delete" if each.kind == "deleted" else "put", each.revision, each.workflow_id, each.execute_id)
        for each in changes
        if each.kind != "registry"
    ]


def _of(events: Iterable[LiveEvent], wanted: frozenset[str]) -> list[LiveEvent]:
    return [event for event in events if not wanted or event.workflow_id in wanted]


def _summed_up(events: Iterable[tuple[LiveEvent, bytes]]) -> dict[int, LiveEvent]:
    """Return the events with the summaries of their records, by revision."""
    records = [(event, outline_of(body)) for event, body in events]
    return {
        event.revision: replace(event, summary=summary_of(record, attributes_of(record))) for event, record in records
    }
