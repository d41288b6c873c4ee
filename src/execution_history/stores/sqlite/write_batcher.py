"""The writer thread: operations that were submitted since the last commit become one transaction.

Each operation of a group gets its own result, after the commit and after the JSON files have it. Whatever an operation,
a file or the disk raises, the operations concerned get a store error, and the thread continues.
"""

import asyncio
import threading
import weakref
from collections.abc import Callable
from queue import Empty
from typing import Final, TypeVar

from execution_history.stores.sqlite.checkpoint import Checkpointer
from execution_history.stores.sqlite.commit import Commits, Operation
from execution_history.stores.sqlite.write_transaction import WriteTransaction
from execution_history.stores.write_queue import Caller, WriteQueue, answer, committed

_Result = TypeVar("_Result")

_LARGEST_GROUP_BYTES: Final = 1024 * 1024
_IDLE_SECONDS: Final = 0.05
_GATHER_SECONDS: Final = 0.000_5


class Writer(Commits):
    """The one thread that writes; it groups operations into transactions."""

    def __post_init__(self) -> None:
        """Make the threads, without starting them."""
        super().__post_init__()
        self._turn = threading.Lock()
        self._turn.acquire()  # until the thread runs
        self._checkpointer = Checkpointer(self._folder, self._connection, self._turn, self._lock)
        self._queue: WriteQueue[Operation] = WriteQueue(_GATHER_SECONDS, _LARGEST_GROUP_BYTES)
        self._untidy = True
        self._owner: Callable[[], object] = lambda: None
        self._thread = threading.Thread(target=self._serve, name="execution-history-writer", daemon=True)

    def start(self, owner: object = None) -> None:
        """Start the threads; before that, and after :meth:`stop`, :meth:`run_now` may be called from any one thread.

        The *owner* closes the writer when it is collected, which must not happen during a transaction.
        """
        self._owner = (lambda: None) if owner is None else weakref.ref(owner)
        self._thread.start()
        self._checkpointer.start()
        self._turn.release()

    def submit(
        self,
        work: Callable[[WriteTransaction], _Result],
        record: tuple[str, str | None] | None = None,
        *,
        size: int = 0,
        makes_room: bool = False,
    ) -> "asyncio.Future[_Result]":
        """Run *work* in the next transaction; return a future of its result, which comes once that is on the disk.

        Args:
            work: called with the transaction.
            record: the workflow and the execution (``None`` for any) that the file must have before this returns.
            size: roughly the number of bytes that will be written.
            makes_room: whether *work* removes something: it may use the reserve of a full disk, and tidying follows.

        Raises:
            StoreClosed: the writer has been stopped.

        The future raises:
            StoreError: the transaction could not be written; nothing of it was.
            ExecutionHistoryError: whatever *work* raised.
        """
        caller = Caller.here()
        self._queue.put(Operation(work, caller, record, size, makes_room))
        return caller.future

    def post(self, work: Callable[[], None], failed: Callable[[Exception], None] | None = None) -> None:
        """Run *work* in the writer thread, outside a transaction, holding the lock between processes.

        Where that lock is not available, *failed* is called there instead, with the error.

        Raises:
            StoreClosed: the writer has been stopped.
        """
        self._queue.put(Operation(lambda _: work(), is_alone=True, failed=failed))

    def submit_alone(self, work: Callable[[], _Result]) -> "asyncio.Future[_Result]":
        """Run *work* as :meth:`post` does; return a future of its result.

        Raises:
            StoreClosed: the writer has been stopped.

        The future raises:
            StoreError: it failed.
        """
        caller = Caller.here()
        self._queue.put(Operation(lambda _: work(), caller, is_alone=True))
        return caller.future

    def empty_log(self) -> None:
        """Copy the write-ahead log into the database and empty it, as far as nobody needs it; may take a while."""
        self._checkpointer.empty_log()

    def stop(self) -> None:
        """Finish the submitted operations; return when the threads have ended."""
        self._queue.end()
        if self._thread is not threading.current_thread():  # it is when its work held the last reference to the store
            self._thread.join()
        self._checkpointer.stop()
        self._turn.acquire()  # and keep it

    def _serve(self) -> None:
        while True:
            try:
                group = self._queue.next_group(_IDLE_SECONDS if self._untidy else None)
            except Empty:
                with self._turn:
                    self._untidy = self.tidy()
                continue
            if not group:
                break
            owner = self._owner()
            self._untidy = self._untidy or any(operation.makes_room for operation in group)
            with self._turn:
                answered = committed(self.run, group)
                self._untidy = self._untidy or self._mirror.is_behind
            answer(answered)
            del owner, group, answered  # while the thread waits it keeps no documents and no store alive
