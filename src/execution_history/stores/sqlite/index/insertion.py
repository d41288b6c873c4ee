"""Inserts many rows at once."""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import apsw
import orjson


def add_rows(connection: apsw.Connection, sql: str, found: Sequence[tuple[Any, ...]]) -> None:
    """Run *sql*, which inserts a row of parameters, for all of *found*, with one step of SQLite.

    Between two steps another thread may take the interpreter, for 5 ms each time.

    Raises:
        TypeError: a text has half of a surrogate pair.
        apsw.Error: a row cannot be inserted; then none is, or only some.
    """
    if not found:
        return
    listed = orjson.dumps(found)
    if b"\\u0000" in listed:  # where a text of JSON ends for SQLite
        connection.executemany(sql, found)
    else:
        connection.execute(_of_list(sql), (listed.decode(),))


@cache
def _of_list(sql: str) -> str:
    """Return the statement that does for the rows of a JSON list what *sql* does for one."""
    begin, values, rest = re.split(r"VALUES \((.*?)\)", sql, maxsplit=1)
    columns = (f"value ->> {number}" if each == "?" else each for number, each in enumerate(values.split(", ")))
    return f"{begin}SELECT {', '.join(columns)} FROM jsonb_each(?) WHERE true{rest}"  # noqa: S608 - statements of ours
