"""What is kept of changes of many runs, in the registry: how far each is, its plan, and what it deleted.

| kind | key | value | kept |
|---|---|---|---|
| ``bulk`` | the change's id | how far it is | 30 days; a day beyond the newest thousand |
| ``bulk_plan`` | the change's id | what it needs to be carried on | a day |
| ``bulk_keys`` | id and number of the batch | the runs that a batch deletes, written before they are gone | a day |

Whoever carries a change out holds the lease ``bulk/ID``. One that is kept as going on, and whose lease anybody can
have, was interrupted: its process is gone.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import asdict
from typing import Final, get_args

import orjson

from execution_history.errors import N_, StoreBusy, StoreUnwritable
from execution_history.history.bulk_change import KEPT_MS, Action, BulkChange, Door, Plan, Progress, State
from execution_history.history.bulk_source import Changed
from execution_history.history.lease_keeper import LeaseKeeper
from execution_history.history.registry import change_entry
from execution_history.query.model import RecordKey
from execution_history.records.time_units import DAY_MS
from execution_history.stores.administration import Entry, EntryName
from execution_history.stores.protocol import HistoryStore

LEASE_MS: Final = 15_000
STOPPED: Final = N_("It was stopped before its end.")

_CHANGES: Final = "bulk"
_PLANS: Final = "bulk_plan"
_KEYS: Final = "bulk_keys"
_LISTED_MS: Final = 30 * DAY_MS
_MOST_LISTED: Final = 1_000
_CHUNKS: Final = 20
_LONGEST_ID: Final = 100
_WORDS: Final = {"action": get_args(Action), "state": get_args(State), "by": get_args(Door)}
_DIED: Final = N_("The program that carried it out ended first.")


class BulkLog:
    """Keeps the changes of one history, for all processes.

    Args:
        store: the history.
        clock: milliseconds since the epoch.
        lease_ms: how long a process that has died is taken for alive (milliseconds).
    """

    def __init__(self, store: HistoryStore, clock: Callable[[], int], lease_ms: int = LEASE_MS) -> None:
        self._store, self._clock, self._lease_ms = store, clock, lease_ms

    async def begin(self, progress: Progress, plan: Plan) -> tuple[Progress, LeaseKeeper]:
        """Keep a change that begins, or goes on, and return it with what keeps the right to carry it out.

        Raises:
            StoreBusy: another process carries it out, or has stopped it.
            StoreError: it could not be written.
        """
        change_id = progress.change.id
        keeper = LeaseKeeper(self._store, self._lease_ms, lambda: None)
        await keeper.keep(_lease(change_id))
        try:
            saved = await self.save(progress) if keeper.is_held else None
            if saved is not None and progress.version == 0:
                await self._store.put_entry(_PLANS, change_id, orjson.dumps(asdict(plan)))
        except BaseException:
            await keeper.release()
            raise
        if saved is None:
            await keeper.release()
            raise keeper.trouble or StoreBusy("This change has just been carried on or stopped elsewhere.")
        return saved, keeper

    async def save(self, progress: Progress) -> Progress | None:
        """Keep how far a change is; ``None``, and nothing is kept, where somebody else has changed that meanwhile."""
        saved = progress.with_change(updated=self._clock())
        name = EntryName(_CHANGES, saved.change.id)
        entry = await self._store.put_entry(*name, _bytes_of(saved), expected=saved.version)
        return None if entry is None else saved._replace(version=entry.version)

    async def finish(self, progress: Progress) -> None:
        """Keep how a change ended, also where somebody has said meanwhile that it is stopped."""
        ended = progress.with_change(updated=self._clock())

        def finished(entry: Entry | None) -> bytes:
            kept = None if entry is None else _progress_of(entry)
            if entry is not None and kept is not None and kept.change.is_running and kept.version != progress.version:
                return entry.value  # another process carries it on
            return _bytes_of(ended)

        await change_entry(self._store, EntryName(_CHANGES, progress.change.id), finished)

    async def find(self, change_id: str) -> Progress | None:
        """Return a change as far as it has come; ``None`` for one that is unknown or long over."""
        await self._store.open()
        entry = await self._store.entry(_CHANGES, change_id) if 0 < len(change_id) <= _LONGEST_ID else None
        progress = None if entry is None else _progress_of(entry)
        return None if progress is None else await self._as_it_is(progress)

    async def all(self, limit: int) -> list[BulkChange]:
        """Return the newest changes, at most *limit*, the newest first."""
        await self._store.open()
        found = [progress for _, progress in await self._kept() if progress is not None]
        return [(await self._as_it_is(progress)).change for progress in found[:limit]]

    async def stop(self, change_id: str) -> None:
        """Say of a change that goes on, in whatever process, that it is stopped."""

        def stopped(entry: Entry | None) -> bytes | None:
            progress = None if entry is None else _progress_of(entry)
            if entry is None or progress is None or not progress.change.is_running:
                return None if entry is None else entry.value
            return orjson.dumps(orjson.loads(entry.value) | {"state": "stopped", "reason": STOPPED})

        await change_entry(self._store, EntryName(_CHANGES, change_id), stopped)

    async def set_undone(self, change_id: str) -> None:
        """Say of a deletion that it was undone."""

        def undone(entry: Entry | None) -> bytes | None:
            return None if entry is None else orjson.dumps(orjson.loads(entry.value) | {"state": "undone"})

        await change_entry(self._store, EntryName(_CHANGES, change_id), undone)

    async def plan(self, change_id: str) -> Plan | None:
        """Return what a change needs to be carried on; ``None`` where that is not kept any more."""
        entry = await self._store.entry(_PLANS, change_id)
        try:
            return None if entry is None else Plan(**orjson.loads(entry.value))
        except (ValueError, TypeError):
            return None

    async def put_keys(self, change_id: str, number: int, keys: Iterable[RecordKey]) -> None:
        """Keep the runs that the batch of this *number* deletes."""
        await self._store.put_entry(_KEYS, _batch(change_id, number), orjson.dumps([tuple(key) for key in keys]))

    async def keys(self, change_id: str, number: int) -> list[RecordKey]:
        """Return the runs that the batch of this *number* deletes; none where there is no such batch."""
        entry = await self._store.entry(_KEYS, _batch(change_id, number))
        return [] if entry is None else _keys_of(entry)

    async def first_batch(self, change_id: str) -> tuple[str, int]:
        """Return a deletion, and the number of its first batch that was not restored; 0 where all were."""
        batches = await self._batches(change_id, f"{change_id}/")
        return change_id, int(batches[0].name.key.rpartition("/")[2]) if batches else 0

    async def deleted(self, change_id: str) -> AsyncGenerator[Changed]:
        """Yield the runs that a deletion removed, batch by batch, and forget each when it was restored."""
        after = f"{change_id}/"
        while batches := await self._batches(change_id, after):
            for entry in batches:
                yield Changed(_keys_of(entry))
                await self._store.drop_entry(*entry.name)
                after = entry.name.key

    async def forget_old(self) -> None:
        """Forget what nobody can undo or carry on any more, and the changes that are too old to be listed."""
        now = self._clock()
        for number, (entry, progress) in enumerate(await self._kept()):
            kept_ms = _LISTED_MS if number < _MOST_LISTED else KEPT_MS
            if progress is not None and progress.change.updated + kept_ms < now:
                await self._store.drop_entry(*entry.name)
        for plan in await self._store.entries(_PLANS):
            change_id = plan.name.key
            kept = await self._store.entry(_CHANGES, change_id)
            progress = None if kept is None else _progress_of(kept)
            if progress is not None and now <= max(progress.change.updated + KEPT_MS, progress.change.ends or 0):
                continue
            while batches := await self._batches(change_id, f"{change_id}/"):
                await asyncio.gather(*(self._store.drop_entry(*entry.name) for entry in batches))
            await self._store.drop_entry(_PLANS, change_id)

    async def _kept(self) -> list[tuple[Entry, Progress | None]]:
        """Return all entries of changes, the newest first, each with what it says."""
        found = [(entry, _progress_of(entry)) for entry in await self._store.entries(_CHANGES)]
        return sorted(found, key=lambda each: each[1].change.began if each[1] else 0, reverse=True)

    async def _as_it_is(self, progress: Progress) -> Progress:
        """Return *progress* as interrupted where no process carries the change out any more."""
        change = progress.change
        if not change.is_running:
            return progress
        try:
            if not await self._store.lease(_lease(change.id), looker := secrets.token_hex(8), 1):
                return progress
            await self._store.lease(_lease(change.id), looker, 0)
        except StoreUnwritable:  # who may only read takes the word of the last writer, as long as it is fresh
            if change.updated > self._clock() - 2 * self._lease_ms:
                return progress
        return progress.with_change(state="interrupted", reason=_DIED)

    async def _batches(self, change_id: str, after: str) -> list[Entry]:
        found = await self._store.entries(_KEYS, after, _CHUNKS)
        return [each for each in found if each.name.key.startswith(f"{change_id}/")]


def _lease(change_id: str) -> str:
    return f"{_CHANGES}/{change_id}"


def _batch(change_id: str, number: int) -> str:
    return f"{change_id}/{number:08}"


def _bytes_of(progress: Progress) -> bytes:
    return orjson.dumps(asdict(progress.change) | {"after": progress.after, "batches": progress.batches})


def _keys_of(entry: Entry) -> list[RecordKey]:
    return [RecordKey(*pair) for pair in orjson.loads(entry.value)]


def _progress_of(entry: Entry) -> Progress | None:
    """Return the change that an entry holds; ``None`` where it holds none, whoever wrote it."""
    try:
        kept = orjson.loads(entry.value)
        change = BulkChange(**{name: kept[name] for name in BulkChange.__dataclass_fields__ if name in kept})
        progress = Progress(change, kept.get("after"), kept.get("batches", 0), entry.version)
        numbers = (change.began, change.updated, change.ends or 0, change.reached, progress.batches)
        is_known = all(getattr(change, name) in words for name, words in _WORDS.items())
    except (ValueError, TypeError):
        return None
    is_known &= all(isinstance(each, dict | None) for each in (change.filters, change.annotation))
    return progress if is_known and all(isinstance(each, int) for each in numbers) else None
