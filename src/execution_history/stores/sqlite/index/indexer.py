"""One step of following: some changes of the feed, then some older records, written in one short transaction.

The feed is followed by states, not by events: a deletion removes rows that are older than itself, and a record is
written as it is now. So it does not matter in which order deletions, changes and older records are taken.
"""

import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, Final

import apsw

from execution_history.stores.protocol import LARGEST_ANSWER
from execution_history.stores.sqlite.connections import BUSY_MS
from execution_history.stores.sqlite.index.connections import IndexBusy, committed, rows, statement
from execution_history.stores.sqlite.index.history_source import ChangedRecord, HistoryView
from execution_history.stores.sqlite.index.limits import Limits
from execution_history.stores.sqlite.index.record_rows import RecordRows
from execution_history.stores.sqlite.index.row_writer import RowWriter
from execution_history.stores.sqlite.index.state import ROWS, TEXTS, IndexState, Place, add_due, drop_due, some_due
from execution_history.stores.sqlite.index.text_writer import TextWriter

_MOST_SECONDS: Final = 0.1
_SECONDS_EACH: Final = 0.000_1
"""About what writing a record takes, when it has been read."""


class Indexer:
    """Writes changes into the index. Not for several threads at once.

    Args:
        texts: writes the texts, if there is a text index.
        limits: how much a step writes.
    """

    def __init__(self, texts: TextWriter | None, limits: Limits) -> None:
        self._texts = texts
        self._limits = limits
        self._writer = RowWriter()
        self._file = ""

    def forget(self) -> None:
        """Drop the caches: the file is another one, or a transaction was undone."""
        self._writer.forget()

    def step(
        self, index: apsw.Connection, history: HistoryView, seconds: float | None = None
    ) -> tuple[IndexState, int]:
        """Write some changes, or older records; return the state then, and the newest revision of the history.

        Several processes may do this at once: each reads the place of the index inside its own transaction.

        Args:
            index: a connection to ``index.db``.
            history: a connection to ``history.db``.
            seconds: how long to wait for whoever writes the index; ``None``: as long as for a change of the history.

        Raises:
            IndexBusy: somebody else has been writing the index for so long.
            apsw.Error: the index failed, or another process writes it for too long; nothing was written.
            IndexUnfit: the feed has forgotten what the index has not followed yet.
            StoreError: the history failed; nothing was written.
        """
        _begin(index, seconds)
        # From here on: another process may have been waited for. A query keeps the other half of its time for writing.
        until = time.monotonic() + min(_MOST_SECONDS, (seconds or 1) / 2)
        with committed(index, self.forget):
            before = state = IndexState.read(index)
            if state.file != self._file:
                self.forget()  # the file was replaced, and has other numbers for texts
                self._file = state.file
            with history.frozen():
                newest = history.newest()
                if state.revision < newest:
                    state = self._follow(index, history, state, newest, until)
                if state.revision >= newest and time.monotonic() < until:
                    state = self._take_older(index, history, state, until)
            self._writer.finish(index)
            if state != before:
                state.save(index)
        return IndexState.read(index), newest

    def _follow(
        self, index: apsw.Connection, history: HistoryView, state: IndexState, newest: int, until: float
    ) -> IndexState:
        """Apply the next changes of the feed; where very many wait, only note which records they are."""
        since = state.revision
        gone = history.deleted(since, self._limits.changes)
        reached = gone[-1][0] if len(gone) == self._limits.changes else newest
        for deletion in gone:
            state, is_done = self._remove(index, state, deletion)
            if not is_done:
                return state  # the next step begins here again: what changed before this deletion is still to be taken
        places = history.places(since, self._limits.far_behind)
        if len(places) == self._limits.far_behind:
            state = state.with_due(ROWS, add_due(index, ROWS, (place[1:] for place in places)))
            return replace(state, revision=min(reached, places[-1][0]))
        taken = self._some(history.changed(since, self._limits.changes), until)
        state = self._put(index, state, taken)
        is_last = not taken or taken[-1].revision >= (places[-1][0] if places else 0)
        return replace(state, revision=min(reached, newest if is_last else taken[-1].revision))

    @staticmethod
    def _some(found: Generator[ChangedRecord], until: float) -> list[ChangedRecord]:
        """Return records as far as time and memory allow, at least one."""
        taken: list[ChangedRecord] = []
        size = 0
        with closing(found):  # or the connection would stay at this moment
            for change in found:
                taken.append(change)
                size += len(change.body or b"")
                if size > LARGEST_ANSWER or time.monotonic() + len(taken) * _SECONDS_EACH > until:
                    break
        return taken

    def _take_older(self, index: apsw.Connection, history: HistoryView, state: IndexState, until: float) -> IndexState:
        """Write some of the records that are due, else some of those that are behind; the newest first."""
        if state.due[ROWS]:
            due = some_due(index, ROWS, self._limits.changes)
            if not due:
                return state.with_due(ROWS, -state.due[ROWS])
            taken = self._some(history.at([seq for _, seq in due]), until)
            reached = {change.seq for change in taken}
            last = next((number for number, (_, seq) in enumerate(reversed(due)) if seq in reached), 0)
            done = due if len(taken) == len(due) or not taken else due[: len(due) - last]
            return self._put(index, state, taken).with_due(ROWS, -drop_due(index, ROWS, done))
        if not state.takes_older or state.behind is None:
            return state
        limit = self._limits.changes
        if state.stops_at:
            limit = min(limit, state.missing - state.stops_at)
        taken = self._some(history.before(state.behind, limit), until)
        if not taken:
            return replace(state, behind=None, missing=0)
        behind = Place(taken[-1].stored.create_time, taken[-1].seq)
        counted = [change for change in taken if change.revision <= state.high]  # the feed has the others
        state = self._put(index, state, counted)
        return replace(state, behind=behind, missing=max(1, state.missing - len(counted)))

    def _put(self, index: apsw.Connection, state: IndexState, changes: Sequence[ChangedRecord]) -> IndexState:
        """Write records as they are now, in the place of what the index has of them."""
        known = self._writer.known(index, (change.seq for change in changes))
        new = [change for change in changes if known.get(change.seq, (-1,))[0] != change.revision]
        if not new:
            return state
        state = self._clear(index, state, {each.seq: known[each.seq][1] for each in new if each.seq in known})
        keeps_record = self._texts is not None and len(new) <= self._limits.texts_with_rows
        prepared = {
            change.seq: (change, self._writer.prepare(index, change, keeps_record=keeps_record)) for change in new
        }
        self._writer.add(index, prepared)
        return self._put_texts(index, state, prepared)

    def _put_texts(
        self, index: apsw.Connection, state: IndexState, prepared: dict[int, tuple[ChangedRecord, RecordRows]]
    ) -> IndexState:
        """Write the texts of a few records at once; those of many are due."""
        if self._texts is None:
            return state
        if len(prepared) > self._limits.texts_with_rows:
            places = [(rows_of.cell.create_time, seq) for seq, (_, rows_of) in prepared.items()]
            return state.with_due(TEXTS, add_due(index, TEXTS, places))
        # After everything else, in the order of rowids: a full-text table writes its buffer at every savepoint, and for
        # a smaller rowid.
        for _, (change, rows_of) in sorted(prepared.items()):
            if rows_of.record is not None:
                self._texts.put_one(index, change.seq, change.stored.key, rows_of.record)
        return state

    def _remove(self, index: apsw.Connection, state: IndexState, deletion: tuple[Any, ...]) -> tuple[IndexState, bool]:
        """Apply a deletion; return whether it is finished: a whole workflow is removed in several steps."""
        revision, workflow_id, execute_id = deletion
        workflow = self._writer.text_number(index, workflow_id)
        if execute_id is None:
            limit = self._limits.cleared
            found = rows(index, statement("some_of_workflow"), (workflow, revision, limit))
        else:
            limit = 2
            found = rows(index, statement("seqs_of"), (execute_id, workflow, revision))
        if found:
            known = self._writer.known(index, (seq for (seq,) in found))
            state = self._clear(index, state, {seq: cell for seq, (_, cell) in known.items()})
        return state, len(found) < limit

    def _clear(self, index: apsw.Connection, state: IndexState, known: dict[int, Any]) -> IndexState:
        """Remove what the index has of records."""
        if not known:
            return state
        self._writer.remove(index, known)
        if self._texts is None:
            return state
        self._texts.remove(index, known)
        places = ((cell.create_time, seq) for seq, cell in known.items())
        return state.with_due(TEXTS, -drop_due(index, TEXTS, places))


def _begin(index: apsw.Connection, seconds: float | None) -> None:
    if seconds is None:
        index.execute("BEGIN IMMEDIATE")
        return
    index.set_busy_timeout(int(1000 * seconds))
    try:
        index.execute("BEGIN IMMEDIATE")
    except apsw.BusyError as error:
        raise IndexBusy from error
    finally:
        index.set_busy_timeout(BUSY_MS)
