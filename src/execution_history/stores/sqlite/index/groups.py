"""Breakdowns: carries out the steps of their making, over rows of the index or over its rollups."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import gcd
from typing import Any, Final, NamedTuple

import apsw
import orjson

from execution_history.query import steps
from execution_history.query.breakdown import GROUPED, Breakdown, BreakdownQuery, By, TrendPoint, key_of
from execution_history.query.breakdown_plan import ROLLED_UP, GroupSums, break_down_all
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
_FIGURES, _COSTS, _NUMBER, _TREND = range(4)


class GroupEngine:
    """Carries out the steps to breakdowns of the rows that match one filter.

    Args:
        index: a connection to ``index.db``.
        query: one of the queries.
        text: the text index, if there is one.
        limits: how many rows are few.
        bys: what all of the queries count by: the rows are read once for them.
    """

    def __init__(
        self, index: apsw.Connection, query: BreakdownQuery, text: TextIndex | None, limits: Limits, bys: Sequence[By]
    ) -> None:
        self._index = index
        self._query = query
        self._bys = bys
        self._answers: dict[steps.Step, Any] = {}
        self._limits = limits
        self._spanning = StatisticsEngine(index, StatisticsQuery(filter=query.filter), text)
        self._days = DayGroups(index, query)
        self._matches = text_matches(query.filter.predicate(), text)
        self.is_text_exact = self._spanning.is_text_exact
        self.rolled_up = ROLLED_UP if self._days.has_all else ROLLED_UP - {query.by}

    def execute(self, step: steps.Step) -> Any:  # noqa: ANN401 - each step defines the type of its result
        """Carry *step* out."""
        match step:
            case steps.GroupRows(_, _, edges, most, by):
                shared = step._replace(by="")
                if shared not in self._answers:
                    self._answers[shared] = self._rows(edges, most)
                return self._answers[shared][by]
            case steps.Span():
                if step not in self._answers:
                    self._answers[step] = self._spanning.execute(step)
                return self._answers[step]
            case steps.RolledGroups(first, last):
                return self._days.groups(first, last)
            case steps.RolledDetails(keys, first, last, edges):
                return self._days.details(keys, first, last, edges)
        return self._spanning.execute(step)

    def _rows(self, edges: Sequence[int], most: int) -> dict[By, tuple[list[GroupSums], bool]]:
        """Count the newest rows in one statement: figures, costs and trend of each group, and whether more follow."""
        unit, counts_only = gcd(*edges) if edges else 1, self._query.counts_only
        newest, sources = self._sources(most)
        figures = (
            f"{counts_of('g')}, {percentiles_of('g')}, max(g.at), count(g.duration) FILTER (WHERE {is_ended('g')}), "
            f"coalesce(sum(g.duration) FILTER (WHERE {is_ended('g')}), 0)"
        )
        if counts_only:
            figures = f"{counts_of('g', with_tokens=False)}{', NULL' * PERCENTILES}, max(g.at), 0, 0"
        cost = "json_array(g.currency, sum(g.cost))"
        trend = f"json_array(g.at / {unit}, count(*), count(*) FILTER (WHERE g.status = {_FAILED}))"
        arms = [f"SELECT '', {_NUMBER}, NULL, json_array((SELECT count(*) > {most} FROM newest))"]  # noqa: S608 - literals of ours
        for by, source in sources.items():
            named = "g.title, g.type" if by == "node" else "NULL, NULL"
            parts = [
                (_FIGURES, f"json_array({figures}, {named})", "GROUP BY g.k"),
                *([] if counts_only else [(_COSTS, cost, "WHERE g.cost IS NOT NULL GROUP BY g.k, g.currency")]),
                *([(_TREND, trend, f"GROUP BY g.k, g.at / {unit}")] if edges else []),
            ]
            arms += [f"SELECT '{by}', {arm}, g.k, {body} FROM {source} g {groups}" for arm, body, groups in parts]  # noqa: S608
        read = rows(self._index, f"{newest.sql} {' UNION ALL '.join(arms)}", newest.values)
        found = [_Row(by, arm, key, orjson.loads(body)) for by, arm, key, body in read]
        [[has_more]] = [row.body for row in found if row.arm == _NUMBER]
        names = self._names(found)
        return {
            by: (_gathered([row for row in found if row.by == by], names, edges, unit), bool(has_more))
            for by in self._bys
        }

    def _names(self, found: Sequence["_Row"]) -> dict[int | None, str]:
        """Return the texts that stand for numbers in what was found."""
        numbers = {row.key for row in found if row.arm == _FIGURES and _is_shared(row.by)}
        numbers |= {number for row in found if row.arm == _FIGURES for number in row.body[-2:]}
        numbers |= {row.body[0] for row in found if row.arm == _COSTS}
        return texts_at(self._index, numbers)

    def _sources(self, most: int) -> tuple[Fragment, dict[By, str]]:
        """Return the tables ``newest``, *most* rows and one more, and ``r``, without it, and the rows of each group."""
        figures = ("status",) if self._query.counts_only else _NAMES
        columns = [f"f.{name} AS {name}" for name in figures]
        columns += [f"f.{GROUPED[by].column} AS by_{by}" for by in self._bys if by in GROUPED]
        newest = self._newest(f"f.seq AS seq, f.create_time AS at, {', '.join(columns)}", most + 1)
        sources: dict[By, str] = {}
        for by in self._bys:
            if by == "tag":
                named = ", ".join(f"r.{name}" for name in ("at", *figures))
                joined = f"SELECT t.name AS k, {named} FROM r CROSS JOIN tags t INDEXED BY tags_by_seq ON t.seq = r.seq"  # noqa: S608 - literals of ours
            elif by == "node":
                named = ", ".join(f"n.{name}" for name in ("status", "duration", *TOKENS, "title", "type"))
                joined = (
                    f"SELECT n.node AS k, r.at AS at, {named}, NULL AS cost, NULL AS currency "  # noqa: S608 - literals of ours
                    "FROM r CROSS JOIN nodes n ON n.seq = r.seq"
                )
            else:
                joined = f"SELECT r.*, r.by_{by} AS k FROM r WHERE r.by_{by} IS NOT NULL"  # noqa: S608 - likewise
            sources[by] = f"({joined})"
        counted = f"SELECT * FROM newest ORDER BY at DESC, seq DESC LIMIT {most}"  # noqa: S608 - a number
        tables = f"WITH newest AS MATERIALIZED ({newest.sql}), r AS MATERIALIZED ({counted})"
        return Fragment(tables, newest.values), sources

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


class _Row(NamedTuple):
    """A row of the one statement: what it counts by, what it has of a group, its key, and the figures."""

    by: By
    arm: int
    key: int | None
    body: list[Any]


def _gathered(
    found: Sequence[_Row], names: Mapping[int | None, str], edges: Sequence[int], unit: int
) -> list[GroupSums]:
    """Return the groups of what was counted by one thing."""
    costs: dict[int | None, dict[str, int]] = {}
    trends: dict[int | None, dict[int, TrendPoint]] = {}
    for _, arm, key, body in found:
        if arm == _COSTS:
            costs.setdefault(key, {})[names[body[0]]] = body[1]
        elif arm == _TREND:
            trend, bucket = trends.setdefault(key, {}), bucket_number(edges, body[0] * unit)
            known = trend.get(bucket, TrendPoint(0, 0))
            trend[bucket] = TrendPoint(known.runs + body[1], known.failed + body[2])
    groups = []
    for by, arm, key, body in found:
        if arm != _FIGURES or key is None:
            continue
        *figures, last_run, timed, total_ms, title, kind = body
        text = key_of(by, names.get(key, key) if _is_shared(by) else _plain(by, key))
        is_node = by == "node"
        groups.append(
            GroupSums(
                text,
                names[title] if is_node else text,
                sums_of(figures)._replace(costs=costs.get(key, {})),
                last_run,
                whole_percentiles(figures[-PERCENTILES:]),
                trends.get(key, {}),
                names.get(kind),
                timed if is_node else None,
                total_ms if is_node else None,
            )
        )
    return groups


def _plain(by: By, key: int) -> object:
    """Return the value that a column has which is no text."""
    return STATUS_NAMES[key] if by == "status" else key


def _is_shared(by: By) -> bool:
    """Return whether the keys of groups are texts."""
    return by in {"tag", "node"} or GROUPED[by].stored_as == "shared text"


def breakdowns(
    index: apsw.Connection,
    history: HistoryView,
    queries: Sequence[BreakdownQuery],
    text: TextIndex | None,
    reach: IndexReach,
    limits: Limits = USUAL,
) -> list[Breakdown]:
    """Return the results of *queries*; those of the same runs are read together.

    Raises:
        InvalidQuery: there is no such time zone, there would be too many buckets, or one has a text and there is no
            text search.
    """
    bundles: dict[BreakdownQuery, list[BreakdownQuery]] = {}
    for query in queries:
        alike = query if query.by in ROLLED_UP else replace(query, by="status", sort="runs", limit=1, wait_seconds=None)
        bundles.setdefault(alike, []).append(query)
    found: dict[BreakdownQuery, Breakdown] = {}
    for bundle in bundles.values():
        engine = GroupEngine(index, bundle[0], text, limits, tuple(dict.fromkeys(query.by for query in bundle)))

        def open_pages(of: BreakdownQuery = bundle[0]) -> Callable[[steps.Step], Any]:
            return PageEngine(index, history, RecordQuery(filter=of.filter), text, limits).execute

        planned = break_down_all(
            bundle,
            reach,
            is_text_exact=engine.is_text_exact,
            rolled_up=engine.rolled_up,
            exact_runs=limits.exact_grouped,
            most=limits.grouped,
        )
        found |= zip(bundle, steps.run_counting(planned, engine.execute, open_pages), strict=True)
    return [found[query] for query in queries]
