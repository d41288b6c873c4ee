"""A change of many runs, as far as it has come."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, NamedTuple

Action = Literal["delete", "annotate", "restore"]


class Tally(NamedTuple):
    """What became of some runs; ``reason`` is that of the first that was refused."""

    changed: int = 0
    unchanged: int = 0
    refused: int = 0
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkChange:
    """A change of many runs, as far as it has come. Times are milliseconds since the epoch.

    Attributes:
        id: its name; that of a deletion undoes it.
        action: what is done.
        state: ``running``; ``done``; ``stopped`` before its end, by a person or an error; ``undone``.
        total: how many runs it is to touch; at least so many where ``total_is_exact`` is false.
        total_is_exact: whether they were counted to the end.
        changed: how many it has changed, deleted or restored so far.
        unchanged: how many were so already, or were gone.
        refused: how many could not be changed; ``reason`` is why for the first, or why it stopped.
        began: when it began.
        updated: when this was said.
        ends: until when it can be undone; ``None`` where it cannot be.
    """

    id: str
    action: Action
    state: Literal["running", "done", "stopped", "undone"] = "running"
    total: int = 0
    total_is_exact: bool = True
    changed: int = 0
    unchanged: int = 0
    refused: int = 0
    reason: str | None = None
    began: int = 0
    updated: int = 0
    ends: int | None = None

    @property
    def is_running(self) -> bool:
        """Whether it goes on."""
        return self.state == "running"

    def can_be_undone(self, now: int) -> bool:
        """Return whether :meth:`BulkChanges.undo` can bring back what it deleted."""
        # One whose process was killed may have removed more than was kept of it.
        has_removed = self.state == "stopped" or (self.state == "done" and self.changed > 0)
        return self.action == "delete" and has_removed and self.ends is not None and now < self.ends

    def to_json(self) -> dict[str, Any]:
        """Return all fields."""
        return asdict(self)

    def plus(self, tally: Tally) -> "BulkChange":
        """Return it with some more runs done."""
        return replace(
            self,
            changed=self.changed + tally.changed,
            unchanged=self.unchanged + tally.unchanged,
            refused=self.refused + tally.refused,
            reason=self.reason or tally.reason,
        )
