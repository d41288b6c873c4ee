"""One step through the change feed: some changes, written into ``index.db`` in one transaction."""

import heapq
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from operator import itemgetter
from typing import Any, Final

import apsw

from execution_history.query.fields import CREATED, EXECUTE_ID, HAS_OUTPUT, PINNED, STATE, UPSTREAM_ID, WORKFLOW
from execution_history.query.model import RecordKey
from execution_history.query.predicates import Attribute
from execution_history.records.attributes import attributes_of
from execution_history.records.partial import LARGE, outline_of
from execution_history.records.summary import summary_of
from execution_history.stores.sqlite.index.connections import rows, statement
from execution_history.stores.sqlite.index.history_source import ChangedRecord, HistoryView
from execution_history.stores.sqlite.index.limits import Limits
from execution_history.stores.sqlite.index.predicate_sql import STORED, as_stored, fingerprint_number
from execution_history.stores.sqlite.index.text_index import TextIndex
from execution_history.stores.status_numbers import STATUS_NAMES

_log = logging.getLogger("execution_history.stores.sqlite")

_MOST_SECONDS: Final = 0.25
_MOST_TEXTS: Final = 5_000
_VALUE_ERRORS: Final = (apsw.ConstraintError, apsw.MismatchError, apsw.TooBigError)
"""SQLite's errors for a value rather than for the file."""

_PUT_FACETS: Final = (
    f"INSERT OR REPLACE INTO facets (seq, revision, {', '.join(str(each.column) for each in STORED)}) "  # noqa: S608 - columns of ours
    f"VALUES (?, ?{', ?' * len(STORED)})"
)


