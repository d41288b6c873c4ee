"""Pieces of SQL, and numbers in columns, that are the same in every store that renders predicates. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from execution_history.query.predicates import And, Exists, HasNode, HasTag, In, Prefix, Range, Suffix
from execution_history.query.statistics import Sums
from execution_history.stores.status_numbers import ENDED_NUMBERS, STATUS_NAMES, STATUS_NUMBERS

LARGEST: Final = 2**63 - 1
"""The largest number of a column; the least is its negative."""

TOKENS: Final = ("tokens", "input_tokens", "output_tokens")
"""The columns of sums of tokens, in the order of :class:`~.statistics.Sums`."""

_HALF: Final = 2**63

ColumnPredicate = In | Range | Exists | HasTag | HasNode | Prefix | Suffix

TAIL: Final = 8
"""Characters at the end of an id by which an index has it; an index on all of a reversed id would be several times as
large, and ids with the same eight are few."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """A piece of SQL: a literal of this package, and the values for its parameters."""

    sql: str
    values: tuple[Any, ...] = ()


def together(fragments: Sequence[Fragment]) -> Fragment:
    """Return the condition that all of *fragments* hold; always true without any."""
    sql = " AND ".join(f"({fragment.sql})" if " OR " in fragment.sql else fragment.sql for fragment in fragments)
    return Fragment(sql or "true", values_of(fragments))


def values_of(fragments: Sequence[Fragment]) -> tuple[Any, ...]:
    """Return the values of *fragments*, one after the other."""
    return tuple(value for fragment in fragments for value in fragment.values)


def of_columns(predicate: And) -> list[ColumnPredicate]:
    """Return the parts of *predicate* that columns decide."""
    return [part for part in predicate.parts if isinstance(part, (HasTag, HasNode, In, Range, Exists, Prefix, Suffix))]


def title_of(predicate: ColumnPredicate) -> str:
    """Return the name of *predicate* in an explanation."""
    if isinstance(predicate, HasNode):
        return "node"
    return "tag" if isinstance(predicate, HasTag) else predicate.attribute.title


def is_ended(table: str) -> str:
    """Return the condition on a row of *table* that its duration counts."""
    return f"{table}.status IN ({', '.join(map(str, sorted(ENDED_NUMBERS)))})"


def counts_of(table: str, *, with_tokens: bool = True) -> str:
    """Return the number of rows of *table* in each status, and the sums of their tokens: all, read and written."""
    counts = (f"count(*) FILTER (WHERE {table}.status = {number})" for number in STATUS_NUMBERS.values())
    return ", ".join([*counts, *(f"coalesce(sum({table}.{name}), 0)" if with_tokens else "0" for name in TOKENS)])


def sums_of(figures: Sequence[Any]) -> Sums:
    """Return the sums in the columns of :func:`counts_of`, or of rollups."""
    size = len(STATUS_NAMES)
    counts = dict(zip(STATUS_NAMES, map(int, figures[:size]), strict=True))
    total, read, written = map(int, figures[size : size + len(TOKENS)])
    return Sums(counts, total, read, written)


def whole(value: Any) -> Any:  # noqa: ANN401 - whatever a record may have
    """Return *value*, or ``None`` for a number that a column has no place for."""
    return None if isinstance(value, int) and abs(value) > LARGEST else value


def fingerprint_number(fingerprint: str) -> int | None:
    """Return a fingerprint as the signed number in its column; ``None`` for an invalid one."""
    try:
        number = int(fingerprint, 16)
    except ValueError:
        return None
    return number - _HALF if 0 <= number < 2 * _HALF and fingerprint == f"{number:016x}" else None


def fingerprint_text(number: int) -> str:
    """Return the fingerprint that *number* stands for in its column."""
    return f"{number + _HALF:016x}"
