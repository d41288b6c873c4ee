"""What goes to the store, in order, also when the store cannot take it: recording never breaks the workflow.

A step that is refused, or that takes longer than its caller may wait, is kept in memory, counted, told by
``problems`` and written when that is possible again. Once the store is known to be in trouble nobody waits for it any
more, until it takes something again. What is too much for the memory, or still waits at the end, goes to the
:mod:`spool <execution_history.recording.spool>`; a step that the store will never take is set aside beside it, and
nothing waits for it.
"""

import asyncio
import logging
import weakref
from collections.abc import Callable, Iterable
from contextvars import Context
from typing import Final

from execution_history.clock import now_ms
from execution_history.errors import N_, ExecutionHistoryError, Message, RecordDamaged, StoreError
from execution_history.metrics import LOST_RUNS, PENDING_BYTES, PENDING_RUNS, SPOOL_BYTES, SPOOL_FILES, Sample, watch
from execution_history.recording.attempts import attempt, error_of
from execution_history.recording.delivery import Delivery
from execution_history.recording.pending_writes import Entry, Key, Step, Waiting
from execution_history.recording.spool import Spool, put_aside, spool_of
from execution_history.recording.store_trouble import Hung, Refusal
from execution_history.records.record import Document
from execution_history.stores.protocol import HistoryStore

_log = logging.getLogger("execution_history.recording")

PATIENCE_SECONDS: Final = 2.0
"""How long a caller waits at most for a store that is not known to be in trouble."""

CLOSING_SECONDS: Final = 10.0
"""How long closing takes at most, whatever the store does: what is not written by then is for the next program."""

_ANSWER_SECONDS: Final = 10.0
_RETRY_SECONDS: Final = 1.0
_PAUSE_FOR_EACH: Final = 0.001
_MOST_WAITING: Final = 10_000
_MOST_BYTES: Final = 64 * 1024 * 1024


