"""Queries of the memory store: the pure functions that define the result, applied to every record."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import orjson

from execution_history.errors import Message
from execution_history.query import breakdown_plan, rollups
from execution_history.query.breakdown import Breakdown, BreakdownQuery
from execution_history.query.breakdown_plan import Groupable, breakdown_of
from execution_history.query.cursor import Position, cursor_at, position_at, position_of
from execution_history.query.fields import RecordFilter
from execution_history.query.model import IndexReach, RecordKey, RecordQuery, Selection, Statistics, StatisticsQuery
from execution_history.query.statistics import Counted, statistics_of
from execution_history.records.attributes import RunAttributes, attributes_of
from execution_history.records.summary import summary_of

_EXPLANATION = Message("This store has no index: it reads every record.")


def select(query: RecordQuery, records: Iterable[tuple[bytes, int]], reach: IndexReach) -> Selection:
    """Return the answer to *query* from all records, each with its place in the order of arrival."""
    after = position_at(query)
    found = [
        (position_of(query, attributes, arrival), body, record, attributes)
        for body, record, attributes, arrival in _matching(query.filter, records)
    ]
    found.sort(key=lambda item: item[0].rank(descending=query.descending))
    start = 0 if query.index is None else (query.index - 1) * query.size
    if after is not None:
        rank = after.rank(descending=query.descending)
        start = sum(item[0].rank(descending=query.descending) <= rank for item in found)
    page = found[start : start + query.size]
    has_more = start + query.size < len(found)
    last: Position | None = page[-1][0] if page else None
    return Selection(
        documents=[summary_of(record, attributes) if query.summaries else body for _, body, record, attributes in page],
        total=len(found),
        total_is_exact=True,
        next=cursor_at(query, last) if has_more and last is not None else None,
        has_more=has_more,
        reach=reach,
        explain=(_EXPLANATION,) if query.explain else (),
    )


def statistics(
    query: StatisticsQuery,
    records: Sequence[tuple[bytes, int]],
    reach: IndexReach,
    exact_runs: int = rollups.EXACT_RUNS,
) -> Statistics:
    """Return the answer to *query* from all records, each with its place in the order of arrival."""
    runs, earlier = _counted(query.filter, records), []
    if query.filter.created_from is not None:
        before = replace(query.filter, created_from=None, created_before=query.filter.created_from)
        earlier = _counted(before, records)
    seen_before: set[str] = set()
    if query.new_since is not None:
        within = query.filter.within
        wider = RecordFilter(workflow_ids=query.filter.workflow_ids, within=within, created_before=query.new_since)
        seen_before = {
            attributes.fingerprint
            for _, _, attributes, _ in _matching(wider, records)
            if attributes.fingerprint is not None
        }
    return statistics_of(query, runs, frozenset(seen_before), reach, exact_runs, earlier)


def breakdown(
    query: BreakdownQuery,
    records: Iterable[tuple[bytes, int]],
    reach: IndexReach,
    exact_runs: int = breakdown_plan.EXACT_RUNS,
    most: int = breakdown_plan.MOST_RUNS,
) -> Breakdown:
    """Return the answer to *query* from all records, each with its place in the order of arrival."""
    runs = [
        Groupable(record, attributes, arrival) for _, record, attributes, arrival in _matching(query.filter, records)
    ]
    return breakdown_of(query, runs, reach, exact_runs, most)


def keys_of(record_filter: RecordFilter, records: Iterable[tuple[bytes, int]]) -> list[RecordKey]:
    """Return the ids of the records that match *record_filter*, the oldest first."""
    found = sorted(_matching(record_filter, records), key=lambda item: (item[1]["create_time"], item[3]))
    return [RecordKey(record["workflow_id"], record["execute_id"]) for _, record, _, _ in found]


def _counted(record_filter: RecordFilter, records: Iterable[tuple[bytes, int]]) -> list[Counted]:
    return [
        Counted(record["workflow_id"], record["execute_id"], attributes, arrival)
        for _, record, attributes, arrival in _matching(record_filter, records)
    ]


def _matching(
    record_filter: RecordFilter, records: Iterable[tuple[bytes, int]]
) -> Iterable[tuple[bytes, dict[str, Any], RunAttributes, int]]:
    predicate = record_filter.predicate()
    for body, arrival in records:
        record = orjson.loads(body)
        attributes = attributes_of(record)
        if predicate.holds(record, attributes):
            yield body, record, attributes, arrival
