"""What ``history.db`` keeps that is not a record; see :mod:`execution_history.stores.administration`."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Final, TypeVar

from execution_history.stores.administration import AuditEntry, Entry, EntryName
from execution_history.stores.listeners import Watchers
from execution_history.stores.sqlite.administration_transaction import AdministrationTransaction
from execution_history.stores.sqlite.boot_clock import boot_id, boot_ms
from execution_history.stores.sqlite.queries import query
from execution_history.stores.sqlite.store_parts import StoreParts

_Result = TypeVar("_Result")
_AT_ONCE: Final = 500


class SQLiteAdministration:
    """The half of the embedded store that keeps what is not a record."""

    _watchers: Watchers
    _clock: Callable[[], int]

    @property
    @abstractmethod
    def _parts(self) -> StoreParts:
        """The parts of the open store."""

    async def entry(self, kind: str, key: str) -> Entry | None:
        """See :meth:`Administration.entry`."""
        found = await self._rows("entry", kind, key)
        return Entry(EntryName(kind, key), *found[0]) if found else None

    async def entries(self, kind: str, after: str = "", limit: int | None = None) -> list[Entry]:
        """See :meth:`Administration.entries`."""
        found = await self._rows("entries", kind, after, -1 if limit is None else limit)
        return [Entry(EntryName(kind, key), value, version) for key, value, version in found]

    async def put_entry(self, kind: str, key: str, value: bytes, *, expected: int | None = None) -> Entry | None:
        """See :meth:`Administration.put_entry`."""
        entry = await self._write(lambda t: t.put_entry(EntryName(kind, key), value, expected))
        self._watchers.tell()
        return entry

    async def drop_entry(self, kind: str, key: str, *, expected: int | None = None) -> bool:
        """See :meth:`Administration.drop_entry`."""
        is_dropped = await self._write(lambda t: t.drop_entry(EntryName(kind, key), expected))
        self._watchers.tell()
        return is_dropped

    async def append_audit(self, actor: str, action: str, details: bytes = b"{}") -> int:
        """See :meth:`Administration.append_audit`."""
        return await self._write(lambda t: t.append_audit(actor, action, details))

    async def audit(self, after: int, limit: int) -> list[AuditEntry]:
        """See :meth:`Administration.audit`."""
        return [AuditEntry(*row) for row in await self._rows("audit", after, limit)]

    async def lease(self, name: str, owner: str, ttl_ms: int) -> bool:
        """See :meth:`Administration.lease`."""
        return await self._write(lambda t: t.lease(name, owner, ttl_ms))

    async def renew_lease(self, owner: str, ttl_ms: int) -> None:
        """See :meth:`Administration.renew_lease`."""
        await self._write(lambda t: t.renew_lease(owner, ttl_ms))

    async def leases(self) -> dict[str, int]:
        """See :meth:`Administration.leases`."""
        rows, now = await self._rows("leases"), self._clock()
        return {owner: _remaining(expires, boot, ends, now) for owner, expires, boot, ends in rows}

    async def save_cursor(self, name: str, revision: int | None) -> None:
        """See :meth:`Administration.save_cursor`."""
        if revision is None:
            await self._write(lambda t: t.run("drop_cursor", name))
        else:
            await self._write(lambda t: t.run("save_cursor", name, revision))

    async def cursors(self) -> dict[str, int]:
        """See :meth:`Administration.cursors`."""
        return dict(await self._rows("cursors"))

    async def prune(self) -> int:
        """See :class:`~execution_history.stores.capabilities.Prunable`."""
        while await self._write(lambda t: t.prune(_AT_ONCE)):
            pass
        return int((await self._rows("feed_floor"))[0][0])

    async def _write(self, work: Callable[[AdministrationTransaction], _Result]) -> _Result:
        return await self._parts.writer.submit(lambda transaction: work(transaction.administration))

    async def _rows(self, name: str, *values: int | str) -> list[tuple[Any, ...]]:
        return await self._parts.reader.in_thread(lambda c: c.execute(query(name), values).fetchall())


def _remaining(expires: int, boot: str, ends: int, now: int) -> int:
    """Return how much remains of a lease that ends at *expires* by the system's time and at *ends* since *boot*."""
    if boot and boot == boot_id():
        return ends - boot_ms()
    # Of an earlier start of the machine it is over, whatever time it is; without any, only the system's time tells.
    return min(0, expires - now) if boot else expires - now
