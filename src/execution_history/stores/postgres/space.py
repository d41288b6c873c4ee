"""What a shared store takes of its server's disk; see :class:`~execution_history.stores.capabilities.Sized`.

PostgreSQL returns hardly anything to the file system: what was deleted is vacuumed and used again. So its tables do not
become smaller, and how much of them is in use is worked out from what they took when they held most.
"""

from collections.abc import Collection
from typing import Any, Final

import orjson

from execution_history.query.model import RecordKey
from execution_history.stores.capabilities import DiskUse
from execution_history.stores.postgres.administration import PostgresAdministration
from execution_history.stores.postgres.connections import Connection
from execution_history.stores.postgres.record_rows import stored_key

_LARGEST: Final = ("space", "largest")
_PER_RUN: Final = 1_000
"""About how many bytes a run takes besides its document: columns, indexes and counters."""


class PostgresSpace(PostgresAdministration):
    """The part of the shared store that knows its size."""

    async def disk_use(self) -> DiskUse:
        """See :meth:`Sized.disk_use`; the index is a part of the tables."""
        [(total, documents, runs)] = await self._rows("space", self._statements.schema)
        [(_, binned)] = await self._rows("bin_size", self._clock())
        largest = await self._largest(total, documents + binned, runs)
        # Tables that grow while they hold less have rows that are not vacuumed yet.
        in_use = runs * _PER_RUN
        if largest["documents"]:
            of_documents = max(0, largest["total"] - largest["runs"] * _PER_RUN)
            in_use += of_documents * (documents + binned) // largest["documents"]
        free, lines = max(0, total - in_use), runs * _PER_RUN
        return DiskUse(database=total, free=free, documents=documents, lines=lines, runs=runs)

    async def sizes_of(self, keys: Collection[RecordKey]) -> dict[RecordKey, int]:
        """See :meth:`Sized.sizes_of`."""
        stored = {stored_key(*key): key for key in keys}
        columns = [list(column) for column in zip(*stored, strict=True)] if stored else [[], []]

        def read(connection: Connection) -> dict[RecordKey, int]:
            found = connection.execute(self._connections.statements["versions_of"], columns)
            return {stored[RecordKey(*row[:2])]: row[4] for row in found}

        return await self._read(read)

    async def give_back(self, workflow_ids: Collection[str] = (), *, is_thorough: bool = False) -> bool:  # noqa: ARG002 - as others have
        """See :meth:`Sized.give_back`: autovacuum makes what is free usable again, and nothing else can be done."""
        return True

    async def _largest(self, total: int, documents: int, runs: int) -> dict[str, Any]:
        """Return how large the tables were when they held most, and what that was."""
        now = {"total": total, "documents": documents, "runs": runs}
        entry = await self.entry(*_LARGEST)
        known: dict[str, Any] = {} if entry is None else orjson.loads(entry.value)
        if known.keys() == now.keys() and known["documents"] >= documents:
            return known
        await self.put_entry(*_LARGEST, orjson.dumps(now), expected=0 if entry is None else entry.version)
        return now
