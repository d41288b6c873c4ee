"""Columns that older processes leave empty: what runs are found and added up by since migration 4.

It is in the document. That stays as it is, and so does its version: nobody who follows the history is told of it. Who
has read the row before, and changes it, compares ``filled`` as well.
"""

from collections.abc import Sequence
from functools import partial
from typing import Final
from uuid import UUID

import orjson

from execution_history.query.model import RecordKey
from execution_history.records.record import Document
from execution_history.stores.compression import Packer, shipped_dictionary
from execution_history.stores.postgres.batch import StoredState
from execution_history.stores.postgres.commit import ADD_LONG_TEXTS, ADD_NODES, read_stored
from execution_history.stores.postgres.connections import Connection, Connections
from execution_history.stores.postgres.days import forget_days
from execution_history.stores.postgres.deltas import Deltas
from execution_history.stores.postgres.queries import insert_rows
from execution_history.stores.postgres.record_rows import COLUMNS, Counted, RecordRow, row_of

_AT_ONCE: Final = 50
_PLACES: Final = 1_000
_FILLED: Final = [COLUMNS.index(name) for name in ("input_tokens", "output_tokens", "cost", "currency")]
_FOUND_BY: Final = [COLUMNS.index(name) for name in ("log_id", "failed_in")]


def fill_next(connections: Connections, slot: int, now: int) -> bool:
    """Fill some rows; return whether there may be more.

    Args:
        connections: connects to the server.
        slot: the slot of this process for counters.
        now: milliseconds since the epoch.

    Raises:
        StoreError: it could not be done.
    """
    unfilled = [RecordKey(*row) for row in connections.rows("unfilled", _AT_ONCE)]
    if unfilled:
        connections.run(partial(_fill, connections, unfilled, slot, now))
        return True
    [(place, goal)] = connections.rows("backfilled")
    if place >= goal:
        return False
    end = min(goal, place + _PLACES)
    lacking = [RecordKey(*row) for row in connections.rows("lacking_columns", place, end)]
    for begin in range(0, len(lacking), _AT_ONCE):
        connections.run(partial(_fill, connections, lacking[begin : begin + _AT_ONCE], slot, now))
    connections.execute("save_backfilled", (end,))
    return bool(end < goal)


def _fill(
    connections: Connections, keys: Sequence[RecordKey], slot: int, now: int, connection: Connection, _: UUID
) -> None:
    """Fill the rows of *keys*, as columns have them, with what they lack, and add it to what is counted of them.

    Args:
        connections: has the statements.
        keys: of runs that have ended.
        slot: the slot of this process for counters.
        now: milliseconds since the epoch.
        connection: in a transaction.

    Raises:
        psycopg.Error: it could not be done.
    """
    packer, statements = Packer(shipped_dictionary()), connections.statements
    stored = sorted(read_stored(connections, connection, keys).items())
    made = [(key, state, _row(state, packer, now)) for key, state in stored]
    # A row from before that lacks nothing stays as it is, to be found by its place.
    made = [each for each in made if each[1].filled != 0 or (each[2] is not None and _lacks(each[1], each[2]))]
    if not made:
        return
    values = [(*key, state.version, state.filled, *_columns(state, row)) for key, state, row in made]
    done = {
        RecordKey(*key)
        for key in connection.execute(statements["fill_columns"], [list(each) for each in zip(*values, strict=True)])
    }
    changed = [(key, state.counted, row) for key, state, row in made if row is not None and key in done]
    ids = [key.workflow_id for key, *_ in changed], [key.execute_id for key, *_ in changed]
    connection.execute(statements["drop_nodes"], ids)
    insert_rows(
        connection, statements, ADD_NODES, sorted((*key, *node) for key, _, row in changed for node in row.nodes)
    )
    forget_days(connection, statements, ((key.workflow_id, counted.create_time) for key, counted, _ in changed))
    long = {key: text for *_, row in changed for key, text in row.long_texts.items()}
    insert_rows(connection, statements, ADD_LONG_TEXTS, sorted(long.items()))
    deltas = Deltas(slot)
    for key, counted, row in changed:
        deltas.count(key.workflow_id, counted, -1)
        deltas.count(key.workflow_id, _with_tokens(counted, row), 1)
    deltas.write(connection, statements)


def _row(state: StoredState, packer: Packer, now: int) -> RecordRow | None:
    """Return the row that a document makes; ``None`` for a damaged one."""
    if state.body is None:
        return None
    return row_of(Document.of(orjson.loads(state.body), state.body), packer, now)


def _with_tokens(counted: Counted, row: RecordRow) -> Counted:
    """Return what is counted of a run once its columns are filled; what they had before stays."""
    return counted._replace(
        input_tokens=row.counted.input_tokens,
        output_tokens=row.counted.output_tokens,
        cost=row.counted.cost,
        currency=row.counted.currency,
    )


def _lacks(state: StoredState, row: RecordRow) -> bool:
    return _with_tokens(state.counted, row) != state.counted or any(row.columns[each] is not None for each in _FOUND_BY)


def _columns(state: StoredState, row: RecordRow | None) -> list[object]:
    """Return the values that are filled in; those of a damaged document stay as they are."""
    if row is None:
        return [*state.counted[4:], None, None]
    return [row.columns[each] for each in (*_FILLED, *_FOUND_BY)]
