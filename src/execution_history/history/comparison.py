"""Comparison of two runs of a history: any two, or one with the last success before it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from execution_history.errors import ExecutionNotFound, InvalidInput, listed, quoted
from execution_history.history.diff import Comparison, compare_records
from execution_history.history.iteration import selected
from execution_history.query.fields import RecordFilter
from execution_history.records.record import check_identifier
from execution_history.stores.protocol import HistoryStore

_AT_ONCE: Final = 20


@dataclass(frozen=True, slots=True)
class Run:
    """A run to compare: its execute id, and its workflow where that is known."""

    execute_id: str
    workflow_id: str | None = None


async def compare_executions(store: HistoryStore, old: Run, new: Run) -> Comparison:
    """Return how *new* differs from *old*; they may be runs of different workflows.

    Raises:
        ExecutionNotFound: one of them does not exist; the message names it.
        InvalidInput: an id is invalid, or several workflows have a run with it and none is named.
        StoreError: the store could not be read.
    """
    await store.open()
    before, after = await _record(store, old), await _record(store, new)
    return await asyncio.to_thread(compare_records, before, after)


async def compare_with_last_success(store: HistoryStore, run: Run) -> Comparison:
    """Return how a run differs from the newest successful run of its workflow that began before it.

    Raises:
        ExecutionNotFound: there is no such run, or no earlier one of its workflow has succeeded.
        InvalidInput: an id is invalid, or several workflows have a run with it and none is named.
        StoreError: the store could not be read.
    """
    await store.open()
    record = await _record(store, run)
    partner = await _last_success_before(store, record)
    return await asyncio.to_thread(compare_records, partner, record)


async def _record(store: HistoryStore, run: Run) -> dict[str, Any]:
    check_identifier("execute id", run.execute_id)
    if run.workflow_id is not None:
        check_identifier("workflow id", run.workflow_id)
        body = await store.get(run.workflow_id, run.execute_id)
        found = [] if body is None else [body]
    else:
        found = await store.find(run.execute_id)
    if not found:
        if run.workflow_id is None:
            raise ExecutionNotFound("There is no run %(run)s.", run=quoted(run.execute_id))
        raise ExecutionNotFound(
            "Workflow %(workflow)s has no run %(run)s.", workflow=quoted(run.workflow_id), run=quoted(run.execute_id)
        )
    records: list[dict[str, Any]] = [orjson.loads(body) for body in found]
    if len(records) > 1:
        workflows = listed(record["workflow_id"] for record in records)
        raise InvalidInput(
            "Several workflows have a run %(run)s: name one of %(workflows)s.",
            run=quoted(run.execute_id),
            workflows=workflows,
        )
    return records[0]


async def _last_success_before(store: HistoryStore, record: dict[str, Any]) -> dict[str, Any]:
    """Return the nearest earlier success; of runs that began in one millisecond the one created first is earlier."""
    workflow, began = (record["workflow_id"],), record["create_time"]
    is_earlier = False
    same_time = RecordFilter(workflow_ids=workflow, created_from=began, created_before=began + 1)
    async for candidate in _records(store, same_time):
        if candidate["execute_id"] == record["execute_id"]:
            is_earlier = True
        elif is_earlier and candidate["execute_status"] == "success":
            return candidate
    before = RecordFilter(workflow_ids=workflow, statuses=("success",), created_before=began)
    async for candidate in _records(store, before):
        return candidate
    raise ExecutionNotFound(
        "Workflow %(workflow)s has no successful run before %(run)s: compare with a run of your choice instead.",
        workflow=quoted(record["workflow_id"]),
        run=quoted(record["execute_id"]),
    )


async def _records(store: HistoryStore, record_filter: RecordFilter) -> AsyncIterator[dict[str, Any]]:
    """Yield the records that match *record_filter*, newest first."""
    async for batch in selected(store, record_filter, descending=True, size=_AT_ONCE):
        for body in batch.documents:
            yield orjson.loads(body)
