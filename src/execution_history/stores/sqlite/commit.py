"""Groups of operations made into transactions, with what follows each in the JSON files.

Everything here is done by whoever has the writer's turn. What serves the writer thread (``run``, ``tidy``) never
raises: an operation that fails carries its error to whoever waits for it.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import apsw

from execution_history.errors import ExecutionHistoryError, StoreDamaged, StoreError, quoted
from execution_history.stores.mirror_port import FileUpdate, Mirror, PendingFiles
from execution_history.stores.sqlite.disk_reserve import Reserve
from execution_history.stores.sqlite.error_mapping import as_store_error, faults, is_full
from execution_history.stores.sqlite.folder_presence import Presence
from execution_history.stores.sqlite.process_lock import ProcessLock
from execution_history.stores.sqlite.write_request import Operation, answer
from execution_history.stores.sqlite.write_transaction import WriteTransaction

_log = logging.getLogger("execution_history.stores.sqlite")
_Result = TypeVar("_Result")

_PURGE_ROWS: Final = 500
_VACUUM_PAGES: Final = 256


class Commits:
    """The writing connection and what stands around it.

    Args:
        folder: the store's folder, for messages.
        connection: the writing connection, used by nobody else from now on.
        transaction: the operations on it.
        lock: the lock between processes.
        mirror: what follows each commit.
    """

    def __init__(
        self,
        folder: Path,
        connection: apsw.Connection,
        transaction: WriteTransaction,
        lock: ProcessLock,
        mirror: Mirror,
    ) -> None:
        self._folder = folder
        self._connection = connection
        self._transaction = transaction
        self._lock = lock
        self._mirror = mirror
        self._presence = Presence(folder)
        self.damage: tuple[str, ...] = ()
        self._reserve = Reserve(folder)
        self._reserve.make_early()

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
        """Commit *group*, whatever time it takes; return those that can be answered. Never raises."""
        later: PendingFiles = {}
        try:
            self._lock.acquire()
            try:
                later = self._run_locked(group)
            finally:
                self._lock.release()
            return self._hold_back(group, later)
        except BaseException as error:  # noqa: BLE001 - the thread serves on, whatever befell one group
            self._fail([operation for operation in group if not operation.is_durable], error)
            return group

    def tidy(self) -> bool:
        """Use idle time: purge cleared histories and give free pages back, bit by bit.

        Returns:
            Whether there is more to do. Never raises.
        """
        try:
            self._lock.acquire(0)
        except BaseException:  # noqa: BLE001 - another process writes, or the lock cannot be had: later
            return True
        try:
            return self._tidy_locked()
        except BaseException as error:  # noqa: BLE001 - what is left untidy does no harm
            self._roll_back()
            if is_full(error):
                self._reserve.release()
            _log.warning("Tidying %s will be tried again later: %s", quoted(self._folder), error)
            return False
        finally:
            self._lock.release()

    @property
    def has_files_behind(self) -> bool:
        """Whether there are files for which :meth:`tidy` has something to do."""
        return self._mirror.is_behind

    def _hold_back(self, operations: list[Operation], later: PendingFiles) -> list[Operation]:
        """Return those of *operations* that can be answered now; the others are once their file is current."""
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

    def _tidy_locked(self) -> bool:
        self._presence.check()
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        more = self._transaction.purge(_PURGE_ROWS) | self._transaction.administration.prune(_PURGE_ROWS)
        connection.execute("COMMIT")
        free = int(connection.pragma("freelist_count"))
        if free > _VACUUM_PAGES:
            connection.execute(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})").fetchall()
        self._transaction.forget()
        self._mirror.catch_up()
        is_untidy = more or free > _VACUUM_PAGES or self._mirror.is_behind
        if not is_untidy:
            self._reserve.make()
        return is_untidy

    def _run_locked(self, group: list[Operation]) -> PendingFiles:
        if group[0].outside:
            self._run_outside(group[0])
            return {}
        try:
            rows = self._transact(group)
        except BaseException as error:  # noqa: BLE001 - whatever one operation raises is its own answer
            if len(group) > 1:
                # One of them may be the cause: each gets a transaction, and an answer, of its own.
                later: PendingFiles = {}
                for operation in group:
                    later |= self._run_locked([operation])
                return later
            if is_full(error) and group[0].makes_room and (self._reserve.release() or group[0].has_another_try()):
                return self._run_locked(group)
            self._fail(group, error)
            return {}
        return self._mirror.follow(rows)

    def _transact(self, group: list[Operation]) -> list[FileUpdate]:
        """Commit *group*; return what that asks of the files."""
        connection, transaction = self._connection, self._transaction
        self._presence.check()
        if connection.in_transaction:  # an earlier rollback has failed
            connection.execute("ROLLBACK")
        connection.execute("BEGIN IMMEDIATE")
        try:
            transaction.begin()
            self._run_operations(group)
            rows = [row.file_update() for row in transaction.finish()]
            connection.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        for operation in group:
            operation.is_durable = True
        transaction.committed()
        return rows

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
        """Undo the transaction at hand, if any, and what is remembered of it. Never raises."""
        self._transaction.forget()
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except BaseException:  # noqa: BLE001 - the error that led here is the one to tell; the next begin tries again
            _log.exception("A transaction on %s could not be undone", quoted(self._folder))

    def _fail(self, group: list[Operation], error: BaseException) -> None:
        for operation in group:
            operation.error = as_store_error(error, self._folder)
            if type(operation.error) is StoreDamaged:  # of one record the reader tells
                self.damage = (operation.error.message,)
            if operation.failed is not None:
                operation.failed(operation.error)

    def _run_outside(self, operation: Operation) -> None:
        try:
            operation.work(self._transaction)
        except BaseException:  # noqa: BLE001 - whatever befalls one file, the thread serves on
            _log.exception("Work on the files of %s failed", quoted(self._folder))
