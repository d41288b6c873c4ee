"""Whether every record can be read, and whether its columns and the counters say the same as its document."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import apsw

from execution_history.query.model import RecordKey
from execution_history.records.metadata import COZE_EXECUTE_ID
from execution_history.records.partial import outline_of
from execution_history.records.record import Document
from execution_history.stores.compression import StoredRecord, Unreadable
from execution_history.stores.sqlite.checkup.view import HistoryView
from execution_history.stores.sqlite.documents import Documents
from execution_history.stores.sqlite.queries import query, rows

_TOLD_EVERY: Final = 1_000
_MOST: Final = 1_000


@dataclass(slots=True)
class RecordFaults:
    """What is wrong with records; of each kind at most a thousand are named.

    Attributes:
        count: how many were read.
        recovered: damaged here and sound in a JSON file.
        lost: damaged here, and nowhere else.
        contradicted: whose columns say something else than their documents.
        binned: how many discarded records are damaged.
    """

    count: int = 0
    recovered: list[RecordKey] = field(default_factory=list)
    lost: list[RecordKey] = field(default_factory=list)
    contradicted: list[RecordKey] = field(default_factory=list)
    binned: int = 0


def record_faults(view: HistoryView, tell: Callable[[int, int], None]) -> RecordFaults:
    """Return what is wrong with the records; *tell* gets how many were read, and of how many.

    Raises:
        StoreError: the database cannot be read.
    """
    faults = RecordFaults()
    with view.documents() as (connection, documents):
        total = int(rows(connection, "total_of_all")[0][0])
        for *row, upstream_id in connection.execute(query("all_documents")):
            _examine(connection, documents, StoredRecord(*row), upstream_id, faults)
            if not faults.count % _TOLD_EVERY:
                tell(faults.count, max(total, faults.count))
        faults.binned = sum(_is_damaged(connection, documents, row) for row in rows(connection, "binned_documents"))
    return faults


def _examine(
    connection: apsw.Connection, documents: Documents, stored: StoredRecord, upstream_id: object, faults: RecordFaults
) -> None:
    faults.count += 1
    try:
        body = documents.unpack(connection, stored)
    except Unreadable:
        found = faults.lost if documents.find(connection, stored) is None else faults.recovered
    else:
        if stored.is_of(body) and _upstream_of(body) == upstream_id:
            return
        found = faults.contradicted
    if len(found) < _MOST:
        found.append(stored.key)


def _upstream_of(body: bytes) -> str | None:
    if COZE_EXECUTE_ID.name.encode() not in body:
        return None
    return Document.of(outline_of(body), body).upstream_id


def _is_damaged(connection: apsw.Connection, documents: Documents, row: tuple[Any, ...]) -> bool:
    try:
        documents.unpack(connection, StoredRecord(*row))
    except Unreadable:
        return True
    return False


def wrong_counters(connection: apsw.Connection) -> Iterator[tuple[str, list[int]]]:
    """Yield each workflow whose counters are wrong, and its number of rows in each status."""
    for name, *found in rows(connection, "counted_rows"):
        counts, stored = found[:5], found[7:12]
        if counts != stored:
            yield name, counts
