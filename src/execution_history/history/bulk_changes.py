"""Changes of everything that matches a filter, in batches: deletions that can be undone, and annotations.

A change goes on in the background, and says how far it is. It touches only runs that were there when it began and have
not been changed by others since; of those it says how many they are. What it was and how far it came is kept in the
registry (:mod:`execution_history.history.bulk_log`): another process, or this one after a new start, can say how it
ended, undo it, or carry it on. Memory holds one batch at a time.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from dataclasses import asdict, replace
from typing import Final

from execution_history.access.audit import Action as AuditAction
from execution_history.access.audit import note
from execution_history.errors import (
    ExecutionHistoryError,
    ExecutionNotFound,
    InvalidInput,
    InvalidQuery,
    StoreError,
    message_of,
    quoted,
)
from execution_history.history.annotations import Annotation
from execution_history.history.bulk_change import KEPT_MS, Action, BulkChange, Door, Plan, Progress, State, Tally
from execution_history.history.bulk_log import LEASE_MS, STOPPED, BulkLog
from execution_history.history.bulk_source import Changed, count_named
from execution_history.history.bulk_work import Work, batch_work, changed_runs
from execution_history.history.lease_keeper import LeaseKeeper
from execution_history.history.narrowed_store import NARROWED
from execution_history.history.registry import new_id
from execution_history.query.fields import RecordFilter
from execution_history.query.filter_words import words_of
from execution_history.query.model import PAGE_SECONDS, RecordKey, RecordQuery
from execution_history.query.parameters import filter_of
from execution_history.stores.capabilities import Bin, follow_index
from execution_history.stores.protocol import HistoryStore

__all__ = ["KEPT_MS", "BulkChange", "BulkChanges"]

_log = logging.getLogger("execution_history.history")
_LONGEST_NOTE: Final = 100


class BulkChanges:
    """Carries out changes of many runs of one history.

    Args:
        store: the history.
        clock: milliseconds since the epoch.
        with_ids: returns a filter with the ids of the workflows that it calls by name.
        lease_ms: how long a process that has died is taken for alive (milliseconds).
    """

    def __init__(
        self,
        store: HistoryStore,
        clock: Callable[[], int],
        with_ids: Callable[[RecordFilter], Awaitable[RecordFilter]],
        lease_ms: int = LEASE_MS,
    ) -> None:
        self._store, self._clock, self._with_ids = store, clock, with_ids
        self._book = BulkLog(store, clock, lease_ms)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._current: dict[str, Progress] = {}
        self._keepers: dict[str, LeaseKeeper] = {}

    async def count(
        self, what: RecordFilter | Iterable[RecordKey], wait_seconds: float | None = None
    ) -> tuple[int, bool]:
        """Return how many runs match, or exist of those named, and whether that is exact: otherwise at least so many.

        Args:
            what: which runs.
            wait_seconds: how long to wait for an index that follows; ``None``: until it has everything.

        Raises:
            InvalidQuery: the filter has a text, and the store has no text search.
            StoreError: the store could not be read.
        """
        await self._store.open()
        if not isinstance(what, RecordFilter):
            return await count_named(self._store, what), True
        if wait_seconds is None:
            await follow_index(self._store, has_texts=what.text is not None)
        chosen = await self._with_ids(what)
        found = await self._store.select(RecordQuery(filter=chosen, size=1, summaries=True, wait_seconds=wait_seconds))
        return found.total, found.total_is_exact and found.reach.is_complete

    async def delete(self, what: RecordFilter | Iterable[RecordKey], by: Door = "python") -> BulkChange:
        """Begin to delete the runs that match, or that are named; they can be restored as long as the bin keeps them.

        Raises:
            InvalidQuery: the filter has a text, and the store has no text search.
            StoreError: the store could not be read or written.
        """
        what = await self._settled(what)
        change, plan = await self._new("delete", what, by)
        await note(self._store, AuditAction.BULK_DELETE, change=change.id, filters=change.filters, runs=change.total)
        if isinstance(self._store, Bin) and self._store.bin_ms:
            change = replace(change, ends=change.began + self._store.bin_ms)
        return await self._begin(Progress(change), plan, what)

    async def annotate(
        self, what: RecordFilter | Iterable[RecordKey], annotation: Annotation, by: Door = "python"
    ) -> BulkChange:
        """Begin to note *annotation* about the runs that match, or that are named.

        Raises:
            InvalidQuery: the filter has a text, and the store has no text search.
            StoreError: the store could not be read or written.
        """
        what = await self._settled(what)
        change, plan = await self._new("annotate", what, by)
        given = {name: value for name, value in asdict(annotation).items() if value not in (None, ())}
        shown = given | ({"note": given["note"][:_LONGEST_NOTE]} if "note" in given else {})
        return await self._begin(Progress(replace(change, annotation=shown)), replace(plan, annotation=given), what)

    async def undoable(self, change_id: str) -> tuple[BulkChange, Bin]:
        """Return the deletion that :meth:`undo` would undo, and the store that has kept what it removed.

        Raises:
            InvalidInput: as for :meth:`undo`.
            StoreError: the store could not be read.
        """
        deletion, store = await self.find(change_id), self._store
        if deletion is not None and deletion.action == "delete" and deletion.is_running:
            raise InvalidInput("This deletion is still going on: stop it first.")
        if deletion is None or not deletion.can_be_undone(self._clock()) or not isinstance(store, Bin):
            raise InvalidInput("This deletion cannot be undone any more: what it deleted has left the bin.")
        return deletion, store

    async def undo(self, change_id: str, by: Door = "python") -> BulkChange:
        """Begin to restore what the deletion *change_id* removed; the change that is returned has an id of its own.

        A run whose id is taken again stays deleted.

        Raises:
            InvalidInput: it was no deletion, goes on, was undone already, or was too long ago.
            StoreError: the store could not be read or written.
        """
        deletion, _ = await self.undoable(change_id)
        change, plan = await self._new("restore", (), by)
        change = replace(change, total=deletion.changed, undoes=deletion.id, is_resumable=True)
        await note(self._store, AuditAction.UNDELETE, change=change.id, undoes=deletion.id, runs=deletion.changed)
        return await self._begin(Progress(change), plan, ())

    async def resume(self, change_id: str) -> BulkChange:
        """Carry on a change that was stopped or interrupted, and return it; it has the same id.

        Runs that others have changed since its beginning are left alone, and so are, without being counted as changed,
        those of the one batch that was under way when a process died.

        Raises:
            InvalidInput: it goes on, is over, is unknown, or was cut short too long ago.
            StoreError: the store could not be read or written.
        """
        if NARROWED in change_id:
            raise InvalidInput(
                "This change was begun with a key for some workflows, and only such a key can carry it on."
            )
        progress = await self._book.find(change_id)
        if progress is not None and (progress.change.is_running or change_id in self._tasks):
            raise InvalidInput("This change is still going on.")
        plan = await self._book.plan(change_id) if progress is not None else None
        if progress is None or plan is None or not progress.change.can_be_resumed(self._clock()):
            raise InvalidInput(
                "This change cannot be carried on: only one that was cut short in the last 24 hours can be."
            )
        progress = progress.with_change(state="running", reason=None)
        progress = await self._with_uncounted(progress)
        what = filter_of(plan.filters, now=self._clock()) if plan.filters is not None else ()
        return await self._begin(progress, plan, what)

    async def stop(self, change_id: str) -> None:
        """End a change that goes on, in this process or in another one, after the batch that is under way."""
        await self._book.stop(change_id)

    async def find(self, change_id: str) -> BulkChange | None:
        """Return a change as far as it has come; ``None`` for one that is unknown or long over.

        Raises:
            StoreError: the store could not be read.
        """
        progress = self._current.get(change_id) or await self._book.find(change_id)
        return None if progress is None else progress.change

    async def get(self, change_id: str) -> BulkChange:
        """Return a change as far as it has come.

        Raises:
            ExecutionNotFound: it is unknown or long over.
            StoreError: the store could not be read.
        """
        change = await self.find(change_id)
        if change is None:
            known = quoted(change_id)
            raise ExecutionNotFound("There is no change %(change)s, or it was over long ago.", change=known)
        return change

    async def all(self, limit: int = 100) -> list[BulkChange]:
        """Return the changes of the last 30 days, of all processes, the newest first; at most *limit*.

        Raises:
            StoreError: the store could not be read.
        """
        changes = await self._book.all(limit)
        return [self._current[each.id].change if each.id in self._current else each for each in changes]

    async def wait(self, change_id: str, seconds: float | None = None) -> BulkChange | None:
        """Return a change when it is over, or after so many *seconds*; at once for one of another process."""
        task = self._tasks.get(change_id)
        if task is not None and task.get_loop() is asyncio.get_running_loop():
            await asyncio.wait((task,), timeout=seconds)
        return await self.find(change_id)

    def running(self) -> list[BulkChange]:
        """Return the changes that this process is carrying out, the newest last."""
        return [progress.change for progress in self._current.values() if progress.change.is_running]

    async def aclose(self) -> None:
        """Stop what goes on in this event loop, and return when it has stopped."""
        loop = asyncio.get_running_loop()
        tasks = {change_id: task for change_id, task in self._tasks.items() if task.get_loop() is loop}
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        for change_id in tasks.keys() & self._keepers.keys():  # cancelled before its first step
            await self._stopped(change_id)

    async def _settled(self, what: RecordFilter | Iterable[RecordKey]) -> RecordFilter | Iterable[RecordKey]:
        """Return *what* with ids in place of names, which may come to mean others; in words that can be kept."""
        if not isinstance(what, RecordFilter):
            return what
        chosen = await self._with_ids(what)
        return chosen if chosen.workflows else replace(chosen, workflow_ids=(), workflows=chosen.workflow_ids)

    async def _new(self, action: Action, what: RecordFilter | Iterable[RecordKey], by: Door) -> tuple[BulkChange, Plan]:
        await self._store.open()
        total, is_exact, words, keys = 0, True, None, list[tuple[str, str]]()
        if isinstance(what, RecordFilter):
            total, is_exact = await self.count(what, PAGE_SECONDS)
            words = words_of(what)
        else:
            keys = list(dict.fromkeys((workflow_id, execute_id) for workflow_id, execute_id in what))
            total = len(keys)
        now, since = self._clock(), await self._store.revision()
        is_resumable = words is None or (isinstance(what, RecordFilter) and _is_readable(words, what))
        change = BulkChange(
            id=new_id(), action=action, total=total, total_is_exact=is_exact, began=now, updated=now,
            by=by, filters=words, is_resumable=is_resumable,
        )  # fmt: skip
        return change, Plan(filters=words, keys=keys, since=since)

    async def _with_uncounted(self, progress: Progress) -> Progress:
        """Return *progress* with what was deleted or restored just before the process died, and is not counted."""
        change, number = progress.change, progress.batches
        if change.action == "annotate":
            return progress
        owner, number = (change.id, number) if change.undoes is None else await self._book.first_batch(change.undoes)
        keys = await self._book.keys(owner, number)
        found = await self._store.get_many(keys)
        there = [key for key in keys if key in found.documents or key in found.damaged]
        gone = [key for key in keys if key not in there]
        done = there if change.undoes else gone
        if not done:
            return progress
        await self._book.put_keys(owner, number, gone)
        batches = progress.batches + (change.undoes is None)
        return progress._replace(change=change.plus(Tally(len(done))), batches=batches)

    async def _begin(self, progress: Progress, plan: Plan, what: RecordFilter | Iterable[RecordKey]) -> BulkChange:
        """Carry a change out in the background, from where it is."""
        change_id = progress.change.id
        saved, self._keepers[change_id] = await self._book.begin(progress, plan)
        self._current[change_id] = saved
        source = changed_runs(self._store, self._book, saved, plan, what)
        work = batch_work(self._store, self._book, self._clock, saved, plan)
        task = asyncio.create_task(self._carry_out(change_id, source, work))
        self._tasks[change_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(change_id, None))
        return saved.change

    async def _carry_out(self, change_id: str, source: AsyncGenerator[Changed], work: Work) -> None:
        """Carry a change out, and keep how it ends, whatever ends it."""
        try:
            await self._batch_by_batch(change_id, source, work)
        except ExecutionHistoryError as error:
            self._set(change_id, state="stopped", reason=message_of(error))
        except BaseException:  # the process ends: it says so as far as it can, and goes on ending
            await asyncio.shield(self._stopped(change_id))
            raise
        finally:
            await source.aclose()
        await self._end(change_id)

    async def _batch_by_batch(self, change_id: str, source: AsyncGenerator[Changed], work: Work) -> None:
        async for batch in source:
            before = self._current[change_id]
            if batch.matches is not None and before.batches == 0:  # when it began, the index may have been behind
                before = before.with_change(total=batch.matches, total_is_exact=True)
            change = before.change.plus(Tally(0, 0, len(batch.damaged), batch.reason, batch.left_alone))
            if batch.keys:
                change = change.plus(await work(batch.keys, before.batches))
            progress = self._current[change_id] = Progress(change, batch.after, before.batches + 1, before.version)
            saved = await self._book.save(progress)
            if saved is None:
                self._set(change_id, state="stopped", reason=STOPPED)
                return
            self._current[change_id] = saved
        progress = self._current[change_id]
        if progress.change.undoes is not None:  # only now: a store that refused is asked again
            await self._book.set_undone(progress.change.undoes)
            self._current.pop(progress.change.undoes, None)
        self._current[change_id] = progress._replace(change=progress.change.finished())

    def _set(self, change_id: str, *, state: State, reason: str | None) -> None:
        self._current[change_id] = self._current[change_id].with_change(state=state, reason=reason)

    async def _stopped(self, change_id: str) -> None:
        self._set(change_id, state="stopped", reason=STOPPED)
        await self._end(change_id)

    async def _end(self, change_id: str) -> None:
        """Keep how a change has ended; where that cannot be kept, this process goes on saying it, and why."""
        try:
            await self._book.finish(self._current[change_id])
        except StoreError as error:
            _log.warning("It could not be kept how the change %s of many runs has ended: %s", change_id, error)
            change = self._current[change_id].change
            self._set(change_id, state=change.state, reason=change.reason or message_of(error))
            return
        finally:
            await self._keepers.pop(change_id).release()
        del self._current[change_id]
        try:
            await self._book.forget_old()
        except StoreError as error:  # the next change forgets it
            _log.warning("Old changes of many runs could not be forgotten: %s", error)


def _is_readable(words: Mapping[str, list[str]], record_filter: RecordFilter) -> bool:
    """Return whether *words* mean *record_filter* again."""
    try:
        return filter_of(words, now=0) == record_filter
    except InvalidQuery:
        return False
