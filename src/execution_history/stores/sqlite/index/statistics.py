"""Statistics: carries out the steps of a finder, in four statements over ranges of the index."""

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from math import gcd
from typing import Any, Final

import apsw
import orjson

from execution_history.query import steps
from execution_history.query.fields import FINGERPRINT, WORKFLOW
from execution_history.query.model import FailureGroup, IndexReach, RecordQuery, Statistics, StatisticsQuery
from execution_history.query.predicates import In, Range
from execution_history.query.rollups import Percentiles, is_rolled_up
from execution_history.query.statistics import MOST_GROUPS
from execution_history.query.statistics_plan import count
from execution_history.query.time_buckets import bucket_number
from execution_history.stores.sql_fragments import (
    Fragment,
    counts_of,
    fingerprint_text,
    is_ended,
    of_columns,
    sums_of,
    together,
    values_of,
)
from execution_history.stores.sqlite.index.connections import rows, texts_at
from execution_history.stores.sqlite.index.history_source import HistoryView
from execution_history.stores.sqlite.index.limits import USUAL, Limits
from execution_history.stores.sqlite.index.predicate_sql import as_stored, render, text_of
from execution_history.stores.sqlite.index.rollup_sql import number_of_runs, rollup_costs, rollup_counts
from execution_history.stores.sqlite.index.select import PageEngine, text_matches
from execution_history.stores.sqlite.index.text_index import TextIndex
from execution_history.stores.sqlite.queries import Value

_PARTS: Final = ("0.5", "0.95", "0.99")
_PERCENTILES: Final = ", ".join(f"percentile_disc(f.duration, {part})" for part in _PARTS)
PERCENTILES: Final = len(_PARTS)
"""How many percentiles there are."""

_GROUP_FIELDS: Final = (
    "title",
    "error_code",
    "count",
    "first_seen",
    "last_seen",
    "workflow_id",
    "execute_id",
    "failed_node",
    "workflows",
)
_BETWEEN: Final = "f.create_time >= ? AND f.create_time <= ?"


