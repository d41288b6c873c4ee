"""The SQL of the embedded store: named statements from ``queries.sql`` and the numbered migrations."""

import re
import sys
from functools import cache
from importlib.resources import files
from typing import Any, Final

import apsw

_NAMED: Final = re.compile(r"^-- name: (\w+)\n((?:--[^\n]*\n)*)(.*?;)\s*$", re.MULTILINE | re.DOTALL)
_FIRST_SURROGATE: Final = 0xD800
_AFTER_SURROGATES: Final = 0xE000
Value = int | str | bytes | float | None
"""A parameter of a statement, or the value of a column."""

_HERE: Final = "execution_history.stores.sqlite"
RECORD_COLUMNS: Final = "w.workflow_id, e.execute_id, e.create_time, e.update_time, e.status, e.size, e.packing"
"""The columns of a StoredRecord, before its document."""

_BINNED: Final = """coalesce((SELECT CAST(group_concat(p.piece, '' ORDER BY p.number) AS BLOB) FROM bin_pieces p
    WHERE p.pieces = bin.pieces), document)"""
"""The document of a row of the bin, which may be in pieces."""


@cache
def statements(package: str) -> dict[str, str]:
    """Return the named statements of the ``queries.sql`` in *package*."""
    text = files(package).joinpath("queries.sql").read_text("utf-8")
    return {
        match[1]: match[3].rstrip(";").replace("{record}", RECORD_COLUMNS).replace("{binned}", _BINNED)
        for match in _NAMED.finditer(text)
    }


@cache
def query(name: str) -> str:
    """Return the statement called *name*; an unknown name is a ``KeyError``."""
    return statements(_HERE)[name]


def rows(connection: apsw.Connection, name: str, *values: Value) -> list[tuple[Any, ...]]:
    """Return all rows of the statement called *name*; the schema has the types of their columns."""
    return connection.execute(query(name), values).fetchall()


def value(connection: apsw.Connection, name: str) -> Any:  # noqa: ANN401 - the schema has its type
    """Return the one value of the statement called *name*.

    Raises:
        apsw.CorruptError: there is none, in a table that always has its one row.
    """
    found = connection.execute(query(name)).get
    if found is None:
        raise apsw.CorruptError(f"{name} is missing")
    return found


@cache
def migrations() -> tuple[tuple[int, str, str], ...]:
    """Return the migrations in order: number, name and script."""
    folder = files(_HERE).joinpath("migrations")
    scripts = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return tuple((int(name[:4]), name[5:-4], folder.joinpath(name).read_text("utf-8")) for name in scripts)


def past_prefix(prefix: str) -> bytes | str:
    """Return a value above every text that begins with *prefix*, in the order of UTF-8, which is SQLite's."""
    for length in range(len(prefix), 0, -1):
        following = ord(prefix[length - 1]) + 1
        if following <= sys.maxunicode:
            return prefix[: length - 1] + chr(_AFTER_SURROGATES if following == _FIRST_SURROGATE else following)
    return b""  # a blob is larger than every text
