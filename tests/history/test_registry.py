"""Changes of entries of the registry, several at a time."""

import asyncio

import pytest

from execution_history.history.registry import change_entry, new_id
from execution_history.stores.administration import Entry, EntryName
from execution_history.stores.protocol import HistoryStore

pytestmark = pytest.mark.anyio

_NAME = EntryName("test", "counter")


async def test_no_change_is_lost(store: HistoryStore) -> None:
    """Each of twenty at once is made of the one before."""

    def one_more(entry: Entry | None) -> bytes:
        return str(int(entry.value) + 1 if entry else 1).encode()

    await asyncio.gather(*(change_entry(store, _NAME, one_more) for _ in range(20)))
    kept = await store.entry(*_NAME)
    assert kept is not None
    assert kept.value == b"20"


async def test_the_same_value_is_not_written_again(store: HistoryStore) -> None:
    """The entry keeps its version, and the history its revision."""
    first = await change_entry(store, _NAME, lambda _: b"1")
    revision = await store.revision()
    assert await change_entry(store, _NAME, lambda _: b"1") == first
    assert await store.revision() == revision


async def test_nothing_removes_an_entry(store: HistoryStore) -> None:
    """Also one that is not there."""
    await change_entry(store, _NAME, lambda _: b"1")
    assert await change_entry(store, _NAME, lambda _: None) is None
    assert await change_entry(store, _NAME, lambda _: None) is None
    assert await store.entry(*_NAME) is None


def test_no_id_looks_like_an_option() -> None:
    """An id is typed after the name of a command; one that began with a dash was refused as an unknown option."""
    ids = {new_id() for _ in range(1_000)}
    assert len(ids) == 1_000
    assert all(each.isalnum() for each in ids)
