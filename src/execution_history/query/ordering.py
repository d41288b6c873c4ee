"""The order of things of which some lack the value that they are sorted by. Pure."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

_Any = TypeVar("_Any")


def known_first(things: Iterable[_Any], value: Callable[[_Any], Any], *, descending: bool) -> list[_Any]:
    """Return *things* sorted by *value*, and behind them those for which it is ``None``; equal ones stay in order."""
    listed = list(things)
    known = [each for each in listed if value(each) is not None]
    return sorted(known, key=value, reverse=descending) + [each for each in listed if value(each) is None]
