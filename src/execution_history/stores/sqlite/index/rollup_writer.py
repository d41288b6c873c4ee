"""Keeps the rollups in step with the rows: those of hours, and those of days for workflows and their nodes."""

from collections import Counter
from collections.abc import Iterable, Sequence

import apsw

from execution_history.query.rollups import DAY_HOURS, bucket_of, hour_of
from execution_history.stores.day_sums import SIZE
from execution_history.stores.sqlite.index import day_rollups
from execution_history.stores.sqlite.index.connections import add_rows, statement
from execution_history.stores.sqlite.index.day_rollups import DayKey, PricedDay
from execution_history.stores.sqlite.index.record_rows import Cell
from execution_history.stores.status_numbers import ENDED_NUMBERS, STATUS_NAMES

ALL = 0
"""The workflow whose hourly rollups have the runs of all, and the node whose daily ones have those of its workflow."""


class Rollups:
    """Changes of the rollups, added up before they are written."""

    def __init__(self) -> None:
        self._hours: dict[tuple[int, int], list[int]] = {}
        self._durations: Counter[tuple[int, int, int]] = Counter()
        self._costs: dict[tuple[int, int, int], list[int]] = {}
        self._days: dict[DayKey, PricedDay] = {}
        self._has_fewer = False

    def count(self, found: Iterable[Cell], sign: int) -> None:
        """Count records once more, or once less where *sign* is -1."""
        self._has_fewer |= sign < 0
        for cell in found:
            day = self._counted(cell, sign)
            if cell.cost is not None and cell.currency is not None:
                day.costs[cell.currency] += sign * cell.cost
                for workflow in (cell.workflow, ALL):
                    costs = self._costs.setdefault((workflow, hour_of(cell.create_time), cell.currency), [0, 0])
                    costs[0] += sign
                    costs[1] += sign * cell.cost
            for node, status, duration, *tokens in cell.nodes:
                self._in_day(cell, node, status, duration, tokens, sign)

    def _counted(self, cell: Cell, sign: int) -> PricedDay:
        """Count a record in its hour and in its day, which is returned."""
        hour, tokens = hour_of(cell.create_time), (cell.tokens, cell.input_tokens, cell.output_tokens)
        counts = self._hours.get((cell.workflow, hour))
        if counts is None:
            counts = self._hours[cell.workflow, hour] = [0] * SIZE
        counts[cell.status] += sign
        for place, number in enumerate(tokens, len(STATUS_NAMES)):
            counts[place] += sign * (number or 0)
        if cell.duration is not None and cell.status in ENDED_NUMBERS:
            self._durations[cell.workflow, hour, bucket_of(cell.duration)] += sign
        return self._in_day(cell, ALL, cell.status, cell.duration, tokens, sign)

    def _in_day(
        self, cell: Cell, node: int, status: int, duration: int | None, tokens: Sequence[int | None], sign: int
    ) -> PricedDay:
        number, hour = divmod(hour_of(cell.create_time), DAY_HOURS)
        key = cell.workflow, node, number
        day = self._days.get(key)
        if day is None:
            day = self._days[key] = PricedDay()
        day.count(hour, status, tokens, sign)
        if duration is not None and status in ENDED_NUMBERS:
            day.durations[bucket_of(duration)] += sign
        return day

    def write(self, index: apsw.Connection) -> None:
        """Write the changes, and remove hours, days and durations that have no run left."""
        for (_, hour), counts in list(self._hours.items()):
            known = self._hours.get((ALL, hour), [0] * len(counts))
            self._hours[ALL, hour] = [one + other for one, other in zip(known, counts, strict=True)]
        for (_, hour, bucket), count in list(self._durations.items()):
            self._durations[ALL, hour, bucket] += count
        hours, durations, costs = (
            sorted(self._hours.items()),
            sorted(self._durations.items()),
            sorted(self._costs.items()),
        )
        add_rows(index, statement("add_to_rollup"), [(*key, *counts) for key, counts in hours])
        add_rows(index, statement("add_to_durations"), [(*key, count) for key, count in durations])
        add_rows(index, statement("add_to_costs"), [(*key, *counts) for key, counts in costs])
        if self._has_fewer:
            index.executemany(statement("drop_empty_rollup"), [key for key, _ in hours])
            index.executemany(statement("drop_empty_durations"), [key for key, _ in durations])
            index.executemany(statement("drop_empty_costs"), [key for key, _ in costs])
        day_rollups.write(index, self._days, adds=not self._has_fewer)
