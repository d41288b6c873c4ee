"""The text index: finds the records that may have the texts of a search.

One contentless full-text table (FTS5), with the tokens of :mod:`execution_history.query.text.tokens`. It has the rows
of a token, not the places: so it is small, and lists of rows are intersected quickly, over all records or a range of
them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

import apsw
import orjson

from execution_history.query.text import Search, searched_text
from execution_history.query.text.character_classes import UNICODE_VERSION
from execution_history.query.text.tokens import AllOf, AnyOf, Expression, Token, Tokens, Without, needed
from execution_history.stores.sql_fragments import Fragment

_PACKAGE: Final = "execution_history.stores.sqlite.index"
_TABLES: Final = "text.sql"
_PUT: Final = "INSERT OR REPLACE INTO words (rowid, tokens) VALUES (?, ?)"
_PUT_ALL: Final = "INSERT OR REPLACE INTO words (rowid, tokens) SELECT CAST(key AS INTEGER), value FROM json_each(?)"
_DROP: Final = "DELETE FROM words WHERE rowid = ?"
_MATCHING: Final = "SELECT rowid FROM words WHERE words MATCH ?"
_BETWEEN: Final = " AND rowid BETWEEN ? AND ?"
_LISTED: Final = " AND +rowid IN (SELECT value FROM json_each(?))"
_LARGEST_STATEMENT: Final = 32 * 1024 * 1024  # characters
_DENSE: Final = 4
"""With rows this close together it is quicker to read all between them than to pass a list of them."""


@dataclass(slots=True)
class TextMatches:
    """The rows that have the tokens of a search.

    They are never tested for a single row: that costs as much as reading a range of them.

    Attributes:
        expression: the operand of MATCH.
        is_exact: whether every row has the texts of the search; otherwise each document has to be tested.
        spread: the average distance between two of them, once :meth:`few` has found that they are many.
    """

    expression: str
    is_exact: bool
    spread: float = 1.0

    def fragment(self) -> Fragment:
        """Return the condition for a statement that reads from the full-text table."""
        return Fragment("words MATCH ?", (self.expression,))

    def membership(self) -> Fragment:
        """Return the condition for a statement that reads very many rows of ``facets f``."""
        return Fragment(f"f.seq IN ({_MATCHING})", (self.expression,))

    def count(self, index: apsw.Connection, limit: int) -> int:
        """Return their number, counted up to *limit*."""
        counted = f"SELECT count(*) FROM ({_MATCHING} LIMIT ?)"  # noqa: S608 - literals of ours
        found: Any = index.execute(counted, (self.expression, limit)).get
        return int(found)

    def few(self, index: apsw.Connection, limit: int) -> tuple[int, ...] | None:
        """Return all of them; ``None`` when there are more than *limit*."""
        found = self._seqs(index, " LIMIT ?", limit + 1)
        if len(found) <= limit:
            return tuple(found)
        self.spread = max(1.0, found[-1] / len(found))
        return None

    def among(self, index: apsw.Connection, seqs: Sequence[int]) -> set[int]:
        """Return those of *seqs* that match, by reading all matches between the least and the greatest."""
        if not seqs:
            return set()
        first, last = min(seqs), max(seqs)
        if last - first < _DENSE * len(seqs):
            return set(self._seqs(index, _BETWEEN, first, last)).intersection(seqs)
        # The plus sign keeps SQLite from looking up one row after the other.
        return set(self._seqs(index, _BETWEEN + _LISTED, first, last, orjson.dumps(list(seqs)).decode()))

    def _seqs(self, index: apsw.Connection, condition: str, *values: int | str) -> list[int]:
        found: list[Any] = index.execute(_MATCHING + condition, (self.expression, *values)).fetchall()
        return [seq for (seq,) in found]


class TextIndex:
    """The tokens of every record, written within transactions of its callers; for any number of threads.

    It never begins or ends a transaction, and after a rollback the same records are written again. With another
    ``version`` the index is rebuilt.
    """

    version = f"3, Unicode {UNICODE_VERSION}"

    def __init__(self) -> None:
        self._tokens = Tokens()

    def create_tables(self, connection: apsw.Connection) -> None:
        """Create its tables in a new ``index.db``."""
        connection.execute(files(_PACKAGE).joinpath(_TABLES).read_text("utf-8"))

    def prepare(self, record: Mapping[str, Any]) -> str:
        """Return the tokens of *record*, a document of the 19 keys or its outline."""
        return self._tokens.of(searched_text(record))

    def put(self, connection: apsw.Connection, rowid: int, prepared: str) -> None:
        """Write the *prepared* tokens of *rowid*, in the place of earlier ones, if any."""
        connection.execute(_PUT, (rowid, prepared))

    def put_all(self, connection: apsw.Connection, prepared: Mapping[int, str]) -> None:
        """Write the *prepared* tokens of many rows, in ascending order; after an error some may have been written.

        With one statement for all, unless they are large: meanwhile another thread can compute.

        Raises:
            TypeError: there is half of a surrogate pair in them.
        """
        for some in _pieces(prepared):
            connection.execute(_PUT_ALL, (orjson.dumps(some).decode(),))

    def remove(self, connection: apsw.Connection, rowid: int) -> None:
        """Remove the tokens of *rowid*, if any."""
        connection.execute(_DROP, (rowid,))

    def match(self, search: Search) -> TextMatches:
        """Return the rows that may have the texts of *search*."""
        tokens = needed(search)
        return TextMatches(fts5_of(tokens.expression), tokens.is_exact)


def _pieces(prepared: Mapping[int, str]) -> Iterator[dict[str, str]]:
    piece: dict[str, str] = {}
    size = 0
    for rowid, tokens in prepared.items():
        piece[str(rowid)] = tokens
        size += len(tokens)
        if size > _LARGEST_STATEMENT:
            yield piece
            piece, size = {}, 0
    if piece:
        yield piece


def fts5_of(expression: Expression) -> str:
    """Return *expression* in the syntax of FTS5."""
    if isinstance(expression, Token):
        return '"{}"'.format(expression.text.replace('"', '""'))
    if isinstance(expression, Without):
        return f"{fts5_of(expression.required)} NOT {fts5_of(AnyOf(expression.excluded))}"
    return f"({(' AND ' if isinstance(expression, AllOf) else ' OR ').join(map(fts5_of, expression.parts))})"
