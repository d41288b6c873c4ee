"""The text index: which records may have what is searched for.

One full-text table without content (FTS5), whose tokens :mod:`execution_history.query.text.tokens` makes. It keeps
which row has a token, not where: so it is small, and lists of rows are intersected quickly, over all records or over a
range of them.
"""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final

import apsw

from execution_history.query.text import Search, searched_text
from execution_history.query.text.character_classes import UNICODE_VERSION
from execution_history.query.text.tokens import AllOf, AnyOf, Expression, Token, Tokens, Without, needed
from execution_history.stores.sqlite.index.index_plugin import Match

_PACKAGE: Final = "execution_history.stores.sqlite.index"
_TABLES: Final = "text.sql"
_PUT: Final = "INSERT OR REPLACE INTO words (rowid, tokens) VALUES (?, ?)"
_DROP: Final = "DELETE FROM words WHERE rowid = ?"


class TextIndex:
    """The words of every record. Adding is not for several threads at once; see :class:`Part`."""

    name = "text"
    version = f"3, Unicode {UNICODE_VERSION}"

    def __init__(self) -> None:
        self._tokens = Tokens()

    def create_tables(self, connection: apsw.Connection) -> None:
        """See :meth:`Part.create_tables`."""
        connection.execute(files(_PACKAGE).joinpath(_TABLES).read_text("utf-8"))

    def prepare(self, record: Mapping[str, Any]) -> str:
        """See :meth:`Part.prepare`."""
        return self._tokens.of(searched_text(record))

    def put(self, connection: apsw.Connection, rowid: int, prepared: str) -> None:
        """See :meth:`Part.put`."""
        connection.execute(_PUT, (rowid, prepared))

    def remove(self, connection: apsw.Connection, rowid: int) -> None:
        """See :meth:`Part.remove`."""
        connection.execute(_DROP, (rowid,))

    def match(self, search: Search) -> Match:
        """See :meth:`Part.match`."""
        wanted = needed(search)
        return Match("words", fts5_of(wanted.expression), wanted.is_exact)


def fts5_of(expression: Expression) -> str:
    """Return *expression* in the language of FTS5."""
    if isinstance(expression, Token):
        return '"{}"'.format(expression.text.replace('"', '""'))
    if isinstance(expression, Without):
        return f"{fts5_of(expression.wanted)} NOT {fts5_of(AnyOf(expression.unwanted))}"
    return f"({(' AND ' if isinstance(expression, AllOf) else ' OR ').join(map(fts5_of, expression.parts))})"
