"""Workflows of very many runs: whole hours from their rollups or sums of days, what is left at the ends from rows."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import gcd
from typing import Final

from execution_history.query.breakdown import TrendPoint
from execution_history.query.breakdown_plan import GroupSums
from execution_history.query.fields import RecordFilter
from execution_history.query.rollups import DAY_HOURS, bucket_of, hours_within
from execution_history.records.time_units import HOUR_MS
from execution_history.stores.day_sums import lanes_of, unpacked
from execution_history.stores.postgres.access_path import TABLE
from execution_history.stores.postgres.days import IS_VALID, WHOLE
from execution_history.stores.postgres.long_texts import texts_of
from execution_history.stores.postgres.moment import Moment, Rows
from execution_history.stores.postgres.stored_texts import stored_text
from execution_history.stores.sql_fragments import TOKENS, Fragment, counts_of, is_ended, sums_of, values_of
from execution_history.stores.status_numbers import STATUS_NAMES, STATUS_NUMBERS

_SUMS: Final = ", ".join(f"sum(r.{name})::bigint" for name in (*STATUS_NAMES, *TOKENS))
_RUNS: Final = " + ".join(f"r.{name}" for name in STATUS_NAMES)
_IS_FAILED: Final = f"e.status = {STATUS_NUMBERS['failed']}"

_Details = dict[str, tuple[dict[int, int], dict[int, TrendPoint]]]


class RollupGroups:
    """The workflows of a filter, as the rollups have them.

    Args:
        moment: reads.
        record_filter: has workflows and times only.
    """

    def __init__(self, moment: Moment, record_filter: RecordFilter) -> None:
        self._moment = moment
        self._filter = record_filter
        self._stored = list(map(stored_text, record_filter.workflow_ids))
        self._keys: dict[str, str] = {}

    def groups(self, first: int, last: int) -> list[GroupSums]:
        """Count all runs from *first* to *last* by workflow; see ``steps.RolledGroups``."""
        rolled = self._rolled(_SUMS, "rollups", first, last)
        ends = self._ends(f"{counts_of('e')}, max(e.create_time)", first, last)
        figures: dict[str, list[int]] = {}
        newest: dict[str, int] = {key: last_run for key, *_, last_run in ends}
        for key, *columns in (*rolled, *(row[:-1] for row in ends)):
            known = figures.setdefault(key, [0] * len(columns))
            figures[key] = [one + int(other) for one, other in zip(known, columns, strict=True)]
        figures = {key: columns for key, columns in figures.items() if any(columns[: len(STATUS_NAMES)])}
        for key, last_run in self._newest([key for key, *_ in rolled], last):
            newest[key] = max(last_run or 0, newest.get(key, 0))
        costs: dict[str, Counter[str]] = {}
        priced = self._rolled("r.currency, sum(r.cost)::bigint", "costs", first, last, by="r.currency")
        priced += self._ends("e.currency, sum(e.cost)::bigint", first, last, "e.cost IS NOT NULL", by="e.currency")
        texts = texts_of(self._moment, {*figures, *(currency for _, currency, _ in priced)})
        for key, currency, cost in priced:
            costs.setdefault(key, Counter())[texts[currency]] += cost
        self._keys = {texts[key]: key for key in figures}
        return [
            GroupSums(texts[key], texts[key], sums_of(columns)._replace(costs=costs.get(key, {})), newest[key])
            for key, columns in figures.items()
        ]

    def details(self, keys: Sequence[str], first: int, last: int, edges: Sequence[int]) -> _Details:
        """Read histograms and trends of some workflows; see ``steps.RolledDetails``."""
        among = [self._keys[key] for key in keys]
        histograms: dict[str, Counter[int]] = {key: Counter() for key in among}
        for key, counted in self._durations(among, first, last):
            histograms[key].update(counted)
        ended = f"{is_ended('e')} AND e.duration IS NOT NULL"
        for key, duration, runs in self._ends("e.duration, count(*)", first, last, ended, among, "e.duration"):
            histograms[key][bucket_of(duration)] += runs
        trends: dict[str, dict[int, list[int]]] = {key: {} for key in among}
        for key, bucket, runs, failed in self._trend(among, first, last, edges) if edges else ():
            point = trends[key].setdefault(bucket, [0, 0])
            point[0] += runs
            point[1] += failed
        return {
            key: (dict(histograms[stored]), {n: TrendPoint(*point) for n, point in trends[stored].items() if point[0]})
            for key, stored in self._keys.items()
            if stored in histograms
        }

    def _durations(self, among: Sequence[str], first: int, last: int) -> Iterator[tuple[str, Mapping[int, int]]]:
        """Yield histograms of the whole hours: those of days that are added up, and of the hours that are left."""
        begin, end = hours_within(*self._window(first, last))
        if begin >= end:
            return
        sql = (
            "SELECT s.workflow_id, s.day, s.until, d.durations FROM execution_history.day_stamps s "  # noqa: S608 - literals of ours
            "JOIN execution_history.days d ON d.workflow_id = s.workflow_id AND d.day = s.day "
            f"WHERE s.workflow_id = ANY(%s) AND s.day >= %s AND s.until <= %s AND d.node = %s AND {IS_VALID}"
        )
        values = (list(among), -(-begin // DAY_HOURS), end, WHOLE)
        left = {key: [(begin, end)] for key in among}
        lanes = dict.fromkeys(among, 0)
        for key, day, until, packed in sorted(self._moment.rows(Fragment(sql, values))):
            lanes[key] += lanes_of(packed)
            start, stop = left[key].pop()
            left[key] += [(start, day * DAY_HOURS), (until, stop)]
        yield from ((key, unpacked(each)) for key, each in lanes.items())
        pieces = [(key, *piece) for key, each in left.items() for piece in each if piece[0] < piece[1]]
        if pieces:
            sql = (
                "SELECT r.workflow_id, r.bucket, sum(r.runs)::bigint FROM "
                "unnest(%s::text[], %s::bigint[], %s::bigint[]) AS j (workflow_id, begin_hour, end_hour) "
                "JOIN execution_history.durations r ON "
                "r.workflow_id = j.workflow_id AND r.hour >= j.begin_hour AND r.hour < j.end_hour GROUP BY 1, 2"
            )
            rows = self._moment.rows(Fragment(sql, tuple(map(list, zip(*pieces, strict=True)))))
            yield from ((key, {bucket: runs}) for key, bucket, runs in rows)

    def _trend(self, among: Sequence[str], first: int, last: int, edges: Sequence[int]) -> Rows:
        counted = f"count(*), count(*) FILTER (WHERE {_IS_FAILED})"
        listed = "ARRAY[" + ", ".join(map(str, edges)) + "]::bigint[]"
        of_rows = f"width_bucket(e.create_time, {listed}) - 1"
        if gcd(*edges) % HOUR_MS:
            where = Fragment("e.workflow_id = ANY(%s) AND e.create_time BETWEEN %s AND %s", (list(among), first, last))
            sql = f"SELECT e.workflow_id, {of_rows}, {counted} FROM {TABLE} WHERE {where.sql} GROUP BY 1, 2"  # noqa: S608 - literals of ours
            return self._moment.rows(Fragment(sql, where.values))
        of_hours = f"width_bucket(r.hour * {HOUR_MS}, {listed}) - 1"
        sums = f"{of_hours}, sum({_RUNS})::bigint, sum(r.failed)::bigint"
        rolled = self._rolled(sums, "rollups", first, last, among, of_hours)
        return rolled + self._ends(f"{of_rows}, {counted}", first, last, "true", among, of_rows)

    def _newest(self, among: Sequence[str], last: int) -> Rows:
        """Return when the newest run of each of some workflows began, at *last* at the latest."""
        if not among:
            return []
        sql = (
            "SELECT c.workflow_id, (SELECT e.create_time FROM execution_history.executions e WHERE "
            "e.workflow_id = c.workflow_id AND e.create_time <= %s ORDER BY e.create_time DESC, e.seq DESC LIMIT 1) "
            "FROM (SELECT r.workflow_id FROM execution_history.counters r WHERE r.workflow_id = ANY(%s) "
            "GROUP BY r.workflow_id) c"
        )
        return self._moment.rows(Fragment(sql, (last, list(among))))

    def _rolled(
        self, figures: str, table: str, first: int, last: int, among: Sequence[str] | None = None, by: str = ""
    ) -> Rows:
        """Return *figures* of the whole hours for each workflow and each value of *by*."""
        begin, end = hours_within(*self._window(first, last))
        if begin >= end:
            return []
        where = self._where("r", Fragment("r.hour >= %s AND r.hour < %s", (begin, end)), among)
        group = f"r.workflow_id, {by}" if by else "r.workflow_id"
        sql = f"SELECT r.workflow_id, {figures} FROM execution_history.{table} r WHERE {where.sql} GROUP BY {group}"  # noqa: S608 - literals of ours
        return self._moment.rows(Fragment(sql, where.values))

    def _ends(
        self,
        figures: str,
        first: int,
        last: int,
        condition: str = "true",
        among: Sequence[str] | None = None,
        by: str = "",
    ) -> Rows:
        """Return the same of the rows outside of whole hours."""
        start, stop = self._window(first, last)
        begin, end = hours_within(start, stop)
        left = [(start, begin * HOUR_MS), (end * HOUR_MS, stop + 1)] if begin < end else [(start, stop + 1)]
        group = f"e.workflow_id, {by}" if by else "e.workflow_id"
        found: Rows = []
        for piece in (piece for piece in left if piece[0] < piece[1]):
            times = Fragment(f"e.create_time >= %s AND e.create_time < %s AND {condition}", piece)
            where = self._where("e", times, among)
            sql = f"SELECT e.workflow_id, {figures} FROM {TABLE} WHERE {where.sql} GROUP BY {group}"  # noqa: S608 - literals of ours
            found += self._moment.rows(Fragment(sql, where.values))
        return found

    def _window(self, first: int, last: int) -> tuple[int, int]:
        """Return the first and the last millisecond of the window, as far as there are runs, else of whole hours."""
        begin, end = first // HOUR_MS * HOUR_MS, (last // HOUR_MS + 1) * HOUR_MS
        if self._filter.created_from is not None:
            begin = max(begin, self._filter.created_from)
        if self._filter.created_before is not None:
            end = min(end, self._filter.created_before)
        return begin, end - 1

    def _where(self, table: str, condition: Fragment, among: Sequence[str] | None) -> Fragment:
        listed = self._stored if among is None else list(among)
        if not listed and among is None:
            return condition
        parts = [Fragment(f"{table}.workflow_id = ANY(%s)", (listed,)), condition]
        return Fragment(" AND ".join(part.sql for part in parts), values_of(parts))
