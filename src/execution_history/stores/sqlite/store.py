"""The embedded store: keeps the promise of :class:`~execution_history.stores.protocol.HistoryStore` in one folder."""

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping
from itertools import islice
from typing import Final

from execution_history.errors import Message, StoreError, message_of, quoted
from execution_history.query.fields import RecordFilter
from execution_history.query.model import MAX_SIZE, RecordKey, RecordQuery
from execution_history.records.partial import outline_of
from execution_history.records.record import Document, RecordChange
from execution_history.stores.protocol import MergeReport, StoreHealth
from execution_history.stores.sqlite.administration import SQLiteAdministration
from execution_history.stores.sqlite.bin import SQLiteBin
from execution_history.stores.sqlite.record_reads import SQLiteRecordReads

_log = logging.getLogger("execution_history.stores.sqlite")

_MERGE_GROUP: Final = 500
_ANSWER_SECONDS: Final = 5


class SQLiteStore(SQLiteRecordReads, SQLiteAdministration, SQLiteBin):
    """One folder: ``history.db``, and ``{workflow_id}.json`` for every workflow.

    Several processes may open the same folder. A write waits up to 30 seconds for other processes. Its arguments are
    those of :class:`~execution_history.stores.sqlite.lifecycle.EmbeddedStore`.
    """

    async def create(self, document: Document) -> None:
        """See :meth:`HistoryStore.create`."""
        record = (document.workflow_id, document.execute_id)
        await self._write(lambda t: t.create(document), record, size=len(document.body))

    async def update(self, workflow_id: str, execute_id: str, change: RecordChange) -> Document | None:
        """See :meth:`HistoryStore.update`."""
        record = (workflow_id, execute_id)
        return await self._write(lambda t: t.update(workflow_id, execute_id, change), record, size=change.size())

    async def merge(self, documents: Iterable[Document], *, settle: bool = True) -> MergeReport:
        """See :meth:`HistoryStore.merge`; every five hundred records are one transaction."""
        added = replaced = unchanged = 0
        remaining = iter(documents)
        while group := list(islice(remaining, _MERGE_GROUP)):
            report = await self._write(lambda t, group=group: t.merge(group))  # type: ignore[misc]
            added += report.added
            replaced += report.replaced
            unchanged += report.unchanged
        if settle:
            try:
                await self.flush()
            except StoreError as error:  # the records are safe: health tells of files that are behind, as after create
                _log.warning("Records were merged, but not all is on the disk: %s", error)
        return MergeReport(added, replaced, unchanged)

    async def delete(self, workflow_id: str, execute_id: str) -> bool:
        """See :meth:`HistoryStore.delete`."""
        record = (workflow_id, execute_id)
        return await self._write(lambda t: t.delete(workflow_id, execute_id), record, makes_room=True)

    async def delete_many(self, what: Collection[RecordKey] | RecordFilter, limit: int) -> list[RecordKey]:
        """See :meth:`HistoryStore.delete_many`."""
        if not isinstance(what, RecordFilter):
            return await self._delete_versions(dict.fromkeys(islice(dict.fromkeys(what), limit)))
        deleted: list[RecordKey] = []
        after: str | None = None
        while len(deleted) < limit:
            size = min(limit - len(deleted), MAX_SIZE)
            page = await self.select(RecordQuery(filter=what, size=size, descending=False, after=after))
            found = [outline_of(body) for body in page.documents]
            versions = {RecordKey(each["workflow_id"], each["execute_id"]): each["update_time"] for each in found}
            deleted += await self._delete_versions(versions)
            after = page.next
            if after is None:
                break
        return deleted

    async def _delete_versions(self, versions: Mapping[RecordKey, int | None]) -> list[RecordKey]:
        """Remove records that still have the update times given; ``None`` stands for any."""
        by_workflow: dict[str, dict[str, int | None]] = {}
        for key, update_time in versions.items():
            by_workflow.setdefault(key.workflow_id, {})[key.execute_id] = update_time
        deleted = await asyncio.gather(
            *(
                self._write(lambda t, name=name, times=times: t.delete_many(name, times), (name, None), makes_room=True)  # type: ignore[misc]
                for name, times in by_workflow.items()
            )
        )
        return [key for keys in deleted for key in keys]

    async def clear(self, workflow_id: str) -> bool:
        """See :meth:`HistoryStore.clear`."""
        return await self._write(lambda t: t.clear(workflow_id), (workflow_id, None), makes_room=True)

    async def flush(self) -> None:
        """See :class:`~execution_history.stores.capabilities.Mirrored`."""
        await self._parts.mirror.flush()

    async def health(self) -> StoreHealth:
        """See :meth:`HistoryStore.health`."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self.open()
                await self._rows("feed_revision")
                parts = self._parts
                await parts.writer.submit(lambda t: t.check())
                damaged = await parts.reader.problems()
                return StoreHealth((*parts.mirror.problems(), *parts.writer.damage, *damaged, *parts.index.problems()))
        except TimeoutError:
            sentence = Message(
                "The history in %(folder)s has not answered for %(seconds)s seconds.",
                folder=quoted(self._folder),
                seconds=_ANSWER_SECONDS,
            )
            return StoreHealth((sentence,))
        except StoreError as error:
            return StoreHealth((message_of(error),))
