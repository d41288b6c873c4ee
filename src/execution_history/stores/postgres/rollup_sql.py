"""Counts of very many runs: whole hours from the rollups, what is left at their ends from the rows."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from execution_history.query.rollups import Piece, bucket_of, hours_within, pieces_within
from execution_history.query.statistics import Sums
from execution_history.records.time_units import HOUR_MS
from execution_history.stores.postgres.access_path import TABLE
from execution_history.stores.postgres.moment import Moment, Rows
from execution_history.stores.postgres.stored_texts import stored_text
from execution_history.stores.sql_fragments import TOKENS, Fragment, counts_of, is_ended, sums_of, values_of
from execution_history.stores.status_numbers import STATUS_NAMES

_ROLLED: Final = ", ".join(f"sum(r.{name})::bigint" for name in (*STATUS_NAMES, *TOKENS))
_RUNS: Final = " + ".join(f"r.{name}" for name in STATUS_NAMES)
_PIECES: Final = "unnest(%s::integer[], %s::bigint[], %s::bigint[]) AS j (number, begin_at, end_at)"

RolledUp = tuple[int, Sums, dict[int, int]]
"""A bucket: its number, what was added up, and how many runs ended after which duration."""


class RollupSQL:
    """The rollups of some workflows, or of all.

    Args:
        moment: reads them.
        workflow_ids: none stands for all.
    """

    def __init__(self, moment: Moment, workflow_ids: Sequence[str]) -> None:
        self._moment = moment
        stored = list(map(stored_text, workflow_ids))
        self._of = "total_" if not stored else ""
        self._among = [Fragment("{}.workflow_id = ANY(%s)", (stored,))] if stored else []

    def number_of_runs(self, first: int, last: int) -> int:
        """Return the number of runs from *first* to *last* (ms, both included, from 0 on)."""
        begin, end = hours_within(first, last)
        if begin >= end:
            return sum(count for (count,) in self._moment.rows(self._rows_between("count(*)", first, last + 1)))
        rolled = self._where("r", Fragment("r.hour >= %s AND r.hour < %s", (begin, end)))
        arms = [
            Fragment(
                f"SELECT coalesce(sum({_RUNS}), 0)::bigint FROM execution_history.{self._of}rollups r "  # noqa: S608 - literals of ours
                f"WHERE {rolled.sql}",
                rolled.values,
            ),
            self._rows_between("count(*)", first, begin * HOUR_MS),
            self._rows_between("count(*)", end * HOUR_MS, last + 1),
        ]
        found = self._moment.rows(Fragment(" UNION ALL ".join(arm.sql for arm in arms), values_of(arms)))
        return sum(count for (count,) in found)

    def counts(self, first: int, last: int, edges: Sequence[int], *, has_durations: bool = True) -> list[RolledUp]:
        """Count the runs between each two of *edges*; see ``steps.RollupCounts``."""
        hours, ends = pieces_within(first, last, edges)
        of_times = Fragment("e.create_time >= j.begin_at AND e.create_time < j.end_at")
        ended = Fragment(f"{of_times.sql} AND {is_ended('e')} AND e.duration IS NOT NULL")
        rollups, durations = (f"execution_history.{self._of}{name} r" for name in ("rollups", "durations"))
        rows = self._of_hours(_ROLLED, rollups, hours)
        rows += self._of_rows(counts_of("e"), of_times, ends)
        if not has_durations:
            return _gathered(rows, [])
        long = self._of_hours("r.bucket, sum(r.runs)::bigint", durations, hours, by="r.bucket")
        short = self._of_rows("e.duration, count(*)", ended, ends, by="e.duration")
        return _gathered(rows, [*long, *((number, bucket_of(duration), runs) for number, duration, runs in short)])

    def costs(self, first: int, last: int, edges: Sequence[int]) -> Rows:
        """Add up the costs between each two of *edges*: the number of the bucket, currency, millionths."""
        hours, ends = pieces_within(first, last, edges)
        priced = Fragment("e.create_time >= j.begin_at AND e.create_time < j.end_at AND e.cost IS NOT NULL")
        rolled = f"execution_history.{self._of}costs r"
        found = self._of_hours("r.currency, sum(r.cost)::bigint", rolled, hours, by="r.currency")
        found += self._of_rows("e.currency, sum(e.cost)::bigint", priced, ends, by="e.currency")
        return found

    def _of_hours(self, figures: str, source: str, pieces: Sequence[Piece], by: str = "") -> Rows:
        """Return *figures* of the rollups for each piece, and for each value of *by*, from one range of hours."""
        if not pieces:
            return []
        edges = [edge for _, *ends in pieces for edge in ends]
        where = self._where("r", Fragment("r.hour >= %s AND r.hour < %s", (edges[0], edges[-1])))
        group = f"place, {by}" if by else "place"
        sql = f"SELECT width_bucket(r.hour, %s::bigint[]) AS place, {figures} FROM {source} WHERE {where.sql} GROUP BY {group}"  # noqa: S608, E501 - literals of ours
        found = self._moment.rows(Fragment(sql, (edges, *where.values)))
        # The hours between an end and the next beginning belong to no piece.
        return [(pieces[place // 2][0], *row) for place, *row in found if place % 2]

    def _of_rows(self, figures: str, condition: Fragment, pieces: Sequence[Piece], by: str = "") -> Rows:
        """Return *figures* of the rows for each piece, of which most are far apart, and for each value of *by*."""
        if not pieces:
            return []
        columns = [list(column) for column in zip(*pieces, strict=True)]
        where, group = self._where("e", condition), f"j.number, {by}" if by else "j.number"
        sql = f"SELECT j.number, {figures} FROM {_PIECES} JOIN {TABLE} ON {where.sql} GROUP BY {group}"  # noqa: S608 - literals of ours
        return self._moment.rows(Fragment(sql, (*columns, *where.values)))

    def _rows_between(self, figures: str, begin: int, end: int) -> Fragment:
        where = self._where("e", Fragment("e.create_time >= %s AND e.create_time < %s", (begin, end)))
        return Fragment(f"SELECT {figures} FROM {TABLE} WHERE {where.sql}", where.values)  # noqa: S608 - literals of ours

    def _where(self, table: str, condition: Fragment) -> Fragment:
        parts = [*(Fragment(each.sql.format(table), each.values) for each in self._among), condition]
        return Fragment(" AND ".join(part.sql for part in parts), values_of(parts))


def _gathered(rows: Rows, durations: Sequence[tuple[int, int, int]]) -> list[RolledUp]:
    counts: dict[int, list[int]] = {}
    histograms: dict[int, Counter[int]] = {}
    for number, *figures in rows:
        known = counts.setdefault(number, [0] * len(figures))
        counts[number] = [one + int(other) for one, other in zip(known, figures, strict=True)]
    for number, bucket, runs in durations:
        histograms.setdefault(number, Counter())[bucket] += runs
    return [(number, sums_of(each), dict(histograms.get(number, {}))) for number, each in sorted(counts.items())]
