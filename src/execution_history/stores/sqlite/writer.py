"""Writes, in groups: what has been asked for since the last commit goes into one transaction.

Each operation of a group is answered on its own, after the commit and after the JSON files show it. A
caller that stops waiting does not stop its operation.

A group is committed on the thread of the event loop that asked for it when that is known to be quick, because
handing it to another thread and back takes as long as the commit. Otherwise, and whenever something
else is before it, it goes to the one thread that writes. Whoever writes has the *turn*.
"""

import asyncio
import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final, Protocol, TypeVar

import apsw

from execution_history.errors import ExecutionHistoryError, StoreClosed, StoreError
from execution_history.stores.sqlite.changes import FaceWork
from execution_history.stores.sqlite.checkpoint import Checkpointer
from execution_history.stores.sqlite.database import BUSY_MS
from execution_history.stores.sqlite.face import Later
from execution_history.stores.sqlite.faults import as_store_error, faults
from execution_history.stores.sqlite.operation import Operation, answer, resolve
from execution_history.stores.sqlite.pace import Pace
from execution_history.stores.sqlite.process_lock import ProcessLock
from execution_history.stores.sqlite.transaction import TooLarge, WriteTransaction

_log = logging.getLogger("execution_history.stores.sqlite")
_Result = TypeVar("_Result")

_LARGEST_GROUP: Final = 512
_LARGEST_GROUP_BYTES: Final = 1024 * 1024
_LARGEST_ON_LOOP: Final = 128
_LARGEST_ON_LOOP_BYTES: Final = 128 * 1024
_PURGE_ROWS: Final = 500
_VACUUM_PAGES: Final = 256
_IDLE_SECONDS: Final = 0.05
_GATHER_SECONDS: Final = 0.000_5


class FollowsCommits(Protocol):
    """What must be true of the files before a caller is answered; called by whoever has the turn."""

    def follow(self, rows: list[FaceWork]) -> Later:
        """Bring the files up to the commit; what they will only show later."""

    def follow_briefly(self, rows: list[FaceWork]) -> tuple[Later, list[FaceWork]]:
        """The same on an event loop's thread; the second part takes its time and is left to :meth:`follow`."""

    def when_current(self, workflow_id: str, answer: Callable[[], None]) -> None:
        """Call *answer* in the writer thread once the workflow's file is current."""


