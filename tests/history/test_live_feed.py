"""Listeners to the change feed, on both stores."""

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest

from execution_history import ExecutionHistoryService
from execution_history.errors import InvalidInput
from execution_history.history.live_events import LiveEvent
from execution_history.history.live_feed import FeedSubscription, LiveFeed
from execution_history.stores import MemoryStore, SQLiteStore
from execution_history.stores.protocol import HistoryStore
from tests.sample_records import change, document
from tests.stores.sqlite.damage import damage

pytestmark = pytest.mark.anyio

_LONG = 3_600.0
"""Seconds between two looks at the feed: whatever is heard has been told, not found."""


def told(events: list[LiveEvent]) -> list[tuple[Any, ...]]:
    """What events say, without their summaries."""
    return [(event.kind, event.revision, event.workflow_id, event.execute_id) for event in events]


async def taken(following: FeedSubscription, count: int) -> list[LiveEvent]:
    """The next *count* events."""
    events: list[LiveEvent] = []
    while len(events) < count:
        events += await following.take()
    return events


async def test_what_this_process_writes_is_heard_at_once(store: HistoryStore) -> None:
    """Records that are made, changed and deleted, and workflows that are cleared, without waiting for the next look."""
    feed = LiveFeed(store, poll_seconds=_LONG)
    async with feed.follow() as following:
        for step in (
            store.create(document("a")),
            store.update("w", "a", change(status="success")),
            store.merge([document("b")]),
            store.delete("w", "b"),
            store.clear("w"),
        ):
            await step
            await taken(following, 1)
        assert 5 == following.revision
    await feed.aclose()


async def test_a_damaged_record_is_passed_over(tmp_path: Path) -> None:
    """A listener hears of all others; the store says which it is."""
    store = SQLiteStore(tmp_path, json_files=False)
    await store.open()
    for name in ("a", "b", "c"):
        await store.create(document(name))
    damage(tmp_path, "b")
    feed = LiveFeed(store)
    async with feed.follow(since=0) as following:
        assert ["a", "c"] == [event.execute_id for event in await taken(following, 2)]
        assert 3 == following.revision
    await feed.aclose()
    assert "w/b" in (await store.health()).problems[0]
    await store.aclose()


async def test_an_event_tells_the_record_as_a_list_shows_it(store: HistoryStore) -> None:
    """Its summary stands in the event's JSON; a deletion has none."""
    feed = LiveFeed(store)
    async with feed.follow(since=0) as following:
        await store.create(document("a", parameters={"city": "北京"}))
        event = (await taken(following, 1))[0]
        put = orjson.loads(event.to_json())
        summary = put.pop("summary")
        assert {"event": "put", "revision": 1, "workflow_id": "w", "execute_id": "a"} == put
        assert ('{"city":"北京"}', "running") == (summary["input_line"], summary["execute_status"])
        await store.clear("w")
        assert {
            "event": "delete", "revision": 2, "workflow_id": "w", "execute_id": None, "summary": None,
        } == orjson.loads((await taken(following, 1))[0].to_json())  # fmt: skip
    await feed.aclose()


async def test_a_listener_goes_on_where_it_left_off(store: HistoryStore) -> None:
    """What happened meanwhile comes first, whether the feed was read meanwhile or not, and nothing comes twice."""
    feed = LiveFeed(store, poll_seconds=_LONG, kept=2)
    async with feed.follow() as following:
        await store.create(document("a"))
        await taken(following, 1)
        left_off = following.revision
    for number in range(5):
        await store.create(document(f"b{number}"))
    async with feed.follow(left_off) as following:
        await store.create(document("c"))
        assert ["b0", "b1", "b2", "b3", "b4", "c"] == [event.execute_id for event in await taken(following, 6)]
    await feed.aclose()


async def test_a_listener_without_a_place_hears_only_what_is_new(store: HistoryStore) -> None:
    """What was there before is not told."""
    await store.create(document("before"))
    feed = LiveFeed(store, poll_seconds=_LONG)
    async with feed.follow() as following:
        await store.create(document("after"))
        assert [("put", 2, "w", "after")] == told(await taken(following, 1))
    await feed.aclose()


async def test_listeners_hear_of_their_workflows(store: HistoryStore) -> None:
    """And know how far the feed has come although nothing of theirs came."""
    feed = LiveFeed(store, poll_seconds=_LONG)
    async with feed.follow(workflow_ids=["v"]) as one, feed.follow() as all_of_them:
        await store.create(document("a", "w"))
        await store.create(document("b", "v"))
        assert [("put", 2, "v", "b")] == told(await taken(one, 1))
        assert [("put", 1, "w", "a"), ("put", 2, "v", "b")] == told(await taken(all_of_them, 2))
        await store.create(document("c", "w"))
        await taken(all_of_them, 1)
        assert ([], 3) == (await one.take(patience=0), one.revision)
    await feed.aclose()


