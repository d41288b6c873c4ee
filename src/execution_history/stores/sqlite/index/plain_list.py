"""A list without filters, read from the history itself: where there is no index, and none can be made."""

from typing import Any, Final

import apsw

from execution_history.errors import Message
from execution_history.query.cursor import cursor_at, position_at
from execution_history.query.matcher import Position
from execution_history.query.model import IndexReach, RecordQuery, Selection
from execution_history.records.attributes import facts_of
from execution_history.records.partial import outline_of
from execution_history.records.summary import summary_of
from execution_history.stores.sqlite.queries import RECORD_COLUMNS
from execution_history.stores.sqlite.queries import query as statement
from execution_history.stores.sqlite.reader import Reader

_FARTHEST: Final = 2**62


def is_plain(query: RecordQuery) -> bool:
    """Whether *query* asks for nothing but the records of one workflow, or of all, by time."""
    workflows = query.filter.workflow_ids
    return query.sort == "create_time" and query.filter.given() <= {"workflow_ids"} and len(workflows[:2]) < 2  # noqa: PLR2004


def select_plainly(connection: apsw.Connection, reader: Reader, query: RecordQuery, reason: str) -> Selection:
    """The answer to a plain *query*, with the cursors that an index would give.

    Args:
        connection: one of *reader*'s.
        reader: of the history.
        query: the question.
        reason: why there is no index, for whoever asks how the answer was found.

    Raises:
        InvalidCursor: its cursor is broken or another question's.
    """
    with reader.frozen(connection):
        newest = int(connection.execute(statement("feed_revision")).get)
        total = _total(connection, query)
        rows = _rows(connection, query)
    page, has_more = rows[: query.size], len(rows) > query.size
    bodies, damaged = reader.read(connection, (row[1:] for row in page))
    if query.summaries:
        records = [outline_of(body) for body in bodies]
        bodies = [summary_of(record, facts_of(record)) for record in records]
    return Selection(
        documents=bodies,
        total=total,
        total_is_exact=True,
        next=cursor_at(query, _position(page[-1])) if has_more else None,
        has_more=has_more,
        reach=IndexReach(newest, newest),
        explain=(Message("Reads the history itself, because there is no index: %(reason)s", reason=reason),)
        if query.explain
        else (),
        damaged=tuple(damaged),
    )


def _rows(connection: apsw.Connection, query: RecordQuery) -> list[tuple[Any, ...]]:
    """The rows of a page and one more, each with its place in the order of arrival before the record."""
    after = position_at(query)
    conditions = ["w.workflow_id = ?" if query.filter.workflow_ids else "w.workflow_id IS NOT NULL"]
    values: list[int | str] = list(query.filter.workflow_ids)
    if after is not None:
        conditions.append(f"(e.create_time, e.seq) {'<' if query.descending else '>'} (?, ?)")
        values += [after.create_time, after.arrival]
    direction = "DESC" if query.descending else "ASC"
    skip = 0 if query.index is None else min((query.index - 1) * query.size, _FARTHEST)
    sql = (
        f"SELECT e.seq, {RECORD_COLUMNS}, e.document FROM executions e JOIN workflows w ON w.id = e.workflow "  # noqa: S608 - literals of ours
        f"WHERE {' AND '.join(conditions)} ORDER BY e.create_time {direction}, e.seq {direction} LIMIT ? OFFSET ?"
    )
    return connection.execute(sql, (*values, query.size + 1, skip)).fetchall()


def _total(connection: apsw.Connection, query: RecordQuery) -> int:
    rows: list[Any] = [connection.execute(statement("total_of_all")).fetchone()]
    if query.filter.workflow_ids:
        rows = connection.execute(statement("workflow_total"), query.filter.workflow_ids).fetchall()
    return int(rows[0][0]) if rows else 0


def _position(row: tuple[Any, ...]) -> Position:
    seq, create_time = row[0], row[3]
    return Position(create_time, create_time, seq)
