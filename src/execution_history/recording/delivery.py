"""The way of what waits into the store: each step in its place, tried again, and set aside when it is never taken."""

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Final

from execution_history.errors import ExecutionExists, ExecutionHistoryError, IllegalTransition, StoreError, quoted
from execution_history.recording.attempts import error_of, in_thread
from execution_history.recording.backlog import Backlog
from execution_history.recording.pending_writes import Entry, Key, Step, Waiting
from execution_history.recording.spool import Spool
from execution_history.recording.spool_batch import Batch, Line
from execution_history.recording.store_trouble import PASSING, Hung, Refusal, Refusals, Round, Trouble
from execution_history.records.record import Document
from execution_history.stores.protocol import HistoryStore

_log = logging.getLogger("execution_history.recording")
_MOST_GIVEN_UP: Final = 10_000
_AT_ONCE: Final = 32
_NOWHERE: Final = "What the store does not take cannot be set aside either."


class Delivery:
    """Writes what waits in memory and in the spool, ``waiting`` and ``backlog``.

    ``lock`` guards whatever several threads may change, ``waiting`` first of all. ``given_up`` has the records whose
    beginning the store has refused for good, by their number, with the reason: nothing of them is tried any more.
    ``lost`` counts those that could not be kept anywhere.

    Args:
        store: opened when needed.
        spool: where what waits beyond the memory is.
        most_refusals: how often a step is tried that the store does not take while it takes others.
        answer_seconds: how long an attempt may take before the others are tried without it.
        clock: milliseconds since the epoch.
    """

    def __init__(
        self,
        store: HistoryStore,
        spool: Spool | None,
        *,
        most_refusals: int,
        answer_seconds: float,
        clock: Callable[[], int],
    ) -> None:
        self._store = store
        self._answer_seconds = answer_seconds
        self._clock = clock
        self.lock: threading.RLock = threading.RLock()
        self.waiting: Waiting = Waiting()
        self.backlog: Backlog = Backlog(spool)
        self.trouble: Trouble = Trouble()
        self.given_up: dict[int, Refusal] = {}
        self.lost: int = 0
        self._refusals = Refusals(most_refusals)
        self._hung: dict[int, Entry] = {}
        self._tasks: set[asyncio.Task[bool]] = set()

    def begin(self, key: Key, step: Step, *, is_unsure: bool = False) -> "asyncio.Task[bool]":
        """Have the store write a step; *is_unsure*: it may have it already.

        The task returns whether the record was one that the step changes.
        """
        task = asyncio.ensure_future(self._apply(key, step, is_unsure=is_unsure))
        self._tasks.add(task)  # an event loop does not keep its tasks
        task.add_done_callback(self._tasks.discard)
        return task

    def took(self, key: Key) -> None:
        """Note that the store has taken a step of a record."""
        self._refusals.took(hash(key))

    def follow(self, key: Key, entry: Entry, task: "asyncio.Task[bool]") -> None:
        """Let a write go on that nobody waits for; a step that is not taken waits at the place that it has kept."""
        task.add_done_callback(lambda _: self._came_back(key, entry, task))

    async def come_back(self, seconds: float) -> None:
        """Wait, for so long, until the store has answered whatever is under way here."""
        here = asyncio.get_running_loop()
        if tasks := [task for task in self._tasks.copy() if task.get_loop() is here]:
            await asyncio.wait(tasks, timeout=seconds)

    async def save(self) -> int:
        """Write what waits; how many records have a step that the store does not take."""
        await in_thread(self.backlog.look)
        await in_thread(self.backlog.scan)
        attempts = Round(self._refusals.taken)
        await self._save_memory(attempts)
        for batch in self.backlog.batches:
            try:
                if not attempts.is_hopeless and await in_thread(self.backlog.claim, batch):
                    await self._save_batch(batch, attempts)
            finally:
                batch.release()
        await self._save_memory(attempts)
        with self.lock:
            if not attempts.blocked and all(self.backlog.holds(key) for key in self.waiting.keys):
                self._end_trouble()
        return len(attempts.blocked)

    def _end_trouble(self) -> None:
        """Tell that the store takes records again, where it was told that it does not."""
        if self.trouble.end():
            is_all_written = not self.waiting and not self.backlog
            _log.warning(
                "The store takes records again%s.", "; everything that waited is written" if is_all_written else ""
            )

    async def _save_batch(self, batch: Batch, attempts: Round) -> None:
        begin = 0
        while lines := await in_thread(self.backlog.read, batch, begin, attempts.blocked):
            for line in lines:
                await self._save_line(batch, line, attempts)
                if attempts.is_hopeless:
                    return
            begin = lines[-1].number + 1
            # A caller's write may have failed meanwhile: it does not wait for thousands of others.
            await self._save_memory(attempts)
        await in_thread(self.backlog.finish, batch)

    async def _save_line(self, batch: Batch, line: Line, attempts: Round) -> None:
        record = batch.records[line.number]
        hung = self._hung.get(record)
        if hung is not None and hung.under_way:
            attempts.blocked[record] = Hung()
        if record in attempts.blocked:
            return
        if line.step is not None:
            entry = self._hung[record] = Entry(line.step, under_way=True, is_unsure=True)
            is_done = await self._deliver(line.key, entry, attempts)
            if not entry.under_way:
                del self._hung[record]
            if not is_done:
                return
        self.backlog.settle(batch, line)

    async def _save_memory(self, attempts: Round) -> None:
        keys = iter(self.waiting.keys)

        async def save() -> None:
            for key in keys:
                if attempts.is_hopeless:
                    return
                await self._save_record(key, attempts)

        # One after the other they would never catch up with a store that is slow but takes many at once.
        await asyncio.gather(*(save() for _ in range(_AT_ONCE)))
        takes = attempts.takes()
        with self.lock:
            if attempts.blocked and (self.waiting or self.backlog):
                self.trouble.note(next(reversed(attempts.blocked.values())))
            if takes is not None:
                self.trouble.is_down = not takes

    async def _save_record(self, key: Key, attempts: Round) -> None:
        while (entry := self._next(key, attempts)) is not None:
            if not await self._deliver(key, entry, attempts):
                return
            with self.lock:
                self.waiting.done(key, entry)
        refusal = self.given_up.get(hash(key))
        if refusal is not None and refusal.kind is ExecutionExists:
            # What waited was meant for the record that could not be made; what comes now, for the one that is there.
            del self.given_up[hash(key)]

    def _next(self, key: Key, attempts: Round) -> Entry | None:
        """Return the step of a record that is to be written now; ``None`` where there is none."""
        with self.lock:
            queue = self.waiting.of(key)
            if not queue or hash(key) in attempts.blocked or self.backlog.holds(key):
                return None
            if any(entry.under_way for entry in queue):
                attempts.blocked[hash(key)] = Hung()
                return None
            queue[0].under_way = True
            return queue[0]

    async def _deliver(self, key: Key, entry: Entry, attempts: Round) -> bool:
        """Have the store take a step, or set aside what it never will; whether the step need not wait any more."""
        record = hash(key)
        refusal = None if isinstance(entry.step, Document) else self.given_up.get(record)
        error = None if refusal is not None else await self._attempt(key, entry)
        if isinstance(error, Hung):
            attempts.failed(record, error, is_its_own=False)
            return False
        try:
            if refusal is None and error is None:
                self._refusals.took(record)
                self.given_up.pop(record, None)
                attempts.took()
                self.trouble.is_down = False
                return True
            if error is not None:
                entry.is_unsure |= not isinstance(error, StoreError)
                if self._refusals.is_final(record, error, attempts.taken_before):
                    refusal = Refusal.of(error)
            if refusal is not None and await self.refuse(key, entry.step, refusal):
                return True
            attempts.failed(record, error or StoreError(_NOWHERE), is_its_own=self._refusals.is_suspect(record))
            return False
        finally:
            entry.under_way = False

    async def _attempt(self, key: Key, entry: Entry) -> BaseException | None:
        task = self.begin(key, entry.step, is_unsure=entry.is_unsure)
        try:
            await asyncio.wait({task}, timeout=self._answer_seconds)
        except BaseException:
            self.follow(key, entry, task)
            raise
        if task.done():
            return error_of(task)
        self.follow(key, entry, task)
        return Hung()

    async def refuse(self, key: Key, step: Step, refusal: Refusal) -> bool:
        """Keep a step that the store will never take where nothing waits for it; whether that could be done."""
        is_known = hash(key) in self.given_up
        if isinstance(step, Document):
            self.given_up[hash(key)] = refusal
            if len(self.given_up) > _MOST_GIVEN_UP:
                del self.given_up[next(iter(self.given_up))]
        if self.backlog.refused is None:
            self.lost += not is_known
            _log.error(
                "The store does not take a step of %s/%s, which is given up: %s", *map(quoted, key), refusal.reason
            )
            return True
        try:
            await in_thread(self.backlog.refused.add, key, step, refusal, self._clock())
        except OSError as fault:
            _log.error("What the store does not take of %s/%s cannot be set aside: %s", *map(quoted, key), fault)
            return False
        _log.error("The store does not take a step of %s/%s, which is set aside: %s", *map(quoted, key), refusal.reason)
        return True

    async def _apply(self, key: Key, step: Step, *, is_unsure: bool) -> bool:
        await self._store.open()
        if isinstance(step, Document):
            try:
                await self._store.create(step)
            except ExecutionExists:
                if not is_unsure:
                    raise
                await self._store.merge([step], settle=False)
            return True
        try:
            return await self._store.update(*key, step) is not None
        except IllegalTransition as error:
            _log.warning("A run was ended twice; the first ending stands: %s", error)
            return False

    def _came_back(self, key: Key, entry: Entry, task: "asyncio.Task[bool]") -> None:
        error = error_of(task)
        with self.lock:
            entry.under_way = False
            if error is None:
                self._refusals.took(hash(key))
                self.waiting.done(key, entry)
                if not self.waiting and not self.backlog:
                    self._end_trouble()  # nobody tries any more
            else:
                entry.is_unsure |= not isinstance(error, StoreError)
                is_the_steps = isinstance(error, ExecutionHistoryError) and not isinstance(error, PASSING)
                (self.trouble.note if is_the_steps else self.trouble.stop)(error)
