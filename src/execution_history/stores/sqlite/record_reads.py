"""The reading half of the promise: records, workflows and the change feed."""

import heapq
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, closing
from itertools import islice
from operator import attrgetter
from typing import Literal, TypeVar

import apsw
import orjson

from execution_history.errors import FeedExpired
from execution_history.query.model import (
    IndexReach,
    RecordKey,
    RecordQuery,
    Selection,
    Statistics,
    StatisticsQuery,
)
from execution_history.records.encoding import encode
from execution_history.records.partial import outline_of
from execution_history.stores.administration import EntryName
from execution_history.stores.compression import StoredRecord
from execution_history.stores.protocol import Batch, Change, FoundRecords, ScanToken, WorkflowSummary
from execution_history.stores.sqlite.connections import one_moment
from execution_history.stores.sqlite.documents import LARGEST_BATCH, Documents
from execution_history.stores.sqlite.lifecycle import EmbeddedStore
from execution_history.stores.sqlite.plain_select import is_plain, select_plainly
from execution_history.stores.sqlite.queries import past_prefix, query, rows
from execution_history.stores.sqlite.reader import Reader
from execution_history.stores.status_numbers import OPEN_NUMBERS, STATUS_NAMES, STATUS_NUMBERS

_Result = TypeVar("_Result")


class SQLiteRecordReads(EmbeddedStore):
    """The half of the embedded store that answers."""

    async def get(self, workflow_id: str, execute_id: str) -> bytes | None:
        """See :meth:`HistoryStore.get`."""
        reader = self._parts.reader

        def ask(connection: apsw.Connection, limit: int) -> bytes | None:
            found = rows(connection, "document", limit, workflow_id, execute_id)
            body = reader.exactly(connection, found, limit)[0] if found else None
            if body is not None and not _has_id(body, execute_id):
                raise apsw.CorruptError("An index leads to another record.")
            return body

        return await reader.bounded(ask)

    async def get_many(self, keys: Collection[RecordKey]) -> FoundRecords:
        """See :meth:`HistoryStore.get_many`."""
        pairs = orjson.dumps([tuple(key) for key in keys]).decode()

        def ask(reader: Reader, connection: apsw.Connection) -> FoundRecords:
            with closing(connection.execute(query("documents_by_key"), (pairs,))) as found:
                stored = ((each.key, reader.stored.find(connection, each)) for each in map(StoredRecord._make, found))
                bodies = dict(stored)
            damaged = tuple(key for key, body in bodies.items() if body is None)
            return FoundRecords({key: body for key, body in bodies.items() if body is not None}, damaged)

        return await self._ask(ask)

    async def find(self, execute_id: str) -> list[bytes]:
        """See :meth:`HistoryStore.find`."""
        return await self._ask(lambda r, c: r.exactly(c, rows(c, "documents_by_execute_id", execute_id)))

    async def find_upstream(self, upstream_id: str) -> list[bytes]:
        """See :meth:`HistoryStore.find_upstream`."""
        return await self._ask(lambda r, c: r.exactly(c, rows(c, "documents_by_upstream_id", upstream_id)))

    async def scan(self, after: ScanToken | None, limit: int) -> Batch:
        """See :meth:`HistoryStore.scan`."""
        return await self._ask(lambda reader, connection: reader.stored.scan(connection, after, limit))

    async def select(self, query: RecordQuery) -> Selection:
        """See :meth:`HistoryStore.select`."""
        parts = self._parts
        return await (select_plainly(parts.reader, query) if is_plain(query) else parts.index.select(query))

    async def statistics(self, query: StatisticsQuery) -> Statistics:
        """See :meth:`HistoryStore.statistics`."""
        return await self._parts.index.statistics(query)

    async def index_reach(self) -> IndexReach:
        """See :class:`~execution_history.stores.capabilities.Indexed`."""
        return await self._parts.index.reach()

    async def rebuild_index(self) -> None:
        """See :class:`~execution_history.stores.capabilities.Indexed`."""
        await self._parts.index.rebuild()

    async def open_records(self, statuses: frozenset[str], limit: int) -> list[bytes]:
        """See :meth:`HistoryStore.open_records`."""

        def ask(reader: Reader, connection: apsw.Connection) -> list[bytes]:
            with ExitStack() as opened:
                walks = []
                for number in {STATUS_NUMBERS.get(status, STATUS_NUMBERS["other"]) for status in statuses}:
                    name = "open_documents" if number in OPEN_NUMBERS else "ended_documents"
                    # Closed when left early, or the connection would keep looking at this moment.
                    walks.append(opened.enter_context(closing(connection.execute(query(name), (number,)))))
                found = heapq.merge(*walks, key=lambda row: row[:2])
                return list(islice(reader.stored.readable(connection, (row[2:] for row in found)), limit))

        return await self._ask(ask)

    async def workflows(
        self, prefix: str = "", after: WorkflowSummary | None = None, limit: int | None = None
    ) -> list[WorkflowSummary]:
        """See :meth:`HistoryStore.workflows`."""
        place = (None, None) if after is None else (after.last_create_time, after.workflow_id)
        values = (prefix, past_prefix(prefix), *place, -1 if limit is None else limit)
        return [
            WorkflowSummary(name, sum(counts), dict(zip(STATUS_NAMES, counts, strict=True)), newest, updated_at)
            for name, *counts, updated_at, newest in await self._rows("workflow_summaries", *values)
        ]

    async def revision(self) -> int:
        """See :meth:`HistoryStore.revision`."""
        return await self._parts.reader.bounded(lambda connection, _: int(rows(connection, "feed_revision")[0][0]))

    async def changes(self, since: int, limit: int, *, documents: bool = False) -> list[Change]:
        """See :meth:`HistoryStore.changes`."""

        def ask(reader: Reader, connection: apsw.Connection) -> list[Change]:
            with one_moment(connection):
                return _changes_after(connection, reader.stored, since, limit, documents=documents)

        return await self._ask(ask)

    async def _ask(self, ask: Callable[[Reader, apsw.Connection], _Result]) -> _Result:
        """Return the answer of *ask*, which may take its time."""
        reader = self._parts.reader
        return await reader.in_thread(lambda connection: ask(reader, connection))


