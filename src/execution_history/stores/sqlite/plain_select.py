"""Lists without filters, read from ``history.db`` itself and its counters: they wait for no index."""

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import apsw

from execution_history.errors import Message
from execution_history.query.cursor import Position, cursor_at, position_at
from execution_history.query.model import IndexReach, RecordKey, RecordQuery, Selection
from execution_history.records.attributes import attributes_of
from execution_history.records.partial import outline_of
from execution_history.records.summary import summary_of
from execution_history.stores.sqlite.connections import one_moment
from execution_history.stores.sqlite.documents import NO_LIMIT
from execution_history.stores.sqlite.queries import RECORD_COLUMNS, rows, value
from execution_history.stores.sqlite.queries import query as statement
from execution_history.stores.sqlite.reader import Reader

_FARTHEST: Final = 2**62
_EXPLANATION: Final = Message("Reads the records by time; counters give the total.")
_TOTAL: Final = "w.running + w.success + w.failed + w.interrupted + w.other"
_Row = tuple[Any, ...]


def is_plain(query: RecordQuery) -> bool:
    """Return whether *query* is a list of the records of one workflow, or of all, by time."""
    workflows = query.filter.workflow_ids
    return query.sort == "create_time" and query.filter.given() <= {"workflow_ids"} and len(workflows[:2]) < 2  # noqa: PLR2004 - one or none


async def select_plainly(reader: Reader, query: RecordQuery) -> Selection:
    """Return the result of a plain *query*, on the caller's thread while it is small.

    Raises:
        InvalidCursor: its cursor is broken or another query's.
    """
    position = position_at(query)
    first = 0 if query.index is None else min((query.index - 1) * query.size, _FARTHEST)
    if first < query.size:
        return await reader.bounded(
            lambda connection, limit: _Page(reader, connection, query, limit).near(position, first)
        )
    return await reader.in_thread(lambda c: _Page(reader, c, query).far(first))


@dataclass(frozen=True, slots=True)
class _Page:
    """A page that is read on one connection; ``limit`` is the size of the largest document that may be read."""

    reader: Reader
    connection: apsw.Connection
    query: RecordQuery
    limit: int = NO_LIMIT

    def near(self, after: Position | None, first: int) -> Selection:
        """Return a page that is counted from the beginning of the list, or that follows a cursor."""
        size = self.query.size
        page = self._rows(after, descending=self.query.descending, count=size + 1, skip=first)
        if not page and not self.connection.in_transaction:
            # The counters are a second statement then, and the first record of all may be committed before it.
            with one_moment(self.connection):
                return self.near(after, first)
        revision, total = page[0][:2] if page else self._counted()
        # A workflow without such records has a row without one.
        found = [row[2:] for row in page if row[2] is not None]
        if after is None and len(found) < min(size + 1, total - first):
            # The counters have more: an index is damaged in a way that SQLite does not detect.
            raise apsw.CorruptError("a page has too few records")
        return self._selection(found[:size], revision, total, has_more=len(found) > size)

    def far(self, first: int) -> Selection:
        """Return a numbered page, counted from the nearer end of the list."""
        with one_moment(self.connection):
            revision, total = self._counted()
            count = min(self.query.size, total - first)
            if count <= 0:
                return self._selection([], revision, total, has_more=False)
            if first <= total // 2:
                return self.near(None, first)
            skip = total - first - count
            page = self._rows(None, descending=not self.query.descending, count=count, skip=skip)
        if len(page) < count:
            raise apsw.CorruptError("a page has too few records")
        return self._selection([row[2:] for row in reversed(page)], revision, total, has_more=skip > 0)

    def _selection(self, page: list[_Row], revision: int, total: int, *, has_more: bool) -> Selection:
        query = self.query
        bodies, damaged = self._summaries(page) if query.summaries else self._read(page)
        return Selection(
            documents=bodies,
            total=total,
            total_is_exact=True,
            next=cursor_at(query, Position(page[-1][3], page[-1][3], page[-1][0])) if has_more else None,
            has_more=has_more,
            reach=IndexReach(revision, revision),
            explain=(_EXPLANATION,) if query.explain else (),
            damaged=tuple(damaged),
        )

    def _read(self, page: list[_Row]) -> tuple[list[bytes], list[RecordKey]]:
        return self.reader.read(self.connection, (row[1:] for row in page), self.limit)

    def _summaries(self, page: list[_Row]) -> tuple[list[bytes], list[RecordKey]]:
        """Return summaries, made one by one: a page of records of 5 MB would take 200 MB at once."""
        bodies: list[bytes] = []
        damaged: list[RecordKey] = []
        for row in page:
            read, unreadable = self._read([row])
            bodies += [summary_of(record, attributes_of(record)) for record in map(outline_of, read)]
            damaged += unreadable
        return bodies, damaged

    def _counted(self) -> tuple[int, int]:
        """Return the newest revision and the number of records."""
        revision = value(self.connection, "feed_revision")
        name = "workflow_total" if self.query.filter.workflow_ids else "total_of_all"
        found = rows(self.connection, name, *self.query.filter.workflow_ids)
        return revision, found[0][0] if found else 0

    def _rows(self, after: Position | None, *, descending: bool, count: int, skip: int) -> list[_Row]:
        workflow_ids = self.query.filter.workflow_ids
        place = () if after is None else (after.create_time, after.arrival)
        sql = _sql(bool(workflow_ids), descending, after is not None)
        return self.connection.execute(sql, (self.limit, *place, *workflow_ids, count, skip)).fetchall()


@cache
def _sql(of_one: bool, descending: bool, has_place: bool) -> str:  # noqa: FBT001 - the key of a cache
    """Return the statement that reads a page: revision, total, place in the order of creation, record."""
    direction, sign = ("DESC", "<") if descending else ("ASC", ">")
    place = f" AND (e.create_time, e.seq) {sign} (?, ?)" if has_place else ""
    if of_one:
        total, condition = _TOTAL, "w.workflow_id = ?"
        source = f"workflows w LEFT JOIN executions e ON e.workflow = w.id{place}"
    else:
        total, condition = f"({statement('total_of_all')})", "w.workflow_id IS NOT NULL"
        source = f"executions e JOIN workflows w ON w.id = e.workflow{place}"
    return (
        f"SELECT (SELECT revision FROM feed), {total}, e.seq, {RECORD_COLUMNS}, "  # noqa: S608 - literals of ours
        f"CASE WHEN e.size <= ? THEN e.document END FROM {source} WHERE {condition} "
        f"ORDER BY e.create_time {direction}, e.seq {direction} LIMIT ? OFFSET ?"
    )
