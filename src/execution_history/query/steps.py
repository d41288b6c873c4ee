"""The steps of a finder: engine-neutral requests to read, and their answers. Pure."""

from collections.abc import Callable, Generator
from typing import Any, NamedTuple, TypeVar

from execution_history.query.cursor import Position
from execution_history.query.model import RecordKey

_Answer = TypeVar("_Answer")


class Row(NamedTuple):
    """One record in an order: its sort key, its create time, its number in the order of arrival, its revision."""

    value: int | None
    create_time: int
    seq: int
    revision: int

    @property
    def position(self) -> Position:
        """Return its position in the order."""
        return Position(self.value, self.create_time, self.seq)


class StoredDocument(NamedTuple):
    """A record as it is stored now; ``body`` is ``None`` where it is damaged."""

    seq: int
    revision: int
    key: RecordKey
    body: bytes | None


class Rows(NamedTuple):
    """Read at most *limit* rows after *after*, without the first *skip*: a list of :class:`Row`."""

    after: Position | None
    limit: int
    skip: int = 0


class Portion(NamedTuple):
    """Read some rows after *after*, without those that surely lack the text.

    The answer is a list of :class:`Row`, perhaps empty, and the position that it reaches to, ``None`` at the end.
    """

    after: Position | None


class Total(NamedTuple):
    """Count the rows where that is cheap: the number and whether it is exact, else *at_least* and false."""

    at_least: int


class Summaries(NamedTuple):
    """Read the summaries of *rows* that are stored and still current: a dict from ``seq`` to JSON bytes."""

    rows: tuple[Row, ...]


class Documents(NamedTuple):
    """Read the documents at *seqs*, in this order, as far as memory allows, but of at least one.

    The answer is how many of *seqs* were read, and a list of :class:`StoredDocument` of those that still exist.
    """

    seqs: tuple[int, ...]


class Explain(NamedTuple):
    """Explain how the rows are found: a tuple of sentences."""


class Span(NamedTuple):
    """Read the first and the last create time and the number of rows: three numbers, ``None`` without any rows.

    The number is needed only where rollups have it (``rollups.is_rolled_up``); otherwise it may be 0.
    """


class BucketCounts(NamedTuple):
    """Count the rows from *first* to *last* (ms) between each two of *edges*.

    The answer is the percentiles of all, and for each bucket that has rows its number, its :class:`~.statistics.Sums`
    without costs and the percentiles.
    """

    first: int
    last: int
    edges: tuple[int, ...]


class RollupCounts(NamedTuple):
    """Count the rows from *first* to *last* (ms) between each two of *edges*, from rollups where hours are whole.

    The answer is, for each bucket that has rows, its number, its :class:`~.statistics.Sums` without costs and a dict
    from the bucket of a duration (``rollups.bucket_of``) to the runs that ended after it,
    which is empty unless it *has_durations*.
    """

    first: int
    last: int
    edges: tuple[int, ...]
    has_durations: bool = True


class Costs(NamedTuple):
    """Add up the costs of the rows from *first* to *last* (ms) between each two of *edges*.

    The answer is a dict from the numbers of buckets to dicts of millionths by currency.
    """

    first: int
    last: int
    edges: tuple[int, ...]


class ErrorCodes(NamedTuple):
    """Count the rows from *first* to *last* by error code: a dict."""

    first: int
    last: int


class Failures(NamedTuple):
    """Read the most frequent failures from *first* to *last*: a list of :class:`FailureGroup`.

    They are counted between each two of *edges*, too, and within *period*, which ends where the window begins.
    """

    first: int
    last: int
    edges: tuple[int, ...]
    period: tuple[int, int] | None


class GroupRows(NamedTuple):
    """Count the newest *most* rows from *first* to *last* (ms) by what *by* names and between *edges*.

    The answer is a list of :class:`~.breakdown_plan.GroupSums`, and whether there are more rows, in a group or not.
    """

    first: int
    last: int
    edges: tuple[int, ...]
    most: int
    by: str


class RolledGroups(NamedTuple):
    """Count all rows from *first* to *last* (ms) by group, from rollups where they are whole.

    The answer is a list of :class:`~.breakdown_plan.GroupSums` without percentiles and trends.
    """

    first: int
    last: int


class RolledDetails(NamedTuple):
    """Read of the groups with *keys* what :class:`RolledGroups` leaves out.

    The answer is a dict from keys to a dict from the bucket of a duration (``rollups.bucket_of``) to the runs that
    ended after it, and a dict from the numbers of buckets between *edges* to a :class:`~.breakdown.TrendPoint`.
    """

    keys: tuple[str, ...]
    first: int
    last: int
    edges: tuple[int, ...]


class SeenBefore(NamedTuple):
    """Read which of *fingerprints* these workflows had before ``new_since``: a set."""

    fingerprints: tuple[str, ...]


Step = (
    Rows | Portion | Total | Summaries | Documents | Explain | Span | BucketCounts | RollupCounts | Costs
    | ErrorCodes | Failures | GroupRows | RolledGroups | RolledDetails | SeenBefore
)  # fmt: skip
Steps = Generator[Step, Any, _Answer]


def run(steps: Steps[_Answer], execute: Callable[[Step], Any]) -> _Answer:
    """Run *steps* with *execute* for each, and return the answer."""
    answer = None
    while True:
        try:
            step = steps.send(answer)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        answer = execute(step)


def run_counting(
    steps: Steps[_Answer], count: Callable[[Step], Any], open_pages: Callable[[], Callable[[Step], Any]]
) -> _Answer:
    """Run *steps* that count, and return the answer.

    Args:
        steps: they read documents only where rows cannot decide.
        count: executes all other steps.
        open_pages: returns what executes those that read documents; called once, at the first of them.
    """
    pages: list[Callable[[Step], Any]] = []

    def execute(step: Step) -> Any:  # noqa: ANN401 - each step defines the type of its result
        if not isinstance(step, (Portion, Documents)):
            return count(step)
        if not pages:
            pages.append(open_pages())
        return pages[0](step)

    return run(steps, execute)
