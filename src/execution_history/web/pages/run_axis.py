"""The axis of time under bars, from which what nobody worked in, the waiting for answers, is cut out. Pure."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from execution_history.presentation.formatting import duration

WIDTH: Final = 1_000
"""The units that an axis is wide."""

_STEPS: Final = tuple(base * 10**power for power in range(15) for base in (1, 2, 5))
_MOST_LABELS: Final = 5
_MOST_CUTS: Final = 20
_NARROWEST: Final = 4


class Label(NamedTuple):
    """A time under the axis; ``x`` is in thousandths of its width."""

    x: int
    text: str


class RunAxis(NamedTuple):
    """An axis from *begin* to *end* (milliseconds since the epoch) without the *waits*, pairs of such times."""

    begin: int
    end: int
    waits: tuple[tuple[int, int], ...] = ()

    @property
    def length(self) -> int:
        """How many milliseconds it shows, at least one."""
        return max(1, self.at(self.end))

    def at(self, moment: int) -> int:
        """Return how many milliseconds after its begin a *moment* is, without the waiting between."""
        waited = sum(max(0, min(moment, end) - begin) for begin, end in self.waits)
        return moment - self.begin - waited

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return where the bar from *start* to *end* begins and how wide it is: seen at least, and never beyond."""
        first, length = self.at(start), self.length
        x = min(WIDTH - _NARROWEST, max(0, first * WIDTH // length))
        return x, min(WIDTH - x, max(_NARROWEST, (self.at(end) - first) * WIDTH // length))

    def labels(self) -> list[Label]:
        """Return labels for round times along the axis, at most five."""
        length = self.length
        step = next(step for step in _STEPS if length <= step * _MOST_LABELS)
        return [Label(at * WIDTH // length, duration(at)) for at in range(0, length, step)]

    def cuts(self) -> list[Label]:
        """Return where waits are cut out, with how long they were."""
        length = self.length
        return [
            Label(min(WIDTH, max(0, self.at(begin) * WIDTH // length)), duration(end - begin))
            for begin, end in self.waits[:_MOST_CUTS]
        ]


def axis_of(begin: int, ends: Sequence[int], waits: Sequence[tuple[int, int]] = ()) -> RunAxis:
    """Return the axis from *begin* to the last of *ends*, without *waits*."""
    return RunAxis(begin, max(begin + 1, *ends), tuple(waits))
