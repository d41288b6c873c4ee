"""What a transaction knows of a workflow while it writes."""

from dataclasses import dataclass, field

from execution_history.stores.mirror_port import FileChange, FileState, FileUpdate


@dataclass(slots=True)
class WorkflowRow:
    """A workflow's row while the writer knows it, and what this transaction changed of it."""

    id: int
    workflow_id: str
    counts: list[int]
    revision: int
    updated_at: int
    before: FileState | None = None
    changes: list[FileChange] = field(default_factory=list)
    cleared: bool = False
    anew: bool = False
    bulk: bool = False

    def state(self) -> FileState:
        """Return what the JSON file should say now."""
        return FileState(sum(self.counts), self.revision, self.updated_at)

    def file_update(self) -> FileUpdate:
        """Return what the commit asks of the mirror."""
        now = self.state()
        return FileUpdate(self.workflow_id, self.before or now, now, self.changes, self.cleared, self.anew, self.bulk)
