"""Pieces of SQL with the values for their question marks."""

from collections.abc import Sequence
from dataclasses import dataclass

Value = int | str | bytes | float | None


@dataclass(frozen=True, slots=True)
class Fragment:
    """A piece of an SQL condition: a literal of ours, and the values for its question marks."""

    sql: str
    values: tuple[Value, ...] = ()


def together(fragments: Sequence[Fragment]) -> Fragment:
    """Return the condition that all of *fragments* hold; without any, what is always true."""
    sql = " AND ".join(f"({fragment.sql})" if " OR " in fragment.sql else fragment.sql for fragment in fragments)
    return Fragment(sql or "1", values_of(fragments))


def values_of(fragments: Sequence[Fragment]) -> tuple[Value, ...]:
    """Return the values of *fragments*, one after the other."""
    return tuple(value for fragment in fragments for value in fragment.values)
