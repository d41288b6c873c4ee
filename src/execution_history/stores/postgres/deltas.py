"""What a transaction adds to the counters and the hourly rollups, added up before it is written."""

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from execution_history.query.rollups import bucket_of, hour_of
from execution_history.stores.postgres.connections import Connection
from execution_history.stores.postgres.queries import Statements, insert_rows
from execution_history.stores.postgres.record_rows import Counted
from execution_history.stores.sql_fragments import TOKENS
from execution_history.stores.status_numbers import ENDED_NUMBERS, STATUS_NAMES

_TOKENS: Final = len(STATUS_NAMES)
"""The place of the first sum of tokens, after the counts."""

_TABLES: Final[tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]] = (
    ("counters", ("workflow_id", "slot"), (*STATUS_NAMES, "size")),
    ("rollups", ("workflow_id", "hour", "slot"), (*STATUS_NAMES, *TOKENS)),
    ("durations", ("workflow_id", "hour", "bucket", "slot"), ("runs",)),
    ("costs", ("workflow_id", "hour", "currency", "slot"), ("runs", "cost")),
    ("total_counters", ("slot",), STATUS_NAMES),
    ("total_rollups", ("hour", "slot"), (*STATUS_NAMES, *TOKENS)),
    ("total_durations", ("hour", "bucket", "slot"), ("runs",)),
    ("total_costs", ("hour", "currency", "slot"), ("runs", "cost")),
)
"""Each table with its key and what is added up in it. All transactions write them in this order."""

_SIZES: Final = {name: len(columns) for name, _, columns in _TABLES}


class Deltas:
    """Changes of the counters and rollups.

    Args:
        slot: the slot of this process.
    """

    def __init__(self, slot: int) -> None:
        self._slot = slot
        self._rows: dict[str, dict[tuple[Any, ...], list[int]]] = {name: {} for name, *_ in _TABLES}
        self._updated: dict[str, int] = {}

    def count(self, workflow_id: str, counted: Counted, sign: int) -> None:
        """Count a record once more, or once less where *sign* is -1; *workflow_id* is as it is stored."""
        size, create_time, status, duration, *tokens, cost, currency = counted
        hour, slot = hour_of(create_time), self._slot
        self._add("counters", (workflow_id, slot), status, sign)
        self._add("counters", (workflow_id, slot), len(STATUS_NAMES), sign * size)
        self._add("total_counters", (slot,), status, sign)
        self._add("rollups", (workflow_id, hour, slot), status, sign)
        self._add("total_rollups", (hour, slot), status, sign)
        for place, number in enumerate(tokens, _TOKENS):
            self._add("rollups", (workflow_id, hour, slot), place, sign * (number or 0))
            self._add("total_rollups", (hour, slot), place, sign * (number or 0))
        if duration is not None and status in ENDED_NUMBERS:
            bucket = bucket_of(duration)
            self._add("durations", (workflow_id, hour, bucket, slot), 0, sign)
            self._add("total_durations", (hour, bucket, slot), 0, sign)

        if cost is not None and currency is not None:
            for name, key in (("costs", (workflow_id, hour)), ("total_costs", (hour,))):
                self._add(name, (*key, currency, slot), 0, sign)
                self._add(name, (*key, currency, slot), 1, sign * cost)

    def updated(self, workflow_id: str, update_time: int) -> None:
        """Note that a record of a workflow was written with this update time (ms)."""
        self._updated[workflow_id] = max(update_time, self._updated.get(workflow_id, 0))
        self._rows["counters"].setdefault((workflow_id, self._slot), [0] * _SIZES["counters"])

    def write(self, connection: Connection, statements: Statements) -> None:
        """Add them to the tables, sorted by their keys, so that two transactions never wait for each other in a circle.

        Raises:
            psycopg.Error: they could not be written.
        """
        for name, keys, columns in _TABLES:
            found = sorted(
                (key, counts) for key, counts in self._rows[name].items() if name == "counters" or any(counts)
            )
            rows = [[*key, *counts] for key, counts in found]
            if name == "counters":
                rows = [[*row, self._updated.get(row[0], 0)] for row in rows]
            insert_rows(connection, statements, _upsert(name, keys, columns), rows)

    def subtract_stored(self, connection: Connection, statements: Statements) -> dict[str, int]:
        """Leave what the tables lack of what was counted, or have too much; return of how many keys in each table.

        Raises:
            psycopg.Error: they could not be read.
        """
        for name, keys, columns in _TABLES:
            groups = [key for key in keys if key != "slot"]
            listed = ", ".join([*groups, *(f"sum({column})::bigint" for column in columns)])
            grouped = f" GROUP BY {', '.join(groups)}" if groups else ""
            text = f"SELECT {listed} FROM execution_history.{name}{grouped}"  # noqa: S608 - literals of ours
            for row in connection.execute(statements.placed(text)):
                key = (*row[: len(groups)], self._slot)
                for place, number in enumerate(row[len(groups) :]):
                    self._add(name, key, place, -(number or 0))
            self._rows[name] = {key: counts for key, counts in self._rows[name].items() if any(counts)}
        return {name: len(found) for name, found in self._rows.items() if found}

    def _add(self, name: str, key: tuple[Any, ...], place: int, amount: int) -> None:
        self._rows[name].setdefault(key, [0] * _SIZES[name])[place] += amount


@cache
def _upsert(name: str, keys: Sequence[str], columns: Sequence[str]) -> str:
    has_time = name == "counters"
    listed = (*keys, *columns, *(("updated_at",) if has_time else ()))
    sets = [f"{column} = t.{column} + excluded.{column}" for column in columns]
    if has_time:
        sets.append("updated_at = greatest(t.updated_at, excluded.updated_at)")
    return (
        f"INSERT INTO execution_history.{name} AS t ({', '.join(listed)}) VALUES {{}} "  # noqa: S608 - literals of ours
        f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {', '.join(sets)}"
    )
