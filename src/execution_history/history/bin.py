"""Deleted runs that can be restored for a while: listed, restored and removed for good.

A store that keeps none (:class:`~execution_history.stores.capabilities.Bin`) removes at once.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

import orjson

from execution_history.access.audit import MOST_NOTED, Action, note
from execution_history.errors import InvalidCursor
from execution_history.query.fields import RecordFilter
from execution_history.query.model import MAX_SIZE, RecordKey, RecordQuery
from execution_history.stores.capabilities import Bin, Binned, remove
from execution_history.stores.protocol import HistoryStore

_BATCH: Final = 500
_LATEST: Final = 2**53  # milliseconds: what every reader of JSON has as a number


@dataclass(frozen=True, slots=True)
class BinPage:
    """Some deleted runs, the last deleted first.

    Attributes:
        entries: the runs.
        total: how many there are.
        bytes: how many bytes of JSON they have together.
        keep_ms: how long a run that is deleted now can be restored (milliseconds); 0: not at all.
        has_more: whether more follow.
        next: the cursor of the next page; ``None`` at the end.
    """

    entries: tuple[Binned, ...] = ()
    total: int = 0
    bytes: int = 0
    keep_ms: int = 0
    has_more: bool = False
    next: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return all fields, the entries as objects with their ids."""
        entries = [
            {
                **entry.key._asdict(),
                "size": entry.size,
                "deleted_at": entry.deleted_at,
                "ends": entry.ends,
                "rule": entry.rule,
            }
            for entry in self.entries
        ]
        return {**asdict(self), "entries": entries}


class RunBin:
    """The deleted runs of one history.

    Args:
        store: the history.
    """

    def __init__(self, store: HistoryStore) -> None:
        self._store = store

    async def page(self, after: str | None = None, limit: int = MAX_SIZE) -> BinPage:
        """Return at most *limit* runs, those behind the cursor *after*.

        Raises:
            InvalidCursor: *after* is none.
            StoreError: the store could not be read.
        """
        place = None if after is None else _place_of(after)
        await self._store.open()
        if not isinstance(self._store, Bin):
            return BinPage()
        found = await self._store.binned(place, limit + 1)
        total, size = await self._store.bin_size()
        entries, has_more = tuple(found[:limit]), len(found) > limit
        cursor = _cursor_at(entries[-1]) if has_more else None
        return BinPage(entries, total, size, self._store.bin_ms, has_more, cursor)

    async def delete(self, keys: Collection[RecordKey], *, forever: bool = False) -> list[RecordKey]:
        """Remove runs, into the bin unless *forever*; return those that were removed.

        Raises:
            StoreError: they could not be removed.
        """
        await self._store.open()
        return await remove(self._store, dict.fromkeys(keys), 0 if forever else self._keep_ms)

    async def clear(self, workflow_id: str, *, forever: bool = False) -> bool:
        """Remove all runs of a workflow that are there now; return whether there were any.

        They go into the bin one after the other; only *forever* removes them all at once.

        Raises:
            StoreError: the store could not be read or written; what was removed before stays so.
        """
        store = self._store
        await store.open()
        if forever or not self._keep_ms:
            return await store.clear(workflow_id)
        what = RecordFilter(workflow_ids=(workflow_id,))
        query = RecordQuery(filter=what, size=MAX_SIZE, descending=False, summaries=True)
        is_there = False
        while True:
            found = await store.select(query)
            keys = [_key_of(body) for body in found.documents] + list(found.damaged)
            gone = await remove(store, dict.fromkeys(keys), self._keep_ms)
            is_there = is_there or bool(gone)
            if not gone:
                # A damaged run cannot be restored either.
                return await store.clear(workflow_id) or is_there if found.damaged else is_there

    async def restore(self, keys: Iterable[RecordKey]) -> list[RecordKey]:
        """Restore runs as they were; return those that were restored.

        A run that is not in the bin any more or is damaged, or whose id is taken by another one, is left out.

        Raises:
            StoreError: the store could not be read or written.
        """
        await self._store.open()
        if not isinstance(self._store, Bin):
            return []
        named, restored = list(dict.fromkeys(keys)), []
        if len(named) <= MOST_NOTED:  # those that the audit log names are there
            there = await self._store.binned_documents(named)
            named = [key for key in named if key in there]
        if named:
            await note(self._store, Action.UNDELETE, runs=len(named), first=named[:MOST_NOTED])
        for start in range(0, len(named), _BATCH):
            restored += await self._store.restore(named[start : start + _BATCH])
        return restored

    async def empty(self, keys: Collection[RecordKey] | None = None) -> int:
        """Remove deleted runs for good, all of them unless *keys* names some; return how many.

        Raises:
            StoreError: the store could not be read or written.
        """
        await self._store.open()
        store = self._store
        if not isinstance(store, Bin):
            return 0
        there = {entry.key for entry in await store.binned()}
        chosen = [key for key in (there if keys is None else dict.fromkeys(keys)) if key in there]
        if chosen:
            await note(store, Action.BIN_EMPTIED, runs=len(chosen), first=chosen[:MOST_NOTED])
        for start in range(0, len(chosen), _BATCH):
            await store.empty_bin(chosen[start : start + _BATCH])
        return len(chosen)

    async def find(self, execute_id: str, workflow_id: str | None = None) -> list[Binned]:
        """Return the deleted runs with an id, or a beginning of it, in one workflow or in all.

        Raises:
            StoreError: the store could not be read.
        """
        await self._store.open()
        found = await self._store.binned() if isinstance(self._store, Bin) else []
        return [
            entry
            for entry in found
            if entry.key.execute_id.startswith(execute_id) and workflow_id in (None, entry.key.workflow_id)
        ]

    async def of_workflow(self, workflow_id: str | None) -> list[RecordKey]:
        """Return the deleted runs of a workflow, or of all.

        Raises:
            StoreError: the store could not be read.
        """
        await self._store.open()
        found = await self._store.binned() if isinstance(self._store, Bin) else []
        return [entry.key for entry in found if workflow_id in (None, entry.key.workflow_id)]

    @property
    def _keep_ms(self) -> int:
        return self._store.bin_ms if isinstance(self._store, Bin) else 0


def _cursor_at(entry: Binned) -> str:
    return urlsafe_b64encode(orjson.dumps([entry.deleted_at, *entry.key])).decode()


def _place_of(cursor: str) -> Binned:
    """Return the place of a cursor, of which only the time and the ids matter.

    Raises:
        InvalidCursor: it is none.
    """
    try:
        deleted_at, workflow_id, execute_id = orjson.loads(urlsafe_b64decode(cursor))
        is_place = type(deleted_at) is int and isinstance(workflow_id, str) and isinstance(execute_id, str)
        if not is_place or not 0 <= deleted_at <= _LATEST:
            raise TypeError  # noqa: TRY301 - as for what is no list of three
    except (ValueError, TypeError):
        raise InvalidCursor("This cursor is broken: begin with the first page.") from None
    return Binned(RecordKey(workflow_id, execute_id), 0, deleted_at, 0)


def _key_of(body: bytes) -> RecordKey:
    record = orjson.loads(body)
    return RecordKey(record["workflow_id"], record["execute_id"])
