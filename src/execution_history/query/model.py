"""The words of a question to a history, and of its answer. Pure; a store answers, nothing here does.

Everything in a :class:`RecordFilter` is combined with *and*; the values of one tuple with *or*, but for ``tags``: a
record must have all of them. What a record's duration, tokens, account and so on are, is said in
:mod:`execution_history.records.attributes`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Final, Literal, NamedTuple

from execution_history.errors import InvalidQuery, quoted
from execution_history.records.record import STATUSES

Part = Literal["input", "output", "metadata"]
Operator = Literal["=", "!=", "<", "<=", ">", ">=", "exists"]
Sort = Literal["create_time", "duration", "tokens"]
BucketSize = Literal["hour", "day", "week", "month"]

PARTS: Final[tuple[Part, ...]] = ("input", "output", "metadata")
OPERATORS: Final[tuple[Operator, ...]] = ("=", "!=", "<", "<=", ">", ">=", "exists")
SORTS: Final[tuple[Sort, ...]] = ("create_time", "duration", "tokens")
BUCKETS: Final[tuple[BucketSize, ...]] = ("hour", "day", "week", "month")
FILTER_STATUSES: Final = (*STATUSES, "other")
MAX_SIZE: Final = 100

_MOST_VALUES: Final = 100
_MOST_CONDITIONS: Final = 20
_LONGEST_VALUE: Final = 1_000
_LONGEST_TEXT: Final = 2_000


@dataclass(frozen=True, slots=True)
class PathCondition:
    """A comparison of one value in a record's input, output or metadata.

    ``path`` leads from that part to the value: a text is a key of an object, a number an index of a list, from 0.
    A path goes on inside a text that is itself a JSON object or list, as Coze sends nested values.
    ``exists`` means present and not null. ``=`` compares numbers with numbers (1 equals 1.0, true is no number), text
    with text, lists and objects whole; ``!=`` means present and not equal, whatever its type; the order
    comparisons hold between two numbers or two texts (by code point), and between nothing else.
    """

    part: Part
    path: tuple[str | int, ...]
    operator: Operator
    value: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFilter:
    """Which records are meant; without anything, all.

    Times are milliseconds since the epoch, ``created_from`` inclusive and ``created_before`` exclusive; all other
    ranges include both ends, and a record without the value is in none. A status is one of the four, or ``other`` for
    an adopted record whose status is none of them.

    Raises:
        InvalidQuery: a value is of the wrong kind or too long, or there are too many.
    """

    workflow_ids: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    created_from: int | None = None
    created_before: int | None = None
    duration_from: int | None = None
    duration_to: int | None = None
    run_modes: tuple[int, ...] = ()
    bot_ids: tuple[str, ...] = ()
    conversation_ids: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    callers: tuple[str, ...] = ()
    error_codes: tuple[str, ...] = ()
    tokens_from: int | None = None
    tokens_to: int | None = None
    has_output: bool | None = None
    tags: tuple[str, ...] = ()
    pinned: bool | None = None
    rating_from: int | None = None
    rating_to: int | None = None
    upstream_ids: tuple[str, ...] = ()
    execute_id_prefix: str | None = None
    fingerprints: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    conditions: tuple[PathCondition, ...] = ()
    text: str | None = None

    def __post_init__(self) -> None:
        for name in _names(RecordFilter):
            _check(name, getattr(self, name))
        for status in self.statuses:
            if status not in FILTER_STATUSES:
                raise InvalidQuery(
                    "%(status)s is not a status; there are %(names)s.",
                    status=quoted(status),
                    names=", ".join(FILTER_STATUSES),
                )

    def given(self) -> frozenset[str]:
        """The names of what is asked for."""
        return frozenset(name for name in _names(RecordFilter) if getattr(self, name) not in (None, ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordQuery:
    """Which records, in which order, and which page of them.

    Records without a duration or tokens come last in both directions. The order of records alike in what is sorted by
    is that of ``create_time``, then that of arrival, in the same direction.

    Attributes:
        size: how many records a page has, 1 to 100.
        after: the ``next`` of the page before, for the page behind it; opaque.
        index: a numbered page instead, from 1.
        summaries: give summaries (:func:`execution_history.records.summary.summary_of`) rather than records.
        explain: say in the answer how it was found.

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

    def __post_init__(self) -> None:
        if self.sort not in SORTS:
            raise InvalidQuery(
                "%(sort)s is not a sort order; there are %(names)s.", sort=quoted(self.sort), names=", ".join(SORTS)
            )
        if not _is_integer(self.size) or not 1 <= self.size <= MAX_SIZE:
            raise InvalidQuery(
                "A page has 1 to %(max_size)s records, not %(size)s.", max_size=MAX_SIZE, size=quoted(self.size)
            )
        if self.index is not None and (not _is_integer(self.index) or self.index < 1):
            raise InvalidQuery("Pages are numbered from 1 on; there is no page %(index)s.", index=quoted(self.index))
        if self.index is not None and self.after is not None:
            raise InvalidQuery("A page is asked for by its number or by a cursor, not by both.")


@dataclass(frozen=True, slots=True)
class IndexReach:
    """How far an answer can be trusted to be whole: the change feed up to ``revision`` is in it, of ``newest``."""

    revision: int
    newest: int

    @property
    def is_complete(self) -> bool:
        """Whether every change that had been answered when the question came is in the answer."""
        return self.revision >= self.newest


