"""The change feed, read from the log of changes and the records as they are now.

A reader that does not see a record at the version that the log names yet stops before it: on a cluster a commit becomes
visible on one node after the other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final, Literal, NamedTuple

from execution_history.errors import FeedExpired
from execution_history.query.model import RecordKey
from execution_history.stores.administration import EntryName
from execution_history.stores.postgres.change_log import VERSIONS
from execution_history.stores.postgres.connections import Connection, Connections
from execution_history.stores.postgres.documents import documents_of
from execution_history.stores.postgres.long_texts import restored
from execution_history.stores.postgres.stored_texts import stored_text
from execution_history.stores.protocol import LARGEST_ANSWER, Change
from execution_history.stores.status_numbers import STATUS_NAMES

_MOST_GROUPS: Final = 200
"""Rows of the log that are read at once."""


class _Logged(NamedTuple):
    """An entry of the log: its revision, the ids as they are stored, and the version, negative where it was deleted."""

    revision: int
    key: RecordKey
    version: int


def read_changes(connections: Connections, since: int, limit: int, *, documents: bool) -> list[Change]:
    """Return at most *limit* changes after *since*; see :meth:`HistoryStore.changes`.

    Raises:
        FeedExpired: deletions after *since* have been forgotten.
        StoreError: it could not be read.
    """

    def read(connection: Connection) -> list[Change]:
        reading = _Reading(connections, connection, since)
        changes = reading.changes(limit)
        return reading.with_documents(changes) if documents else changes

    return connections.read_moment(read)


class _Reading:
    """One reading of the feed, at one moment."""

    def __init__(self, connections: Connections, connection: Connection, since: int) -> None:
        self._connections = connections
        self._connection = connection
        self._since = since
        self._created: set[tuple[RecordKey, int]] = set()
        self._sizes: dict[RecordKey, int] = {}
        self._compacted = 0

    def changes(self, limit: int) -> list[Change]:
        """Return at most *limit* changes, without documents."""
        [(newest, floor, self._compacted)] = self._rows("feed_head")
        if 0 < self._since < floor:
            raise FeedExpired(self._since, floor)
        found: list[Change] = []
        place, is_held_back = self._since, False
        while place < newest and len(found) < limit and not is_held_back:
            logged, end = self._logged(place, min(limit, _MOST_GROUPS))
            some, reached = self._current(logged)
            found += some
            is_held_back = reached < len(logged)
            place = logged[reached].revision - 1 if is_held_back else (newest if end is None else end)
        entries = self._rows("entries_changed", self._since, place, limit)
        names = restored(self._connection, self._connections.statements, (part for row in entries for part in row[:2]))
        found += [
            Change(version, "registry", entry=EntryName(names[kind], names[key])) for kind, key, version in entries
        ]
        return sorted(found, key=lambda change: change.revision)[:limit]

    def with_documents(self, changes: Sequence[Change]) -> list[Change]:
        """Return the first of *changes*, as many as are not too large together, with what they are about."""
        kept: list[Change] = []
        size = 0
        for each in changes:
            if size >= LARGEST_ANSWER:
                break
            kept.append(each)
            size += self._sizes.get(_key(each), 0)
        records = [_key(each) for each in kept if each.entry is None and each.kind != "deleted"]
        bodies = documents_of(self._connections, self._connection, records)
        return [replace(each, document=self._value(each) if each.entry else bodies.get(_key(each))) for each in kept]

    def _value(self, change: Change) -> bytes | None:
        rows = self._rows("entry", *(stored_text(part) for part in change.entry or ()))
        return bytes(rows[0][0]) if rows else None

    def _logged(self, place: int, groups: int) -> tuple[list[_Logged], int | None]:
        """Return the entries of the next rows of the log after *place*, without those that are before the reading.

        With them comes the revision that these rows reach to, ``None`` where there are none.
        """
        found = []
        end: int | None = None
        for revision, workflow_ids, execute_ids, versions in self._rows("changes_after", place, groups):
            first, end = revision - len(versions) + 1, revision
            for number, row in enumerate(zip(workflow_ids, execute_ids, versions, strict=True)):
                if first + number > self._since and row[2]:
                    found.append(_Logged(first + number, RecordKey(*row[:2]), row[2]))
        return found, end

    def _current(self, logged: Sequence[_Logged]) -> tuple[list[Change], int]:
        """Return the changes of *logged* that no later one replaces, and the number of entries that were understood."""
        self._created |= {
            (each.key, each.version) for each in logged if each.version > 0 and not each.version % VERSIONS
        }
        keys = dict.fromkeys(each.key for each in logged)
        rows = self._rows_of("versions_of", keys)
        present = {RecordKey(*row[:2]): (row[2], row[3]) for row in rows}
        sizes = {RecordKey(*row[:2]): row[4] for row in rows}
        absent = [key for key in keys if key not in present]
        # What a whole workflow has lost is noted under it alone.
        absent += [RecordKey(key.workflow_id, "") for key in keys if key not in present]
        gone = {RecordKey(*row[:2]): row[2:] for row in self._rows_of("deletions_of", dict.fromkeys((*absent, *keys)))}
        texts = restored(self._connection, self._connections.statements, (part for key in keys for part in key))
        found = []
        for number, each in enumerate(logged):
            version, status = present.get(each.key, (0, 0))
            own, _ = gone.get(each.key, (0, None))
            cleared, cleared_at = gone.get(RecordKey(each.key.workflow_id, ""), (0, None))
            # A run that was committed after its workflow was deleted may have had its place before that.
            deleted = max(own, 0 if cleared_at is not None and cleared_at < each.revision else cleared)
            ids = texts[each.key.workflow_id], texts[each.key.execute_id] or None
            self._sizes[RecordKey(ids[0], ids[1] or "")] = sizes.get(each.key, 0)
            if each.version > 0 and version == each.version:
                first = version // VERSIONS * VERSIONS
                is_created = not self._since or (each.key, first) in self._created
                kind: Literal["created", "updated"] = "created" if is_created else "updated"
                place = first // VERSIONS
                found.append(Change(each.revision, kind, *ids, STATUS_NAMES[status], arrival=place))
            elif each.version < 0 and own == -each.version:
                found.append(Change(each.revision, "deleted", *ids))
            elif max(version, deleted) <= abs(each.version) and each.revision > self._compacted:
                # It has been committed, and is not to be seen yet; what is missing of the old log has been forgotten.
                return found, number
        return found, len(logged)

    def _rows(self, name: str, *values: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - whatever a column takes
        return self._connection.execute(self._connections.statements[name], values).fetchall()

    def _rows_of(self, name: str, keys: Iterable[RecordKey]) -> list[tuple[Any, ...]]:
        listed = list(keys)
        return self._rows(name, [key.workflow_id for key in listed], [key.execute_id for key in listed])


def _key(change: Change) -> RecordKey:
    return RecordKey(change.workflow_id or "", change.execute_id or "")
