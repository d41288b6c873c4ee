"""Checkpoints: copies commits from the write-ahead log into the database, beside the writer.

SQLite would do it inside the commit that finds the log long, which would delay the callers of that commit.
"""

import contextlib
import logging
import threading
from pathlib import Path
from typing import Final

import apsw

from execution_history.stores.database_files import DATABASE
from execution_history.stores.sqlite.process_lock import ProcessLock

_log = logging.getLogger("execution_history.stores.sqlite")

_PAGES: Final = 4_000
_FEW_PAGES: Final = 100
_TRIES: Final = 5


class Checkpointer:
    """A thread with a connection of its own.

    It copies most of the log while others write. The rest is copied with the writer's *turn* and the *lock* between
    processes held, because a log starts again from its beginning only when all of it was copied.

    Args:
        folder: the store's folder.
        connection: the writing one; the length of the log is checked after each of its commits.
        turn: held by the thread that writes.
        lock: the lock between processes, used with the turn held.
    """

    def __init__(self, folder: Path, connection: apsw.Connection, turn: threading.Lock, lock: ProcessLock) -> None:
        self._path = folder / DATABASE
        self._writing = connection
        self._turn = turn
        self._lock = lock
        self._due = threading.Event()
        self._ends = False
        self._thread = threading.Thread(target=self._serve, name="execution-history-checkpoints", daemon=True)

    def start(self) -> None:
        """Start the thread, which replaces SQLite's own checkpoints."""
        self._writing.set_wal_hook(self._after_commit)
        self._thread.start()

    def stop(self) -> None:
        """Finish the current checkpoint; return when the thread has ended. The turn must be free."""
        self._ends = True
        self._due.set()
        self._thread.join()

    def empty_log(self) -> None:
        """Copy the whole log and give its space back, unless somebody reads or writes: then the next call does.

        Most is copied before writers have to wait. May be called from any thread.
        """
        with contextlib.closing(self._connect()) as connection:
            _copy_most(connection)
            with self._turn:
                if not self._lock.try_acquire():
                    return
                try:
                    with contextlib.suppress(apsw.BusyError, apsw.LockedError):
                        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
                finally:
                    self._lock.release()

    def _after_commit(self, connection: apsw.Connection, name: str, pages: int) -> int:
        del connection, name
        if pages >= _PAGES:
            self._due.set()
        return apsw.SQLITE_OK

    def _serve(self) -> None:
        connection: apsw.Connection | None = None
        # Checked before waiting too: a stop may come during a checkpoint, which then clears ``_due``.
        while not self._ends:
            self._due.wait()
            if self._ends:
                break
            self._due.clear()
            try:
                connection = connection or self._connect()
                self._checkpoint(connection)
            except BaseException as error:  # noqa: BLE001 - until the next try succeeds the log only grows
                _log.debug("A checkpoint will be tried again after the next commit: %s", error)
        if connection is not None:
            connection.close()

    def _connect(self) -> apsw.Connection:
        connection = apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READWRITE)
        connection.pragma("user_version")  # a connection that has read nothing has not opened the log
        return connection

    def _checkpoint(self, connection: apsw.Connection) -> None:
        _copy_most(connection)
        with self._turn:
            if not self._lock.try_acquire():
                return  # another process writes, and checks the log after its own commits
            try:
                _copy(connection)
                self._due.clear()  # nothing has been committed since
            finally:
                self._lock.release()


def _copy_most(connection: apsw.Connection) -> None:
    """Copy until little is left: while much was copied, much has been committed."""
    left = _copy(connection)
    for _ in range(_TRIES):
        before, left = left, _copy(connection)
        if left - before < _FEW_PAGES:
            return


def _copy(connection: apsw.Connection) -> int:
    """Copy what can be copied without waiting; return how many pages the log has had."""
    with contextlib.suppress(apsw.BusyError, apsw.LockedError):  # another process makes one
        return connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)[0]
    return 0
