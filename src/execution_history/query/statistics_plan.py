"""Find statistics: plan what to read, step by step, and assemble the answer. Pure.

As in :mod:`execution_history.query.finder`, an engine executes the steps that :func:`count` yields.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final, NamedTuple

from execution_history.query import steps
from execution_history.query.cursor import Position
from execution_history.query.finder import Reading, reading_of
from execution_history.query.model import Bucket, FailureGroup, IndexReach, Statistics, StatisticsQuery
from execution_history.query.rollups import EXACT_RUNS, Percentiles, is_counted, is_rolled_up, percentiles_in
from execution_history.query.statistics import (
    Counted,
    Sums,
    in_group_order,
    most_frequent,
    period_before,
    statistics_of,
    sum_of,
)
from execution_history.query.time_buckets import bucket_edges, zone_of

_NO_PERCENTILES: Final[Percentiles] = (None, None, None)


def count(
    query: StatisticsQuery, reach: IndexReach, *, is_text_exact: bool, exact_runs: int = EXACT_RUNS
) -> steps.Steps[Statistics]:
    """Return the steps that find the answer to *query*: five, unless documents have to be read.

    Args:
        query: the query.
        reach: how far the rows have followed the history.
        is_text_exact: whether rows that match the text need no check of their documents.
        exact_runs: up to so many runs percentiles are exact, though rollups could count them.

    Raises:
        InvalidQuery: there is no such time zone, there would be too many buckets, or its text cannot be searched for.
    """
    zone = zone_of(query.zone)
    reading = reading_of(query.filter, is_text_exact=is_text_exact)
    if reading.checks_documents:
        return (yield from _count_documents(query, reach, reading))
    span = yield steps.Span()
    if span is None:
        return statistics_of(query, [], frozenset(), reach)
    first, last, _ = span
    edges = bucket_edges(first, last, query.bucket, zone)
    counted = yield from _counted(query, span, tuple(edges), exact_runs)
    codes: dict[str, int] = {}
    failures: list[FailureGroup] = []
    if not query.figures_only:
        codes = yield steps.ErrorCodes(first, last)
        failures = yield steps.Failures(first, last, tuple(edges), period_before(query, last))
    nothing = Sums({})
    return Statistics(
        totals=sum_of(counted.sums.values()).figures(counted.percentiles),
        buckets=[
            Bucket(start, end, counted.sums.get(number, nothing).figures(counted.parts.get(number, _NO_PERCENTILES)))
            for number, (start, end) in enumerate(pairwise(edges))
        ],
        error_codes=most_frequent(codes),
        failures=in_group_order(failures),
        reach=reach,
        percentiles_are_exact=counted.is_exact,
    )


class _Figures(NamedTuple):
    """The figures of a query's runs, by the number of their bucket."""

    sums: dict[int, Sums]
    parts: dict[int, Percentiles]
    percentiles: Percentiles
    is_exact: bool


def _counted(
    query: StatisticsQuery, span: tuple[int, int, int], edges: tuple[int, ...], exact_runs: int
) -> steps.Steps[_Figures]:
    """Return the steps that count the runs between *edges*: from sums where there are any, otherwise row by row.

    Args:
        query: the query.
        span: the times of its first and last run, and how many there are.
        edges: where buckets begin and end.
        exact_runs: up to so many runs percentiles are exact, though rollups could count them.
    """
    first, last, runs = span
    if query.counts_only and is_counted(query.filter, first):
        rolled = yield steps.RollupCounts(first, last, edges, has_durations=False)
        sums = {number: _only(each, query.filter.statuses) for number, each, _ in rolled}
        return _without_figures(_Figures(sums, {}, _NO_PERCENTILES, is_exact=True))
    if not is_rolled_up(query.filter, first) or runs <= exact_runs:
        percentiles, rows = yield steps.BucketCounts(first, last, edges)
        parts = {number: each for number, _, each in rows}
        counted = _Figures({number: each for number, each, _ in rows}, parts, percentiles, is_exact=True)
    else:
        rolled = yield steps.RollupCounts(first, last, edges)
        parts = {number: percentiles_in(durations) for number, _, durations in rolled}
        percentiles = percentiles_in(_together(durations for *_, durations in rolled))
        counted = _Figures({number: each for number, each, _ in rolled}, parts, percentiles, is_exact=False)
    if query.counts_only:
        return _without_figures(counted)
    costs = yield steps.Costs(first, last, edges)
    return counted._replace(
        sums={number: each._replace(costs=costs.get(number, {})) for number, each in counted.sums.items()}
    )


def _without_figures(counted: _Figures) -> _Figures:
    sums = {number: Sums(each.counts) for number, each in counted.sums.items()}
    return counted._replace(sums=sums, parts={}, percentiles=_NO_PERCENTILES)


def _together(histograms: Iterable[Mapping[int, int]]) -> Counter[int]:
    whole = Counter[int]()
    for each in histograms:
        whole.update(each)
    return whole


def _only(sums: Sums, statuses: Sequence[str]) -> Sums:
    """Return the counts of some statuses, or of all."""
    return Sums({status: runs for status, runs in sums.counts.items() if not statuses or status in statuses})


def _count_documents(query: StatisticsQuery, reach: IndexReach, reading: Reading) -> steps.Steps[Statistics]:
    """Return the steps for a query that has to read all records that could match."""
    runs: list[Counted] = []
    end: Position | None = None
    while True:
        rows, end = yield steps.Portion(end)
        found = yield from reading.read_all(rows)
        runs += [Counted(e.record["workflow_id"], e.record["execute_id"], e.facts, e.row.seq) for e in found]
        if end is None:
            break
    fingerprints = {run.facts.fingerprint for run in runs if run.facts.fingerprint is not None}
    seen = (yield steps.SeenBefore(tuple(sorted(fingerprints)))) if query.new_since is not None and fingerprints else ()
    return replace(statistics_of(query, runs, frozenset(seen), reach), damaged=tuple(reading.damaged))
