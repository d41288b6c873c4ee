"""Stored records, read by their ids or as a whole, and unpacked."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from execution_history.errors import RecordDamaged
from execution_history.query.model import RecordKey
from execution_history.stores.compression import StoredRecord
from execution_history.stores.postgres.connections import Connection, Connections
from execution_history.stores.postgres.long_texts import restored
from execution_history.stores.postgres.record_rows import stored_key
from execution_history.stores.protocol import LARGEST_ANSWER, Batch, ScanToken
from execution_history.stores.scan_token import place_of, scan_token

_SCANNED_AT_ONCE: Final = 1_000


def documents_of(
    connections: Connections, connection: Connection, keys: Sequence[RecordKey]
) -> dict[RecordKey, bytes | None]:
    """Return the records *keys* that exist; ``None`` stands for one that is damaged.

    Raises:
        psycopg.Error: they could not be read.
    """
    stored = {stored_key(*key): key for key in keys}
    if not stored:
        return {}
    columns = [list(column) for column in zip(*stored, strict=True)]
    return {
        (key := stored[RecordKey(*row[:2])]): connections.body(connection, StoredRecord(*key, *row[2:]))
        for row in connection.execute(connections.statements["documents"], columns)
    }


def exactly(connections: Connections, connection: Connection, rows: Iterable[tuple[Any, ...]]) -> list[bytes]:
    """Return the records of *rows*, which have the columns of a :class:`StoredRecord`.

    Raises:
        RecordDamaged: one of them is damaged.
        psycopg.Error: they could not be read.
    """
    found = []
    for row in rows:
        stored = StoredRecord(*row)
        body = connections.body(connection, stored)
        if body is None:
            texts = restored(connection, connections.statements, stored.key)
            raise RecordDamaged(connections.location.name, texts[stored.workflow_id], texts[stored.execute_id])
        found.append(body)
    return found


def scan(connections: Connections, connection: Connection, after: ScanToken | None, limit: int) -> Batch:
    """Return the next records in the order of creation; see :meth:`HistoryStore.scan`.

    Raises:
        InvalidCursor: *after* is broken.
        psycopg.Error: they could not be read.
    """
    place = place_of(after)
    documents: list[bytes] = []
    damaged: list[RecordKey] = []
    size = count = 0
    while count < limit and size < LARGEST_ANSWER:
        wanted = min(limit - count, _SCANNED_AT_ONCE)
        rows = connection.execute(connections.statements["scanned"], (place, wanted, LARGEST_ANSWER - size)).fetchall()
        for seq, *row in rows:
            stored = StoredRecord(*row)
            body = connections.body(connection, stored)
            if body is None:
                texts = restored(connection, connections.statements, stored.key)
                damaged.append(RecordKey(texts[stored.workflow_id], texts[stored.execute_id]))
            else:
                documents.append(body)
            place, size, count = seq, size + stored.size, count + 1
        if not rows:
            return Batch(documents, None, tuple(damaged))
    return Batch(documents, scan_token(place), tuple(damaged))
