"""What a store takes, and what it gives back, on every store that takes space."""

import orjson
import pytest

from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordKey, RecordQuery
from execution_history.records.contents import prune_contents
from execution_history.records.replacement import Replacement
from execution_history.stores.capabilities import Bin, Sized, flush
from execution_history.stores.protocol import HistoryStore
from tests.sample_records import change, document

pytestmark = pytest.mark.anyio

_KB = 1_000


async def _filled(store: HistoryStore, runs: int, size: int) -> list[RecordKey]:
    keys = [RecordKey(f"w{number % 2}", f"e{number:04}") for number in range(runs)]
    for number, key in enumerate(keys):
        # Texts that cannot be packed smaller.
        text = "".join(chr(0x4E00 + (number * 7919 + place * 104729) % 20000) for place in range(size // 3))
        await store.create(document(key.execute_id, key.workflow_id, 1_000 + number, parameters={"text": text}))
    return keys


async def test_a_store_knows_what_it_takes(store: HistoryStore) -> None:
    """At least what its documents are, as they are counted by workflow, and each by its key."""
    assert isinstance(store, Sized)
    keys = await _filled(store, 10, 10 * _KB)
    await flush(store)
    use = await store.disk_use()
    assert sum(each.size for each in await store.workflows()) == use.documents
    sizes = await store.sizes_of([*keys, RecordKey("w0", "missing")])
    assert set(keys) == set(sizes)
    assert use.documents == sum(sizes.values())
    assert 0 < use.used <= use.total


async def test_space_is_free_again_after_records_were_removed(store: HistoryStore) -> None:
    """Given back to the file system where that is possible."""
    assert isinstance(store, Sized)
    keys = await _filled(store, 60, 100 * _KB)
    await store.select(RecordQuery(filter=RecordFilter(statuses=("failed",))))
    await flush(store)
    before = await store.disk_use()
    await store.delete_many(keys[:50], 50)
    await store.give_back(("w0", "w1"))
    after = await store.disk_use()
    assert after.used < 0.6 * before.used
    assert after.documents < before.documents / 5


async def test_space_in_the_middle_of_files_is_given_back(store: HistoryStore) -> None:
    """As when records become shorter."""
    assert isinstance(store, Sized)
    keys = await _filled(store, 40, 100 * _KB)
    before = await store.disk_use()
    for key in keys[:38]:
        ended = await store.update(*key, change(9_000, status="success"))
        shorter = None if ended is None else prune_contents(ended, 10_000, "test")
        assert shorter is not None
        await store.update(*key, Replacement.by(shorter, 9_000))
    await store.give_back(("w0", "w1"))
    assert (await store.disk_use()).used < 0.6 * before.used
    assert {None} == {
        orjson.loads(body or b"")["input_parameters"] for body in [await store.get(*key) for key in keys[:38]]
    }


async def test_only_the_version_that_was_seen_is_removed(store: HistoryStore) -> None:
    """For good, or into the bin."""
    await store.create(document("a"))
    await store.create(document("b"))
    a, b = RecordKey("w", "a"), RecordKey("w", "b")
    await store.update(*a, change(5_000, metadata={"pinned": True}))
    assert isinstance(store, Bin)
    assert [] == await store.discard({a: 1_000}, 60_000)
    assert [] == await store.delete_many({a: 1_000}, 1)
    assert [] == await store.binned()
    assert [b] == await store.discard({a: 1_000, b: 1_000}, 60_000)
    assert [a] == await store.delete_many({a: 5_000}, 5)
    assert [b] == [each.key for each in await store.binned()]
