"""Rows of the index in the order of a query, a few at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import apsw

from execution_history.errors import Message
from execution_history.query.cursor import Position
from execution_history.query.model import RecordQuery
from execution_history.query.steps import Row
from execution_history.stores.sql_fragments import ColumnPredicate, Fragment, together, values_of
from execution_history.stores.sqlite.index.access_path import AccessPath, choose_for_counting
from execution_history.stores.sqlite.index.connections import rows
from execution_history.stores.sqlite.queries import Value

_COUNTING_STEPS: Final = (100, 1_000, 10_000)


@dataclass
class IndexScan:
    """The walks of one query over one index.

    Args:
        index: a connection.
        query: has the order.
        path: the index that rows are read from.
        predicates: the conditions of the rows, including those that the path decides.
    """

    index: apsw.Connection
    query: RecordQuery
    path: AccessPath
    predicates: Sequence[ColumnPredicate]

    def rows(self, after: Position | None, limit: int, skip: int = 0) -> list[Row]:
        """Return at most *limit* rows after *after*, or from the beginning, without the first *skip*."""
        found: list[Row] = []
        for segment in self._segments(after):
            missing = skip + limit - len(found)
            if missing <= 0:
                break
            walks = list(self._walks(segment, after))
            if len(walks) == 1 and self.query.sort == "create_time":
                return self._read(walks, limit, skip)
            found += sorted(self._read(walks, missing, 0), key=self._rank)[:missing]
        return found[skip:]

    def count(self) -> Iterator[tuple[int, bool]]:
        """Yield the number of rows, counted up to 100, 1 000 and 10 000, and whether that is all of them."""
        path = self.path
        if path.text is None:
            path = choose_for_counting(self.predicates, path)
        counted = path.bounded(path.tests(self.predicates))
        for bound in _COUNTING_STEPS:
            sql = f"SELECT count(*) FROM ({counted.sql})"  # noqa: S608 - literals of ours
            found = int(rows(self.index, sql, (*counted.values, bound + 1))[0][0])
            yield min(found, bound), found <= bound
            if found <= bound:
                return

    def explain(self) -> Iterator[str]:
        """Yield SQLite's query plan of the first walk, in sentences."""
        for walk in list(self._walks(self._segments(None)[0], None))[:1]:
            for row in rows(self.index, f"EXPLAIN QUERY PLAN {walk.sql}", (*walk.values, 1, 0)):
                if sentence := _sentence(str(row[3])):
                    yield sentence
        if (walks := self.path.count_walks()) > 1:
            yield Message("The same is done for %(walks)s values, and the rows are put together in order.", walks=walks)

    def _rank(self, row: Row) -> tuple[bool, int, int, int]:
        return row.position.rank(descending=self.query.descending)

    def _segments(self, after: Position | None) -> list[bool]:
        """Return the segments after *after*: false for rows with the value to sort by, true for those without it."""
        if self.query.sort == "create_time":
            return [False]
        return [True] if after is not None and after.value is None else [False, True]

    def _walks(self, without_value: bool, after: Position | None) -> Iterator[Fragment]:  # noqa: FBT001
        """Yield the statement of each walk; its last parameters are limit and offset."""
        prefix = self.path.prefix()
        order = [f"{prefix}.create_time", f"{prefix}.seq"]
        value = f"f.{self.query.sort}"
        limits: list[Fragment] = []
        if self.query.sort != "create_time":
            limits.append(Fragment(f"{value} IS NULL" if without_value else f"{value} IS NOT NULL"))
            if not without_value:
                order.insert(0, value)
        if after is not None and without_value == (after.value is None):
            limits.append(self._behind(order, after))
        direction = " DESC" if self.query.descending else ""
        tests = self.path.tests(self.predicates)
        path = self.path.without_value() if without_value else self.path
        for walk in path.walks():
            where = together([walk, *tests, *limits])
            yield Fragment(
                f"SELECT {value}, f.create_time, f.seq, f.revision FROM {path.source()} "  # noqa: S608
                f"WHERE {where.sql} ORDER BY {', '.join(column + direction for column in order)} LIMIT ? OFFSET ?",
                where.values,
            )

    def _behind(self, order: Sequence[str], after: Position) -> Fragment:
        values: tuple[Value, ...] = (after.create_time, after.arrival)
        if len(order) > len(values):
            values = (after.value or 0, *values)
        sign = "<" if self.query.descending else ">"
        return Fragment(f"({', '.join(order)}) {sign} ({', '.join('?' * len(order))})", values)

    def _read(self, walks: Sequence[Fragment], limit: int, skip: int) -> list[Row]:
        if not walks:
            return []
        limited = [Fragment(walk.sql, (*walk.values, limit, skip)) for walk in walks]
        sql = limited[0].sql
        if len(limited) > 1:
            sql = " UNION ALL ".join(f"SELECT * FROM ({each.sql})" for each in limited)  # noqa: S608
        found: list[tuple[Any, ...]] = rows(self.index, sql, values_of(limited))
        return list(map(Row._make, found))


def _sentence(detail: str) -> str | None:
    """Return a line of EXPLAIN QUERY PLAN as a sentence; ``None`` where it explains nothing."""
    verb, _, rest = detail.partition(" ")
    _, _, named = rest.partition("INDEX ")
    if "SUBQUERY" in detail or rest.startswith("texts "):
        return None
    if rest.startswith("t USING"):
        return Message("Walks the records of the rarest tag or failed node in the order of time.")
    if rest.startswith("f USING INTEGER PRIMARY KEY"):
        return Message("Looks each of them up by its number.")
    if "VIRTUAL TABLE" in detail:
        return Message("Reads the rows with the text from the text index.")
    if verb == "SEARCH" and named:
        return Message("Walks a range of the index %(named)s.", named=named)
    if verb == "SCAN" and named:
        return Message("Walks the whole index %(named)s in its order.", named=named)
    if "TEMP B-TREE" in detail:
        return Message("Sorts what it has found.")
    return f"SQLite: {detail}."
