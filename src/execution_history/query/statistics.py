"""Statistics of runs: totals, time buckets, error codes and groups of similar failures. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from execution_history.query.model import Bucket, FailureGroup, Figures, IndexReach, Statistics, StatisticsQuery
from execution_history.query.rollups import EXACT_RUNS, Percentiles, bucket_of, is_rolled_up, percentiles_in
from execution_history.query.time_buckets import bucket_edges, bucket_number, zone_of
from execution_history.query.values import FILTER_STATUSES
from execution_history.records.attributes import RunAttributes

MOST_GROUPS: Final = 100
ENDED: Final = frozenset({"success", "failed"})
"""The statuses that durations and success rate are computed from: an interrupted run may go on."""


@dataclass(slots=True)
class Tally:
    """Figures in the making."""

    counts: Counter[str] = field(default_factory=Counter)
    durations: list[int] = field(default_factory=list)
    tokens: int = 0

    def add(self, facts: RunAttributes) -> None:
        """Count one run."""
        self.counts[facts.status if facts.status in FILTER_STATUSES else "other"] += 1
        self.tokens += facts.tokens or 0
        if facts.status in ENDED and facts.duration_ms is not None:
            self.durations.append(facts.duration_ms)

    def figures(self, *, is_exact: bool) -> Figures:
        """Return the figures of the runs counted so far, with exact percentiles or those of a histogram."""
        if is_exact:
            return figures_of(self.counts, self.tokens, percentiles(sorted(self.durations)))
        return figures_of(self.counts, self.tokens, percentiles_in(Counter(map(bucket_of, self.durations))))


@dataclass(frozen=True, slots=True)
class Counted:
    """One run that is counted; *arrival* decides between runs of one millisecond."""

    workflow_id: str
    execute_id: str
    facts: RunAttributes
    arrival: int


def percentiles(ordered: Sequence[int]) -> Percentiles:
    """Return the 50th, 95th and 99th of values in ascending order, as :class:`Figures` has them."""
    if not ordered:
        return (None, None, None)
    last = len(ordered) - 1
    return (ordered[int(0.5 * last)], ordered[int(0.95 * last)], ordered[int(0.99 * last)])


def figures_of(counts: Mapping[str, int], tokens: int, percentile: Percentiles) -> Figures:
    """Return the figures from counts per status (0 for a missing one), a sum and three percentiles."""
    ended = sum(counts.get(status, 0) for status in ENDED)
    p50, p95, p99 = percentile
    return Figures(
        runs=sum(counts.values()),
        counts={status: counts.get(status, 0) for status in FILTER_STATUSES},
        success_rate=counts.get("success", 0) / ended if ended else None,
        p50=p50,
        p95=p95,
        p99=p99,
        tokens=tokens,
    )


def most_frequent(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the most frequent first, those of equal count by name; at most 100."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_GROUPS])


def in_group_order(groups: Iterable[FailureGroup]) -> list[FailureGroup]:
    """Return the most frequent first, of equal count the one seen last; at most 100."""
    return sorted(groups, key=lambda group: (-group.count, -group.last_seen, group.fingerprint))[:MOST_GROUPS]


def statistics_of(
    query: StatisticsQuery,
    runs: Sequence[Counted],
    seen_before: frozenset[str],
    reach: IndexReach,
    exact_runs: int = EXACT_RUNS,
) -> Statistics:
    """Return the statistics of *runs*; *seen_before* has the fingerprints that are not new.

    Percentiles of more than *exact_runs* runs that rollups can count come from histograms.

    Raises:
        InvalidQuery: there is no such time zone, or there would be too many buckets.
    """
    zone = zone_of(query.zone)
    totals, codes = Tally(), Counter[str]()
    times = [run.facts.create_time for run in runs]
    edges = bucket_edges(min(times), max(times), query.bucket, zone) if times else []
    tallies = [Tally() for _ in edges[1:]]
    failures: dict[str, list[Counted]] = {}
    for run in runs:
        totals.add(run.facts)
        tallies[bucket_number(edges, run.facts.create_time)].add(run.facts)
        if run.facts.error_code is not None:
            codes[run.facts.error_code] += 1
        if run.facts.fingerprint is not None:
            failures.setdefault(run.facts.fingerprint, []).append(run)
    is_exact = len(runs) <= exact_runs or not is_rolled_up(query.filter, min(times))
    return Statistics(
        totals=totals.figures(is_exact=is_exact),
        buckets=[
            Bucket(start, end, tally.figures(is_exact=is_exact))
            for start, end, tally in zip(edges, edges[1:], tallies, strict=False)
        ],
        error_codes=most_frequent(codes),
        failures=in_group_order(_group(similar, query, seen_before) for similar in failures.values()),
        reach=reach,
        percentiles_are_exact=is_exact,
    )


def _group(similar: list[Counted], query: StatisticsQuery, seen_before: frozenset[str]) -> FailureGroup:
    newest = max(similar, key=lambda run: (run.facts.create_time, run.arrival))
    fingerprint = newest.facts.fingerprint or ""
    return FailureGroup(
        fingerprint=fingerprint,
        title=newest.facts.error_title or "",
        error_code=newest.facts.error_code,
        count=len(similar),
        first_seen=min(run.facts.create_time for run in similar),
        last_seen=newest.facts.create_time,
        workflow_id=newest.workflow_id,
        execute_id=newest.execute_id,
        is_new=query.new_since is not None and fingerprint not in seen_before,
    )
