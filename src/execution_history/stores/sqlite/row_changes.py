"""What a transaction knows of a workflow while it writes."""

from dataclasses import dataclass, field

from execution_history.stores.jsonfiles.file_update import FaceChange, FaceState, FaceWork


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
