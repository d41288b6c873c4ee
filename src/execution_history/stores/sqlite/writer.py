"""Writes, in groups: what has been asked for since the last commit goes into one transaction.

Each operation of a group is answered on its own, after the commit and after the JSON files show it. A
caller that stops waiting does not stop its operation.

A group is committed on the thread of the event loop that asked for it when that is known to be quick, because
handing it to another thread and back takes as long as the commit. Otherwise, and whenever something
else is before it, it goes to the one thread that writes. Whoever writes has the *turn*.
"""

import asyncio
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from queue import Empty, SimpleQueue
from typing import Final, TypeVar

from execution_history.errors import StoreClosed
from execution_history.stores.sqlite.changes import FaceWork
from execution_history.stores.sqlite.checkpoint import Checkpointer
from execution_history.stores.sqlite.commits import Commits
from execution_history.stores.sqlite.operation import Operation, Round, answer, resolve
from execution_history.stores.sqlite.transaction import WriteTransaction

_Result = TypeVar("_Result")

_LARGEST_GROUP: Final = 512
_LARGEST_GROUP_BYTES: Final = 1024 * 1024
_IDLE_SECONDS: Final = 0.05
_GATHER_SECONDS: Final = 0.000_5


class Writer:
    """Decides when, in which groups and on which thread operations are done.

    Args:
        commits: what is done with the turn.
        checkpointer: looks after the log of the same connection, and shares the turn.
        turn: taken, until :meth:`start` gives it free.
    """

    def __init__(self, commits: Commits, checkpointer: Checkpointer, turn: threading.Lock) -> None:
        self._commits = commits
        self._checkpointer = checkpointer
        self._turn = turn
        self._queue: SimpleQueue[Operation | None] = SimpleQueue()
        self._rounds: dict[asyncio.AbstractEventLoop, Round] = {}
        self._waiting = 0
        self._carried: Operation | None = None
        self._expected = 1
        self._closing = False
        self._entrance = threading.Lock()
        self._untidy = True
        self._owner: Callable[[], object] = lambda: None
        self._thread = threading.Thread(target=self._serve, name="execution-history-writer", daemon=True)

    def start(self, owner: object = None) -> None:
        """Begin to serve; before that, and after :meth:`stop`, :meth:`run_now` may be called from any one thread.

        The *owner* closes the writer when it is not used any more, which must not happen amid a transaction.
        """
        self._owner = (lambda: None) if owner is None else weakref.ref(owner)
        self._thread.start()
        self._checkpointer.start()
        self._turn.release()

    def run_now(self, work: Callable[[WriteTransaction], _Result]) -> tuple[_Result, list[FaceWork]]:
        """Run *work* in a transaction of its own, for whoever has the turn and the lock.

        Raises:
            StoreError: it could not be written.
        """
        return self._commits.run_now(work)

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
        operation = Operation(work, loop, None, record, size, bounded, tidies)
        owner = None
        with self._entrance:
            # Nothing may queue up behind the end: nobody would answer it.
            self._check_open()
            if self._is_alone(loop) and self._may_run_here((operation,)):
                owner = self._owner()
            else:
                # What is asked for until the loop comes round is one group.
                self._rounds[loop].gathered.append(operation)
                operation.future = loop.create_future()
        if operation.future is None:
            if self._run_here([operation]):
                if operation.error is not None:
                    raise operation.error
                return operation.result  # type: ignore[no-any-return]
            operation.future = loop.create_future()
        del owner
        return await operation.future  # type: ignore[no-any-return]

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
            for loop_round in self._rounds.values():
                self._enqueue(loop_round.gathered)
                loop_round.gathered = []
            self._queue.put(None)
        self._thread.join()
        self._checkpointer.stop()
        self._turn.acquire()  # after whoever commits on an event loop just now; nobody gets it any more

    def close(self) -> None:
        """Close the connection, once stopped."""
        self._commits.close()

    def _check_open(self) -> None:
        if self._closing:
            raise StoreClosed("This history was closed; make a new service.")

    def _enqueue(self, operations: Iterable[Operation]) -> None:
        """Give operations to the thread; the entrance is held."""
        for operation in operations:
            self._waiting += 1
            self._queue.put(operation)

    def _is_alone(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether the running task is the only one of *loop* that asks for something; the loop will come round."""
        now = self._commits.pace.clock()
        task = asyncio.current_task(loop)
        loop_round = self._rounds.get(loop)
        if loop_round is None:
            for closed in [known for known in self._rounds if known.is_closed()]:
                del self._rounds[closed]
            loop_round = self._rounds[loop] = Round()
        if not loop_round.is_scheduled:
            loop_round.begin(now)
            loop_round.task = task
            loop.call_soon(self._come_round, loop_round)
        return loop_round.is_alone(task, now)

    def _come_round(self, loop_round: Round) -> None:
        """What a loop has asked for since it last came round is committed here, or goes to the thread."""
        owner = self._owner()
        with self._entrance:
            loop_round.is_scheduled = False
            group = loop_round.gathered
            if not group:
                return  # it was done already, or the end has come first and has taken it over
            loop_round.gathered = []
            if not self._may_run_here(group):
                self._enqueue(group)
                return
        resolve(self._run_here(group))
        del owner

    def _may_run_here(self, group: Sequence[Operation]) -> bool:
        """Whether *group* may be committed on an event loop's thread; the turn is ours if so."""
        if self._waiting or not self._turn.acquire(blocking=False):
            return False
        if self._commits.begin_briefly(group):
            return True
        self._turn.release()
        return False

    def _run_here(self, group: list[Operation]) -> list[Operation]:
        """Commit *group* on this event loop's thread, with the turn, which is given back; those that are done."""
        try:
            outcome = self._commits.run_briefly(group)
            if outcome.files:
                files, held_up = outcome.files, outcome.held_up
                self._pass_on([Operation(lambda _: self._commits.finish(files, held_up), outside=True)])
            if outcome.left:
                self._pass_on(outcome.left)
        except BaseException:
            for operation in group:
                if operation.future is not None:
                    operation.future.cancel()
            raise
        finally:
            self._turn.release()
        return outcome.answered

    def _pass_on(self, operations: list[Operation]) -> None:
        """Leave operations to the thread, or finish them here when it has ended already."""
        with self._entrance:
            if not self._closing:
                self._enqueue(operations)
                return
        for operation in operations:
            answer(self._commits.run([operation]))

    def _serve(self) -> None:
        while True:
            try:
                first = self._carried or self._queue.get(timeout=_IDLE_SECONDS if self._untidy else None)
            except Empty:
                with self._turn:
                    self._untidy = self._commits.tidy()
                continue
            if first is None:
                break
            group = self._take_group(first)
            owner = self._owner()
            self._untidy = self._untidy or any(operation.tidies for operation in group)
            with self._turn:
                answered = self._commits.run(group)
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