def _has_id(body: bytes, execute_id: str) -> bool:
    """Whether a record is the one with this id; most are known by their first bytes."""
    return body.startswith(b'{"execute_id":%b,' % encode(execute_id)) or outline_of(body)["execute_id"] == execute_id


def _changes_after(
    connection: apsw.Connection, stored: Documents, since: int, limit: int, *, documents: bool
) -> list[Change]:
    """See :meth:`HistoryStore.changes`; the connection looks at one moment, so that no change hides behind a later.

    Raises:
        FeedExpired: deletions that come after *since* have been forgotten.
    """
    [(floor,)] = rows(connection, "feed_floor")
    if 0 < since < floor:
        raise FeedExpired(since, floor)
    gone = [Change(row[0], "deleted", *row[1:]) for row in rows(connection, "deleted_executions", since, limit)]
    registry = [
        Change(version, "registry", document=value if documents else None, entry=EntryName(kind, key))
        for version, kind, key, value in rows(connection, "changed_entries", since, limit)
    ]
    found: list[Change] = []
    size = 0
    # Closed when left early, or the connection would keep looking at this moment.
    with closing(connection.execute(query("changed_executions"), (documents, since, limit))) as changed:
        put = _put(connection, stored, since, changed, documents=documents)
        for change in heapq.merge(put, gone, registry, key=attrgetter("revision")):
            found.append(change)
            size += len(change.document or b"")
            if len(found) == limit or size >= LARGEST_BATCH:
                break
    return found


def _put(
    connection: apsw.Connection, stored: Documents, since: int, changed: apsw.Cursor, *, documents: bool
) -> Iterator[Change]:
    for revision, first, *row in changed:
        record = StoredRecord(*row)
        body = stored.find(connection, record) if documents else None
        # Where nobody knows with which revision a record came, it is new to whoever knows nothing.
        kind: Literal["created", "updated"] = "created" if first > since or not since else "updated"
        yield Change(revision, kind, *record.key, STATUS_NAMES[record.status], body)
