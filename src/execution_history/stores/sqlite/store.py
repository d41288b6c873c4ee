"""The embedded store: a :class:`~execution_history.stores.protocol.HistoryStore` in one folder."""

import asyncio
import heapq
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from itertools import islice
from operator import attrgetter
from typing import Final, Literal, TypeVar

import apsw
import orjson

from execution_history.errors import FeedExpired, Message, StoreBusy, StoreError, message_of, quoted
from execution_history.query.breakdown import Breakdown, BreakdownQuery
from execution_history.query.fields import RecordFilter
from execution_history.query.model import (
    MAX_SIZE,
    IndexReach,
    RecordKey,
    RecordQuery,
    Selection,
    Statistics,
    StatisticsQuery,
)
from execution_history.records.encoding import encode
from execution_history.records.partial import outline_of
from execution_history.records.record import Document, RecordChange
from execution_history.stores.administration import EntryName
from execution_history.stores.capabilities import OnReach, ignored, versions_of
from execution_history.stores.compression import StoredRecord
from execution_history.stores.protocol import (
    LARGEST_ANSWER,
    Batch,
    Change,
    FoundRecords,
    MergeReport,
    ScanToken,
    StoreHealth,
    WorkflowSummary,
)
from execution_history.stores.sqlite.administration import SQLiteAdministration
from execution_history.stores.sqlite.bin import SQLiteBin
from execution_history.stores.sqlite.connections import one_moment
from execution_history.stores.sqlite.documents import Documents
from execution_history.stores.sqlite.plain_select import is_plain, select_plainly
from execution_history.stores.sqlite.queries import past_prefix, query, rows, value
from execution_history.stores.sqlite.reader import Reader
from execution_history.stores.sqlite.space import SQLiteSpace
from execution_history.stores.sqlite.verification import SQLiteVerification
from execution_history.stores.status_numbers import OPEN_NUMBERS, STATUS_NAMES, status_number

_log = logging.getLogger("execution_history.stores.sqlite")
_Result = TypeVar("_Result")

_MERGE_GROUP: Final = 500
_ANSWER_SECONDS: Final = 5
_ATTEMPTS: Final = 100
_PAUSE_SECONDS: Final = 0.1


