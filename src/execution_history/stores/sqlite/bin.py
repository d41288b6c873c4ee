"""Deleted records that can be restored from ``history.db``; see :class:`~execution_history.stores.capabilities.Bin`."""

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

import apsw
import orjson

from execution_history.errors import ExecutionExists
from execution_history.query.model import RecordKey
from execution_history.records.record import Document
from execution_history.records.values import LAST_TIME
from execution_history.stores.capabilities import Binned, Versions, versions_of
from execution_history.stores.compression import StoredRecord, packed
from execution_history.stores.sqlite.bin_pieces import Copy, Discard
from execution_history.stores.sqlite.documents import NO_LIMIT
from execution_history.stores.sqlite.lifecycle import EmbeddedStore
from execution_history.stores.sqlite.queries import rows
from execution_history.stores.sqlite.write_transaction import WriteTransaction
from execution_history.stores.status_numbers import status_number

_TRIES: Final = 3


class SQLiteBin(EmbeddedStore):
    """The part of the embedded store that keeps deleted records."""

    async def discard(
        self, keys: Iterable[RecordKey] | Versions, keep_ms: int, rule: str | None = None
    ) -> list[RecordKey]:
        """See :meth:`Bin.discard`."""
        versions, now = versions_of(keys), self._clock()

        def discard(t: WriteTransaction, workflow_id: str, group: list[RecordKey]) -> list[RecordKey]:
            times = {key.execute_id: versions[key] for key in group}
            how = Discard(now, now + keep_ms, rule)
            gone = t.delete_many(workflow_id, times, how)
            large.extend(RecordKey(workflow_id, each) for each in how.left)
            return gone

        large: list[RecordKey] = []
        gone = await self._each(versions, discard)
        for key in dict.fromkeys(large):
            gone += await self._discard_large(key, versions[key], keep_ms, rule)
        return gone

    async def _discard_large(
        self, key: RecordKey, version: int | None, keep_ms: int, rule: str | None
    ) -> list[RecordKey]:
        """Discard a record that is copied before, piece by piece, while others write."""
        for _ in range(_TRIES):
            copy = await self._copied(key)
            if copy is None and version is not None:
                return []  # it has another version now
            if copy is not None and (gone := await self._discard_one(key, version, keep_ms, rule, copy)):
                return gone
        # It is changed all the time: whoever changes it waits as long for it.
        return await self._discard_one(key, version, keep_ms, rule)

    async def _discard_one(
        self, key: RecordKey, version: int | None, keep_ms: int, rule: str | None, copy: Copy | None = None
    ) -> list[RecordKey]:
        now = self._clock()
        how = Discard(now, now + keep_ms, rule, copy, largest=NO_LIMIT)

        def discard(t: WriteTransaction) -> list[RecordKey]:
            gone = t.delete_many(key.workflow_id, {key.execute_id: version}, how)
            if copy is not None and not gone:
                t.run("drop_pieces", copy.pieces)
            return gone

        return await self._write(discard, (key.workflow_id, None))

    async def _copied(self, key: RecordKey) -> Copy | None:
        """Return a complete copy of a record; ``None`` where the record is changed or removed meanwhile."""
        writer = self._parts.writer
        copy, number = await writer.submit(lambda t: Copy.begin(t.connection, *key, t.clock())), 0
        while copy is not None:
            began = time.monotonic()
            has_more = await writer.submit(lambda t, number=number: copy.step(t.connection, number))  # type: ignore[misc]
            await asyncio.sleep(time.monotonic() - began)  # whoever writes meanwhile has as much time
            if not has_more:
                return None if has_more is None else copy
            number += 1
        return None

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
        status = status_number(document.status)
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
    body = None if found is None else t.documents.find(t.connection, StoredRecord(*found))
    if body is not None:
        with suppress(ExecutionExists):
            t.create(Document.of(orjson.loads(body), body))
            t.run("drop_from_bin", *key)
            return True
    return False
