"""The making of a breakdown: plan what to read, step by step, and assemble the groups. Pure.

It works like :mod:`execution_history.query.finder`: an engine carries the steps out.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from execution_history.query import steps
from execution_history.query.breakdown import (
    GROUPED,
    Breakdown,
    BreakdownQuery,
    By,
    Group,
    TrendPoint,
    key_of,
    sorted_groups,
)
from execution_history.query.cursor import Position
from execution_history.query.finder import Reading, reading_of
from execution_history.query.model import IndexReach, RecordKey
from execution_history.query.rollups import Percentiles, is_rolled_up, percentiles_in, total_in
from execution_history.query.statistics import Sums, Tally
from execution_history.query.time_buckets import bucket_edges, bucket_number, zone_of
from execution_history.records.attributes import RunAttributes
from execution_history.records.record import OPEN_STATUSES
from execution_history.records.timeline import nodes_of
from execution_history.records.usage import usage_of

EXACT_RUNS: Final = 2_500
"""Up to so many runs the percentiles of workflows and nodes are exact, though rollups could count them."""

MOST_RUNS: Final = 8_000
"""So many of the newest runs are counted where rollups cannot count them; by node a quarter of them."""

ROLLED_UP: Final[frozenset[By]] = frozenset({"workflow", "node"})
"""What rollups count runs by."""

_BY_DURATION: Final = frozenset({"p50", "p95", "p99"})


class Groupable(NamedTuple):
    """A run that is counted: its record, or outline, its facts, and its place in the order of arrival."""

    record: Mapping[str, Any]
    facts: RunAttributes
    arrival: int


class GroupSums(NamedTuple):
    """What is added up for a group; the points of its trend are by the numbers of buckets."""

    key: str
    title: str
    sums: Sums
    last_run: int
    percentiles: Percentiles = (None, None, None)
    trend: Mapping[int, TrendPoint] = MappingProxyType({})
    type: str | None = None
    timed: int | None = None
    total_ms: int | None = None

    def group(self, edges: Sequence[int]) -> Group:
        """Return the group, with a point between each two of *edges*."""
        nothing = TrendPoint(0, 0)
        return Group(
            key=self.key,
            title=self.title,
            figures=self.sums.figures(self.percentiles),
            last_run=self.last_run,
            trend=tuple(self.trend.get(number, nothing) for number in range(len(edges) - 1)),
            type=self.type,
            timed=self.timed,
            total_ms=self.total_ms,
        )


@dataclass(slots=True)
class _GroupTally:
    """A group in the making; ``newest`` is the place of the run that its title and type are from."""

    newest: tuple[int, int] = (-1, -1)
    title: str = ""
    type: str | None = None
    tally: Tally = field(default_factory=Tally)
    runs: Counter[int] = field(default_factory=Counter)
    failed: Counter[int] = field(default_factory=Counter)

    def note(self, run: Groupable, title: str, kind: str | None, *, is_failed: bool, edges: list[int]) -> None:
        """Note a run, what the group is called in it, and whether it is a failure."""
        place = run.facts.create_time, run.arrival
        if place >= self.newest:
            self.newest, self.title, self.type = place, title, kind
        if edges:
            bucket = bucket_number(edges, run.facts.create_time)
            self.runs[bucket] += 1
            self.failed[bucket] += is_failed

    def group(self, key: str, edges: list[int], *, is_exact: bool, is_node: bool) -> Group:
        """Return the group."""
        return GroupSums(
            key,
            self.title,
            self.tally.sums(),
            self.newest[0],
            self.tally.percentiles(is_exact=is_exact),
            {number: TrendPoint(runs, self.failed[number]) for number, runs in self.runs.items()},
            self.type,
            len(self.tally.durations) if is_node else None,
            self.tally.total_ms(is_exact=is_exact) if is_node else None,
        ).group(edges)


def breakdown_of(
    query: BreakdownQuery,
    runs: Sequence[Groupable],
    reach: IndexReach,
    exact_runs: int = EXACT_RUNS,
    most: int = MOST_RUNS,
) -> Breakdown:
    """Return the breakdown of *runs*.

    Percentiles of more than *exact_runs* runs that rollups can count come from histograms; of runs that they cannot
    count the newest *most* are counted, whether they are in a group or not.

    Raises:
        InvalidQuery: there is no such time zone, or there would be too many buckets.
    """
    zone = zone_of(query.zone)
    times = [run.facts.create_time for run in runs]
    edges = bucket_edges(min(times), max(times), query.bucket, zone) if times and query.bucket else []
    is_rolled = bool(times) and _may_roll_up(query, min(times))
    most = _most(query, most)
    covers = most if len(runs) > most and not is_rolled else None
    is_rolled = is_rolled and len(runs) > exact_runs
    if covers is not None:
        runs = sorted(runs, key=lambda run: (run.facts.create_time, run.arrival))[-most:]
    groups: dict[str, _GroupTally] = {}
    for run in runs:
        if query.by == "node":
            _add_nodes(groups, run, edges)
            continue
        for key in _keys(query.by, run):
            group = groups.setdefault(key, _GroupTally())
            group.note(run, key, None, is_failed=run.facts.status == "failed", edges=edges)
            group.tally.add(run.facts)
    is_node = query.by == "node"
    found = [each.group(key, edges, is_exact=not is_rolled, is_node=is_node) for key, each in groups.items()]
    return Breakdown(
        groups=_shown(query, found),
        total_groups=len(found),
        bucket_edges=tuple(edges),
        reach=reach,
        covers=covers,
        percentiles_are_exact=not is_rolled,
    )


def _shown(query: BreakdownQuery, groups: Iterable[Group]) -> list[Group]:
    """Return the groups that *query* returns, with as much of their figures as it needs."""
    if query.counts_only:
        groups = [
            replace(each, figures=Sums(each.figures.counts).figures(), timed=None, total_ms=None) for each in groups
        ]
    return sorted_groups(groups, query.sort)[: query.limit]


def _may_roll_up(query: BreakdownQuery, first: int) -> bool:
    return query.by in ROLLED_UP and is_rolled_up(query.filter, first)


def _most(query: BreakdownQuery, most: int) -> int:
    """Return how many runs are counted one by one: each has several nodes."""
    most = max(1, most // 4) if query.by == "node" else most
    return most if query.most_runs is None else max(1, min(most, query.most_runs))


def _keys(by: By, run: Groupable) -> tuple[str, ...]:
    """Return the keys of the groups that a run is in."""
    if by == "tag":
        return run.facts.tags
    value = GROUPED[by].read(run.record, run.facts)
    return () if value is None else (key_of(by, value),)


def _add_nodes(groups: dict[str, _GroupTally], run: Groupable, edges: list[int]) -> None:
    """Count the nodes of a run that has ended."""
    if run.facts.status in OPEN_STATUSES:
        return
    for node in nodes_of(run.record["node_execute_status"]):
        usage = usage_of(node.usage)
        group = groups.setdefault(node.node_id or node.name, _GroupTally())
        group.note(run, node.label, node.node_type, is_failed=node.status == "failed", edges=edges)
        group.tally.count(node.status, node.known_ms, usage.total, usage.input, usage.output)


def break_down(
    query: BreakdownQuery,
    reach: IndexReach,
    *,
    is_text_exact: bool,
    rolled_up: frozenset[By] = ROLLED_UP,
    exact_runs: int = EXACT_RUNS,
    most: int = MOST_RUNS,
) -> steps.Steps[Breakdown]:
    """Return the steps that find the answer to *query*: two or three, unless documents have to be read.

    Args:
        query: the query.
        reach: how far the rows have followed the history.
        is_text_exact: whether rows that match the text need no check of their documents.
        rolled_up: what the engine has rollups by.
        exact_runs: up to so many runs percentiles are exact, though rollups could count them.
        most: so many of the newest runs are counted where rollups cannot count them.

    Raises:
        InvalidQuery: there is no such time zone, there would be too many buckets, or its text cannot be searched for.
    """
    [found] = yield from break_down_all(
        [query], reach, is_text_exact=is_text_exact, rolled_up=rolled_up, exact_runs=exact_runs, most=most
    )
    return found


def break_down_all(
    queries: Sequence[BreakdownQuery],
    reach: IndexReach,
    *,
    is_text_exact: bool,
    rolled_up: frozenset[By] = ROLLED_UP,
    exact_runs: int = EXACT_RUNS,
    most: int = MOST_RUNS,
) -> steps.Steps[list[Breakdown]]:
    """Return the steps of :func:`break_down` for *queries* that differ in ``by``, ``sort`` and ``limit`` only.

    Documents that have to be read are read once for all of them.
    """
    reading = reading_of(queries[0].filter, is_text_exact=is_text_exact)
    if reading.checks_documents:
        runs, damaged = yield from _documents_of(reading, most)
        return [replace(breakdown_of(each, runs, reach, most=most), damaged=damaged) for each in queries]
    found: list[Breakdown] = []
    for query in queries:
        found += [(yield from _by_rows(query, reach, rolled_up, exact_runs, most))]
    return found


def _by_rows(
    query: BreakdownQuery, reach: IndexReach, rolled_up: frozenset[By], exact_runs: int, most: int
) -> steps.Steps[Breakdown]:
    """Return the steps for a query that rows alone answer."""
    zone = zone_of(query.zone)
    span = yield steps.Span()
    if span is None:
        return breakdown_of(query, [], reach)
    first, last, runs = span
    edges = tuple(bucket_edges(first, last, query.bucket, zone)) if query.bucket else ()
    may_roll_up, covers = query.by in rolled_up and _may_roll_up(query, first), None
    is_rolled = may_roll_up and runs > exact_runs
    if is_rolled:
        found, total = yield from _rolled_groups(query, first, last, edges)
    else:
        limit = exact_runs if may_roll_up else _most(query, most)
        counted, has_more = yield steps.GroupRows(first, last, edges, limit, query.by)
        covers = limit if has_more and not may_roll_up else None
        found, total = [each.group(edges) for each in counted], len(counted)
    return Breakdown(
        groups=_shown(query, found),
        total_groups=total,
        bucket_edges=edges,
        reach=reach,
        covers=covers,
        percentiles_are_exact=not is_rolled,
    )


def _rolled_groups(
    query: BreakdownQuery, first: int, last: int, edges: tuple[int, ...]
) -> steps.Steps[tuple[list[Group], int]]:
    """Return the groups that rollups have, and their number; histograms are read of those only that are returned."""
    counted: dict[str, GroupSums] = {each.key: each for each in (yield steps.RolledGroups(first, last))}
    chosen = list(counted)
    if query.sort not in _BY_DURATION:
        in_sums = sorted_groups((each.group(()) for each in counted.values()), query.sort)
        chosen = [each.key for each in in_sums[: query.limit]]
    details = yield steps.RolledDetails(tuple(chosen), first, last, edges)
    found = []
    for key in chosen:
        histogram, trend = details.get(key, ({}, {}))
        whole = counted[key]._replace(percentiles=percentiles_in(histogram), trend=trend)
        if query.by == "node":
            whole = whole._replace(timed=sum(histogram.values()), total_ms=total_in(histogram))
        found.append(whole.group(edges))
    return found, len(counted)


def _documents_of(reading: Reading, most: int) -> steps.Steps[tuple[list[Groupable], tuple[RecordKey, ...]]]:
    """Return the runs of a query that has to read the records that could match, the newest first, and the damaged."""
    runs: list[Groupable] = []
    end: Position | None = None
    while True:
        rows, end = yield steps.Portion(end)
        found = yield from reading.read_all(rows)
        runs += [Groupable(each.record, each.facts, each.row.seq) for each in found]
        if end is None or len(runs) > most:
            return runs, tuple(reading.damaged)
