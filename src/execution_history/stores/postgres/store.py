"""The shared store: records in PostgreSQL, for any number of processes and machines."""

import asyncio
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from itertools import islice
from typing import Final
from uuid import UUID

from execution_history.errors import Message, StoreError, message_of
from execution_history.query.breakdown import Breakdown, BreakdownQuery
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordKey, RecordQuery, Selection, Statistics, StatisticsQuery
from execution_history.records.record import Document, RecordChange
from execution_history.stores.capabilities import versions_of
from execution_history.stores.compression import StoredRecord
from execution_history.stores.foreign_files import in_groups
from execution_history.stores.postgres.bin import PostgresBin
from execution_history.stores.postgres.change_log import VERSIONS, Logged, arrivals, log_changes, was_committed
from execution_history.stores.postgres.connections import Connection, Connections
from execution_history.stores.postgres.deltas import Deltas
from execution_history.stores.postgres.documents import documents_of, exactly, scan
from execution_history.stores.postgres.error_mapping import as_store_error
from execution_history.stores.postgres.feed import read_changes
from execution_history.stores.postgres.groups import breakdown
from execution_history.stores.postgres.long_texts import restored
from execution_history.stores.postgres.record_rows import Counted
from execution_history.stores.postgres.select import keys_of, select
from execution_history.stores.postgres.space import PostgresSpace
from execution_history.stores.postgres.statistics import statistics
from execution_history.stores.postgres.stored_texts import LONGEST_PREFIX, escaped, stored_text
from execution_history.stores.postgres.verification import PostgresVerification
from execution_history.stores.protocol import (
    Batch,
    Change,
    FoundRecords,
    MergeReport,
    ScanToken,
    StoreHealth,
    WorkflowSummary,
)
from execution_history.stores.status_numbers import STATUS_NAMES, status_number

_MERGE_GROUP: Final = 500
_MERGE_GROUP_BYTES: Final = 2 * 1024 * 1024
_ANSWER_SECONDS: Final = 10
_LARGEST: Final = 2**63 - 1


