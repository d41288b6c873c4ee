"""The index's reads of the history; every error of ``history.db`` is raised as a :class:`StoreError`."""

from collections.abc import Generator, Iterable, Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import orjson

from execution_history.query.steps import StoredDocument
from execution_history.stores.compression import StoredRecord
from execution_history.stores.protocol import LARGEST_ANSWER
from execution_history.stores.sqlite.connections import one_moment
from execution_history.stores.sqlite.error_mapping import faults
from execution_history.stores.sqlite.index.connections import IndexUnfit, statement
from execution_history.stores.sqlite.queries import query
from execution_history.stores.sqlite.reader import Reader


class ChangedRecord(NamedTuple):
    """A record that is new or has changed, with its places in the feed and in the order of creation.

    ``body`` is ``None`` where the record is damaged: then there are only its columns.
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
        reader: unpacks documents.
        connection: one of *reader*'s connections.
    """

    def __init__(self, folder: Path, reader: Reader, connection: apsw.Connection) -> None:
        self._folder = folder
        self._reader = reader
        self._connection = connection

    def frozen(self) -> AbstractContextManager[None]:
        """Make all reads in the block see one moment."""
        return one_moment(self._connection)

    def newest(self) -> int:
        """Return the newest revision."""
        return self._number("feed_revision")

    def total(self) -> int:
        """Return the number of records."""
        return self._number("total_of_all")

    def identity(self) -> str:
        """Return the identity of the store."""
        return str(self.rows(query("store_identity"), ())[0][0])

    def changed(self, since: int, limit: int) -> Generator[ChangedRecord]:
        """Yield the records changed after *since*, in the order of their last changes."""
        return self._records(query("documents_changed"), (since, limit))

    def at(self, seqs: Sequence[int]) -> Generator[ChangedRecord]:
        """Yield the records at *seqs* that still exist, in the order of the list."""
        return self._records(statement("documents_at"), (_listed(seqs),))

    def before(self, place: tuple[int, int], limit: int) -> Generator[ChangedRecord]:
        """Yield the records before *place* in the order of (create_time, seq), the newest first."""
        return self._records(statement("documents_before"), (*place, limit))

    def after(self, seq: int, limit: int) -> Generator[ChangedRecord]:
        """Yield the records after *seq* in the order of creation."""
        return self._records(statement("documents_after"), (seq, limit))

    def _records(self, sql: str, values: Sequence[int | str]) -> Generator[ChangedRecord]:
        with faults(self._folder), closing(self._connection.execute(sql, values)) as rows:
            for revision, seq, upstream_id, *row in rows:
                stored = StoredRecord(*row)
                yield ChangedRecord(revision, seq, upstream_id, stored, self._found(stored))

    def places(self, since: int, limit: int) -> list[tuple[int, int, int]]:
        """Return revision, create time and seq of the records changed after *since*, in the order of last changes."""
        found: list[Any] = self.rows(statement("changes_between"), (since, limit))
        return found

    def newest_time(self) -> int | None:
        """Return the create time (ms) of the newest record; ``None`` without any."""
        found: int | None = self.rows(statement("newest_time"), ())[0][0]
        return found

    def deleted(self, since: int, limit: int) -> list[tuple[int, str, str | None]]:
        """Return deletions after *since*, in order: revision, workflow, and execution unless the workflow is gone.

        Raises:
            IndexUnfit: deletions after *since* have been forgotten.
        """
        if 0 < since < self._number("feed_floor"):
            raise IndexUnfit("the change feed has forgotten deletions that it has not followed yet")
        return self.rows(query("deleted_executions"), (since, limit))

    def revisions(self, seqs: Iterable[int]) -> dict[int, int]:
        """Return the revisions of the records at *seqs* that still exist."""
        found: list[Any] = self.rows(statement("revisions_of"), (_listed(seqs),))
        return dict(found)

    def documents(self, seqs: Sequence[int]) -> tuple[int, list[StoredDocument]]:
        """Read the records at the first of *seqs*, as many as are not too large together.

        Returns:
            The number of *seqs* that were read, and the records that still exist, in their order; a damaged one has no
            bytes.
        """
        found: list[StoredDocument] = []
        size = 0
        # Closed when left early, or the connection would stay at this moment.
        with (
            faults(self._folder),
            closing(self._connection.execute(statement("documents_of"), (_listed(seqs),))) as cursor,
        ):
            for place, seq, revision, *row in cursor:
                stored = StoredRecord(*row)
                body = self._found(stored)
                found.append(StoredDocument(seq, revision, stored.key, body))
                size += len(body or b"")
                if size >= LARGEST_ANSWER:
                    return place + 1, found
        return len(seqs), found

    def counts(self, workflow_ids: Sequence[str]) -> tuple[int, ...]:
        """Return the number of records in each status, in the order of its numbers, of some workflows or of all."""
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
