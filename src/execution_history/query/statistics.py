"""Statistics of runs: totals, time buckets, error codes and groups of similar failures. Pure."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType
from typing import Final, NamedTuple

from execution_history.query.model import Bucket, FailureGroup, Figures, IndexReach, Statistics, StatisticsQuery
from execution_history.query.rollups import EXACT_RUNS, Percentiles, bucket_of, is_rolled_up, percentiles_in, total_in
from execution_history.query.time_buckets import bucket_edges, bucket_number, zone_of
from execution_history.query.values import FILTER_STATUSES
from execution_history.records.attributes import RunAttributes
from execution_history.records.cost import units_of

MOST_GROUPS: Final = 100
ENDED: Final = frozenset({"success", "failed"})
"""The statuses that durations and success rate are computed from: an interrupted run may go on."""


class Sums(NamedTuple):
    """What is added up over some runs: counts per status, 0 for a missing one, tokens, and millionths by currency."""

    counts: Mapping[str, int]
    tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    costs: Mapping[str, int] = MappingProxyType({})

    def figures(self, percentile: Percentiles = (None, None, None)) -> Figures:
        """Return the figures with three percentiles."""
        counts = {status: self.counts.get(status, 0) for status in FILTER_STATUSES}
        ended = sum(counts[status] for status in ENDED)
        p50, p95, p99 = percentile
        return Figures(
            runs=sum(counts.values()),
            counts=counts,
            success_rate=counts["success"] / ended if ended else None,
            p50=p50,
            p95=p95,
            p99=p99,
            tokens=self.tokens,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            costs={currency: units_of(self.costs[currency]) for currency in sorted(self.costs) if self.costs[currency]},
        )


def sum_of(sums: Iterable[Sums]) -> Sums:
    """Return *sums*, added up."""
    counts, costs, total, read, written = Counter[str](), Counter[str](), 0, 0, 0
    for each in sums:
        counts.update(each.counts)
        costs.update(each.costs)
        total, read, written = total + each.tokens, read + each.input_tokens, written + each.output_tokens
    return Sums(counts, total, read, written, costs)


@dataclass(slots=True)
class Tally:
    """Figures in the making."""

    counts: Counter[str] = field(default_factory=Counter)
    durations: list[int] = field(default_factory=list)
    tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    costs: Counter[str] = field(default_factory=Counter)

    def add(self, facts: RunAttributes) -> None:
        """Count one run."""
        status = facts.status if facts.status in FILTER_STATUSES else "other"
        self.count(status, facts.duration_ms, facts.tokens, facts.input_tokens, facts.output_tokens)
        if facts.cost is not None and facts.currency is not None:
            self.costs[facts.currency] += facts.cost

    def count(self, status: str, duration_ms: int | None, *tokens: int | None) -> None:
        """Count a run, or a node of one, with its tokens: all, those of the input and those of the output."""
        self.counts[status] += 1
        if status in ENDED and duration_ms is not None:
            self.durations.append(duration_ms)
        total, read, written = tokens
        self.tokens += total or 0
        self.input_tokens += read or 0
        self.output_tokens += written or 0

    def sums(self) -> Sums:
        """Return what was added up so far."""
        return Sums(self.counts, self.tokens, self.input_tokens, self.output_tokens, self.costs)

    def percentiles(self, *, is_exact: bool) -> Percentiles:
        """Return the percentiles of the durations so far, exactly or as a histogram has them."""
        if is_exact:
            return percentiles(sorted(self.durations))
        return percentiles_in(Counter(map(bucket_of, self.durations)))

    def total_ms(self, *, is_exact: bool) -> int:
        """Return the sum of the durations so far, exactly or as a histogram has it."""
        return sum(self.durations) if is_exact else total_in(Counter(map(bucket_of, self.durations)))

    def figures(self, *, is_exact: bool) -> Figures:
        """Return the figures of the runs counted so far, with exact percentiles or those of a histogram."""
        return self.sums().figures(self.percentiles(is_exact=is_exact))


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
    earlier: Sequence[Counted] = (),
) -> Statistics:
    """Return the statistics of *runs*; *seen_before* has the fingerprints that are not new.

    *earlier* are the runs before the window that match the rest of the filter, as far as :func:`period_before` needs
    them.

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
        if query.figures_only:
            continue
        if run.facts.error_code is not None:
            codes[run.facts.error_code] += 1
        if run.facts.fingerprint is not None:
            failures.setdefault(run.facts.fingerprint, []).append(run)
    period = period_before(query, max(times)) if times else None
    times_before: dict[str, list[int]] = {}
    for run in earlier:
        if run.facts.fingerprint is not None:
            times_before.setdefault(run.facts.fingerprint, []).append(run.facts.create_time)
    groups = (
        _group(similar, query, seen_before, edges, times_before.get(each, []) if period else None, (period or (0,))[0])
        for each, similar in failures.items()
    )
    is_exact = query.counts_only or len(runs) <= exact_runs or not is_rolled_up(query.filter, min(times))
    return Statistics(
        totals=_figures(totals, query, is_exact=is_exact),
        buckets=[
            Bucket(start, end, _figures(tally, query, is_exact=is_exact))
            for start, end, tally in zip(edges, edges[1:], tallies, strict=False)
        ],
        error_codes=most_frequent(codes),
        failures=in_group_order(groups),
        reach=reach,
        percentiles_are_exact=is_exact,
    )


def _figures(tally: Tally, query: StatisticsQuery, *, is_exact: bool) -> Figures:
    return Sums(tally.counts).figures() if query.counts_only else tally.figures(is_exact=is_exact)


def period_before(query: StatisticsQuery, last: int) -> tuple[int, int] | None:
    """Return the period just before the window of *query*, as long as this: its beginning and its end (ms), excluded.

    *last* is the time of the last run of the window. ``None``: there is no such period, or documents would have to be
    read for it.
    """
    of = query.filter
    if of.created_from is None or of.text is not None or of.conditions:
        return None
    end = min((each for each in (of.created_before, query.now) if each is not None), default=last + 1)
    return of.created_from - max(0, end - of.created_from), of.created_from


def _group(
    similar: list[Counted],
    query: StatisticsQuery,
    seen_before: frozenset[str],
    edges: list[int],
    earlier: Iterable[int] | None,
    begin: int,
) -> FailureGroup:
    """Return a group of failures; *earlier* are the times of those before the window, whose period has this *begin*."""
    newest = max(similar, key=lambda run: (run.facts.create_time, run.arrival))
    fingerprint = newest.facts.fingerprint or ""
    times = sorted(run.facts.create_time for run in similar)
    before = None if earlier is None else sorted(earlier)
    return FailureGroup(
        fingerprint=fingerprint,
        title=newest.facts.error_title or "",
        error_code=newest.facts.error_code,
        count=len(similar),
        first_seen=times[0],
        last_seen=times[-1],
        workflow_id=newest.workflow_id,
        execute_id=newest.execute_id,
        is_new=query.new_since is not None and fingerprint not in seen_before,
        failed_node=newest.facts.failed_node,
        before=None if before is None else sum(time >= begin for time in before),
        last_before=before[-1] if before else None,
        workflows=len({run.workflow_id for run in similar}),
        buckets=tuple(bisect_left(times, end) - bisect_left(times, start) for start, end in pairwise(edges)),
    )
