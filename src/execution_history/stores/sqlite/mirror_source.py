"""What the mirror reads of ``history.db`` when it makes a file anew."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import apsw

from execution_history.stores.compression import StoredRecord
from execution_history.stores.mirror_port import FileChange, FileState
from execution_history.stores.sqlite.queries import query
from execution_history.stores.sqlite.reader import Reader, frozen


class MirrorSource:
    """Gives the mirror one moment of the database at a time; for any number of threads.

    Args:
        reader: of the database.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    @contextmanager
    def snapshot(self) -> Iterator["MirrorSnapshot"]:
        """See :meth:`~execution_history.stores.mirror_port.RecordSource.snapshot`."""
        with self._reader.connection() as connection, frozen(connection):
            yield MirrorSnapshot(self._reader, connection)


class MirrorSnapshot:
    """See :class:`~execution_history.stores.mirror_port.RecordSnapshot`."""

    def __init__(self, reader: Reader, connection: apsw.Connection) -> None:
        self._reader = reader
        self._connection = connection

    def revision(self) -> int:
        """See :meth:`RecordSnapshot.revision`."""
        return int(self._rows("feed_revision")[0][0])

    def states(self) -> dict[str, FileState]:
        """See :meth:`RecordSnapshot.states`."""
        return {row[0]: FileState(*row[1:]) for row in self._rows("file_states")}

    def state(self, workflow_id: str) -> FileState | None:
        """See :meth:`RecordSnapshot.state`."""
        found = self._rows("file_state", workflow_id)
        return FileState(*found[0][1:]) if found else None

    def is_small(self, workflow_id: str, rows: int, size: int) -> bool:
        """See :meth:`RecordSnapshot.is_small`."""
        count, total = self._rows("size_up_to", workflow_id, rows + 1)[0]
        return bool(count <= rows and total <= size)

    def documents(self, workflow_id: str) -> Iterator[bytes]:
        """See :meth:`RecordSnapshot.documents`."""
        rows = self._connection.execute(query("workflow_documents"), (workflow_id,))
        return self._reader.readable(self._connection, rows)

    def changes(self, workflow_id: str, since: int) -> list[FileChange]:
        """See :meth:`RecordSnapshot.changes`.

        What came or changed stands in the order in which it came, which decides between records of one millisecond; a
        record that was deleted and came again is in both parts.
        """
        gone = [
            FileChange(row[0], row[1], None)
            for row in self._rows("deleted_in_workflow", since, workflow_id)
            if row[0] is not None
        ]
        changed = [StoredRecord(*row) for row in self._rows("changed_in_workflow", since, workflow_id)]
        found = [(stored, self._reader.stored.find(self._connection, stored)) for stored in changed]
        return gone + [FileChange(s.execute_id, s.create_time, body) for s, body in found if body is not None]

    def safety(self) -> tuple[str, int]:
        """See :meth:`RecordSnapshot.safety`."""
        boot, revision = self._rows("feed_safety")[0]
        return boot, revision

    def _rows(self, name: str, *values: int | str) -> list[tuple[Any, ...]]:
        return self._connection.execute(query(name), values).fetchall()
