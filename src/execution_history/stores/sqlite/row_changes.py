"""What a transaction knows of a workflow, and what it asks of the workflow's JSON file afterwards."""

from dataclasses import dataclass, field
from typing import NamedTuple

from execution_history.records.record import Document


@dataclass(slots=True)
class FaceState:
    """What a workflow's JSON file says of itself: its records' number, its revision and its time."""

    total: int
    revision: int
    updated_at: int


class FaceChange(NamedTuple):
    """One record that the JSON file has to show, or, without a body, has to lose.

    ``document`` is where the body comes from, when that is known: it may have been read already.
    """

    execute_id: str
    create_time: int
    body: bytes | None
    new: bool = False
    document: Document | None = None


@dataclass(slots=True)
class WorkflowRow:
    """A workflow's row while the writer knows it, and what this transaction changed of it."""

    id: int
    workflow_id: str
    counts: list[int]
    revision: int
    updated_at: int
    before: FaceState | None = None
    changes: list[FaceChange] = field(default_factory=list)
    cleared: bool = False
    anew: bool = False
    bulk: bool = False

    def state(self) -> FaceState:
        """What the JSON file should say now."""
        return FaceState(sum(self.counts), self.revision, self.updated_at)

    def face_work(self) -> "FaceWork":
        """What the commit asks of the JSON file."""
        after = self.state()
        return FaceWork(self.workflow_id, self.before or after, after, self.changes, self.cleared, self.anew, self.bulk)


@dataclass(slots=True)
class FaceWork:
    """What one commit asks of one JSON file: from which state to which, by which changes.

    ``cleared`` says that the history is gone, ``anew`` that it was cleared and begun again, ``bulk`` that the changes
    are many and come from elsewhere.
    """

    workflow_id: str
    before: FaceState
    after: FaceState
    changes: list[FaceChange]
    cleared: bool
    anew: bool
    bulk: bool
