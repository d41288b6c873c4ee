"""Sums of days by workflow and node, added up behind the writes, and how a write takes one back.

A sum is of use as long as nothing has changed in its hours. Nearly every change shows in the hourly rollups of the
workflow, which all processes keep, so a sum names what they were (its stamp), and no write has to look after it. What
replaces or removes a run that has ended may leave them as they are, so it takes the stamp away. Runs that an older
process has written are told by their column ``filled`` until :mod:`.backfill` has looked at them.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from execution_history.query.breakdown_plan import EXACT_RUNS
from execution_history.query.rollups import DAY_HOURS, bucket_of
from execution_history.records.time_units import DAY_MS, HOUR_MS
from execution_history.stores.day_sums import MOST_NODES, Day
from execution_history.stores.postgres.connections import Connection, Connections
from execution_history.stores.postgres.queries import Statements, insert_rows
from execution_history.stores.sql_fragments import TOKENS, Fragment
from execution_history.stores.status_numbers import ENDED_NUMBERS, STATUS_NAMES

WHOLE: Final = "\x01"
"""Stands among nodes for the workflow as a whole; no stored text is this."""

UNFILLED: Final = "e.status NOT IN (0, 3) AND (e.filled IS NULL OR (e.filled <> 0 AND e.filled <> e.version))"
"""The condition that an older process has written a row, as its partial index has it."""

_ROLLED: Final = ", ".join(f"coalesce(sum(r.{name}), 0)::bigint" for name in (*STATUS_NAMES, *TOKENS))
IS_VALID: Final = (
    f"s.stamp = (SELECT ARRAY[{_ROLLED}] FROM execution_history.rollups r WHERE r.workflow_id = s.workflow_id "  # noqa: S608 - literals of ours
    f"AND r.hour >= s.day * {DAY_HOURS} AND r.hour < s.until) AND NOT EXISTS (SELECT 1 FROM "
    f"execution_history.executions e WHERE e.workflow_id = s.workflow_id AND e.create_time >= s.day * {DAY_MS} "
    f"AND e.create_time < s.until * {HOUR_MS} AND {UNFILLED})"
)
"""The condition that the sum of a day, whose stamp is ``s``, is of the runs that began in it."""

_STAMP_OF_DAY: Final = "SELECT 1 FROM execution_history.day_stamps s WHERE s.workflow_id = %s AND s.day = %s"
_MOST_DAYS: Final = 5_000
_SUMS, _OF_NODE, _NODE_DURATIONS, _OF_HOUR, _DURATIONS = range(5)
_FORGET: Final = (
    "INSERT INTO execution_history.day_stamps (workflow_id, day, until) VALUES {} "
    "ON CONFLICT (workflow_id, day) DO UPDATE SET stamp = NULL"
)
_ADD: Final = "INSERT INTO execution_history.days VALUES {}"


def forget_days(connection: Connection, statements: Statements, runs: Iterable[tuple[str, int]]) -> None:
    """Take back the sums of the days in which *runs*, workflows and create times (ms), began.

    A day without a sum gets its row too: whoever adds it up at this moment waits for it, and so sees the change.

    Raises:
        psycopg.Error: it could not be done.
    """
    days = sorted({(workflow_id, create_time // DAY_MS) for workflow_id, create_time in runs})
    insert_rows(connection, statements, _FORGET, [(*day, 0) for day in days])


def unsummed_days(connections: Connections, hour: int, many: int = EXACT_RUNS) -> list[tuple[str, int]]:
    """Return workflows and days that have no sum, or one of other runs, but for *hour* and those after it.

    Args:
        connections: connects to the server.
        hour: counted from the epoch.
        many: workflows with so many runs or fewer need no sums.

    Raises:
        StoreError: they could not be read.
    """
    values = {"end": hour, "many": many, "limit": _MOST_DAYS}
    found = connections.read(lambda each: each.execute(connections.statements["unsummed_days"], values).fetchall())
    return [(workflow_id, day) for workflow_id, day in found]


def nodes_of(workflow_id: str) -> Fragment:
    """Return the statement that reads the nodes of a workflow, as columns have it, up to one more than have sums.

    Each is found behind the one before it: a grouping would read all runs.
    """
    source = "SELECT n.node FROM execution_history.nodes n WHERE n.workflow_id = %s"
    sql = (
        f"WITH RECURSIVE t AS (({source} ORDER BY n.node LIMIT 1) UNION ALL SELECT ({source} AND n.node > t.node "  # noqa: S608 - literals of ours
        "ORDER BY n.node LIMIT 1) FROM t WHERE t.node IS NOT NULL) "
        f"SELECT t.node FROM t WHERE t.node IS NOT NULL LIMIT {MOST_NODES + 1}"
    )
    return Fragment(sql, (workflow_id, workflow_id))


def has_many_nodes(connections: Connections, workflow_id: str) -> bool:
    """Return whether a workflow has more nodes than have sums.

    Raises:
        StoreError: they could not be read.
    """
    statement = nodes_of(workflow_id)
    sql = connections.statements.placed(statement.sql)
    return len(connections.read(lambda each: each.execute(sql, statement.values).fetchall())) > MOST_NODES


def sum_day(
    connection: Connection, statements: Statements, workflow_id: str, day: int, hour: int, *, has_nodes: bool = True
) -> None:
    """Add up a day of a workflow, but for *hour* and those after it.

    Args:
        connection: in a transaction.
        statements: for the schema.
        workflow_id: as columns have it.
        day: counted from the epoch.
        hour: likewise.
        has_nodes: whether its nodes are added up, too.

    Raises:
        psycopg.Error: it could not be done.
    """
    begin, until = day * DAY_HOURS, min(hour, (day + 1) * DAY_HOURS)
    # From here on nobody takes it back unseen; what is read next has every change before.
    connection.execute(statements["lock_day"], (workflow_id, day, until))
    values = {"workflow_id": workflow_id, "begin": begin, "end": until, "has_nodes": has_nodes}
    stamp, days = _read(connection, statements, values)
    connection.execute(statements["drop_day"], (workflow_id, day))
    rows = [(workflow_id, day, node, *each.figures, *each.packed()) for node, each in sorted(days.items())]
    insert_rows(connection, statements, _ADD, rows)
    connection.execute(statements["stamp_day"], (until, stamp, has_nodes, workflow_id, day))


def is_sum_of_runs(
    statements: Statements,
    workflow_id: str,
    day: int,
    until: int,
    has_nodes: bool,  # noqa: FBT001 - a column
    connection: Connection,
) -> bool:
    """Return whether the sum of a day, which is no use where its stamp is an earlier one, is that of its runs.

    Raises:
        psycopg.Error: it could not be read.
    """
    values = {"workflow_id": workflow_id, "begin": day * DAY_HOURS, "end": until, "has_nodes": has_nodes}
    is_valid = statements.placed(f"{_STAMP_OF_DAY} AND {IS_VALID}")
    if not connection.execute(is_valid, (workflow_id, day)).fetchall():
        return True
    _, days = _read(connection, statements, values)
    stored = {node: row for node, *row in connection.execute(statements["sums_of_day"], (workflow_id, day))}
    return stored == {node: [*each.figures, *each.packed()] for node, each in days.items()}


def _read(
    connection: Connection, statements: Statements, values: Mapping[str, Any]
) -> tuple[list[int], dict[str, Day]]:
    stamp: list[int] = []
    whole = Day()
    days: dict[str, Day] = {WHOLE: whole}
    for arm, node, number, status, figures in connection.execute(statements["figures_of_day"], values):
        if arm == _SUMS:
            stamp = figures
        elif arm == _OF_NODE:
            runs, *tokens = figures
            days.setdefault(node, Day()).count(number, status, tokens, runs)
        elif arm == _NODE_DURATIONS and status in ENDED_NUMBERS:
            days[node].durations[bucket_of(number)] += figures[0]
        elif arm == _OF_HOUR:
            for each, runs in enumerate(figures[: len(STATUS_NAMES)]):
                whole.count(number, each, (), runs)
            whole.count(number, 0, figures[len(STATUS_NAMES) :], 0)
        elif arm == _DURATIONS:
            whole.durations[number] += figures[0]
    return stamp, days
