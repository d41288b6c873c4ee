"""Groups of operations made into transactions, with what follows each in the JSON files.

Everything here is done by whoever has the writer's turn, on whatever thread.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol, TypeVar

import apsw

from execution_history.errors import ExecutionHistoryError, StoreError
from execution_history.stores.sqlite.changes import FaceWork
from execution_history.stores.sqlite.database import BUSY_MS
from execution_history.stores.sqlite.face import Later
from execution_history.stores.sqlite.faults import as_store_error, faults
from execution_history.stores.sqlite.operation import Operation, answer
from execution_history.stores.sqlite.pace import Pace
from execution_history.stores.sqlite.process_lock import ProcessLock
from execution_history.stores.sqlite.transaction import TooLarge, WriteTransaction

_log = logging.getLogger("execution_history.stores.sqlite")
_Result = TypeVar("_Result")

_MOST_BRIEF: Final = 128
_MOST_BRIEF_BYTES: Final = 128 * 1024
_PURGE_ROWS: Final = 500
_VACUUM_PAGES: Final = 256


class FollowsCommits(Protocol):
    """What must be true of the files before a caller is answered; called by whoever has the turn."""

    def follow(self, rows: list[FaceWork]) -> Later:
        """Bring the files up to the commit; what they will only show later."""

    def follow_briefly(self, rows: list[FaceWork]) -> tuple[Later, list[FaceWork]]:
        """The same on an event loop's thread; the second part takes its time and is left to :meth:`follow`."""

    def when_current(self, workflow_id: str, answer: Callable[[], None]) -> None:
        """Call *answer* in the writer thread once the workflow's file is current."""


class Outcome(NamedTuple):
    """What has become of a group on an event loop's thread.

    ``answered`` are done. ``files`` is what is left to do in the files for those that are ``held_up``, and ``left`` are
    those that have not been done at all; both are for the writer thread, in this order.
    """

    answered: list[Operation]
    files: list[FaceWork]
    held_up: list[Operation]
    left: list[Operation]


