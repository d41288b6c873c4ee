"""Rollups of days: what they hold, how it is packed, and how it is changed.

A day is one of UTC, counted from the epoch. Its figures are numbers in columns; how many runs began in each of its
hours, and how long they took, are packed: as rows they would be a hundred times as many.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from struct import Struct, pack
from typing import Any, Final

import apsw
import orjson

from execution_history.query.rollups import DAY_HOURS
from execution_history.stores.sql_fragments import TOKENS
from execution_history.stores.sqlite.index.connections import add_rows, rows, statement
from execution_history.stores.status_numbers import STATUS_NAMES, STATUS_NUMBERS

SIZE: Final = len(STATUS_NAMES) + len(TOKENS)
"""How many figures a rollup has: counts per status, then sums of tokens."""

OVERFLOW: Final = 0
"""Stands among the nodes of a workflow that has more of them than are counted; as a node, for the workflow itself."""

MOST_NODES: Final = 200
"""So many nodes of a workflow have days. One with more names them anew in each run: days would be as many as runs."""

_HOURS: Final = Struct(f"<{2 * DAY_HOURS}I")
_LANE: Final = 4
_FAILED: Final = STATUS_NUMBERS["failed"]


DayKey = tuple[int, int, int]
"""A workflow and a node of it, by the numbers of their texts, node 0 for the workflow as a whole, and a day."""


@dataclass(slots=True)
class Day:
    """What is counted in a day, or by how much that changes.

    Attributes:
        figures: as in a row of rollups.
        hours: how many began in each of 24 hours, then how many of them failed.
        durations: how many ended after a duration, by its bucket.
        costs: millionths by the number of the currency.
    """

    figures: list[int] = field(default_factory=lambda: [0] * SIZE)
    hours: list[int] = field(default_factory=lambda: [0] * 2 * DAY_HOURS)
    durations: Counter[int] = field(default_factory=Counter)
    costs: Counter[int] = field(default_factory=Counter)

    def count(self, hour: int, status: int, tokens: Sequence[int | None], sign: int) -> None:
        """Count one that began in an *hour* of the day once more, or once less where *sign* is -1."""
        self.figures[status] += sign
        self.hours[hour] += sign
        self.hours[DAY_HOURS + hour] += sign * (status == _FAILED)
        for place, number in enumerate(tokens, len(STATUS_NAMES)):
            self.figures[place] += sign * (number or 0)

    def add(self, figures: Sequence[int], hours: bytes, durations: bytes, costs: str | None) -> None:
        """Add a day as it is stored."""
        self.figures = [one + other for one, other in zip(self.figures, figures, strict=True)]
        self.hours = [one + other for one, other in zip(self.hours, _HOURS.unpack(hours), strict=True)]
        self.durations.update(unpacked(lanes_of(durations)))
        if costs is not None:
            self.costs.update({int(currency): cost for currency, cost in orjson.loads(costs).items()})

    def packed(self) -> list[Any]:
        """Return it as a row of ``days`` has it, after the key, with the packed parts in hexadecimal digits."""
        costs = {str(currency): cost for currency, cost in sorted(self.costs.items()) if cost}
        parts = _HOURS.pack(*self.hours).hex(), _packed(self.durations).hex()
        return [*self.figures, orjson.dumps(costs).decode() if costs else None, *parts]

    @property
    def is_empty(self) -> bool:
        """Whether nothing is counted in it."""
        return not any(self.figures[: len(STATUS_NAMES)])


def hours_of(packed: bytes) -> tuple[int, ...]:
    """Return the numbers of a day by hour: of all, then of those that failed."""
    return _HOURS.unpack(packed)


def lanes_of(packed: bytes) -> int:
    """Return a packed histogram as one number with 32 bits for each bucket: a sum of such numbers is that of all."""
    first = int.from_bytes(packed[:_LANE], "little")
    return int.from_bytes(packed[_LANE:], "little") << (8 * _LANE * first)


def unpacked(lanes: int) -> dict[int, int]:
    """Return the histogram in such a number, or in a sum: how many there are in each bucket."""
    size = -(-lanes.bit_length() // (8 * _LANE))
    numbers = Struct(f"<{size}I").unpack(lanes.to_bytes(size * _LANE, "little"))
    return {bucket: count for bucket, count in enumerate(numbers) if count}


def _packed(durations: Mapping[int, int]) -> bytes:
    """Return a histogram as its first bucket and the number in each from there on, 32 bits each."""
    buckets = [bucket for bucket, count in durations.items() if count]
    if not buckets:
        return pack("<I", 0)
    first, last = min(buckets), max(buckets)
    return pack(f"<{last - first + 2}I", first, *(durations.get(bucket, 0) for bucket in range(first, last + 1)))


def write(index: apsw.Connection, changes: dict[DayKey, Day], *, adds: bool) -> None:
    """Add *changes* to the days that they name, and remove those in which nothing is left.

    Args:
        index: in a transaction.
        changes: by how much days change.
        adds: whether they add, rather than take away.
    """
    counted = _counted_nodes(index, {key[:2] for key in changes if key[1] != OVERFLOW}, adds=adds)
    changes = {key: day for key, day in changes.items() if key[1] == OVERFLOW or key[:2] in counted}
    keys = orjson.dumps(list(changes)).decode()
    for workflow, node, day, *columns in rows(index, statement("days_at"), (keys,)):
        *figures, costs, hours, durations = columns
        changes[workflow, node, day].add(figures, hours, durations, costs)
    kept = sorted((key, day) for key, day in changes.items() if not day.is_empty)
    add_rows(index, statement("put_days"), [(*key, *day.packed()) for key, day in kept])
    add_rows(index, statement("drop_days"), [key for key, day in changes.items() if day.is_empty])


def _counted_nodes(index: apsw.Connection, nodes: set[tuple[int, int]], *, adds: bool) -> set[tuple[int, int]]:
    """Return those of *nodes* that have days, or get them where there is room for more."""
    if not nodes:
        return set()
    found = rows(index, statement("which_have_days"), (orjson.dumps(list(nodes)).decode(),))
    counted = {(workflow, node) for workflow, node in found}
    missing = sorted(nodes - counted) if adds else []
    if missing:
        workflows = orjson.dumps(sorted({workflow for workflow, _ in missing})).decode()
        room = Counter(
            {workflow: -count for workflow, count in rows(index, statement("count_day_nodes"), (workflows,))}
        )
        noted = set()
        for workflow, node in missing:
            has_room = room[workflow] + MOST_NODES > 0
            room[workflow] -= has_room
            noted.add((workflow, node if has_room else OVERFLOW))
        add_rows(index, statement("add_day_nodes"), sorted(noted))
        counted |= noted
    return counted
