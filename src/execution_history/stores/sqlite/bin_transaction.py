"""What the writer does with deleted records that can be restored, inside one transaction."""

from collections.abc import Callable, Iterable
from typing import Protocol

import apsw
import orjson

from execution_history.errors import ExecutionExists
from execution_history.query.model import RecordKey
from execution_history.records.record import Document
from execution_history.stores.compression import StoredRecord, Unreadable
from execution_history.stores.sqlite.documents import Documents
from execution_history.stores.sqlite.queries import query


class RecordTransaction(Protocol):
    """What the bin needs of the records."""

    def create(self, document: Document) -> None:
        """Keep a new record, or raise :class:`ExecutionExists`."""

    def delete(self, workflow_id: str, execute_id: str) -> bool:
        """Remove one record; whether there was one."""


class BinTransaction:
    """The operations, on the writer's connection.

    Args:
        records: the operations on records.
        connection: the writer's.
        stored: unpacks documents.
        clock: milliseconds since the epoch.
    """

    def __init__(
        self, records: RecordTransaction, connection: apsw.Connection, stored: Documents, clock: Callable[[], int]
    ) -> None:
        self._records = records
        self._connection = connection
        self._stored = stored
        self._clock = clock

    def discard(self, keys: Iterable[RecordKey], keep_ms: int) -> list[RecordKey]:
        """See :meth:`~execution_history.stores.capabilities.Bin.discard`."""
        now, discarded = self._clock(), []
        for key in keys:
            self._connection.execute(query("put_in_bin"), (now, now + keep_ms, *key))
            if self._records.delete(*key):
                discarded.append(key)
        return discarded

    def restore(self, keys: Iterable[RecordKey]) -> list[RecordKey]:
        """See :meth:`~execution_history.stores.capabilities.Bin.restore`."""
        return [key for key in keys if self._restore(key)]

    def drop(self, keys: Iterable[RecordKey]) -> None:
        """See :meth:`~execution_history.stores.capabilities.Bin.empty_bin`."""
        for key in keys:
            self._connection.execute(query("drop_from_bin"), key)

    def _restore(self, key: RecordKey) -> bool:
        found = self._connection.execute(query("binned_document"), (*key, self._clock())).fetchone()
        if found is None:
            return False
        try:
            body = self._stored.unpack(self._connection, StoredRecord(*found))
            record = orjson.loads(body)
            self._records.create(Document.of(record, body))
        except (Unreadable, ExecutionExists):
            return False
        self.drop([key])
        return True