class Commits:
    """The writing connection and what stands around it.

    Args:
        folder: the store's folder, for messages.
        connection: the writing connection, used by nobody else from now on.
        transaction: the operations on it.
        lock: the lock between processes.
        files: what follows each commit.
        on_loops: whether small groups may be committed on the thread of an event loop at all.
    """

    def __init__(
        self,
        folder: Path,
        connection: apsw.Connection,
        transaction: WriteTransaction,
        lock: ProcessLock,
        files: FollowsCommits,
        *,
        on_loops: bool = True,
    ) -> None:
        self._on_loops = on_loops
        self._folder = folder
        self._connection = connection
        self._transaction = transaction
        self._lock = lock
        self._files = files
        self._is_patient = True
        self.pace = Pace()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def run_now(self, work: Callable[[WriteTransaction], _Result]) -> tuple[_Result, list[FaceWork]]:
        """Run *work* in a transaction of its own, with the lock held.

        Raises:
            StoreError: it could not be written.
        """
        operation = Operation(work)
        with faults(self._folder):
            rows, _ = self._transact([operation])
        return operation.result, rows

    def begin_briefly(self, group: Sequence[Operation]) -> bool:
        """Whether *group* may be committed on an event loop's thread now; the lock between processes is taken if so."""
        return self._on_loops and is_brief(group) and self.pace.is_quick() and self._lock.try_acquire()

    def run_briefly(self, group: list[Operation]) -> Outcome:
        """Commit *group* on an event loop's thread, once that was begun, as far as it takes next to no time."""
        later: Later = {}
        files: list[FaceWork] = []
        left = group
        try:
            self._be_patient(patient=False)
            rows, done = self._transact(group, on_loop=True)
            left = group[done:]
            later, files = self._files.follow_briefly(rows)
        except (apsw.Error, StoreError):
            pass  # whose fault it is, and whether waiting helps, the writer thread finds out
        finally:
            self._lock.release()
        if not (left or files):
            return Outcome(self.hold_back(group, later), [], [], [])
        behind = {row.workflow_id for row in files}
        finished: list[Operation] = []
        held_up: list[Operation] = []
        for operation in group[: len(group) - len(left)]:
            is_behind = operation.record is not None and operation.record[0] in behind
            (held_up if is_behind else finished).append(operation)
        return Outcome(self.hold_back(finished, later), files, held_up, left)

    def run(self, group: list[Operation]) -> list[Operation]:
        """Commit *group*, whatever time it takes; those that can be answered."""
        later: Later = {}
        try:
            self._lock.acquire()
        except StoreError as error:
            for operation in group:
                operation.error = error
            return group
        try:
            self._be_patient(patient=True)
            later = self._run_locked(group)
        finally:
            self._lock.release()
        return self.hold_back(group, later)

    def finish(self, rows: list[FaceWork], operations: list[Operation]) -> None:
        """Bring files up to a commit made elsewhere, and answer those who wait for them."""
        later: Later = {}
        try:
            later = self._files.follow(rows)
        finally:
            answer(self.hold_back(operations, later))

    def hold_back(self, operations: list[Operation], later: Later) -> list[Operation]:
        """Those of *operations* that can be answered now; the others are once their file is current."""
        if not later:
            return operations
        now = []
        for operation in operations:
            if operation.waits_for(later):
                assert operation.record is not None  # noqa: S101 - for the type checker
                self._files.when_current(operation.record[0], lambda op=operation: answer([op]))  # type: ignore[misc]
            else:
                now.append(operation)
        return now

    def tidy(self) -> bool:
        """Use idle time: purge cleared histories and give free pages back, bit by bit; whether there is more."""
        try:
            self._lock.acquire(0)
        except StoreError:
            return True
        try:
            self._be_patient(patient=True)
            return self._tidy_locked()
        except apsw.Error as error:
            _log.warning("Tidying %s will be tried again later: %s", self._folder, error)
            return False
        finally:
            self._lock.release()

    def _tidy_locked(self) -> bool:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            more = self._transaction.purge(_PURGE_ROWS)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        free = int(connection.pragma("freelist_count"))
        if free > _VACUUM_PAGES:
            connection.execute(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})").fetchall()
        self._transaction.forget()
        return more or free > _VACUUM_PAGES

    def _run_locked(self, group: list[Operation]) -> Later:
        if group[0].outside:
            self._run_outside(group[0])
            return {}
        try:
            rows, _ = self._transact(group)
        except (apsw.Error, StoreError) as error:
            if len(group) > 1:
                # One of them may be the cause: each gets a transaction, and an answer, of its own.
                later: Later = {}
                for operation in group:
                    later |= self._run_locked([operation])
                return later
            group[0].error = error if isinstance(error, StoreError) else as_store_error(error, self._folder)
            return {}
        return self._files.follow(rows)

    def _transact(self, group: list[Operation], *, on_loop: bool = False) -> tuple[list[FaceWork], int]:
        """Commit *group*: what that asks of the files, and how many operations it was.

        That is all of them, but *on_loop* those only that stand before the first which turns out to be large.
        """
        connection, transaction = self._connection, self._transaction
        connection.execute("BEGIN IMMEDIATE")
        try:
            transaction.begin(only_small=on_loop)
            done = self._run_operations(group)
            rows = transaction.finish()
            began = self.pace.clock()
            connection.execute("COMMIT")
            if on_loop or is_brief(group):
                self.pace.note(began, on_loop=on_loop)
        except BaseException:
            transaction.forget()
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        followed = [row.face_work() for row in rows]
        transaction.committed()
        return followed, done

    def _run_operations(self, group: list[Operation]) -> int:
        """Run each; how many there were before one that has to run in the thread."""
        for number, operation in enumerate(group):
            operation.error = None
            try:
                operation.result = operation.work(self._transaction)
            except TooLarge:
                return number
            except (apsw.Error, StoreError):
                raise
            except ExecutionHistoryError as error:
                operation.error = error
        return len(group)

    def _be_patient(self, *, patient: bool) -> None:
        """Whether SQLite waits when another program has the database, which an event loop must not."""
        if patient is not self._is_patient:
            self._is_patient = patient
            self._connection.set_busy_timeout(BUSY_MS if patient else 0)

    def _run_outside(self, operation: Operation) -> None:
        try:
            operation.work(self._transaction)
        except Exception:  # noqa: BLE001 - whatever befalls one file, the thread serves on
            _log.exception("Work on the files of %s failed", self._folder)


def is_brief(group: Sequence[Operation]) -> bool:
    """Whether *group* is little work, whatever the disk does."""
    return (
        len(group) <= _MOST_BRIEF
        and all(operation.bounded for operation in group)
        and sum(operation.size for operation in group) <= _MOST_BRIEF_BYTES
    )
