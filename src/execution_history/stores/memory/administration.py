"""What the memory store keeps besides records; see :mod:`execution_history.stores.administration`."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from execution_history.errors import StoreClosed
from execution_history.records.price_book import KIND, PriceBook
from execution_history.stores.administration import FEED_KEPT_MS, AuditEntry, Entry, EntryName
from execution_history.stores.listeners import ChangeNotifier
from execution_history.stores.protocol import Change


class MemoryAdministration(ChangeNotifier):
    """The half of the memory store that keeps everything but records.

    Args:
        clock: milliseconds since the epoch.
        uptime: milliseconds on a clock that is never set, for leases.
    """

    def __init__(self, clock: Callable[[], int], uptime: Callable[[], int]) -> None:
        self._clock = clock
        self._uptime = uptime
        self._lock = threading.RLock()
        self._closed = False
        self._revision = self._floor = 0
        self._deleted: list[tuple[Change, int]] = []
        self._leases: dict[str, int] = {}
        self._cursors: dict[str, int] = {}
        self._entries: dict[EntryName, Entry] = {}
        self._audit: list[AuditEntry] = []
        self._held: dict[str, tuple[str, int]] = {}
        self.prices = PriceBook()
        self._costs = self.prices.costs(
            lambda: [each.value for each in self._entries.values() if each.name.kind == KIND]
        )

    @contextmanager
    def _opened(self) -> Iterator[None]:
        """Keep other threads out for the time of a ``with`` block.

        Raises:
            StoreClosed: the store was closed.
        """
        with self._lock:
            if self._closed:
                raise StoreClosed("This history was closed; create a new service.")
            yield

    async def entry(self, kind: str, key: str) -> Entry | None:
        """See :meth:`Administration.entry`."""
        with self._opened():
            return self._entries.get(EntryName(kind, key))

    async def entries(self, kind: str, after: str = "", limit: int | None = None) -> list[Entry]:
        """See :meth:`Administration.entries`."""
        with self._opened():
            found = [each for each in self._entries.values() if each.name.kind == kind and each.name.key > after]
        return sorted(found, key=lambda entry: entry.name)[:limit]

    async def kinds(self) -> list[str]:
        """See :meth:`Administration.kinds`."""
        with self._opened():
            return sorted({name.kind for name in self._entries})

    async def put_entry(self, kind: str, key: str, value: bytes, *, expected: int | None = None) -> Entry | None:
        """See :meth:`Administration.put_entry`."""
        name = EntryName(kind, key)
        with self._opened():
            if expected not in (None, self._version(name)):
                return None
            # A removed entry exists again, and the feed has only its last change.
            self._deleted = [each for each in self._deleted if each[0].entry != name]
            self._revision += 1
            self.prices.forget()
            entry = self._entries[name] = Entry(name, value, self._revision)
        self._notify()
        return entry

    async def drop_entry(self, kind: str, key: str, *, expected: int | None = None) -> bool:
        """See :meth:`Administration.drop_entry`."""
        name = EntryName(kind, key)
        with self._opened():
            version = self._version(name)
            if not version or expected not in (None, version):
                return False
            del self._entries[name]
            self.prices.forget()
            self._revision += 1
            self._deleted.append((Change(self._revision, "registry", entry=name), self._clock()))
        self._notify()
        return True

    async def append_audit(self, actor: str, action: str, details: bytes = b"{}", *, at: int | None = None) -> int:
        """See :meth:`Administration.append_audit`."""
        with self._opened():
            time = self._clock() if at is None else at
            self._audit.append(AuditEntry(len(self._audit) + 1, time, actor, action, details))
            return len(self._audit)

    async def audit(self, after: int, limit: int) -> list[AuditEntry]:
        """See :meth:`Administration.audit`."""
        with self._opened():
            return self._audit[after : after + limit]

    async def lease(self, name: str, owner: str, ttl_ms: int) -> bool:
        """See :meth:`Administration.lease`."""
        with self._opened():
            now = self._uptime()
            holder, ends = self._held.get(name, (owner, now))
            if holder != owner and ends > now:
                return False
            self._held[name] = (owner, now + ttl_ms)
            return ttl_ms > 0

    async def renew_lease(self, owner: str, ttl_ms: int) -> None:
        """See :meth:`Administration.renew_lease`."""
        with self._opened():
            self._leases[owner] = self._uptime() + ttl_ms
            if ttl_ms <= 0:
                del self._leases[owner]

    async def leases(self) -> dict[str, int]:
        """See :meth:`Administration.leases`."""
        with self._opened():
            now = self._uptime()
            return {owner: ends - now for owner, ends in self._leases.items()}

    async def save_cursor(self, name: str, revision: int | None) -> None:
        """See :meth:`Administration.save_cursor`."""
        with self._opened():
            self._cursors.pop(name, None)
            if revision is not None:
                self._cursors[name] = revision

    async def cursors(self) -> dict[str, int]:
        """See :meth:`Administration.cursors`."""
        with self._opened():
            return dict(self._cursors)

    async def prune(self) -> int:
        """See :class:`~execution_history.stores.capabilities.Prunable`."""
        with self._opened():
            seen = min(self._cursors.values(), default=self._revision)
            before = self._clock() - FEED_KEPT_MS
            while self._deleted and self._deleted[0][0].revision <= seen and self._deleted[0][1] <= before:
                self._floor = self._deleted.pop(0)[0].revision
            return self._floor

    def _changed_entries(self, since: int, *, documents: bool) -> list[Change]:
        return [
            Change(each.version, "registry", document=each.value if documents else None, entry=each.name)
            for each in self._entries.values()
            if each.version > since
        ]

    def _version(self, name: EntryName) -> int:
        return self._entries[name].version if name in self._entries else 0
