"""The change feed of ``history.db``, merged of the records that are there, the deletions and the registry."""

import heapq
from collections.abc import Generator
from contextlib import closing
from operator import attrgetter
from typing import Literal

import apsw

from execution_history.errors import FeedExpired
from execution_history.stores.administration import EntryName
from execution_history.stores.compression import StoredRecord
from execution_history.stores.protocol import Change
from execution_history.stores.sqlite.documents import LARGEST_BATCH, Documents
from execution_history.stores.sqlite.queries import query
from execution_history.stores.status_numbers import STATUS_NAMES


def changes(connection: apsw.Connection, stored: Documents, since: int, limit: int, *, documents: bool) -> list[Change]:
    """See :meth:`HistoryStore.changes`; the connection looks at one moment, so that no change hides behind a later.

    Raises:
        FeedExpired: deletions that come after *since* have been forgotten.
    """
    floor = int(connection.execute(query("feed_floor")).get)
    if 0 < since < floor:
        raise FeedExpired(since, floor)
    found: list[Change] = []
    size = 0
    with (
        closing(_put(connection, stored, since, limit, documents=documents)) as put,
        closing(_gone(connection, since, limit)) as gone,
        closing(_registry(connection, since, limit, documents=documents)) as registry,
    ):
        for change in heapq.merge(put, gone, registry, key=attrgetter("revision")):
            found.append(change)
            size += len(change.document or b"")
            if len(found) == limit or size >= LARGEST_BATCH:
                break
    return found


def _put(
    connection: apsw.Connection, stored: Documents, since: int, limit: int, *, documents: bool
) -> Generator[Change]:
    with closing(connection.execute(query("changed_executions"), (documents, since, limit))) as rows:
        for revision, first, *row in rows:
            record = StoredRecord(*row)
            body = stored.find(connection, record) if documents else None
            # Where nobody knows with which revision a record came, it is new to whoever knows nothing.
            kind: Literal["created", "updated"] = "created" if first > since or not since else "updated"
            yield Change(revision, kind, *record.key, STATUS_NAMES[record.status], body)


def _gone(connection: apsw.Connection, since: int, limit: int) -> Generator[Change]:
    with closing(connection.execute(query("deleted_executions"), (since, limit))) as rows:
        for revision, workflow_id, execute_id in rows:
            yield Change(revision, "deleted", workflow_id, execute_id)


def _registry(connection: apsw.Connection, since: int, limit: int, *, documents: bool) -> Generator[Change]:
    with closing(connection.execute(query("changed_entries"), (since, limit))) as rows:
        for version, kind, key, value in rows:
            yield Change(version, "registry", document=value if documents else None, entry=EntryName(kind, key))
