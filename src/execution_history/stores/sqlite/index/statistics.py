"""Statistics: SQLite counts one bucket after the other over a range of one index."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo

import apsw

from execution_history.buckets import bucket_edges, zone_of
from execution_history.figures import (
    ENDED,
    MOST_GROUPS,
    Counted,
    figures_of,
    in_group_order,
    most_frequent,
    statistics_of,
)
from execution_history.query import (
    Bucket,
    FailureGroup,
    Figures,
    IndexReach,
    RecordFilter,
    RecordQuery,
    Statistics,
    StatisticsQuery,
)
from execution_history.stores.sqlite.changes import STATUS_NAMES, STATUS_NUMBERS
from execution_history.stores.sqlite.index.conditions import conditions_of
from execution_history.stores.sqlite.index.database import rows, statement
from execution_history.stores.sqlite.index.history import HistoryView
from execution_history.stores.sqlite.index.indexer import fingerprint_text
from execution_history.stores.sqlite.index.parts import Fragment, Part
from execution_history.stores.sqlite.index.plan import together
from execution_history.stores.sqlite.index.selecting import Question, one_moment, text_fragments

_NO_LIMIT: Final = float("inf")
_EVERYTHING: Final = 2**31
_ENDED: Final = ", ".join(str(STATUS_NUMBERS[status]) for status in sorted(ENDED))
_IS_ENDED: Final = f"FILTER (WHERE f.status IN ({_ENDED}) AND f.duration IS NOT NULL)"
_FIGURES: Final = ", ".join(
    [
        *(f"count(*) FILTER (WHERE f.status = {number})" for number in STATUS_NUMBERS.values()),
        "coalesce(sum(f.tokens), 0)",
        *(f"percentile_disc(f.duration, {part}) {_IS_ENDED}" for part in ("0.5", "0.95", "0.99")),
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
    if query.filter.conditions:
        return _of_documents(index, history, query, parts, reach)
    with one_moment(index):
        return _of_rows(index, query, zone, parts, reach)


def _of_rows(
    index: apsw.Connection, query: StatisticsQuery, zone: ZoneInfo, parts: Sequence[Part], reach: IndexReach
) -> Statistics:
    fragments = [c.fragment() for c in conditions_of(index, query.filter)] + text_fragments(query.filter, parts)
    counting = _Counting(index, fragments)
    span = counting.span()
    edges = bucket_edges(*span, query.bucket, zone) if span else []
    return Statistics(
        totals=counting.figures(),
        buckets=[Bucket(*edge, counting.figures(edge)) for edge in pairwise(edges)],
        error_codes=counting.error_codes(),
        failures=in_group_order(_group(counting, query, *row) for row in counting.failures()),
        reach=reach,
    )


class _Counting:
    """The counts over the rows that fulfil some conditions."""

    def __init__(self, index: apsw.Connection, fragments: Sequence[Fragment]) -> None:
        self.index = index
        self._fragments = list(fragments)

    def span(self) -> tuple[int, int] | None:
        """The first and the last create time."""
        first = self._ask("f.create_time", behind="ORDER BY f.create_time LIMIT 1")
        last = self._ask("f.create_time", behind="ORDER BY f.create_time DESC LIMIT 1")
        return (int(first[0][0]), int(last[0][0])) if first else None

    def figures(self, between: tuple[int, int] | None = None) -> Figures:
        """The figures of all rows, or of those that began from one time on and before another."""
        limits = [] if between is None else [Fragment("f.create_time >= ? AND f.create_time < ?", between)]
        row = self._ask(_FIGURES, limits)[0]
        counts = dict(zip(STATUS_NAMES, row, strict=False))
        p50, p95, p99 = (None if value is None else int(value) for value in row[-3:])
        return figures_of(counts, int(row[len(STATUS_NAMES)]), (p50, p95, p99))

    def error_codes(self) -> dict[str, int]:
        """The error codes and how often each is there."""
        found = self._ask("f.error_code, count(*)", [Fragment("f.error_code IS NOT NULL")], "GROUP BY f.error_code")
        return most_frequent({self.text(code): int(count) for code, count in found})

    def failures(self) -> list[tuple[Any, ...]]:
        """The most frequent fingerprints: how many, first and last seen."""
        return self._ask(
            "f.fingerprint, count(*), min(f.create_time), max(f.create_time)",
            [Fragment("f.fingerprint IS NOT NULL")],
            "GROUP BY f.fingerprint ORDER BY count(*) DESC, max(f.create_time) DESC, f.fingerprint "
            f"LIMIT {MOST_GROUPS}",
        )

    def newest(self, fingerprint: int) -> tuple[Any, ...]:
        """The newest row with a fingerprint: its workflow, its execution and its error code."""
        return self._ask(
            "f.workflow, f.execute_id, f.error_code",
            [Fragment("f.fingerprint = ?", (fingerprint,))],
            "ORDER BY f.create_time DESC, f.seq DESC LIMIT 1",
        )[0]

    def text(self, number: int) -> str:
        """A text by its number."""
        return str(rows(self.index, statement("text_of"), (number,))[0][0])

    def _ask(self, columns: str, limits: Sequence[Fragment] = (), behind: str = "") -> list[tuple[Any, ...]]:
        where = together([*self._fragments, *limits])
        sql = f"SELECT {columns} FROM facets f WHERE {where.sql} {behind}"  # noqa: S608 - literals of ours
        return rows(self.index, sql, where.values)


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
    sql = f"SELECT EXISTS (SELECT 1 FROM facets f WHERE {where.sql})"  # noqa: S608 - literals of ours
    return bool(rows(index, sql, where.values)[0][0])


def _of_documents(
    index: apsw.Connection, history: HistoryView, query: StatisticsQuery, parts: Sequence[Part], reach: IndexReach
) -> Statistics:
    """Where documents have to be looked into, all that could be meant are read."""
    question = Question.of(index, history, RecordQuery(filter=query.filter), parts)
    found, _ = question.search(None, _EVERYTHING, _NO_LIMIT)
    runs = [Counted(each.record, each.facts, each.row.seq) for each in found]
    fingerprints = {run.facts.fingerprint for run in runs if run.facts.fingerprint is not None}
    seen = {
        fingerprint
        for fingerprint in fingerprints
        if query.new_since is not None and _was_seen(index, query, fingerprint)
    }
    return statistics_of(query, runs, frozenset(seen), reach)
