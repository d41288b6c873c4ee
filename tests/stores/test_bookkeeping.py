"""What a store keeps beside the records, sentence by sentence, on every store."""

import pytest

from execution_history.errors import FeedExpired
from execution_history.stores.capabilities import Prunable
from execution_history.stores.protocol import HistoryStore
from tests.sample_records import document
from tests.stores_under_test import Clock

pytestmark = pytest.mark.anyio


async def prune(store: HistoryStore) -> int:
    """Forget what can be forgotten; up to where that is."""
    assert isinstance(store, Prunable)
    return await store.prune()


async def test_a_follower_keeps_its_place_in_the_feed(store: HistoryStore) -> None:
    """The last one that it saved, until it follows no more."""
    await store.save_cursor("webhook", 3)
    await store.save_cursor("sync", 1)
    await store.save_cursor("webhook", 5)
    assert {"webhook": 5, "sync": 1} == await store.cursors()
    await store.save_cursor("sync", None)
    assert {"webhook": 5} == await store.cursors()


async def test_deletions_are_forgotten_after_thirty_days(store: HistoryStore, clock: Clock) -> None:
    """Who stands before what was forgotten is refused; who begins anew, or stands behind it, is not."""
    for name in ("a", "b", "kept"):
        await store.create(document(name))
    seen = await store.revision()
    await store.delete("w", "a")
    clock.go_on(days=29)
    assert 0 == await prune(store)
    await store.delete("w", "b")
    clock.go_on(days=2)
    floor = await prune(store)
    assert seen < floor < await store.revision()
    with pytest.raises(FeedExpired, match=f"stands at change {seen} begins anew"):
        await store.changes(seen, 10)
    assert [("created", "kept"), ("deleted", "b")] == [(e.kind, e.execute_id) for e in await store.changes(0, 10)]
    assert ["b"] == [entry.execute_id for entry in await store.changes(floor, 10)]


async def test_what_a_follower_has_not_seen_is_not_forgotten(store: HistoryStore, clock: Clock) -> None:
    """However old it is; the oldest of all cursors counts."""
    await store.create(document("a"))
    await store.save_cursor("slow", await store.revision())
    await store.save_cursor("fast", 1_000)
    await store.delete("w", "a")
    clock.go_on(days=400)
    assert 0 == await prune(store)
    assert ["a"] == [entry.execute_id for entry in await store.changes(1, 10)]
    await store.save_cursor("slow", await store.revision())
    assert await store.revision() == await prune(store)
