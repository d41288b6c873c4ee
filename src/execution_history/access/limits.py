"""How often, and how much at once, somebody may send.

Rates are counted in this process: with several servers on one history a key has its rate at each of them.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from execution_history.errors import InvalidInput, quoted
from execution_history.query.values import read_age
from execution_history.records.byte_sizes import bytes_of
from execution_history.records.time_units import SECOND_MS, UNITS_MS

_RATE: Final = re.compile(r"([1-9][0-9]{0,6})\s*/\s*(s|m|h)", re.ASCII)
_SECONDS: Final = {unit: UNITS_MS[unit] // SECOND_MS for unit in ("s", "m", "h")}
_LONGEST_LIFETIME: Final = 100_000 * UNITS_MS["w"]
_LIFETIME_UNITS: Final = ("h", "d", "w")  # who writes 6m may mean months


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests in so many seconds; that is also how many may come at once.

    Raises:
        ValueError: it is none that :func:`rate_of` returns.
    """

    requests: int
    seconds: int

    def __post_init__(self) -> None:
        if self.requests < 1 or self.seconds not in _SECONDS.values():
            raise ValueError("A rate is of one request at least, a second, a minute or an hour.")

    def __str__(self) -> str:
        units = {seconds: unit for unit, seconds in _SECONDS.items()}
        return f"{self.requests}/{units[self.seconds]}"


def rate_of(text: str) -> Rate:
    """Return the rate that a person writes: ``60/m``.

    Raises:
        InvalidInput: it is none.
    """
    found = _RATE.fullmatch(text.strip().lower())
    if found is None:
        raise InvalidInput("A rate is a number of requests a second, minute or hour such as 60/m, not %(text)s.",
                           text=quoted(text))  # fmt: skip
    return Rate(int(found[1]), _SECONDS[found[2]])


def size_of(text: str) -> int:
    """Return the number of bytes that a person writes: ``1MB``; at least one.

    Raises:
        InvalidInput: it is none.
    """
    if not (size := bytes_of(text)):
        raise InvalidInput("A request has at least one byte: leave the size out for any, or give one such as 1MB.")
    return size


def lifetime_of(text: str) -> int:
    """Return the number of milliseconds that a person writes: ``90d``.

    Raises:
        InvalidInput: it is none.
    """
    try:
        lifetime = read_age(text) if text.strip().lower().endswith(_LIFETIME_UNITS) else 0
    except InvalidInput:
        lifetime = 0
    if not 0 < lifetime < _LONGEST_LIFETIME:
        raise InvalidInput("A lifetime is a number of hours, days or weeks such as 90d, not %(text)s.",
                           text=quoted(text))  # fmt: skip
    return lifetime


class Buckets:
    """A token bucket for each key that has a rate.

    Args:
        clock: seconds, from any beginning, that only rise.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._filled: dict[str, tuple[float, float]] = {}

    def take(self, name: str, rate: Rate) -> float:
        """Take one request of *name*; return 0, or after how many seconds there is one again."""
        now = self._clock()
        left, at = self._filled.get(name, (float(rate.requests), now))
        refill = rate.requests / rate.seconds
        left = min(float(rate.requests), left + (now - at) * refill)
        if left < 1:
            self._filled[name] = (left, now)
            return (1 - left) / refill
        self._filled[name] = (left - 1, now)
        return 0.0