class Writer:
    """Owns the writing connection, and decides on which thread it is used.

    Args:
        folder: the store's folder, for messages.
        connection: the writing connection, used by nobody else from now on.
        transaction: the operations on it.
        lock: the lock between processes.
        files: what follows each commit.
    """

    def __init__(
        self,
        folder: Path,
        connection: apsw.Connection,
        transaction: WriteTransaction,
        lock: ProcessLock,
        files: FollowsCommits,
    ) -> None:
        self._folder = folder
        self._connection = connection
        self._transaction = transaction
        self._lock = lock
        self._files = files
        self._queue: SimpleQueue[Operation | None] = SimpleQueue()
        self._gathered: dict[asyncio.AbstractEventLoop, list[Operation]] = {}
        self._waiting = 0
        self._carried: Operation | None = None
        self._expected = 1
        self._closing = False
        self._waits_for_others = True
        self._entrance = threading.Lock()
        self._turn = threading.Lock()
        self._turn.acquire()
        self.pace = Pace()
        self._untidy = True
        self._owner: Callable[[], object] = lambda: None
        self._thread = threading.Thread(target=self._serve, name="execution-history-writer", daemon=True)
        self._checkpointer = Checkpointer(folder, self._turn, lock)
        self._checkpointer.watch(connection)

    def start(self, owner: object = None) -> None:
        """Begin to serve; before that, and after :meth:`stop`, :meth:`run_now` may be called from any one thread.

        The *owner* closes the writer when it is not used any more, which must not happen amid a transaction.
        """
        self._owner = (lambda: None) if owner is None else weakref.ref(owner)
        self._thread.start()
        self._checkpointer.start()
        self._turn.release()

    def run_now(self, work: Callable[[WriteTransaction], _Result]) -> tuple[_Result, list[FaceWork]]:
        """Run *work* in a transaction of its own, in the writer thread with the lock held.

        Raises:
            StoreError: it could not be written.
        """
        operation = Operation(work)
        with faults(self._folder):
            rows, _ = self._transact([operation])
        return operation.result, rows

    async def submit(
        self,
        work: Callable[[WriteTransaction], _Result],
        record: tuple[str, str | None] | None = None,
        *,
        size: int = 0,
        bounded: bool = False,
        tidies: bool = False,
    ) -> _Result:
        """Run *work* in the next transaction and return its result once that is on the disk.

        *record* names the workflow and the execution that the caller relies on to be in the file, *size* is
        roughly how many bytes will be written, *bounded* promises that besides these bytes and a stored record's
        there is next to nothing to do, and *tidies* says that there will be something to tidy.

        Raises:
            StoreClosed: the writer has been stopped.
            StoreError: the transaction could not be written; nothing of it was.
            ExecutionHistoryError: whatever *work* raised.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_Result] = loop.create_future()
        operation = Operation(work, loop, future, record, size, bounded, tidies)
        with self._entrance:
            # Nothing may queue up behind the end: nobody would answer it.
            self._check_open()
            gathered = self._gathered.get(loop)
            if gathered is None:
                self._gathered[loop] = [operation]
                # What is asked for until the loop comes round is one group.
                loop.call_soon(self._admit, loop)
            else:
                gathered.append(operation)
        return await future

    def post(self, work: Callable[[], None]) -> None:
        """Run *work* in the writer thread, outside a transaction, holding the lock between processes.

        Raises:
            StoreClosed: the writer has been stopped.
        """
        with self._entrance:
            self._check_open()
            self._enqueue([Operation(lambda _: work(), outside=True)])

    def stop(self) -> None:
        """Finish what has been asked for and end the threads; returns when they have ended."""
        with self._entrance:
            self._closing = True
            for gathered in self._gathered.values():
                self._enqueue(gathered)
            self._gathered.clear()
            self._queue.put(None)
        self._thread.join()
        self._checkpointer.stop()
        self._turn.acquire()  # after whoever commits on an event loop just now; nobody gets it any more

    def close(self) -> None:
        """Close the connection, once stopped."""
        self._connection.close()

    def _check_open(self) -> None:
        if self._closing:
            raise StoreClosed("This history was closed; make a new service.")

    def _enqueue(self, operations: Iterable[Operation]) -> None:
        """Give operations to the thread; the entrance is held."""
        for operation in operations:
            self._waiting += 1
            self._queue.put(operation)

    def _admit(self, loop: asyncio.AbstractEventLoop) -> None:
        """What *loop* has asked for since it last came round is committed here, or goes to the thread."""
        owner = self._owner()
        with self._entrance:
            group = self._gathered.pop(loop, None)
            if group is None:
                return  # the end has come first, and has taken it over
            if not self._may_run_here(group):
                self._enqueue(group)
                return
        try:
            self._run_here(group)
        finally:
            self._turn.release()
        del owner

    def _may_run_here(self, group: list[Operation]) -> bool:
        """Whether *group* may be committed on an event loop's thread; the turn and the lock are ours if so."""
        if self._waiting or not _is_short(group) or not self.pace.is_quick() or not self._turn.acquire(blocking=False):
            return False
        if self._lock.try_acquire():
            return True
        self._turn.release()
        return False

    def _run_here(self, group: list[Operation]) -> None:
        """Commit *group* on this event loop's thread; what turns out to take its time is left to the writer thread."""
        later: Later = {}
        put_off: list[FaceWork] = []
        left = group
        try:
            try:
                self._wait_for_others(patiently=False)
                rows, done = self._transact(group, on_loop=True)
                left = group[done:]
                later, put_off = self._files.follow_briefly(rows)
            except (apsw.Error, StoreError):
                pass  # whose fault it is and whether waiting helps, the thread finds out
            except BaseException:
                for operation in group:
                    if operation.future is not None:
                        operation.future.cancel()
                raise
        finally:
            self._lock.release()
        done_here = group[: len(group) - len(left)]
        unfinished = {row.workflow_id for row in put_off}
        held_up = [o for o in done_here if unfinished and o.record is not None and o.record[0] in unfinished]
        if held_up or left:
            finish = Operation(lambda _: self._finish(put_off, held_up), outside=True)
            self._pass_on([finish, *left] if held_up else left)
            done_here = [operation for operation in done_here if operation not in held_up]
        resolve(self._hold_back(done_here, later))

    def _pass_on(self, operations: list[Operation]) -> None:
        """Leave operations to the thread, or finish them here when it has ended already."""
        with self._entrance:
            if not self._closing:
                self._enqueue(operations)
                return
        for operation in operations:
            answer(self._run_group([operation]))

    def _finish(self, rows: list[FaceWork], operations: list[Operation]) -> None:
        """In the thread: bring files up to a commit made elsewhere, and answer those who wait for them."""
        later: Later = {}
        try:
            later = self._files.follow(rows)
        finally:
            answer(self._hold_back(operations, later))

    def _hold_back(self, operations: list[Operation], later: Later) -> list[Operation]:
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

    def _serve(self) -> None:
        while True:
            try:
                first = self._carried or self._queue.get(timeout=_IDLE_SECONDS if self._untidy else None)
            except Empty:
                with self._turn:
                    self._tidy()
                continue
            if first is None:
                break
            group = self._take_group(first)
            owner = self._owner()
            self._untidy = self._untidy or any(operation.tidies for operation in group)
            with self._turn:
                answered = self._run_group(group)
                with self._entrance:
                    self._waiting -= len(group)
            answer(answered)
            del owner

    def _take_group(self, first: Operation) -> list[Operation]:
        """*first* and what has queued up behind it; work outside a transaction stands alone."""
        group, self._carried = [first], None
        deadline = 0.0
        size = first.size
        while not first.outside and len(group) < _LARGEST_GROUP and size < _LARGEST_GROUP_BYTES:
            try:
                following = self._queue.get_nowait()
            except Empty:
                # Those who were answered together come back together: a commit is worth waiting a moment for them.
                now = time.monotonic()
                deadline = deadline or now + _GATHER_SECONDS
                if len(group) >= self._expected or now >= deadline:
                    break
                try:
                    following = self._queue.get(timeout=deadline - now)
                except Empty:
                    break
            if following is None or following.outside:
                self._carried = following
                if following is None:
                    self._queue.put(None)
                break
            group.append(following)
            size += following.size
        self._expected = len(group)
        return group

    def _run_group(self, group: list[Operation]) -> list[Operation]:
        """Run *group* with the turn; those that can be answered."""
        later: Later = {}
        try:
            self._lock.acquire()
        except StoreError as error:
            for operation in group:
                operation.error = error
            return group
        try:
            self._wait_for_others(patiently=True)
            later = self._run_locked(group)
        finally:
            self._lock.release()
        return self._hold_back(group, later)

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
            if on_loop or _is_short(group):
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

    def _wait_for_others(self, *, patiently: bool) -> None:
        """Whether SQLite waits when another program has the database, which an event loop must not."""
        if patiently is not self._waits_for_others:
            self._waits_for_others = patiently
            self._connection.set_busy_timeout(BUSY_MS if patiently else 0)

    def _run_outside(self, operation: Operation) -> None:
        try:
            operation.work(self._transaction)
        except Exception:  # noqa: BLE001 - whatever befalls one file, the thread serves on
            _log.exception("Work on the files of %s failed", self._folder)

    def _tidy(self) -> None:
        """Use idle time: purge cleared histories and give free pages back, a little at a time."""
        try:
            self._lock.acquire(0)
        except StoreError:
            return
        try:
            self._untidy = self._tidy_locked()
        except apsw.Error as error:
            self._untidy = False
            _log.warning("Tidying %s will be tried again later: %s", self._folder, error)
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


def _is_short(group: list[Operation]) -> bool:
    """Whether *group* is little work, whatever the disk does."""
    return (
        len(group) <= _LARGEST_ON_LOOP
        and all(operation.bounded for operation in group)
        and sum(operation.size for operation in group) <= _LARGEST_ON_LOOP_BYTES
    )
