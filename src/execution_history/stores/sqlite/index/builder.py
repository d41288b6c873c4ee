"""A whole index, filled beside the one that answers meanwhile, and put in its place.

Its rows are written in the order of creation and without secondary indexes, which are made at the end: that is
several times as fast, and leaves full pages. After a crash the file is gone on with: each transaction has its rows and
its place.
"""

import logging
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import apsw

from execution_history.stores.database_files import INDEX_DATABASE
from execution_history.stores.protocol import LARGEST_ANSWER
from execution_history.stores.sqlite.index.connections import (
    BROKEN,
    IndexForm,
    IndexUnfit,
    committed,
    remove_database,
    rows,
    secondary_indexes,
    statement,
)
from execution_history.stores.sqlite.index.history_source import ChangedRecord, HistoryView
from execution_history.stores.sqlite.index.indexer import Indexer
from execution_history.stores.sqlite.index.limits import Limits
from execution_history.stores.sqlite.index.precedence import Precedence
from execution_history.stores.sqlite.index.record_rows import RecordRows
from execution_history.stores.sqlite.index.row_writer import RowWriter
from execution_history.stores.sqlite.index.state import TEXTS, IndexState, Place
from execution_history.stores.sqlite.index.text_writer import TextWriter
from execution_history.stores.sqlite.process_lock import ProcessLock

_log = logging.getLogger("execution_history.stores.sqlite")

BUILD_LOCK_FILE: Final = ".index-build-lock"
_CACHE_KIB: Final = 64 * 1024
_STEPS: Final = 100_000
_SHARE_OF_ROWS: Final = 0.9
"""Of the work of a build, as measured with 40,000 small records; the secondary indexes are the rest."""


class BuildStopped(Exception):  # noqa: N818 - a signal within this room
    """The store is being closed; the next process goes on with the file."""


class BuildUnfit(Exception):  # noqa: N818 - a signal within this room
    """The file that was built could not be gone on with, and was deleted."""


