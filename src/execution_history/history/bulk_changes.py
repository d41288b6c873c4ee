"""Changes of everything that matches a filter, in batches: deletions that can be undone, and annotations.

A change goes on in the background, and says how far it is. It touches only runs that were there when it began and have
not been changed by others since. What it was and how far it came is kept in the registry (kind ``bulk``), and so are
the keys of what it deleted (kind ``bulk_keys``, written before they are removed): another process, or this one after a
new start, can say how it ended and undo it. Memory holds one batch at a time.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Final

import orjson

from execution_history.errors import N_, ExecutionHistoryError, InvalidInput, message_of
from execution_history.history.annotations import Annotation, annotate_executions
from execution_history.history.bulk_change import Action, BulkChange, Tally
from execution_history.history.bulk_source import Changed, count_named, keys_matching, keys_named
from execution_history.history.registry import change_entry
from execution_history.query.fields import RecordFilter
from execution_history.query.model import PAGE_SECONDS, RecordKey, RecordQuery
from execution_history.records.time_units import DAY_MS
from execution_history.stores.administration import Entry, EntryName
from execution_history.stores.capabilities import Bin, follow_index
from execution_history.stores.protocol import HistoryStore

__all__ = ["KEPT_MS", "BulkChange", "BulkChanges"]

KEPT_MS: Final = DAY_MS
"""How long a deletion can be undone (milliseconds)."""

_CHANGES: Final = "bulk"
_KEYS: Final = "bulk_keys"
_SAVED_EVERY_MS: Final = 1_000
_DEAD_AFTER_MS: Final = 120_000
_CHUNKS: Final = 20
_LONGEST_ID: Final = 100
_STATES: Final = frozenset({"running", "done", "stopped", "undone"})
_STOPPED: Final = N_("It was stopped before its end.")
_DIED: Final = N_("The program that carried it out ended first.")

Source = AsyncGenerator[Changed]


Work = Callable[[list[RecordKey]], Awaitable[Tally]]


class BulkChanges:
    """Carries out changes of many runs of one history.

    Args:
        store: the history.
        clock: milliseconds since the epoch.
        named: puts ids in place of what a filter calls workflows.
    """

    def __init__(
        self, store: HistoryStore, clock: Callable[[], int], named: Callable[[RecordFilter], Awaitable[RecordFilter]]
    ) -> None:
        self._store, self._clock, self._named = store, clock, named
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._current: dict[str, BulkChange] = {}

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
        chosen = await self._named(what)
        found = await self._store.select(RecordQuery(filter=chosen, size=1, summaries=True, wait_seconds=wait_seconds))
        return found.total, found.total_is_exact and found.reach.is_complete

    async def delete(self, what: RecordFilter | Iterable[RecordKey]) -> BulkChange:
        """Begin to delete the runs that match, or that are named; they can be restored for a day.

        Raises:
            InvalidQuery: the filter has a text, and the store has no text search.
            StoreError: the store could not be read or written.
        """
        change, store = await self._new("delete", what), self._store
        if isinstance(store, Bin):
            change = replace(change, ends=change.began + KEPT_MS)
        number = 0

        async def discard(keys: list[RecordKey]) -> Tally:
            nonlocal number
            if isinstance(store, Bin):
                number += 1
                name = f"{change.id}/{number:08}"
                await store.put_entry(_KEYS, name, _bytes_of(keys))
                gone = await store.discard(keys, KEPT_MS)
                if len(gone) < len(keys):  # what others deleted before is theirs to restore
                    await store.put_entry(_KEYS, name, _bytes_of(gone))
            else:
                gone = await store.delete_many(keys, len(keys))
            return Tally(len(gone), len(keys) - len(gone))

        return await self._begin(change, await self._source(what), discard)

    async def annotate(self, what: RecordFilter | Iterable[RecordKey], annotation: Annotation) -> BulkChange:
        """Begin to note *annotation* about the runs that match, or that are named.

        Raises:
            InvalidQuery: the filter has a text, and the store has no text search.
            StoreError: the store could not be read or written.
        """

        async def note(keys: list[RecordKey]) -> Tally:
            report = await annotate_executions(self._store, keys, annotation, clock=self._clock)
            reason = report.refused[0].reason if report.refused else None
            return Tally(report.changed, report.unchanged, len(report.refused), reason)

        return await self._begin(await self._new("annotate", what), await self._source(what), note)

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
            raise InvalidInput("This deletion cannot be undone any more: it is kept for 24 hours.")
        return deletion, store

    async def undo(self, change_id: str) -> BulkChange:
        """Begin to restore what the deletion *change_id* removed; the change that is returned has an id of its own.

        A run whose id is taken again stays deleted.

        Raises:
            InvalidInput: it was no deletion, goes on, was undone already, or was too long ago.
            StoreError: the store could not be read or written.
        """
        deletion, store = await self.undoable(change_id)
        change = replace(await self._new("restore", ()), total=deletion.changed)

        async def restore(keys: list[RecordKey]) -> Tally:
            restored = await store.restore(keys)
            return Tally(len(restored), len(keys) - len(restored))

        async def restored() -> None:  # only now: a store that refused is asked again
            await self._save(replace(deletion, state="undone"))
            self._current.pop(deletion.id, None)

        return await self._begin(change, self._deleted(change_id), restore, restored)

    async def stop(self, change_id: str) -> None:
        """End a change that goes on, in this process or in another one, after the batch that is under way."""

        def stopped(entry: Entry | None) -> bytes | None:
            change = None if entry is None else _change_of(entry.value)
            if entry is None or change is None or not change.is_running:
                return None if entry is None else entry.value
            return orjson.dumps(replace(change, state="stopped", reason=_STOPPED))

        await change_entry(self._store, EntryName(_CHANGES, change_id), stopped)

    async def find(self, change_id: str) -> BulkChange | None:
        """Return a change as far as it has come; ``None`` for one that is unknown or long over.

        Raises:
            StoreError: the store could not be read.
        """
        if change_id in self._current:
            return self._current[change_id]
        await self._store.open()
        entry = await self._store.entry(_CHANGES, change_id) if 0 < len(change_id) <= _LONGEST_ID else None
        if entry is None:
            return None
        change = _change_of(entry.value)
        if change is not None and change.is_running and change.updated < self._clock() - _DEAD_AFTER_MS:
            return replace(change, state="stopped", reason=_DIED)
        return change

    async def wait(self, change_id: str, seconds: float | None = None) -> BulkChange | None:
        """Return a change when it is over, or after so many *seconds*; at once for one of another process."""
        task = self._tasks.get(change_id)
        if task is not None and task.get_loop() is asyncio.get_running_loop():
            await asyncio.wait((task,), timeout=seconds)
        return await self.find(change_id)

    def running(self) -> list[BulkChange]:
        """Return the changes that this process is carrying out, the newest last."""
        return [change for change in self._current.values() if change.is_running]

    async def aclose(self) -> None:
        """Stop what goes on in this event loop, and return when it has stopped."""
        loop = asyncio.get_running_loop()
        tasks = {change_id: task for change_id, task in self._tasks.items() if task.get_loop() is loop}
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        for change_id in tasks:  # one that had not even begun has kept nothing of its end
            await self.stop(change_id)

    async def _new(self, action: Action, what: RecordFilter | Iterable[RecordKey]) -> BulkChange:
        await self._store.open()
        total, is_exact = 0, True
        if isinstance(what, RecordFilter):
            total, is_exact = await self.count(what, PAGE_SECONDS)
        now = self._clock()
        return BulkChange(
            id=secrets.token_urlsafe(9), action=action, total=total, total_is_exact=is_exact, began=now, updated=now
        )

    async def _source(self, what: RecordFilter | Iterable[RecordKey]) -> Source:
        if not isinstance(what, RecordFilter):
            return keys_named(what)
        return keys_matching(self._store, await self._named(what), await self._store.revision())

    async def _begin(
        self, change: BulkChange, source: Source, work: Work, then: Callable[[], Awaitable[None]] | None = None
    ) -> BulkChange:
        version = await self._save(change)
        task = asyncio.create_task(self._perform(change, version, source, work, then))
        self._tasks[change.id] = task

        def forget(_: asyncio.Task[None]) -> None:
            self._tasks.pop(change.id, None)
            self._current.pop(change.id, None)

        task.add_done_callback(forget)
        return change

    async def _perform(
        self, change: BulkChange, version: int, source: Source, work: Work, then: Callable[[], Awaitable[None]] | None
    ) -> None:
        """Do *work* batch by batch, and keep how far it is; whatever ends it, that is kept too."""
        try:
            async for batch in source:
                change = change.plus(Tally(0, 0, len(batch.damaged), batch.reason))
                if batch.keys:
                    change = change.plus(await work(batch.keys))
                self._current[change.id] = change
                if self._clock() - change.updated >= _SAVED_EVERY_MS:
                    change = replace(change, updated=self._clock())
                    entry = await self._store.put_entry(_CHANGES, change.id, orjson.dumps(change), expected=version)
                    if entry is None:  # somebody has stopped it
                        change = replace(change, state="stopped", reason=_STOPPED)
                        break
                    version = entry.version
            else:
                total = change.changed + change.unchanged + change.refused
                change = replace(change, state="done", total=total, total_is_exact=True)
                if then is not None:
                    await then()
        except ExecutionHistoryError as error:
            change = replace(change, state="stopped", reason=message_of(error))
        except BaseException:  # the process ends: it says so as far as it can, and goes on ending
            await asyncio.shield(self._save(replace(change, state="stopped", reason=_STOPPED)))
            raise
        finally:
            await source.aclose()
        await self._save(change)
        await self._forget_old()

    async def _save(self, change: BulkChange) -> int:
        """Keep how far a change is, whatever was kept of it; return the version of that."""
        saved = self._current[change.id] = replace(change, updated=self._clock())
        entry = await self._store.put_entry(_CHANGES, change.id, orjson.dumps(saved))
        return 0 if entry is None else entry.version

    async def _deleted(self, change_id: str) -> Source:
        """Yield the keys of what a deletion removed, chunk by chunk, and forget each when it was restored."""
        after = f"{change_id}/"
        while chunks := await self._chunks(change_id, after):
            for name, keys in chunks:
                yield Changed(keys)
                await self._store.drop_entry(_KEYS, name)
                after = name

    async def _chunks(self, change_id: str, after: str) -> list[tuple[str, list[RecordKey]]]:
        found = await self._store.entries(_KEYS, after, _CHUNKS)
        own = [each for each in found if each.name.key.startswith(f"{change_id}/")]
        return [(each.name.key, [RecordKey(*pair) for pair in orjson.loads(each.value)]) for each in own]

    async def _forget_old(self) -> None:
        """Forget the changes that nobody can undo any more."""
        for entry in await self._store.entries(_CHANGES):
            change = _change_of(entry.value)
            if change is not None and change.updated + KEPT_MS < self._clock():
                while chunks := await self._chunks(change.id, f"{change.id}/"):
                    await asyncio.gather(*(self._store.drop_entry(_KEYS, name) for name, _ in chunks))
                await self._store.drop_entry(_CHANGES, change.id)


def _bytes_of(keys: Iterable[RecordKey]) -> bytes:
    return orjson.dumps([tuple(key) for key in keys])


def _change_of(value: bytes) -> BulkChange | None:
    """Return the change that an entry holds; ``None`` where it holds none, whoever wrote it."""
    try:
        kept = orjson.loads(value)
        change = BulkChange(**{name: kept[name] for name in BulkChange.__dataclass_fields__ if name in kept})
        times = (change.began, change.updated, change.ends or 0)
        return change if change.state in _STATES and all(isinstance(each, int) for each in times) else None
    except (ValueError, TypeError):
        return None
