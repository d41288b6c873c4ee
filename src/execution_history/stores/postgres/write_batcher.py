"""The writer thread: operations that were submitted since the last commit become one transaction.

Each operation of a group gets its own result, after the commit. A caller that stops waiting does not stop its
operation.
"""

import asyncio
import contextlib
import logging
import threading
import time
import weakref
from collections.abc import Callable, Collection, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar
from uuid import UUID

from execution_history.errors import StoreClosed
from execution_history.query.model import RecordKey
from execution_history.stores.postgres.batch import Batch
from execution_history.stores.postgres.connections import Connection
from execution_history.stores.postgres.group_commit import GroupCommit, Operation, Outcome

_log = logging.getLogger("execution_history.stores.postgres")
_Result = TypeVar("_Result")

_LARGEST_GROUP: Final = 512
_LARGEST_GROUP_BYTES: Final = 2 * 1024 * 1024
_GATHER_SECONDS: Final = 0.001
_TIDYING_SECONDS: Final = 3_600.0
_TELLING_SECONDS: Final = 0.02
"""How long after a commit other processes are told of it, together with those that follow meanwhile."""


class Writer:
    """The one thread of this process that writes records.

    Args:
        commits: writes groups; used by the thread only.
    """

    def __init__(self, commits: GroupCommit) -> None:
        self._commits = commits
        self._queue: SimpleQueue[Operation | None] = SimpleQueue()
        self._entrance = threading.Lock()
        self._is_closing = False
        self._carried: Operation | None = None
        self._expected = 1
        self._told_at = 0.0
        self._tidied_at = time.monotonic()
        self._owner: Callable[[], object] = lambda: None
        self._thread = threading.Thread(target=self._serve, name="execution-history-writer", daemon=True)

    def start(self, owner: object) -> None:
        """Start the thread; the *owner*, whose writer this is, is kept alive while it writes."""
        self._owner = weakref.ref(owner)
        self._thread.start()

    def submit(
        self,
        work: Callable[[Batch], _Result],
        keys: Collection[RecordKey] = (),
        creates: Collection[RecordKey] = (),
        *,
        size: int = 0,
    ) -> "asyncio.Future[_Result]":
        """Run *work* in the next transaction; return a future of its result, which comes once that is committed.

        It may run several times. The arguments are the attributes of
        :class:`~execution_history.stores.postgres.group_commit.Operation`.

        Raises:
            StoreClosed: the writer has been stopped.

        The future raises:
            StoreError: it could not be written, or it is not known whether it was.
            ExecutionHistoryError: whatever *work* raised.
        """
        return self._put(work, keys, creates, size)

    def submit_alone(self, work: Callable[[Connection, UUID], _Result]) -> "asyncio.Future[_Result]":
        """Run *work* in a transaction of its own, after what was submitted before; see :meth:`Connections.run`.

        Raises:
            StoreClosed: the writer has been stopped.

        The future raises:
            StoreError: it could not be done, or it is not known whether it was.
        """
        return self._put(work, (), (), 0, is_alone=True)

    def _put(
        self,
        work: Callable[..., _Result],
        keys: Collection[RecordKey],
        creates: Collection[RecordKey],
        size: int,
        *,
        is_alone: bool = False,
    ) -> "asyncio.Future[_Result]":
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_Result] = loop.create_future()
        with self._entrance:
            # Nothing may be queued after the end: it would never be done.
            if self._is_closing:
                raise StoreClosed("This history was closed; create a new service.")
            self._queue.put(Operation(work, keys, creates, size, loop, future, is_alone))
        return future

    def stop(self) -> None:
        """Finish the submitted operations; return when the thread has ended."""
        with self._entrance:
            self._is_closing = True
            self._queue.put(None)
        if self._thread is not threading.current_thread():  # it is when its work held the last reference to the store
            self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                timeout = _TELLING_SECONDS if self._commits.is_untold else _TIDYING_SECONDS
                first = self._carried or self._queue.get(timeout=timeout)
            except Empty:
                self._rest()
                continue
            if first is None:
                break
            owner = self._owner()
            group = self._take_group(first)
            _answer(self._commits.run(group))
            if time.monotonic() > self._told_at + _TELLING_SECONDS:
                self._rest()
            del owner, first, group  # while the thread waits it keeps no documents and no store alive
        self._rest()
        self._commits.close()

    def _rest(self) -> None:
        """Do what nobody waits for; whatever it raises, the thread goes on."""
        self._told_at = now = time.monotonic()
        try:
            self._commits.tell()
            if now > self._tidied_at + _TIDYING_SECONDS:
                self._tidied_at = now
                self._commits.tidy()
        except Exception as error:  # noqa: BLE001 - the next time does it
            _log.warning("What was kept long enough will be forgotten later: %s: %s", type(error).__name__, error)

    def _take_group(self, first: Operation) -> list[Operation]:
        """Return *first* and the operations queued after it; one that is a transaction of its own is alone."""
        group, size, self._carried = [first], first.size, None
        deadline = time.monotonic() + _GATHER_SECONDS
        while not first.is_alone and len(group) < _LARGEST_GROUP and size < _LARGEST_GROUP_BYTES:
            # Callers that were answered together call again together: it pays to wait a moment for them.
            patience = 0.0 if len(group) >= self._expected else deadline - time.monotonic()
            try:
                following = self._queue.get(patience > 0, max(0.0, patience))
            except Empty:
                break
            if following is None:
                self._queue.put(None)
                break
            if following.is_alone:
                self._carried = following
                break
            group.append(following)
            size += following.size
        self._expected = len(group)
        return group


def _answer(outcomes: Sequence[Outcome]) -> None:
    """Give each caller its result, in its own event loop; loops that have been closed are left out."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Outcome]] = {}
    for outcome in outcomes:
        by_loop.setdefault(outcome.operation.loop, []).append(outcome)
    for loop, some in by_loop.items():
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_resolve, some)


def _resolve(outcomes: Sequence[Outcome]) -> None:
    for operation, result, error in outcomes:
        future: asyncio.Future[Any] = operation.future
        if future.done():
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
