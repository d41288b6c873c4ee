"""The one thread that writes: what has queued up since the last commit goes into one transaction.

Each operation of such a group is answered on its own, after the commit and after the JSON files show
it. A caller that stops waiting does not stop its operation.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final, Protocol, TypeVar

import apsw

from execution_history.errors import ExecutionHistoryError, StoreClosed, StoreError
from execution_history.stores.sqlite.changes import FaceWork
from execution_history.stores.sqlite.face import Later
from execution_history.stores.sqlite.faults import as_store_error, faults
from execution_history.stores.sqlite.process_lock import ProcessLock
from execution_history.stores.sqlite.transaction import WriteTransaction

_log = logging.getLogger("execution_history.stores.sqlite")
_Result = TypeVar("_Result")

_LARGEST_GROUP: Final = 512
_LARGEST_GROUP_BYTES: Final = 1024 * 1024
_PURGE_ROWS: Final = 500
_VACUUM_PAGES: Final = 256
_IDLE_SECONDS: Final = 0.05
_GATHER_SECONDS: Final = 0.000_5


class FollowsCommits(Protocol):
    """What must be true of the files before a caller is answered; called in the writer thread."""

    def follow(self, rows: list[FaceWork]) -> Later:
        """Bring the files up to the commit; what they will only show later."""

    def when_current(self, workflow_id: str, answer: Callable[[], None]) -> None:
        """Call *answer* in the writer thread once the workflow's file is current."""


@dataclass(slots=True)
class _Operation:
    """One change that somebody waits for."""

    work: Callable[[WriteTransaction], Any]
    loop: asyncio.AbstractEventLoop | None
    future: "asyncio.Future[Any] | None"
    record: tuple[str, str | None] | None
    size: int = 0
    tidies: bool = False
    outside: bool = False
    result: Any = None
    error: BaseException | None = None


class Writer:
    """Owns the writing connection and its thread.

    Args:
        folder: the store's folder, for messages.
        connection: the writing connection, used by this thread only from now on.
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
        self._queue: SimpleQueue[_Operation | None] = SimpleQueue()
        self._carried: _Operation | None = None
        self._expected = 1
        self._closing = False
        self._entrance = threading.Lock()
        self._untidy = True
        self._thread = threading.Thread(target=self._serve, name="execution-history-writer", daemon=True)

    def start(self) -> None:
        """Begin to serve; before that, and after :meth:`stop`, :meth:`run_now` may be called from any one thread."""
        self._thread.start()

    def run_now(self, work: Callable[[WriteTransaction], _Result]) -> tuple[_Result, list[FaceWork]]:
        """Run *work* in a transaction of its own, in the writer thread with the lock held.

        Raises:
            StoreError: it could not be written.
        """
        operation = _Operation(work, None, None, None)
        with faults(self._folder):
            rows = self._transact([operation])
        return operation.result, rows

    async def submit(
        self,
        work: Callable[[WriteTransaction], _Result],
        record: tuple[str, str | None] | None = None,
        *,
        size: int = 0,
        tidies: bool = False,
    ) -> _Result:
        """Run *work* in the next transaction and return its result once that is on the disk.

        *record* names the workflow and the execution that the caller relies on to be in the file, *size* is
        roughly how many bytes will be written, and *tidies* says that there will be something to tidy.

        Raises:
            StoreClosed: the writer has been stopped.
            StoreError: the transaction could not be written; nothing of it was.
            ExecutionHistoryError: whatever *work* raised.
        """
        loop = asyncio.get_running_loop()
        operation = _Operation(work, loop, loop.create_future(), record, size, tidies)
        self._enqueue(operation)
        assert operation.future is not None  # noqa: S101 - for the type checker
        return await operation.future  # type: ignore[no-any-return]

    def post(self, work: Callable[[], None]) -> None:
        """Run *work* in the writer thread, outside a transaction, holding the lock between processes.

        Raises:
            StoreClosed: the writer has been stopped.
        """
        self._enqueue(_Operation(lambda _: work(), None, None, None, outside=True))

    def stop(self) -> None:
        """Finish what has queued up and end the thread; returns when it has ended."""
        with self._entrance:
            self._closing = True
            self._queue.put(None)
        self._thread.join()

    def close(self) -> None:
        """Close the connection, once stopped."""
        self._connection.close()

    def _enqueue(self, operation: _Operation) -> None:
        # Nothing may queue up behind the end: nobody would answer it.
        with self._entrance:
            if self._closing:
                raise StoreClosed("This history was closed; make a new service.")
            self._queue.put(operation)

    def _serve(self) -> None:
        while True:
            try:
                first = self._carried or self._queue.get(timeout=_IDLE_SECONDS if self._untidy else None)
            except Empty:
                self._tidy()
                continue
            if first is None:
                break
            group = self._take_group(first)
            self._untidy = self._untidy or any(operation.tidies for operation in group)
            self._run_group(group)

    def _take_group(self, first: _Operation) -> list[_Operation]:
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

    def _run_group(self, group: list[_Operation]) -> None:
        later: Later = {}
        try:
            self._lock.acquire()
        except StoreError as error:
            for operation in group:
                operation.error = error
        else:
            try:
                later = self._run_locked(group)
            finally:
                self._lock.release()
        now = []
        for operation in group:
            if operation.error is None and operation.record is not None and _is_later(operation.record, later):
                self._files.when_current(operation.record[0], lambda op=operation: _answer([op]))  # type: ignore[misc]
            else:
                now.append(operation)
        _answer(now)

    def _run_locked(self, group: list[_Operation]) -> Later:
        if group[0].outside:
            self._run_outside(group[0])
            return {}
        try:
            rows = self._transact(group)
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

    def _transact(self, group: list[_Operation]) -> list[FaceWork]:
        connection, transaction = self._connection, self._transaction
        connection.execute("BEGIN IMMEDIATE")
        try:
            transaction.begin()
            for operation in group:
                operation.error = None
                try:
                    operation.result = operation.work(transaction)
                except (apsw.Error, StoreError):
                    raise
                except ExecutionHistoryError as error:
                    operation.error = error
            rows = transaction.finish()
            connection.execute("COMMIT")
        except BaseException:
            transaction.forget()
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        followed = [row.face_work() for row in rows]
        transaction.committed()
        return followed

    def _run_outside(self, operation: _Operation) -> None:
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


def _is_later(record: tuple[str, str | None], later: Later) -> bool:
    """Whether the file of this record's workflow will only show the record later."""
    workflow_id, execute_id = record
    if workflow_id not in later:
        return False
    waiting = later[workflow_id]
    return waiting is None or execute_id in waiting


def _answer(operations: list[_Operation]) -> None:
    """Wake those who wait, one call for each event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Operation]] = {}
    for operation in operations:
        if operation.loop is not None:
            by_loop.setdefault(operation.loop, []).append(operation)
    for loop, answered in by_loop.items():
        # A loop that is closed has nobody left who waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_resolve, answered)


def _resolve(operations: list[_Operation]) -> None:
    for operation in operations:
        future = operation.future
        if future is None or future.done():
            continue
        if operation.error is not None:
            future.set_exception(operation.error)
        else:
            future.set_result(operation.result)
