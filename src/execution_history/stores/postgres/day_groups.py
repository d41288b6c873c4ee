"""The nodes of a workflow with very many runs: whole days from their sums, what these leave out from rows."""

from collections.abc import Sequence
from functools import cached_property
from math import gcd
from typing import Final, NamedTuple

from execution_history.query.breakdown import TrendPoint
from execution_history.query.breakdown_plan import GroupSums
from execution_history.query.fields import RecordFilter
from execution_history.query.rollups import DAY_HOURS, Piece, bucket_of
from execution_history.records.time_units import DAY_MS, HOUR_MS
from execution_history.stores.day_sums import MOST_NODES, GroupDetails, parts_of
from execution_history.stores.postgres.access_path import TABLE
from execution_history.stores.postgres.days import IS_VALID, WHOLE, nodes_of
from execution_history.stores.postgres.long_texts import texts_of
from execution_history.stores.postgres.moment import Moment, Rows
from execution_history.stores.postgres.stored_texts import stored_text
from execution_history.stores.sql_fragments import TOKENS, Fragment, counts_of, is_ended, sums_of
from execution_history.stores.status_numbers import STATUS_NAMES, STATUS_NUMBERS

_SUMMED: Final = (*STATUS_NAMES, *TOKENS)
_RUNS: Final = " + ".join(f"r.{name}" for name in STATUS_NAMES)
_OF_DAYS: Final = ", ".join(f"sum(d.{name})::bigint" for name in _SUMMED)
_IS_FAILED: Final = f"n.status = {STATUS_NUMBERS['failed']}"
_ANY_LATER: Final = (
    f"SELECT 1 FROM {TABLE} WHERE e.workflow_id = %s AND e.create_time >= %s ORDER BY e.create_time LIMIT 1"  # noqa: S608 - literals of ours
)

_Details = dict[str, tuple[dict[int, int], dict[int, TrendPoint]]]


class _Window(NamedTuple):
    """The days whose sums are taken, and the times (ms, the end excluded) of the rows that are counted besides.

    ``uncounted`` is ``None``, or the time from which on all runs are counted, and how many older ones are not.
    """

    days: dict[int, int]
    times: list[tuple[int, int]]
    uncounted: tuple[int, int] | None