class StatisticsEngine:
    """Carries out the steps to the statistics of the rows that match the query's filter.

    Every statement has one range of times: of several, SQLite would read the first and test the others.

    Args:
        index: a connection to ``index.db``.
        query: the query.
        text: the text index, if there is one.
    """

    def __init__(self, index: apsw.Connection, query: StatisticsQuery, text: TextIndex | None) -> None:
        predicate = query.filter.predicate()
        predicates = of_columns(predicate)
        times = [each for each in predicates if isinstance(each, Range) and each.attribute.column == "create_time"]
        matches = text_matches(predicate, text)
        self.is_text_exact = matches is None or matches.is_exact
        self._index = index
        self._filter = query.filter
        self._new_since = query.new_since
        self._of_workflows = [render(e) for e in predicates if isinstance(e, In) and e.attribute is WORKFLOW]
        self._times = [render(time) for time in times]
        self._tests = [render(each) for each in predicates if each not in times]
        self._tests += [] if matches is None else [matches.membership()]

    def execute(self, step: steps.Step) -> Any:  # noqa: ANN401 - each step defines the type of its result
        """Carry *step* out."""
        match step:
            case steps.Span():
                return self._span()
            case steps.BucketCounts(first, last, edges):
                return self._buckets(first, last, edges)
            case steps.RollupCounts(first, last, edges, has_durations):
                of = self._filter.workflow_ids
                return rollup_counts(self._index, of, first, last, edges, has_durations=has_durations)
            case steps.Costs(first, last, edges):
                return self._costs(first, last, edges)
            case steps.ErrorCodes(first, last):
                return self._error_codes(first, last)
            case steps.Failures(first, last, edges, period):
                return self._failures(first, last, edges, period)
            case steps.SeenBefore(fingerprints):
                return self._seen_before(fingerprints)
        raise TypeError(f"No statistics need the step {type(step).__name__}.")

    def _span(self) -> tuple[int, int, int] | None:
        where = together([*self._tests, *self._times])
        ends = [
            f"(SELECT f.create_time FROM facets f WHERE {where.sql} ORDER BY f.create_time{direction} LIMIT 1)"  # noqa: S608 - literals of ours
            for direction in ("", " DESC")
        ]
        counted = Fragment("0")
        if is_rolled_up(self._filter, 0):
            counted = number_of_runs(self._filter.workflow_ids)
        sql = (
            f"WITH s (first, last) AS MATERIALIZED (SELECT {', '.join(ends)}) SELECT first, last, {counted.sql} FROM s"  # noqa: S608 - literals of ours
        )
        [(first, last, runs)] = rows(self._index, sql, (*where.values, *where.values, *counted.values))
        return None if first is None else (int(first), int(last), int(runs))

    def _buckets(self, first: int, last: int, edges: Sequence[int]) -> tuple[tuple[Any, ...], list[tuple[Any, ...]]]:
        """Count all buckets in one statement, each in a subquery of its own: grouping would sort every row."""
        whole = together([*self._tests, Fragment(f"+{is_ended('f')}"), Fragment(_BETWEEN, (first, last))])
        times = Fragment(
            "f.create_time >= json_extract(b.value, '$[0]') AND f.create_time <= json_extract(b.value, '$[1]')"
        )
        part = together([*self._tests, times])
        ranges = [(max(start, first), min(end - 1, last)) for start, end in pairwise(edges)]
        figures = f"{counts_of('f')}, {percentiles_of('f')}"
        sql = (
            f"SELECT -1, (SELECT json_array({_PERCENTILES}) FROM facets f WHERE {whole.sql}) UNION ALL "  # noqa: S608 - literals of ours
            f"SELECT b.key, (SELECT json_array({figures}) FROM facets f WHERE {part.sql}) FROM json_each(?) b"
        )
        values = (*whole.values, *part.values, orjson.dumps(ranges).decode())
        found = {number: orjson.loads(figures) for number, figures in rows(self._index, sql, values)}
        percentiles = whole_percentiles(found.pop(-1))
        return percentiles, [
            (number, sums_of(figures), whole_percentiles(figures[-PERCENTILES:])) for number, figures in found.items()
        ]

    def _costs(self, first: int, last: int, edges: Sequence[int]) -> dict[int, dict[str, int]]:
        if is_rolled_up(self._filter, first):
            found = rollup_costs(self._index, self._filter.workflow_ids, first, last, edges)
        else:
            unit, where = gcd(*edges), self._within(first, last, "f.cost IS NOT NULL")
            sql = (
                f"SELECT f.create_time / {unit}, f.currency, sum(f.cost) FROM facets f "  # noqa: S608 - literals of ours
                f"WHERE {where.sql} GROUP BY 1, 2"
            )
            priced = rows(self._index, sql, where.values)
            found = [(bucket_number(edges, at * unit), currency, cost) for at, currency, cost in priced]
        texts = texts_at(self._index, {currency for _, currency, _ in found})
        costs: dict[int, Counter[str]] = {}
        for number, currency, cost in found:
            costs.setdefault(number, Counter())[texts[currency]] += cost
        return {number: dict(each) for number, each in costs.items()}

    def _error_codes(self, first: int, last: int) -> dict[str, int]:
        where = self._within(first, last, "f.error_code IS NOT NULL")
        sql = (
            f"SELECT {text_of('code')}, runs FROM (SELECT f.error_code AS code, count(*) AS runs FROM facets f "  # noqa: S608 - literals of ours
            f"INDEXED BY {'by_workflow_error' if self._of_workflows else 'by_error'} WHERE {where.sql} "
            "GROUP BY f.error_code)"
        )
        return {str(code): int(runs) for code, runs in rows(self._index, sql, where.values)}

    def _failures(
        self, first: int, last: int, edges: Sequence[int], period: tuple[int, int] | None
    ) -> list[FailureGroup]:
        grouped = self._within(first, last, "f.fingerprint IS NOT NULL")
        alike = self._within(first, last, "f.fingerprint = g.fingerprint")
        seen, before = self._earlier("g.fingerprint"), self._before(period)
        sql = (
            "WITH g AS MATERIALIZED (SELECT f.fingerprint, count(*) AS runs, min(f.create_time) AS first, "  # noqa: S608 - literals of ours
            f"max(f.create_time) AS last, count(DISTINCT f.workflow) AS workflows FROM facets f INDEXED BY "
            f"{'by_workflow_failure' if self._of_workflows else 'by_fingerprint'} WHERE {grouped.sql} "
            "GROUP BY f.fingerprint ORDER BY count(*) DESC, max(f.create_time) DESC, f.fingerprint "
            f"LIMIT {MOST_GROUPS}) "
            f"SELECT g.fingerprint, n.title, {text_of('e.error_code')}, g.runs, g.first, g.last, "
            f"{text_of('e.workflow')}, e.execute_id, {text_of('e.failed_in')}, g.workflows, "
            f"NOT ({seen.sql}), {before.sql} "
            "FROM g JOIN failures n ON n.fingerprint = g.fingerprint JOIN facets e ON e.seq = ("
            f"SELECT f.seq FROM facets f INDEXED BY by_fingerprint WHERE {alike.sql} "
            "ORDER BY f.create_time DESC, f.seq DESC LIMIT 1)"
        )
        found = rows(self._index, sql, values_of([grouped, seen, before, alike]))
        trends = self._trends([number for number, *_ in found], first, last, edges)
        return [
            FailureGroup(
                fingerprint=fingerprint_text(number),
                buckets=tuple(trends[number][place] for place in range(len(edges) - 1)),
                is_new=bool(is_new),
                before=count_before,
                last_before=last_before,
                **dict(zip(_GROUP_FIELDS, columns, strict=True)),
            )
            for number, *columns, is_new, count_before, last_before in found
        ]

    def _before(self, period: tuple[int, int] | None) -> Fragment:
        """Return the number of failures ``g`` in the period before the window, and the time of the last before that."""
        if period is None:
            return Fragment("NULL, NULL")
        begin, end = period
        same = [Fragment("f.fingerprint = g.fingerprint"), *self._tests]
        sql = "(SELECT {} FROM facets f INDEXED BY by_fingerprint WHERE {})"
        within = together([*same, Fragment("f.create_time >= ? AND f.create_time < ?", (begin, end))])
        earlier = together([*same, Fragment("f.create_time < ?", (end,))])
        return Fragment(
            f"{sql.format('count(*)', within.sql)}, {sql.format('max(f.create_time)', earlier.sql)}",
            values_of([within, earlier]),
        )

    def _trends(self, numbers: Sequence[int], first: int, last: int, edges: Sequence[int]) -> dict[int, Counter[int]]:
        """Return how many failures of each of some fingerprints are in which bucket."""
        unit = gcd(*edges)
        alike = Fragment("f.fingerprint IN (SELECT value FROM json_each(?))", (orjson.dumps(numbers).decode(),))
        where = together([alike, *self._tests, Fragment(_BETWEEN, (first, last))])
        sql = (
            f"SELECT f.fingerprint, f.create_time / {unit}, count(*) FROM facets f INDEXED BY by_fingerprint "  # noqa: S608 - literals of ours
            f"WHERE {where.sql} GROUP BY 1, 2"
        )
        trends: dict[int, Counter[int]] = {number: Counter() for number in numbers}
        for number, at, runs in rows(self._index, sql, where.values):
            trends[number][bucket_number(edges, at * unit)] += runs
        return trends

    def _seen_before(self, fingerprints: Sequence[str]) -> set[str]:
        seen = self._earlier("j.value")
        listed = orjson.dumps([as_stored(FINGERPRINT, each) for each in fingerprints]).decode()
        sql = f"SELECT j.value FROM json_each(?) j WHERE {seen.sql}"  # noqa: S608 - literals of ours
        return {fingerprint_text(number) for (number,) in rows(self._index, sql, (listed, *seen.values))}

    def _earlier(self, fingerprint: str) -> Fragment:
        """Return the condition that these workflows had such a failure before ``new_since``; else true."""
        if self._new_since is None:
            return Fragment("1")
        same = Fragment(f"f.fingerprint = {fingerprint}")
        where = together([same, Fragment("f.create_time < ?", (self._new_since,)), *self._of_workflows])
        sql = f"EXISTS (SELECT 1 FROM facets f INDEXED BY by_fingerprint WHERE {where.sql})"  # noqa: S608 - literals of ours
        return Fragment(sql, where.values)

    def _within(self, first: int, last: int, condition: str) -> Fragment:
        return together([*self._tests, Fragment(condition), Fragment(_BETWEEN, (first, last))])


def percentiles_of(table: str) -> str:
    """Return the percentiles of the durations of the rows of *table*."""
    each = (f"percentile_disc({table}.duration, {part}) FILTER (WHERE {is_ended(table)})" for part in _PARTS)
    return ", ".join(each)


def whole_percentiles(values: Sequence[Value]) -> Percentiles:
    """Return percentiles as SQLite computes them, which are floats, as whole numbers."""
    p50, p95, p99 = (None if value is None else int(value) for value in values)
    return p50, p95, p99


def statistics(
    index: apsw.Connection,
    history: HistoryView,
    query: StatisticsQuery,
    text: TextIndex | None,
    reach: IndexReach,
    limits: Limits = USUAL,
) -> Statistics:
    """Return the result of *query*.

    Raises:
        InvalidQuery: there is no such time zone, there would be too many buckets, or it has a text and there is no text
            search.
    """
    engine = StatisticsEngine(index, query, text)
    planned = count(query, reach, is_text_exact=engine.is_text_exact, exact_runs=limits.exact_runs)

    def open_pages() -> Callable[[steps.Step], Any]:
        return PageEngine(index, history, RecordQuery(filter=query.filter), text, limits).execute

    return steps.run_counting(planned, engine.execute, open_pages)
