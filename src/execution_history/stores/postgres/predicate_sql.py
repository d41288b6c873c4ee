"""Predicates as SQL conditions on ``executions e``: literals of this package, and values for their parameters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from execution_history.query.predicates import And, Attribute, HasTag, In, Predicate, Prefix, Range
from execution_history.query.statistics import ENDED
from execution_history.stores.postgres.stored_texts import beginning_of, escaped, stored_text
from execution_history.stores.status_numbers import STATUS_NUMBERS

LARGEST: Final = 2**63 - 1
"""The largest number of a column; the least is its negative."""

IS_ENDED: Final = f"e.status IN ({', '.join(map(str, sorted(STATUS_NUMBERS[status] for status in ENDED)))})"
"""The condition that a duration counts."""

_HALF: Final = 2**63
_COLUMNS: Final = {"workflow": "workflow_id"}
_NEVER: Final = "false"

ColumnPredicate = In | Range | HasTag | Prefix
Value = Any
"""A value for a parameter: a text, a number, or a list of either."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """A piece of SQL: a literal of this package, and the values for its parameters, each written ``%s``."""

    sql: str
    values: tuple[Value, ...] = ()


def together(fragments: Sequence[Fragment]) -> Fragment:
    """Return the condition that all of *fragments* hold; always true without any."""
    sql = " AND ".join(f"({fragment.sql})" if " OR " in fragment.sql else fragment.sql for fragment in fragments)
    return Fragment(sql or "true", values_of(fragments))


def values_of(fragments: Sequence[Fragment]) -> tuple[Value, ...]:
    """Return the values of *fragments*, one after the other."""
    return tuple(value for fragment in fragments for value in fragment.values)


def column_of(attribute: Attribute) -> str:
    """Return the name of the column that has *attribute*."""
    return _COLUMNS.get(attribute.column, attribute.column)


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


def of_columns(predicate: And) -> list[ColumnPredicate]:
    """Return the parts of *predicate* that columns decide."""
    return [part for part in predicate.parts if isinstance(part, (HasTag, In, Range, Prefix))]


def title_of(predicate: ColumnPredicate) -> str:
    """Return the name of *predicate* in an explanation."""
    return "tag" if isinstance(predicate, HasTag) else predicate.attribute.title


def render(predicate: Predicate) -> Fragment:
    """Return the condition that *predicate* holds.

    Raises:
        TypeError: no column of its own decides it.
    """
    match predicate:
        case In():
            return _in(predicate)
        case Range():
            return _range(predicate)
        case Prefix():
            return _prefix(predicate)
        case HasTag(tag):
            return Fragment("e.tags @> %s::text[]", ([stored_text(tag)],))
        case And(parts):
            return together([render(part) for part in parts])
    raise TypeError(f"No column decides {type(predicate).__name__}.")


def _in(predicate: In) -> Fragment:
    attribute = predicate.attribute
    column = f"e.{column_of(attribute)}"
    found = (_stored(attribute, value) for value in predicate.values)
    values = list(dict.fromkeys(value for value in found if value is not None))
    if not values:
        return Fragment(_NEVER)
    if attribute.stored_as == "several":
        return Fragment(f"{column} && %s::text[]", (values,))
    if isinstance(values[0], bool):  # written out, as the partial index of pins needs it
        return Fragment(" OR ".join(column if value else f"NOT {column}" for value in values))
    if len(values) == 1:
        return Fragment(f"{column} = %s", (values[0],))
    return Fragment(f"{column} = ANY(%s)", (values,))


def _stored(attribute: Attribute, value: Any) -> Any:  # noqa: ANN401 - whatever a filter may have
    """Return *value* as the attribute's column has it; ``None`` where it cannot."""
    if attribute.stored_as == "status":
        return STATUS_NUMBERS[value]
    if attribute.stored_as == "fingerprint":
        return fingerprint_number(value)
    if isinstance(value, str):
        return stored_text(value)
    return None if abs(value) > LARGEST else value


def _range(predicate: Range) -> Fragment:
    column = f"e.{column_of(predicate.attribute)}"
    least, most = predicate.least, predicate.most
    if (least is not None and least > LARGEST) or (most is not None and most < -LARGEST):
        return Fragment(_NEVER)
    ends = [(">=", least), ("<=", most)]
    bounds = [Fragment(f"{column} {sign} %s", (end,)) for sign, end in ends if end is not None and abs(end) <= LARGEST]
    return together(bounds) if bounds else Fragment(f"{column} IS NOT NULL")


def _prefix(predicate: Prefix) -> Fragment:
    """Return the condition that the text begins so; of a shortened one only the beginning is in the column."""
    column, prefix = f"e.{column_of(predicate.attribute)}", escaped(predicate.prefix)
    begins = Fragment(f"starts_with({column}, %s)", (prefix,))
    beginning = beginning_of(prefix)
    if beginning == prefix:
        return begins
    shortened = (
        f"{column} IN (SELECT l.key FROM execution_history.long_texts l "  # noqa: S608 - literals of ours
        "WHERE starts_with(l.key, %s) AND starts_with(l.text, %s))"
    )
    return Fragment(f"{begins.sql} OR {shortened}", (*begins.values, beginning, prefix))
