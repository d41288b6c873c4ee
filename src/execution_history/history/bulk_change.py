"""A change of many runs, as far as it has come."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Literal, NamedTuple

from execution_history.records.time_units import DAY_MS

Action = Literal["delete", "annotate", "restore"]
State = Literal["running", "done", "stopped", "interrupted", "undone"]
Door = Literal["page", "http", "cli", "python"]

KEPT_MS: Final = DAY_MS
"""How long a deletion can be undone, and a change that was cut short carried on (milliseconds)."""


class Tally(NamedTuple):
    """What became of some runs; ``reason`` is that of the first that was refused."""

    changed: int = 0
    unchanged: int = 0
    refused: int = 0
    reason: str | None = None
    left_alone: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkChange:
    """A change of many runs, as far as it has come. Times are milliseconds since the epoch.

    Attributes:
        id: its name; that of a deletion undoes it.
        action: what is done.
        state: ``running``; ``done``; ``stopped`` before its end, by a person or an error; ``interrupted`` by the end of
            the program that carried it out; ``undone``.
        total: how many runs it is to touch; at least so many where ``total_is_exact`` is false.
        total_is_exact: whether they were counted to the end.
        changed: how many it has changed, deleted or restored so far.
        unchanged: how many were so already, or were gone.
        refused: how many could not be changed; ``reason`` is why for the first, or why it stopped.
        left_alone: how many matched, but were changed by others meanwhile, and are as those left them.
        began: when it began.
        updated: when this was said.
        ends: until when it can be undone; ``None`` where it cannot be.
        by: where it was begun.
        filters: the filters that the runs match, as texts by name; ``None`` for runs that were named one by one.
        annotation: what an annotation sets; ``None`` for other actions.
        undoes: the deletion that this restores.
        is_resumable: whether it can be carried on where it is cut short.
    """

    id: str
    action: Action
    state: State = "running"
    total: int = 0
    total_is_exact: bool = True
    changed: int = 0
    unchanged: int = 0
    refused: int = 0
    reason: str | None = None
    left_alone: int = 0
    began: int = 0
    updated: int = 0
    ends: int | None = None
    by: Door = "python"
    filters: dict[str, list[str]] | None = None
    annotation: dict[str, Any] | None = None
    undoes: str | None = None
    is_resumable: bool = False

    @property
    def is_running(self) -> bool:
        """Whether it goes on."""
        return self.state == "running"

    @property
    def reached(self) -> int:
        """How many runs it has come to so far, whatever became of them."""
        return self.changed + self.unchanged + self.refused + self.left_alone

    @property
    def is_cut_short(self) -> bool:
        """Whether it ended before it had come to all runs."""
        return self.state in {"stopped", "interrupted"}

    def can_be_undone(self, now: int) -> bool:
        """Return whether :meth:`BulkChanges.undo` can bring back what it deleted."""
        # One whose process was killed may have removed more than was kept of it.
        has_removed = self.is_cut_short or (self.state == "done" and self.changed > 0)
        return self.action == "delete" and has_removed and self.ends is not None and now < self.ends

    def can_be_resumed(self, now: int) -> bool:
        """Return whether :meth:`BulkChanges.resume` can carry it on."""
        return self.is_resumable and self.is_cut_short and now < self.updated + KEPT_MS

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
            left_alone=self.left_alone + tally.left_alone,
        )

    def finished(self) -> "BulkChange":
        """Return it as done; the runs that it has come to are all there were."""
        return replace(self, state="done", total=self.reached, total_is_exact=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a change needs to be carried on: which runs, since which revision others count, and what to do.

    Attributes:
        filters: the filters that the runs match, as texts by name.
        keys: workflow and execute ids of the runs, where they were named.
        since: the revision of the history when it began.
        annotation: all that an annotation sets.
    """

    filters: Mapping[str, list[str]] | None = None
    keys: list[tuple[str, str]] = field(default_factory=list)
    since: int = 0
    annotation: dict[str, Any] | None = None


class Progress(NamedTuple):
    """A change as it is kept: with the place from which it goes on, and the version of its entry.

    Attributes:
        change: the change.
        after: the cursor of the last batch that is counted; ``None`` before the first, empty after the last of all.
        batches: how many batches are counted.
        version: the version of the entry; 0 before there is one.
    """

    change: BulkChange
    after: str | None = None
    batches: int = 0
    version: int = 0

    def with_change(self, **fields: Any) -> "Progress":  # noqa: ANN401 - of any field of a change
        """Return it with other *fields* of the change."""
        return self._replace(change=replace(self.change, **fields))
