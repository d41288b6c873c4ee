"""The last runs of a workflow: a tick for each, and figures over them. Pure."""

from dataclasses import dataclass
from datetime import tzinfo
from typing import Final

from markupsafe import Markup

from execution_history.presentation.formatting import clock, duration
from execution_history.presentation.phrases import status_word
from execution_history.presentation.translator import Translator
from execution_history.query.statistics import ENDED, percentiles
from execution_history.records.record import STATUSES
from execution_history.web.pages import urls
from execution_history.web.pages.run_row import RunLine

RUNS: Final = 40
"""How many of the last runs are shown."""

_LONGEST_LINK: Final = 120
_SVG: Final = Markup(
    '<svg class="ticks" width="{}" height="20" viewBox="0 0 {} 20" preserveAspectRatio="xMaxYMid meet" '
    'aria-hidden="true">{}</svg>'
)
_TICK: Final = Markup(
    '<a href="{}" tabindex="-1"><title>{}, {}, {}</title><rect class="{}" x="{}" y="{}" width="4" height="{}"/></a>'
)


@dataclass(frozen=True, slots=True)
class Recent:
    """The last runs of a workflow, oldest first, each with the height of its tick (6 to 16).

    ``p95`` in milliseconds and ``tokens`` are over these runs only.
    """

    ticks: tuple[tuple[RunLine, int], ...]
    p95: int | None
    tokens: int


def recent_of(lines: list[RunLine]) -> Recent:
    """Return the ticks and figures of *lines*, which are newest first."""
    # A running one, perhaps for days, would make all others look short.
    longest = max((line.duration for line in lines if line.status != "running"), default=0) or 1
    ticks = tuple((line, 6 + min(10, 10 * line.duration // longest)) for line in reversed(lines))
    _, p95, _ = percentiles(sorted(line.duration for line in lines if line.status in ENDED))
    return Recent(ticks, p95, sum(line.tokens or 0 for line in lines))


def ticks_drawn(recent: Recent, workflow_id: str, translate: Translator, zone: tzinfo) -> Markup:
    """Render the ticks as SVG, the newest on the right, each a link; a failure has the full height."""
    begin = RUNS - len(recent.ticks)
    # Forty links with ids of hundreds of characters would dominate the page: such a row only leads to its list.
    is_linked = len(urls.runs(workflow_id)) <= _LONGEST_LINK
    drawn = Markup("").join(
        _TICK.format(
            urls.run(workflow_id, line.execute_id) if is_linked else "#",
            status_word(translate, line.status),
            clock(line.create_time, zone),
            duration(line.duration),
            line.status if line.status in STATUSES else "other",
            6 * (begin + number),
            2 if line.status == "failed" else 18 - height,
            16 if line.status == "failed" else height,
        )
        for number, (line, height) in enumerate(recent.ticks)
    )
    return _SVG.format(6 * RUNS, 6 * RUNS, drawn)
