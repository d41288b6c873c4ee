"""Breakdowns of very many runs: whole days from their rollups, what is left at the ends from hours and rows.

A statement has a subquery for each group and stretch of time, each of which reads one range: grouping would sort rows.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from math import gcd
from typing import Any, Final, NamedTuple

import apsw
import orjson

from execution_history.query.breakdown import BreakdownQuery, TrendPoint
from execution_history.query.breakdown_plan import GroupSums
from execution_history.query.rollups import Piece, Stretch, bucket_of, stretches_of
from execution_history.records.time_units import DAY_MS, HOUR_MS
from execution_history.stores.day_sums import GroupDetails, parts_of
from execution_history.stores.sql_fragments import TOKENS, counts_of, is_ended, sums_of
from execution_history.stores.sqlite.index.connections import rows, statement, texts_at
from execution_history.stores.sqlite.index.day_rollups import OVERFLOW
from execution_history.stores.status_numbers import STATUS_NAMES, STATUS_NUMBERS

_IS_FAILED: Final = f"s.status = {STATUS_NUMBERS['failed']}"
_RUNS: Final = " + ".join(f"s.{name}" for name in STATUS_NAMES)
_ROLLED: Final = ", ".join(f"coalesce(sum(s.{name}), 0)" for name in (*STATUS_NAMES, *TOKENS))
_HISTOGRAM: Final = "json_array(json_group_array(s.bucket), json_group_array(s.runs))"
_ANY_LATER: Final = "SELECT 1 FROM facets f INDEXED BY by_time WHERE f.create_time >= ? LIMIT 1"
_NUMBERS_OF: Final = "SELECT id FROM texts WHERE text IN (SELECT value FROM json_each(?))"

_Details = dict[str, tuple[dict[int, int], dict[int, TrendPoint]]]


class _Source(NamedTuple):
    """Where a stretch of time is read from, as ``s``, with the condition that a row is of the group ``j``."""

    table: str
    time: str
    figures: str = _ROLLED


_OF_WORKFLOW: Final = {
    "day": _Source("days s WHERE s.workflow = j.value AND s.node = 0", "s.day"),
    "hour": _Source("rollups s WHERE s.workflow = j.value", "s.hour"),
    "row": _Source("facets s INDEXED BY by_workflow WHERE s.workflow = j.value", "s.create_time", counts_of("s")),
}
_OF_NODE: Final = {
    "day": _Source("days s WHERE s.workflow = {workflow} AND s.node = j.value", "s.day"),
    "row": _Source(
        "nodes s INDEXED BY nodes_by_node WHERE s.workflow = {workflow} AND s.node = j.value",
        "s.create_time",
        counts_of("s"),
    ),
}
_COSTS: Final = {
    "day": "SELECT json_group_array(json(s.costs)) FILTER (WHERE s.costs IS NOT NULL) FROM days s "
    "WHERE s.workflow = j.value AND s.node = 0 AND s.day",
    "hour": "SELECT json_group_array(json_object(CAST(s.currency AS TEXT), s.cost)) FROM costs s "
    "WHERE s.workflow = j.value AND s.hour",
    "row": "SELECT json_group_array(json_object(CAST(s.currency AS TEXT), s.cost)) FROM facets s "
    "INDEXED BY priced_of_workflow WHERE s.cost IS NOT NULL AND s.workflow = j.value AND s.create_time",
}


class DayGroups:
    """The workflows of a query, or the nodes of one, as its rollups have them.

    Args:
        index: a connection to ``index.db``.
        query: has workflows and times only.
    """

    def __init__(self, index: apsw.Connection, query: BreakdownQuery) -> None:
        self._index = index
        self._filter = query.filter
        self._of_nodes = query.by == "node"

    @cached_property
    def _workflows(self) -> list[int]:
        if not self._filter.workflow_ids:
            return [number for (number,) in rows(self._index, statement("workflows_with_days"))]
        listed = orjson.dumps(self._filter.workflow_ids).decode()
        return [number for (number,) in rows(self._index, _NUMBERS_OF, (listed,))]

    @cached_property
    def _nodes(self) -> list[int]:
        found: list[int] = []
        for workflow in self._workflows[:1]:
            found += (number for (number,) in rows(self._index, statement("nodes_with_days"), (workflow,)))
        return found

    @property
    def has_all(self) -> bool:
        """Whether all groups have rollups: not the nodes of a workflow that names them anew in each run."""
        return not self._of_nodes or OVERFLOW not in self._nodes

    @cached_property
    def _names(self) -> dict[int, str]:
        """The keys of all groups that there may be, by their numbers."""
        numbers: Sequence[int] = self._workflows
        if self._of_nodes:
            numbers = [number for number in self._nodes if number != OVERFLOW]
        return {number: name for number, name in texts_at(self._index, numbers).items() if number is not None}

    def groups(self, first: int, last: int) -> list[GroupSums]:
        """Count all runs from *first* to *last* by group; see ``steps.RolledGroups``."""
        stretches = self._stretches(first, last)
        figures = [self._arm(each, f"json_array({self._sources[each.unit].figures})") for each in stretches]
        costs = [] if self._of_nodes else [f"json(({_COSTS[each.unit]} {_range(each)}))" for each in stretches]
        newest = (
            f"(SELECT {{}} FROM {self._sources['row'].table} AND s.create_time <= {last} "  # noqa: S608 - literals of ours
            "ORDER BY s.create_time DESC LIMIT 1)"
        )
        columns = [
            f"json_array({', '.join(figures)})",
            f"json_array({', '.join(costs)})",
            newest.format("s.create_time"),
        ]
        columns.append(newest.format("json_array(s.title, s.type)") if self._of_nodes else "NULL")
        found = [
            (
                number,
                [sum(column) for column in zip(*orjson.loads(figures), strict=True)],
                _spent(costs),
                last_run,
                title,
            )
            for number, figures, costs, last_run, title in self._each(columns, self._names)
        ]
        found = [each for each in found if any(each[1][: len(STATUS_NAMES)])]
        titles = {number: orjson.loads(title) for number, *_, title in found if title is not None}
        numbers = {each for title in titles.values() for each in title} | {
            each for _, _, costs, *_ in found for each in costs
        }
        texts = texts_at(self._index, numbers)
        return [
            GroupSums(
                key := self._names[number],
                texts[titles[number][0]] if number in titles else key,
                sums_of(figures)._replace(costs={texts[currency]: cost for currency, cost in costs.items()}),
                last_run,
                type=texts.get(titles[number][1]) if number in titles else None,
            )
            for number, figures, costs, last_run, _ in found
        ]

    def details(self, keys: Sequence[str], first: int, last: int, edges: Sequence[int]) -> _Details:
        """Read histograms and trends of some groups; see ``steps.RolledDetails``."""
        among = set(keys)
        numbers = {number: key for number, key in self._names.items() if key in among}
        made = {number: GroupDetails(edges) for number in numbers}
        stretches = self._stretches(first, last)
        by_rows = bool(edges) and gcd(*edges) % HOUR_MS != 0
        has_trend = bool(edges) and not by_rows
        for each in stretches:
            if each.unit == "day":
                self._read_days(each, made, edges if has_trend else ())
            else:
                self._read_ends(each, made, has_trend=has_trend)
        if by_rows:
            self._count_rows(first, last, gcd(*edges), made)
        return {key: (made[number].histogram(), made[number].trend()) for number, key in numbers.items()}

    def _read_days(self, stretch: Stretch, made: dict[int, GroupDetails], edges: Sequence[int]) -> None:
        sql = (
            f"SELECT j.value, s.day, {'s.hours' if edges else 'NULL'}, s.durations FROM json_each(?) j CROSS JOIN "  # noqa: S608 - literals of ours
            f"{self._sources['day'].table} AND s.day {_range(stretch)}"
        )
        parts: dict[int, list[Piece]] = {}
        for number, day, hours, durations in rows(self._index, sql, (orjson.dumps(list(made)).decode(),)):
            made[number].add_durations(durations)
            if edges:
                if day not in parts:
                    parts[day] = parts_of(day, edges)
                made[number].add_hours(parts[day], hours)

    def _read_ends(self, stretch: Stretch, made: dict[int, GroupDetails], *, has_trend: bool) -> None:
        """Read hours or rows."""
        is_hour = stretch.unit == "hour"
        if is_hour:
            of_hours = f"s.workflow = j.value AND s.hour {_range(stretch)}"
            histogram = f"(SELECT {_HISTOGRAM} FROM durations s WHERE {of_hours})"  # noqa: S608 - literals of ours
            trend = self._arm(
                stretch, f"json_array(json_group_array(s.hour), json_group_array({_RUNS}), json_group_array(s.failed))"
            )
        else:
            ended = f"json_group_array(s.duration) FILTER (WHERE {is_ended('s')} AND s.duration IS NOT NULL)"
            histogram = self._arm(stretch, ended)
            trend = self._arm(
                stretch,
                f"json_array(json_group_array(s.create_time), json_group_array(1), json_group_array({_IS_FAILED}))",
            )
        for number, durations, points in self._each([histogram, trend if has_trend else "NULL"], made):
            making = made[number]
            found = orjson.loads(durations)
            if is_hour:
                for bucket, runs in zip(*found, strict=True):
                    making.durations[bucket] += runs
            else:
                making.durations.update(map(bucket_of, found))
            if points is not None:
                for at, runs, failed in zip(*orjson.loads(points), strict=True):
                    making.add(at * HOUR_MS if is_hour else at, runs, failed)

    def _count_rows(self, first: int, last: int, unit: int, made: dict[int, GroupDetails]) -> None:
        """Count the trend from rows: the buckets do not begin with hours of UTC."""
        sql = (
            f"SELECT j.value, s.create_time / {unit}, count(*), count(*) FILTER (WHERE {_IS_FAILED}) "  # noqa: S608 - literals of ours
            f"FROM json_each(?) j CROSS JOIN {self._sources['row'].table} "
            f"AND s.create_time BETWEEN {first} AND {last} GROUP BY 1, 2"
        )
        for number, at, runs, failed in rows(self._index, sql, (orjson.dumps(list(made)).decode(),)):
            made[number].add(at * unit, runs, failed)

    def _stretches(self, first: int, last: int) -> list[Stretch]:
        """Return the stretches of the window, as far as there are runs: days with all of their runs are whole."""
        begin, end = first // DAY_MS * DAY_MS, (last // DAY_MS + 1) * DAY_MS
        if self._filter.created_from is not None:
            begin = max(begin, self._filter.created_from)
        before = self._filter.created_before
        if before is not None and rows(self._index, _ANY_LATER, (before,)):
            end = min(end, before)
        found = stretches_of(begin, end)
        if not self._of_nodes:
            return found
        return [
            Stretch("row", each.begin * HOUR_MS, each.end * HOUR_MS) if each.unit == "hour" else each for each in found
        ]

    @cached_property
    def _sources(self) -> dict[str, _Source]:
        if not self._of_nodes:
            return _OF_WORKFLOW
        [workflow] = self._workflows
        return {unit: each._replace(table=each.table.format(workflow=workflow)) for unit, each in _OF_NODE.items()}

    def _arm(self, stretch: Stretch, value: str) -> str:
        """Return the subquery that reads *value*, which is JSON, of a group in a stretch."""
        source = self._sources[stretch.unit]
        return f"json((SELECT {value} FROM {source.table} AND {source.time} {_range(stretch)}))"  # noqa: S608 - literals of ours

    def _each(self, columns: Sequence[str], numbers: Iterable[int]) -> list[tuple[Any, ...]]:
        """Return the number and *columns* of each of some groups."""
        sql = f"SELECT j.value, {', '.join(columns)} FROM json_each(?) j"  # noqa: S608 - literals of ours
        return rows(self._index, sql, (orjson.dumps(list(numbers)).decode(),))


def _spent(costs: str) -> Counter[int]:
    """Return the sums by currency of JSON lists of objects."""
    spent = Counter[int]()
    for part in orjson.loads(costs):
        for each in part:
            for currency, cost in each.items():
                spent[int(currency)] += cost
    return spent


def _range(stretch: Stretch) -> str:
    return f"BETWEEN {stretch.begin} AND {stretch.end - 1}"
