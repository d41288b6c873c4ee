"""Breakdowns: carries out the steps of their making, over rows of the index or over its rollups."""

from collections.abc import Callable, Sequence
from math import gcd
from typing import Any, Final

import apsw
import orjson

from execution_history.query import steps
from execution_history.query.breakdown import GROUPED, Breakdown, BreakdownQuery, TrendPoint, key_of
from execution_history.query.grouping import ROLLED_UP, GroupSums, break_down
from execution_history.query.model import IndexReach, RecordQuery, StatisticsQuery
from execution_history.query.time_buckets import bucket_number
from execution_history.stores.sql_fragments import (
    TOKENS,
    Fragment,
    counts_of,
    is_ended,
    of_columns,
    sums_of,
    together,
    values_of,
)
from execution_history.stores.sqlite.index.access_path import choose_for_many
from execution_history.stores.sqlite.index.connections import rows, texts_at
from execution_history.stores.sqlite.index.day_groups import DayGroups
from execution_history.stores.sqlite.index.history_source import HistoryView
from execution_history.stores.sqlite.index.limits import USUAL, Limits
from execution_history.stores.sqlite.index.select import PageEngine, text_matches
from execution_history.stores.sqlite.index.statistics import (
    PERCENTILES,
    StatisticsEngine,
    percentiles_of,
    whole_percentiles,
)
from execution_history.stores.sqlite.index.text_index import TextIndex
from execution_history.stores.status_numbers import STATUS_NAMES, STATUS_NUMBERS

_FAILED: Final = STATUS_NUMBERS["failed"]
_NAMES: Final = ("status", "duration", *TOKENS, "cost", "currency")
_COLUMNS: Final = ", ".join(f"f.{name} AS {name}" for name in _NAMES)
_FIGURES, _COSTS, _NUMBER, _TREND = range(4)


