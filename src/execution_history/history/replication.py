"""What copies and followers of a history need of it: the feed with documents, records by ids, the registry, a place.

A follower keeps its place in the change feed under a name, and a lease of the same name lets one process at a time do
its work (:mod:`execution_history.stores.administration`).
"""

from collections.abc import Callable, Collection, Iterable

from execution_history.history.reader import HistoryReading
from execution_history.metrics import READ_SECONDS
from execution_history.query.model import RecordKey
from execution_history.records.record import Document
from execution_history.stores.administration import AuditEntry, Entry, EntryName
from execution_history.stores.capabilities import Bin, Located, Watched
from execution_history.stores.protocol import Change, FoundRecords, MergeReport


class HistoryReplication(HistoryReading):
    """The part of a history that copies and followers use; the first call opens the store."""

    @property
    def location(self) -> str | None:
        """The name of the store, the same in every process of this machine; ``None`` where only this one has it."""
        return self.store.location if isinstance(self.store, Located) else None

    def is_same(self, other: "HistoryReplication") -> bool:
        """Return whether *other* is a history in the same store, by whatever name."""
        return self.store is other.store or (self.location is not None and self.location == other.location)

    async def changes(self, since: int, limit: int, *, documents: bool = False) -> list[Change]:
        """Return at most *limit* changes after the revision *since*, in order, *documents* with the stored bytes.

        Raises:
            FeedExpired: deletions after *since* have been forgotten.
            StoreError: the store could not be read.
        """
        store = await self._opened()
        with READ_SECONDS.timed("changes"):
            return await store.changes(since, limit, documents=documents)

    async def get_many(self, keys: Collection[RecordKey]) -> FoundRecords:
        """Return those of the records *keys* that exist, as stored bytes, all from one moment.

        Raises:
            StoreError: the store could not be read.
        """
        return await (await self._opened()).get_many(keys)

    async def entry(self, name: EntryName) -> Entry | None:
        """Return an entry of the registry, or ``None``.

        Raises:
            StoreError: the store could not be read.
        """
        return await (await self._opened()).entry(*name)

    async def registry(self) -> list[Entry]:
        """Return all entries of the registry, in the order of their kinds and keys.

        Raises:
            StoreError: the store could not be read.
        """
        store = await self._opened()
        return [entry for kind in await store.kinds() for entry in await store.entries(kind)]

    async def entries(self, kind: str) -> list[Entry]:
        """Return the entries of a kind, in the order of their keys.

        Raises:
            StoreError: the store could not be read.
        """
        return await (await self._opened()).entries(kind)

    async def audit(self, after: int, limit: int) -> list[AuditEntry]:
        """Return at most *limit* lines of the audit log after the number *after*, in their order.

        Raises:
            StoreError: the store could not be read.
        """
        return await (await self._opened()).audit(after, limit)

    async def append_audit(self, actor: str, action: str, details: bytes = b"{}", *, at: int | None = None) -> int:
        """Add a line to the audit log, one that is restored with its time (ms); return its number.

        Raises:
            StoreError: it could not be written.
        """
        return await (await self._opened()).append_audit(actor, action, details, at=at)

    async def take_over(self, documents: Iterable[Document]) -> MergeReport:
        """Merge records as :meth:`~execution_history.history.service.ExecutionHistoryService.merge` does, and no more.

        Nothing is learned from them, as the registry comes from the same place; what follows is not flushed.

        Raises:
            StoreError: the records could not be written.
        """
        return await (await self._opened()).merge(documents, settle=False)

    async def put_entry(self, name: EntryName, value: bytes, *, expected: int | None) -> Entry | None:
        """Store *value* in the registry if the entry has the version *expected* (0: none; ``None``: any).

        Return the entry; ``None`` where it has another version.

        Raises:
            StoreError: it could not be written.
        """
        return await (await self._opened()).put_entry(*name, value, expected=expected)

    async def drop_entry(self, name: EntryName, *, expected: int) -> bool:
        """Remove an entry of the registry if it has the version *expected*; return whether it had.

        Raises:
            StoreError: it could not be removed.
        """
        return await (await self._opened()).drop_entry(*name, expected=expected)

    async def count_binned(self) -> int:
        """Return how many deleted records can be restored.

        Raises:
            StoreError: the store could not be read.
        """
        store = await self._opened()
        return (await store.bin_size())[0] if isinstance(store, Bin) else 0

    async def place_of(self, follower: str) -> int | None:
        """Return the revision up to which a *follower* has followed; ``None`` where it has no place.

        Raises:
            StoreError: the store could not be read.
        """
        return (await self.places()).get(follower)

    async def places(self) -> dict[str, int]:
        """Return the followers that have a place, each with the revision up to which it has followed.

        Raises:
            StoreError: the store could not be read.
        """
        return await (await self._opened()).cursors()

    async def count_recorders(self) -> int:
        """Return how many programs record into the history and have a lease that has not ended.

        Raises:
            StoreError: the store could not be read.
        """
        return sum(left > 0 for left in (await (await self._opened()).leases()).values())

    async def save_place(self, follower: str, revision: int | None) -> None:
        """Store the place of a *follower*; ``None`` ends it, and the feed keeps no deletions for it any more.

        Raises:
            StoreError: it could not be written.
        """
        await (await self._opened()).save_cursor(follower, revision)

    async def lease(self, work: str, owner: str, ttl_ms: int) -> bool:
        """Take or renew the lease of *work* for *ttl_ms* milliseconds, 0 to release it; return whether *owner* has it.

        Raises:
            StoreError: it could not be written.
        """
        return await (await self._opened()).lease(work, owner, ttl_ms)

    def on_change(self, call: Callable[[], None]) -> Callable[[], None]:
        """Call *call* soon after changes, from any thread, where the store can; return a function that ends it."""
        return self.store.on_change(call) if isinstance(self.store, Watched) else lambda: None
