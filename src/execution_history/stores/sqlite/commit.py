"""Commits: groups of operations as transactions, each followed by its changes to the JSON files.

All of it runs with the writer's turn held. The methods for the writer thread (``run``, ``tidy``) never raise: an
operation that fails has its error, which is raised where its result is awaited.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import apsw

from execution_history.errors import ExecutionHistoryError, StoreDamaged, StoreError, quoted
from execution_history.stores.mirror_port import FileUpdate, Mirror, PendingFiles
from execution_history.stores.sqlite.error_mapping import as_store_error, faults, is_full
from execution_history.stores.sqlite.folder import Presence, Reserve
from execution_history.stores.sqlite.process_lock import ProcessLock
from execution_history.stores.sqlite.retention import prune, purge_cleared
from execution_history.stores.sqlite.write_transaction import WriteTransaction
from execution_history.stores.write_queue import Caller, answer

_log = logging.getLogger("execution_history.stores.sqlite")
_Result = TypeVar("_Result")

_STEP_SECONDS: Final = 0.005
_FIRST_STEP: Final = 16
_MOST_STEP: Final = 256
_MOST_FREE: Final = 512
_MOST_TRIES: Final = 20
_PAUSE: Final = 0.05


@dataclass(eq=False, slots=True)
class Operation:
    """A piece of work for the writer.

    Attributes:
        caller: who waits for it, in an event loop.
        record: the workflow and the execution (``None`` for any) that have to be in the file before the caller is
            answered.
        size: roughly the number of bytes that will be written.
        makes_room: whether the work removes something, so that tidying follows.
        is_alone: whether it runs outside a transaction; ``failed`` is called if it could not run.
        is_durable: set once the work is committed; an error after that is not the operation's.
    """

    work: Callable[[WriteTransaction], Any]
    caller: Caller | None = None
    record: tuple[str, str | None] | None = None
    size: int = 0
    makes_room: bool = False
    is_alone: bool = False
    failed: Callable[[Exception], None] | None = None
    is_durable: bool = field(default=False, init=False)
    tries: int = field(default=0, init=False)
    result: Any = field(default=None, init=False)
    error: Exception | None = field(default=None, init=False)

    def wait_for_space(self) -> bool:
        """Wait a moment for space that is in use only for a while, such as by a file that is being rewritten.

        Returns:
            Whether to try again: false after a second.
        """
        self.tries += 1
        if self.tries > _MOST_TRIES:
            return False
        time.sleep(_PAUSE)
        return True

    def waits_for(self, later: PendingFiles) -> bool:
        """Return whether this record is written into its file later."""
        if self.record is None or self.error is not None or self.record[0] not in later:
            return False
        waiting = later[self.record[0]]
        return waiting is None or self.record[1] is None or self.record[1] in waiting


@dataclass(eq=False)
class Commits:
    """The writing connection, with its locks, its mirror and its reserve.

    Args:
        _folder: the store's folder, for messages.
        _connection: the writing connection, which only this object uses.
        _transaction: the operations on it.
        _lock: the lock between processes.
        _mirror: what follows each commit.
    """

    _folder: Path
    _connection: apsw.Connection
    _transaction: WriteTransaction
    _lock: ProcessLock
    _mirror: Mirror
    damage: tuple[str, ...] = field(default=(), init=False)

    def __post_init__(self) -> None:
        """Reserve space for deletions."""
        self._presence = Presence(self._folder)
        self._reserve = Reserve(self._folder)
        self._reserve.make_early()
        self._step = _FIRST_STEP

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def run_now(self, work: Callable[[WriteTransaction], _Result]) -> _Result:
        """Run *work* in a transaction of its own, with the lock held.

        Raises:
            StoreError: it could not be written.
        """
        operation = Operation(work)
        with faults(self._folder):
            self._transact([operation])
        result: _Result = operation.result
        return result

    def run(self, group: list[Operation]) -> list[Operation]:
        """Commit *group*, however long it takes; return the operations that can be answered. Never raises."""
        later: PendingFiles = {}
        try:
            self._lock.acquire()
            try:
                later = self._run_locked(group)
            finally:
                self._lock.release()
            return self._hold_back(group, later)
        except BaseException as error:  # noqa: BLE001 - the thread continues after any error of one group
            self._fail([operation for operation in group if not operation.is_durable], error)
            return group

    def tidy(self) -> bool:
        """Use idle time: purge cleared histories and free pages, in steps of some milliseconds.

        Returns:
            Whether there is more to do. Never raises.
        """
        try:
            self._lock.acquire(0)
        except BaseException:  # noqa: BLE001 - another process writes, or the lock is not available: try later
            return True
        try:
            return self._tidy_locked()
        except BaseException as error:  # noqa: BLE001 - untidied rows do no harm
            self._roll_back()
            if is_full(error):
                self._reserve.release()
            _log.warning("Tidying %s will be tried again later: %s", quoted(self._folder), error)
            return False
        finally:
            self._lock.release()

    def make_anew(self) -> None:
        """Write the database without free pages, and every page without what was on it before; may take a while."""
        self._connection.execute("VACUUM")

    def cut_log(self) -> bool:
        """Copy the log into the database and cut it to nothing; return whether nobody was in the way."""
        try:
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except (apsw.BusyError, apsw.LockedError):
            return False
        return True

    def _hold_back(self, operations: list[Operation], later: PendingFiles) -> list[Operation]:
        """Return those of *operations* that can be answered now; the others are answered once their file is current."""
        if not later:
            return operations
        now = []
        for operation in operations:
            if operation.waits_for(later):
                assert operation.record is not None  # noqa: S101 - for the type checker
                self._mirror.when_current(operation.record[0], lambda op=operation: answer([op]))  # type: ignore[misc]
            else:
                now.append(operation)
        return now

    def give_back(self) -> bool:
        """Purge and free pages in one step of some milliseconds, until hardly any is free, with the locks held.

        Returns:
            Whether there is more to do.
        """
        return self._purge(_FIRST_STEP)

    def _tidy_locked(self) -> bool:
        more = self._purge(_MOST_FREE)
        self._mirror.catch_up()
        is_untidy = more or self._mirror.is_behind
        if not is_untidy:
            self._reserve.make()
        return is_untidy

    def _purge(self, most_free: int) -> bool:
        """Do one step of purging, or free pages where more than *most_free* are; return whether there is more to do."""
        self._presence.check()
        connection, began = self._connection, time.monotonic()
        connection.execute("BEGIN IMMEDIATE")
        more = purge_cleared(self._transaction, self._step) | prune(self._transaction, self._step)
        connection.execute("COMMIT")
        if not more and int(connection.pragma("freelist_count")) > most_free:
            connection.execute(f"PRAGMA incremental_vacuum({self._step})").fetchall()
            more = True
        # Rows that are scattered over a large database, or a slow disk, take so much longer.
        is_quick = time.monotonic() - began < _STEP_SECONDS
        self._step = min(2 * self._step, _MOST_STEP) if is_quick else max(self._step // 2, 1)
        self._transaction.forget()
        return more

    def _run_locked(self, group: list[Operation]) -> PendingFiles:
        if group[0].is_alone:
            self._run_outside(group[0])
            return {}
        try:
            updates = self._transact(group)
        except BaseException as error:  # noqa: BLE001 - whatever one operation raises is its own outcome
            if len(group) > 1:
                # One of them may be the cause: each gets a transaction, and an outcome, of its own.
                later: PendingFiles = {}
                for operation in group:
                    later |= self._run_locked([operation])
                return later
            if is_full(error) and group[0].makes_room and (self._reserve.release() or group[0].wait_for_space()):
                return self._run_locked(group)
            self._fail(group, error)
            return {}
        return self._mirror.follow(updates)

    def _transact(self, group: list[Operation]) -> list[FileUpdate]:
        """Commit *group*; return its changes to the files."""
        connection, transaction = self._connection, self._transaction
        self._presence.check()
        if connection.in_transaction:  # an earlier rollback has failed
            connection.execute("ROLLBACK")
        connection.execute("BEGIN IMMEDIATE")
        try:
            transaction.begin()
            self._run_operations(group)
            updates = transaction.finish()
            connection.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        for operation in group:
            operation.is_durable = True
        transaction.committed()
        return updates

    def _run_operations(self, group: list[Operation]) -> None:
        for operation in group:
            operation.error = None
            try:
                operation.result = operation.work(self._transaction)
            except StoreError:
                raise
            except ExecutionHistoryError as error:
                operation.error = error

    def _roll_back(self) -> None:
        """Undo the current transaction, if any, and forget its rows. Never raises."""
        self._transaction.forget()
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except BaseException:  # noqa: BLE001 - the first error is the one to raise; the next begin tries again
            _log.exception("A transaction on %s could not be undone", quoted(self._folder))

    def _fail(self, group: list[Operation], error: BaseException) -> None:
        for operation in group:
            operation.error = as_store_error(error, self._folder)
            if type(operation.error) is StoreDamaged:  # the reader reports damage of one record
                self.damage = (operation.error.message,)
            if operation.failed is not None:
                operation.failed(operation.error)

    def _run_outside(self, operation: Operation) -> None:
        try:
            operation.result = operation.work(self._transaction)
        except BaseException as error:  # noqa: BLE001 - the thread continues after any error of one file
            self._roll_back()
            if operation.caller is not None:
                operation.error = as_store_error(error, self._folder)
                return
            _log.exception("Work on the files of %s failed", quoted(self._folder))
