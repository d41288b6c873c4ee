"""Rows of records in the order of a query, some at a time, with the documents of small ones."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import Any, Final, NamedTuple

from execution_history.errors import Message
from execution_history.query.cursor import Position
from execution_history.query.model import RecordQuery
from execution_history.query.predicates import In
from execution_history.query.steps import Row
from execution_history.records.partial import LARGE
from execution_history.stores.compression import StoredRecord
from execution_history.stores.postgres.access_path import TABLE, AccessPath, is_ordered
from execution_history.stores.postgres.moment import Moment
from execution_history.stores.postgres.predicate_sql import render
from execution_history.stores.postgres.search_terms import may_have
from execution_history.stores.sql_fragments import ColumnPredicate, Fragment, together, values_of

_INDEX: Final = re.compile(r"Scan (?:Backward )?(?:using|on) (executions_\w+)")
_MOST_WALKS: Final = 32
_KEYS: Final = "e.seq, e.version, e.size"
_LEFT_OUT: Final = "e.seq, 0, 0"
_STORED: Final = (
    f"e.workflow_id, e.execute_id, e.update_time, e.status, e.packing, "
    f"CASE WHEN e.size <= {LARGE} THEN e.document END, CASE WHEN e.size > {LARGE} THEN e.summary END"
)


class FoundRow(NamedTuple):
    """A row: its place, the bytes of its document, whether it has the tokens of a text, and what was read with it.

    ``has_text`` is ``None`` where that is not known.
    ``stored`` is ``None`` where the row was read alone; its document, too, where that is large.
    """

    row: Row
    size: int
    has_text: bool | None
    stored: StoredRecord | None = None
    summary: bytes | None = None


@dataclass(frozen=True, slots=True)
class RowScan:
    """The rows of one query.

    Args:
        moment: reads them.
        query: has the order.
        path: which rows are read.
        predicates: the conditions of all rows.
        text: the condition on the tokens of the text. Where the path has few rows, those without them are left out; of
            many, each row tells whether it has them.
    """

    moment: Moment
    query: RecordQuery
    path: AccessPath
    predicates: Sequence[ColumnPredicate]
    text: Fragment | None = None

    def rows(
        self, after: Position | None, limit: int, skip: int = 0, *, with_documents: bool = True, is_last: bool = False
    ) -> list[FoundRow]:
        """Return at most *limit* rows after *after*, or from the beginning, without the first *skip*.

        Args:
            after: the place of the last row before them.
            limit: how many.
            skip: how many more are left out.
            with_documents: whether to read small documents, and the summaries of large ones.
            is_last: whether the moment ends with them.
        """
        found: list[FoundRow] = []
        # Where many rows are sorted or skipped an index does that alone, and only those that remain are read.
        is_bare = self.path.has_few or skip > 0
        segments = self._segments(after)
        for number, segment in enumerate(segments):
            missing = limit - len(found)
            if missing <= 0:
                break
            statement = self._statement(segment, after, missing, skip, is_bare=is_bare, with_documents=with_documents)
            is_end = number == len(segments) - 1
            read = self.moment.rows(
                statement, is_usual=self._is_usual(skip), is_last=is_last and is_end and not is_bare
            )
            found += map(_found, read)
            if read:
                skip = 0
            elif skip and not is_end:
                skip = max(0, skip - self._count_of(segment, after))
        return self._completed(found, with_documents=with_documents) if is_bare else found

    def _completed(self, found: Sequence[FoundRow], *, with_documents: bool) -> list[FoundRow]:
        """Return the rows with what was left out of them, at the same moment."""
        seqs = [each.row.seq for each in found]
        columns = f"{_KEYS}, true, {_STORED}" if with_documents else f"{_KEYS}, true"
        sql = f"SELECT e.create_time, e.create_time, {columns} FROM {TABLE} WHERE e.seq = ANY(%s)"  # noqa: S608
        read = {each.row.seq: each for each in map(_found, self.moment.rows(Fragment(sql, (seqs,))) if seqs else ())}
        places = ((each.row, read.get(each.row.seq)) for each in found)
        return [new._replace(row=row._replace(revision=new.row.revision)) for row, new in places if new is not None]

    def total(self, most: int, tested: int) -> tuple[int, bool]:
        """Return the number of rows, and whether that is all of them.

        Of many rows only the first *most* of those that one index decides are looked at, or *tested* where that is not
        all there is to look at.
        """
        source, condition = self._source_and_condition(None, None)
        if self.path.count is not None and len(self.path.decided) == len(self.predicates):
            return self.path.count, True
        if self.path.has_few:
            sql = f"SELECT count(*) FROM {source.sql} WHERE {condition.sql}"  # noqa: S608 - literals of ours
            [(count,)] = self.moment.rows(Fragment(sql, values_of([source, condition])))
            return int(count), True
        if len(self.path.decided) < len(self.predicates):
            most = min(most, tested)
        bounded, tests = replace(self.path, count=most).source(self.predicates, most=most + 1)
        sql = f"SELECT count(*) FILTER (WHERE {tests.sql}), count(*) FROM {bounded.sql}"  # noqa: S608 - likewise
        [(count, looked_at)] = self.moment.rows(Fragment(sql, values_of([tests, bounded])))
        return min(int(count), most), looked_at <= most

    def with_text(self, after: Position | None, limit: int, most: int | None = None) -> tuple[int, list[FoundRow]]:
        """Find the rows after *after* that may have the text by it, and sort them.

        Returns:
            Their number, counted up to one more than *most*, and the first *limit* of them.
        """
        value, direction = f"e.{self.query.sort}", " DESC" if self.query.descending else ""
        tests = [*map(render, self.predicates), *([] if self.text is None else [may_have(self.text)])]
        if after is not None:
            tests.append(self._behind_all(value, after))
        where = together(tests)
        end = "" if most is None else f"LIMIT {most + 1}"
        sql = (
            f"WITH m (value, create_time, seq, version, size) AS MATERIALIZED (SELECT {value}, e.create_time, {_KEYS} "  # noqa: S608 - literals of ours
            f"FROM {TABLE} WHERE {where.sql} {end}) SELECT m.value, m.create_time, m.seq, m.version, m.size, true, "
            f"count(*) OVER () FROM m ORDER BY m.value{direction} NULLS LAST, m.create_time{direction}, "
            f"m.seq{direction} LIMIT {limit}"
        )
        read = self.moment.rows(Fragment(sql, where.values))
        return (int(read[0][-1]) if read else 0), [_found(columns[:-1]) for columns in read]

    def explain(self) -> Iterator[str]:
        """Yield PostgreSQL's plan of the first rows, in sentences."""
        statement = self._statement(
            self._segments(None)[0], None, self.query.size + 1, 0, is_bare=self.path.has_few, with_documents=False
        )
        found = self.moment.rows(Fragment(f"EXPLAIN (COSTS OFF) {statement.sql}", statement.values))
        lines = [str(line) for (line,) in found]
        for name in dict.fromkeys(scan[1] for scan in map(_INDEX.search, lines) if scan):
            yield Message("Walks a range of the index %(named)s.", named=name)
        if any(line.strip("-> ") in {"Sort", "Incremental Sort"} for line in lines):
            yield Message("Sorts what it has found.")

    def _is_usual(self, skip: int) -> bool:
        return not skip and self.text is None and is_ordered(self.predicates, self.query.sort)

    def _segments(self, after: Position | None) -> list[bool]:
        """Return the segments after *after*: false for rows with the value to sort by, true for those without it."""
        if self.query.sort == "create_time":
            return [False]
        return [True] if after is not None and after.value is None else [False, True]

    def _count_of(self, without_value: bool, after: Position | None) -> int:  # noqa: FBT001
        source, condition = self._source_and_condition(without_value, after)
        [(count,)] = self.moment.rows(
            Fragment(f"SELECT count(*) FROM {source.sql} WHERE {condition.sql}", values_of([source, condition]))  # noqa: S608
        )
        return int(count)

    def _statement(
        self,
        without_value: bool,  # noqa: FBT001
        after: Position | None,
        limit: int,
        skip: int,
        *,
        is_bare: bool,
        with_documents: bool,
    ) -> Fragment:
        flag = Fragment("true") if self.text is None or self.path.has_few else self.text
        columns = f"e.{self.query.sort}, e.create_time, {_LEFT_OUT if is_bare else _KEYS}, {flag.sql}"
        columns += f", {_STORED}" if with_documents and not is_bare else ""
        direction = " DESC" if self.query.descending else ""
        has_value = self.query.sort != "create_time" and not without_value
        order = [*([f"e.{self.query.sort}"] if has_value else []), "e.create_time", "e.seq"]
        by = ", ".join(column + direction for column in order)
        end = Fragment(f"LIMIT {limit}") if not skip else Fragment(f"LIMIT {limit} OFFSET %s", (skip,))
        walks = list(self._walks())
        arms = []
        for walk in walks:
            source, condition = self._source_and_condition(without_value, after, walk)
            within = f" ORDER BY {by} LIMIT {limit + skip}" if len(walks) > 1 else ""
            sql = f"SELECT {columns} FROM {source.sql} WHERE {condition.sql}{within}"  # noqa: S608 - literals of ours
            arms.append(Fragment(sql, values_of([flag, source, condition])))
        if len(arms) == 1:
            return Fragment(f"{arms[0].sql} ORDER BY {by} {end.sql}", (*arms[0].values, *end.values))
        places = ", ".join(f"{place}{direction}" for place in ((1, 2, 3) if has_value else (2, 3)))
        joined = " UNION ALL ".join(f"({arm.sql})" for arm in arms)
        return Fragment(f"{joined} ORDER BY {places} {end.sql}", (*values_of(arms), *end.values))

    def _source_and_condition(
        self,
        without_value: bool | None,  # noqa: FBT001
        after: Position | None,
        predicates: Sequence[ColumnPredicate] | None = None,
    ) -> tuple[Fragment, Fragment]:
        """Return the FROM clause and the condition of a segment, or of all rows."""
        listed = self.predicates if predicates is None else predicates
        needed = ", ".join(dict.fromkeys((self.query.sort, "create_time", "seq")))
        source, tests = self.path.source(listed, with_terms=self.text is not None, columns=needed)
        conditions = [tests] if tests.sql != "true" else []
        if self.text is not None and self.path.has_few:
            conditions.append(may_have(self.text))
        order = ["e.create_time", "e.seq"]
        if self.query.sort != "create_time" and without_value is not None:
            value = f"e.{self.query.sort}"
            conditions.append(Fragment(f"{value} IS NULL" if without_value else f"{value} IS NOT NULL"))
            if not without_value:
                order.insert(0, value)
        if after is not None and without_value == (after.value is None):
            conditions.append(self._behind(order, after))
        return source, together(conditions)

    def _behind(self, order: Sequence[str], after: Position) -> Fragment:
        values: tuple[Any, ...] = (after.create_time, after.arrival)
        if len(order) > len(values):
            values = (after.value, *values)
        sign = "<" if self.query.descending else ">"
        return Fragment(f"({', '.join(order)}) {sign} ({', '.join(['%s::bigint'] * len(order))})", values)

    def _behind_all(self, value: str, after: Position) -> Fragment:
        """Return the condition that a row of any segment is after *after*."""
        if self.query.sort == "create_time":
            return self._behind(["e.create_time", "e.seq"], after)
        without = Fragment(f"{value} IS NULL")
        if after.value is None:
            return together([without, self._behind(["e.create_time", "e.seq"], after)])
        behind = self._behind([value, "e.create_time", "e.seq"], after)
        return Fragment(f"{behind.sql} OR {without.sql}", behind.values)

    def _walks(self) -> Iterator[list[ColumnPredicate]]:
        """Yield the predicates of each range of an index that has the order; one of all, where several are no use."""
        several = [
            each
            for each in self.predicates
            if isinstance(each, In) and each.attribute.column in {"workflow", "status"} and len(each.values) > 1
        ]
        if self.path.has_few or not several or prod(len(each.values) for each in several) > _MOST_WALKS:
            yield list(self.predicates)
            return
        others = [each for each in self.predicates if each not in several]
        for values in product(*(each.values for each in several)):
            yield [*(replace(each, values=(value,)) for each, value in zip(several, values, strict=True)), *others]


def by_seq(seqs: Sequence[int]) -> Fragment:
    """Return the statement that reads the documents at *seqs*, in any order; each is a row of :func:`stored_of`."""
    columns = "e.seq, e.version, e.workflow_id, e.execute_id, e.create_time, e.update_time, e.status, e.size, e.packing"
    return Fragment(f"SELECT {columns}, e.document FROM {TABLE} WHERE e.seq = ANY(%s)", (list(seqs),))  # noqa: S608


def _found(columns: tuple[Any, ...]) -> FoundRow:
    value, create_time, seq, version, size, has_text, *stored = columns
    row = Row(value, create_time, seq, version)
    if not stored:
        return FoundRow(row, size, has_text)
    workflow_id, execute_id, update_time, status, packing, document, summary = stored
    record = StoredRecord(workflow_id, execute_id, create_time, update_time, status, size, packing, document)
    return FoundRow(row, size, has_text, record, summary)
