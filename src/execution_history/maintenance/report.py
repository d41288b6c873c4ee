"""What a run of retention did, or would do: which runs went by which rule, what stayed and why, and what that freed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from execution_history.maintenance.candidates import Candidate
from execution_history.query.retention import Action
from execution_history.records.protection import PROTECTIONS
from execution_history.stores.capabilities import DiskUse

Reason = Literal["no_rules", "no_match", "protected", "in_bin", "over_budget", "failed"]
"""Why nothing was freed, or not enough: there is no rule, or no run matches, all that match are protected, they are in
the bin until they expire, only protected runs are left, or each rule failed."""

_MOST_WORKFLOWS: Final = 200
_MOST_LISTED: Final = 200


@dataclass(slots=True)
class WorkflowPart:
    """What went of one workflow: how many runs and bytes of JSON, and when the oldest and newest began (ms)."""

    workflow_id: str
    runs: int = 0
    bytes: int = 0
    oldest: int | None = None
    newest: int | None = None

    def add(self, create_time: int, freed: int) -> None:
        """Count a run."""
        self.runs += 1
        self.bytes += freed
        self.oldest = create_time if self.oldest is None else min(self.oldest, create_time)
        self.newest = create_time if self.newest is None else max(self.newest, create_time)


@dataclass(frozen=True, slots=True)
class ListedRun:
    """A run that went: its ids, when it began (ms), and how many bytes of JSON it freed."""

    workflow_id: str
    execute_id: str
    create_time: int
    bytes: int


@dataclass(slots=True)
class RulePart:
    """What one rule did.

    Attributes:
        rule: its name; ``max_bytes`` is the budget.
        action: ``remove``, ``contents``, or ``bin`` for what was deleted before and is now gone for good.
        runs: how many runs went.
        bytes: of how many bytes of JSON.
        shortened: how many of them had lost their contents earlier in the same run, and are counted there too.
        kept: how many stayed, by what keeps them: a protection, or ``newest`` and ``bytes`` for a limit of the rule.
        workflows: the same by workflow, at most 200 of them.
        listed: the first 200 runs that went; ``runs`` is how many there are.
        is_complete: whether everything was looked at; a preview ends after its time.
        error: why the rule could not be carried out.
    """

    rule: str
    action: Action | Literal["bin"]
    runs: int = 0
    bytes: int = 0
    shortened: int = 0
    kept: dict[str, int] = field(default_factory=dict)
    workflows: dict[str, WorkflowPart] = field(default_factory=dict)
    listed: list[ListedRun] = field(default_factory=list)
    is_complete: bool = True
    error: str | None = None

    def keep(self, candidate: Candidate) -> None:
        """Count a run that stays."""
        if candidate.protection is not None:
            self.kept[candidate.protection] = self.kept.get(candidate.protection, 0) + 1

    def add(self, candidate: Candidate, freed: int) -> None:
        """Count a run that went; one whose record became longer without its contents freed nothing."""
        workflow_id, create_time, freed = candidate.key.workflow_id, candidate.create_time, max(0, freed)
        self.runs += 1
        self.shortened += candidate.is_shortened
        self.bytes += freed
        if len(self.listed) < _MOST_LISTED:
            self.listed.append(ListedRun(*candidate.key, create_time, freed))
        part = self.workflows.get(workflow_id)
        if part is None and len(self.workflows) < _MOST_WORKFLOWS:
            part = self.workflows[workflow_id] = WorkflowPart(workflow_id)
        if part is not None:
            part.add(create_time, freed)

    def to_json(self) -> dict[str, Any]:
        """Return all fields, the workflows as a list."""
        return {**asdict(self), "workflows": [asdict(each) for each in self.workflows.values()]}


@dataclass(slots=True, kw_only=True)
class RetentionReport:
    """A run of retention. Times are milliseconds since the epoch.

    Attributes:
        began: when it began.
        dry_run: whether nothing was changed.
        parts: what each rule did, in the order of the rules; the budget last.
        limit: the setting ``max_bytes``.
        bin_ms: how long removed runs can be restored.
        before: what the store took before.
        after: what it takes now.
        expected: of a preview with a size limit, about how many bytes it would take afterwards, as both reckon.
        rounds: how often runs went for the size limit; the first time as many as a preview shows, then those for which
            the store was found still too large.
        waits_for_index: whether the index was behind, and gives back the next time what it has of the runs that went.
        ended: when it ended.
        batches: in how many writes.
        longest_ms: how long the longest of them took, waiting for others included.
    """

    began: int
    dry_run: bool
    limit: int | None = None
    bin_ms: int = 0
    parts: list[RulePart] = field(default_factory=list)
    before: DiskUse | None = None
    after: DiskUse | None = None
    expected: int | None = None
    rounds: int = 0
    waits_for_index: bool = False
    ended: int | None = None
    batches: int = 0
    longest_ms: float = 0.0

    @property
    def runs(self) -> int:
        """How many runs went or lost their contents; one that did both counts once."""
        return sum(part.runs - part.shortened for part in self.parts if part.action != "bin")

    @property
    def freed(self) -> int:
        """How many bytes the file system got back."""
        return 0 if self.before is None or self.after is None else max(0, self.before.total - self.after.total)

    @property
    def reason(self) -> Reason | None:
        """Why nothing was freed, or not enough; ``None`` where something was."""
        kept = self.expected if self.dry_run else None if self.after is None else self.after.kept
        if self.limit is not None and kept is not None and kept > self.limit:
            return "over_budget"
        if went := [part for part in self.parts if part.runs]:
            is_in_bin = self.bin_ms and all(part.action == "remove" and part.rule != BUDGET for part in went)
            return "in_bin" if is_in_bin else None
        if not self.parts and self.limit is None:
            return "no_rules"
        if any(part.error for part in self.parts):
            return "failed"
        is_protected = any(name in PROTECTIONS for part in self.parts for name in part.kept)
        return "protected" if is_protected else "no_match"

    def to_json(self) -> dict[str, Any]:
        """Return all fields, and ``runs``, ``freed`` and ``reason``."""
        return {
            "began": self.began,
            "ended": self.ended,
            "dry_run": self.dry_run,
            "runs": self.runs,
            "freed": self.freed,
            "reason": self.reason,
            "limit": self.limit,
            "bin_ms": self.bin_ms,
            "parts": [part.to_json() for part in self.parts],
            "before": disk_json(self.before),
            "after": disk_json(self.after),
            "expected": self.expected,
            "rounds": self.rounds,
            "waits_for_index": self.waits_for_index,
            "batches": self.batches,
            "longest_ms": round(self.longest_ms, 1),
        }


BUDGET: Final = "max_bytes"
"""What the budget is called where a rule has a name."""


def disk_json(use: DiskUse | None) -> Mapping[str, int] | None:
    """Return what a store takes as JSON, with ``total`` and ``used``."""
    return None if use is None else {**asdict(use), "total": use.total, "used": use.used}
