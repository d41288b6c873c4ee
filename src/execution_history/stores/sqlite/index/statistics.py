"""Statistics: SQLite counts one bucket after the other over a range of one index."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo

import apsw

from execution_history.query.model import (
    Bucket,
    FailureGroup,
    Figures,
    IndexReach,
    RecordFilter,
    RecordQuery,
    Statistics,
    StatisticsQuery,
)
from execution_history.query.statistics import (
    ENDED,
    MOST_GROUPS,
    Counted,
    figures_of,
    in_group_order,
    most_frequent,
    statistics_of,
)
from execution_history.query.time_buckets import bucket_edges, zone_of
from execution_history.stores.sqlite.index.access_path import together
from execution_history.stores.sqlite.index.connections import rows, statement
from execution_history.stores.sqlite.index.history_source import HistoryView
from execution_history.stores.sqlite.index.index_plugin import Part
from execution_history.stores.sqlite.index.indexer import fingerprint_text
from execution_history.stores.sqlite.index.predicate_sql import Condition, Within, conditions_of
from execution_history.stores.sqlite.index.select import Question, one_moment, text_candidates
from execution_history.stores.sqlite.index.sql_fragment import Fragment
from execution_history.stores.sqlite.index.text_candidates import Candidates
from execution_history.stores.status_numbers import STATUS_NAMES, STATUS_NUMBERS

_ENDED: Final = ", ".join(str(STATUS_NUMBERS[status]) for status in sorted(ENDED))
_PERCENTILES: Final = ", ".join(f"percentile_disc(f.duration, {part})" for part in ("0.5", "0.95", "0.99"))
_FIGURES: Final = ", ".join(
    [
        *(f"count(*) FILTER (WHERE f.status = {number})" for number in STATUS_NUMBERS.values()),
        "coalesce(sum(f.tokens), 0)",
        *(
            f"percentile_disc(f.duration, {part}) FILTER (WHERE f.status IN ({_ENDED}))"
            for part in ("0.5", "0.95", "0.99")
        ),
    ]
)


def statistics(
    index: apsw.Connection, history: HistoryView, query: StatisticsQuery, parts: Sequence[Part], reach: IndexReach
) -> Statistics:
    """The answer to *query*.

    Raises:
        InvalidQuery: there is no such time zone, there would be too many buckets, or it asks for text and there is no
            text search.
    """
    zone = zone_of(query.zone)
    text = text_candidates(query.filter, parts)
    if query.filter.predicate().of_documents().parts or (text is not None and not text.match.is_exact):
        return _of_documents(index, history, query, parts, reach)
    with one_moment(index):
        return _of_rows(index, query, zone, text, reach)


def _of_rows(
    index: apsw.Connection, query: StatisticsQuery, zone: ZoneInfo, text: Candidates | None, reach: IndexReach
) -> Statistics:
    conditions = conditions_of(index, query.filter)
    counting = _Counting(index, conditions, [] if text is None else [text.membership()])
    span = counting.find_span()
    if span is None:
        return statistics_of(query, [], frozenset(), reach)
    edges = bucket_edges(*span, query.bucket, zone)
    buckets = [Bucket(*edge, counting.figures(*edge)) for edge in pairwise(edges)]
    return Statistics(
        totals=counting.totals([bucket.figures for bucket in buckets]),
        buckets=buckets,
        error_codes=counting.error_codes(),
        failures=in_group_order(_group(counting, query, *row) for row in counting.failures()),
        reach=reach,
    )


class _Counting:
    """The counts over the rows that fulfil some conditions.

    Every statement has one range of times: of several, SQLite would walk the first and test the others.
    """

    def __init__(self, index: apsw.Connection, conditions: Sequence[Condition], extra: Sequence[Fragment]) -> None:
        self.index = index
        times = [c for c in conditions if isinstance(c, Within) and c.column == "create_time"]
        self._times = [time.fragment() for time in times]
        self._fragments = [c.fragment() for c in conditions if c not in times] + list(extra)
        by_workflow = any(condition.name == "workflow" for condition in conditions)
        self._errors = "by_workflow_error" if by_workflow else "by_error"
        self._failures = "by_workflow_failure" if by_workflow else "by_fingerprint"

    def find_span(self) -> tuple[int, int] | None:
        """The first and the last create time; what is counted afterwards lies between them."""
        first = self._ask("f.create_time", behind="ORDER BY f.create_time LIMIT 1")
        last = self._ask("f.create_time", behind="ORDER BY f.create_time DESC LIMIT 1")
        if not first:
            return None
        self._first, self._last = int(first[0][0]), int(last[0][0])
        self._times = [_between(self._first, self._last)]
        return self._first, self._last

    def totals(self, parts: Sequence[Figures]) -> Figures:
        """The figures of all rows; *parts* are those of every bucket."""
        counts = {name: sum(part.counts[name] for part in parts) for name in STATUS_NAMES}
        p50, p95, p99 = self._ask(_PERCENTILES, [Fragment(f"+f.status IN ({_ENDED})")])[0]
        return figures_of(counts, sum(part.tokens for part in parts), (_whole(p50), _whole(p95), _whole(p99)))

    def figures(self, start: int, end: int) -> Figures:
        """The figures of the rows that began from *start* on and before *end*."""
        times = _between(max(start, self._first), min(end - 1, self._last))
        row = self._ask(_FIGURES, times=[times])[0]
        counts = dict(zip(STATUS_NAMES, row, strict=False))
        p50, p95, p99 = map(_whole, row[-3:])
        return figures_of(counts, int(row[len(STATUS_NAMES)]), (p50, p95, p99))

    def error_codes(self) -> dict[str, int]:
        """The error codes and how often each is there."""
        found = self._ask(
            "f.error_code, count(*)", [Fragment("f.error_code IS NOT NULL")], "GROUP BY f.error_code", self._errors
        )
        return most_frequent({self.text(code): int(count) for code, count in found})

    def failures(self) -> list[tuple[Any, ...]]:
        """The most frequent fingerprints: how many, first and last seen."""
        return self._ask(
            "f.fingerprint, count(*), min(f.create_time), max(f.create_time)",
            [Fragment("f.fingerprint IS NOT NULL")],
            "GROUP BY f.fingerprint ORDER BY count(*) DESC, max(f.create_time) DESC, f.fingerprint "
            f"LIMIT {MOST_GROUPS}",
            self._failures,
        )

    def newest(self, fingerprint: int) -> tuple[Any, ...]:
        """The newest row with a fingerprint: its workflow, its execution and its error code."""
        return self._ask(
            "f.workflow, f.execute_id, f.error_code",
            [Fragment("f.fingerprint = ?", (fingerprint,))],
            "ORDER BY f.create_time DESC, f.seq DESC LIMIT 1",
            "by_fingerprint",
        )[0]

    def text(self, number: int) -> str:
        """A text by its number."""
        return str(rows(self.index, statement("text_of"), (number,))[0][0])

    def _ask(
        self,
        columns: str,
        limits: Sequence[Fragment] = (),
        behind: str = "",
        walked: str | None = None,
        times: Sequence[Fragment] | None = None,
    ) -> list[tuple[Any, ...]]:
        where = together([*self._fragments, *limits, *(self._times if times is None else times)])
        source = "facets f" if walked is None else f"facets f INDEXED BY {walked}"
        sql = f"SELECT {columns} FROM {source} WHERE {where.sql} {behind}"  # noqa: S608 - literals of ours
        return rows(self.index, sql, where.values)


def _between(first: int, last: int) -> Fragment:
    return Fragment("f.create_time >= ? AND f.create_time <= ?", (first, last))


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _group(
    counting: _Counting, query: StatisticsQuery, fingerprint: int, count: int, first: int, last: int
) -> FailureGroup:
    workflow, execute_id, code = counting.newest(fingerprint)
    title = rows(counting.index, statement("failure_title"), (fingerprint,))
    return FailureGroup(
        fingerprint=fingerprint_text(fingerprint),
        title=str(title[0][0]),
        error_code=None if code is None else counting.text(code),
        count=count,
        first_seen=first,
        last_seen=last,
        workflow_id=counting.text(workflow),
        execute_id=execute_id,
        is_new=query.new_since is not None and not _was_seen(counting.index, query, fingerprint_text(fingerprint)),
    )


def _was_seen(index: apsw.Connection, query: StatisticsQuery, fingerprint: str) -> bool:
    """Whether these workflows had such a failure before it would be new."""
    earlier = RecordFilter(
        workflow_ids=query.filter.workflow_ids, created_before=query.new_since, fingerprints=(fingerprint,)
    )
    where = together([condition.fragment() for condition in conditions_of(index, earlier)])
    sql = f"SELECT EXISTS (SELECT 1 FROM facets f INDEXED BY by_fingerprint WHERE {where.sql})"  # noqa: S608 - literals of ours
    return bool(rows(index, sql, where.values)[0][0])


def _of_documents(
    index: apsw.Connection, history: HistoryView, query: StatisticsQuery, parts: Sequence[Part], reach: IndexReach
) -> Statistics:
    """Where documents have to be looked into, all that could be meant are read."""
    question = Question.of(index, history, RecordQuery(filter=query.filter), parts)
    runs = [
        Counted(each.record["workflow_id"], each.record["execute_id"], each.facts, each.row.seq)
        for each in question.everything()
    ]
    fingerprints = {run.facts.fingerprint for run in runs if run.facts.fingerprint is not None}
    seen = {
        fingerprint
        for fingerprint in fingerprints
        if query.new_since is not None and _was_seen(index, query, fingerprint)
    }
    return replace(statistics_of(query, runs, frozenset(seen), reach), damaged=tuple(question.damaged))
