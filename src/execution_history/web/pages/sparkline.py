"""The last runs of a workflow in short: a tick for each, and figures over them. Pure."""

from dataclasses import dataclass
from datetime import tzinfo
from typing import Final

from markupsafe import Markup

from execution_history.presentation.formatting import clock, duration
from execution_history.presentation.phrases import status_word
from execution_history.presentation.translator import Translator
from execution_history.records.record import STATUSES
from execution_history.web.pages import urls
from execution_history.web.pages.run_row import RunLine

RUNS: Final = 40
"""How many of the last runs are looked at."""

_LONGEST_LINK: Final = 120
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
    """Return what is shown of *lines*, which are in the order of lists: newest first."""
    # One that goes on, perhaps for days, would make all others look short.
    longest = max((line.duration for line in lines if line.status != "running"), default=0) or 1
    ticks = tuple(
        Tick(line.execute_id, line.status, line.create_time, line.duration, 6 + min(10, 10 * line.duration // longest))
        for line in reversed(lines)
    )
    durations = sorted(line.duration for line in lines if line.status in _ENDED)
    return Recent(
        ticks,
        durations[int(0.95 * (len(durations) - 1))] if durations else None,
        sum(line.tokens or 0 for line in lines),
    )


_SVG: Final = Markup(
    '<svg class="ticks" width="{}" height="20" viewBox="0 0 {} 20" preserveAspectRatio="xMaxYMid meet" '
    'aria-hidden="true">{}</svg>'
)
_TICK: Final = Markup(
    '<a href="{}" tabindex="-1"><title>{}, {}, {}</title><rect class="{}" x="{}" y="{}" width="4" height="{}"/></a>'
)


def ticks_drawn(recent: Recent, workflow_id: str, translate: Translator, zone: tzinfo) -> Markup:
    """Render the ticks as SVG, newest right, each a link; a failure is as high as there is room."""
    begin = RUNS - len(recent.ticks)
    # Forty links with ids of hundreds of characters would be most of the page: such a row leads to its list only.
    is_linked = len(urls.runs(workflow_id)) <= _LONGEST_LINK
    drawn = Markup("").join(
        _TICK.format(
            urls.run(workflow_id, tick.execute_id) if is_linked else "#",
            status_word(translate, tick.status),
            clock(tick.create_time, zone),
            duration(tick.duration),
            tick.status if tick.status in STATUSES else "other",
            6 * (begin + number),
            2 if tick.status == "failed" else 18 - tick.height,
            16 if tick.status == "failed" else tick.height,
        )
        for number, tick in enumerate(recent.ticks)
    )
    return _SVG.format(6 * RUNS, 6 * RUNS, drawn)
