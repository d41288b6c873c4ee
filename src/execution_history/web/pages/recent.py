"""The last runs of a workflow in short: a tick for each, and figures over them. Pure."""

from dataclasses import dataclass
from typing import Final

from execution_history.web.pages.lines import RunLine

RUNS: Final = 40
"""How many of the last runs are looked at."""

_ENDED: Final = frozenset({"success", "failed"})


@dataclass(frozen=True, slots=True)
class Tick:
    """One run: its status, when it began and how long it took (milliseconds), and how high it is drawn (4 to 16)."""

    execute_id: str
    status: str
    create_time: int
    duration: int
    height: int


@dataclass(frozen=True, slots=True)
class Recent:
    """The last runs of a workflow, oldest first; ``p95`` in milliseconds and ``tokens`` are over these runs only."""

    ticks: tuple[Tick, ...]
    p95: int | None
    tokens: int


def recent_of(lines: list[RunLine]) -> Recent:
    """What there is to say of *lines*, which are in the order of lists: newest first."""
    longest = max((line.duration for line in lines), default=0) or 1
    ticks = tuple(
        Tick(line.execute_id, line.status, line.create_time, line.duration, 6 + 10 * line.duration // longest)
        for line in reversed(lines)
    )
    durations = sorted(line.duration for line in lines if line.status in _ENDED)
    return Recent(
        ticks,
        durations[int(0.95 * (len(durations) - 1))] if durations else None,
        sum(line.tokens or 0 for line in lines),
    )
