"""Breakdowns: the runs that match a filter, counted by workflow, node, account and so on. Pure; stores answer."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final, Literal, get_args

from execution_history.errors import InvalidQuery, quoted
from execution_history.query.fields import (
    ACCOUNT,
    BOT,
    CALLER,
    ERROR_CODE,
    FAILED_IN,
    PARENT,
    RUN_MODE,
    STATE,
    WORKFLOW,
    RecordFilter,
)
from execution_history.query.model import BucketSize, Figures, IndexReach, RecordKey, check_bucket
from execution_history.query.predicates import Attribute
from execution_history.query.sort_order import VALUES, known_first
from execution_history.query.values import MODE_NAMES, check_number

By = Literal["workflow", "node", "account", "caller", "error", "failed_node", "tag", "status", "mode", "bot", "parent"]
GroupSort = Literal["runs", "failed", "success_rate", "p50", "p95", "p99", "tokens", "cost", "last_run", "key"]

BYS: Final[tuple[By, ...]] = get_args(By)
GROUP_SORTS: Final[tuple[GroupSort, ...]] = get_args(GroupSort)
MOST_GROUPS: Final = 1_000

GROUPED: Final[Mapping[By, Attribute]] = {
    "workflow": WORKFLOW,
    "account": ACCOUNT,
    "caller": CALLER,
    "error": ERROR_CODE,
    "failed_node": FAILED_IN,
    "status": STATE,
    "mode": RUN_MODE,
    "bot": BOT,
    "parent": PARENT,
}
"""The attribute whose values make the groups; a tag or a node makes a group for itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakdownQuery:
    """A query for figures by group. A run without what it is counted by is in no group, one with two tags in both.

    Attributes:
        filter: which runs.
        by: what they are counted by: ``workflow``; ``node``, for one workflow, of runs that have ended; ``account``;
            ``caller``; ``error``, an error code; ``failed_node``; ``tag``; ``status``; ``mode``, the run mode; ``bot``;
            ``parent``, the run within which they began.
        sort: the order: the most ``runs``, ``failed`` runs, ``tokens`` or ``cost`` first (in whatever currency), the
            longest ``p50``, ``p95`` or ``p99``, the lowest ``success_rate``, the newest ``last_run``; ``key``.
        limit: how many groups are returned, 1 to 1,000.
        bucket: the length of the time buckets of trends; ``None``: without trends.
        zone: as in :class:`~.model.StatisticsQuery`.
        most_runs: so many of the newest runs are counted at most where rollups cannot count them; ``None``: until the
            store decides.
        counts_only: leave percentiles, tokens, costs and times out, so that less has to be read and sorted.
        wait_seconds: as in :class:`~.model.RecordQuery`.

    Raises:
        InvalidQuery: a field is outside its range, or nodes are to be counted for no or several workflows.
    """

    filter: RecordFilter = field(default_factory=RecordFilter)
    by: By = "workflow"
    sort: GroupSort = "runs"
    limit: int = 100
    bucket: BucketSize | None = None
    zone: str = "UTC"
    most_runs: int | None = None
    counts_only: bool = False
    wait_seconds: float | None = None

    def __post_init__(self) -> None:
        if self.by not in BYS:
            raise InvalidQuery(
                "Runs are not counted by %(by)s; there are %(names)s.", by=quoted(self.by), names=", ".join(BYS)
            )
        if self.sort not in GROUP_SORTS:
            raise InvalidQuery(
                "%(sort)s is not a sort order; there are %(names)s.",
                sort=quoted(self.sort),
                names=", ".join(GROUP_SORTS),
            )
        check_number("limit", self.limit)
        if self.most_runs is not None:
            check_number("most_runs", self.most_runs)
        if not 1 <= self.limit <= MOST_GROUPS:
            raise InvalidQuery(
                "A breakdown has 1 to %(most)s groups, not %(limit)s.", most=MOST_GROUPS, limit=self.limit
            )
        check_bucket(self.bucket)
        if self.by == "node" and len(self.filter.workflow_ids or self.filter.workflows) != 1:
            raise InvalidQuery("Nodes are counted within one workflow: name it.")


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """How many runs of a group began in a bucket, and how many of them have failed."""

    runs: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The runs that have one value in common.

    Attributes:
        key: the value, as the filter takes it: an id, a name, a code; of a node its id, else its name.
        title: what people know it by: of a node its title, of all others the key.
        figures: of its runs; of a node the counts per status are those of the node, and its durations last from its
            first message to its last one.
        last_run: when the newest began (ms).
        trend: one for each of ``Breakdown.bucket_edges`` but the last; empty without a bucket.
        type: of a node, where it is known.
        timed: of a node, of how many runs its duration is known.
        total_ms: of a node, the sum of these durations; approximate where percentiles are. ``None``: it is not known.
    """

    key: str
    title: str
    figures: Figures
    last_run: int
    trend: tuple[TrendPoint, ...] = ()
    type: str | None = None
    timed: int | None = None
    total_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """The answer to a :class:`BreakdownQuery`.

    Attributes:
        groups: in the order of the query, at most as many as it takes.
        total_groups: how many there are.
        bucket_edges: the starts (ms) of the buckets of trends and the end of the last; empty without a bucket.
        reach: how much of the history the answer covers.
        covers: of how many of the newest runs that match; ``None``: of all. Others are too many to be counted.
        percentiles_are_exact: as in :class:`~.model.Statistics`.
        damaged: as in :class:`~.model.Statistics`.
    """

    groups: Sequence[Group]
    total_groups: int
    bucket_edges: tuple[int, ...]
    reach: IndexReach
    covers: int | None = None
    percentiles_are_exact: bool = True
    damaged: tuple[RecordKey, ...] = ()


def key_of(by: By, value: object) -> str:
    """Return the key of the group whose runs have *value*."""
    return MODE_NAMES.get(value, str(value)) if by == "mode" and isinstance(value, int) else str(value)


def sorted_groups(groups: Iterable[Group], sort: GroupSort) -> list[Group]:
    """Return *groups* in the order called *sort*; equal ones by their runs, then by their keys."""
    listed = sorted(groups, key=lambda group: (-group.figures.runs, group.key))
    value = (lambda group: VALUES[sort](group.figures)) if sort in VALUES else attrgetter(sort)
    return known_first(listed, value, descending=sort not in _ASCENDING)


_ASCENDING: Final[frozenset[GroupSort]] = frozenset({"success_rate", "key"})
