"""The index as a whole: it follows the history before each query, and in the background."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import apsw

from execution_history.errors import Message, StoreBusy, StoreClosed, StoreDamaged, StoreError, message_of, quoted
from execution_history.query.model import IndexReach, RecordQuery, Selection, Statistics, StatisticsQuery
from execution_history.stores.capabilities import OnReach
from execution_history.stores.sqlite.connections import one_moment
from execution_history.stores.sqlite.index.connections import (
    IndexDatabase,
    IndexOutdated,
    IndexUnfit,
    IndexUnusable,
    rows,
    statement,
)
from execution_history.stores.sqlite.index.history_source import HistoryView
from execution_history.stores.sqlite.index.indexer import Indexer
from execution_history.stores.sqlite.index.limits import USUAL, Limits
from execution_history.stores.sqlite.index.select import select
from execution_history.stores.sqlite.index.statistics import statistics
from execution_history.stores.sqlite.index.text_index import TextIndex
from execution_history.stores.sqlite.reader import Reader

_log = logging.getLogger("execution_history.stores.sqlite")
_Result = TypeVar("_Result")

_PAUSE: Final = 1.0
_TRIES: Final = 3
_BREATH: Final = 0.000_5
_MOST_STANDSTILLS: Final = 10


class RecordIndex:
    """Answers from ``index.db`` and keeps it up with ``history.db``; for any number of threads.

    Nothing is opened before it is needed. From the first query on a thread follows the history while the store is open,
    so that later queries have little to catch up with.

    Args:
        folder: the store's folder.
        reader: reads the history.
        text: the text index, if there is one.
        limits: how much is done at once, and how long a query waits.
    """

    def __init__(self, folder: Path, reader: Reader, text: TextIndex | None = None, limits: Limits = USUAL) -> None:
        self._folder = folder
        self._reader = reader
        self._text = text
        self._limits = limits
        self._database: IndexDatabase | None = None
        self._indexer = Indexer(text, limits)
        self._working = threading.Lock()
        self._starting = threading.Lock()
        self._closing = threading.Event()
        self._behind = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_verified = False
        self._replacements = 0
        self._trouble = ""

    def close(self) -> None:
        """End the thread and close the file."""
        with self._starting:
            self._closing.set()
            thread = self._thread
        self._behind.set()
        if thread is not None:
            thread.join()
        with self._working:
            if self._database is not None:
                self._database.close()

    async def select(self, query: RecordQuery) -> Selection:
        """See :meth:`HistoryStore.select`."""
        options = (query, self._text)
        return await asyncio.to_thread(
            self.answer, lambda i, h, reach: select(i, h, *options, reach, self._limits), query.wait_seconds
        )

    async def statistics(self, query: StatisticsQuery) -> Statistics:
        """See :meth:`HistoryStore.statistics`."""
        options = (query, self._text)
        return await asyncio.to_thread(
            self.answer, lambda i, h, reach: statistics(i, h, *options, reach, self._limits), query.wait_seconds
        )

    def answer(
        self, read: Callable[[apsw.Connection, HistoryView, IndexReach], _Result], wait_seconds: float | None = None
    ) -> _Result:
        """Return the result of *read* on an index that has caught up, as far as that was possible in a short time.

        An index that cannot be written, such as on a full disk, is read as it is.

        Raises:
            StoreError: the history could not be read, or there is no index and none can be made.
            InvalidQuery: raised by *read*.
        """

        def answered() -> _Result:
            seconds = self._limits.wait_seconds if wait_seconds is None else wait_seconds
            reach = self._catch_up(time.monotonic() + seconds)
            with self._history() as history, self._index().connection() as index:
                return read(index, history, reach)

        return self._tried(answered)

    async def reach(self) -> IndexReach:
        """Return how far the index has followed.

        Raises:
            StoreError: the history could not be read.
        """
        return await asyncio.to_thread(self._reach)

    def _reach(self) -> IndexReach:
        with self._history() as history:
            newest = history.newest()
        try:
            return IndexReach(min(self._revision(), newest), newest)
        except IndexUnfit as error:
            self._replace(error, is_last=False)
        except IndexUnusable as error:
            self._note(error)
            self._start()  # the thread goes on once that has passed
        return IndexReach(0, newest)

    def problems(self) -> tuple[str, ...]:
        """Return one sentence on what keeps the index from following, if anything."""
        if not self._trouble:
            return ()
        folder = quoted(self._folder)
        return (
            Message("The index of %(folder)s is not being updated: %(trouble)s", folder=folder, trouble=self._trouble),
        )

    async def follow(self, progress: OnReach) -> None:
        """See :class:`~execution_history.stores.capabilities.Indexed`."""
        await asyncio.to_thread(self._follow_to_the_end, progress)

    def _follow_to_the_end(self, progress: OnReach) -> None:
        with self._history() as history:
            newest = history.newest()
        reached, standstills = -1, 0
        while True:
            reach = self._tried(lambda: self._catch_up(time.monotonic() + self._limits.wait_seconds))
            progress(reach)
            if reach.revision >= newest:
                return
            standstills = 0 if reach.revision > reached else standstills + 1
            reached = reach.revision
            if standstills == _MOST_STANDSTILLS:
                raise StoreBusy(
                    "The index of this history has stopped at change %(revision)s of %(newest)s: try again, or "
                    "rebuild it.",
                    revision=reached,
                    newest=newest,
                )

    async def rebuild(self) -> None:
        """Delete the index and make it anew; return when it is complete.

        Raises:
            StoreError: the history could not be read, or the index not be written.
        """
        await asyncio.to_thread(self._rebuild)

    def _rebuild(self) -> None:
        self._forget_file()
        with self._history() as history:
            newest = history.newest()
        while self._tried(lambda: self._follow_up_to(newest, time.monotonic() + self._limits.wait_seconds)) < newest:
            pass

    def _tried(self, work: Callable[[], _Result]) -> _Result:
        """Return the result of *work*, with a rebuilt index where the present one is unfit.

        Raises:
            StoreError: none can be made.
        """
        for attempt in range(_TRIES):
            try:
                return work()
            except IndexUnfit as error:
                self._replace(error, is_last=attempt + 1 == _TRIES)
            except IndexUnusable as error:
                raise error.error from error
        raise StoreError("The index of %(folder)s could not be made.", folder=quoted(self._folder))

    def _catch_up(self, deadline: float) -> IndexReach:
        """Follow the feed to its present end, or until *deadline*, or as far as the disk has space."""
        self._start()
        with self._history() as history:
            newest = history.newest()
        try:
            revision = self._follow_up_to(newest, deadline)
        except IndexUnusable as error:
            self._note(error)
            revision = self._revision()
        if revision < newest:
            self._behind.set()
        elif not self._is_verified:
            self._verify()
        return IndexReach(min(revision, newest), newest)

    def _follow_up_to(self, newest: int, deadline: float) -> int:
        """Follow the feed to *newest*, or until *deadline*; return the revision that was reached."""
        while (revision := self._revision()) < newest and (remaining := deadline - time.monotonic()) > 0:
            if self._working.acquire(timeout=remaining):
                try:
                    self._step()
                finally:
                    self._working.release()
        return revision

    def _step(self) -> bool:
        """Write some changes, with the lock held; return whether the index is current."""
        with self._history() as history, self._index().connection() as index:
            reached, newest = self._indexer.step(index, history)
        self._trouble = ""
        return reached >= newest

    def _revision(self) -> int:
        with self._index().connection() as index:
            return int(rows(index, statement("state"))[0][2])

    def _verify(self) -> None:
        """Check, once after opening, that index and history have as many records, to detect a restored copy."""
        with self._history() as history, self._index().connection() as index, one_moment(index), history.frozen():
            revision, newest = int(rows(index, statement("state"))[0][2]), history.newest()
            found, expected = int(rows(index, statement("count_all"))[0][0]), history.total()
        if revision < newest:
            return  # somebody writes: the next query checks again
        if self._replacements == 0 and (revision > newest or found != expected):
            raise IndexUnfit(f"it has {found} records and the history {expected}")
        self._is_verified = True

    def _start(self) -> None:
        with self._starting:
            if self._thread is None and not self._closing.is_set():
                self._thread = threading.Thread(target=self._follow, name="execution-history-index", daemon=True)
                self._thread.start()

    def _follow(self) -> None:
        """Follow new changes, and pause a second when there are none, or after any error."""
        while not self._closing.is_set():
            is_current = True
            try:
                try:
                    with self._working:
                        is_current = self._step()
                except IndexUnfit as error:
                    self._replace(error, is_last=self._replacements >= _TRIES)
            except Exception as error:  # noqa: BLE001 - after any error the thread tries again
                if self._closing.is_set():
                    return
                self._note(error)
            if is_current:
                self._behind.clear()
                if not self._closing.is_set():
                    self._behind.wait(_PAUSE)
            else:
                time.sleep(_BREATH)  # lets queries that wait for the lock have it

    def _note(self, error: Exception) -> None:
        """Log once why the index does not follow, with the traceback of an unknown error."""
        is_known = isinstance(error, (IndexUnusable, StoreError))
        known = error.error if isinstance(error, IndexUnusable) else error
        sentence = message_of(known) if is_known else f"{type(error).__name__}: {error}"
        if sentence != self._trouble:
            self._trouble = sentence
            _log.warning(
                "The index of %s will follow later: %s", self._folder, sentence, exc_info=None if is_known else error
            )

    @contextmanager
    def _history(self) -> Iterator[HistoryView]:
        with self._reader.connection() as connection:
            yield HistoryView(self._folder, self._reader, connection)

    def _index(self) -> IndexDatabase:
        if self._closing.is_set():
            raise StoreClosed("This history was closed; create a new service.")
        if self._database is None:
            with self._history() as history:
                store = history.identity()
            self._database = IndexDatabase(self._folder, store, self._text)
        return self._database

    def _replace(self, error: IndexUnfit, *, is_last: bool) -> None:
        if is_last:
            raise StoreDamaged(
                "The index of %(folder)s was rebuilt and fails again (%(reason)s): check that disk.",
                folder=quoted(self._folder),
                reason=error,
            ) from error
        level = logging.INFO if isinstance(error, IndexOutdated) else logging.WARNING
        _log.log(level, "The index of %s is rebuilt: %s", self._folder, error)
        self._forget_file()

    def _forget_file(self) -> None:
        """Delete the file; the next step makes it anew."""
        with self._working:
            self._indexer.forget()
            self._is_verified = False
            self._replacements += 1
            self._index().replace()
