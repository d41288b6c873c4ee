"""What the index reads of the history; every fault of ``history.db`` leaves here as a :class:`StoreError`."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import orjson

from execution_history.query.steps import StoredDocument
from execution_history.stores.compression import StoredRecord
from execution_history.stores.sqlite.connections import one_moment
from execution_history.stores.sqlite.documents import LARGEST_BATCH
from execution_history.stores.sqlite.error_mapping import faults
from execution_history.stores.sqlite.index.connections import IndexUnfit, statement
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

    def frozen(self) -> AbstractContextManager[None]:
        """Let all reads in the block see one moment."""
        return one_moment(self._connection)

    def newest(self) -> int:
        """Return the newest revision."""
        return self._number("feed_revision")

    def total(self) -> int:
        """Return how many records there are."""
        return self._number("total_of_all")

    def identity(self) -> str:
        """Which store this is."""
        return str(self.rows(query("store_identity"), ())[0][0])

    def changed(self, since: int, most: int) -> Iterator[ChangedRecord]:
        """Return the records changed after *since*, in the order of their last changes."""
        with faults(self._folder):
            rows = self._connection.execute(query("documents_changed"), (since, most))
            for revision, seq, upstream_id, *row in rows:
                stored = StoredRecord(*row)
                yield ChangedRecord(revision, seq, upstream_id, stored, self._found(stored))

    def deleted(self, since: int, most: int) -> list[tuple[int, str, str | None]]:
        """Return deletions after *since*, in order: revision, workflow, and execution unless the workflow is gone.

        Raises:
            IndexUnfit: deletions that come after it have been forgotten.
        """
        if 0 < since < self._number("feed_floor"):
            raise IndexUnfit("the change feed has forgotten what it has not followed yet")
        return self.rows(query("deleted_executions"), (since, most))

    def revisions(self, seqs: Iterable[int]) -> dict[int, int]:
        """Return the revisions of those records at *seqs* that are still there."""
        found: list[Any] = self.rows(statement("revisions_of"), (_listed(seqs),))
        return dict(found)

    def documents(self, seqs: Sequence[int]) -> tuple[int, list[StoredDocument]]:
        """Read the records at the first of *seqs*, so many that they are not too large together.

        Returns:
            How many of *seqs* that were, and those records that are still there, in their order; a damaged one has no
            bytes.
        """
        found: list[StoredDocument] = []
        size = 0
        # Closed when left early, or the connection would keep looking at this moment.
        with (
            faults(self._folder),
            closing(self._connection.execute(statement("documents_of"), (_listed(seqs),))) as cursor,
        ):
            for place, seq, revision, *row in cursor:
                stored = StoredRecord(*row)
                body = self._found(stored)
                found.append(StoredDocument(seq, revision, stored.key, body))
                size += len(body or b"")
                if size >= LARGEST_BATCH:
                    return place + 1, found
        return len(seqs), found

    def counts(self, workflow_ids: Sequence[str]) -> tuple[int, ...]:
        """Return how many records of each status some workflows have, or all, in the order of the status numbers."""
        if not workflow_ids:
            return self.rows(query("counts_of_all"), ())[0]
        return self.rows(statement("counts_of"), (orjson.dumps(workflow_ids).decode(),))[0]

    def rows(self, sql: str, values: Sequence[int | str]) -> list[tuple[Any, ...]]:
        """Return all rows of a statement."""
        with faults(self._folder):
            return self._connection.execute(sql, values).fetchall()

    def _number(self, name: str) -> int:
        return int(self.rows(query(name), ())[0][0])

    def _found(self, stored: StoredRecord) -> bytes | None:
        return self._reader.stored.find(self._connection, stored)


def _listed(seqs: Iterable[int]) -> str:
    return orjson.dumps(list(seqs)).decode()
