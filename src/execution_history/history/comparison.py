"""Comparison of two runs of a history: any two, or one with the last success before it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from execution_history.errors import ExecutionNotFound, InvalidInput, StoreBusy, listed, quoted
from execution_history.history.diff import Comparison, SeveralComparison, compare_records, compare_several
from execution_history.history.diff.several import MOST_RUNS
from execution_history.history.iteration import selected
from execution_history.query.fields import RecordFilter
from execution_history.query.model import IndexReach, RecordQuery
from execution_history.records.identifiers import check_identifier
from execution_history.stores.protocol import HistoryStore

_AT_ONCE: Final = 20
_FEWEST: Final = 2


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


async def compare_runs(store: HistoryStore, runs: Sequence[Run], baseline: int = 1) -> SeveralComparison:
    """Return how several runs compare with one of them; the others stay in their order.

    Args:
        store: the history.
        runs: two to six runs, of whatever workflows.
        baseline: the number of the run that all are compared with, from 1.

    Raises:
        ExecutionNotFound: one of them does not exist; the message names it.
        InvalidInput: they are too few or too many, there is no such baseline, an id is invalid, or several workflows
            have a run with it and none is named.
        StoreError: the store could not be read.
    """
    if not _FEWEST <= len(runs) <= MOST_RUNS:
        raise InvalidInput(
            "You can compare 2 to %(most)s runs; %(count)s are selected.", most=MOST_RUNS, count=len(runs)
        )
    if not 1 <= baseline <= len(runs):
        raise InvalidInput(
            "The baseline is one of the runs, 1 to %(count)s, not %(baseline)s.",
            count=len(runs),
            baseline=quoted(baseline),
        )
    await store.open()
    records = [await _record(store, run) for run in runs]
    first = records.pop(baseline - 1)
    return await asyncio.to_thread(compare_several, [first, *records])


async def compare_with_last_success(store: HistoryStore, run: Run, wait_seconds: float | None = None) -> Comparison:
    """Return how a run differs from the newest successful run of its workflow that began before it.

    Args:
        store: the history.
        run: the run.
        wait_seconds: how long each query may wait for an index that follows; ``None``: until it has everything.

    Raises:
        StoreBusy: the index does not reach back to that success yet, or lacks the latest changes.
        ExecutionNotFound: there is no such run, or no earlier one of its workflow has succeeded.
        InvalidInput: an id is invalid, or several workflows have a run with it and none is named.
        StoreError: the store could not be read.
    """
    await store.open()
    record = await _record(store, run)
    partner = await _last_success_before(store, record, wait_seconds)
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


async def _last_success_before(
    store: HistoryStore, record: dict[str, Any], wait_seconds: float | None
) -> dict[str, Any]:
    """Return the nearest earlier success; of runs that began in one millisecond the one created first is earlier."""
    workflow, began = (record["workflow_id"],), record["create_time"]
    is_earlier = False
    same_time = RecordFilter(workflow_ids=workflow, created_from=began, created_before=began + 1)
    async for candidate in _records(store, same_time, began, wait_seconds):
        if candidate["execute_id"] == record["execute_id"]:
            is_earlier = True
        elif is_earlier and candidate["execute_status"] == "success":
            return candidate
    before = RecordFilter(workflow_ids=workflow, statuses=("success",), created_before=began)
    async for candidate in _records(store, before, 0, wait_seconds):
        return candidate
    raise ExecutionNotFound(
        "Workflow %(workflow)s has no successful run before %(run)s: compare with a run of your choice instead.",
        workflow=quoted(record["workflow_id"]),
        run=quoted(record["execute_id"]),
    )


async def _records(
    store: HistoryStore, record_filter: RecordFilter, since: int, wait_seconds: float | None
) -> AsyncIterator[dict[str, Any]]:
    """Yield the records that match *record_filter*, all of which began at *since* (ms) or later, newest first."""
    if wait_seconds is None:
        async for batch in selected(store, record_filter, descending=True, size=_AT_ONCE):
            for body in batch.documents:
                yield orjson.loads(body)
        return
    query = RecordQuery(filter=record_filter, size=_AT_ONCE, wait_seconds=wait_seconds)
    while True:
        page = await store.select(query)
        for body in page.documents:
            record = orjson.loads(body)
            _check(page.reach, record["create_time"])
            yield record
        if page.next is None:
            _check(page.reach, since)
            return
        query = replace(query, after=page.next)


def _check(reach: IndexReach, since: int) -> None:
    """Raise where records that began at *since* or later may be missing from an answer with this *reach*."""
    if reach.revision < reach.newest:
        raise StoreBusy(
            "The index does not have the latest changes yet, so a run that has just succeeded may be missing: try "
            "again in a moment, or compare with a run of your choice."
        )
    if reach.since is not None and since < reach.since:
        raise StoreBusy(
            "The index is still being built and does not reach back to the last success before this run: try again in "
            "a moment, or compare with a run of your choice."
        )
