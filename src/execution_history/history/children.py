"""Which run began within which: named by the metadata of the inner one, found and counted by the index."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from execution_history.query.breakdown import BreakdownQuery
from execution_history.query.fields import RecordFilter
from execution_history.query.model import MAX_SIZE, RecordKey, RecordQuery
from execution_history.records.metadata import PARENT
from execution_history.records.values import identifier
from execution_history.stores.protocol import HistoryStore

Summary = Mapping[str, Any]
"""A record without its documents (:mod:`execution_history.records.summary`)."""


async def count_children(
    store: HistoryStore, keys: Sequence[RecordKey], wait_seconds: float | None = None
) -> dict[RecordKey, int]:
    """Return how many runs began directly within each of at most 100 runs; those without any are left out.

    Where they are 100 at most in all, one query reads them; more are counted by the execute ids of their parents.

    Args:
        store: the history.
        keys: the runs.
        wait_seconds: how long the query may wait for an index that follows.

    Raises:
        StoreError: the store could not be read.
    """
    ids = tuple(dict.fromkeys(key.execute_id for key in keys))
    if not ids:
        return {}
    await store.open()
    query = query_within(ids, wait_seconds)
    few = await store.select(query)
    if few.next is None:
        parents = (parent_among(summary, keys) for summary in map(orjson.loads, few.documents))
        return dict(Counter(parent for parent in parents if parent is not None))
    many = BreakdownQuery(filter=query.filter, by="parent", limit=len(ids), counts_only=True, wait_seconds=wait_seconds)
    counts = {group.key: group.figures.runs for group in (await store.breakdown(many)).groups}
    return {key: counts[key.execute_id] for key in keys if key.execute_id in counts}


def parent_of(summary: Summary) -> tuple[str | None, str] | None:
    """Return the workflow id, where it is known, and the execute id of a run's parent; ``None`` without one."""
    named = PARENT.raw(summary)
    execute_id = PARENT.of(summary)
    if execute_id is None:
        return None
    return identifier(named.get("workflow_id")) if isinstance(named, dict) else None, execute_id


def parent_among(summary: Summary, keys: Iterable[RecordKey]) -> RecordKey | None:
    """Return which of *keys* is the parent of a run; ``None`` where none is."""
    named = parent_of(summary)
    if named is None:
        return None
    workflow_id, execute_id = named
    return next((key for key in keys if key.execute_id == execute_id and workflow_id in {None, key.workflow_id}), None)


def query_within(execute_ids: tuple[str, ...], wait_seconds: float | None) -> RecordQuery:
    """Return the query for a page of the runs that began within runs with these execute ids, in order of beginning."""
    return RecordQuery(
        filter=RecordFilter(parents=execute_ids),
        descending=False,
        size=MAX_SIZE,
        summaries=True,
        wait_seconds=wait_seconds,
    )
