"""What ``history.db`` keeps besides records; see :mod:`execution_history.stores.administration`."""

import asyncio
from typing import Final

from execution_history.clock import boot_id
from execution_history.stores.administration import ADMISSION_KINDS, KEY_USE, AuditEntry, Entry, EntryName
from execution_history.stores.sqlite.boot_clock import boot_ms
from execution_history.stores.sqlite.lifecycle import EmbeddedStore
from execution_history.stores.sqlite.retention import prune
from execution_history.stores.sqlite.write_transaction import WriteTransaction

_AT_ONCE: Final = 500
_COPIED_AT_ONCE: Final = ADMISSION_KINDS - {KEY_USE}


class SQLiteAdministration(EmbeddedStore):
    """The half of the embedded store that keeps everything but records."""

    async def entry(self, kind: str, key: str) -> Entry | None:
        """See :meth:`Administration.entry`."""
        found = await self._rows("entry", kind, key)
        return Entry(EntryName(kind, key), *found[0]) if found else None

    async def entries(self, kind: str, after: str = "", limit: int | None = None) -> list[Entry]:
        """See :meth:`Administration.entries`."""
        found = await self._rows("entries", kind, after, -1 if limit is None else limit)
        return [Entry(EntryName(kind, key), value, version) for key, value, version in found]

    async def kinds(self) -> list[str]:
        """See :meth:`Administration.kinds`."""
        return [kind for (kind,) in await self._rows("kinds")]

    async def put_entry(self, kind: str, key: str, value: bytes, *, expected: int | None = None) -> Entry | None:
        """See :meth:`Administration.put_entry`."""

        def put(t: WriteTransaction) -> Entry | None:
            if expected not in (None, _version(t, kind, key)):
                return None
            version = t.next_revision()
            t.run("save_entry", kind, key, value, version, t.clock())
            t.prices.forget()
            return Entry(EntryName(kind, key), value, version)

        entry = await self._write(put)
        if entry is not None:
            await self._copy_registry(kind)
        return entry

    async def drop_entry(self, kind: str, key: str, *, expected: int | None = None) -> bool:
        """See :meth:`Administration.drop_entry`."""

        def drop(t: WriteTransaction) -> bool:
            version = _version(t, kind, key)
            if not version or expected not in (None, version):
                return False
            t.run("save_entry", kind, key, None, t.next_revision(), t.clock())
            t.prices.forget()
            return True

        is_dropped = await self._write(drop)
        if is_dropped:
            await self._copy_registry(kind)
        return is_dropped

    async def _copy_registry(self, kind: str) -> None:
        """Have the copy of the registry follow a change: at once where it decides who comes in, or else in a moment."""
        copy = self._parts.registry
        if copy is None:
            return
        if kind in _COPIED_AT_ONCE:
            await asyncio.to_thread(copy.save)
        else:
            copy.save_soon()

    async def append_audit(self, actor: str, action: str, details: bytes = b"{}", *, at: int | None = None) -> int:
        """See :meth:`Administration.append_audit`."""
        writer, line = self._parts.writer, (actor, action, details)
        return await writer.submit(lambda t: int(t.run("append_audit", t.clock() if at is None else at, *line).get))

    async def audit(self, after: int, limit: int) -> list[AuditEntry]:
        """See :meth:`Administration.audit`."""
        return [AuditEntry(*row) for row in await self._rows("audit", after, limit)]

    async def lease(self, name: str, owner: str, ttl_ms: int) -> bool:
        """See :meth:`Administration.lease`; a restart of the machine ends every lease."""

        def take(t: WriteTransaction) -> bool:
            now, boot = boot_ms(), boot_id()
            held = t.run("named_lease", name).fetchone()
            if held and held[0] != owner and held[1] == boot and held[2] > now:
                return False
            t.run("save_named_lease", name, owner, boot, now + ttl_ms)
            return ttl_ms > 0

        # Others wait for a release, which a full disk must not keep from them.
        return await self._parts.writer.submit(take, makes_room=not ttl_ms)

    async def renew_lease(self, owner: str, ttl_ms: int) -> None:
        """See :meth:`Administration.renew_lease`."""
        times = (self._clock() + ttl_ms, boot_id(), boot_ms() + ttl_ms)
        statement = ("put_lease", owner, *times) if ttl_ms > 0 else ("drop_lease", owner)
        await self._parts.writer.submit(lambda t: t.run(*statement).get)

    async def leases(self) -> dict[str, int]:
        """See :meth:`Administration.leases`."""
        rows, now = await self._rows("leases"), self._clock()
        return {owner: remaining_ms(expires, boot, ends, now) for owner, expires, boot, ends in rows}

    async def save_cursor(self, name: str, revision: int | None) -> None:
        """See :meth:`Administration.save_cursor`."""
        statement = ("drop_cursor", name) if revision is None else ("save_cursor", name, revision)
        await self._parts.writer.submit(lambda t: t.run(*statement).get)

    async def cursors(self) -> dict[str, int]:
        """See :meth:`Administration.cursors`."""
        return dict(await self._rows("cursors"))

    async def prune(self) -> int:
        """See :class:`~execution_history.stores.capabilities.Prunable`."""
        while await self._parts.writer.submit(lambda t: prune(t, _AT_ONCE)):
            pass
        return int((await self._rows("feed_floor"))[0][0])


def _version(transaction: WriteTransaction, kind: str, key: str) -> int:
    """Return the version of an entry, 0 where there is none."""
    found = transaction.run("entry", kind, key).fetchone()
    return int(found[1]) if found else 0


def remaining_ms(expires: int, boot: str, ends: int, now: int) -> int:
    """Return the rest of a lease that ends at *expires* by the system's time, and at *ends* on the clock of *boot*."""
    if boot and boot == boot_id():
        return ends - boot_ms()
    # A lease of an earlier start of the machine has ended; without an id of the start, the system's time decides.
    return min(0, expires - now) if boot else expires - now
