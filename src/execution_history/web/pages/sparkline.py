"""Small pictures in a line: the last runs of a workflow, a tick for each, and counts over time. Pure."""

from collections.abc import Sequence
from datetime import tzinfo
from itertools import pairwise
from typing import Final

from markupsafe import Markup

from execution_history.presentation.formatting import clock, duration, thin
from execution_history.presentation.phrases import status_word
from execution_history.presentation.translator import Translator
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
_WIDTH: Final = 124
_HEIGHT: Final = 20
_GROUND: Final = _HEIGHT - 1
_BARS: Final = Markup(
    '<svg class="spark" width="{0}" height="{1}" viewBox="0 0 {0} {1}" aria-hidden="true">'
    '<path class="ground" d="M0 {2}h{0}"/>{3}</svg>'
)
_BAR: Final = Markup('<g><title>{}: {}</title><path class="room" d="M{} 0h{}v{}h-{}z"/>{}</g>')
_COLUMN: Final = Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>')
_LONGEST_HOUR: Final = 2 * 3_600_000


def ticks_drawn(lines: Sequence[RunLine], workflow_id: str, translate: Translator, zone: tzinfo) -> Markup:
    """Render the runs in *lines*, newest first, as ticks in SVG, the newest on the right, each a link.

    The longer a run took the higher its tick; a failure has the full height.
    """
    # A running one, perhaps for days, would make all others look short.
    longest = max((line.duration for line in lines if line.status != "running"), default=0) or 1
    begin = RUNS - len(lines)
    # Forty links with ids of hundreds of characters would dominate the page: such a row only leads to its list.
    is_linked = len(urls.runs(workflow_id)) <= _LONGEST_LINK
    drawn = []
    for number, line in enumerate(reversed(lines)):
        height = 16 if line.status == "failed" else 6 + min(10, 10 * line.duration // longest)
        drawn.append(
            _TICK.format(
                urls.run(workflow_id, line.execute_id) if is_linked else "#",
                status_word(translate, line.status),
                clock(line.create_time, zone),
                duration(line.duration),
                line.status if line.status in STATUSES else "other",
                6 * (begin + number),
                2 if line.status == "failed" else 18 - height,
                height,
            )
        )
    return _SVG.format(6 * RUNS, 6 * RUNS, Markup("").join(drawn))


def bars_drawn(counts: Sequence[int], failed: Sequence[int], edges: Sequence[int], zone: tzinfo) -> Markup:
    """Render *counts*, one between each two of *edges* (milliseconds), as bars in SVG; hovering tells time and count.

    *failed* says how many of each have failed. The bars of one picture are on a scale of their own, and whatever is not
    zero can be seen.
    """
    step, highest = _WIDTH / max(1, len(counts)), max(counts, default=0) or 1
    width, room = round(max(1.0, step - 1), 2), round(step, 2)
    drawn = []
    for number, (count, bad, (start, end)) in enumerate(zip(counts, failed, pairwise(edges), strict=True)):
        if not count:
            continue
        x, columns = round(number * step, 2), Markup("")
        for kind, part in (("runs", count), ("failed", bad)):
            height = round(max(3, (_GROUND - 1) * part / highest), 2)
            columns += _COLUMN.format(kind, x, round(_GROUND - height, 2), width, height) if part else ""
        moment = clock(start, zone)
        name = moment[:16] if end - start <= _LONGEST_HOUR else moment[:10]
        said = thin(count) if bad in {0, count} else f"{thin(count)} (✕ {thin(bad)})"
        drawn.append(_BAR.format(name, said, x, room, _HEIGHT, room, columns))
    return _BARS.format(_WIDTH, _HEIGHT, _GROUND, Markup("").join(drawn))
