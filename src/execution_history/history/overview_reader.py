"""Reading the overview: two statistics, three short lists and the summaries, whatever the number of workflows."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import orjson

from execution_history.history.index_wait import IndexWait
from execution_history.history.overview import (
    DEBUG_PAGE_LIVES,
    WINDOWS,
    Count,
    OpenRun,
    OpenRuns,
    Overview,
    OverviewQuery,
    WorkflowInWindow,
    sorted_workflows,
)
from execution_history.presentation.formatting import error_text, gist
from execution_history.presentation.index_notice import left_of
from execution_history.presentation.web_link import web_link
from execution_history.query.breakdown import MOST_GROUPS as MOST_WORKFLOWS
from execution_history.query.breakdown import Breakdown, BreakdownQuery, GroupSort
from execution_history.query.fields import RecordFilter
from execution_history.query.model import (
    MAX_SIZE,
    FailureGroup,
    IndexReach,
    RecordQuery,
    Selection,
    Statistics,
    StatisticsQuery,
)
from execution_history.query.statistics import MOST_GROUPS as MOST_FAILURES
from execution_history.query.statistics import Sums
from execution_history.query.time_buckets import bucket_edges, bucket_number, zone_of
from execution_history.records.metadata import INTERRUPT
from execution_history.records.time_units import DAY_MS
from execution_history.stores.protocol import StoreHealth, WorkflowSummary

if TYPE_CHECKING:
    from execution_history.history.names import HistoryNaming, WorkflowName

_SHOWN: Final = 5
_LONGEST_GIST: Final = 100


async def overview_of(
    service: "HistoryNaming", query: OverviewQuery, now: int, health: StoreHealth | None = None
) -> Overview:
    """Return the overview of a history at *now* (milliseconds).

    Args:
        service: the history.
        query: the query.
        now: the end of the window.
        health: how the store is, where the caller knows; else it is asked.

    Raises:
        InvalidQuery: there is no such time zone.
        StoreError: the store could not be read.
    """
    length, bucket = WINDOWS[query.window]
    edges = bucket_edges(max(0, now - length), now, bucket, zone_of(query.zone))
    wait = IndexWait(query.wait_seconds)
    within = RecordFilter(created_from=max(0, now - length), created_before=now + 1)
    failed = await _failures_in(service, within, query, wait)
    # The groups do not know the sizes; where there are very many, those with the newest runs are counted then.
    sort: GroupSort = "key" if query.sort == "name" else "last_run" if query.sort == "size" else query.sort
    found = await service.breakdown(
        BreakdownQuery(filter=within, by="workflow", sort=sort, limit=MOST_WORKFLOWS, wait_seconds=wait.seconds)
    )
    waiting, running, expiring, reaches = await _open_runs(service, now, wait)
    pins = RecordQuery(filter=RecordFilter(pinned=True), size=1, summaries=True, wait_seconds=wait.seconds)
    pinned = await service.select(pins)
    workflows = _every_workflow(await service.workflow_summaries(), found, await service.names())
    health = await service.health() if health is None else health
    counted = sum(group.count for group in failed.failures)
    reach = least_reach([failed.reach, found.reach, pinned.reach, *reaches])
    return Overview(
        window=query.window,
        since=max(0, now - length),
        until=now,
        runs=await _runs_in(service, found, within),
        failed=Count(
            max(counted, failed.totals.counts["failed"]), reach.is_complete and len(failed.failures) < MOST_FAILURES
        ),
        broke_off=max(0, counted - failed.totals.counts["failed"]),
        failures=[_on_edges(group, failed, edges) for group in failed.failures],
        bucket_edges=edges,
        workflows=sorted_workflows(workflows, query.sort, descending=query.is_descending),
        waiting=waiting,
        running=running,
        expiring=expiring,
        pinned=Count(pinned.total, pinned.total_is_exact and pinned.reach.is_complete),
        problems=health.problems,
        reach=reach,
        percentiles_are_exact=found.percentiles_are_exact,
        damaged=tuple(dict.fromkeys((*failed.damaged, *found.damaged))),
    )


async def _failures_in(
    service: "HistoryNaming", within: RecordFilter, query: OverviewQuery, wait: IndexWait
) -> Statistics:
    return await service.statistics(
        StatisticsQuery(
            filter=replace(within, statuses=("failed", "interrupted")),
            bucket=WINDOWS[query.window][1],
            zone=query.zone,
            new_since=within.created_from,
            counts_only=True,
            wait_seconds=wait.seconds,
        )
    )


async def _runs_in(service: "HistoryNaming", found: Breakdown, within: RecordFilter) -> int:
    """Return how many runs match *within*, of which *found* has the workflows."""
    if found.total_groups > len(found.groups):
        return (await service.select(RecordQuery(filter=within, size=1, summaries=True))).total
    return sum(group.figures.runs for group in found.groups)


async def _open_runs(
    service: "HistoryNaming", now: int, wait: IndexWait
) -> tuple[OpenRuns, OpenRuns, Count, list[IndexReach]]:
    """Return the runs that wait, those that go on, how many debug pages expire, and how complete this is."""
    oldest = max(0, now - DEBUG_PAGE_LIVES)

    async def some(size: int, **words: Any) -> Selection:  # noqa: ANN401 - the fields of a filter
        query = RecordQuery(filter=RecordFilter(**words), size=size, summaries=True, wait_seconds=wait.seconds)
        return await service.select(query)

    going_on = await some(_SHOWN, statuses=("running",))
    interrupted = await some(MAX_SIZE, statuses=("interrupted",), created_from=oldest)
    ended = await some(
        MAX_SIZE, statuses=("failed", "interrupted"), created_from=oldest, created_before=oldest + DAY_MS
    )
    # One whose answer was refused has an error and still asks.
    waiting = [
        each
        for each in map(orjson.loads, interrupted.documents)
        if INTERRUPT.of(each) is not None or not error_text(each)
    ]
    pages = sum(web_link(each["debug_url"]) is not None for each in map(orjson.loads, ended.documents))
    reaches = [each.reach for each in (going_on, interrupted, ended)]
    return (
        OpenRuns(tuple(_open_run(each) for each in waiting[:_SHOWN]), Count(len(waiting), _is_all(interrupted))),
        OpenRuns(
            tuple(_open_run(each) for each in map(orjson.loads, going_on.documents)),
            Count(going_on.total, going_on.total_is_exact and going_on.reach.is_complete),
        ),
        Count(pages, _is_all(ended)),
        reaches,
    )


def _is_all(found: Selection) -> bool:
    return found.total_is_exact and found.reach.is_complete and not found.has_more


def _open_run(summary: dict[str, Any]) -> OpenRun:
    return OpenRun(summary["workflow_id"], summary["execute_id"], summary["create_time"], gist(summary, _LONGEST_GIST))


def _on_edges(group: FailureGroup, found: Statistics, edges: list[int]) -> FailureGroup:
    """Return *group* with a count for every bucket of the window."""
    return replace(group, buckets=spread(group.buckets, [bucket.start for bucket in found.buckets], edges))


def _every_workflow(
    summaries: Iterable[WorkflowSummary], found: Breakdown, names: Mapping[str, "WorkflowName"]
) -> Iterator[WorkflowInWindow]:
    """Yield every workflow; one without runs in the window counts nothing."""
    figures = {group.key: group.figures for group in found.groups}
    otherwise = Sums({}).figures() if found.total_groups <= len(found.groups) else None
    for summary in summaries:
        named = names.get(summary.workflow_id)
        yield WorkflowInWindow(
            workflow_id=summary.workflow_id,
            name=None if named is None else named.name,
            starred=named is not None and named.starred,
            hidden=named is not None and named.hidden,
            figures=figures.get(summary.workflow_id, otherwise),
            last_run=summary.last_create_time,
            size=summary.size,
        )


def least_reach(reaches: Iterable[IndexReach]) -> IndexReach:
    """Return the reach of an answer put together from answers with these *reaches*."""
    return max(reaches, key=lambda each: left_of(each.revision, each.newest, each.missing))


def spread(counts: Sequence[int], starts: Sequence[int], edges: list[int]) -> tuple[int, ...]:
    """Return a count between each two of *edges*: those of *counts* whose buckets begin at *starts*, else 0."""
    whole = [0] * (len(edges) - 1)
    for count, start in zip(counts, starts, strict=True):
        whole[bucket_number(edges, start)] = count
    return tuple(whole)
