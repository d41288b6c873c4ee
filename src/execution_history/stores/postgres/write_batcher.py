"""The writer thread: operations that were submitted since the last commit become one transaction.

Each operation of a group gets its own result, after the commit.
"""

import asyncio
import logging
import math
import threading
import time
import weakref
from collections.abc import Callable, Collection
from queue import Empty
from typing import Any, Final, TypeVar
from uuid import UUID

from execution_history.query.model import RecordKey
from execution_history.stores.postgres.batch import Batch
from execution_history.stores.postgres.connections import Connection
from execution_history.stores.postgres.group_commit import GroupCommit, Operation
from execution_history.stores.write_queue import Caller, WriteQueue, answer, committed

_log = logging.getLogger("execution_history.stores.postgres")
_Result = TypeVar("_Result")

_LARGEST_GROUP_BYTES: Final = 2 * 1024 * 1024
_GATHER_SECONDS: Final = 0.001
_TIDYING_SECONDS: Final = 3_600.0
_SETTLING_SECONDS: Final = 5.0
"""After how long a process that writes does also what others have left to do; a short command does not."""

_TELLING_SECONDS: Final = 0.02
"""How long after a commit other processes are told of it, together with those that follow meanwhile."""


class Writer:
    """The one thread of this process that writes records.

    Args:
        commits: writes groups; used by the thread only.
    """

    def __init__(self, commits: GroupCommit) -> None:
        self._commits = commits
        self._queue: WriteQueue[Operation] = WriteQueue(_GATHER_SECONDS, _LARGEST_GROUP_BYTES)
        self._told_at = 0.0
        self._tidied_at = time.monotonic()
        self._settles_at = self._tidied_at + _SETTLING_SECONDS
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
        return self._put(Operation(work, Caller.here(), keys, creates, size))

    def submit_alone(self, work: Callable[[Connection, UUID], _Result]) -> "asyncio.Future[_Result]":
        """Run *work* in a transaction of its own, after what was submitted before; see :meth:`Connections.run`.

        Raises:
            StoreClosed: the writer has been stopped.

        The future raises:
            StoreError: it could not be done, or it is not known whether it was.
        """
        return self._put(Operation(work, Caller.here(), is_alone=True))

    def _put(self, operation: Operation) -> "asyncio.Future[Any]":
        self._queue.put(operation)
        return operation.caller.future

    def stop(self) -> None:
        """Finish the submitted operations; return when the thread has ended."""
        self._queue.end()
        if self._thread is not threading.current_thread():  # it is when its work held the last reference to the store
            self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                timeout = _TELLING_SECONDS if self._commits.is_untold else _TIDYING_SECONDS
                group = self._queue.next_group(timeout)
            except Empty:
                self._rest()
                continue
            if not group:
                break
            owner = self._owner()
            answer(committed(self._commits.run, group))
            if time.monotonic() > self._told_at + _TELLING_SECONDS:
                self._rest()
            del owner, group  # while the thread waits it keeps no documents and no store alive
        self._rest()
        self._commits.close()

    def _rest(self) -> None:
        """Do what nobody waits for; whatever it raises, the thread goes on."""
        self._told_at = now = time.monotonic()
        try:
            self._commits.tell()
            if now > self._settles_at:
                self._settles_at = math.inf
                self._commits.catch_up()
            if now > self._tidied_at + _TIDYING_SECONDS:
                self._tidied_at = now
                self._commits.tidy()
        except Exception:  # noqa: BLE001 - the next time does it
            _log.exception("Other processes could not be told of the last commits: they find them when they look.")