class Indexer:
    """Writes changes into the index. Not for several threads at once.

    Args:
        text: the text index, if there is one.
        limits: how many changes a step writes.
    """

    def __init__(self, text: TextIndex | None, limits: Limits) -> None:
        self._text = text
        self._limits = limits
        self._file = ""
        self._texts: dict[str, int] = {}
        self._prepared: dict[int, tuple[RecordKey, str]] = {}

    def forget(self) -> None:
        """Drop the caches: the file is another one, or a transaction was undone."""
        self._texts.clear()
        self._prepared.clear()

    def step(self, index: apsw.Connection, history: HistoryView) -> tuple[int, int]:
        """Write the next changes; return the revision that the index has then, and the newest of the history.

        Several processes may do this at once: each reads the place of the index inside its own transaction.

        Raises:
            apsw.Error: the index failed; nothing was written.
            StoreError: the history failed; nothing was written.
        """
        index.execute("BEGIN IMMEDIATE")
        try:
            _, _, since, file = rows(index, statement("state"))[0]
            if file != self._file:
                self.forget()  # the file was replaced, and has other numbers for texts
                self._file = str(file)
            with history.frozen():
                newest = history.newest()
                reached = since if since >= newest else self._take(index, history, since, newest)
            self._put_texts(index)
            if reached != since:
                index.execute(statement("save_revision"), (reached,))
            index.execute("COMMIT")
        except BaseException:
            self.forget()
            if index.in_transaction:
                index.execute("ROLLBACK")
            raise
        return reached, newest

    def _take(self, index: apsw.Connection, history: HistoryView, since: int, newest: int) -> int:
        """Apply the next changes after *since*, in their order; return the revision that was reached."""
        if len(self._texts) > _MOST_TEXTS:
            self._texts.clear()
        until = time.monotonic() + _MOST_SECONDS
        gone = history.deleted(since, self._limits.changes)
        # Where this list is full, later deletions were not read: no change after its end is applied.
        last = gone[-1] if len(gone) == self._limits.changes else None
        reached, taken = since, 0
        feed: Iterator[Any] = heapq.merge(gone, history.changed(since, self._limits.changes), key=itemgetter(0))
        for change in feed:
            if isinstance(change, ChangedRecord):
                self._put(index, change)
                taken += 1
            elif not self._remove(index, change):
                return reached
            reached = int(change[0])
            if change is last or taken == self._limits.changes or time.monotonic() > until:
                return reached
        return newest

    def _put(self, index: apsw.Connection, change: ChangedRecord) -> None:
        """Write a record; one that cannot be read, or fails in any way, gets a row of its columns only."""
        body = change.body
        if body is None or not self._survives(change.stored.key, lambda: self._put_record(index, change, body)):
            self._put_columns(index, change)

    @staticmethod
    def _survives(key: RecordKey, work: Callable[[], None]) -> bool:
        """Run *work* for the record *key*; return false where it fails because of the record.

        Raises:
            apsw.Error: the index failed.
        """
        try:
            work()
        except Exception as error:
            if isinstance(error, apsw.Error) and not isinstance(error, _VALUE_ERRORS):
                raise
            _log.warning(
                "Execution %r of workflow %r cannot be taken into the index, except for its columns: %s: %s",
                key.execute_id, key.workflow_id, type(error).__name__, error,
            )  # fmt: skip
            return False
        return True

    def _put_record(self, index: apsw.Connection, change: ChangedRecord, body: bytes) -> None:
        seq = change.seq
        record = outline_of(body)
        attributes = attributes_of(record)
        self._put_facets(index, change, {each: each.read(record, attributes) for each in STORED})
        index.execute(statement("drop_tags"), (seq,))
        for tag in attributes.tags:
            index.execute(statement("add_tag"), (self._number(index, tag), attributes.create_time, seq))
        if attributes.fingerprint is not None:
            title = attributes.error_title or ""
            index.execute(statement("name_failures"), (fingerprint_number(attributes.fingerprint), title))
        index.execute(statement("drop_summary"), (seq,))
        if len(body) > LARGE:
            index.execute(statement("put_summary"), (seq, summary_of(record, attributes)))
        if self._text is not None:
            self._prepared[seq] = change.stored.key, self._text.prepare(record)

    def _put_columns(self, index: apsw.Connection, change: ChangedRecord) -> None:
        """Write the columns of a record without its document: enough to count it and to name it."""
        self._forget_row(index, change.seq)
        stored = change.stored
        known = {WORKFLOW: stored.workflow_id, CREATED: stored.create_time, STATE: STATUS_NAMES[stored.status]}
        known |= {UPSTREAM_ID: change.upstream_id, EXECUTE_ID: stored.execute_id, HAS_OUTPUT: False, PINNED: False}
        self._put_facets(index, change, known)

    def _put_facets(self, index: apsw.Connection, change: ChangedRecord, values: Mapping[Attribute, Any]) -> None:
        stored = (self._as_stored(index, each, values.get(each)) for each in STORED)
        index.execute(_PUT_FACETS, (change.seq, change.revision, *stored))

    def _as_stored(self, index: apsw.Connection, attribute: Attribute, value: Any) -> Any:  # noqa: ANN401 - of any attribute
        if attribute.stored_as == "shared text":
            return self._number(index, value)
        return as_stored(attribute, value)

    def _put_texts(self, index: apsw.Connection) -> None:
        """Write the prepared texts into the text index, after everything else of the transaction.

        A full-text table writes its buffer at every savepoint, and SQLite makes one for each statement on a table with
        several indexes: a segment for every record, all to be merged, costs twice as much.
        """
        if (text := self._text) is not None:
            for seq, (key, prepared) in self._prepared.items():
                if not self._survives(key, partial(text.put, index, seq, prepared)):
                    text.remove(index, seq)
            self._prepared.clear()

    def _remove(self, index: apsw.Connection, deletion: tuple[Any, ...]) -> bool:
        """Apply a deletion; return whether it is finished: a whole workflow is removed in several steps."""
        _, workflow_id, execute_id = deletion
        workflow = self._number(index, workflow_id)
        if execute_id is None:
            found = rows(index, statement("some_of_workflow"), (workflow, self._limits.cleared))
        else:
            found = rows(index, statement("seq_of"), (execute_id, workflow))
        for (seq,) in found:
            self._forget_row(index, seq)
        return execute_id is not None or len(found) < self._limits.cleared

    def _forget_row(self, index: apsw.Connection, seq: int) -> None:
        index.execute(statement("drop_facets"), (seq,))
        index.execute(statement("drop_tags"), (seq,))
        index.execute(statement("drop_summary"), (seq,))
        self._prepared.pop(seq, None)
        if self._text is not None:
            self._text.remove(index, seq)

    def _number(self, index: apsw.Connection, text: str | None) -> int | None:
        if text is None:
            return None
        number = self._texts.get(text)
        if number is None:
            found = rows(index, statement("text_number"), (text,))
            if found:
                number = int(found[0][0])
            else:
                index.execute(statement("add_text"), (text,))
                number = index.last_insert_rowid()
            self._texts[text] = number
        return number
