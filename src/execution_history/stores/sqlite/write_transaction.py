"""The writer's operations inside one transaction: every change of the store, with its counters and revision.

An operation checks before it writes, so that one that raises changes nothing and does not disturb the others of its
group.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import apsw
import orjson

from execution_history.errors import ExecutionExists
from execution_history.query.model import RecordKey
from execution_history.records.price_book import KIND, Costs, PriceBook
from execution_history.records.record import Document, RecordChange
from execution_history.records.replacement import Replacement
from execution_history.stores.compression import Packer, StoredRecord, Unreadable
from execution_history.stores.mirror_port import FileChange, FileUpdate
from execution_history.stores.protocol import MergeReport
from execution_history.stores.sqlite.bin_pieces import Discard
from execution_history.stores.sqlite.cached_rows import RecordRow, WorkflowRow
from execution_history.stores.sqlite.documents import Documents
from execution_history.stores.sqlite.queries import Value, query, value
from execution_history.stores.status_numbers import OPEN_NUMBERS, STATUS_NAMES, status_number

_MOST_WORKFLOWS: Final = 20_000
_MOST_DOCUMENTS: Final = 2_000
_LARGEST_KEPT: Final = 16 * 1024
_MOST_KEPT: Final = 8 * 1024 * 1024


class WriteTransaction:
    """The operations, on the writer's connection. It caches rows between transactions.

    ``begin`` and ``finish`` are called at the two ends of every transaction; ``forget`` after a rollback.
    """

    def __init__(
        self,
        connection: apsw.Connection,
        documents: Documents,
        packer: Packer,
        clock: Callable[[], int],
        prices: PriceBook,
    ) -> None:
        self.clock = clock
        self.connection = connection
        self.documents = documents
        self.prices = prices
        self.costs: Costs = prices.costs(lambda: [value for _, value, _ in self.run("entries", KIND, "", -1)])
        self._packer = packer
        self._workflows: dict[str, WorkflowRow] = {}
        self._documents: dict[tuple[int, str], RecordRow] = {}
        self._kept = 0
        self._touched: dict[str, WorkflowRow] = {}
        self._version = -1
        self._revision = 0
        self._saved_revision = 0

    def run(self, name: str, *values: Value) -> apsw.Cursor:
        """Execute the statement called *name*."""
        return self.connection.execute(query(name), values)

    def begin(self) -> None:
        """Begin a transaction; forget the cached rows if another process has written meanwhile."""
        if self.connection.data_version() != self._version or len(self._workflows) > _MOST_WORKFLOWS:
            self.forget()
            self._revision = self._saved_revision = value(self.connection, "feed_revision")
        if self._kept > _MOST_KEPT or len(self._documents) > _MOST_DOCUMENTS:
            self._documents.clear()
            self._kept = 0

    def finish(self) -> list[FileUpdate]:
        """Write the counters and the newest revision; return the changes of each workflow."""
        saved, updates = [], []
        for row in self._touched.values():
            update = row.touched()
            update.after = row.state()
            updates.append(update)
            if update.cleared:
                continue
            if update.after.total:
                saved.append((*row.counts, row.revision, row.updated_at, row.size, row.id))
            else:
                self.run("drop_workflow", row.id)
                self._workflows.pop(row.workflow_id, None)
        if saved:
            self.connection.executemany(query("save_workflow"), saved)
        if self._revision != self._saved_revision:
            self.run("save_feed_revision", self._revision)
        return updates

    def committed(self) -> None:
        """Keep the cached rows, after the commit."""
        self._version = self.connection.data_version()
        self._saved_revision = self._revision
        for row in self._touched.values():
            row.update = None
        self._touched = {}

    def forget(self) -> None:
        """Drop the cached rows, after a rollback or when another process has written."""
        self._workflows.clear()
        self._documents.clear()
        self.prices.forget()
        self._kept = 0
        self._touched = {}
        self._version = -1

    def create(self, document: Document) -> None:
        """Store a new record, or raise :class:`ExecutionExists`."""
        row = self._workflow(document.workflow_id) or self._add_workflow(document.workflow_id)
        try:
            self._insert(row, document)
        except apsw.ConstraintError:
            raise ExecutionExists(document.workflow_id, document.execute_id) from None

    def update(self, workflow_id: str, execute_id: str, change: RecordChange) -> Document | None:
        """Apply *change*; return the new record, or ``None`` where there is none to change."""
        row = self._workflow(workflow_id)
        if row is not None and isinstance(change, Replacement):
            return self._exchange(row, execute_id, change)
        stored = None if row is None else self._stored(row, execute_id)
        if row is None or stored is None:
            return None
        if stored.packed is not None:
            stored.body = self.documents.body(self.connection, stored.packed)
        document = change.apply(stored.body or b"", stored.parts, self.costs)
        if document is None:
            return None
        self._replace(row, stored, document)
        return document

    def _exchange(self, row: WorkflowRow, execute_id: str, change: Replacement) -> Document | None:
        """Make a replacement without reading what it replaces, which may be very large."""
        found = self._rows_of(row, [execute_id])
        made = change.made
        if not found or made is None:
            return None
        seq, _, create_time, update_time, status, size, _ = found[0]
        if (update_time, status) != (change.expected, status_number(made.status)):
            return None
        there = StoredRecord(row.workflow_id, execute_id, create_time, update_time, status, size, 0, None)
        stored = RecordRow(seq, create_time, update_time, status, made.upstream_id, packed=there)
        self._replace(row, stored, made)
        return made

    def merge(self, documents: list[Document], *, ties: bool = False, are_copies: bool = False) -> MergeReport:
        """Merge records; a newer one replaces the stored one, and with *ties* a different one of the same time too.

        Of records that *are_copies*, made here and kept on a disk, one with nothing new but its times is damaged.
        """
        added = replaced = unchanged = 0
        differing: list[int] = []
        for place, document in enumerate(documents):
            row = self._workflow(document.workflow_id) or self._add_workflow(document.workflow_id)
            stored = self._stored(row, document.execute_id)
            if stored is None:
                self._insert(row, document)
                added += 1
            elif stored.gives_way(document, is_damaged=self._unpack(stored), ties=ties, is_copy=are_copies):
                self._replace(row, stored, document)
                replaced += 1
            else:
                unchanged += 1
                if stored.update_time == document.update_time and stored.body != document.body:
                    differing.append(place)
                continue
            row.touched().bulk = True
        return MergeReport(added, replaced, unchanged, tuple(differing))

    def delete(self, workflow_id: str, execute_id: str) -> bool:
        """Remove one record; return whether there was one."""
        return bool(self.delete_many(workflow_id, {execute_id: None}))

    def delete_many(
        self, workflow_id: str, update_times: Mapping[str, int | None], discard: Discard | None = None
    ) -> list[RecordKey]:
        """Remove the records of a workflow that have these update times (``None`` for any); return those removed.

        It takes as many statements for all of them as for one: at each of them other threads take the interpreter.

        Args:
            workflow_id: the workflow.
            update_times: by execute id.
            discard: how they go into the bin, which of large ones needs a copy; ``None``: they go for good.
        """
        row = self._workflow(workflow_id)
        if row is None:
            return []
        found = self._rows_of(row, list(update_times))
        gone = [each for each in found if update_times[each[1]] in (None, each[3])]
        if discard is not None:
            gone = [each for each in gone if discard.takes(each[1], *each[5:])]
        if not gone:
            return []
        seqs = orjson.dumps([each[0] for each in gone]).decode()
        if discard is not None:
            pieces = None if discard.copy is None else discard.copy.pieces
            places = orjson.dumps({str(each[0]): pieces for each in gone}).decode()
            self.run("put_in_bin", discard.deleted_at, discard.ends, discard.rule, workflow_id, places)
        self.run("add_deletions", self._revision, workflow_id, self.clock(), seqs)
        self.run("drop_executions", seqs)
        for _, execute_id, create_time, _, status, size, _ in gone:
            self._documents.pop((row.id, execute_id), None)
            row.counts[status] -= 1
            row.size -= size
            self._touch(row, row.updated_at).changes.append(FileChange(execute_id, create_time, None))
        return [RecordKey(workflow_id, each[1]) for each in gone]

    def clear(self, workflow_id: str) -> bool:
        """Remove a whole history at once; its rows are purged later. Return whether there was any."""
        row = self._workflow(workflow_id)
        if row is None or not any(row.counts):
            return False
        update = self._touch(row, row.updated_at)
        self.run("save_workflow", *row.counts, row.revision, row.updated_at, row.size, row.id)
        self.run("clear_workflow", row.id)
        self.run("add_deletion", row.revision, workflow_id, None, None, self.clock())
        update.cleared = True
        update.changes.clear()
        self._workflows.pop(workflow_id, None)
        return True

    def not_deleted(self, documents: list[Document], revision: int | None) -> list[Document]:
        """Return those of *documents* that no change after *revision* has deleted; ``None`` is an unknown one."""
        if revision is None:
            return documents
        return [
            document
            for document in documents
            if not self.run("deleted_after", revision, document.workflow_id, document.execute_id).get
        ]

    def is_outdated(self, workflow_id: str, revision: int) -> bool:
        """See :meth:`~execution_history.stores.mirror_port.MirrorTransaction.is_outdated`."""
        row = self._workflow(workflow_id)
        is_current = row is not None and row.revision <= revision
        return not is_current and revision < value(self.connection, "feed_floor")

    def recount(self, counted: Iterable[tuple[str, list[int]]]) -> int:
        """Have the counters of workflows say what was *counted* in this transaction; return how many there were.

        Each has its number of rows in each status, followed by their bytes.
        """
        number = 0
        for number, (workflow_id, counts) in enumerate(counted, 1):  # noqa: B007 - the number of all
            if (row := self._workflow(workflow_id)) is not None:
                self._touch(row, row.updated_at)
                *row.counts[:], row.size = counts
        return number

    def note_safety(self, boot: str, safe_revision: int) -> None:
        """Store the id of this start of the machine, and the revision up to which the files are on the disk."""
        self.run("save_feed_safety", boot, safe_revision)

    def check(self) -> None:
        """Write an unchanged value, which raises where nothing can be written."""
        self.run("save_feed_revision", self._revision)

    def _workflow(self, workflow_id: str) -> WorkflowRow | None:
        row = self._workflows.get(workflow_id)
        if row is None:
            found = self.run("workflow_by_id", workflow_id).fetchone()
            if found is None:
                return None
            row = WorkflowRow(found[0], workflow_id, list(found[1:6]), *found[6:])
            self._workflows[workflow_id] = row
        return row

    def _add_workflow(self, workflow_id: str) -> WorkflowRow:
        self.run("add_workflow", workflow_id)
        row = WorkflowRow(self.connection.last_insert_rowid(), workflow_id, [0] * len(STATUS_NAMES), 0, 0)
        self._workflows[workflow_id] = row
        # Cleared and begun again in one transaction: its file must not keep the old records.
        row.touched().anew = workflow_id in self._touched
        self._touched[workflow_id] = row
        return row

    def _rows_of(self, row: WorkflowRow, execute_ids: list[str]) -> list[Any]:
        """Return those of these records that are there: seq, id, times, status, size, revision."""
        found: list[Any] = self.run("executions_by_ids", orjson.dumps(execute_ids).decode(), row.id).fetchall()
        if any(each[1] not in execute_ids for each in found):
            raise apsw.CorruptError("An index leads to another record.")
        return found

    def _stored(self, row: WorkflowRow, execute_id: str) -> RecordRow | None:
        stored = self._documents.get((row.id, execute_id))
        if stored is None:
            found = self.run("execution_for_update", execute_id, row.id).fetchone()
            if found is None:
                return None
            packed = StoredRecord(*found[2:])
            # The query above may read the id from an index; this one reads the row itself.
            if self.run("execute_id_of", found[0]).get != execute_id:
                raise apsw.CorruptError("An index leads to another record.")
            stored = RecordRow(found[0], packed.create_time, packed.update_time, packed.status, found[1], packed=packed)
        return stored

    def _insert(self, row: WorkflowRow, document: Document) -> None:
        times = (document.create_time, document.update_time)
        self.run("add_execution", row.id, document.execute_id, *times, *self._content(document), document.upstream_id)
        seq = self.connection.last_insert_rowid()
        self._keep(row, seq, document, self._touch(row, document.update_time), new=True)

    def _replace(self, row: WorkflowRow, stored: RecordRow, document: Document) -> None:
        content = (document.update_time, *self._content(document))
        if (stored.create_time, stored.upstream_id) == (document.create_time, document.upstream_id):
            self.run("save_content", *content, stored.seq)
        else:
            self.run("save_execution", document.create_time, *content, document.upstream_id, stored.seq)
        update = self._touch(row, document.update_time)
        row.counts[stored.status] -= 1
        row.size -= stored.size
        if stored.create_time != document.create_time:
            update.changes.append(FileChange(document.execute_id, stored.create_time, None))
        self._keep(row, stored.seq, document, update, new=False)

    def _content(self, document: Document) -> tuple[Value, ...]:
        """Return what every change writes: the status, the next revision and the document."""
        status = status_number(document.status)
        packing, packed = self._packer.pack(document.body, will_change=status in OPEN_NUMBERS)
        return (status, self._revision + 1, len(document.body), packing, packed)

    def _keep(self, row: WorkflowRow, seq: int, document: Document, update: FileUpdate, *, new: bool) -> None:
        status, body = status_number(document.status), document.body
        row.counts[status] += 1
        row.size += len(body)
        update.changes.append(FileChange(document.execute_id, document.create_time, body, new))
        key = (row.id, document.execute_id)
        # A record that has ended is hardly ever changed again.
        if status in OPEN_NUMBERS and len(body) <= _LARGEST_KEPT:
            self._kept += len(body)
            times = (document.create_time, document.update_time)
            self._documents[key] = RecordRow(seq, *times, status, document.upstream_id, body, document.parts)
        elif not new:
            self._documents.pop(key, None)

    def _touch(self, row: WorkflowRow, updated_at: int) -> FileUpdate:
        """Give *row* the next revision, before anything else changes in it; return its changes."""
        update = row.touched()
        self._touched[row.workflow_id] = row
        row.revision = self.next_revision()
        row.updated_at = max(row.updated_at, updated_at)
        return update

    def next_revision(self) -> int:
        """Return the revision of the next change."""
        self._revision += 1
        return self._revision

    def _unpack(self, stored: RecordRow) -> bool:
        """Have *stored* have its document, as far as it can be read; return whether it is damaged."""
        if stored.packed is None:
            return False
        try:
            stored.body = self.documents.unpack(self.connection, stored.packed)
        except Unreadable:
            stored.body = self.documents.find(self.connection, stored.packed)
            return True
        return False
