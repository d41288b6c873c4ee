"""Queries of a history and the shapes of their answers. Pure; stores answer them.

A record's duration, tokens, account and so on are defined in :mod:`execution_history.records.attributes`, the filters
in :mod:`execution_history.query.fields`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from execution_history.errors import InvalidQuery, quoted
from execution_history.query.fields import RecordFilter
from execution_history.query.values import check_number

Sort = Literal["create_time", "duration", "tokens", "cost"]
Order = Literal["desc", "asc"]
"""How people write an order: the largest or newest first, or the smallest or oldest."""

FailureState = Literal["new", "back", "more", "still"]
BucketSize = Literal["hour", "day", "week", "month"]

ORDERS: Final[tuple[Order, ...]] = ("desc", "asc")
SORTS: Final[tuple[Sort, ...]] = ("create_time", "duration", "tokens", "cost")
BUCKETS: Final[tuple[BucketSize, ...]] = ("hour", "day", "week", "month")
MAX_SIZE: Final = 100
_MORE: Final = 3
PAGE_SECONDS: Final = 0.1
"""How long a page that a person waits for may wait for an index: it shows what is there, and how much is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordQuery:
    """A query for one page of records in an order.

    Records without a duration, tokens or a cost come last in both directions. Records that are equal in the sort key
    are in the order of ``create_time``, then of arrival, in the same direction. Costs are compared whatever their
    currencies.

    Attributes:
        size: how many records a page has, 1 to 100.
        after: the ``next`` of the page before; opaque.
        index: a numbered page instead, from 1.
        summaries: return summaries (:func:`execution_history.records.summary.summary_of`) rather than records.
        explain: explain in the answer how it was found.
        wait_seconds: how long the answer may wait for an index that follows; ``None``: as long as the store decides. It
            does not wait for what would take longer.

    Raises:
        InvalidQuery: a field is outside its range.
    """

    filter: RecordFilter = field(default_factory=RecordFilter)
    sort: Sort = "create_time"
    descending: bool = True
    size: int = 20
    after: str | None = None
    index: int | None = None
    summaries: bool = False
    explain: bool = False
    wait_seconds: float | None = None

    def __post_init__(self) -> None:
        sort_of(self.sort)
        if not _is_integer(self.size) or not 1 <= self.size <= MAX_SIZE:
            raise InvalidQuery(
                "A page has 1 to %(max_size)s records, not %(size)s.", max_size=MAX_SIZE, size=quoted(self.size)
            )
        if self.index is not None and (not _is_integer(self.index) or self.index < 1):
            raise InvalidQuery("Pages are numbered from 1 on; there is no page %(index)s.", index=quoted(self.index))
        if self.index is not None and self.after is not None:
            raise InvalidQuery("Use either a page number or a cursor, not both.")


def sort_of(name: str, more: Sequence[str] = ()) -> Sort:
    """Return the sort order called *name*; *more* are names that the error lists too.

    Raises:
        InvalidQuery: there is none.
    """
    for sort in SORTS:
        if name == sort:
            return sort
    raise InvalidQuery(
        "%(sort)s is not a sort order; there are %(names)s.", sort=quoted(name), names=", ".join((*SORTS, *more))
    )


def order_of(name: object) -> Order:
    """Return the order called *name*.

    Raises:
        InvalidQuery: it is neither ``desc`` nor ``asc``.
    """
    for order in ORDERS:
        if name == order:
            return order
    raise InvalidQuery(
        "The parameter %(name)s is %(names)s, not %(value)s.",
        name=quoted("order"),
        names=" or ".join(ORDERS),
        value=quoted(name),
    )


def check_bucket(bucket: object) -> None:
    """Raise :class:`InvalidQuery` unless *bucket* is the length of a time bucket, or ``None``."""
    if bucket is not None and bucket not in BUCKETS:
        raise InvalidQuery(
            "%(bucket)s is not a bucket; there are %(names)s.", bucket=quoted(bucket), names=", ".join(BUCKETS)
        )