class Outbox:
    """The way into a store for those who must not fail with it; for any number of event loops and threads.

    Args:
        store: opened when needed.
        patience_seconds: how long a caller waits for the store before it goes on without it.
        most_bytes: how much may wait in memory; what is beyond goes to the spool.
        spool: where that is; the store's own when not given.
        most_refusals: how often a step is tried that the store does not take while it takes others.
        answer_seconds: how long an attempt in the background may take before the others are tried without it.
        clock: milliseconds since the epoch.
    """

    def __init__(
        self,
        store: HistoryStore,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        most_bytes: int = _MOST_BYTES,
        spool: Spool | None = None,
        most_refusals: int = 20,
        answer_seconds: float = _ANSWER_SECONDS,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._patience = patience_seconds
        self._most_bytes = most_bytes
        self._spool = spool or spool_of(store)
        self._delivery = delivery = Delivery(
            store, self._spool, most_refusals=most_refusals, answer_seconds=answer_seconds, clock=clock
        )
        self._lock, self._waiting = delivery.lock, delivery.waiting
        self._backlog, self._trouble = delivery.backlog, delivery.trouble
        self._saving: asyncio.Task[int] | None = None
        self._retrying: asyncio.Task[None] | None = None
        watch(self)
        # A program that ends without aclose does not lose what waits without a word.
        weakref.finalize(self, _leave, self._waiting, self._spool)

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return bool(self._waiting) or bool(self._backlog)

    def problems(self) -> tuple[str, ...]:
        """One sentence each for what could not be recorded; none when all is well."""
        found = []
        if self and self._trouble.sentence is not None:
            count = self._backlog.count(self._waiting.keys)
            one, many = (
                N_("1 run waits to be recorded: %(reason)s"),
                N_("%(count)s runs wait to be recorded: %(reason)s"),
            )
            found.append(Message(one if count == 1 else many, count=count, reason=self._trouble.sentence))
        if lost := self._delivery.lost:
            one = N_("1 run could not be recorded and was given up.")
            many = N_("%(count)s runs could not be recorded and were given up.")
            found.append(Message(one if lost == 1 else many, count=lost))
        return (*found, *self._backlog.problems())

    def samples(self) -> Iterable[Sample]:
        """Return what waits; see :class:`~execution_history.metrics.Source`."""
        yield Sample(PENDING_RUNS, self._backlog.count(self._waiting.keys))
        yield Sample(PENDING_BYTES, self._waiting.bytes)
        yield Sample(LOST_RUNS, self._delivery.lost)
        sizes = self._backlog.sizes()
        yield Sample(SPOOL_FILES, len(sizes))
        yield Sample(SPOOL_BYTES, sum(sizes))

    async def look(self) -> bool:
        """Find what other programs have left in the spool; whether it is known of which records that is.

        This waits for a listing of the spool at most. What is in it is written in the background.
        """
        if self._spool is None:
            return True
        _, error = await attempt(asyncio.to_thread(self._backlog.look), self._patience)
        if self._backlog:
            self._retry_soon(0)
        return error is None and self._backlog.is_known

    def holds(self, workflow_id: str, execute_id: str) -> bool:
        """Whether steps of a record wait here."""
        key = (workflow_id, execute_id)
        return key in self._waiting or self._backlog.holds(key)

    async def write(self, workflow_id: str, execute_id: str, step: Step) -> bool:
        """Have one step written, now or, when the store cannot, later and in order.

        Returns:
            ``False`` where the record is none that the step changes, so that nothing is changed.

        Raises:
            ExecutionExists: the workflow has a record with this id.
            InvalidInput: the step cannot be what it says.
        """
        key = (workflow_id, execute_id)
        is_given_up = hash(key) in self._delivery.given_up
        if isinstance(step, Document):
            self._backlog.begins(key)
        elif is_given_up and step.status is None:
            return True  # the progress of a run whose beginning was refused; its ending is kept with that
        elif not self._backlog.was_known and self.holds(*key):
            await self.look()
        with self._lock:
            must_wait = self._trouble.is_down or is_given_up or self.holds(*key)
            if must_wait:
                self._keep(key, step)
        if must_wait:
            self._retry_soon(_RETRY_SECONDS if self._trouble.is_down else 0)
            return True
        task = self._delivery.begin(key, step)
        try:
            await asyncio.wait({task}, timeout=self._patience)
        except asyncio.CancelledError:
            self._overtaken(key, step, task)
            raise
        if task.done():
            if isinstance(error := error_of(task), RecordDamaged):
                await self._refuse(key, step, error)
                return True
            self._settle(key, step, task)
            return error is not None or task.result()
        self._trouble.stop(Hung())
        self._overtaken(key, step, task)
        return True

    async def save(self) -> int:
        """Write what waits, in memory and in the spool; how many records have a step that the store does not take."""
        with self._lock:
            saving = self._saving
            if saving is None or saving.done() or saving.get_loop().is_closed():
                saving = self._saving = asyncio.ensure_future(self._delivery.save())
                saving.add_done_callback(_log_fault)
            elif saving.get_loop() is not asyncio.get_running_loop():
                return 0  # another event loop is at it
        await asyncio.wait({saving})
        return 0 if error_of(saving) else saving.result()

    async def aclose(self, seconds: float = CLOSING_SECONDS) -> None:
        """Write what waits, for so long; what is left goes to the spool, or is lost, which the log has."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        try:
            if self._trouble.is_down:  # whoever stops a program kills it soon afterwards: what waits is safe by then
                self._put_all_aside(is_last=False)
            await self._stop_retrying(seconds / 8)
            if self:
                await self._delivery.come_back(seconds / 8)
                await self._save_once_more(seconds / 2)
                await attempt(asyncio.to_thread(self._backlog.shorten), end - loop.time())
        finally:
            self._put_all_aside(is_last=True)

    def _settle(self, key: Key, step: Step, task: "asyncio.Task[bool]") -> None:
        """Settle a write that was waited for and has ended."""
        error = error_of(task)
        if error is None:
            self._delivery.took(key)
            return
        if isinstance(error, ExecutionHistoryError) and not isinstance(error, StoreError):
            raise error
        self._trouble.stop(error)
        with self._lock:
            self._keep(key, step).is_unsure = not isinstance(error, StoreError)
        self._retry_soon()

    async def _refuse(self, key: Key, step: Step, error: RecordDamaged) -> None:
        """Set a step aside, while the store is well and goes on; where that cannot be done, the step waits."""
        is_aside = False
        try:
            is_aside = await self._delivery.refuse(key, step, Refusal.of(error))
        finally:
            if not is_aside:
                with self._lock:
                    self._trouble.note(error)
                    self._keep(key, step)
                self._retry_soon()

    def _overtaken(self, key: Key, step: Step, task: "asyncio.Task[bool]") -> None:
        """Stop waiting for a write: it goes on, and what follows waits for it."""
        with self._lock:
            entry = self._keep(key, step, under_way=True)
        self._delivery.follow(key, entry, task)
        self._retry_soon()

    def _keep(self, key: Key, step: Step, *, under_way: bool = False) -> Entry:
        entry = self._waiting.add(key, step, under_way=under_way)
        if self._waiting.bytes > self._most_bytes or len(self._waiting) > _MOST_WAITING:
            self._put_aside(list(self._waiting.take_oldest(max(self._waiting.bytes // 2, 1))))
        return entry

    def _put_all_aside(self, *, is_last: bool) -> None:
        with self._lock:
            records = [(key, [entry.step for entry in self._waiting.of(key)]) for key in self._waiting.keys]
            if self._put_aside(records, is_last=is_last):
                for key, _ in records:
                    self._waiting.take(key)

    def _put_aside(self, records: list[tuple[Key, list[Step]]], *, is_last: bool = True) -> bool:
        """Give records to the spool.

        Where there is none, or it fails, they are lost and the log says which, if this is the last try; whether they
        need not wait any more.
        """
        if not records:
            return True
        path = put_aside(self._spool, records, self._trouble.reason, is_last=is_last)
        if path is not None:
            self._backlog.add(path, (key for key, steps in records for _ in steps))
        elif is_last:
            self._delivery.lost += len(records)
        return is_last or path is not None

    def _retry_soon(self, pause: float = _RETRY_SECONDS) -> None:
        """See to it that somebody tries again while anything waits."""
        with self._lock:
            trying = self._retrying
            if trying is None or trying.done() or trying.get_loop().is_closed():
                # Not in the context of the request that happens to begin it: what it logs is of others, too.
                self._retrying = asyncio.get_running_loop().create_task(self._retry(pause), context=Context())

    async def _retry(self, pause: float) -> None:
        await asyncio.sleep(pause)
        while self:
            failures = await self.save()
            # Trying in vain must not become the main work.
            await asyncio.sleep(max(_RETRY_SECONDS, failures * _PAUSE_FOR_EACH))

    async def _save_once_more(self, seconds: float) -> None:
        """Have what is being written come to its end, and what has come since written too, within so much time."""

        async def save() -> None:
            await self.save()
            await self.save()

        _, error = await attempt(save(), seconds)
        if error is not None and self._saving is not None and self._saving.get_loop() is asyncio.get_running_loop():
            self._saving.cancel()
            await asyncio.wait({self._saving}, timeout=seconds / 8)

    async def _stop_retrying(self, seconds: float) -> None:
        task = self._retrying
        if task is None or task.get_loop().is_closed():
            return
        if task.get_loop() is asyncio.get_running_loop():
            task.cancel()
            await asyncio.wait({task}, timeout=seconds)
        else:
            task.get_loop().call_soon_threadsafe(task.cancel)


def _log_fault(saving: "asyncio.Task[int]") -> None:
    error = error_of(saving)
    if error is not None and not isinstance(error, asyncio.CancelledError):
        _log.error("What waits to be recorded could not be looked through: %s", error, exc_info=error)


def _leave(waiting: Waiting, spool: Spool | None) -> None:
    left = [(key, waiting.take(key)) for key in waiting.keys]
    if left:
        put_aside(spool, left, "the program has ended")
