"""What has been kept long enough: deletions that every follower has seen, and what the bin kept for a while.

Counters are folded at the same times: every process adds to a slot of its own, and after many starts there are rows in
all of them, which every list of workflows adds up.
"""

from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Any, Final, NamedTuple

from execution_history.query.model import RecordKey
from execution_history.query.rollups import DAY_HOURS, hour_of
from execution_history.stores.administration import FEED_KEPT_MS
from execution_history.stores.postgres.connections import Connection, Connections
from execution_history.stores.postgres.queries import Statements

_GROUPS: Final = 500
_MOST_SLOTS: Final = 8
_NOTHING: Final = ("", "", 0)
"""Stands in the log where an entry was, so that those after it keep their revisions."""


class _Group(NamedTuple):
    """A row of the log."""

    revision: int
    workflow_ids: Sequence[str]
    execute_ids: Sequence[str]
    versions: Sequence[int]
    changed_at: int

    def entries(self) -> Iterable[tuple[int, RecordKey, int]]:
        """Return its entries: revision, ids, version."""
        first = self.revision - len(self.versions) + 1
        for place, row in enumerate(zip(self.workflow_ids, self.execute_ids, self.versions, strict=True)):
            yield first + place, RecordKey(*row[:2]), row[2]


def tidy(connections: Connections, now: int) -> None:
    """Forget what has been kept long enough at *now* (ms), and fold the counters.

    Raises:
        StoreError: it could not be done.
    """
    while connections.run(lambda connection, _: _prune(connection, connections.statements, now)):
        pass
    _fold_counters(connections)
    _fold_days(connections, hour_of(now) - DAY_HOURS)
    _fold_rollups(connections, hour_of(now) - DAY_HOURS)


def _prune(connection: Connection, statements: Statements, now: int) -> bool:
    """Forget some old deletions, and keep of the old log only what is current; return whether there may be more.

    Args:
        connection: in a transaction.
        statements: for the schema.
        now: milliseconds since the epoch.

    Raises:
        psycopg.Error: it could not be done.
    """

    def rows(name: str, *values: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - whatever a column takes
        return connection.execute(statements[name], values).fetchall()

    has_more = len(rows("purge_bin", now, _GROUPS)) == _GROUPS
    rows("lock_compaction", statements.schema)
    [(compacted, seen)] = rows("compaction")
    found = [_Group(*row) for row in rows("log_after", compacted, _GROUPS)]
    before = now - FEED_KEPT_MS
    old = list(takewhile(lambda each: each.changed_at <= before and (seen is None or each.revision <= seen), found))
    if not old:
        return has_more
    keys = dict.fromkeys(key for each in old for _, key, _ in each.entries())
    columns = [key.workflow_id for key in keys], [key.execute_id for key in keys]
    current = {RecordKey(*row[:2]): row[2] for row in rows("versions_of", *columns)}
    dropped = []
    for each in old:
        kept = [(*key, version) if current.get(key) == version else _NOTHING for _, key, version in each.entries()]
        if not any(version for *_, version in kept):
            dropped.append(each.revision)
        elif _NOTHING in kept:
            connection.execute(statements["rewrite_log"], (*map(list, zip(*kept, strict=True)), each.revision))
    connection.execute(statements["drop_log"], (dropped,))
    deleted = [(revision, key, -version) for each in old for revision, key, version in each.entries() if version < 0]
    columns = [key.workflow_id for _, key, _ in deleted], [key.execute_id for _, key, _ in deleted]
    connection.execute(statements["forget_deletions"], (*columns, [version for *_, version in deleted]))
    forgotten = [revision for revision, *_ in deleted]
    forgotten += [row[0] for row in rows("forget_entries", old[-1].revision)]
    connection.execute(statements["save_compaction"], (old[-1].revision, max(forgotten, default=0)))
    return has_more or len(old) == _GROUPS


def _fold_counters(connections: Connections) -> None:
    """Add the counters of each workflow up in one slot, where they are in many.

    One workflow is one transaction, which waits for those that write its counters; none of them waits for it with
    anything that it needs.

    Raises:
        StoreError: it could not be done.
    """
    for (workflow_id,) in connections.rows("scattered_counters", _MOST_SLOTS):
        connections.execute("fold_counters", {"workflow_id": workflow_id})


def _fold_days(connections: Connections, end: int) -> None:
    """Do the same with how long the runs of all workflows took, a day at once, for the hours before *end*.

    There are as many of these rows as runs in an hour, for each process: statistics of all workflows read them.

    Raises:
        StoreError: it could not be done.
    """
    for (day,) in connections.rows("scattered_days", end):
        connections.execute("fold_total_durations", {"first": day * DAY_HOURS, "end": min(end, (day + 1) * DAY_HOURS)})


def _fold_rollups(connections: Connections, end: int) -> None:
    """Do the same with the hours of each workflow before *end*, which are compared with the stamps of days.

    Raises:
        StoreError: it could not be done.
    """
    for (workflow_id,) in connections.rows("scattered_hours", end, _MOST_SLOTS):
        connections.execute("fold_rollups", {"workflow_id": workflow_id, "end": end})
