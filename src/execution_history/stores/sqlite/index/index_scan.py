"""Rows of the index in the order that was asked for, a few at a time."""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, NamedTuple

import apsw

from execution_history.errors import Message
from execution_history.query.matcher import Position
from execution_history.query.model import RecordQuery
from execution_history.stores.sqlite.index.access_path import Driver, choose_for_counting, prod_of, together
from execution_history.stores.sqlite.index.connections import rows
from execution_history.stores.sqlite.index.predicate_sql import Condition
from execution_history.stores.sqlite.index.sql_fragment import Fragment

_COUNTING_STEPS: Final = (100, 1_000, 10_000)


class Row(NamedTuple):
    """One row: what is sorted by, when the run began, its place in the order of arrival, and its revision."""

    value: int | None
    create_time: int
    seq: int
    revision: int

    @property
    def position(self) -> Position:
        """Where it stands in the order."""
        return Position(self.value, self.create_time, self.seq)


@dataclass(frozen=True, slots=True)
class _Statement:
    sql: str
    values: tuple[Any, ...]


class Walk:
    """The walks of one question over one index.

    Args:
        index: a connection.
        query: the order.
        driver: where rows come from.
        conditions: what they have to fulfil; those that the driver answers among them.
    """

    def __init__(
        self,
        index: apsw.Connection,
        query: RecordQuery,
        driver: Driver,
        conditions: Sequence[Condition],
    ) -> None:
        self._index = index
        self._query = query
        self._driver = driver
        self._conditions = list(conditions)
        self._tests = _tests(driver, conditions)
        self._column = query.sort

    def with_driver(self, driver: Driver) -> "Walk":
        """The same rows, taken from elsewhere."""
        return Walk(self._index, self._query, driver, self._conditions)

    def rows(self, after: Position | None, most: int, skip: int = 0) -> list[Row]:
        """At most *most* rows behind *after*, or from the beginning, without the first *skip*."""
        found: list[Row] = []
        for segment in self._segments(after):
            missing = skip + most - len(found)
            if missing <= 0:
                break
            walks = list(self._statements(segment, after))
            if len(walks) == 1 and self._column == "create_time":
                return self._read(walks[0], most, skip)
            parts = [self._read(walk, missing, 0) for walk in walks]
            found += islice(heapq.merge(*parts, key=self._rank), missing)
        return found[skip:]

    def count(self) -> Iterator[tuple[int, bool]]:
        """How many rows there are and whether that is all of them: counting to 100 first, to 1 000, to 10 000."""
        driver = self._driver
        if driver.text is None:
            driver = choose_for_counting(self._conditions, driver)
        tests = _tests(driver, self._conditions)
        for bound in _COUNTING_STEPS:
            found = 0
            for walk in driver.walks():
                where = together([walk, *tests])
                inner = f"SELECT 1 FROM {driver.source()} WHERE {where.sql} LIMIT ?"  # noqa: S608
                sql = f"SELECT count(*) FROM ({inner})"  # noqa: S608
                found += int(rows(self._index, sql, (*where.values, bound + 1 - found))[0][0])
                if found > bound:
                    break
            yield min(found, bound), found <= bound
            if found <= bound:
                return

    def explain(self) -> Iterator[str]:
        """What SQLite says of the first walk, in sentences."""
        for segment in list(self._segments(None))[:1]:
            for walk in self._statements(segment, None):
                for row in rows(self._index, f"EXPLAIN QUERY PLAN {walk.sql}", (*walk.values, 1, 0)):
                    if not str(row[3]).startswith("LIST SUBQUERY"):
                        yield _sentence(str(row[3]))
                break
        if (walks := prod_of(self._driver)) > 1:
            yield Message("The same is done for %(walks)s values, and the rows are put together in order.", walks=walks)

    def _rank(self, row: Row) -> tuple[bool, int, int, int]:
        return row.position.rank(descending=self._query.descending)

    def _segments(self, after: Position | None) -> list[bool]:
        """Whether rows without the value that is sorted by are meant: first those with it, then those without."""
        if self._column == "create_time":
            return [False]
        return [True] if after is not None and after.value is None else [False, True]

    def _statements(self, without_value: bool, after: Position | None) -> Iterator[_Statement]:  # noqa: FBT001
        prefix = self._driver.prefix()
        order = [f"{prefix}.create_time", f"{prefix}.seq"]
        value = f"f.{self._column}"
        limits: list[Fragment] = []
        if self._column != "create_time":
            limits.append(Fragment(f"{value} IS NULL" if without_value else f"{value} IS NOT NULL"))
            if not without_value:
                order.insert(0, value)
        if after is not None and without_value == (after.value is None):
            limits.append(self._behind(order, after))
        direction = " DESC" if self._query.descending else ""
        for walk in self._driver.walks():
            where = together([walk, *self._tests, *limits])
            yield _Statement(
                f"SELECT {value}, f.create_time, f.seq, f.revision FROM {self._driver.source()} "  # noqa: S608
                f"WHERE {where.sql} ORDER BY {', '.join(column + direction for column in order)} LIMIT ? OFFSET ?",
                where.values,
            )

    def _behind(self, order: Sequence[str], after: Position) -> Fragment:
        values = (after.create_time, after.arrival)
        if len(order) > len(values):
            values = (after.value or 0, *values)  # type: ignore[assignment]
        sign = "<" if self._query.descending else ">"
        return Fragment(f"({', '.join(order)}) {sign} ({', '.join('?' * len(order))})", values)

    def _read(self, walk: _Statement, most: int, skip: int) -> list[Row]:
        return list(map(Row._make, rows(self._index, walk.sql, (*walk.values, most, skip))))


def _tests(driver: Driver, conditions: Sequence[Condition]) -> list[Fragment]:
    """What the rows of *driver* have to be tested for."""
    covered = {*driver.equal, driver.tag, *driver.given}
    return [condition.fragment() for condition in conditions if condition not in covered]


def _sentence(detail: str) -> str:
    """A line of EXPLAIN QUERY PLAN for people."""
    verb, _, rest = detail.partition(" ")
    _, _, named = rest.partition("INDEX ")
    if rest.startswith("t USING"):
        return Message("Walks the records of the rarest tag in the order of time.")
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
