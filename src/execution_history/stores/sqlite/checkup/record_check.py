"""Whether every record can be read, and whether its columns and the counters say the same as its document."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import apsw
import orjson

from execution_history.query.model import RecordKey
from execution_history.records.metadata import COZE_EXECUTE_ID
from execution_history.records.partial import outline_of
from execution_history.records.record import Document
from execution_history.stores.compression import StoredRecord, Unreadable
from execution_history.stores.sqlite.checkup.view import HistoryView
from execution_history.stores.sqlite.connections import applied_migrations
from execution_history.stores.sqlite.documents import Documents
from execution_history.stores.sqlite.queries import query, rows
from execution_history.stores.verification import Effort, sample_of

_TOLD_EVERY: Final = 1_000
_MOST: Final = 1_000
_SIZES: Final = 9
"""The migration from which on workflows have a size: the doctor reads older databases as they are."""


@dataclass(slots=True)
class RecordFaults:
    """What is wrong with records; of each kind at most a thousand are named.

    Attributes:
        count: how many were read.
        total: how many there are.
        recovered: damaged here and sound in a JSON file.
        lost: damaged here, and nowhere else.
        contradicted: whose columns say something else than their documents.
        binned: discarded ones that are damaged.
    """

    count: int = 0
    total: int = 0
    recovered: list[RecordKey] = field(default_factory=list)
    lost: list[RecordKey] = field(default_factory=list)
    contradicted: list[RecordKey] = field(default_factory=list)
    binned: list[RecordKey] = field(default_factory=list)


def record_faults(view: HistoryView, effort: Effort, tell: Callable[[int, int], None]) -> RecordFaults:
    """Return what is wrong with the records, or with the newest and some others; *tell* gets how many were read.

    Raises:
        StoreError: the database cannot be read.
    """
    faults = RecordFaults()
    with view.documents() as (connection, documents):
        faults.total = int(rows(connection, "total_of_all")[0][0])
        sample = (places_in_sample(connection),) if effort == "quick" else ()
        for *row, upstream_id in connection.execute(query("some_documents" if sample else "all_documents"), sample):
            _examine(connection, documents, StoredRecord(*row), upstream_id, faults)
            if not faults.count % _TOLD_EVERY:
                tell(faults.count, max(faults.total, faults.count))
        if not sample:
            binned = [StoredRecord(*row) for row in rows(connection, "binned_documents")]
            faults.binned = [stored.key for stored in binned if _is_damaged(connection, documents, stored)]
    return faults


def places_in_sample(connection: apsw.Connection) -> str:
    """Return the places of some records as a JSON list."""
    return orjson.dumps(sample_of(int(rows(connection, "newest_place")[0][0]))).decode()


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


def _is_damaged(connection: apsw.Connection, documents: Documents, stored: StoredRecord) -> bool:
    body = documents.find(connection, stored)
    return body is None or not stored.is_of(body)


def wrong_counters(connection: apsw.Connection) -> Iterator[tuple[str, list[int]]]:
    """Yield each workflow whose counters are wrong, and its number of rows in each status, followed by their bytes."""
    counted = query("counted_rows")
    if applied_migrations(connection) < _SIZES:
        counted = counted.replace("w.size", "coalesce(sum(e.size), 0)")
    for name, *found in connection.execute(counted):
        counts, stored = found[:6], found[8:14]
        if counts != stored:
            yield name, counts
