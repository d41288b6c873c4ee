"""The records of a run that is known by its id upstream."""

from typing import Any

import orjson

from execution_history.stores.protocol import HistoryStore


async def records_of(store: HistoryStore, workflow_id: str | None, upstream_id: str) -> list[dict[str, Any]]:
    """Return the workflow's records of the run with this id upstream, the newest first.

    Raises:
        StoreError: the store cannot be read.
    """
    await store.open()
    found: list[dict[str, Any]] = [orjson.loads(body) for body in await store.find_upstream(upstream_id)]
    return [record for record in found if record["workflow_id"] == workflow_id]


async def record_of(store: HistoryStore, workflow_id: str, execute_id: str) -> dict[str, Any] | None:
    """Return the record with this id upstream, or with this id of its own; ``None`` where there is neither.

    Raises:
        StoreError: the store cannot be read.
    """
    for record in await records_of(store, workflow_id, execute_id):
        return record
    stored = await store.get(workflow_id, execute_id)
    return None if stored is None else dict(orjson.loads(stored))
