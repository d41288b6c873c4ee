"""The change feed of ``history.db``, merged of the records that are there, the deletions and the registry."""

import heapq
from collections.abc import Iterator
from contextlib import closing
from operator import attrgetter
from typing import Literal

import apsw

from execution_history.errors import FeedExpired
from execution_history.stores.administration import EntryName
from execution_history.stores.compression import StoredRecord
from execution_history.stores.protocol import Change
from execution_history.stores.sqlite.documents import LARGEST_BATCH, Documents
from execution_history.stores.sqlite.queries import query, rows
from execution_history.stores.status_numbers import STATUS_NAMES


def changes_after(
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
