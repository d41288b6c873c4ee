"""What goes to the store, in order, also when the store cannot take it: recording never breaks the workflow.

A step that is refused, or that takes longer than its caller may wait, is kept in memory, counted, told by
``problems`` and written when that is possible again. Once the store is known to be in trouble nobody waits for it any
more, until it has taken everything. What is too much for the memory, or still waits at the end, goes to the
:mod:`spool <execution_history.spool>`.
"""

import asyncio
import logging
import threading
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from execution_history.errors import (
    ExecutionExists,
    ExecutionHistoryError,
    IllegalTransition,
    RecordDamaged,
    StoreError,
    quoted,
)
from execution_history.record import Document
from execution_history.spool import Spool, put_aside, spool_of
from execution_history.store import HistoryStore
from execution_history.waiting import Entry, Key, Step, Waiting

_log = logging.getLogger("execution_history.recorder")

PATIENCE_SECONDS: Final = 2.0
"""How long a caller waits at most for a store that is not known to be in trouble."""

_RETRY_SECONDS: Final = 1.0
_MOST_WAITING: Final = 10_000
_MOST_BYTES: Final = 64 * 1024 * 1024
_MOST_REFUSALS: Final = 20
_FAILURES_TO_STOP: Final = 2
_SILENT: Final = "the store does not answer"