class DayGroups:
    """The nodes of the workflow of a filter.

    Args:
        moment: reads.
        record_filter: has one workflow, and times.
        most: runs that are counted from rows, where their days have not been added up; of more the newest.
    """

    def __init__(self, moment: Moment, record_filter: RecordFilter, most: int) -> None:
        self._moment = moment
        self._filter = record_filter
        self._most = most
        self._window: _Window | None = None
        self._keys: dict[str, str] = {}

    @cached_property
    def _workflow(self) -> str:
        return stored_text(self._filter.workflow_ids[0])

    @cached_property
    def _nodes(self) -> list[str]:
        return [node for (node,) in self._moment.rows(nodes_of(self._workflow))]

    @property
    def has_all(self) -> bool:
        """Whether all nodes have sums: not those of a workflow that names them anew in each run."""
        return len(self._nodes) <= MOST_NODES

    @property
    def uncounted(self) -> tuple[int, int] | None:
        """The time (ms) from which on all runs are counted, and how many older ones are not; ``None`` if none is."""
        return None if self._window is None else self._window.uncounted

    def groups(self, first: int, last: int) -> list[GroupSums]:
        """Count the runs from *first* to *last* (ms) by node; see ``steps.RolledGroups``."""
        window = self._read_window(first, last)
        figures: dict[str, list[int]] = {}
        for node, *columns in (*self._of_days(window), *self._of_rows(counts_of("n"), window.times)):
            known = figures.setdefault(node, [0] * len(columns))
            figures[node] = [one + int(other) for one, other in zip(known, columns, strict=True)]
        figures = {node: columns for node, columns in figures.items() if any(columns[: len(STATUS_NAMES)])}
        newest = {node: columns for node, *columns in self._newest(list(figures), last)}
        texts = texts_of(
            self._moment, {*figures, *(text for _, *named in newest.values() for text in named if text is not None)}
        )
        self._keys = {texts[node]: node for node in figures}
        return [
            GroupSums(
                texts[node], texts[newest[node][1]], sums_of(columns), newest[node][0], type=texts.get(newest[node][2])
            )
            for node, columns in figures.items()
            if node in newest
        ]

    def details(self, keys: Sequence[str], first: int, last: int, edges: Sequence[int]) -> _Details:
        """Read histograms and trends of some nodes; see ``steps.RolledDetails``."""
        window = self._read_window(first, last)
        names = {self._keys[key]: key for key in keys}
        made = {node: GroupDetails(edges) for node in names}
        # Days have the trend by hours of UTC.
        by_hours = bool(edges) and gcd(*edges) % HOUR_MS == 0
        parts: dict[int, list[Piece]] = {}
        for node, day, hours, durations in self._packed(window, list(names)):
            made[node].add_durations(durations)
            if by_hours:
                made[node].add_hours(parts.get(day) or parts.setdefault(day, parts_of(day, edges)), hours)
        ended = f"{is_ended('n')} AND n.duration IS NOT NULL"
        for node, duration, runs in self._of_rows("n.duration, count(*)", window.times, ended, "n.duration", names):
            made[node].durations[bucket_of(duration)] += runs
        if edges:
            times = window.times if by_hours else [*window.times, *_times_of(window.days)]
            listed = "ARRAY[" + ", ".join(map(str, edges)) + "]::bigint[]"
            bucket = f"width_bucket(n.create_time, {listed}) - 1"
            counted = f"{bucket}, count(*), count(*) FILTER (WHERE {_IS_FAILED})"
            for node, *point in self._of_rows(counted, times, by=bucket, among=names):
                made[node].add_to(*point)
        return {key: (made[node].histogram(), made[node].trend()) for node, key in names.items()}

    def _read_window(self, first: int, last: int) -> _Window:
        """Read what is summed of the days from *first* to *last*, as far as the window has them whole."""
        if self._window is not None:
            return self._window
        begin, end = first // DAY_MS * DAY_MS, (last // DAY_MS + 1) * DAY_MS
        if self._filter.created_from is not None:
            begin = max(begin, self._filter.created_from)
        before = self._filter.created_before
        if before is not None and self._moment.rows(Fragment(_ANY_LATER, (self._workflow, before))):
            end = min(end, before)
        sql = (
            "SELECT x.day, x.runs, (SELECT s.until FROM execution_history.day_stamps s "  # noqa: S608 - literals of ours
            f"WHERE s.workflow_id = %s AND s.day = x.day AND s.has_nodes AND {IS_VALID}) FROM "
            f"(SELECT r.hour / {DAY_HOURS} AS day, sum({_RUNS})::bigint AS runs FROM execution_history.rollups r "
            "WHERE r.workflow_id = %s AND r.hour >= %s AND r.hour < %s GROUP BY 1) x ORDER BY x.day DESC"
        )
        values = (self._workflow, self._workflow, begin // HOUR_MS, -(-end // HOUR_MS))
        self._window = _divided(self._moment.rows(Fragment(sql, values)), begin, end, self._most)
        return self._window

    def _of_days(self, window: _Window) -> Rows:
        if not window.days:
            return []
        sql = (
            f"SELECT d.node, {_OF_DAYS} FROM execution_history.days d WHERE d.workflow_id = %s AND d.day = ANY(%s) "  # noqa: S608 - literals of ours
            "AND d.node <> %s GROUP BY d.node"
        )
        return self._moment.rows(Fragment(sql, (self._workflow, list(window.days), WHOLE)))

    def _packed(self, window: _Window, among: Sequence[str]) -> Rows:
        if not window.days:
            return []
        sql = (
            "SELECT d.node, d.day, d.hours, d.durations FROM execution_history.days d "
            "WHERE d.workflow_id = %s AND d.day = ANY(%s) AND d.node = ANY(%s)"
        )
        return self._moment.rows(Fragment(sql, (self._workflow, list(window.days), list(among))))

    def _of_rows(
        self,
        figures: str,
        times: Sequence[tuple[int, int]],
        condition: str = "true",
        by: str = "",
        among: dict[str, str] | None = None,
    ) -> Rows:
        """Return *figures* of the rows in some times for each node, and for each value of *by*."""
        if not times:
            return []
        group = f"n.node, {by}" if by else "n.node"
        sql = (
            f"SELECT n.node, {figures} FROM unnest(%s::bigint[], %s::bigint[]) AS j (begin_at, end_at) "  # noqa: S608 - literals of ours
            "CROSS JOIN unnest(%s::text[]) AS k (node) JOIN execution_history.nodes n ON n.workflow_id = %s "
            "AND n.node = k.node AND n.create_time >= j.begin_at AND n.create_time < j.end_at "
            f"WHERE {condition} GROUP BY {group}"
        )
        nodes = self._nodes if among is None else list(among)
        return self._moment.rows(Fragment(sql, (*map(list, zip(*times, strict=True)), nodes, self._workflow)))

    def _newest(self, among: Sequence[str], last: int) -> Rows:
        """Return when the newest run of each node began, at *last* at the latest, and what it is called there."""
        sql = (
            "SELECT k.node, x.create_time, x.title, x.type FROM unnest(%s::text[]) AS k (node) CROSS JOIN LATERAL "
            "(SELECT n.create_time, n.title, n.type FROM execution_history.nodes n WHERE n.workflow_id = %s "
            "AND n.node = k.node AND n.create_time <= %s ORDER BY n.create_time DESC LIMIT 1) x"
        )
        return self._moment.rows(Fragment(sql, (list(among), self._workflow, last)))


def _divided(found: Sequence[tuple[int, int, int | None]], begin: int, end: int, most: int) -> _Window:
    """Divide the window into days that are summed and times whose rows are counted, at most *most* of them.

    Args:
        found: the days, the newest first, with their runs, and until which hour they are summed.
        begin: where the window begins (ms).
        end: where it ends, excluded.
        most: runs; a day more is counted all the same where it is the newest.
    """
    days: dict[int, int] = {}
    times: list[tuple[int, int]] = []
    counted = missing = 0
    since = begin
    for day, runs, until in found:
        start, stop = max(begin, day * DAY_MS), min(end, (day + 1) * DAY_MS)
        if until is not None and start == day * DAY_MS and until * HOUR_MS <= stop:
            days[day] = until
            start = until * HOUR_MS
        else:
            if missing or (counted and counted + runs > most):
                since = max(since, stop)
                missing += runs
                continue
            counted += runs
        if start < stop:
            times.append((start, stop))
    return _Window(days, times, (since, missing) if missing else None)


def _times_of(days: dict[int, int]) -> list[tuple[int, int]]:
    return [(day * DAY_MS, until * HOUR_MS) for day, until in days.items()]
