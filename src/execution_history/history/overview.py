"""The overview of a history: what failed in a window of time and how each workflow did in it, and what is open now.

What is open – questions, runs that go on, debug pages that expire at Coze – does not depend on the window.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Literal, get_args

from execution_history.errors import InvalidQuery, quoted
from execution_history.history.name_book import WorkflowName
from execution_history.query.hints import hint
from execution_history.query.model import BucketSize, FailureGroup, Figures, IndexReach, RecordKey
from execution_history.query.sort_order import VALUES, known_first
from execution_history.records.time_units import DAY_MS

Window = Literal["24h", "7d", "30d"]
WorkflowSort = Literal["name", "runs", "failed", "success_rate", "p95", "tokens", "cost", "size", "last_run"]


SORTS: Final[tuple[WorkflowSort, ...]] = get_args(WorkflowSort)
FIRST_ASCENDING: Final[frozenset[WorkflowSort]] = frozenset({"name", "success_rate"})
"""The orders in which one looks for the smallest values first."""

WINDOWS: Final[dict[Window, tuple[int, BucketSize]]] = {
    "24h": (DAY_MS, "hour"),
    "7d": (7 * DAY_MS, "day"),
    "30d": (30 * DAY_MS, "day"),
}
"""The length of each window in milliseconds, and of its buckets."""

DEBUG_PAGE_LIVES: Final = 7 * DAY_MS
"""How long Coze keeps a run's debug page (coze-protocol 1.2)."""


@dataclass(frozen=True, slots=True)
class Count:
    """A number of runs; unless it is exact, at least so many."""

    number: int
    is_exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewQuery:
    """A query for the overview.

    Attributes:
        window: how far back it looks.
        zone: the time zone of the days (an IANA name).
        sort: the order of the workflows; those without runs in the window come last.
        descending: the largest, or newest, first; ``None``: as one looks for them, so names and success rates from the
            smallest on.
        wait_seconds: how long the whole answer may wait for an index that follows; as in :class:`RecordQuery`.

    Raises:
        InvalidQuery: there is no such window, or no such order.
    """

    window: Window = "24h"
    zone: str = "UTC"
    sort: WorkflowSort = "failed"
    descending: bool | None = None
    wait_seconds: float | None = None

    def __post_init__(self) -> None:
        if self.window not in WINDOWS:
            raise InvalidQuery(
                "%(window)s is not a window: %(hint)s.",
                window=quoted(self.window),
                hint=hint(str(self.window), WINDOWS),
            )
        if self.sort not in SORTS:
            raise InvalidQuery(
                "%(sort)s is not a sort order; there are %(names)s.", sort=quoted(self.sort), names=", ".join(SORTS)
            )

    @property
    def is_descending(self) -> bool:
        """Whether the largest, or newest, comes first."""
        return self.sort not in FIRST_ASCENDING if self.descending is None else self.descending


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowInWindow:
    """A workflow with its figures in the window; ``last_run`` (milliseconds) is the newest of all time.

    ``size`` is the bytes of JSON of all its records.

    ``figures`` is ``None`` where there are more than a thousand workflows and this one has not been counted.
    """

    workflow_id: str
    name: str | None
    starred: bool
    hidden: bool
    figures: Figures | None
    last_run: int
    size: int = 0


def renamed(workflow: WorkflowInWindow, noted: WorkflowName | None) -> WorkflowInWindow:
    """Return *workflow* with the name, the star and the hiding of *noted*; without any where that is ``None``."""
    words = (None, False, False) if noted is None else (noted.name, noted.starred, noted.hidden)
    if words == (workflow.name, workflow.starred, workflow.hidden):
        return workflow
    name, starred, hidden = words
    return replace(workflow, name=name, starred=starred, hidden=hidden)


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run that is not over; ``gist`` is its question or its output so far. Times are milliseconds."""

    workflow_id: str
    execute_id: str
    create_time: int
    gist: str


@dataclass(frozen=True, slots=True)
class OpenRuns:
    """The newest of some runs that are not over, and how many there are."""

    runs: tuple[OpenRun, ...]
    total: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The answer to an :class:`OverviewQuery`. Times are milliseconds since the epoch.

    Attributes:
        window: the window; it goes from ``since`` to ``until``, both included.
        runs: how many runs began in it.
        failed: how many of them failed, or were interrupted by an error.
        broke_off: how many of these were interrupted.
        failures: what failed, in groups of similar failures, the most frequent first; at most 100. Their ``buckets``
            are in line with those of ``bucket_edges``.
        bucket_edges: where the buckets of the window begin, and where the last one ends.
        workflows: every workflow, in the chosen order, the hidden ones last.
        waiting: runs of the last seven days that were interrupted by a question, or without an error.
        running: the runs that go on.
        expiring: how many unsuccessful runs have a debug page at Coze that expires within a day.
        pinned: how many runs people have pinned, however old.
        problems: a sentence for each reason that runs cannot be recorded or read now.
        reach: how much of the history the answer covers.
        percentiles_are_exact: whether durations come from the runs themselves rather than from histograms.
        damaged: records that had to be read and cannot be.
    """

    window: Window
    since: int
    until: int
    runs: int
    failed: Count
    broke_off: int
    failures: Sequence[FailureGroup]
    bucket_edges: Sequence[int]
    workflows: Sequence[WorkflowInWindow]
    waiting: OpenRuns
    running: OpenRuns
    expiring: Count
    pinned: Count
    problems: Sequence[str]
    reach: IndexReach
    percentiles_are_exact: bool
    damaged: tuple[RecordKey, ...]

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing in it, so that what it has not counted has not happened."""
        return self.reach.is_complete and not self.problems and not self.damaged


def sorted_workflows(
    workflows: Iterable[WorkflowInWindow], sort: WorkflowSort, *, descending: bool = True
) -> list[WorkflowInWindow]:
    """Return *workflows* sorted: hidden ones last, and those without the value, or without runs, behind the others.

    Of equal values the one with the newest run comes first. In the default order, by the most failures, workflows
    without a failure follow, the starred ones first.
    """
    newest = sorted(workflows, key=lambda each: (-each.last_run, each.workflow_id))
    value = partial(_value, sort=sort)
    ordered = known_first(newest, value, descending=descending)
    if sort == "failed" and descending:
        ordered = sorted(ordered, key=lambda each: (-(value(each) or 0), not each.starred))
    return sorted(ordered, key=lambda each: each.hidden)


def _value(workflow: WorkflowInWindow, sort: WorkflowSort) -> Any:  # noqa: ANN401 - whatever it is sorted by
    """Return what a workflow is sorted by; ``None`` where it has no such value."""
    if sort == "name":
        return (workflow.name or workflow.workflow_id).casefold()
    if sort == "last_run":
        return workflow.last_run
    if sort == "size":
        return workflow.size or None
    figures = workflow.figures
    return VALUES[sort](figures) if figures is not None and figures.runs else None