class RecordKey(NamedTuple):
    """Which record: its workflow and its own id."""

    workflow_id: str
    execute_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """One page of an answer.

    Attributes:
        documents: stored bytes, or summaries as JSON bytes where these were asked for.
        total: how many records match; at least so many where ``total_is_exact`` is false.
        next: the cursor of the page behind this one; ``None`` when nothing follows.
        has_more: whether more may follow. A search through documents stops after its time: a page may then be short,
            even empty, with ``has_more``, and ``next`` goes on where it stopped.
        explain: how it was found, one sentence each; empty unless asked for.
        reach: how much of the history has been looked at.
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
    """Which records are counted, and how they are divided.

    Attributes:
        filter: which records.
        bucket: the length of a time bucket; weeks begin on Monday. ``None``: a day, or a week or a month where days,
            or weeks, would be too many.
        zone: the time zone whose hours, days, weeks and months are meant (an IANA name).
        new_since: a failure first seen at this time (milliseconds) or later is new; ``None``: none is.
    """

    filter: RecordFilter = field(default_factory=RecordFilter)
    bucket: BucketSize | None = None
    zone: str = "UTC"
    new_since: int | None = None

    def __post_init__(self) -> None:
        if self.bucket is not None and self.bucket not in BUCKETS:
            raise InvalidQuery(
                "%(bucket)s is not a bucket; there are %(names)s.", bucket=quoted(self.bucket), names=", ".join(BUCKETS)
            )
        _check("new_since", self.new_since)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What is counted of some runs.

    Attributes:
        runs: how many there are.
        counts: per status, with ``other``.
        success_rate: of the runs that succeeded or failed, the part that succeeded (0 to 1); ``None`` without any.
        p50, p95, p99: of the durations (ms) of the runs that succeeded or failed: the value at the place
            ``int(p * (n - 1))`` of all ``n`` in order; ``None`` without any.
        tokens: the sum over the runs that tell theirs.
    """

    runs: int
    counts: dict[str, int]
    success_rate: float | None
    p50: int | None
    p95: int | None
    p99: int | None
    tokens: int


@dataclass(frozen=True, slots=True)
class Bucket:
    """The figures of the runs that began from ``start`` (ms) on and before ``end``."""

    start: int
    end: int
    figures: Figures


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGroup:
    """The failures that are alike.

    ``first_seen`` and ``last_seen`` are create times (ms) among the runs that were counted; the example is the newest.
    ``is_new`` says that the fingerprint was not seen in these workflows before ``StatisticsQuery.new_since``.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """The answer to a :class:`StatisticsQuery`.

    ``buckets`` follow each other without a gap from the first that has a run to the last; ``error_codes`` and
    ``failures`` are the most frequent first, at most 100 of each. ``damaged`` are the records that had to be looked
    into and cannot be read, which are not counted; where nothing has to be looked into, they are counted like others.
    """

    totals: Figures
    buckets: Sequence[Bucket]
    error_codes: dict[str, int]
    failures: Sequence[FailureGroup]
    reach: IndexReach
    damaged: tuple[RecordKey, ...] = ()


def _names(kind: type) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind))


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_NUMBERS: Final = frozenset(
    {
        "created_from", "created_before", "duration_from", "duration_to", "tokens_from", "tokens_to", "rating_from",
        "rating_to", "new_since",
    }
)  # fmt: skip
_FLAGS: Final = frozenset({"has_output", "pinned"})
_TEXTS: Final = frozenset({"execute_id_prefix", "text"})


def _check(name: str, value: object) -> None:
    """Raise :class:`InvalidQuery` when *value* cannot be the filter's *name*."""
    if value is None and (name in _NUMBERS or name in _FLAGS or name in _TEXTS):
        return
    if name in _NUMBERS:
        if not _is_integer(value):
            raise InvalidQuery("%(name)s is a whole number, not %(value)s.", name=name, value=quoted(value))
    elif name in _FLAGS:
        if not isinstance(value, bool):
            raise InvalidQuery("%(name)s is true or false, not %(value)s.", name=name, value=quoted(value))
    elif name in _TEXTS:
        _check_text(name, value, _LONGEST_TEXT)
    elif not isinstance(value, tuple):
        raise InvalidQuery("%(name)s is a tuple of values, not %(name_2)s.", name=name, name_2=type(value).__name__)
    else:
        _check_values(name, value)


def _check_values(name: str, values: tuple[object, ...]) -> None:
    most = _MOST_CONDITIONS if name == "conditions" else _MOST_VALUES
    if len(values) > most:
        raise InvalidQuery(
            "%(name)s takes at most %(most)s values; these are %(count)s.", name=name, most=most, count=len(values)
        )
    for value in values:
        if name == "conditions":
            if not isinstance(value, PathCondition) or value.operator not in OPERATORS or value.part not in PARTS:
                raise InvalidQuery("A condition is a PathCondition, not %(value)s.", value=quoted(value))
        elif name == "run_modes":
            if not _is_integer(value):
                raise InvalidQuery("A run mode is a whole number, not %(value)s.", value=quoted(value))
        else:
            _check_text(name, value, _LONGEST_VALUE)


def _check_text(name: str, value: object, longest: int) -> None:
    if not isinstance(value, str):
        raise InvalidQuery("%(name)s takes text, not %(value)s.", name=name, value=quoted(value))
    if len(value) > longest:
        raise InvalidQuery(
            "%(name)s takes text of at most %(longest)s characters; this one has %(count)s.",
            name=name,
            longest=longest,
            count=len(value),
        )
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidQuery("%(name)s holds half of a surrogate pair, which no record does.", name=name) from None
