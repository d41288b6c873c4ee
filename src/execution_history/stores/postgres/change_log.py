"""The log of changes, from which the change feed is read: one row for each transaction that changed records.

The one row of ``feed`` is locked last in a transaction, so that revisions are in the order of the commits, and whoever
waits for it has nothing else to do. A record's row cannot have that revision, which is not known before; it has a
version instead, which the log names: a reader that does not see it yet stops before it (:mod:`.feed`).
"""

from collections.abc import Sequence
from typing import Final, NamedTuple
from uuid import UUID

import psycopg

from execution_history.stores.postgres.connections import Connection
from execution_history.stores.postgres.queries import Statements

VERSIONS: Final = 1 << 20
"""The versions that a record has between two places in the order of arrival: its first is its place, times this."""


class Logged(NamedTuple):
    """A change: the ids as they are stored, an empty one for a whole workflow, and the version, negative if gone."""

    workflow_id: str
    execute_id: str
    version: int


def log_changes(
    connection: Connection, statements: Statements, changes: Sequence[Logged], changed_at: int, token: UUID
) -> "psycopg.Cursor[tuple[int]]":
    """Add *changes* to the log; from here on no other transaction can commit one.

    Args:
        connection: in a transaction.
        statements: for the schema.
        changes: in their order; without any, one revision passes, as for an entry of the registry.
        changed_at: milliseconds since the epoch.
        token: names this transaction; see :func:`was_committed`.

    Returns:
        A cursor with one row: the revision of the last.

    Raises:
        psycopg.Error: it could not be written.
    """
    columns = [[each.workflow_id for each in changes], [each.execute_id for each in changes]]
    values = (max(1, len(changes)), *columns, [each.version for each in changes], changed_at, token)
    return connection.execute(statements["log_changes"], values)


def was_committed(connection: Connection, statements: Statements, token: UUID) -> bool:
    """Return whether the transaction that *token* names has been committed, for one whose answer was lost.

    Raises:
        psycopg.Error: it could not be read.
    """
    return connection.execute(statements["committed_token"], (token,)).fetchone() is not None


def arrivals(connection: Connection, statements: Statements, count: int) -> list[int]:
    """Return the next *count* places in the order of arrival, ascending.

    Raises:
        psycopg.Error: they could not be taken.
    """
    if not count:
        return []
    return sorted(int(row[0]) for row in connection.execute(statements["arrivals"], (count,)))
