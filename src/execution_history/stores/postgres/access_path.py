"""The rows that a query reads: few of them, found by one condition, or all in their order.

PostgreSQL guesses how many rows fulfil several conditions together, and where it guesses too many it walks through a
million rows in their order to find twenty. So the rows of each condition that has an index are counted first, as far as
they are few. Where one has few, its rows are read and the others tested, behind ``OFFSET 0``, which is planned alone;
where each has many, twenty are close together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from execution_history.query.model import Sort
from execution_history.query.predicates import Exists, HasNode, HasTag, In, Range, Suffix
from execution_history.stores.postgres.moment import Moment
from execution_history.stores.postgres.predicate_sql import column_of, render
from execution_history.stores.sql_fragments import TAIL, ColumnPredicate, Fragment, together, values_of

TABLE: Final = "execution_history.executions e"

_COLUMNS: Final = (
    "workflow_id, execute_id, seq, version, create_time, update_time, status, duration, tokens, input_tokens, "
    "output_tokens, cost, currency, log_id, failed_in, run_mode, rating, "
    "fingerprint, size, has_output, pinned, error_code, upstream, bot, account, caller, conversation, parent, tags, "
    "failed_nodes"
)
"""What can be tested or sorted by; terms are added where a text is looked for."""

_BY_EQUALITY: Final = frozenset(
    {
        "upstream", "log_id", "conversation", "parent", "fingerprint", "error_code", "bot", "caller", "account",
        "run_mode", "failed_nodes", "workflow_id", "status",
    }
)  # fmt: skip
"""Columns with an index of their own."""

_BY_RANGE: Final = frozenset({"duration", "tokens", "cost", "rating"})
_TOGETHER: Final = frozenset({"workflow_id", "status"})


@dataclass(frozen=True, slots=True)
class AccessPath:
    """The rows that are read.

    Attributes:
        decided: the predicates that one index decides; with few rows they are read from there.
        count: how many these are; ``None`` where they are many.
    """

    decided: tuple[ColumnPredicate, ...] = ()
    count: int | None = None

    @property
    def has_few(self) -> bool:
        """Whether the rows are few."""
        return self.count is not None

    def source(
        self,
        predicates: Sequence[ColumnPredicate],
        *,
        with_terms: bool = False,
        most: int | None = None,
        columns: str = _COLUMNS,
    ) -> tuple[Fragment, Fragment]:
        """Return the FROM clause, and the condition on its rows that all *predicates* hold.

        Args:
            predicates: those of the query.
            with_terms: whether the rows have their terms.
            most: how many of the few are read.
            columns: what is read of the few where nothing has to be tested: an index may have all of it.
        """
        if not self.has_few:
            return Fragment(TABLE), together([render(each) for each in predicates])
        tests = [render(each) for each in predicates if each not in self.decided]
        found = together([render(each) for each in self.decided])
        if with_terms or tests:
            columns = f"{_COLUMNS}, terms" if with_terms else _COLUMNS
        elif most is not None:
            columns = "1"
        end = "OFFSET 0" if most is None else f"LIMIT {most}"
        sql = f"(SELECT {columns} FROM {TABLE} WHERE {found.sql} {end}) e"  # noqa: S608 - literals of ours
        return Fragment(sql, found.values), together(tests)


def is_ordered(predicates: Sequence[ColumnPredicate], sort: Sort) -> bool:
    """Return whether an index has exactly the rows with *predicates* in the order of *sort*.

    Of two workflows or statuses there is such a range for each.
    """
    columns = {_name(each) for each in predicates if isinstance(each, In)}
    others = [each for each in predicates if not isinstance(each, In)]
    if sort == "create_time" and not columns and sum(isinstance(each, HasTag) for each in others) == 1:
        # The runs with tags have an index in their order; what a tag has of them is known well enough to choose it.
        others = [each for each in others if not isinstance(each, HasTag)]
    if sort != "create_time":
        return columns <= {"workflow_id"} and not others
    if not all(isinstance(each, Range) and _name(each) == "create_time" for each in others):
        return False
    if columns <= _TOGETHER:
        return True
    one_value = all(len(each.values) == 1 for each in predicates if isinstance(each, In))
    return len(columns) == 1 and columns <= _BY_EQUALITY - {"failed_nodes"} and one_value


def choose(moment: Moment, predicates: Sequence[ColumnPredicate], sort: Sort, few: int) -> AccessPath:
    """Return the path with the fewest rows, if they are at most *few*."""
    times = [each for each in predicates if isinstance(each, Range) and _name(each) == "create_time"]
    candidates = _candidates(predicates, times)
    widest = max(candidates, key=len, default=())
    otherwise = AccessPath(widest)
    if not candidates or is_ordered(predicates, sort):
        return otherwise
    counted = [together([render(each) for each in candidate]) for candidate in candidates]
    sql = ", ".join(
        f"(SELECT count(*) FROM (SELECT 1 FROM {TABLE} WHERE {each.sql} LIMIT {few + 1}) c)"  # noqa: S608 - literals of ours
        for each in counted
    )
    [counts] = moment.rows(Fragment(f"SELECT {sql}", values_of(counted)))
    fewest = min(counts)
    if fewest > few:
        return otherwise
    decided = candidates[counts.index(fewest)]
    return AccessPath(decided, fewest)


def _candidates(predicates: Sequence[ColumnPredicate], times: Sequence[Range]) -> list[tuple[ColumnPredicate, ...]]:
    """Return the predicates that one index can decide together, the most selective kinds first."""
    found: list[tuple[ColumnPredicate, ...]] = []
    paired = tuple(each for each in predicates if isinstance(each, In) and _name(each) in _TOGETHER)
    found += [(each, *times) for each in predicates if each not in paired and _has_index(each)]
    if paired:
        found.append((*paired, *times))
    elif times:
        found.append(tuple(times))
    return found


def _has_index(predicate: ColumnPredicate) -> bool:
    """Return whether *predicate* has an index, besides that of the times."""
    if isinstance(predicate, Range):
        return _name(predicate) in _BY_RANGE
    if isinstance(predicate, In):
        return _name(predicate) in _BY_EQUALITY or (_name(predicate) == "pinned" and predicate.values == (True,))
    if isinstance(predicate, (Exists, HasNode)):
        return isinstance(predicate, Exists) and predicate.is_there
    return not isinstance(predicate, Suffix) or len(predicate.suffix) >= TAIL


def _name(predicate: ColumnPredicate) -> str:
    if isinstance(predicate, HasNode):
        return "nodes"
    return "tags" if isinstance(predicate, HasTag) else column_of(predicate.attribute)
