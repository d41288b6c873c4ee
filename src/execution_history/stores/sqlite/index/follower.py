"""The index that is kept up with the history: by its thread, by whoever waits for it, and by builds beside it."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

import apsw

from execution_history.errors import Message, StoreClosed, StoreDamaged, StoreError, message_of, quoted
from execution_history.stores.database_files import INDEX_DATABASE
from execution_history.stores.sqlite.connections import BUSY_MS, one_moment
from execution_history.stores.sqlite.error_mapping import faults
from execution_history.stores.sqlite.index.builder import Builder, BuildStopped, BuildUnfit
from execution_history.stores.sqlite.index.connections import (
    SERVING,
    Beginning,
    IndexBusy,
    IndexDatabase,
    IndexForm,
    IndexOutdated,
    IndexUnfit,
    IndexUnusable,
    rows,
    statement,
)
from execution_history.stores.sqlite.index.history_source import HistoryView
from execution_history.stores.sqlite.index.indexer import Indexer
from execution_history.stores.sqlite.index.limits import Limits
from execution_history.stores.sqlite.index.precedence import Precedence
from execution_history.stores.sqlite.index.state import IndexState
from execution_history.stores.sqlite.index.text_index import TextIndex
from execution_history.stores.sqlite.index.text_writer import TextWriter
from execution_history.stores.sqlite.reader import Reader

_log = logging.getLogger("execution_history.stores.sqlite")
_Result = TypeVar("_Result")

_PAUSE: Final = 1.0
_TRIES: Final = 3
_BREATH: Final = 0.000_5
_INCREMENTAL: Final = 2
_MERGED: Final = 200
_FREED: Final = 128
_MOST_FREE: Final = 4_096
"""Pages that are free in a file which cannot give them back, before it is made anew."""


class IndexFollower:
    """Keeps ``index.db`` up with ``history.db``; for any number of threads.

    Nothing is opened before it is needed. Once it was started a thread follows until it is closed.

    Args:
        folder: the store's folder.
        reader: reads the history.
        text: the text index, if there is one.
        limits: how much is done at once.
        serving: versions of files that answer until one of the present version is built.
    """

    def __init__(
        self, folder: Path, reader: Reader, text: TextIndex | None, limits: Limits, serving: frozenset[str] = SERVING
    ) -> None:
        self._folder = folder
        self._reader = reader
        self._text = text
        self._limits = limits
        self._serving = serving
        self._parts: tuple[IndexDatabase, Builder] | None = None
        self.precedence = Precedence()
        self.closing = threading.Event()
        self._texts = None if text is None else TextWriter(text, limits, self.precedence, self.closing.is_set)
        self._indexer = Indexer(self._texts, limits)
        self._writing_rows = threading.Lock()
        self._writing_texts = threading.Lock()
        self._starting = threading.Lock()
        self._behind = threading.Event()
        self._is_verified = False
        self._is_tidy = False
        self._trouble = ""
        self.thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread; a further call does nothing."""
        with self._starting:
            if self.thread is None and not self.closing.is_set():
                self.thread = threading.Thread(target=self._follow, name="execution-history-index", daemon=True)
                self.thread.start()

    def close(self) -> None:
        """End the thread and close the file."""
        with self._starting:
            self.closing.set()
            thread = self.thread
        self._behind.set()
        if thread is not None:
            thread.join()
        with self._writing_rows, self._writing_texts:
            if self._parts is not None:
                self._parts[0].close()

    def wake(self) -> None:
        """Let the thread go on at once."""
        self._behind.set()

    def problems(self) -> tuple[str, ...]:
        """Return one sentence on what keeps the index from following, if anything."""
        if not self._trouble:
            return ()
        folder = quoted(self._folder)
        return (
            Message("The index of %(folder)s is not being updated: %(trouble)s", folder=folder, trouble=self._trouble),
        )

    def note(self, error: Exception) -> None:
        """Log once why the index does not follow, with the traceback of an unknown error."""
        is_known = isinstance(error, (IndexUnusable, StoreError))
        known = error.error if isinstance(error, IndexUnusable) else error
        sentence = message_of(known) if is_known else f"{type(error).__name__}: {error}"
        if sentence != self._trouble:
            self._trouble = sentence
            _log.warning(
                "The index of %s will follow later: %s", self._folder, sentence, exc_info=None if is_known else error
            )

    def tried(self, work: Callable[[], _Result]) -> _Result:
        """Return the result of *work*, with a rebuilt index where the present one is unfit.

        Raises:
            StoreError: none can be made.
        """
        for attempt in range(_TRIES):
            replacements = self.index().replacements
            try:
                return work()
            except IndexUnfit as error:
                self._replace(error, replacements, is_last=attempt + 1 == _TRIES)
            except IndexUnusable as error:
                raise error.error from error
        raise StoreError("The index of %(folder)s could not be made.", folder=quoted(self._folder))

    @contextmanager
    def history(self) -> Iterator[HistoryView]:
        """Yield the history, on a connection of its own."""
        with self._reader.connection() as connection:
            yield HistoryView(self._folder, self._reader, connection)

    def index(self) -> IndexDatabase:
        """Return the file."""
        return self._opened()[0]

    def builder(self) -> Builder:
        """Return what builds another file."""
        return self._opened()[1]

    def state(self) -> IndexState:
        """Return how far the index has come."""
        with self.index().connection() as index:
            return IndexState.read(index)

    def written_at(self) -> int:
        """Return when anybody last wrote the index: the time of its log, in nanoseconds, 0 without one."""
        with suppress(FileNotFoundError):
            return self._folder.joinpath(f"{INDEX_DATABASE}-wal").stat().st_mtime_ns
        return 0

    def advance(self, state: IndexState, newest: int, seconds: float) -> None:
        """Do one step of what *state* lacks of a history up to *newest*, or wait *seconds* for who does one."""
        is_of_rows = state.revision < newest or state.lacks_rows
        lock = self._writing_rows if is_of_rows else self._writing_texts
        if lock.acquire(timeout=seconds):
            try:
                with suppress(IndexBusy):
                    if is_of_rows:
                        self._step(seconds)
                    else:
                        self._step_of_texts()
            finally:
                lock.release()

    def verify(self) -> None:
        """Check, once after opening, that index and history have as many records, to detect a restored copy.

        Raises:
            IndexUnfit: they have not.
        """
        if self._is_verified:
            return
        with self.history() as history, self.index().connection() as index, one_moment(index), history.frozen():
            state, newest = IndexState.read(index), history.newest()
            found, expected = int(rows(index, statement("count_all"))[0][0]), history.total()
        if state.revision < newest or state.due[0]:
            return  # somebody writes: the next query checks again
        if self.index().replacements == 0 and (state.revision > newest or found != expected):
            raise IndexUnfit(f"it has {found} records and the history {expected}")
        self._is_verified = True

    def build(self, *, with_texts: bool) -> bool:
        """Build a whole index beside the present one and put it in its place; see :meth:`Builder.build`.

        Raises:
            IndexUnfit: the present one has to be replaced; what was built is gone on with.
            StoreDamaged: what is built turns out unfit again and again.
        """
        in_thread = threading.current_thread() is self.thread

        def on_step(left: float) -> None:
            if in_thread:
                self._keep_up()
            self.note_left(left)

        def install(path: Path) -> None:
            with self._writing_rows, self._writing_texts:
                self._indexer.forget()
                self.index().install(path)

        self._is_tidy = False  # whatever ends the build may leave its file behind
        for attempt in range(_TRIES):
            try:
                with faults(self._folder):
                    return self.builder().build(on_step, install, with_texts=with_texts)
            except BuildUnfit as error:
                self._check_tries(error, is_last=attempt + 1 == _TRIES)
        return False

    def give_back(self) -> bool:
        """Give free pages of the file back in small steps; return whether it has many that it cannot give back."""
        try:
            while self._merges() or self._frees():
                time.sleep(_BREATH)
            with self.index().connection() as index:
                pages, free = int(index.pragma("page_count")), int(index.pragma("freelist_count"))
                cannot = int(index.pragma("auto_vacuum")) != _INCREMENTAL
                _empty_log(index)
        except (IndexUnfit, IndexUnusable, apsw.BusyError, apsw.LockedError):
            return False  # whoever asks it next tells of it, or somebody writes
        return cannot and free > max(_MOST_FREE, pages // 4)

    def _merges(self) -> bool:
        """Write some segments of the texts anew of which a tenth or more is deleted; return whether there may be more.

        They keep what is deleted until then (sqlite.org/fts5.html, "The 'deletemerge' Configuration Option").
        """
        with self._writing_rows, self._writing_texts, self.index().connection() as index:
            if not index.table_exists("main", "words"):
                return False
            before = index.total_changes()
            index.execute("INSERT INTO words (words, rank) VALUES ('merge', ?)", (_MERGED,))
            return index.total_changes() - before > 1  # as its page says: one change is the statement's own

    def _frees(self) -> bool:
        """Free some pages; return whether there are more."""
        with self._writing_rows, self._writing_texts, self.index().connection() as index:
            if int(index.pragma("auto_vacuum")) != _INCREMENTAL or int(index.pragma("freelist_count")) < _FREED:
                return False
            index.execute(f"PRAGMA incremental_vacuum({_FREED})").fetchall()
            return True

    def note_left(self, left: float) -> None:
        """Write into the present index what share of the work on one beside it is left."""
        with self._writing_rows, self.index().connection() as index:
            index.execute(statement("save_missing"), (left,))

    def _follow(self) -> None:
        """Follow new changes, and pause a second when there are none, or after any error."""
        while not self.closing.is_set():
            has_more = False
            try:
                has_more = self._once()
            except BuildStopped:
                return
            except Exception as error:  # noqa: BLE001 - after any error the thread tries again
                if self.closing.is_set():
                    return
                self.note(error)
            if has_more:
                time.sleep(_BREATH)  # lets queries that wait for a lock have it
                continue
            self._behind.clear()
            if not self.closing.is_set():
                self._behind.wait(_PAUSE)

    def _once(self) -> bool:
        """Do one step of what is missing, or build what is left to another file; return whether there may be more."""
        replacements = self.index().replacements
        try:
            return self._keep_up() or self._build_what_is_missing()
        except IndexUnfit as error:
            self._replace(error, replacements, is_last=replacements >= _TRIES)
            return True

    def _build_what_is_missing(self) -> bool:
        state = self.state()
        if state.needs_another:
            return self.build(with_texts=False)
        if state.version != self.builder().form.version:
            return self.build(with_texts=True)
        # A rebuild that was killed has left a file behind.
        self._is_tidy = self._is_tidy or self.builder().forget()
        return False

    def _keep_up(self) -> bool:
        """Do one step of everything but a build; return whether there is more to do."""
        with self._writing_rows:
            has_more = self._step()
        if has_more:
            return True
        with self._writing_texts:
            return self._step_of_texts()

    def _step(self, seconds: float | None = None) -> bool:
        """Write some rows, with the lock held; return whether there are more to write."""
        with self.history() as history, self.index().connection() as index:
            state, newest = self._indexer.step(index, history, seconds)
        self._trouble = ""
        return state.revision < newest or state.lacks_rows

    def _step_of_texts(self) -> bool:
        """Write some texts, with their lock held; return whether there were any."""
        if self._texts is None:
            return False
        with self.history() as history, self.index().connection() as index:
            return self._texts.step(index, history)

    def _opened(self) -> tuple[IndexDatabase, Builder]:
        with self._starting:
            if self.closing.is_set():
                raise StoreClosed("This history was closed; create a new service.")
            if self._parts is None:
                with self.history() as history:
                    form = IndexForm(history.identity(), self._text, self._beginning, self._serving)
                database = IndexDatabase(self._folder, form, self._stops_at)
                is_closing = self.closing.is_set
                self._parts = (
                    database,
                    Builder(self._folder, form, self.history, self._texts, self._limits, self.precedence, is_closing),
                )
            return self._parts

    def _beginning(self) -> Beginning:
        with self.history() as history, history.frozen():
            return Beginning(history.newest(), history.newest_time(), history.total())

    def _stops_at(self, total: int) -> int:
        return 0 if total <= self._limits.small else total - self._limits.front

    def _replace(self, error: IndexUnfit, replacements: int, *, is_last: bool) -> None:
        """Delete an unfit file; the next step makes it anew."""
        self._check_tries(error, is_last=is_last)
        with self._writing_rows, self._writing_texts:
            self._indexer.forget()
            self._is_verified = False
            if self.index().replace(error, replacements):
                level = logging.INFO if isinstance(error, IndexOutdated) else logging.WARNING
                _log.log(level, "The index of %s is rebuilt: %s", self._folder, error)

    def _check_tries(self, error: Exception, *, is_last: bool) -> None:
        if is_last:
            raise StoreDamaged(
                "The index of %(folder)s was rebuilt and fails again (%(reason)s): check that disk.",
                folder=quoted(self._folder),
                reason=error,
            ) from error


def _empty_log(index: apsw.Connection) -> None:
    """Copy the write-ahead log into the file and empty it, unless somebody reads or writes."""
    index.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    index.set_busy_timeout(0)
    try:
        with suppress(apsw.BusyError, apsw.LockedError):
            index.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    finally:
        index.set_busy_timeout(BUSY_MS)