class SQLiteStore(SQLiteVerification, SQLiteAdministration, SQLiteBin, SQLiteSpace):
    """A store in one folder: ``history.db``, and ``{workflow_id}.json`` for every workflow.

    Several processes may open the same folder. A write waits up to 30 seconds for other processes. Its arguments are
    those of :class:`~execution_history.stores.sqlite.lifecycle.EmbeddedStore`.
    """

    async def create(self, document: Document) -> None:
        """See :meth:`HistoryStore.create`."""
        record = (document.workflow_id, document.execute_id)
        await self._write(lambda t: t.create(document.with_cost(t.costs)), record, size=len(document.body))

    async def update(self, workflow_id: str, execute_id: str, change: RecordChange) -> Document | None:
        """See :meth:`HistoryStore.update`."""
        record = (workflow_id, execute_id)
        return await self._write(lambda t: t.update(workflow_id, execute_id, change), record, size=change.size())

    async def merge(self, documents: Iterable[Document], *, settle: bool = True) -> MergeReport:
        """See :meth:`HistoryStore.merge`; every five hundred records are one transaction."""
        added = replaced = unchanged = 0
        differing: list[int] = []
        remaining = iter(documents)
        while group := list(islice(remaining, _MERGE_GROUP)):
            report = await self._write(lambda t, group=group: t.merge(group))  # type: ignore[misc]
            differing += (added + replaced + unchanged + place for place in report.differing)
            added += report.added
            replaced += report.replaced
            unchanged += report.unchanged
        if settle:
            try:
                await self.flush()
            except StoreError as error:  # the records are safe: health reports files that are behind, as after create
                _log.warning("Records were merged, but not all is on the disk: %s", error)
        return MergeReport(added, replaced, unchanged, tuple(differing))

    async def delete(self, workflow_id: str, execute_id: str) -> bool:
        """See :meth:`HistoryStore.delete`."""
        record = (workflow_id, execute_id)
        return await self._write(lambda t: t.delete(workflow_id, execute_id), record, makes_room=True)

    async def delete_many(self, what: Collection[RecordKey] | RecordFilter, limit: int) -> list[RecordKey]:
        """See :meth:`HistoryStore.delete_many`."""
        if not isinstance(what, RecordFilter):
            return await self._delete_versions(dict(islice(versions_of(what).items(), limit)))
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
        """Remove the records that still have these update times; ``None`` stands for any."""
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

    async def get(self, workflow_id: str, execute_id: str) -> bytes | None:
        """See :meth:`HistoryStore.get`."""
        reader = self._parts.reader

        def read(connection: apsw.Connection, limit: int) -> bytes | None:
            found = rows(connection, "document", limit, workflow_id, execute_id)
            body = reader.exactly(connection, found, limit)[0] if found else None
            if body is not None and not _has_id(body, execute_id):
                raise apsw.CorruptError("An index leads to another record.")
            return body

        return await reader.bounded(read)

    async def get_many(self, keys: Collection[RecordKey]) -> FoundRecords:
        """See :meth:`HistoryStore.get_many`."""
        pairs = orjson.dumps([tuple(key) for key in keys]).decode()

        def read(reader: Reader, connection: apsw.Connection) -> FoundRecords:
            with closing(connection.execute(query("documents_by_key"), (pairs,))) as found:
                bodies = dict(reader.stored.read(connection, found))
            damaged = tuple(key for key, body in bodies.items() if body is None)
            return FoundRecords({key: body for key, body in bodies.items() if body is not None}, damaged)

        return await self._read(read)

    async def find(self, execute_id: str) -> list[bytes]:
        """See :meth:`HistoryStore.find`."""
        return await self._read(lambda r, c: r.exactly(c, rows(c, "documents_by_execute_id", execute_id)))

    async def find_upstream(self, upstream_id: str) -> list[bytes]:
        """See :meth:`HistoryStore.find_upstream`."""
        return await self._read(lambda r, c: r.exactly(c, rows(c, "documents_by_upstream_id", upstream_id)))

    async def scan(self, after: ScanToken | None, limit: int) -> Batch:
        """See :meth:`HistoryStore.scan`."""
        return await self._read(lambda reader, connection: reader.stored.scan(connection, after, limit))

    async def select(self, query: RecordQuery) -> Selection:
        """See :meth:`HistoryStore.select`."""
        parts = self._parts
        return await (select_plainly(parts.reader, query) if is_plain(query) else parts.index.select(query))

    async def statistics(self, query: StatisticsQuery) -> Statistics:
        """See :meth:`HistoryStore.statistics`."""
        return await self._parts.index.statistics(query)

    async def breakdown(self, query: BreakdownQuery) -> Breakdown:
        """See :meth:`HistoryStore.breakdown`."""
        [found] = await self._parts.index.breakdowns([query])
        return found

    async def breakdowns(self, queries: Sequence[BreakdownQuery]) -> list[Breakdown]:
        """See :meth:`HistoryStore.breakdowns`."""
        return await self._parts.index.breakdowns(queries)

    async def index_reach(self, *, has_texts: bool = True) -> IndexReach:
        """See :class:`~execution_history.stores.capabilities.Indexed`."""
        return await self._parts.index.reach(has_texts=has_texts)

    async def follow_index(self, progress: OnReach = ignored, *, has_texts: bool = True) -> None:
        """See :class:`~execution_history.stores.capabilities.Indexed`."""
        await self._parts.index.follow(progress, has_texts=has_texts)

    async def rebuild_index(self) -> None:
        """See :class:`~execution_history.stores.capabilities.Indexed`."""
        await self._parts.index.rebuild()

    async def open_records(self, statuses: frozenset[str], limit: int) -> list[bytes]:
        """See :meth:`HistoryStore.open_records`."""

        def read(reader: Reader, connection: apsw.Connection) -> list[bytes]:
            with ExitStack() as opened:
                walks = []
                for number in {status_number(status) for status in statuses}:
                    name = "open_documents" if number in OPEN_NUMBERS else "ended_documents"
                    # Closed when left early, or the connection would stay at this moment.
                    walks.append(opened.enter_context(closing(connection.execute(query(name), (number,)))))
                found = heapq.merge(*walks, key=lambda row: row[:2])
                records = reader.stored.read(connection, (row[2:] for row in found))
                return list(islice((body for _, body in records if body is not None), limit))

        return await self._read(read)

    async def workflows(
        self, prefix: str = "", after: WorkflowSummary | None = None, limit: int | None = None
    ) -> list[WorkflowSummary]:
        """See :meth:`HistoryStore.workflows`."""
        place = (None, None) if after is None else (after.last_create_time, after.workflow_id)
        values = (prefix, past_prefix(prefix), *place, -1 if limit is None else limit)
        return [
            WorkflowSummary(name, sum(counts), dict(zip(STATUS_NAMES, counts, strict=True)), newest, updated_at, size)
            for name, *counts, updated_at, newest, size in await self._rows("workflow_summaries", *values)
        ]

    async def revision(self) -> int:
        """See :meth:`HistoryStore.revision`."""
        return await self._parts.reader.bounded(lambda connection, _: int(value(connection, "feed_revision")))

    async def changes(self, since: int, limit: int, *, documents: bool = False) -> list[Change]:
        """See :meth:`HistoryStore.changes`."""

        def read(reader: Reader, connection: apsw.Connection) -> list[Change]:
            with one_moment(connection):
                return _changes_after(connection, reader.stored, since, limit, documents=documents)

        return await self._read(read)

    async def flush(self) -> None:
        """See :class:`~execution_history.stores.capabilities.Mirrored`."""
        await self._parts.mirror.flush()

    async def erase(self) -> None:
        """See :class:`~execution_history.stores.capabilities.Erasable`."""
        await self.flush()
        writer = self._parts.writer
        await writer.submit_alone(writer.make_anew)
        for _ in range(_ATTEMPTS):
            if await writer.submit_alone(writer.cut_log):
                await self.rebuild_index()
                return
            await asyncio.sleep(_PAUSE_SECONDS)  # somebody reads an earlier moment
        raise StoreBusy("The database log cannot be emptied, because other programs are reading the history.")

    async def health(self) -> StoreHealth:
        """See :meth:`HistoryStore.health`."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self.open()
                await self._rows("feed_revision")
                parts = self._parts
                await parts.writer.submit(lambda t: t.check())
                damaged = await parts.reader.problems()
                found = (*parts.mirror.problems(), *parts.writer.damage, *damaged, *parts.index.problems())
                return StoreHealth(found, works=True)
        except TimeoutError:
            sentence = Message(
                "The history in %(folder)s has not answered for %(seconds)s seconds.",
                folder=quoted(self._folder),
                seconds=_ANSWER_SECONDS,
            )
            return StoreHealth((sentence,))
        except StoreError as error:
            return StoreHealth((message_of(error),))

    async def _read(self, read: Callable[[Reader, apsw.Connection], _Result]) -> _Result:
        """Return the result of *read*, run in a thread."""
        reader = self._parts.reader
        return await reader.in_thread(lambda connection: read(reader, connection))


def _has_id(body: bytes, execute_id: str) -> bool:
    """Return whether a record has this id; the first bytes of most show it."""
    return body.startswith(b'{"execute_id":%b,' % encode(execute_id)) or outline_of(body)["execute_id"] == execute_id


def _changes_after(
    connection: apsw.Connection, stored: Documents, since: int, limit: int, *, documents: bool
) -> list[Change]:
    """See :meth:`HistoryStore.changes`; the connection reads one moment, so that no change is missed.

    Raises:
        FeedExpired: deletions that come after *since* have been forgotten.
    """
    floor = value(connection, "feed_floor")
    if 0 < since < floor:
        raise FeedExpired(since, floor)
    gone = [Change(row[0], "deleted", *row[1:]) for row in rows(connection, "deleted_executions", since, limit)]
    registry = [
        Change(version, "registry", document=value if documents else None, entry=EntryName(kind, key))
        for version, kind, key, value in rows(connection, "changed_entries", since, limit)
    ]
    found: list[Change] = []
    size = 0
    # Closed when left early, or the connection would stay at this moment.
    with closing(connection.execute(query("changed_executions"), (documents, since, limit))) as changed:
        put = _put(connection, stored, since, changed, documents=documents)
        for change in heapq.merge(put, gone, registry, key=attrgetter("revision")):
            found.append(change)
            size += len(change.document or b"")
            if len(found) == limit or size >= LARGEST_ANSWER:
                break
    return found


def _put(
    connection: apsw.Connection, stored: Documents, since: int, changed: apsw.Cursor, *, documents: bool
) -> Iterator[Change]:
    for revision, first, seq, *row in changed:
        record = StoredRecord(*row)
        body = stored.find(connection, record) if documents else None
        # The first revision of a record may be unknown; for a reader that begins at 0 every record is new.
        kind: Literal["created", "updated"] = "created" if first > since or not since else "updated"
        yield Change(revision, kind, *record.key, STATUS_NAMES[record.status], body, arrival=seq)
