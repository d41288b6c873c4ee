"""Breakdowns: carries out the steps of their making, over rows or over rollups."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from execution_history.query import steps
from execution_history.query.breakdown import GROUPED, Breakdown, BreakdownQuery, By, TrendPoint, key_of
from execution_history.query.breakdown_plan import ROLLED_UP, GroupSums, break_down
from execution_history.query.model import IndexReach, RecordQuery, StatisticsQuery
from execution_history.query.rollups import is_rolled_up
from execution_history.stores.postgres.connections import Connection, Connections
from execution_history.stores.postgres.day_groups import DayGroups
from execution_history.stores.postgres.limits import USUAL, Limits
from execution_history.stores.postgres.long_texts import texts_of
from execution_history.stores.postgres.moment import Moment, Rows, one_moment
from execution_history.stores.postgres.predicate_sql import column_of
from execution_history.stores.postgres.rollup_groups import RollupGroups
from execution_history.stores.postgres.select import REVISION, PageEngine, reach_of, text_condition
from execution_history.stores.postgres.statistics import PERCENTILES, StatisticsEngine
from execution_history.stores.sql_fragments import TOKENS, Fragment, counts_of, is_ended, sums_of, values_of
from execution_history.stores.status_numbers import STATUS_NAMES, STATUS_NUMBERS

_COLUMNS: Final = ", ".join(("status", "duration", *TOKENS))
_FAILED: Final = f"g.status = {STATUS_NUMBERS['failed']}"
_FIGURES, _COSTS, _NUMBER, _TREND = range(4)


class GroupEngine(StatisticsEngine):
    """Carries out the steps to a breakdown of the rows that match the query's filter.

    Args:
        moment: reads.
        query: the query.
        limits: how many rows are few.
    """

    def __init__(self, moment: Moment, query: BreakdownQuery, limits: Limits = USUAL) -> None:
        super().__init__(moment, StatisticsQuery(filter=query.filter), limits)
        self._by = query.by
        self._days = DayGroups(moment, query.filter, limits.unsummed) if query.by == "node" else None
        self._rolled = self._days or RollupGroups(moment, query.filter)

    @property
    def rolled_up(self) -> frozenset[By]:
        """What there are rollups by."""
        may_roll_up = self._days is not None and is_rolled_up(self._query.filter, 0)
        return ROLLED_UP - {"node"} if self._days is not None and may_roll_up and not self._days.has_all else ROLLED_UP

    def reach(self, found: IndexReach) -> IndexReach:
        """Return the reach of an answer, where rows are as *found*: days that are still to be added up are left out."""
        uncounted = None if self._days is None else self._days.uncounted
        return found if uncounted is None else replace(found, since=uncounted[0], missing=uncounted[1])

    def execute(self, step: steps.Step) -> Any:  # noqa: ANN401 - each step defines the type of its result
        """Carry *step* out."""
        match step:
            case steps.GroupRows(first, last, edges, most):
                return self._rows(first, last, edges, most)
            case steps.RolledGroups(first, last):
                return self._rolled.groups(first, last)
            case steps.RolledDetails(keys, first, last, edges):
                return self._rolled.details(keys, first, last, edges)
        return super().execute(step)

    def _rows(self, first: int, last: int, edges: Sequence[int], most: int) -> tuple[list[GroupSums], bool]:
        """Count the newest rows in one statement: figures, costs and trend of each group, and whether more follow."""
        base = self._base(first, last, most)
        durations = (
            f"array_agg(g.duration ORDER BY g.duration) FILTER (WHERE {is_ended('g')} AND g.duration IS NOT NULL)"
        )
        newest = "ORDER BY g.at DESC, g.place DESC"
        named = f"(array_agg(g.title {newest}))[1], (array_agg(g.type {newest}))[1]"
        arms = [
            Fragment(
                f"SELECT {_FIGURES} AS arm, g.k, json_build_array(g.counts, {PERCENTILES}, g.last_run, "  # noqa: S608 - literals of ours
                "coalesce(cardinality(g.durations), 0), "
                "(SELECT coalesce(sum(d), 0)::bigint FROM unnest(g.durations) d), g.names) AS body FROM ("
                f"SELECT g.k, ARRAY[{counts_of('g')}] AS counts, {durations} AS durations, max(g.at) AS last_run, "
                f"json_build_array({named}) AS names FROM g GROUP BY g.k) g"
            ),
            Fragment(
                f"SELECT {_COSTS}, g.k, json_build_array(g.currency, sum(g.cost)) FROM g "  # noqa: S608 - likewise
                "WHERE g.cost IS NOT NULL GROUP BY g.k, g.currency"
            ),
            Fragment(f"SELECT {_NUMBER}, NULL, json_build_array((SELECT count(*) > {most} FROM newest))"),  # noqa: S608 - likewise
        ]
        if edges:
            trend = "json_build_array(g.bucket, count(*), count(*) FILTER (WHERE " + _FAILED + "))"
            arms.append(
                Fragment(
                    f"SELECT {_TREND}, g.k, {trend} FROM (SELECT g.*, width_bucket(g.at, %s::bigint[]) - 1 AS bucket "  # noqa: S608
                    "FROM g) g GROUP BY g.k, g.bucket",
                    (list(edges),),
                )
            )
        joined = " UNION ALL ".join(arm.sql for arm in arms)
        return self._gathered(self._moment.rows(Fragment(f"{base.sql} {joined}", values_of([base, *arms]))))

    def _base(self, first: int, last: int, most: int) -> Fragment:
        """Return the tables ``newest``, *most* rows and one more, ``r`` without that, and ``g`` with their groups."""
        column = {"tag": "e.tags", "node": "NULL"}.get(self._by) or f"e.{column_of(GROUPED[self._by])}"
        source, where = self._within(first, last)
        named = ", ".join(f"e.{name}" for name in _COLUMNS.split(", "))
        newest = (
            f"SELECT e.workflow_id, e.execute_id, e.create_time AS at, e.seq AS place, {named}, e.cost, e.currency, "  # noqa: S608 - literals of ours
            f"{column} AS v FROM {source.sql} WHERE {where.sql} "
            f"ORDER BY e.create_time DESC, e.seq DESC LIMIT {most + 1}"
        )
        plain = ", ".join(f"r.{name}" for name in _COLUMNS.split(", "))
        grouped = (
            f"SELECT r.v::text AS k, r.at, r.place, {plain}, r.cost, r.currency, "  # noqa: S608 - literals of ours
            "NULL::text AS title, NULL::text AS type FROM r WHERE r.v IS NOT NULL"
        )
        if self._by == "tag":
            named_by_tag = "FROM r CROSS JOIN LATERAL unnest(r.v) AS t (name) WHERE"
            grouped = grouped.replace("r.v::text AS k", "t.name AS k").replace("FROM r WHERE", named_by_tag)
        elif self._by == "node":
            of_node = plain.replace("r.", "n.")
            grouped = (
                f"SELECT n.node AS k, r.at, r.place, {of_node}, NULL::bigint AS cost, NULL::text AS currency, "  # noqa: S608 - literals of ours
                "n.title, n.type FROM r JOIN execution_history.nodes n "
                "ON n.workflow_id = r.workflow_id AND n.execute_id = r.execute_id"
            )
        counted = f"SELECT * FROM newest ORDER BY at DESC, place DESC LIMIT {most}"  # noqa: S608 - a number
        tables = f"newest AS MATERIALIZED ({newest}), r AS MATERIALIZED ({counted}), g AS ({grouped})"
        return Fragment(f"WITH {tables}", values_of([source, where]))

    def _gathered(self, found: Rows) -> tuple[list[GroupSums], bool]:
        [has_more] = [body[0] for arm, _, body in found if arm == _NUMBER]
        stored = {key for arm, key, _ in found if arm == _FIGURES}
        stored |= {text for arm, _, body in found if arm == _FIGURES for text in body[-1] if text is not None}
        stored |= {body[0] for arm, _, body in found if arm == _COSTS}
        texts = texts_of(self._moment, stored)
        costs: dict[str, Counter[str]] = {}
        trends: dict[str, dict[int, TrendPoint]] = {}
        for arm, key, body in found:
            if arm == _COSTS:
                costs.setdefault(key, Counter())[texts[body[0]]] += body[1]
            elif arm == _TREND:
                trends.setdefault(key, {})[body[0]] = TrendPoint(body[1], body[2])
        groups = []
        for arm, key, body in found:
            if arm != _FIGURES:
                continue
            counts, p50, p95, p99, last_run, timed, total_ms, (title, kind) = body
            text = self._text(key, texts)
            sums = sums_of(counts)._replace(costs=costs.get(key, {}))
            is_node = self._by == "node"
            groups.append(
                GroupSums(
                    text,
                    texts[title] if is_node else text,
                    sums,
                    last_run,
                    (p50, p95, p99),
                    trends.get(key, {}),
                    texts.get(kind),
                    timed if is_node else None,
                    total_ms if is_node else None,
                )
            )
        return groups, bool(has_more)

    def _text(self, key: str, texts: dict[str, str]) -> str:
        if self._by == "status":
            return STATUS_NAMES[int(key)]
        return key_of("mode", int(key)) if self._by == "mode" else texts[key]


def breakdown(connections: Connections, query: BreakdownQuery, *, has_text: bool, limits: Limits = USUAL) -> Breakdown:
    """Return the result of *query*, of one moment.

    Raises:
        InvalidQuery: there is no such time zone, there would be too many buckets, or it has a text and texts cannot be
            searched for.
        StoreError: it could not be read.
    """
    text_condition(query.filter.predicate(), has_text=has_text)

    def read(connection: Connection) -> Breakdown:
        sized = limits.of(connections.runs(connection))
        with one_moment(connection, connections.statements) as moment:
            revision = moment.later(REVISION)
            engine = GroupEngine(moment, query, sized)

            def open_pages() -> Callable[[steps.Step], Any]:
                body, listed = partial(connections.body, connection), RecordQuery(filter=query.filter)
                return PageEngine(moment, body, listed, has_text=has_text, seeks_all=True, limits=sized).execute

            planned = break_down(
                query,
                IndexReach(0, 0),
                is_text_exact=False,
                rolled_up=engine.rolled_up,
                exact_runs=sized.exact_grouped,
                most=sized.grouped,
            )
            counted = steps.run_counting(planned, engine.execute, open_pages)
            return replace(counted, reach=engine.reach(reach_of(moment, revision)))

    return connections.read(read)
