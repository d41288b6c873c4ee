"""The text index: which records may have what is searched for.

One full-text table without content (FTS5), whose tokens :mod:`execution_history.query.text.tokens` makes. It keeps
which row has a token, not where: so it is small, and lists of rows are intersected quickly, over all records or over a
range of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

import apsw
import orjson

from execution_history.query.text import Search, searched_text
from execution_history.query.text.character_classes import UNICODE_VERSION
from execution_history.query.text.tokens import AllOf, AnyOf, Expression, Token, Tokens, Without, needed
from execution_history.stores.sqlite.index.predicate_sql import Fragment

_PACKAGE: Final = "execution_history.stores.sqlite.index"
_TABLES: Final = "text.sql"
_PUT: Final = "INSERT OR REPLACE INTO words (rowid, tokens) VALUES (?, ?)"
_DROP: Final = "DELETE FROM words WHERE rowid = ?"
_MATCHING: Final = "SELECT rowid FROM words WHERE words MATCH ?"
_BETWEEN: Final = " AND rowid BETWEEN ? AND ?"
_LISTED: Final = " AND +rowid IN (SELECT value FROM json_each(?))"
_DENSE: Final = 4
"""Of rows that stand this close together it is quicker to read all between them than to give a list of them."""


@dataclass(slots=True)
class TextMatches:
    """The rows whose tokens a search needs.

    It is never asked whether one row is among them: that alone costs as much as to read a range of them.

    Attributes:
        expression: what stands behind MATCH.
        is_exact: whether every row that it gives has what is searched for; otherwise each document has to be looked at.
        spread: among how many rows there is one of them, roughly, once :meth:`few` has found that they are many.
    """

    expression: str
    is_exact: bool
    spread: float = 1.0

    def fragment(self) -> Fragment:
        """Return the condition, for a statement that reads from the table."""
        return Fragment("words MATCH ?", (self.expression,))

    def membership(self) -> Fragment:
        """Return the condition, for a statement that reads very many rows of ``facets f``."""
        return Fragment(f"f.seq IN ({_MATCHING})", (self.expression,))

    def count(self, index: apsw.Connection, most: int) -> int:
        """Return how many there are, counted up to *most*."""
        counted = f"SELECT count(*) FROM ({_MATCHING} LIMIT ?)"  # noqa: S608 - literals of ours
        found: Any = index.execute(counted, (self.expression, most)).get
        return int(found)

    def few(self, index: apsw.Connection, most: int) -> tuple[int, ...] | None:
        """Return all of them; ``None`` when there are more than *most*."""
        found = self._seqs(index, " LIMIT ?", most + 1)
        if len(found) <= most:
            return tuple(found)
        self.spread = max(1.0, found[-1] / len(found))
        return None

    def among(self, index: apsw.Connection, seqs: Sequence[int]) -> set[int]:
        """Return those of *seqs* that are candidates; reads the candidates between the least and the greatest."""
        if not seqs:
            return set()
        first, last = min(seqs), max(seqs)
        if last - first < _DENSE * len(seqs):
            return set(self._seqs(index, _BETWEEN, first, last)).intersection(seqs)
        # The plus sign keeps SQLite from asking for one row after the other.
        return set(self._seqs(index, _BETWEEN + _LISTED, first, last, orjson.dumps(list(seqs)).decode()))

    def _seqs(self, index: apsw.Connection, condition: str, *values: int | str) -> list[int]:
        found: list[Any] = index.execute(_MATCHING + condition, (self.expression, *values)).fetchall()
        return [seq for (seq,) in found]


class TextIndex:
    """The words of every record, kept by the indexer within its transactions. Not for several threads at once.

    It never begins or ends a transaction, and what it keeps in Python survives a rollback: the last records that it was
    given may come again. With another ``version`` the index is made anew.
    """

    version = f"3, Unicode {UNICODE_VERSION}"

    def __init__(self) -> None:
        self._tokens = Tokens()

    def create_tables(self, connection: apsw.Connection) -> None:
        """Make its tables in a new ``index.db``."""
        connection.execute(files(_PACKAGE).joinpath(_TABLES).read_text("utf-8"))

    def prepare(self, record: Mapping[str, Any]) -> str:
        """Return what it keeps of *record*, a document of the 19 keys or its outline."""
        return self._tokens.of(searched_text(record))

    def put(self, connection: apsw.Connection, rowid: int, prepared: str) -> None:
        """Take in what was *prepared*, in the place of what *rowid* had before, if anything."""
        connection.execute(_PUT, (rowid, prepared))

    def remove(self, connection: apsw.Connection, rowid: int) -> None:
        """Forget what *rowid* had; there may be nothing."""
        connection.execute(_DROP, (rowid,))

    def match(self, search: Search) -> TextMatches:
        """Return the rows that may have the texts of *search*."""
        tokens = needed(search)
        return TextMatches(fts5_of(tokens.expression), tokens.is_exact)


def fts5_of(expression: Expression) -> str:
    """Return *expression* in the language of FTS5."""
    if isinstance(expression, Token):
        return '"{}"'.format(expression.text.replace('"', '""'))
    if isinstance(expression, Without):
        return f"{fts5_of(expression.required)} NOT {fts5_of(AnyOf(expression.excluded))}"
    return f"({(' AND ' if isinstance(expression, AllOf) else ' OR ').join(map(fts5_of, expression.parts))})"
