"""Lists without filters, read from ``history.db`` itself and its counters: they wait for no other index."""

from functools import cache
from typing import Any, Final

import apsw

from execution_history.errors import Message
from execution_history.query.cursor import Position, cursor_at, position_at
from execution_history.query.model import IndexReach, RecordQuery, Selection
from execution_history.records.attributes import attributes_of
from execution_history.records.partial import outline_of
from execution_history.records.summary import summary_of
from execution_history.stores.sqlite.connections import one_moment
from execution_history.stores.sqlite.documents import NO_LIMIT
from execution_history.stores.sqlite.queries import RECORD_COLUMNS
from execution_history.stores.sqlite.queries import query as statement
from execution_history.stores.sqlite.reader import Reader

_FARTHEST: Final = 2**62
_EXPLANATION: Final = Message("Reads the records by time; counters give the total.")
_TOTAL: Final = "w.running + w.success + w.failed + w.interrupted + w.other"
_Row = tuple[Any, ...]


def is_plain(query: RecordQuery) -> bool:
    """Return whether *query* asks for nothing but the records of one workflow, or of all, by time."""
    workflows = query.filter.workflow_ids
    return query.sort == "create_time" and query.filter.given() <= {"workflow_ids"} and len(workflows[:2]) < 2  # noqa: PLR2004 - one or none


async def select_plainly(reader: Reader, query: RecordQuery) -> Selection:
    """Return the answer to a plain *query*, on the caller's thread while it is small.

    Raises:
        InvalidCursor: its cursor is broken or another question's.
    """
    position = position_at(query)
    first = 0 if query.index is None else min((query.index - 1) * query.size, _FARTHEST)
    if first < query.size:
        return await reader.bounded(lambda connection, limit: _near(reader, connection, limit, query, position, first))
    return await reader.in_thread(lambda connection: _far(reader, connection, query, first))


def _near(
    reader: Reader, connection: apsw.Connection, limit: int, query: RecordQuery, after: Position | None, first: int
) -> Selection:
    """Return a page that is counted from the end where the list begins, or that follows a cursor."""
    rows = _rows(connection, limit, query, after, descending=query.descending, most=query.size + 1, skip=first)
    revision, total = rows[0][:2] if rows else _counted(connection, query)
    # A workflow without such records has a row without one.
    found = [row[2:] for row in rows if row[2] is not None]
    has_more = len(found) > query.size
    if after is None and len(found) < min(query.size + 1, total - first):
        # The counters know of more: an index of SQLite's is damaged in a way that it does not notice itself.
        raise apsw.CorruptError("a page has too few records")
    return _selection(reader, connection, limit, query, found[: query.size], (revision, total, has_more))


def _far(reader: Reader, connection: apsw.Connection, query: RecordQuery, first: int) -> Selection:
    """Return a numbered page; one that is nearer to the other end is counted from there."""
    with one_moment(connection):
        revision, total = _counted(connection, query)
        most = min(query.size, total - first)
        if most <= 0:
            return _selection(reader, connection, NO_LIMIT, query, [], (revision, total, False))
        if first <= total // 2:
            return _near(reader, connection, NO_LIMIT, query, None, first)
        skip, descending = total - first - most, not query.descending
        rows = _rows(connection, NO_LIMIT, query, None, descending=descending, most=most, skip=skip)
    if len(rows) < most:
        raise apsw.CorruptError("a page has too few records")
    found = [row[2:] for row in reversed(rows)]
    return _selection(reader, connection, NO_LIMIT, query, found, (revision, total, skip > 0))


def _selection(
    reader: Reader,
    connection: apsw.Connection,
    limit: int,
    query: RecordQuery,
    rows: list[_Row],
    counted: tuple[int, int, bool],
) -> Selection:
    revision, total, has_more = counted
    bodies, damaged = reader.read(connection, (row[1:] for row in rows), limit)
    if query.summaries:
        records = [outline_of(body) for body in bodies]
        bodies = [summary_of(record, attributes_of(record)) for record in records]
    return Selection(
        documents=bodies,
        total=total,
        total_is_exact=True,
        next=cursor_at(query, _position(rows[-1])) if has_more else None,
        has_more=has_more,
        reach=IndexReach(revision, revision),
        explain=(_EXPLANATION,) if query.explain else (),
        damaged=tuple(damaged),
    )


def _counted(connection: apsw.Connection, query: RecordQuery) -> tuple[int, int]:
    """Return the newest revision, and how many records there are."""
    revision = int(connection.execute(statement("feed_revision")).get)
    found: Any = connection.execute(statement("total_of_all")).get
    if query.filter.workflow_ids:
        found = connection.execute(statement("workflow_total"), query.filter.workflow_ids).get
    return revision, int(found or 0)


def _rows(
    connection: apsw.Connection,
    limit: int,
    query: RecordQuery,
    after: Position | None,
    *,
    descending: bool,
    most: int,
    skip: int,
) -> list[_Row]:
    place = () if after is None else (after.create_time, after.arrival)
    sql = _sql(bool(query.filter.workflow_ids), descending, after is not None)
    values = (limit, *place, *query.filter.workflow_ids, most, skip)
    return connection.execute(sql, values).fetchall()


@cache
def _sql(of_one: bool, descending: bool, has_place: bool) -> str:  # noqa: FBT001 - the key of a cache
    """Return the statement that reads a page: revision, total, place in the order of arrival, record."""
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


def _position(row: _Row) -> Position:
    seq, create_time = row[0], row[3]
    return Position(create_time, create_time, seq)
