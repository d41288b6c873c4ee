"""Rollups of days: how those of workflows and of their nodes are changed (:mod:`execution_history.stores.day_sums`)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import apsw
import orjson

from execution_history.stores.day_sums import MOST_NODES, Day
from execution_history.stores.sqlite.index.connections import add_rows, rows, statement

OVERFLOW: Final = 0
"""Stands among the nodes of a workflow that has more of them than are counted; as a node, for the workflow itself."""

DayKey = tuple[int, int, int]
"""A workflow and a node of it, by the numbers of their texts, node 0 for the workflow as a whole, and a day."""


@dataclass(slots=True)
class PricedDay(Day):
    """A day with costs: millionths by the number of the currency."""

    costs: Counter[int] = field(default_factory=Counter)

    def add_stored(self, columns: Sequence[Any]) -> None:
        """Add a day as ``days`` has it, after the key."""
        *figures, costs, hours, durations = columns
        self.add(figures, hours, durations)
        if costs is not None:
            self.costs.update({int(currency): cost for currency, cost in orjson.loads(costs).items()})

    def columns(self) -> list[Any]:
        """Return it as a row of ``days`` has it, after the key, with the packed parts in hexadecimal digits."""
        costs = {str(currency): cost for currency, cost in sorted(self.costs.items()) if cost}
        parts = [part.hex() for part in self.packed()]
        return [*self.figures, orjson.dumps(costs).decode() if costs else None, *parts]


def write(index: apsw.Connection, changes: dict[DayKey, PricedDay], *, adds: bool) -> None:
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
        changes[workflow, node, day].add_stored(columns)
    kept = sorted((key, day) for key, day in changes.items() if not day.is_empty)
    add_rows(index, statement("put_days"), [(*key, *day.columns()) for key, day in kept])
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
