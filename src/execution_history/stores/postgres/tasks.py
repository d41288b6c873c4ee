"""Work behind the writes that one process does for all: rows that lack columns are filled, and days added up."""

import time
from functools import partial
from typing import Final
from uuid import UUID

from execution_history.query.rollups import hour_of
from execution_history.stores.postgres.backfill import fill_next
from execution_history.stores.postgres.connections import Connection, Connections
from execution_history.stores.postgres.days import has_many_nodes, sum_day, unsummed_days

LEASE: Final = "execution-history sums"
"""The named lease of whoever does it."""

_SECONDS: Final = 1.0
_HOURS_LEFT: Final = 1
"""Hours before the present one whose runs may not have ended yet: they are counted from rows."""


class Tasks:
    """This process's part in that work, some of it at a time.

    Args:
        connections: connects to the server.
        owner: names this process.
        slot: the slot of this process for counters.
    """

    def __init__(self, connections: Connections, owner: str, slot: int) -> None:
        self._connections = connections
        self._owner = owner
        self._slot = slot
        self._is_at_work = False
        self._days: list[tuple[str, int]] | None = None
        self._with_many_nodes: dict[str, bool] = {}

    def go_on(self, now: int) -> bool:
        """Do the next part, for a second or so; return whether something is left that is this process's.

        Args:
            now: milliseconds since the epoch.

        Raises:
            StoreError: it could not be done.
        """
        if not self._take_lease():
            return False
        ends, is_filled = time.monotonic() + _SECONDS, False
        while time.monotonic() < ends:
            if not is_filled:
                is_filled = not fill_next(self._connections, self._slot, now)
            elif not self._sum_next(hour_of(now) - _HOURS_LEFT):
                self.leave()
                return False
        return True

    def leave(self) -> None:
        """Leave it to another process, if it is this one's.

        Raises:
            StoreError: it could not be done; that process waits for a minute then.
        """
        if self._is_at_work:
            self._is_at_work = False
            self._connections.execute("leave_task", (LEASE, self._owner))

    def finish(self, now: int) -> None:
        """Do all that is left at *now* (ms), if it is this process's.

        Raises:
            StoreError: it could not be done.
        """
        while self.go_on(now):
            pass

    def _take_lease(self) -> bool:
        values = (LEASE, self._owner)
        take = self._connections.statements["take_task"]
        found = self._connections.run(lambda connection, _: connection.execute(take, values).fetchall())
        self._is_at_work = bool(found)
        return self._is_at_work

    def _sum_next(self, hour: int) -> bool:
        """Add up a day, those of the last time first; return whether there was one."""
        if self._days is None:
            self._days = unsummed_days(self._connections, hour)[::-1]
            self._with_many_nodes = {}
        if not self._days:
            self._days = None
            return False
        workflow_id, day = self._days.pop()
        if workflow_id not in self._with_many_nodes:
            self._with_many_nodes[workflow_id] = has_many_nodes(self._connections, workflow_id)
        self._connections.run(partial(self._sum, workflow_id, day, hour))
        return True

    def _sum(self, workflow_id: str, day: int, hour: int, connection: Connection, _: UUID) -> None:
        has_nodes = not self._with_many_nodes[workflow_id]
        sum_day(connection, self._connections.statements, workflow_id, day, hour, has_nodes=has_nodes)
