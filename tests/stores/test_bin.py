"""Deleted records that can be restored, on every store that keeps them."""

import asyncio
import random

import orjson
import pytest

from execution_history.query.model import RecordKey
from execution_history.records.record import Document
from execution_history.stores.capabilities import Bin
from execution_history.stores.protocol import HistoryStore
from tests.sample_records import change, document, ids, page_of
from tests.stores_under_test import Clock

pytestmark = pytest.mark.anyio

_DAY = 86_400_000
_A, _B, _V = RecordKey("w", "a"), RecordKey("w", "b"), RecordKey("v", "a")


@pytest.fixture
async def bin_of(store: HistoryStore) -> Bin:
    """The bin of a store with three records of two workflows."""
    if not isinstance(store, Bin):
        pytest.skip("this store keeps nothing that was deleted")
    for key in (_A, _B, _V):
        await store.create(document(key.execute_id, key.workflow_id))
    await store.update("w", "a", change(status="success", output="o", metadata={"coze_execute_id": "1"}))
    return store


async def test_what_is_discarded_is_gone_and_can_be_restored(store: HistoryStore, bin_of: Bin) -> None:
    """Byte for byte, in its place, found by its upstream id again; the feed tells that it went and came."""
    body = await store.get("w", "a")
    assert body is not None
    seen = await store.revision()
    assert {_A, _V} == set(await bin_of.discard([_A, _V, RecordKey("w", "missing")], _DAY))
    assert [None, 1] == [await store.get("w", "a"), len(await store.workflows())]
    assert [_V, _A] == [each.key for each in await bin_of.binned()]
    first, second = await bin_of.binned()
    assert {None} == {first.rule, second.rule}
    assert [second] == await bin_of.binned(after=first, limit=5)
    assert (2, first.size + second.size) == await bin_of.bin_size()
    assert {(True, _DAY)} == {(each.size > 0, each.ends - each.deleted_at) for each in await bin_of.binned()}
    assert [_A] == await bin_of.restore([_A, _B])
    assert body == await store.get("w", "a")
    assert ["a", "b"] == sorted(ids((await page_of(store, "w", 10, 1)).documents))
    assert ["a"] == ids(await store.find_upstream("1"))
    assert [_V] == [each.key for each in await bin_of.binned()]
    feed = [(e.kind, e.workflow_id, e.execute_id) for e in await store.changes(seen, 10)]
    assert {("deleted", "w", "a"), ("deleted", "v", "a")} == set(feed[:2])
    assert [("created", "w", "a")] == feed[2:]


async def test_a_record_that_came_meanwhile_is_not_replaced(store: HistoryStore, bin_of: Bin) -> None:
    """What was discarded stays where it is; a later one under the same id takes its place there."""
    await bin_of.discard([_A], _DAY)
    again = document("a", parameters={"n": 2})
    await store.create(again)
    assert [] == await bin_of.restore([_A])
    assert again.body == await store.get("w", "a")
    await bin_of.discard([_A], _DAY)
    assert [_A] == await bin_of.restore([_A])
    assert again.body == await store.get("w", "a")


async def test_what_is_discarded_is_kept_for_its_time_or_until_the_bin_is_emptied(bin_of: Bin, clock: Clock) -> None:
    """And cannot be restored after that."""
    await bin_of.discard([_A], _DAY)
    await bin_of.discard([_B, _V], 3 * _DAY)
    clock.go_on(days=2)
    assert [_V, _B] == [each.key for each in await bin_of.binned()]
    await bin_of.empty_bin([_B])
    assert [_V] == await bin_of.restore([_A, _B, _V])
    assert [] == await bin_of.binned()


async def test_what_is_discarded_can_be_replaced_and_stays_discarded(
    store: HistoryStore, bin_of: Bin, clock: Clock
) -> None:
    """As long as it is the version that was expected, and can be restored; the feed tells of nothing."""
    await bin_of.discard([_A], _DAY)
    before = await store.revision()
    [body] = (await bin_of.binned_documents([_A, _B])).values()
    made = Document.of(orjson.loads(body) | {"output": "redacted"}, body.replace(b'"o"', b'"redacted"'))
    made.update_time += 1
    made.body = made.body.replace(b'"update_time":%d' % (made.update_time - 1), b'"update_time":%d' % made.update_time)
    assert not await bin_of.replace_binned(made, made.update_time)
    assert await bin_of.replace_binned(made, made.update_time - 1)
    assert {_A: made.body} == await bin_of.binned_documents([_A])
    assert (1, len(made.body)) == await bin_of.bin_size()
    assert (None, before) == (await store.get("w", "a"), await store.revision())
    assert [_A] == await bin_of.restore([_A])
    assert made.body == await store.get("w", "a")
    assert not await bin_of.replace_binned(made, made.update_time)
    await bin_of.discard([_A], _DAY)
    clock.go_on(days=2)
    assert not await bin_of.replace_binned(made, made.update_time)
    assert {} == await bin_of.binned_documents([_A])


async def test_what_is_discarded_at_once_can_be_restored(store: HistoryStore, bin_of: Bin) -> None:
    """Also a record that came in the same moment."""
    new = RecordKey("w", "new")
    _, discarded = await asyncio.gather(store.create(document("new")), bin_of.discard([new, _A], _DAY))
    assert {new, _A} == set(discarded)
    assert {new, _A} == {each.key for each in await bin_of.binned()}
    assert {new, _A} == set(await bin_of.restore([new, _A]))
    assert {"new", "a", "b"} == set(ids((await page_of(store, "w", 10, 1)).documents))


async def test_the_bin_knows_which_rule_removed_a_run(bin_of: Bin) -> None:
    """Also of one that was restored and removed again, by somebody else."""
    await bin_of.discard([_A, _B], _DAY, "old")
    assert {"old"} == {each.rule for each in await bin_of.binned()}
    await bin_of.restore([_A])
    await bin_of.discard([_A], _DAY)
    assert {_A: None, _B: "old"} == {each.key: each.rule for each in await bin_of.binned()}


async def test_very_large_records_are_kept_like_others(store: HistoryStore, bin_of: Bin) -> None:
    """Byte for byte beside small ones, whether restored, replaced, discarded again or removed for good."""
    text = random.Random(1).randbytes(1_300_000).hex()  # noqa: S311 - no secret
    large = document("large", "w", 5, parameters={"text": text})
    await store.create(large)
    key = RecordKey("w", "large")
    assert [_A] == await bin_of.discard({_A: None, key: 4}, _DAY)
    assert [] == await bin_of.discard({key: 4}, _DAY)
    assert [_B, key] == await bin_of.discard({_B: None, key: 5}, _DAY, "r")
    assert await store.get(*key) is None
    assert {key: large.body} == await bin_of.binned_documents([key])
    assert "r" == {each.key: each.rule for each in await bin_of.binned()}[key]
    assert [key] == await bin_of.restore([key])
    assert large.body == await store.get(*key)
    assert [key] == await bin_of.discard([key], _DAY)
    shorter = document("large", "w", 5, parameters={"text": text[:50]})
    assert await bin_of.replace_binned(shorter, 5)
    assert {key: shorter.body} == await bin_of.binned_documents([key])
    await store.create(large)
    assert [key] == await bin_of.discard([key], _DAY)
    assert {key: large.body} == await bin_of.binned_documents([key])
    await bin_of.empty_bin([key])
    assert {} == await bin_of.binned_documents([key])
