"""What the index reads of the history; every fault of ``history.db`` leaves here as a :class:`StoreError`."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from execution_history.query.model import RecordKey
from execution_history.stores.compression import StoredRecord
from execution_history.stores.sqlite.error_mapping import faults
from execution_history.stores.sqlite.index.connections import IndexUnfit
from execution_history.stores.sqlite.queries import query
from execution_history.stores.sqlite.reader import Reader


class ChangedRecord(NamedTuple):
    """A record that is new or has changed, with its places in the feed and in the order of arrival.

    ``body`` is ``None`` where the record is damaged: then its columns are all there is.
    """

    revision: int
    seq: int
    upstream_id: str | None
    stored: StoredRecord
    body: bytes | None


class HistoryView:
    """The history on one connection.

    Args:
        folder: the store's folder, for messages.
        reader: who knows how documents are packed.
        connection: one of *reader*'s.
    """

    def __init__(self, folder: Path, reader: Reader, connection: apsw.Connection) -> None:
        self._folder = folder
        self._reader = reader
        self._connection = connection

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """All reads in the block see one moment."""
        with faults(self._folder):
            self._connection.execute("BEGIN")
        try:
            yield
        finally:
            with faults(self._folder):
                self._connection.execute("COMMIT")

    def newest(self) -> int:
        """The newest revision."""
        return self._number("feed_revision")

    def total(self) -> int:
        """How many records there are."""
        return self._number("total_of_all")

    def identity(self) -> str:
        """Which store this is."""
        with faults(self._folder):
            return str(self._connection.execute(query("store_identity")).get)

    def changed(self, since: int, most: int) -> Iterator[ChangedRecord]:
        """The records changed after *since*, in the order of their last changes."""
        with faults(self._folder):
            rows = self._connection.execute(query("documents_changed"), (since, most))
            for revision, seq, upstream_id, *row in rows:
                stored = StoredRecord(*row)
                yield ChangedRecord(revision, seq, upstream_id, stored, self._found(stored))

    def deleted(self, since: int, most: int) -> list[tuple[int, str, str | None]]:
        """Deletions after *since*, in order: revision, workflow, and execution unless all of a workflow are gone.

        Raises:
            IndexUnfit: deletions that come after it have been forgotten.
        """
        if 0 < since < self._number("feed_floor"):
            raise IndexUnfit("the change feed has forgotten what it has not followed yet")
        with faults(self._folder):
            return list(self._connection.execute(query("deleted_executions"), (since, most)))

    def revision(self, seq: int) -> int | None:
        """The revision of the record at *seq*, ``None`` when it is gone."""
        with faults(self._folder):
            found = self._connection.execute(query("revision_by_seq"), (seq,)).fetchone()
        return None if found is None else int(found[0])

    def documents(self, seqs: Iterable[int]) -> Iterator[tuple[int, int, RecordKey, bytes | None]]:
        """Place, revision, ids and bytes of the records at *seqs* that are still there; a damaged one has no bytes."""
        for seq in seqs:
            with faults(self._folder):
                row = self._connection.execute(query("document_by_seq"), (seq,)).fetchone()
                if row is None:
                    continue
                stored = StoredRecord(*row[1:])
                body = self._found(stored)
            yield seq, int(row[0]), stored.key, body

    def counts(self, workflow_id: str) -> tuple[int, ...]:
        """How many records of each status a workflow has, in the order of the status numbers; none: empty."""
        with faults(self._folder):
            row = self._connection.execute(query("workflow_by_id"), (workflow_id,)).fetchone()
        return () if row is None else tuple(row[1:6])

    def all_counts(self) -> tuple[int, ...]:
        """How many records of each status there are, in the order of the status numbers."""
        with faults(self._folder):
            counts: list[tuple[Any, ...]] = self._connection.execute(query("counts_of_all")).fetchall()
        return counts[0]

    def _number(self, name: str) -> int:
        with faults(self._folder):
            return int(self._connection.execute(query(name)).get)

    def _found(self, stored: StoredRecord) -> bytes | None:
        return self._reader.stored.find(self._connection, stored)
