"""Statistics: carries out the steps of a finder, each in one or two statements."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from execution_history.query import steps
from execution_history.query.fields import FINGERPRINT, WORKFLOW
from execution_history.query.model import FailureGroup, IndexReach, RecordKey, RecordQuery, Statistics, StatisticsQuery
from execution_history.query.predicates import In, Range
from execution_history.query.rollups import Percentiles, is_rolled_up
from execution_history.query.statistics import MOST_GROUPS, Sums
from execution_history.query.statistics_plan import count
from execution_history.stores.postgres.access_path import TABLE, AccessPath, choose
from execution_history.stores.postgres.connections import Connection, Connections
from execution_history.stores.postgres.limits import USUAL, Limits
from execution_history.stores.postgres.long_texts import texts_of
from execution_history.stores.postgres.moment import Moment, one_moment
from execution_history.stores.postgres.predicate_sql import render
from execution_history.stores.postgres.rollup_sql import RollupSQL
from execution_history.stores.postgres.row_scan import RowScan
from execution_history.stores.postgres.select import REVISION, PageEngine, reach_of, text_condition
from execution_history.stores.sql_fragments import (
    TOKENS,
    ColumnPredicate,
    Fragment,
    counts_of,
    fingerprint_text,
    is_ended,
    of_columns,
    sums_of,
    together,
    values_of,
)

_TOKENS: Final = ", ".join(f"e.{name}" for name in TOKENS)
# The place of a percentile of n values in order is int(part * (n - 1)), computed in the same numbers as in Python.
_NEVER: Final = (0, None)
PERCENTILES: Final = ", ".join(
    f"g.durations[1 + floor({part}::float8 * (cardinality(g.durations) - 1))::integer]" for part in (0.5, 0.95, 0.99)
)
"""The percentiles of the durations of ``g``, which are an array in order."""


class StatisticsEngine:
    """Carries out the steps to the statistics of the rows that match the query's filter.

    Args:
        moment: reads.
        query: the query.
        limits: how many rows are few.
    """

    def __init__(self, moment: Moment, query: StatisticsQuery, limits: Limits = USUAL) -> None:
        self._limits = limits
        self._moment = moment
        self._query = query
        self._predicates = of_columns(query.filter.predicate())
        self._rollups = RollupSQL(moment, query.filter.workflow_ids)
        self._path = AccessPath()

    def execute(self, step: steps.Step) -> Any:  # noqa: ANN401 - each step defines the type of its result
        """Carry *step* out."""
        match step:
            case steps.Span():
                return self._span()
            case steps.BucketCounts(first, last, edges):
                return self._buckets(first, last, edges)
            case steps.RollupCounts(first, last, edges, has_durations):
                return self._rollups.counts(first, last, edges, has_durations=has_durations)
            case steps.Costs(first, last, edges):
                return self._costs(first, last, edges)
            case steps.ErrorCodes(first, last):
                return self._error_codes(first, last)
            case steps.Failures(first, last, edges, period):
                return self._failures(first, last, edges, period)
            case steps.SeenBefore(fingerprints):
                return {fingerprint_text(number) for number in self._seen_before(In(FINGERPRINT, fingerprints))}
        raise TypeError(f"No statistics need the step {type(step).__name__}.")

    def _span(self) -> tuple[int, int, int] | None:
        self._path = choose(self._moment, self._predicates, "create_time", self._limits.few)
        ends = []
        for descending in (False, True):
            query = RecordQuery(filter=self._query.filter, descending=descending)
            scan = RowScan(self._moment, query, self._path, self._predicates)
            ends += [found.row.create_time for found in scan.rows(None, 1, with_documents=False)]
        if not ends:
            return None
        first, last = ends
        runs = self._rollups.number_of_runs(first, last) if is_rolled_up(self._query.filter, first) else 0
        return first, last, runs

    def _buckets(
        self, first: int, last: int, edges: Sequence[int]
    ) -> tuple[Percentiles, list[tuple[int, Sums, Percentiles]]]:
        """Count all buckets, and all together, in one pass over the rows."""
        source, where = self._within(first, last)
        counts = counts_of("r")
        sql = (
            "WITH r AS MATERIALIZED (SELECT width_bucket(e.create_time, %s::bigint[]) - 1 AS bucket, e.status, "  # noqa: S608 - literals of ours
            f"{_TOKENS}, CASE WHEN {is_ended('e')} THEN e.duration END AS duration "
            f"FROM {source.sql} WHERE {where.sql}), "
            f"g AS (SELECT r.bucket, ARRAY[{counts}] AS counts, "
            "array_agg(r.duration ORDER BY r.duration) FILTER (WHERE r.duration IS NOT NULL) AS durations "
            "FROM r GROUP BY GROUPING SETS ((r.bucket), ())) "
            f"SELECT g.bucket, g.counts, {PERCENTILES} FROM g"
        )
        rows = self._moment.rows(Fragment(sql, (list(edges), *source.values, *where.values)))
        percentiles: Percentiles = (None, None, None)
        found = []
        for number, figures, p50, p95, p99 in rows:
            if number is None:
                percentiles = (p50, p95, p99)
            else:
                found.append((number, sums_of(figures), (p50, p95, p99)))
        return percentiles, found

    def _costs(self, first: int, last: int, edges: Sequence[int]) -> dict[int, dict[str, int]]:
        if is_rolled_up(self._query.filter, first):
            rows = self._rollups.costs(first, last, edges)
        else:
            source, where = self._within(first, last, Fragment("e.cost IS NOT NULL"))
            sql = (
                "SELECT width_bucket(e.create_time, %s::bigint[]) - 1, e.currency, sum(e.cost)::bigint "  # noqa: S608 - literals of ours
                f"FROM {source.sql} WHERE {where.sql} GROUP BY 1, 2"
            )
            rows = self._moment.rows(Fragment(sql, (list(edges), *values_of([source, where]))))
        found: dict[int, Counter[str]] = {}
        for number, currency, cost in rows:
            found.setdefault(number, Counter())[currency] += cost
        texts = texts_of(self._moment, {currency for costs in found.values() for currency in costs})
        return {n: {texts[currency]: cost for currency, cost in costs.items()} for n, costs in found.items()}

    def _error_codes(self, first: int, last: int) -> dict[str, int]:
        source, where = self._within(first, last, Fragment("e.error_code IS NOT NULL"))
        sql = f"SELECT e.error_code, count(*) FROM {source.sql} WHERE {where.sql} GROUP BY e.error_code"  # noqa: S608 - literals of ours
        counts: dict[str, int] = dict(self._moment.rows(Fragment(sql, values_of([source, where]))))
        texts = texts_of(self._moment, counts)
        return {texts[code]: runs for code, runs in counts.items()}

    def _failures(
        self, first: int, last: int, edges: Sequence[int], period: tuple[int, int] | None
    ) -> list[FailureGroup]:
        source, where = self._within(first, last, Fragment("e.fingerprint IS NOT NULL"))
        # By workflow first: to count different ones, PostgreSQL would sort all rows.
        sql = (
            "SELECT f.fingerprint, sum(f.runs)::bigint AS runs, min(f.first), max(f.last) AS newest, count(*) FROM "  # noqa: S608 - literals of ours
            "(SELECT e.fingerprint, e.workflow_id, count(*) AS runs, min(e.create_time) AS first, "
            f"max(e.create_time) AS last FROM {source.sql} WHERE {where.sql} GROUP BY e.fingerprint, e.workflow_id) f "
            f"GROUP BY f.fingerprint ORDER BY runs DESC, newest DESC, f.fingerprint LIMIT {MOST_GROUPS}"
        )
        groups = self._moment.rows(Fragment(sql, values_of([source, where])))
        if not groups:
            return []
        newest = self._examples(source, where, {number: last_seen for number, _, _, last_seen, _ in groups})
        among = In(FINGERPRINT, tuple(fingerprint_text(number) for number, *_ in groups))
        seen, earlier = self._seen_before(among), self._before(among, period)
        trends = self._trends(among, first, last, edges)
        return [
            FailureGroup(
                fingerprint=fingerprint_text(number),
                title=newest[number][0],
                error_code=newest[number][1],
                count=runs,
                first_seen=first_seen,
                last_seen=last_seen,
                workflow_id=newest[number][3].workflow_id,
                execute_id=newest[number][3].execute_id,
                is_new=self._query.new_since is not None and number not in seen,
                failed_node=newest[number][2],
                before=None if period is None else earlier.get(number, _NEVER)[0],
                last_before=earlier.get(number, _NEVER)[1],
                workflows=workflows,
                buckets=tuple(trends.get((number, place), 0) for place in range(len(edges) - 1)),
            )
            for number, runs, first_seen, last_seen, workflows in groups
        ]

    def _examples(
        self, source: Fragment, where: Fragment, times: Mapping[int, int]
    ) -> dict[int, tuple[str, str | None, str | None, RecordKey]]:
        """Return title, error code, failed node and ids of the last failure of each fingerprint at one of *times*."""
        sql = (
            "SELECT e.fingerprint, max(e.seq) FROM unnest(%s::bigint[], %s::bigint[]) AS k (fingerprint, at) "  # noqa: S608 - literals of ours
            f"JOIN {source.sql} ON e.fingerprint = k.fingerprint AND e.create_time = k.at "
            f"WHERE {where.sql} GROUP BY e.fingerprint"
        )
        places = self._moment.rows(Fragment(sql, (list(times), list(times.values()), *values_of([source, where]))))
        columns = (
            "e.fingerprint, coalesce(e.failure, ''), e.error_code, coalesce(e.failed_in, e.failed_nodes[1]), "
            "e.workflow_id, e.execute_id"
        )
        sql = f"SELECT {columns} FROM {TABLE} WHERE e.seq = ANY(%s)"  # noqa: S608 - likewise
        rows = self._moment.rows(Fragment(sql, ([seq for _, seq in places],)))
        texts = texts_of(self._moment, [text for _, *texts in rows for text in texts if text is not None])
        return {
            number: (texts[title], texts.get(code), texts.get(node), RecordKey(texts[workflow], texts[execution]))
            for number, title, code, node, workflow, execution in rows
        }

    def _before(self, among: In, period: tuple[int, int] | None) -> dict[int, tuple[int, int]]:
        """Return for some fingerprints how many failures were in the period before, and when the last was."""
        if period is None:
            return {}
        begin, end = period
        where = together([*map(render, (among, *self._timeless())), Fragment("e.create_time < %s", (end,))])
        counted = Fragment("count(*) FILTER (WHERE e.create_time >= %s), max(e.create_time)", (begin,))
        sql = f"SELECT e.fingerprint, {counted.sql} FROM {TABLE} WHERE {where.sql} GROUP BY e.fingerprint"  # noqa: S608 - literals of ours
        return {
            number: (runs, last) for number, runs, last in self._moment.rows(Fragment(sql, values_of([counted, where])))
        }

    def _trends(self, among: In, first: int, last: int, edges: Sequence[int]) -> dict[tuple[int, int], int]:
        """Return how many failures of some fingerprints are in which bucket."""
        source, where = self._within(first, last, render(among))
        sql = (
            "SELECT e.fingerprint, width_bucket(e.create_time, %s::bigint[]) - 1, count(*) "  # noqa: S608 - literals of ours
            f"FROM {source.sql} WHERE {where.sql} GROUP BY 1, 2"
        )
        found = self._moment.rows(Fragment(sql, (list(edges), *values_of([source, where]))))
        return {(number, bucket): runs for number, bucket, runs in found}

    def _timeless(self) -> list[ColumnPredicate]:
        return [e for e in self._predicates if not (isinstance(e, Range) and e.attribute.column == "create_time")]

    def _seen_before(self, among: In) -> set[int]:
        """Return which of some fingerprints these workflows had before ``new_since``, as numbers."""
        if self._query.new_since is None:
            return set()
        of_workflows = [each for each in self._predicates if isinstance(each, In) and each.attribute is WORKFLOW]
        before = Fragment("e.create_time < %s", (self._query.new_since,))
        where = together([*map(render, (among, *of_workflows)), before])
        sql = f"SELECT e.fingerprint FROM {TABLE} WHERE {where.sql} GROUP BY e.fingerprint"  # noqa: S608 - literals of ours
        return {number for (number,) in self._moment.rows(Fragment(sql, where.values))}

    def _within(self, first: int, last: int, *conditions: Fragment) -> tuple[Fragment, Fragment]:
        """Return the FROM clause and the condition of the rows from *first* to *last* that match."""
        listed = self._predicates
        if not self._path.has_few:  # one range of times is enough
            listed = self._timeless()
        source, tests = self._path.source(listed)
        between = Fragment("e.create_time >= %s AND e.create_time <= %s", (first, last))
        return source, together([*([tests] if tests.sql != "true" else []), *conditions, between])


def statistics(
    connections: Connections, query: StatisticsQuery, *, has_text: bool, limits: Limits = USUAL
) -> Statistics:
    """Return the result of *query*, of one moment.

    Raises:
        InvalidQuery: there is no such time zone, there would be too many buckets, or it has a text and texts cannot be
            searched for.
        StoreError: it could not be read.
    """
    text_condition(query.filter.predicate(), has_text=has_text)

    def read(connection: Connection) -> Statistics:
        sized = limits.of(connections.runs(connection))
        with one_moment(connection, connections.statements) as moment:
            revision = moment.later(REVISION)
            engine = StatisticsEngine(moment, query, sized)

            def open_pages() -> Callable[[steps.Step], Any]:
                body, listed = partial(connections.body, connection), RecordQuery(filter=query.filter)
                return PageEngine(moment, body, listed, has_text=has_text, seeks_all=True, limits=sized).execute

            planned = count(query, IndexReach(0, 0), is_text_exact=False, exact_runs=sized.exact_runs)
            found = steps.run_counting(planned, engine.execute, open_pages)
            return replace(found, reach=reach_of(moment, revision))

    return connections.read(read)
