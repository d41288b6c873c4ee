"""Deleted records that can be restored; see :class:`~execution_history.stores.capabilities.Bin`."""

import contextlib
from collections.abc import Iterable, Sequence
from functools import partial
from uuid import UUID

import orjson

from execution_history.errors import StoreError
from execution_history.query.model import RecordKey
from execution_history.records.record import Document
from execution_history.records.values import LAST_TIME
from execution_history.stores.capabilities import Binned, Versions, versions_of
from execution_history.stores.compression import StoredRecord, packed
from execution_history.stores.postgres.batch import Batch
from execution_history.stores.postgres.connections import Connection
from execution_history.stores.postgres.lifecycle import SharedStore
from execution_history.stores.postgres.long_texts import restored
from execution_history.stores.postgres.record_rows import stored_key
from execution_history.stores.status_numbers import status_number


class PostgresBin(SharedStore):
    """The part of the shared store that keeps deleted records."""

    async def discard(
        self, keys: Iterable[RecordKey] | Versions, keep_ms: int, rule: str | None = None
    ) -> list[RecordKey]:
        """See :meth:`Bin.discard`."""
        named = versions_of(keys)
        now = self._clock()
        if not named:
            return []
        return await self._parts.writer.submit(
            lambda batch: batch.delete(named, (now, now + keep_ms, rule)), list(named)
        )

    async def restore(self, keys: Iterable[RecordKey]) -> list[RecordKey]:
        """See :meth:`Bin.restore`."""
        named, now = list(dict.fromkeys(keys)), self._clock()
        documents = await self._read(lambda connection: self._binned(connection, named))

        def restore(batch: Batch) -> list[RecordKey]:
            return [key for key, document in documents.items() if batch.add(document)]

        size = sum(len(each.body) for each in documents.values())
        found = await self._parts.writer.submit(restore, list(documents), size=size)
        if found:
            with contextlib.suppress(StoreError):  # they are there again; what stays in the bin ends by itself
                await self._in_thread(self._connections.run, partial(self._leave_bin, found, now))
        return found

    def _leave_bin(self, keys: Sequence[RecordKey], before: int, connection: Connection, _: UUID) -> None:
        """Drop restored records from the bin, but not those that were discarded again meanwhile."""
        connection.execute(self._statements["drop_restored"], (*_columns(keys), before))

    async def binned(self, after: Binned | None = None, limit: int | None = None) -> list[Binned]:
        """See :meth:`Bin.binned`."""
        key = RecordKey("", "") if after is None else stored_key(*after.key)
        at = LAST_TIME if after is None else after.deleted_at
        values = {"now": self._clock(), "at": at, **key._asdict(), "limit": limit}

        def read(connection: Connection) -> list[Binned]:
            rows = connection.execute(self._statements["binned"], values).fetchall()
            texts = restored(connection, self._statements, (part for row in rows for part in row[:2]))
            return [Binned(RecordKey(texts[row[0]], texts[row[1]]), *row[2:]) for row in rows]

        return await self._read(read)

    async def binned_documents(self, keys: Iterable[RecordKey]) -> dict[RecordKey, bytes]:
        """See :meth:`Bin.binned_documents`."""
        named = list(keys)
        found = await self._read(lambda connection: self._binned(connection, named))
        return {key: document.body for key, document in found.items()}

    async def replace_binned(self, document: Document, expected: int) -> bool:
        """See :meth:`Bin.replace_binned`."""
        status = status_number(document.status)
        place = (*stored_key(document.workflow_id, document.execute_id), status, expected, self._clock())

        def replace(connection: Connection, _: UUID) -> bool:
            content = (document.update_time, len(document.body), *packed(document.body))
            return connection.execute(self._statements["replace_binned"], (*content, *place)).fetchone() is not None

        return await self._in_thread(self._connections.run, replace)

    async def bin_size(self) -> tuple[int, int]:
        """See :meth:`Bin.bin_size`."""
        [(count, size)] = await self._rows("bin_size", self._clock())
        return count, size

    async def empty_bin(self, keys: Iterable[RecordKey]) -> None:
        """See :meth:`Bin.empty_bin`."""
        columns = _columns(list(keys))

        def drop(connection: Connection, _: UUID) -> None:
            connection.execute(self._statements["drop_from_bin"], columns)

        if columns[0]:
            await self._in_thread(self._connections.run, drop)

    def _binned(self, connection: Connection, keys: Sequence[RecordKey]) -> dict[RecordKey, Document]:
        """Return those of *keys* that are in the bin and can be read."""
        stored = {stored_key(*key): key for key in keys}
        values = (*_columns(keys), self._clock())
        found = {}
        for row in connection.execute(self._statements["binned_documents"], values):
            key = stored[RecordKey(*row[:2])]
            body = self._connections.body(connection, StoredRecord(*key, *row[2:]))
            if body is not None:
                found[key] = Document.of(orjson.loads(body), body)
        return found


def _columns(keys: Sequence[RecordKey]) -> tuple[list[str], list[str]]:
    stored = [stored_key(*key) for key in keys]
    return [key.workflow_id for key in stored], [key.execute_id for key in stored]