async def test_a_slow_listener_misses_nothing(store: HistoryStore) -> None:
    """One that takes nothing for longer than the feed keeps things reads them from the store."""
    feed = LiveFeed(store, poll_seconds=_LONG, kept=3)
    async with feed.follow() as slow, feed.follow() as quick:
        for number in range(30):
            await store.create(document(f"e{number}"))
            await taken(quick, 1)
        assert [f"e{number}" for number in range(30)] == [event.execute_id for event in await taken(slow, 30)]
    await feed.aclose()


async def test_many_listeners_share_one_reading(store: HistoryStore) -> None:
    """All of them hear everything, in order."""
    feed = LiveFeed(store, poll_seconds=_LONG)

    async def listen() -> list[str | None]:
        async with feed.follow(since=0) as following:
            listening.release()
            return [event.execute_id for event in await taken(following, 20)]

    listening = asyncio.Semaphore(0)
    listeners = [asyncio.create_task(listen()) for _ in range(50)]
    for _ in listeners:
        await listening.acquire()
    for number in range(20):
        await store.create(document(f"e{number}"))
    assert [[f"e{number}" for number in range(20)]] * 50 == await asyncio.gather(*listeners)
    await feed.aclose()


async def test_a_listener_from_another_history_is_told_to_begin_anew(store: HistoryStore) -> None:
    """A place that lies ahead of everything was given out by another history, or by this one before it was restored."""
    await store.create(document("a"))
    feed = LiveFeed(store, poll_seconds=_LONG)
    async with feed.follow(since=99) as following:
        assert [("reset", 1, None, None)] == told(await following.take())
        await store.create(document("b"))
        assert [("put", 2, "w", "b")] == told(await taken(following, 1))
    await feed.aclose()


async def test_a_record_that_is_gone_again_is_told_only_by_its_deletion(store: HistoryStore) -> None:
    """A listener who comes later hears the deletion; there is nothing to show for the rest."""
    await store.create(document("a"))
    await store.delete("w", "a")
    feed = LiveFeed(store, poll_seconds=_LONG)
    async with feed.follow(since=0) as following:
        assert [("delete", 2, "w", "a")] == told(await following.take())
    await feed.aclose()


async def test_the_end_of_the_feed_is_the_end_of_every_listener(store: HistoryStore) -> None:
    """Those who wait stop waiting; the loop over events ends by itself."""
    feed = LiveFeed(store, poll_seconds=_LONG)

    async def listen() -> list[LiveEvent]:
        async with feed.follow() as following:
            listening.set()
            return [event async for event in following]

    listening = asyncio.Event()
    listener = asyncio.create_task(listen())
    await listening.wait()
    feed.end()
    assert [] == await listener
    await feed.aclose()


async def test_a_closed_store_ends_the_feed() -> None:
    """Nobody waits for what can never come."""
    store = MemoryStore()
    feed = LiveFeed(store, poll_seconds=0.001)
    async with feed.follow() as following:
        await store.aclose()
        assert [] == await following.take()
        assert following.has_ended


async def test_what_another_process_writes_is_found(tmp_path: Path) -> None:
    """Two stores on one folder know nothing of each other but what is on the disk."""
    ours, theirs = SQLiteStore(tmp_path / "history"), SQLiteStore(tmp_path / "history")
    await ours.open()
    await theirs.open()
    feed = LiveFeed(ours)
    async with feed.follow() as following:
        await theirs.create(document("a"))
        assert [("put", 1, "w", "a")] == told(await taken(following, 1))
    await feed.aclose()
    await ours.aclose()
    await theirs.aclose()


async def test_nobody_can_begin_before_the_beginning() -> None:
    """Revisions are counted from 0 on."""
    with pytest.raises(InvalidInput):
        LiveFeed(MemoryStore()).follow(-1)


async def test_a_service_can_be_followed_from_several_event_loops(store: HistoryStore) -> None:
    """Each has a feed of its own, and hears what any of them writes."""
    service = ExecutionHistoryService(store)

    async def elsewhere() -> list[LiveEvent]:
        async with service.follow(since=0, workflow_ids=["w"]) as events:
            return await events.take()

    async with service.follow(workflow_ids=["w"]) as events:
        await store.create(document("a"))
        assert told(await asyncio.to_thread(asyncio.run, elsewhere())) == told(await events.take())


async def test_following_ends_with_its_service() -> None:
    """Whoever waits for an event is told that none comes."""
    async with ExecutionHistoryService("memory:") as service, service.follow() as events:
        waiting = asyncio.create_task(events.take())
        await asyncio.sleep(0)
        await service.aclose()
        assert [] == await waiting