@dataclass(frozen=True, slots=True)
class IndexReach:
    """How complete an answer is.

    Attributes:
        revision: the change up to which it covers the change feed, but for what is ``missing``.
        newest: the newest change of the feed.
        since: every record with this ``create_time`` (milliseconds) or a later one is covered as it was at
            ``revision``; ``None``: every record is. After an import or a rebuild the newest records come first.
        missing: about how many older records are still to be added; while an index is built beside, in proportion to
            the work that is left.
    """

    revision: int
    newest: int
    since: int | None = None
    missing: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether the answer covers every change that was committed when the query came."""
        return self.revision >= self.newest and self.since is None


class RecordKey(NamedTuple):
    """The key of a record: its workflow and its own id."""

    workflow_id: str
    execute_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """One page of an answer.

    Attributes:
        documents: stored bytes, or summaries as JSON bytes for ``RecordQuery.summaries``.
        total: how many records match; at least so many where ``total_is_exact`` is false.
        next: the cursor of the next page; ``None`` when nothing follows.
        has_more: whether more may follow. A search through documents stops after its time: a page may then be short,
            even empty, with ``has_more``, and ``next`` goes on where it stopped.
        explain: how it was found, one sentence each; empty without ``RecordQuery.explain``.
        reach: how much of the history the answer covers.
        damaged: the records that belong, or may belong, on this page and cannot be read; ``total`` counts those that
            are known to match.
    """

    documents: Sequence[bytes]
    total: int
    total_is_exact: bool
    next: str | None
    has_more: bool
    reach: IndexReach
    explain: tuple[str, ...] = ()
    damaged: tuple[RecordKey, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticsQuery:
    """A query for statistics: the records to count, and their buckets.

    Attributes:
        filter: which records.
        bucket: the length of a time bucket; weeks begin on Monday. ``None``: a day, or a week or a month where days,
            or weeks, would be too many.
        zone: the time zone of the hours, days, weeks and months (an IANA name).
        now: the present (milliseconds), where a window without an end ends; ``None``: the last run's time.
        counts_only: leave percentiles, tokens and costs out, so that fewer rows have to be read.
        figures_only: leave error codes and failures out, likewise.
        new_since: a failure first seen at this time (milliseconds) or later is new; ``None``: no failure is.
        wait_seconds: as in :class:`RecordQuery`.
    """

    filter: RecordFilter = field(default_factory=RecordFilter)
    bucket: BucketSize | None = None
    zone: str = "UTC"
    new_since: int | None = None
    now: int | None = None
    counts_only: bool = False
    figures_only: bool = False
    wait_seconds: float | None = None

    def __post_init__(self) -> None:
        check_bucket(self.bucket)
        for name in ("new_since", "now"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Counts over some runs.

    Attributes:
        runs: how many there are.
        counts: per status, with ``other``.
        success_rate: of the runs that succeeded or failed, the part that succeeded (0 to 1); ``None`` without any.
        p50, p95, p99: of the durations (ms) of the runs that succeeded or failed: the value at the place
            ``int(p * (n - 1))`` of all ``n`` in order, or near it (``Statistics.percentiles_are_exact``); ``None``
            without any.
        tokens: the sum over the runs that have a count.
        input_tokens, output_tokens: of those that are known to have been read and written.
        costs: what they have cost, in units of each currency, by its name; not where that is nothing.
    """

    runs: int
    counts: dict[str, int]
    success_rate: float | None
    p50: int | None
    p95: int | None
    p99: int | None
    tokens: int
    input_tokens: int = 0
    output_tokens: int = 0
    costs: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bucket:
    """The figures of the runs that began from ``start`` (ms) on and before ``end``."""

    start: int
    end: int
    figures: Figures


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGroup:
    """A group of similar failures.

    ``first_seen`` and ``last_seen`` are create times (ms) among the runs that were counted; the example is the newest.
    ``is_new`` is true where these workflows did not have the fingerprint before ``StatisticsQuery.new_since``.

    The window is that of the filter. Without ``created_from``, and with a text or conditions, for which documents would
    have to be read, nothing is known of what was before it.

    Attributes:
        title: the message, with ``<n>``, ``<id>``, ``<value>`` and so on in the place of what differs between them.
        example: the message of the example as one line, where it differs from the title; ``None`` where it does not,
            or it is not known.
        failed_node: what the node is called in which the example failed; ``None`` where that is not known.
        before: how many there were in the period just before the window, of the same length; ``None`` where that is not
            known.
        last_before: when the last one before the window began (ms); ``None`` where there is none, or it is not known.
        buckets: how many there are in each of ``Statistics.buckets``.
        workflows: of how many workflows they are; a failure counts in a nested run and in the run around it.
        state: how it compares with what was before the window; ``None`` where that is not known, also where the history
            began less than one window before it (:mod:`execution_history.history.failure_states`). ``new``: there was
            none; ``back``: there was, but not in the period just before; ``more``: it is at least twice as frequent as
            in that period, and by three at least; ``still``: otherwise.
    """

    fingerprint: str
    title: str
    error_code: str | None
    count: int
    first_seen: int
    last_seen: int
    workflow_id: str
    execute_id: str
    is_new: bool
    failed_node: str | None = None
    before: int | None = None
    last_before: int | None = None
    buckets: tuple[int, ...] = ()
    workflows: int = 1
    example: str | None = None
    state: FailureState | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", _state_of(self))

    @property
    def message(self) -> str:
        """What to show of it: the message of the example, or else the title; empty where there is none."""
        return self.example or self.title


def _state_of(group: FailureGroup) -> FailureState | None:
    if group.before is None:
        return None
    if group.last_before is None:
        return "new"
    if group.before == 0:
        return "back"
    return "more" if group.count >= max(2 * group.before, group.before + _MORE) else "still"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """The answer to a :class:`StatisticsQuery`.

    ``buckets`` follow each other without a gap from the first that has a run to the last; ``error_codes`` and
    ``failures`` are the most frequent first, at most 100 of each. ``damaged`` are the records that had to be read and
    cannot be, which are not counted; where no record has to be read, they are counted like others.
    ``percentiles_are_exact`` is false where those of very many runs come from histograms: each is within 2 % then.
    """

    totals: Figures
    buckets: Sequence[Bucket]
    error_codes: dict[str, int]
    failures: Sequence[FailureGroup]
    reach: IndexReach
    percentiles_are_exact: bool = True
    damaged: tuple[RecordKey, ...] = ()


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