@dataclass(frozen=True, slots=True)
class Builder:
    """Builds a whole index beside the present one; of all threads and processes one at a time.

    Args:
        folder: the store's folder.
        form: the form of the index.
        history: opens the history.
        texts: writes the texts, if there is a text index.
        limits: how much a transaction writes.
        precedence: queries, which go before.
        is_stopped: whether to give up; called often.
    """

    folder: Path
    form: IndexForm
    history: Callable[[], AbstractContextManager[HistoryView]]
    texts: TextWriter | None
    limits: Limits
    precedence: Precedence
    is_stopped: Callable[[], bool]

    @property
    def path(self) -> Path:
        """The file that is built."""
        return self.folder / f"{INDEX_DATABASE}.new"

    def build(self, on_step: Callable[[float], None], install: Callable[[Path], None], *, with_texts: bool) -> bool:
        """Build the file, or go on with it, and install it.

        Args:
            on_step: called after each transaction with about what share of the work is left; what it raises is raised.
            install: puts the file in the place of the present one.
            with_texts: whether the file is installed with all texts; otherwise they follow in their turn.

        Returns:
            Whether it was built; false while somebody else builds it.

        Raises:
            BuildStopped: it was given up.
            BuildUnfit: what was there could not be gone on with, and was deleted.
            apsw.Error: the file cannot be written; it stays as it is.
            StoreError: the history could not be read.
        """
        with closing(ProcessLock(self.folder / BUILD_LOCK_FILE)) as lock:
            if not lock.try_acquire():
                return False
            with self._unfit_removed():
                index = self.form.opened(self.path, lambda _: 0, is_beside=True)
            # Its only connection takes the log into the file when it is closed: what is installed is one file.
            with closing(index), closing(self._filled(index, with_texts=with_texts)) as steps:
                while True:
                    with self._unfit_removed():
                        left = next(steps, None)
                    if left is None:
                        break
                    on_step(left)
            install(self.path)
            return True

    def forget(self) -> bool:
        """Delete what a build has left behind; return false while somebody builds."""
        if not self.path.exists():
            return True
        with closing(ProcessLock(self.folder / BUILD_LOCK_FILE)) as lock:
            is_idle = lock.try_acquire()
            if is_idle:
                remove_database(self.path)
            return is_idle

    def is_building(self) -> bool:
        """Return whether somebody builds."""
        with closing(ProcessLock(self.folder / BUILD_LOCK_FILE)) as lock:
            return not lock.try_acquire()

    @contextmanager
    def _unfit_removed(self) -> Iterator[None]:
        """Delete the file where it turns out to be unfit in the block, in which nothing else may do so."""
        try:
            yield
        except (IndexUnfit, *BROKEN) as error:
            _log.info("The index that is built beside the one of %s begins anew: %s", self.folder, error)
            remove_database(self.path)
            raise BuildUnfit(str(error)) from error

    def _filled(self, index: apsw.Connection, *, with_texts: bool) -> Generator[float]:
        """Fill the file; yield after each transaction about what share of the work is left."""
        index.pragma("cache_size", -_CACHE_KIB)
        index.set_progress_handler(self.is_stopped, _STEPS)
        writer = RowWriter(is_alone=True)
        try:
            total = int(rows(index, "SELECT count(*) FROM facets")[0][0]) + IndexState.read(index).missing
            while (state := IndexState.read(index)).behind is not None:
                self._take(index, writer, state, state.behind.seq)
                yield 1 - _SHARE_OF_ROWS * (1 - state.missing / max(1, total))
            indexes = secondary_indexes()
            for number, each in enumerate(indexes, 1):
                index.execute(each.replace("CREATE INDEX", "CREATE INDEX IF NOT EXISTS"))
                yield (1 - _SHARE_OF_ROWS) * (1 - number / len(indexes))
        except apsw.InterruptError:
            raise BuildStopped from None
        index.set_progress_handler(None)
        indexer = Indexer(self.texts, self.limits)
        while not self._is_done(index, indexer, with_texts=with_texts):
            yield 0

    def _take(self, index: apsw.Connection, writer: RowWriter, state: IndexState, place: int) -> None:
        """Write the records after *place* in the order of creation; at the end note that all texts are due."""
        if self.is_stopped():
            raise BuildStopped
        index.execute("BEGIN IMMEDIATE")
        with committed(index, writer.forget):
            with self.history() as history, history.frozen():
                found = self._some(index, writer, history, place)
            writer.add(index, {key: each for key, each in found.items() if each[0].revision <= state.high})
            if not found:
                state = replace(state, behind=None, missing=0)
                if self.texts is not None:
                    before = index.total_changes()
                    index.execute(statement("all_texts_due"))
                    state = state.with_due(TEXTS, index.total_changes() - before)
            else:
                state = replace(state, behind=Place(0, max(found)), missing=max(1, state.missing - len(found)))
            writer.finish(index)
            state.save(index)

    def _some(
        self, index: apsw.Connection, writer: RowWriter, history: HistoryView, place: int
    ) -> dict[int, tuple[ChangedRecord, RecordRows]]:
        """Return some records after *place*, by their seq, with their rows."""
        found: dict[int, tuple[ChangedRecord, RecordRows]] = {}
        size = 0
        with closing(history.after(place, self.limits.changes)) as records:
            for change in records:
                if len(found) % self.limits.at_once == 0:
                    self.precedence.give_way()
                found[change.seq] = change, writer.prepare(index, change, keeps_record=False)
                size += len(change.body or b"")
                if size > LARGEST_ANSWER:
                    break
        return found

    def _is_done(self, index: apsw.Connection, indexer: Indexer, *, with_texts: bool) -> bool:
        """Follow what has changed meanwhile, and write texts where they are to be waited for."""
        if self.is_stopped():
            raise BuildStopped
        with self.history() as history:
            state, newest = indexer.step(index, history)
            is_waiting = with_texts and self.texts is not None and self.texts.step(index, history)
        return state.revision >= newest and not state.due[0] and not is_waiting
