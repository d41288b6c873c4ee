"""The SQL of the PostgreSQL store: statements from ``queries.sql`` and the numbered migrations, for one schema."""

import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Final, NamedTuple

import psycopg
from psycopg import sql

_HERE: Final = "execution_history.stores.postgres"
_NAMED: Final = re.compile(r"^-- name: (\w+)\n((?:--[^\n]*\n)*)(.*?;)\s*$", re.MULTILINE | re.DOTALL)
_OLDEST: Final = re.compile(r"^-- oldest code: (\d+)$", re.MULTILINE)
_MOST_ROWS: Final = 64
DEFAULT_SCHEMA: Final = "execution_history"
"""The schema that our files name; that of a store takes its place."""


class Migration(NamedTuple):
    """A step of the schema: its number, its name, its script, and the number of the oldest code that works with it."""

    number: int
    name: str
    script: str
    oldest_code: int


class Statements:
    """Our statements, for the tables of one schema.

    Args:
        schema: the name of the schema.
    """

    def __init__(self, schema: str) -> None:
        self.schema = schema
        self._prefix = sql.Identifier(schema).as_string() + "."
        self._named = {name: self.placed(text) for name, text in _named().items()}
        self._rows: dict[tuple[str, int, int], bytes] = {}

    def placed(self, text: str) -> bytes:
        """Return a statement of ours, which names tables as ``execution_history.table``, for this schema."""
        literal = "'" + self._prefix.replace("'", "''")
        return text.replace(f"'{DEFAULT_SCHEMA}.", literal).replace(f"{DEFAULT_SCHEMA}.", self._prefix).encode()

    def with_rows(self, text: str, columns: int, rows: int) -> bytes:
        """Return the statement *text* for this schema with so many rows of parameters, ``$1`` and so on, for ``{}``.

        Such a text is long: psycopg takes it as it is (:func:`insert_rows`), and it is made once.
        """
        key = text, columns, rows
        if key not in self._rows:
            marks = (f"({', '.join(f'${row * columns + each + 1}' for each in range(columns))})" for row in range(rows))
            self._rows[key] = self.placed(text.replace("{}", ", ".join(marks)))
        return self._rows[key]

    def __getitem__(self, name: str) -> bytes:
        """Return the statement called *name*; an unknown name is a ``KeyError``."""
        return self._named[name]


def insert_rows(
    connection: "psycopg.Connection[Any]", statements: Statements, text: str, rows: Sequence[Sequence[Any]]
) -> None:
    """Run *text*, which inserts the rows that stand for ``{}`` in it.

    A statement has a power of two of rows, at most 64, so that few different ones are parsed.

    Raises:
        psycopg.Error: a row cannot be inserted.
    """
    begin = 0
    while begin < len(rows):
        size = min(_MOST_ROWS, 1 << ((len(rows) - begin).bit_length() - 1))
        some = rows[begin : begin + size]
        cursor = psycopg.RawCursor(connection)
        cursor.execute(statements.with_rows(text, len(rows[0]), size), [value for row in some for value in row])
        begin += size


@cache
def _named() -> dict[str, str]:
    text = files(_HERE).joinpath("queries.sql").read_text("utf-8")
    return {match[1]: match[3].rstrip(";") for match in _NAMED.finditer(text)}


@cache
def migrations() -> tuple[Migration, ...]:
    """Return the migrations in order.

    A script may say ``-- oldest code: 2``: processes whose own last migration is an earlier one do not work with it.
    """
    folder = files(_HERE).joinpath("migrations")
    found = []
    for name in sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql")):
        script = folder.joinpath(name).read_text("utf-8")
        oldest = _OLDEST.search(script)
        found.append(Migration(int(name[:4]), name[5:-4], script, int(oldest[1]) if oldest else 1))
    return tuple(found)