class PostgresStore(PostgresVerification, PostgresBin, PostgresSpace):
    """A history in one schema of a PostgreSQL database.

    Any number of processes may use it at once. A write waits up to 30 seconds for a server that has gone away. Its
    arguments are those of :class:`~execution_history.stores.postgres.lifecycle.SharedStore`.
    """

    async def create(self, document: Document) -> None:
        """See :meth:`HistoryStore.create`."""
        key = RecordKey(document.workflow_id, document.execute_id)
        await self._parts.writer.submit(lambda batch: batch.create(document), (), (key,), size=len(document.body))

    async def update(self, workflow_id: str, execute_id: str, change: RecordChange) -> Document | None:
        """See :meth:`HistoryStore.update`."""
        key = RecordKey(workflow_id, execute_id)
        return await self._parts.writer.submit(lambda batch: batch.update(key, change), (key,), size=change.size())

    async def merge(self, documents: Iterable[Document], *, settle: bool = True) -> MergeReport:  # noqa: ARG002
        """See :meth:`HistoryStore.merge`; up to five hundred records are one transaction, and nothing has to settle."""
        added = replaced = unchanged = 0
        differing: list[int] = []
        for group in in_groups(documents, _MERGE_GROUP, _MERGE_GROUP_BYTES, lambda each: len(each.body)):
            keys = [RecordKey(each.workflow_id, each.execute_id) for each in group]
            size = sum(len(each.body) for each in group)
            report = await self._parts.writer.submit(lambda batch, group=group: batch.merge(group), keys, size=size)  # type: ignore[misc]
            differing += (added + replaced + unchanged + place for place in report.differing)
            added += report.added
            replaced += report.replaced
            unchanged += report.unchanged
        return MergeReport(added, replaced, unchanged, tuple(differing))

    async def get(self, workflow_id: str, execute_id: str) -> bytes | None:
        """See :meth:`HistoryStore.get`."""
        stored = [[stored_text(workflow_id)], [stored_text(execute_id)]]

        def read(connection: Connection) -> bytes | None:
            rows = connection.execute(self._connections.statements["documents"], stored)
            return next(iter(exactly(self._connections, connection, rows)), None)

        return await self._read(read)

    async def get_many(self, keys: Collection[RecordKey]) -> FoundRecords:
        """See :meth:`HistoryStore.get_many`."""
        named = list(keys)
        found = await self._read(lambda connection: documents_of(self._connections, connection, named))
        damaged = tuple(key for key, body in found.items() if body is None)
        return FoundRecords({key: body for key, body in found.items() if body is not None}, damaged)

    async def find(self, execute_id: str) -> list[bytes]:
        """See :meth:`HistoryStore.find`."""
        return await self._exactly("documents_by_execute_id", stored_text(execute_id))

    async def find_upstream(self, upstream_id: str) -> list[bytes]:
        """See :meth:`HistoryStore.find_upstream`."""
        return await self._exactly("documents_by_upstream_id", stored_text(upstream_id))

    async def scan(self, after: ScanToken | None, limit: int) -> Batch:
        """See :meth:`HistoryStore.scan`."""
        return await self._read(lambda connection: scan(self._connections, connection, after, limit))

    async def select(self, query: RecordQuery) -> Selection:
        """See :meth:`HistoryStore.select`."""
        return await self._in_thread(select, self._connections, query, has_text=self._search)

    async def statistics(self, query: StatisticsQuery) -> Statistics:
        """See :meth:`HistoryStore.statistics`."""
        return await self._in_thread(statistics, self._connections, query, has_text=self._search)

    async def breakdown(self, query: BreakdownQuery) -> Breakdown:
        """See :meth:`HistoryStore.breakdown`."""
        return await self._in_thread(breakdown, self._connections, query, has_text=self._search)

    async def breakdowns(self, queries: Sequence[BreakdownQuery]) -> list[Breakdown]:
        """See :meth:`HistoryStore.breakdowns`."""
        return list(await asyncio.gather(*map(self.breakdown, queries)))

    async def open_records(self, statuses: frozenset[str], limit: int) -> list[bytes]:
        """See :meth:`HistoryStore.open_records`."""
        numbers = sorted({status_number(status) for status in statuses})

        def read(connection: Connection) -> list[bytes]:
            rows = connection.execute(self._connections.statements["open_documents"], (numbers, limit)).fetchall()
            bodies = (self._connections.body(connection, StoredRecord(*row)) for row in rows)
            return [body for body in bodies if body is not None]

        return await self._read(read)

    async def delete(self, workflow_id: str, execute_id: str) -> bool:
        """See :meth:`HistoryStore.delete`."""
        return bool(await self._deleted({RecordKey(workflow_id, execute_id): None}))

    async def delete_many(self, what: Collection[RecordKey] | RecordFilter, limit: int) -> list[RecordKey]:
        """See :meth:`HistoryStore.delete_many`."""
        if not isinstance(what, RecordFilter):
            return await self._deleted(dict(islice(versions_of(what).items(), limit)))
        found = await self._in_thread(keys_of, self._connections, what, limit, has_text=self._search)
        return await self._deleted(dict(found))

    async def clear(self, workflow_id: str) -> bool:
        """See :meth:`HistoryStore.clear`."""
        stored, now = stored_text(workflow_id), self._clock()

        def remove(connection: Connection, token: UUID) -> bool:
            statements = self._statements
            count = self._removed(connection, stored)
            if not count:
                # Perhaps an earlier try, whose answer was lost, has removed them.
                return was_committed(connection, statements, token)
            connection.execute(statements["drop_empty_counters"], (stored,))
            # What was committed meanwhile has a smaller revision than this, so it has to go too; the next ones wait.
            [(revision,)] = connection.execute(statements["lock_feed"])
            self._removed(connection, stored)
            # Later than the place of every record that was removed: none that is seen gone is newer.
            [place] = arrivals(connection, statements, 1)
            noted = {"workflow_id": stored, "version": place * VERSIONS, "now": now, "revision": revision + 1}
            connection.execute(statements["note_cleared"], noted)
            log_changes(connection, statements, [Logged(stored, "", -place * VERSIONS)], now, token)
            return True

        is_done = await self._parts.writer.submit_alone(remove)
        if is_done:
            self._notify()
        return is_done

    def _removed(self, connection: Connection, stored: str) -> int:
        """Remove all records of a workflow that are there, with what is counted of them; return their number."""
        statements, deltas = self._statements, Deltas(self._slot)
        count = 0
        for counted in connection.execute(statements["clear_executions"], (stored,)):
            deltas.count(stored, Counted(*counted), -1)
            count += 1
        if count:
            for name in ("clear_nodes", "clear_days", "clear_stamps"):
                connection.execute(statements[name], (stored,))
            deltas.write(connection, statements)
        return count

    async def workflows(
        self, prefix: str = "", after: WorkflowSummary | None = None, limit: int | None = None
    ) -> list[WorkflowSummary]:
        """See :meth:`HistoryStore.workflows`."""

        def read(connection: Connection) -> list[WorkflowSummary]:
            place = (None, None) if after is None else (after.last_create_time, stored_text(after.workflow_id))
            # Of long ids a column has the beginning only.
            is_long = len(prefix) > LONGEST_PREFIX
            kept = escaped(prefix[:LONGEST_PREFIX])
            values = {"prefix": kept, "time": place[0], "id": place[1], "limit": None if is_long else limit}
            rows = connection.execute(self._connections.statements["workflow_summaries"], values).fetchall()
            names = restored(connection, self._connections.statements, (row[0] for row in rows))
            return [
                WorkflowSummary(
                    names[name], sum(counts), dict(zip(STATUS_NAMES, counts, strict=True)), newest, updated, size
                )
                for name, *counts, updated, size, newest in rows
                if names[name].startswith(prefix)
            ][:limit]

        return await self._read(read)

    async def revision(self) -> int:
        """See :meth:`HistoryStore.revision`."""
        return int((await self._rows("feed_head"))[0][0])

    async def changes(self, since: int, limit: int, *, documents: bool = False) -> list[Change]:
        """See :meth:`HistoryStore.changes`."""
        return await self._in_thread(read_changes, self._connections, min(since, _LARGEST), limit, documents=documents)

    async def health(self) -> StoreHealth:
        """See :meth:`HistoryStore.health`; of checks at the same time one asks the server."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self.open()
                return await asyncio.shield(asyncio.wrap_future(self._check()))
        except TimeoutError:
            sentence = Message("The history has not answered for %(seconds)s seconds.", seconds=_ANSWER_SECONDS)
            return StoreHealth((sentence,))
        except StoreError as error:
            return StoreHealth((message_of(error),))

    def _check(self) -> "Future[StoreHealth]":
        """Return the check that is under way, or begin one, in a thread that no other work waits for."""
        with self._opening:
            running = self._checking
            if running is None or running.done():
                running = self._checking = Future()
                arguments = (self._parts.connections, running)
                threading.Thread(target=_check, args=arguments, name="execution-history-health", daemon=True).start()
        return running

    async def _exactly(self, name: str, value: str) -> list[bytes]:
        def read(connection: Connection) -> list[bytes]:
            rows = connection.execute(self._connections.statements[name], (value,)).fetchall()
            return exactly(self._connections, connection, rows)

        return await self._read(read)

    async def _deleted(self, update_times: Mapping[RecordKey, int | None]) -> list[RecordKey]:
        """Delete the records that still have these update times, ``None`` for any; return those deleted."""
        if not update_times:
            return []
        return await self._parts.writer.submit(lambda batch: batch.delete(update_times), list(update_times))


def _check(connections: Connections, answer: "Future[StoreHealth]") -> None:
    # Not as an exception: who has asked may have gone, and nobody would take it.
    try:
        connections.check()
    except StoreError as error:
        answer.set_result(StoreHealth((message_of(error),)))
    except Exception as error:  # noqa: BLE001 - whatever it is, whoever asked learns of it
        answer.set_result(StoreHealth((message_of(as_store_error(error)),)))
    else:
        answer.set_result(StoreHealth())
