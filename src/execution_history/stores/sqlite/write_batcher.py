"""The writer thread: operations that were submitted since the last commit become one transaction.

Each operation of a group gets its own result, after the commit and after the JSON files have it. A caller that stops
waiting does not stop its operation. Whatever an operation, a file or the disk raises, the operations concerned get a
store error, and the thread continues.
"""

import asyncio
import threading
import time
import weakref
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final, TypeVar

from execution_history.errors import StoreClosed
from execution_history.stores.sqlite.checkpoint import Checkpointer
from execution_history.stores.sqlite.commit import Commits, Operation, answer
from execution_history.stores.sqlite.write_transaction import WriteTransaction

_Result = TypeVar("_Result")

_LARGEST_GROUP: Final = 512
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
        self._queue: SimpleQueue[Operation | None] = SimpleQueue()
        self._carried: Operation | None = None
        self._expected = 1
        self._closing = False
        self._entrance = threading.Lock()
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
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_Result] = loop.create_future()
        self._put(Operation(work, loop, future, record, size, makes_room))
        return future

    def post(self, work: Callable[[], None], failed: Callable[[Exception], None] | None = None) -> None:
        """Run *work* in the writer thread, outside a transaction, holding the lock between processes.

        Where that lock is not available, *failed* is called there instead, with the error.

        Raises:
            StoreClosed: the writer has been stopped.
        """
        self._put(Operation(lambda _: work(), outside=True, failed=failed))

    def stop(self) -> None:
        """Finish the submitted operations; return when the threads have ended."""
        with self._entrance:
            self._closing = True
            self._queue.put(None)
        if self._thread is not threading.current_thread():  # it is when its work held the last reference to the store
            self._thread.join()
        self._checkpointer.stop()
        self._turn.acquire()  # and keep it

    def _put(self, operation: Operation) -> None:
        with self._entrance:
            # Nothing may be queued after the end: it would never be done.
            if self._closing:
                raise StoreClosed("This history was closed; create a new service.")
            self._queue.put(operation)

    def _serve(self) -> None:
        while True:
            try:
                first = self._carried or self._queue.get(timeout=_IDLE_SECONDS if self._untidy else None)
            except Empty:
                with self._turn:
                    self._untidy = self.tidy()
                continue
            if first is None:
                break
            group = self._take_group(first)
            owner = self._owner()
            self._untidy = self._untidy or any(operation.makes_room for operation in group)
            with self._turn:
                answered = self.run(group)
                self._untidy = self._untidy or self._mirror.is_behind
            answer(answered)
            del owner, first, group, answered  # while the thread waits it keeps no documents and no store alive

    def _take_group(self, first: Operation) -> list[Operation]:
        """Return *first* and the operations queued after it; work outside a transaction is a group of its own."""
        group, self._carried = [first], None
        deadline = time.monotonic() + _GATHER_SECONDS
        size = first.size
        while not first.outside and len(group) < _LARGEST_GROUP and size < _LARGEST_GROUP_BYTES:
            # Callers that were answered together call again together: it pays to wait a moment for them.
            patience = 0.0 if len(group) >= self._expected else deadline - time.monotonic()
            try:
                following = self._queue.get(patience > 0, patience)
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
