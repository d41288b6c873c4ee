"""Predicates as SQL conditions on ``facets f``: literals of this package, and values for their parameters."""

from collections.abc import Sequence
from typing import Any, Final

from execution_history.query.fields import ATTRIBUTES
from execution_history.query.predicates import (
    And,
    Attribute,
    Exists,
    HasNode,
    HasTag,
    In,
    Predicate,
    Prefix,
    Range,
    Suffix,
)
from execution_history.stores.sql_fragments import LARGEST, TAIL, Fragment, fingerprint_number, together, whole
from execution_history.stores.sqlite.queries import Value, past_prefix
from execution_history.stores.status_numbers import STATUS_NUMBERS

STORED: Final = tuple(each for each in ATTRIBUTES if each.stored_as != "several")
"""The attributes that have a column of their own."""

_NUMBER_OF_TEXT: Final = "(SELECT id FROM texts WHERE text = ?)"
_TEXT: Final = "(SELECT text FROM texts WHERE id = {})"
_BEYOND: Final = 1e300
"""Stands for a number that SQLite has no integer for."""


def as_stored(attribute: Attribute, value: Any) -> Any:  # noqa: ANN401 - whatever a record may have
    """Return *value* as the attribute's column stores it, except for shared texts; ``None`` where it cannot."""
    if attribute.stored_as == "status":
        return STATUS_NUMBERS[value]
    if attribute.stored_as == "fingerprint" and value is not None:
        return fingerprint_number(value)
    return whole(value)


def render(predicate: Predicate) -> Fragment:
    """Return the condition that *predicate* holds.

    Raises:
        TypeError: only documents or the text index can decide it.
    """
    match predicate:
        case In(attribute, values):
            if not values:
                return Fragment("0")
            if attribute.stored_as != "several":
                return is_one_of(predicate)
            return _is_listed(Fragment(f"x.name IN {_numbers(values)}", values), attribute.column)
        case Range():
            return _range(predicate)
        case Exists(attribute, is_there):
            return Fragment(f"f.{attribute.column} IS {'NOT ' if is_there else ''}NULL")
        case Prefix() | Suffix():
            return _prefix(predicate) if isinstance(predicate, Prefix) else _suffix(predicate)
        case HasTag() | HasNode():
            return _has(predicate)
        case And(parts):
            return together([render(part) for part in parts])
    raise TypeError(f"No column decides {type(predicate).__name__}.")


def has_name(table: str, name: str) -> Fragment:
    """Return the condition that a row of *table*, an alias of ``tags`` or ``failed_nodes``, has *name*."""
    return Fragment(f"{table}.name = {_NUMBER_OF_TEXT}", (name,))


def _is_listed(named: Fragment, table: str) -> Fragment:
    # Both columns, so that SQLite uses the primary key of the table.
    same = "x.create_time = f.create_time AND x.seq = f.seq"
    return Fragment(f"EXISTS (SELECT 1 FROM {table} x WHERE {named.sql} AND {same})", named.values)  # noqa: S608 - literals of ours


def _has(predicate: HasTag | HasNode) -> Fragment:
    if isinstance(predicate, HasTag):
        return _is_listed(has_name("x", predicate.tag), "tags")
    named = f"{_NUMBER_OF_TEXT} IN (x.node, x.title)"
    test = f"SELECT 1 FROM nodes x WHERE x.seq = f.seq AND {named}"  # noqa: S608 - literals of ours
    if predicate.least_ms is None:
        return Fragment(f"EXISTS ({test})", (predicate.node,))
    return Fragment(f"EXISTS ({test} AND x.duration >= ?)", (predicate.node, _number(predicate.least_ms)))


def _numbers(values: Sequence[Value]) -> str:
    marks = ", ".join("?" * len(values))
    return f"(SELECT id FROM texts WHERE text IN ({marks}))"  # noqa: S608 - a literal of ours


def text_of(number: str) -> str:
    """Return the SQL for the text that the column *number* stands for."""
    return _TEXT.format(number)


def is_one_of(predicate: In) -> Fragment:
    """Return the condition that the column has one of the values, at least one."""
    attribute, values = predicate.attribute, predicate.values
    column = f"f.{attribute.column}"
    if attribute.stored_as == "shared text":
        return Fragment(
            f"{column} = {_NUMBER_OF_TEXT}" if len(values) == 1 else f"{column} IN {_numbers(values)}", values
        )
    stored: tuple[Value, ...] = tuple(as_stored(attribute, value) for value in values)
    if len(stored) == 1 and isinstance(stored[0], bool):  # written out, as the partial index of pins needs it
        return Fragment(f"{column} = {int(stored[0])}")
    if len(stored) == 1:
        return Fragment(f"{column} = ?", stored)
    return Fragment(f"{column} IN ({', '.join('?' * len(stored))})", stored)


def _range(predicate: Range) -> Fragment:
    column = f"f.{predicate.attribute.column}"
    ends = [(">=", predicate.least), ("<=", predicate.most)]
    bounds = [(f"{column} {operator} ?", _number(end)) for operator, end in ends if end is not None]
    if not bounds:
        return Fragment(f"{column} IS NOT NULL")
    return Fragment(" AND ".join(sql for sql, _ in bounds), tuple(value for _, value in bounds))


def _number(number: int) -> Value:
    if abs(number) <= LARGEST:
        return number
    return _BEYOND if number > 0 else -_BEYOND


def _suffix(predicate: Suffix) -> Fragment:
    """Return the condition that the text ends so; the last characters are written as the index has them."""
    column, suffix = f"f.{predicate.attribute.column}", predicate.suffix
    if not suffix:
        return Fragment("1")
    whole = Fragment(f"substr({column}, ?) = ?", (-len(suffix), suffix))
    last = Fragment(f"substr({column}, -{TAIL}) = ?", (suffix[-TAIL:],))
    return whole if len(suffix) < TAIL else together([last, whole])


def _prefix(predicate: Prefix) -> Fragment:
    """Return the range of texts with the prefix, in the order of code points, which is that of UTF-8."""
    column, prefix = f"f.{predicate.attribute.column}", predicate.prefix
    return Fragment(f"{column} >= ? AND {column} < ?", (prefix, past_prefix(prefix)))
