"""Rows that may have a text that is searched for: asked of a full-text table in the ways that are fast."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import apsw
import orjson

from execution_history.stores.sqlite.index.connections import rows
from execution_history.stores.sqlite.index.index_plugin import Match
from execution_history.stores.sqlite.index.sql_fragment import Fragment

_DENSE: Final = 4
"""Of rows that stand this close together it is quicker to read all between them than to give a list of them."""


@dataclass(slots=True)
class TextMatches:
    """The rows whose tokens a search needs.

    It is never asked whether one row is among them: that alone costs as much as to read a range of them.

    Attributes:
        match: how its rows are asked for.
        spread: among how many rows there is one of them, roughly, once :meth:`few` has found that they are many.
    """

    match: Match
    spread: float = 1.0

    def fragment(self) -> Fragment:
        """Return the condition, for a statement that reads from the table."""
        return Fragment(f"{self.match.table} MATCH ?", (self.match.expression,))

    def membership(self) -> Fragment:
        """Return the condition, for a statement that reads very many rows of ``facets f``."""
        table = self.match.table
        sql = f"f.seq IN (SELECT rowid FROM {table} WHERE {table} MATCH ?)"  # noqa: S608 - names of ours
        return Fragment(sql, (self.match.expression,))

    def count(self, index: apsw.Connection, most: int) -> int:
        """Return how many there are, counted up to *most*."""
        table = self.match.table
        sql = f"SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {table} MATCH ? LIMIT ?)"  # noqa: S608
        return int(rows(index, sql, (self.match.expression, most))[0][0])

    def few(self, index: apsw.Connection, most: int) -> tuple[int, ...] | None:
        """Return all of them; ``None`` when there are more than *most*."""
        table = self.match.table
        sql = f"SELECT rowid FROM {table} WHERE {table} MATCH ? LIMIT ?"  # noqa: S608
        found = rows(index, sql, (self.match.expression, most + 1))
        if len(found) <= most:
            return tuple(int(row[0]) for row in found)
        self.spread = max(1.0, int(found[-1][0]) / len(found))
        return None

    def among(self, index: apsw.Connection, seqs: Sequence[int]) -> set[int]:
        """Return those of *seqs* that are candidates; reads the candidates between the least and the greatest."""
        if not seqs:
            return set()
        table = self.match.table
        first, last = min(seqs), max(seqs)
        if last - first < _DENSE * len(seqs):
            sql = f"SELECT rowid FROM {table} WHERE {table} MATCH ? AND rowid BETWEEN ? AND ?"  # noqa: S608
            return {int(row[0]) for row in rows(index, sql, (self.match.expression, first, last))}.intersection(seqs)
        # The plus sign keeps SQLite from asking for one row after the other.
        sql = (
            f"SELECT rowid FROM {table} WHERE {table} MATCH ? AND rowid BETWEEN ? AND ? "  # noqa: S608
            "AND +rowid IN (SELECT value FROM json_each(?))"
        )
        found = rows(index, sql, (self.match.expression, first, last, orjson.dumps(list(seqs)).decode()))
        return {int(row[0]) for row in found}
