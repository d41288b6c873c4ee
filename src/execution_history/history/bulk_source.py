"""The runs that a bulk change touches, batch by batch."""

from collections.abc import AsyncGenerator, Iterable
from dataclasses import replace
from typing import Final, NamedTuple

import orjson

from execution_history.errors import N_
from execution_history.query.fields import RecordFilter
from execution_history.query.model import MAX_SIZE, RecordKey, RecordQuery
from execution_history.stores.capabilities import follow_index
from execution_history.stores.protocol import HistoryStore

_CHANGES_AT_ONCE: Final = 2_000
_DAMAGED: Final = N_("The data of a run is damaged, so it is not known whether it matches.")


class Changed(NamedTuple):
    """A batch of runs to change.

    Attributes:
        keys: the runs.
        damaged: runs to be left alone, because of ``reason``.
        reason: see ``damaged``.
        left_alone: how many match too, but were changed by others.
        after: the cursor from which the next batch goes on; empty in the last one.
        matches: how many match now, with those of this batch; ``None`` where that is not known for certain.
    """

    keys: list[RecordKey]
    damaged: tuple[RecordKey, ...] = ()
    reason: str | None = None
    left_alone: int = 0
    after: str | None = None
    matches: int | None = None


async def keys_named(keys: Iterable[RecordKey], batches: int = 0) -> AsyncGenerator[Changed]:
    """Yield *keys* in batches, each once, without the first so many *batches*."""
    named = [RecordKey(*key) for key in dict.fromkeys(keys)]
    for start in range(batches * MAX_SIZE, len(named), MAX_SIZE):
        yield Changed(named[start : start + MAX_SIZE])


async def count_named(store: HistoryStore, keys: Iterable[RecordKey]) -> int:
    """Return how many of *keys* have a record, also one that cannot be read."""
    count = 0
    async for batch in keys_named(keys):
        found = await store.get_many(batch.keys)
        count += len(found.documents) + len(found.damaged)
    return count


async def keys_matching(
    store: HistoryStore, record_filter: RecordFilter, since: int, after: str | None = None
) -> AsyncGenerator[Changed]:
    """Yield the runs that match, oldest first, but none that was begun or changed by others after revision *since*.

    Whoever takes a batch changes the runs in it before the next: those changes count as one's own. *after* is the
    cursor of the last batch that was taken before.

    Raises:
        InvalidQuery: the filter has a text, and the store has no text search.
        StoreBusy: the index does not catch up.
        StoreError: the store could not be read.
    """
    await follow_index(store, has_texts=record_filter.text is not None)
    others: dict[RecordKey, bool] = {}  # and whether the run was there before
    own: list[RecordKey] = []
    query = RecordQuery(filter=record_filter, size=MAX_SIZE, descending=False, summaries=True, wait_seconds=0.0)
    while True:
        found = await store.select(replace(query, after=after))
        keys = [_key_of(summary) for summary in found.documents]
        while changes := await store.changes(since, _CHANGES_AT_ONCE):
            since = changes[-1].revision
            for change in changes:
                if change.kind in {"created", "updated"} and change.workflow_id and change.execute_id:
                    key = RecordKey(change.workflow_id, change.execute_id)
                    others.setdefault(key, change.kind == "updated")
        for key in own:
            others.pop(key, None)
        own, after = [key for key in keys if key not in others], found.next
        left_alone = sum(others.get(key, False) for key in keys)
        is_known = found.total_is_exact and found.reach.is_complete
        reason, matches = _DAMAGED if found.damaged else None, found.total if is_known else None
        yield Changed(own, found.damaged, reason, left_alone, after or "", matches)
        if after is None:
            return


def _key_of(summary: bytes) -> RecordKey:
    read = orjson.loads(summary)
    return RecordKey(read["workflow_id"], read["execute_id"])
