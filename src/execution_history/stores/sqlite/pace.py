"""How quick the disk is: whether a commit may be made on the thread of an event loop."""

import time
from collections.abc import Callable
from typing import Final

SLOW_SECONDS: Final = 0.002
"""Commits that take longer than this on average would hold an event loop up."""

_QUICK_SECONDS: Final = 0.001
_WEIGHT: Final = 0.125
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0


class Pace:
    """The time that commits take, and what follows from it.

    A slow disk is tried again after a second, then after two, four and so on up to a minute; and it counts as quick
    again as soon as the commits of the writer thread are. Not for several threads at once.

    Args:
        clock: seconds, from any beginning.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.clock = clock
        self._average = 0.0
        self._is_slow = False
        self._pause = _FIRST_PAUSE
        self._next_try = 0.0

    def is_quick(self) -> bool:
        """Whether the next commit may be made on an event loop's thread."""
        return not self._is_slow or self.clock() >= self._next_try

    def note(self, began: float, *, on_loop: bool) -> None:
        """A small commit that *began* at this time of the clock has just ended."""
        now = self.clock()
        seconds = now - began
        self._average += (seconds - self._average) * _WEIGHT
        if not self._is_slow:
            if self._average > SLOW_SECONDS:
                self._is_slow, self._next_try = True, now + self._pause
        elif on_loop and seconds > _QUICK_SECONDS:
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)
            self._next_try = now + self._pause
        elif on_loop or self._average < _QUICK_SECONDS:
            self._is_slow, self._average, self._pause = False, seconds, _FIRST_PAUSE
