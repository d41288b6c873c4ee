"""Deleted records that can be restored from ``history.db``; see :class:`~execution_history.stores.capabilities.Bin`."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress

import apsw
import orjson

from execution_history.errors import ExecutionExists
from execution_history.query.model import RecordKey
from execution_history.records.record import Document
from execution_history.records.values import LAST_TIME
from execution_history.stores.capabilities import Binned, Versions, versions_of
from execution_history.stores.compression import StoredRecord, Unreadable, packed
from execution_history.stores.sqlite.lifecycle import EmbeddedStore
from execution_history.stores.sqlite.queries import rows
from execution_history.stores.sqlite.write_transaction import WriteTransaction
from execution_history.stores.status_numbers import STATUS_NUMBERS


class SQLiteBin(EmbeddedStore):
    """The part of the embedded store that keeps deleted records."""

    async def discard(
        self, keys: Iterable[RecordKey] | Versions, keep_ms: int, rule: str | None = None
    ) -> list[RecordKey]:
        """See :meth:`Bin.discard`."""
        now, versions = self._clock(), versions_of(keys)

        def discard(t: WriteTransaction, workflow_id: str, group: list[RecordKey]) -> list[RecordKey]:
            times = {key.execute_id: versions[key] for key in group}
            return t.delete_many(workflow_id, times, (now, now + keep_ms, rule))

        return await self._each(versions, discard)

    async def restore(self, keys: Iterable[RecordKey]) -> list[RecordKey]:
        """See :meth:`Bin.restore`."""
        return await self._each(keys, lambda t, _, group: [key for key in group if _restore(t, key)])

    async def binned(self, after: Binned | None = None, limit: int | None = None) -> list[Binned]:
        """See :meth:`Bin.binned`."""
        place = (LAST_TIME, "", "") if after is None else (after.deleted_at, *after.key)
        rows = await self._rows("binned", self._clock(), *place, -1 if limit is None else limit)
        return [Binned(RecordKey(*row[:2]), *row[2:]) for row in rows]

    async def binned_documents(self, keys: Iterable[RecordKey]) -> dict[RecordKey, bytes]:
        """See :meth:`Bin.binned_documents`."""
        named, now, reader = list(keys), self._clock(), self._parts.reader

        def read(connection: apsw.Connection) -> dict[RecordKey, bytes]:
            found = (row for key in named for row in rows(connection, "binned_document", *key, now))
            return {key: body for key, body in reader.stored.read(connection, found) if body is not None}

        return await reader.in_thread(read)

    async def replace_binned(self, document: Document, expected: int) -> bool:
        """See :meth:`Bin.replace_binned`."""
        packing = await asyncio.to_thread(packed, document.body)
        status = STATUS_NUMBERS.get(document.status, STATUS_NUMBERS["other"])
        content = (document.update_time, len(document.body), *packing)
        place = (document.workflow_id, document.execute_id, status, expected, self._clock())
        return await self._write(lambda t: t.run("replace_binned", *content, *place).fetchone() is not None)

    async def bin_size(self) -> tuple[int, int]:
        """See :meth:`Bin.bin_size`."""
        [(count, size)] = await self._rows("bin_size", self._clock())
        return count, size

    async def empty_bin(self, keys: Iterable[RecordKey]) -> None:
        """See :meth:`Bin.empty_bin`."""
        named = list(keys)
        await self._parts.writer.submit(lambda t: [t.run("drop_from_bin", *key).get for key in named], makes_room=True)

    async def _each(
        self, keys: Iterable[RecordKey], work: Callable[[WriteTransaction, str, list[RecordKey]], list[RecordKey]]
    ) -> list[RecordKey]:
        """Run *work* in one transaction for each workflow, whose file is then current; return the keys it changed."""
        groups: dict[str, list[RecordKey]] = {}
        for key in dict.fromkeys(keys):
            groups.setdefault(key.workflow_id, []).append(key)
        done = await asyncio.gather(
            *(
                self._write(lambda t, name=name, group=group: work(t, name, group), (name, None))  # type: ignore[misc]
                for name, group in groups.items()
            )
        )
        return [key for group in done for key in group]


def _restore(t: WriteTransaction, key: RecordKey) -> bool:
    """Restore a record if it is in the bin, can be read and its id is free; return whether it was restored."""
    found = t.run("binned_document", *key, t.clock()).fetchone()
    if found is not None:
        with suppress(Unreadable, ExecutionExists):
            body = t.documents.unpack(t.connection, StoredRecord(*found))
            t.create(Document.of(orjson.loads(body), body))
            t.run("drop_from_bin", *key)
            return True
    return False
