"""What the database keeps besides records; see :mod:`execution_history.stores.administration`.

These statements are few, so each is a transaction of its own, on a connection of the pool.
"""

import contextlib
from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

from execution_history.errors import StoreError
from execution_history.stores.administration import AuditEntry, Entry, EntryName
from execution_history.stores.postgres.change_log import log_changes
from execution_history.stores.postgres.commit import ADD_LONG_TEXTS
from execution_history.stores.postgres.connections import Connection
from execution_history.stores.postgres.lifecycle import SharedStore
from execution_history.stores.postgres.long_texts import restored
from execution_history.stores.postgres.queries import insert_rows
from execution_history.stores.postgres.retention import tidy
from execution_history.stores.postgres.stored_texts import escaped, is_shortened, stored_text, text_of

_Result = TypeVar("_Result")


class PostgresAdministration(SharedStore):
    """The half of the shared store that keeps everything but records."""

    async def entry(self, kind: str, key: str) -> Entry | None:
        """See :meth:`Administration.entry`."""
        found = await self._rows("entry", stored_text(kind), stored_text(key))
        return Entry(EntryName(kind, key), bytes(found[0][0]), found[0][1]) if found else None

    async def entries(self, kind: str, after: str = "", limit: int | None = None) -> list[Entry]:
        """See :meth:`Administration.entries`."""

        def read(connection: Connection) -> list[Entry]:
            values = (stored_text(kind), stored_text(after), limit)
            rows = connection.execute(self._statements["entries"], values).fetchall()
            keys = restored(connection, self._statements, (row[0] for row in rows))
            return [Entry(EntryName(kind, keys[key]), bytes(value), version) for key, value, version in rows]

        return await self._read(read)

    async def kinds(self) -> list[str]:
        """See :meth:`Administration.kinds`."""

        def read(connection: Connection) -> list[str]:
            rows = connection.execute(self._statements["kinds"]).fetchall()
            return sorted(restored(connection, self._statements, (row[0] for row in rows)).values())

        return await self._read(read)

    async def put_entry(self, kind: str, key: str, value: bytes, *, expected: int | None = None) -> Entry | None:
        """See :meth:`Administration.put_entry`."""
        version = await self._save_entry(kind, key, value, expected)
        return None if version is None else Entry(EntryName(kind, key), value, version)

    async def drop_entry(self, kind: str, key: str, *, expected: int | None = None) -> bool:
        """See :meth:`Administration.drop_entry`."""
        return await self._save_entry(kind, key, None, expected) is not None

    async def _save_entry(self, kind: str, key: str, value: bytes | None, expected: int | None) -> int | None:
        """Store or remove an entry; return its version, or ``None`` where it has not the expected one."""
        stored = [stored_text(kind), stored_text(key)]

        def save(connection: Connection, token: UUID) -> int | None:
            # The revision is taken first: nobody else can change the entry, or commit a revision, before this commit.
            [(version,)] = log_changes(connection, self._statements, (), self._clock(), token)
            found = connection.execute(self._statements["entry_version"], stored).fetchone()
            known = 0 if found is None or found[1] else int(found[0])
            if expected not in (None, known) or (value is None and not known):
                raise _Unchanged
            long = {each: escaped(text) for each, text in zip(stored, (kind, key), strict=True) if is_shortened(each)}
            insert_rows(connection, self._statements, ADD_LONG_TEXTS, sorted(long.items()))
            values = (*stored, value, version, self._clock())
            connection.execute(self._statements["save_entry"], values)
            return version

        try:
            version = await self._run(save)
        except _Unchanged:
            return None
        self.prices.forget()
        self._notify()
        with contextlib.suppress(StoreError):  # the entry is there; other processes find it when they look
            await self._rows("notify", self._connections.channel)
        return version

    async def append_audit(self, actor: str, action: str, details: bytes = b"{}", *, at: int | None = None) -> int:
        """See :meth:`Administration.append_audit`."""
        values = (self._clock() if at is None else at, escaped(actor), escaped(action), details)
        channel = self._connections.channel

        def append(connection: Connection, token: UUID) -> int:
            # One after the other, so that no smaller number appears after a larger one has been read.
            connection.execute(self._statements["lock_audit"], (channel,))
            rows = connection.execute(self._statements["audited"], (token,)).fetchall()
            rows = rows or connection.execute(self._statements["append_audit"], (*values, token)).fetchall()
            return int(rows[0][0])

        return await self._run(append)

    async def audit(self, after: int, limit: int) -> list[AuditEntry]:
        """See :meth:`Administration.audit`."""
        return [
            AuditEntry(number, at, text_of(actor), text_of(action), bytes(details))
            for number, at, actor, action, details in await self._rows("audit", after, limit)
        ]

    async def lease(self, name: str, owner: str, ttl_ms: int) -> bool:
        """See :meth:`Administration.lease`; the time is the server's."""

        def take(connection: Connection, _: UUID) -> bool:
            values = (stored_text(name), stored_text(owner), ttl_ms)
            found = connection.execute(self._statements["take_lease"], values).fetchone()
            return found is not None and ttl_ms > 0

        return await self._run(take)

    async def renew_lease(self, owner: str, ttl_ms: int) -> None:
        """See :meth:`Administration.renew_lease`."""
        name, values = ("renew_lease", (escaped(owner), ttl_ms)) if ttl_ms > 0 else ("drop_lease", (escaped(owner),))
        await self._execute(name, *values)

    async def leases(self) -> dict[str, int]:
        """See :meth:`Administration.leases`."""
        return {text_of(owner): int(remaining) for owner, remaining in await self._rows("leases")}

    async def save_cursor(self, name: str, revision: int | None) -> None:
        """See :meth:`Administration.save_cursor`."""
        values = (escaped(name),) if revision is None else (escaped(name), revision)
        await self._execute("drop_cursor" if revision is None else "save_cursor", *values)

    async def cursors(self) -> dict[str, int]:
        """See :meth:`Administration.cursors`."""
        return {text_of(name): revision for name, revision in await self._rows("cursors")}

    async def prune(self) -> int:
        """See :class:`~execution_history.stores.capabilities.Prunable`."""
        await self.open()
        await self._in_thread(tidy, self._connections, self._clock())
        return int((await self._rows("feed_head"))[0][1])

    async def _execute(self, name: str, *values: Any) -> None:  # noqa: ANN401 - whatever a column takes
        await self.open()
        await self._in_thread(self._connections.execute, name, values)

    async def _run(self, work: Callable[[Connection, UUID], _Result]) -> _Result:
        await self.open()
        return await self._in_thread(self._connections.run, work)


class _Unchanged(Exception):  # noqa: N818 - a signal within this module: it undoes the transaction
    """An entry has not the version that was expected."""
