"""What the mirror reads of ``history.db`` when it makes a file anew."""

from collections.abc import Iterator

import apsw

from execution_history.stores.compression import StoredRecord
from execution_history.stores.mirror_port import FileChange, FileState
from execution_history.stores.sqlite.documents import Documents
from execution_history.stores.sqlite.queries import query, rows


class MirrorSnapshot:
    """See :class:`~execution_history.stores.mirror_port.RecordSnapshot`."""

    def __init__(self, documents: Documents, connection: apsw.Connection) -> None:
        self._documents = documents
        self._connection = connection

    def revision(self) -> int:
        """See :meth:`RecordSnapshot.revision`."""
        return int(rows(self._connection, "feed_revision")[0][0])

    def states(self) -> dict[str, FileState]:
        """See :meth:`RecordSnapshot.states`."""
        return {row[0]: FileState(*row[1:]) for row in rows(self._connection, "file_states")}

    def state(self, workflow_id: str) -> FileState | None:
        """See :meth:`RecordSnapshot.state`."""
        found = rows(self._connection, "file_state", workflow_id)
        return FileState(*found[0][1:]) if found else None

    def is_small(self, workflow_id: str, count: int, size: int) -> bool:
        """See :meth:`RecordSnapshot.is_small`."""
        [(found, total)] = rows(self._connection, "size_up_to", workflow_id, count + 1)
        return bool(found <= count and total <= size)

    def documents(self, workflow_id: str) -> Iterator[bytes]:
        """See :meth:`RecordSnapshot.documents`."""
        found = self._connection.execute(query("workflow_documents"), (workflow_id,))
        return self._documents.readable(self._connection, found)

    def changes(self, workflow_id: str, since: int) -> list[FileChange]:
        """See :meth:`RecordSnapshot.changes`.

        What came or changed stands in the order in which it came, which decides between records of one millisecond; a
        record that was deleted and came again is in both parts.
        """
        gone = [
            FileChange(row[0], row[1], None)
            for row in rows(self._connection, "deleted_in_workflow", since, workflow_id)
            if row[0] is not None
        ]
        changed = [StoredRecord(*row) for row in rows(self._connection, "changed_in_workflow", since, workflow_id)]
        found = [(stored, self._documents.find(self._connection, stored)) for stored in changed]
        return gone + [FileChange(s.execute_id, s.create_time, body) for s, body in found if body is not None]

    def safety(self) -> tuple[str, int]:
        """See :meth:`RecordSnapshot.safety`."""
        [(boot, revision)] = rows(self._connection, "feed_safety")
        return boot, revision