class GroupEngine:
    """Carries out the steps to a breakdown of the rows that match the query's filter.

    Args:
        index: a connection to ``index.db``.
        query: the query.
        text: the text index, if there is one.
        limits: how many rows are few.
    """

    def __init__(self, index: apsw.Connection, query: BreakdownQuery, text: TextIndex | None, limits: Limits) -> None:
        self._index = index
        self._query = query
        self._limits = limits
        self._spanning = StatisticsEngine(index, StatisticsQuery(filter=query.filter), text)
        self._days = DayGroups(index, query)
        self._matches = text_matches(query.filter.predicate(), text)
        self.is_text_exact = self._spanning.is_text_exact
        self.rolled_up = ROLLED_UP if self._days.has_all else ROLLED_UP - {query.by}

    def execute(self, step: steps.Step) -> Any:  # noqa: ANN401 - each step defines the type of its result
        """Carry *step* out."""
        match step:
            case steps.GroupRows(_, _, edges, most):
                return self._rows(edges, most)
            case steps.RolledGroups(first, last):
                return self._days.groups(first, last)
            case steps.RolledDetails(keys, first, last, edges):
                return self._days.details(keys, first, last, edges)
        return self._spanning.execute(step)

    def _rows(self, edges: Sequence[int], most: int) -> tuple[list[GroupSums], bool]:
        """Count the newest rows in one statement: figures, costs and trend of each group, and whether more follow."""
        base, unit = self._base(most), gcd(*edges) if edges else 1
        figures = (
            f"{counts_of('g')}, {percentiles_of('g')}, max(g.at), count(g.duration) FILTER (WHERE {is_ended('g')}), "
            f"coalesce(sum(g.duration) FILTER (WHERE {is_ended('g')}), 0)"
        )
        named = "g.title, g.type" if self._is_node else "NULL, NULL"
        cost = "json_array(g.currency, sum(g.cost))"
        arms = [
            f"SELECT {_FIGURES}, g.k, json_array({figures}, {named}) FROM g GROUP BY g.k",  # noqa: S608 - literals of ours
            f"SELECT {_COSTS}, g.k, {cost} FROM g WHERE g.cost IS NOT NULL GROUP BY g.k, g.currency",  # noqa: S608
            f"SELECT {_NUMBER}, NULL, json_array((SELECT count(*) > {most} FROM newest))",  # noqa: S608
        ]
        if edges:
            trend = f"json_array(g.at / {unit}, count(*), count(*) FILTER (WHERE g.status = {_FAILED}))"
            arms.append(f"SELECT {_TREND}, g.k, {trend} FROM g GROUP BY g.k, g.at / {unit}")  # noqa: S608 - literals of ours
        found = rows(self._index, f"{base.sql} {' UNION ALL '.join(arms)}", base.values)
        return self._gathered([(arm, key, orjson.loads(body)) for arm, key, body in found], edges, unit)

    def _gathered(
        self, found: Sequence[tuple[int, int | None, list[Any]]], edges: Sequence[int], unit: int
    ) -> tuple[list[GroupSums], bool]:
        [[has_more]] = [body for arm, _, body in found if arm == _NUMBER]
        names = self._names(found)
        costs: dict[int | None, dict[str, int]] = {}
        trends: dict[int | None, dict[int, TrendPoint]] = {}
        for arm, key, body in found:
            if arm == _COSTS:
                costs.setdefault(key, {})[names[body[0]]] = body[1]
            elif arm == _TREND:
                trend, bucket = trends.setdefault(key, {}), bucket_number(edges, body[0] * unit)
                known = trend.get(bucket, TrendPoint(0, 0))
                trend[bucket] = TrendPoint(known.runs + body[1], known.failed + body[2])
        groups = []
        for arm, key, body in found:
            if arm != _FIGURES or key is None:
                continue
            *figures, last_run, timed, total_ms, title, kind = body
            text = key_of(self._query.by, names.get(key, key) if self._is_shared else self._plain(key))
            groups.append(
                GroupSums(
                    text,
                    names[title] if self._is_node else text,
                    sums_of(figures)._replace(costs=costs.get(key, {})),
                    last_run,
                    whole_percentiles(figures[-PERCENTILES:]),
                    trends.get(key, {}),
                    names.get(kind),
                    timed if self._is_node else None,
                    total_ms if self._is_node else None,
                )
            )
        return groups, bool(has_more)

    def _plain(self, key: int) -> object:
        """Return the value that a column has which is no text."""
        return STATUS_NAMES[key] if self._query.by == "status" else key

    def _names(self, found: Sequence[tuple[int, int | None, list[Any]]]) -> dict[int | None, str]:
        """Return the texts that stand for numbers in what was found."""
        numbers = {key for arm, key, _ in found if arm == _FIGURES and self._is_shared}
        numbers |= {number for arm, _, body in found if arm == _FIGURES for number in body[-2:]}
        numbers |= {body[0] for arm, _, body in found if arm == _COSTS}
        return texts_at(self._index, numbers)

    def _base(self, most: int) -> Fragment:
        """Return the tables ``newest``, *most* rows and one more, ``r`` without that, and ``g`` with their groups."""
        by = self._query.by
        key = "NULL" if by in {"tag", "node"} else f"f.{GROUPED[by].column}"
        newest = self._newest(f"f.seq AS seq, f.create_time AS at, {_COLUMNS}, {key} AS k", most + 1)
        grouped = "SELECT r.* FROM r WHERE r.k IS NOT NULL"
        if by == "tag":
            named = ", ".join(f"r.{name}" for name in ("at", *_NAMES))
            grouped = f"SELECT t.name AS k, {named} FROM r CROSS JOIN tags t INDEXED BY tags_by_seq ON t.seq = r.seq"  # noqa: S608
        elif by == "node":
            named = ", ".join(f"n.{name}" for name in ("status", "duration", *TOKENS, "title", "type"))
            grouped = (
                f"SELECT n.node AS k, r.at AS at, {named}, NULL AS cost, NULL AS currency "  # noqa: S608 - literals of ours
                "FROM r CROSS JOIN nodes n ON n.seq = r.seq"
            )
        counted = f"SELECT * FROM newest ORDER BY at DESC, seq DESC LIMIT {most}"  # noqa: S608 - a number
        tables = f"newest AS MATERIALIZED ({newest.sql}), r AS MATERIALIZED ({counted}), g AS ({grouped})"
        return Fragment(f"WITH {tables} ", newest.values)

    def _newest(self, columns: str, most: int) -> Fragment:
        """Return the statement that selects *columns* of the newest rows."""
        predicates = of_columns(self._query.filter.predicate())
        path = choose_for_many(self._index, predicates, self._matches, self._limits, most)
        tests = path.tests(predicates)
        if self._matches is not None and path.text is None:
            tests.append(self._matches.membership())
        table = path.prefix()
        order = f"ORDER BY {table}.create_time DESC, {table}.seq DESC LIMIT {most}"
        arms = [together([walk, *tests]) for walk in path.walks()]
        sql = [f"SELECT {columns} FROM {path.source()} WHERE {arm.sql} {order}" for arm in arms]  # noqa: S608 - likewise
        if len(sql) == 1:
            return Fragment(sql[0], arms[0].values)
        joined = " UNION ALL ".join(f"SELECT * FROM ({each})" for each in sql)  # noqa: S608 - literals of ours
        return Fragment(f"SELECT * FROM ({joined}) ORDER BY at DESC, seq DESC LIMIT {most}", values_of(arms))  # noqa: S608

    @property
    def _is_node(self) -> bool:
        return self._query.by == "node"

    @property
    def _is_shared(self) -> bool:
        """Whether the keys of groups are texts."""
        return self._query.by in {"tag", "node"} or GROUPED[self._query.by].stored_as == "shared text"


def breakdown(
    index: apsw.Connection,
    history: HistoryView,
    query: BreakdownQuery,
    text: TextIndex | None,
    reach: IndexReach,
    limits: Limits = USUAL,
) -> Breakdown:
    """Return the result of *query*.

    Raises:
        InvalidQuery: there is no such time zone, there would be too many buckets, or it has a text and there is no text
            search.
    """
    engine = GroupEngine(index, query, text, limits)
    planned = break_down(
        query,
        reach,
        is_text_exact=engine.is_text_exact,
        rolled_up=engine.rolled_up,
        exact_runs=limits.exact_grouped,
        most=limits.grouped,
    )

    def open_pages() -> Callable[[steps.Step], Any]:
        return PageEngine(index, history, RecordQuery(filter=query.filter), text, limits).execute

    return steps.run_counting(planned, engine.execute, open_pages)
