"""Rows that are inserted with one statement."""

import apsw
import pytest

from execution_history.stores.sqlite.index.connections import add_rows

_ADD = """
    INSERT INTO t SELECT value ->> 0, value ->> 1, value ->> 2, 7 FROM jsonb_each(?) WHERE true
    ON CONFLICT (a) DO UPDATE SET b = t.b || excluded.b
"""
_ADD_ONE = "INSERT INTO t VALUES (?, ?, ?, 7) ON CONFLICT (a) DO UPDATE SET b = t.b || excluded.b"
_ROWS = [(1, "北京", None), (2, "a\0b", 2**63 - 1), (3, '"\\u0000', -(2**63)), (1, "!", True)]


def _table() -> apsw.Connection:
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c INTEGER, d INTEGER) STRICT")
    return connection


@pytest.mark.parametrize("numbers", [[0, 2, 3], [0, 1, 2, 3], [3], []])
def test_many_rows_are_inserted_as_they_are_one_by_one(numbers: list[int]) -> None:
    """Whatever the values, a NUL among them."""
    rows = [_ROWS[number] for number in numbers]
    together, one_by_one = _table(), _table()
    add_rows(together, _ADD, rows)
    for row in rows:
        one_by_one.execute(_ADD_ONE, row)
    found = one_by_one.execute("SELECT * FROM t").fetchall()
    assert found == together.execute("SELECT * FROM t").fetchall()
    assert len(found) == len({row[0] for row in rows})


def test_half_of_a_surrogate_pair_is_an_error() -> None:
    """And nothing is inserted."""
    connection = _table()
    with pytest.raises(TypeError):
        add_rows(connection, _ADD, [(1, "a", None), (2, "\ud800", None)])
    assert [] == connection.execute("SELECT * FROM t").fetchall()
