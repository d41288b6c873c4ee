"""The order of things of which some lack the value that they are sorted by, and the values of figures. Pure."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

from execution_history.query.model import Figures

VALUES: Final[Mapping[str, Callable[[Figures], Any]]] = {
    "runs": lambda figures: figures.runs,
    "failed": lambda figures: figures.counts["failed"],
    "success_rate": lambda figures: figures.success_rate,
    "p50": lambda figures: figures.p50,
    "p95": lambda figures: figures.p95,
    "p99": lambda figures: figures.p99,
    "tokens": lambda figures: figures.tokens,
    "cost": lambda figures: max(figures.costs.values(), default=None),
}
"""What groups of runs are sorted by; ``None`` where there is no such value. A cost is in whatever currency."""

_Any = TypeVar("_Any")


def known_first(things: Iterable[_Any], value: Callable[[_Any], Any], *, descending: bool) -> list[_Any]:
    """Return *things* sorted by *value*, and behind them those for which it is ``None``; equal ones stay in order."""
    listed = list(things)
    known = [each for each in listed if value(each) is not None]
    return sorted(known, key=value, reverse=descending) + [each for each in listed if value(each) is None]