class Outbox:
    """The way into a store for those who must not fail with it; for any number of event loops and threads.

    Args:
        store: opened when needed.
        patience_seconds: how long a caller waits for the store before it goes on without it.
        most_bytes: how much may wait in memory; what is beyond goes to the spool.
        spool: where that is; the store's own when not given.
    """

    def __init__(
        self,
        store: HistoryStore,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        most_bytes: int = _MOST_BYTES,
        spool: Spool | None = None,
    ) -> None:
        self._store = store
        self._patience = patience_seconds
        self._most_bytes = most_bytes
        self._spool = spool or spool_of(store)
        self._lock = threading.RLock()
        self._waiting = Waiting()
        self._spooled: set[Key] = set()
        self._may_have_spooled = self._spool is not None
        self._lost = 0
        self._trouble: str | None = None
        self._saving = False
        self._retrying: asyncio.Task[None] | None = None
        # A program that ends without aclose does not lose what waits without a word.
        weakref.finalize(self, _leave, self._waiting, self._spool)

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return bool(self._waiting) or bool(self._spooled)

    def problems(self) -> tuple[str, ...]:
        """One sentence each for what could not be recorded; none when all is well."""
        found = []
        if self:
            count = len(self._spooled.union(key for key in self._waiting.keys))
            found.append(f"{count} runs wait to be recorded: {self._trouble or _SILENT}")
        if self._lost:
            found.append(f"{self._lost} runs could not be recorded and were given up.")
        return tuple(found)

    async def write(self, workflow_id: str, execute_id: str, step: Step) -> None:
        """Have one step written, now or, when the store cannot, later and in order.

        Raises:
            ExecutionExists: the workflow has a record with this id.
            InvalidInput: the step cannot be what it says.
        """
        key = (workflow_id, execute_id)
        with self._lock:
            must_wait = self._trouble is not None or key in self._waiting
            if must_wait:
                self._keep(key, step)
        if must_wait:
            self._retry_soon()
            return
        task = asyncio.ensure_future(self._apply(key, step))
        try:
            await asyncio.wait({task}, timeout=self._patience)
        except asyncio.CancelledError:
            self._overtaken(key, step, task)
            raise
        if not task.done():
            self._in_trouble(_SILENT)
            self._overtaken(key, step, task)
            return
        self._settle(key, step, task)

    async def save(self) -> None:
        """Write what waits, oldest first, until the store refuses again."""
        with self._lock:
            if self._saving:
                return
            self._saving = True
        try:
            await self._save_spool()
            await self._save_memory()
        except StoreError as error:
            self._in_trouble(str(error))
        except Exception as error:  # noqa: BLE001 - whatever a store does, the next attempt comes
            self._fault(error)
        finally:
            self._saving = False
        self._see_whether_all_is_well()

    async def aclose(self) -> None:
        """Write what waits, once more; what the store still refuses goes to the spool, or the log says what is lost."""
        if self._retrying is not None and not self._retrying.get_loop().is_closed():
            self._retrying.cancel()
        try:
            if self:
                await self.save()
        finally:
            with self._lock:
                self._put_aside([(key, self._waiting.take(key)) for key in self._waiting.keys])

    async def _apply(self, key: Key, step: Step, *, is_unsure: bool = False) -> None:
        await self._store.open()
        if not isinstance(step, Document):
            try:
                await self._store.update(*key, step)
            except IllegalTransition as error:
                _log.warning("A run was ended twice; the first ending stands: %s", error)
            except RecordDamaged as error:  # the record's fault, not the store's: waiting does not help
                self._lost += 1
                _log.error("What became of a run could not be recorded: %s", error)
        elif is_unsure:
            await self._store.merge([step])
        else:
            await self._store.create(step)

    def _settle(self, key: Key, step: Step, task: "asyncio.Task[None]") -> None:
        """A write that was waited for has ended."""
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is None:
            return
        if isinstance(error, ExecutionHistoryError) and not isinstance(error, StoreError):
            raise error
        self._fault(error)
        with self._lock:
            self._keep(key, step).is_unsure = not isinstance(error, StoreError)
        self._retry_soon()

    def _overtaken(self, key: Key, step: Step, task: "asyncio.Task[None]") -> None:
        """A write is not waited for any more: it goes on, and what follows waits for it."""
        with self._lock:
            entry = self._keep(key, step, under_way=True)
        task.add_done_callback(lambda _: self._came_back(key, entry, task))
        self._retry_soon()

    def _came_back(self, key: Key, entry: Entry, task: "asyncio.Task[None]") -> None:
        """A write that nobody waited for has ended; a refused one waits at the place that it has kept."""
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        with self._lock:
            entry.under_way = False
            if error is not None and (isinstance(error, StoreError) or not isinstance(error, ExecutionHistoryError)):
                entry.is_unsure = not isinstance(error, StoreError)
                self._fault(error)
                return
            if error is not None:
                _log.warning("A step of a record was refused and is left out: %s", error)
            self._waiting.done(key, entry)
        self._see_whether_all_is_well()

    def _keep(self, key: Key, step: Step, *, under_way: bool = False) -> Entry:
        entry = self._waiting.add(key, step, under_way=under_way)
        if self._waiting.bytes > self._most_bytes or len(self._waiting) > _MOST_WAITING:
            self._put_aside(self._waiting.take_oldest(max(self._waiting.bytes // 2, 1)))
        return entry

    def _put_aside(self, records: Iterable[tuple[Key, list[Step]]]) -> None:
        """Give records to the spool; where there is none, or it fails, they are lost and the log says which."""
        batch = list(records)
        if put_aside(self._spool, batch, self._trouble or _SILENT):
            self._may_have_spooled = True
            self._spooled.update(key for key, _ in batch)
        else:
            self._lost += len(batch)

    async def _save_spool(self) -> None:
        """Write the batches of this store that lie on the disk, whoever left them there."""
        if not self._may_have_spooled or self._spool is None:
            return
        # Before looking: what is put aside meanwhile must be looked for again.
        self._may_have_spooled, taken, self._spooled = False, self._spooled, set()
        try:
            for path in await asyncio.to_thread(self._spool.paths):
                await self._save_batch(self._spool, path)
        except BaseException:
            self._may_have_spooled, self._spooled = True, self._spooled | taken
            raise

    async def _save_batch(self, spool: Spool, path: Path) -> None:
        try:
            batch = await asyncio.to_thread(spool.read, path)
        except FileNotFoundError:
            return  # another process has written it
        except OSError as error:
            _log.error("What waits in %s cannot be read: %s", path, error)
            return
        for key, step in batch:
            await self._apply(key, step, is_unsure=True)
        await asyncio.to_thread(spool.remove, path)
        _log.warning("%d steps of records that had waited in %s are written.", len(batch), path)

    async def _save_memory(self) -> None:
        refused: dict[Key, StoreError] = {}
        has_taken = False
        for key in self._waiting.keys:
            if key in self._spooled:
                continue
            try:
                has_taken = await self._save_record(key) or has_taken
            except StoreError as error:
                refused[key] = error
                if len(refused) == _FAILURES_TO_STOP and not has_taken:
                    break
        with self._lock:
            for key, reason in refused.items():
                # A disk that is full, or a lock, will pass; other faults may be the record's own.
                if type(reason) is StoreError:
                    self._refused(key, reason, by_a_store_that_takes_others=has_taken)
        if refused:
            raise next(reversed(refused.values()))

    def _refused(self, key: Key, error: StoreError, *, by_a_store_that_takes_others: bool) -> None:
        """The next time others come first; what the store refuses again and again, it will never take."""
        queue = self._waiting.to_the_end(key)
        if queue is None or not by_a_store_that_takes_others:
            return
        queue.refusals += 1
        if queue.refusals >= _MOST_REFUSALS and not queue.under_way:
            self._waiting.take(key)
            self._lost += 1
            _log.error("The store takes other runs, but not %s/%s, which is given up: %s", *map(quoted, key), error)

    async def _save_record(self, key: Key) -> bool:
        """Write what waits of one record; whether the store has taken any of it.

        Raises:
            StoreError: the store has refused it.
        """
        has_taken = False
        while (queue := self._waiting.get(key)) is not None and not queue.under_way:
            entry = queue.entries[0]
            entry.under_way = True
            try:
                await self._apply(key, entry.step, is_unsure=entry.is_unsure)
                has_taken = True
            except StoreError:
                raise
            except ExecutionHistoryError as error:
                _log.warning("A step of a record was refused and is left out: %s", error)
                if isinstance(error, ExecutionExists):
                    # What follows was meant for the record that could not be made, not for the one that is there.
                    self._waiting.take(key)
            except BaseException:
                entry.is_unsure = True
                raise
            finally:
                entry.under_way = False
            with self._lock:
                self._waiting.done(key, entry)
        return has_taken

    def _fault(self, error: BaseException) -> None:
        sentence = str(error) or _SILENT
        if self._trouble != sentence and not isinstance(error, StoreError | asyncio.CancelledError):
            _log.error("A store failed in a way that it does not promise", exc_info=error)
        self._in_trouble(sentence)

    def _in_trouble(self, sentence: str) -> None:
        if self._trouble != sentence:
            _log.error("A run could not be recorded and waits: %s", sentence)
        self._trouble = sentence

    def _see_whether_all_is_well(self) -> None:
        with self._lock:
            if not self and self._trouble is not None:
                self._trouble = None
                _log.warning("The store takes records again; everything that waited is written.")

    def _retry_soon(self) -> None:
        """See to it that somebody tries again while anything waits."""
        with self._lock:
            trying = self._retrying
            if trying is None or trying.done() or trying.get_loop().is_closed():
                self._retrying = asyncio.create_task(self._retry())

    async def _retry(self) -> None:
        while self:
            await asyncio.sleep(_RETRY_SECONDS)
            await self.save()


def _leave(waiting: Waiting, spool: Spool | None) -> None:
    put_aside(spool, [(key, waiting.take(key)) for key in waiting.keys], "the program has ended")
