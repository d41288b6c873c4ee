"""A group commit: the operations of many callers as one transaction of few statements."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg

from execution_history.query.model import RecordKey
from execution_history.records.partial import outline_of
from execution_history.stores.compression import Packer, StoredRecord
from execution_history.stores.foreign_files import in_groups
from execution_history.stores.postgres.batch import Binned, ChangedState, StoredState
from execution_history.stores.postgres.change_log import VERSIONS, Logged, arrivals, log_changes
from execution_history.stores.postgres.connections import Connection, Connections
from execution_history.stores.postgres.conversation import conversation
from execution_history.stores.postgres.days import forget_days
from execution_history.stores.postgres.deltas import Deltas
from execution_history.stores.postgres.queries import Statements, insert_rows
from execution_history.stores.postgres.record_rows import COLUMNS, Counted, RecordRow, joined_text, row_of, stored_key
from execution_history.stores.postgres.stored_texts import SEPARATOR
from execution_history.stores.status_numbers import OPEN_NUMBERS, status_number

_MOST_BYTES: Final = 32 * 1024 * 1024
"""Bytes of documents in one statement; PostgreSQL takes no message of more than a gigabyte."""

_LISTS: Final = {"tags": "text[]", "failed_nodes": "text[]", "terms": "integer[]"}
_TYPES: Final = {
    **dict.fromkeys(("document", "summary"), "bytea"),
    **dict.fromkeys(("has_output", "pinned"), "boolean"),
    **dict.fromkeys(("workflow_id", "execute_id", "error_code", "failure", "upstream", "bot", "account"), "text"),
    **dict.fromkeys(("currency", "failed_in", "log_id"), "text"),
    **dict.fromkeys(("caller", "conversation", "parent", *_LISTS), "text"),
}
"""The types in which the values of columns are passed, where these are not numbers; lists are passed as texts."""


class Written(NamedTuple):
    """A record that was written, how the database has it now, ``None`` where it was deleted, and whether terms lack."""

    key: RecordKey
    state: StoredState | None
    lacks_terms: bool = False


class Conflict(Exception):  # noqa: N818 - a signal within this room
    """Other processes have changed some of these records since they were read; nothing was written."""

    def __init__(self, keys: Collection[RecordKey]) -> None:
        super().__init__()
        self.keys = keys


def read_states(
    connections: Connections, connection: Connection, keys: Sequence[RecordKey]
) -> dict[RecordKey, StoredState | None]:
    """Return the records *keys* as they are stored, ``None`` for one that is not there.

    Raises:
        psycopg.Error: they could not be read.
    """
    stored = {stored_key(*key): key for key in keys}
    found = read_stored(connections, connection, list(stored))
    return {key: found.get(each) for each, key in stored.items()}


def read_stored(
    connections: Connections, connection: Connection, keys: Sequence[RecordKey]
) -> dict[RecordKey, StoredState]:
    """Return those of the records *keys*, as columns have them, that are there.

    Raises:
        psycopg.Error: they could not be read.
    """
    found: dict[RecordKey, StoredState] = {}
    for workflow_id, execute_id, seq, version, filled, create_time, update_time, size, packing, document, *figures in (
        connection.execute(connections.statements["states"], _columns(keys)) if keys else ()
    ):
        key, counted = RecordKey(workflow_id, execute_id), Counted(size, create_time, *figures)
        record = StoredRecord(*key, create_time, update_time, counted.status, size, packing, document)
        found[key] = StoredState(seq, version, filled, update_time, counted, connections.body(connection, record))
    return found


def write(
    connection: Connection,
    statements: Statements,
    packer: Packer,
    changes: Sequence[ChangedState],
    *,
    slot: int,
    now: int,
    token: UUID,
) -> list[Written]:
    """Write *changes* in one transaction, if no other process has changed these records since they were read.

    Args:
        connection: commits each statement by itself outside of a transaction.
        statements: for the schema.
        packer: packs documents.
        changes: at least one, in their order.
        slot: the slot of this process for counters.
        now: milliseconds since the epoch.
        token: names this transaction; see :func:`~.change_log.was_committed`.

    Raises:
        Conflict: another process was quicker; nothing was written.
        psycopg.Error: it could not be written, or the answer to the commit was lost.
    """
    # Before anything is locked: others may wait for it.
    binned = [_binned(each.key, each.binned, packer) for each in changes if each.binned is not None]
    # A record that came and went in one group is in the bin only.
    changes = [each for each in changes if each.stored is not None or each.document is not None]
    rows = [None if each.document is None else row_of(each.document, packer, now) for each in changes]
    try:
        with conversation(connection):
            places = iter(
                arrivals(connection, statements, sum(each.is_new and each.document is not None for each in changes))
            )
            planned = [_planned(each, row, places) for each, row in zip(changes, rows, strict=True)]
            _write_records(connection, statements, planned)
            _write_beside(connection, statements, planned, now)
            insert_rows(connection, statements, _ADD_TO_BIN, sorted(binned))
            _write_counters(connection, statements, planned, slot)
            log_changes(connection, statements, [each.logged() for each in planned], now, token)
    except psycopg.Error as error:
        if not is_conflict(error):
            raise
        raise Conflict([each.key for each in changes]) from None
    return [each.written() for each in planned]


def is_conflict(error: psycopg.Error) -> bool:
    """Return whether a record was there already, or had another version.

    On a cluster only the text names the constraint, followed by the number of a shard.
    """
    if isinstance(error, psycopg.errors.UniqueViolation):
        return "executions_pkey" in (error.diag.constraint_name or str(error))
    return isinstance(error, psycopg.errors.DivisionByZero)


class _Planned(NamedTuple):
    """A change with its row, its place and its new version."""

    change: ChangedState
    key: RecordKey
    row: RecordRow | None
    seq: int
    version: int

    @property
    def size(self) -> int:
        """The bytes of its document; 0 where it is deleted."""
        return 0 if self.change.document is None else len(self.change.document.body)

    def add_to(self, deltas: Deltas) -> None:
        """Add what it changes of the counters."""
        if self.change.stored is not None:
            deltas.count(self.key.workflow_id, self.change.stored.counted, -1)
        if self.row is not None and self.change.document is not None:
            deltas.count(self.key.workflow_id, self.row.counted, 1)
            deltas.updated(self.key.workflow_id, self.change.document.update_time)

    def logged(self) -> Logged:
        """Return its entry in the log."""
        return Logged(*self.key, self.version if self.row is not None else -self.version)

    def written(self) -> Written:
        """Return what the database has now."""
        document = self.change.document
        if self.row is None or document is None:
            return Written(self.change.key, None)
        state = StoredState(
            self.seq, self.version, self.version, document.update_time, self.row.counted, document.body, document.parts
        )
        return Written(self.change.key, state, self.row.lacks_terms)


def _planned(change: ChangedState, row: RecordRow | None, places: Iterator[int]) -> _Planned:
    stored = change.stored
    if row is None:
        seq, version = (0, 0) if stored is None else (stored.seq, stored.version + 1)
        return _Planned(change, stored_key(*change.key), None, seq, version)
    if stored is None or change.is_new:
        seq = next(places)
        return _Planned(change, row.key, row, seq, seq * VERSIONS)
    return _Planned(change, row.key, row, stored.seq, stored.version + 1)


def _binned(key: RecordKey, binned: Binned, packer: Packer) -> tuple[Any, ...]:
    """Return the row of a deleted record in the bin."""
    packing, packed = packer.pack(binned.body)
    record = outline_of(binned.body)
    status = status_number(record["execute_status"])
    times = binned.deleted_at, binned.ends, record["create_time"], record["update_time"]
    return (*stored_key(*key), *times, status, len(binned.body), packing, packed, binned.rule)


def _write_records(connection: Connection, statements: Statements, planned: Sequence[_Planned]) -> None:
    """Write the rows of records, which ends the transaction where another process has changed one of them meanwhile."""
    ordered = sorted(planned, key=lambda each: each.key)
    new = [each.row.values(each.seq, each.version) for each in ordered if each.change.stored is None and each.row]
    replaced = [each for each in ordered if each.change.stored is not None and each.row is not None]
    deleted = [each for each in ordered if each.row is None]
    insert_rows(connection, statements, _INSERT, new)
    for some in in_groups(replaced, len(replaced), _MOST_BYTES, lambda each: each.size):
        connection.execute(statements.placed(_UPDATE), [*_replaced(some), len(some)])
    if deleted:
        expected = [(stored.version, stored.filled) for each in deleted if (stored := each.change.stored) is not None]
        values = (*_columns([each.key for each in deleted]), *map(list, zip(*expected, strict=True)), len(deleted))
        connection.execute(statements["delete_executions"], values)


def _write_beside(connection: Connection, statements: Statements, planned: Sequence[_Planned], now: int) -> None:
    """Write the rows in other tables."""
    long = {key: text for each in planned if each.row is not None for key, text in each.row.long_texts.items()}
    insert_rows(connection, statements, ADD_LONG_TEXTS, sorted(long.items()))
    stored = [(each.key, each.change.stored.counted) for each in planned if each.change.stored is not None]
    old = [(key, counted) for key, counted in stored if counted.status not in OPEN_NUMBERS]  # only these have nodes
    if old:
        connection.execute(statements["drop_nodes"], _columns(sorted(key for key, _ in old)))
        forget_days(connection, statements, ((key.workflow_id, counted.create_time) for key, counted in old))
    nodes = sorted((*each.key, *node) for each in planned if each.row is not None for node in each.row.nodes)
    insert_rows(connection, statements, ADD_NODES, nodes)
    gone = sorted((*each.key, each.version, now) for each in planned if each.row is None)
    insert_rows(connection, statements, _ADD_DELETIONS, gone)


def _write_counters(connection: Connection, statements: Statements, planned: Sequence[_Planned], slot: int) -> None:
    deltas = Deltas(slot)
    for each in planned:
        each.add_to(deltas)
    deltas.write(connection, statements)


_INSERT: Final = f"INSERT INTO execution_history.executions ({', '.join(COLUMNS)}) VALUES {{}}"  # noqa: S608 - literals of ours
ADD_LONG_TEXTS: Final = "INSERT INTO execution_history.long_texts VALUES {} ON CONFLICT DO NOTHING"
"""Adds texts that columns have shortened, sorted by their keys."""

ADD_NODES: Final = "INSERT INTO execution_history.nodes VALUES {}"
"""Adds the nodes of runs that have ended, sorted."""

_ADD_TO_BIN: Final = (
    "INSERT INTO execution_history.bin VALUES {} ON CONFLICT (workflow_id, execute_id) DO UPDATE SET "
    "deleted_at = excluded.deleted_at, ends = excluded.ends, create_time = excluded.create_time, "
    "update_time = excluded.update_time, status = excluded.status, size = excluded.size, packing = excluded.packing, "
    "document = excluded.document, rule = excluded.rule"
)
_ADD_DELETIONS: Final = (
    "INSERT INTO execution_history.deletions AS t (workflow_id, execute_id, version, deleted_at) VALUES {} "
    "ON CONFLICT (workflow_id, execute_id) DO UPDATE SET version = excluded.version, deleted_at = excluded.deleted_at "
    "WHERE t.version < excluded.version"
)


_COMPARED: Final = (*COLUMNS, "expected", "expected_filled")
_SEPARATOR: Final = "E'" + "".join(f"\\x{ord(each):02x}" for each in SEPARATOR) + "'"
_SETS: Final = ", ".join(
    f"{each} = string_to_array(v.{each}, {_SEPARATOR})::{_LISTS[each]}" if each in _LISTS else f"{each} = v.{each}"
    for each in COLUMNS[2:]
)
_MARKS: Final = {"bytea": "%b"}
"""Bytes are passed as they are: as text they would depend on a setting of the server, and take twice the room."""
_ARRAYS: Final = ", ".join(
    f"{_MARKS.get(kind, '%s')}::{kind}[]" for kind in (_TYPES.get(each, "bigint") for each in _COMPARED)
)
_UPDATE: Final = (
    f"WITH done AS (UPDATE execution_history.executions e SET {_SETS} "  # noqa: S608 - literals of ours
    f"FROM unnest({_ARRAYS}) AS v ({', '.join(_COMPARED)}) "
    "WHERE e.workflow_id = v.workflow_id AND e.execute_id = v.execute_id AND e.version = v.expected "
    "AND coalesce(e.filled, -1) = v.expected_filled RETURNING 1) "
    "SELECT 1 / (count(*) = %s)::integer FROM done"
)
"""Arrays of arrays must be of one length, so lists are passed as texts, which an immutable function divides: a cluster
takes no other here.

Where a record has another version by now, the division by zero ends the transaction, without a question in between.
"""


def _replaced(planned: Sequence[_Planned]) -> list[list[Any]]:
    """Return the columns of :data:`_COMPARED` for changed records."""
    rows = [
        [*each.row.values(each.seq, each.version, joined_text), each.change.stored.version, each.change.stored.filled]
        for each in planned
        if each.row is not None and each.change.stored is not None
    ]
    return [list(column) for column in zip(*rows, strict=True)]


def _columns(keys: Sequence[RecordKey]) -> tuple[list[str], list[str]]:
    return [key.workflow_id for key in keys], [key.execute_id for key in keys]
