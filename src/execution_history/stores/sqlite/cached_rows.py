"""Rows as the writer keeps them between changes, and which version of a record gives way to another."""

from dataclasses import dataclass
from typing import Any

from execution_history.records.adoption import differs_in_times_only
from execution_history.records.record import Document
from execution_history.stores.compression import StoredRecord
from execution_history.stores.mirror_port import FileState, FileUpdate
from execution_history.stores.status_numbers import OPEN_NUMBERS, STATUS_NUMBERS


@dataclass(slots=True)
class WorkflowRow:
    """A workflow's row as the writer caches it, with the changes of this transaction."""

    id: int
    workflow_id: str
    counts: list[int]
    revision: int
    updated_at: int
    size: int = 0
    update: FileUpdate | None = None

    def state(self) -> FileState:
        """Return the state that the JSON file should have now."""
        return FileState(sum(self.counts), self.revision, self.updated_at)

    def touched(self) -> FileUpdate:
        """Return the changes of this transaction; the first call, before any of them, keeps the state until then."""
        if self.update is None:
            state = self.state()
            self.update = FileUpdate(self.workflow_id, state, state, [])
        return self.update


@dataclass(slots=True)
class RecordRow:
    """A record's row as a change needs it; without a ``body`` its document, ``packed``, was not unpacked yet."""

    seq: int
    create_time: int
    update_time: int
    status: int
    upstream_id: str | None
    body: bytes | None = None
    parts: dict[str, Any] | None = None
    packed: StoredRecord | None = None

    @property
    def size(self) -> int:
        """The bytes of its document."""
        return len(self.body or b"") if self.packed is None else self.packed.size

    def gives_way(self, document: Document, *, is_damaged: bool, ties: bool, is_copy: bool) -> bool:
        """Return whether another version of the record takes its place.

        Args:
            document: the other version.
            is_damaged: whether what is stored of this one is, wherever ``body`` is from.
            ties: whether a different one of the same time does.
            is_copy: whether it was made here and kept on a disk: with nothing new but its times it is damaged.
        """
        if self.body is None:
            return True  # any version is better than none
        if self.update_time != document.update_time:
            is_newer = self.update_time < document.update_time
            return is_newer and not (is_copy and differs_in_times_only(document.body, self.body))
        if is_damaged:
            return True
        if not ties or self.body == document.body:
            return False
        has_ended = self.status not in {*OPEN_NUMBERS, STATUS_NUMBERS["other"]}
        return not has_ended or document.status in {"success", "failed"}
