"""Pieces of SQL with the values for their question marks."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fragment:
    """A piece of an SQL condition: a literal of ours, and the values for its question marks."""

    sql: str
    values: tuple[int | str, ...] = ()
