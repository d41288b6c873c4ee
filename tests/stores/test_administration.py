"""What a store keeps beside the records, sentence by sentence, on every store."""

import asyncio

import orjson
import pytest

from execution_history.errors import FeedExpired
from execution_history.stores.capabilities import Prunable
from execution_history.stores.protocol import HistoryStore
from tests.sample_records import document
from tests.stores_under_test import Clock

pytestmark = pytest.mark.anyio


async def prune(store: HistoryStore) -> int:
    """Forget what can be forgotten; up to where that is."""
    if not isinstance(store, Prunable):
        pytest.skip("this store forgets by itself")
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
    with pytest.raises(FeedExpired, match=f"as far as change {seen} has to start again"):
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


async def test_an_entry_of_the_registry_is_kept_under_its_kind_and_key(store: HistoryStore) -> None:
    """Any JSON; entries of a kind are listed by their keys, page by page."""
    assert await store.entry("view", "mine") is None
    for key in ("b", "a", "文", "B"):
        await store.put_entry("view", key, orjson.dumps({"of": key}))
    await store.put_entry("price", "a", b"1")
    kept = await store.entry("view", "文")
    assert kept is not None
    assert {"of": "文"} == orjson.loads(kept.value)
    assert ["B", "a", "b", "文"] == [entry.name.key for entry in await store.entries("view")]
    assert ["b"] == [entry.name.key for entry in await store.entries("view", after="a", limit=1)]
    assert [] == await store.entries("rule")


async def test_the_kinds_that_have_entries_are_listed(store: HistoryStore) -> None:
    """In order; one whose last entry was removed is not among them."""
    assert [] == await store.kinds()
    for kind in ("view", "文" * 900, "price", "view"):
        await store.put_entry(kind, "a", b"1")
    await store.put_entry("gone", "a", b"1")
    await store.drop_entry("gone", "a")
    assert ["price", "view", "文" * 900] == await store.kinds()


async def test_of_two_who_change_an_entry_one_succeeds(store: HistoryStore) -> None:
    """Whoever names a version that it does not have changes nothing."""
    first = await store.put_entry("name", "w", b'"one"', expected=0)
    assert first is not None
    assert await store.put_entry("name", "w", b'"late"', expected=0) is None
    second = await store.put_entry("name", "w", b'"two"', expected=first.version)
    assert second is not None
    assert second.version > first.version
    assert await store.put_entry("name", "w", b'"late"', expected=first.version) is None
    assert not await store.drop_entry("name", "w", expected=first.version)
    assert second == await store.entry("name", "w")
    assert await store.drop_entry("name", "w", expected=second.version)
    assert not await store.drop_entry("name", "w")
    again = await store.put_entry("name", "w", b'"three"', expected=0)
    assert again is not None
    assert again.version > second.version


async def test_the_change_feed_tells_of_the_registry(store: HistoryStore, clock: Clock) -> None:
    """Under a kind of its own, in one order with the records; of an entry only its last change, and its removal."""
    await store.put_entry("view", "a", b"1")
    await store.create(document("e"))
    await store.put_entry("view", "a", b"2")
    await store.put_entry("view", "b", b"3")
    await store.drop_entry("view", "b")
    feed = await store.changes(0, 10, documents=True)
    assert ["created", "registry", "registry"] == [change.kind for change in feed]
    assert [None, ("view", "a"), ("view", "b")] == [change.entry for change in feed]
    assert [b"2", None] == [change.document for change in feed[1:]]
    assert await store.revision() == feed[-1].revision
    clock.go_on(days=31)
    assert feed[-1].revision == await prune(store)
    assert ["created", "registry"] == [change.kind for change in await store.changes(0, 10)]


async def test_the_audit_log_keeps_who_did_what_in_order(store: HistoryStore) -> None:
    """And is read on from any of its lines."""
    for number in range(5):
        await store.append_audit("ada", f"delete {number}", orjson.dumps({"n": number}))
    lines = await store.audit(0, 3)
    rest = await store.audit(lines[-1].number, 100)
    assert [f"delete {number}" for number in range(5)] == [line.action for line in [*lines, *rest]]
    assert {("ada", True)} == {(line.actor, line.at > 0) for line in lines}
    assert b'{"n":0}' == lines[0].details


async def test_a_line_of_the_audit_log_that_is_restored_keeps_its_time(store: HistoryStore) -> None:
    """And comes behind those that are there."""
    await store.append_audit("ada", "now")
    await store.append_audit("ada", "then", at=5)
    assert [("now", False), ("then", True)] == [(line.action, line.at == 5) for line in await store.audit(0, 9)]


async def test_a_lease_has_one_owner_until_it_ends(store: HistoryStore) -> None:
    """Its owner keeps it, or gives it up; another takes it when the time has passed."""
    assert await store.lease("retention", "a", 60_000)
    assert not await store.lease("retention", "b", 60_000)
    assert await store.lease("backup", "b", 60_000)
    assert await store.lease("retention", "a", 60_000)
    assert not await store.lease("retention", "a", 0)
    assert await store.lease("retention", "b", 1)
    async with asyncio.timeout(60):
        while not await store.lease("retention", "a", 60_000):
            await asyncio.sleep(0.001)
    assert not await store.lease("retention", "b", 60_000)


async def test_of_many_who_want_a_lease_at_once_one_gets_it(store: HistoryStore) -> None:
    """So that a periodic job runs once."""
    taken = await asyncio.gather(*(store.lease("job", f"p{number}", 60_000) for number in range(20)))
    assert 1 == sum(taken)


async def test_leases_are_renewed_and_given_up(store: HistoryStore) -> None:
    """Each recorder has one, and anybody sees how much remains of it."""
    await store.renew_lease("r1", 1)
    await store.renew_lease("r2", 60_000)
    await store.renew_lease("r1", 60_000)
    await store.renew_lease("r2", 0)
    [(owner, remaining)] = (await store.leases()).items()
    assert "r1" == owner
    assert 0 < remaining <= 60_000


async def test_the_lease_of_a_recorder_ends(store: HistoryStore) -> None:
    """It is still listed then, with the time since when it is over."""
    await store.renew_lease("r", 1)
    async with asyncio.timeout(60):
        while (await store.leases())["r"] > -2:
            await asyncio.sleep(0.001)


async def test_setting_the_time_changes_no_lease(store: HistoryStore, clock: Clock) -> None:
    """Neither a recorder's nor a named one."""
    await store.renew_lease("r", 60_000)
    assert await store.lease("job", "r", 60_000)
    clock.go_on(days=2)
    assert 0 < (await store.leases())["r"] <= 60_000
    assert not await store.lease("job", "other", 60_000)
    clock.go_on(days=-4)
    assert 0 < (await store.leases())["r"] <= 60_000


async def test_what_is_old_is_forgotten_again_and_again(store: HistoryStore, clock: Clock) -> None:
    """A record that was kept by one pruning and deleted before the next leaves nothing that stops a new follower."""
    assert isinstance(store, Prunable)
    for number in range(3):
        await store.create(document("old", f"w{number}"))
        await store.create(document("gone", f"w{number}"))
        clock.go_on(days=40)
        await store.prune()
        await store.delete(f"w{number}", "gone")
        await store.create(document("x", "cleared"))
        await store.clear("cleared")
        clock.go_on(days=40)
        await store.prune()
    await store.create(document("new"))
    found = await store.changes(0, 100)
    assert [("created", "w0"), ("created", "w1"), ("created", "w2"), ("created", "w")] == [
        (each.kind, each.workflow_id) for each in found
    ]
