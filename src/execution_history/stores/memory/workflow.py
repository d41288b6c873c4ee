"""The records of a workflow in memory."""

from bisect import bisect_left
from dataclasses import dataclass, field

from execution_history.records.record import Document


@dataclass(slots=True)
class Entry:
    """A record, its place in the order of arrival, and the revisions of its last and its first change."""

    document: Document
    sequence: int
    revision: int
    first_revision: int

    def place(self) -> tuple[int, int]:
        """Return what sorts records by time."""
        return (self.document.create_time, self.sequence)


@dataclass(slots=True)
class Workflow:
    """The records of a workflow by their ids and by time."""

    entries: dict[str, Entry] = field(default_factory=dict)
    oldest_first: list[Entry] = field(default_factory=list)
    updated_at: int = 0

    def put(self, entry: Entry) -> None:
        """Add a record."""
        at = bisect_left(self.oldest_first, entry.place(), key=Entry.place)
        self.oldest_first.insert(at, entry)
        self.entries[entry.document.execute_id] = entry

    def take(self, execute_id: str) -> Entry | None:
        """Remove a record and return it, or ``None``."""
        entry = self.entries.pop(execute_id, None)
        if entry is not None:
            del self.oldest_first[bisect_left(self.oldest_first, entry.place(), key=Entry.place)]
        return entry
