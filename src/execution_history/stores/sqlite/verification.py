"""The embedded store as something to be examined and repaired."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, cast

import orjson

from execution_history.errors import N_, Message, quoted
from execution_history.query.model import RecordKey
from execution_history.records.record import Document
from execution_history.stores.administration import AuditEntry, Entry, EntryName
from execution_history.stores.compression import StoredRecord
from execution_history.stores.sqlite.documents import NO_LIMIT
from execution_history.stores.sqlite.error_mapping import faults
from execution_history.stores.sqlite.lifecycle import EmbeddedStore
from execution_history.stores.sqlite.queries import rows
from execution_history.stores.sqlite.write_transaction import WriteTransaction
from execution_history.stores.verification import Check, Effort, PatrolStep, counted

if TYPE_CHECKING:
    from execution_history.stores.administration import Administration
    from execution_history.stores.sqlite.checkup.checks import FolderCheckup
    from execution_history.stores.sqlite.checkup.repairs import Repairable
    from execution_history.stores.sqlite.checkup.view import HistoryView
    from execution_history.stores.sqlite.patrol import Patrol
    from execution_history.stores.sqlite.reader import Reader


class SQLiteVerification(EmbeddedStore):
    """The part of the embedded store that checks it, open or not, and that repairs it while it is open."""

    _patrol: "tuple[Reader, Patrol] | None" = None

    def checks(self, effort: Effort = "usual") -> Sequence[Check]:
        """See :meth:`Verifiable.checks`."""
        return self._checkup().checks(effort)

    def record_source(self) -> "HistoryView":
        """See :meth:`Verifiable.record_source`."""
        from execution_history.stores.sqlite.checkup.view import HistoryView  # noqa: PLC0415 - for the doctor only

        return HistoryView(self._folder, json_files=self._json_files)

    def holders(self) -> list[Message]:
        """See :meth:`Verifiable.holders`."""
        return self._checkup().holders()

    async def administration(self, kind: str, actions: Collection[str]) -> tuple[list[Entry], list[AuditEntry]]:
        """See :meth:`Verifiable.administration`."""

        def read() -> tuple[list[Entry], list[AuditEntry]]:
            with self.record_source().connection() as connection:
                found = rows(connection, "entries", kind, "", -1)
                entries = [Entry(EntryName(kind, key), value, version) for key, value, version in found]
                lines = (AuditEntry(*row) for row in rows(connection, "audit", 0, -1))
                return entries, [line for line in lines if line.action in actions]

        return await asyncio.to_thread(read)

    async def note(self, actor: str, action: str, details: bytes) -> None:
        """See :meth:`Verifiable.note`."""
        async with self._for_repair() as store:
            await cast("Administration", store).append_audit(actor, action, details)

    async def running(self) -> tuple[list[bytes], Mapping[str, int]]:
        """See :meth:`Verifiable.running`."""
        return await asyncio.to_thread(self._checkup().running)

    async def recount(self) -> int:
        """Have the counters say how many rows there are; return of how many workflows they were wrong."""
        return await self._write(_recount)

    async def rewrite(self, keys: Iterable[RecordKey]) -> int:
        """Write damaged records anew, as they can be recovered; return how many were."""
        return sum([await self._write(partial(_rewrite, key), key) for key in keys])

    async def renew_files(self, workflow_ids: Collection[str]) -> None:
        """Make JSON files anew.

        Raises:
            StoreError: some could not be written.
        """
        parts = self._parts
        for workflow_id in workflow_ids:
            parts.writer.post(lambda workflow_id=workflow_id: parts.mirror.renew(workflow_id))  # type: ignore[misc]
        await parts.mirror.flush()

    async def patrol(self) -> PatrolStep | None:
        """See :meth:`Patrolled.patrol`."""
        from execution_history.stores.sqlite.patrol import Patrol  # noqa: PLC0415 - for servers only

        parts = self._parts
        if self._patrol is None or self._patrol[0] is not parts.reader:
            self._patrol = parts.reader, Patrol(parts.reader, parts.mirror.path_of, parts.save_registry)
        patrol = self._patrol[1]

        def step() -> tuple[int, dict[str, Message]] | None:
            with faults(self._folder):
                return patrol.step()

        found = await asyncio.to_thread(step)
        if found is None:
            return None
        size, differing = found
        repaired = [
            Message("The JSON file of workflow %(workflow)s was rewritten from the database: %(where)s.",
                    workflow=quoted(workflow_id), where=where)
            for workflow_id, where in differing.items()
        ]  # fmt: skip
        if differing:
            await self.renew_files(differing)
        if (keys := parts.reader.stored.recoverable()) and (count := await self.rewrite(keys)):
            one = N_("1 damaged run was recovered.")
            repaired.append(counted(count, one, N_("%(count)s damaged runs were recovered.")))
        return PatrolStep(size, tuple(repaired))

    @asynccontextmanager
    async def _for_repair(self) -> "AsyncIterator[Repairable]":
        """Yield this store where it is open, or else one like it for the time of the block."""
        if self._opened is not None:
            yield cast("Repairable", self)
            return
        store = type(self)(
            self._folder,
            json_files=self._json_files,
            search=self._search,
            record_limit_bytes=self.record_limit_bytes,
            limits=self._limits,
            lock_seconds=self._lock_seconds,
            file_sizes=self._sizes,
            clock=self._clock,
        )
        try:
            await store.open()
            yield cast("Repairable", store)
        finally:
            await store.aclose()

    def _checkup(self) -> "FolderCheckup":
        from execution_history.stores.sqlite.checkup.checks import FolderCheckup  # noqa: PLC0415 - for the doctor only

        folder, has_files = self._folder, self._json_files
        return FolderCheckup(folder, has_files, self._for_repair, self._clock, lambda: self._opened is not None)


def _rewrite(key: RecordKey, t: WriteTransaction) -> int:
    found = [StoredRecord(*row) for row in rows(t.connection, "document", NO_LIMIT, *key)]
    bodies = filter(None, (t.documents.find(t.connection, stored) for stored in found))
    return t.merge([Document.of(orjson.loads(body), body) for body in bodies]).replaced


def _recount(t: WriteTransaction) -> int:
    from execution_history.stores.sqlite.checkup.record_check import wrong_counters  # noqa: PLC0415 - as above

    return t.recount(list(wrong_counters(t.connection)))
