"""Small pictures in a line: the last runs of a workflow, a tick for each, and counts over time. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import tzinfo
from typing import Final, NamedTuple

from markupsafe import Markup

from execution_history.presentation.formatting import clock, duration, thin
from execution_history.presentation.phrases import status_word
from execution_history.presentation.translator import Translator
from execution_history.records.record import STATUSES
from execution_history.web.pages import urls
from execution_history.web.pages.chart_axis import ChartAxis
from execution_history.web.pages.chart_view import Spot
from execution_history.web.pages.charts import Chart, overlaid
from execution_history.web.pages.run_row import RunLine

RUNS: Final = 40
"""How many of the last runs are shown."""

_STEP: Final = 6
_WIDTH: Final = _STEP * RUNS
_SVG: Final = Markup(
    '<svg class="ticks" width="{0}" height="20" viewBox="0 0 {0} 20" preserveAspectRatio="none" '
    'aria-hidden="true">{1}</svg>'
)
_PATH: Final = Markup('<path class="{}" d="{}"/>')
_LINK: Final = Markup('<a href="{}" tabindex="-1"><title>{}, {}, {}</title>{}{}</a>')


class _Tick(NamedTuple):
    """A run as a tick: where its place begins, and the kind and the path of what is drawn there."""

    line: RunLine
    x: int
    kind: str
    path: str


class Spark(NamedTuple):
    """Counts over time as bars, and the times and counts of those that are not zero."""

    chart: Chart
    spots: tuple[Spot, ...]


def picture_of(lines: Sequence[RunLine]) -> Markup:
    """Render the runs in *lines*, newest first, as ticks in SVG, the newest on the right.

    The longer a run took the higher its tick; a failure has the full height.
    """
    paths: dict[str, str] = {}
    for tick in _ticks(lines):
        paths[tick.kind] = paths.get(tick.kind, "") + tick.path
    return _SVG.format(_WIDTH, Markup("").join(_PATH.format(*each) for each in paths.items()))


def links_of(lines: Sequence[RunLine], translate: Translator, zone: tzinfo) -> Markup:
    """Render the same picture with a link for each run, whose title has its status, beginning and duration."""
    drawn = [
        _LINK.format(
            urls.run(tick.line.workflow_id, tick.line.execute_id),
            status_word(translate, tick.line.status),
            clock(tick.line.create_time, zone),
            duration(tick.line.duration),
            _PATH.format("room", f"M{tick.x} 0h{_STEP}v20h-{_STEP}z"),
            _PATH.format(tick.kind, tick.path),
        )
        for tick in _ticks(lines)
    ]
    return _SVG.format(_WIDTH, Markup("").join(drawn))


def counts_of(lines: Sequence[RunLine], translate: Translator) -> str:
    """Return how many of the runs in *lines* have each status, the most frequent first."""
    counts = Counter(line.status for line in lines).most_common()
    return translate.gettext(", ").join(f"{status_word(translate, status)} {count}" for status, count in counts)


def spark_of(axis: ChartAxis, counts: Sequence[int], failed: Sequence[int]) -> Spark:
    """Return *counts*, one for each bucket of *axis*, and how many of each have *failed*, as bars."""
    passed = [0 if count == bad else count for count, bad in zip(counts, failed, strict=True)]
    spots = [
        Spot(slot.x, slot.width, axis.name(slot.start, slot.end), _said(count, bad))
        for slot, count, bad in zip(axis.slots(), counts, failed, strict=True)
        if count
    ]
    return Spark(overlaid(axis, (("runs", passed), ("failed", failed))), tuple(spots))


def _ticks(lines: Sequence[RunLine]) -> Iterator[_Tick]:
    # A running one, perhaps for days, would make all others look short.
    longest = max((line.duration for line in lines if line.status != "running"), default=0) or 1
    begin = RUNS - len(lines)
    for number, line in enumerate(reversed(lines)):
        height = 16 if line.status == "failed" else 6 + min(10, 10 * line.duration // longest)
        x, y = _STEP * (begin + number), 2 if line.status == "failed" else 18 - height
        kind = line.status if line.status in STATUSES else "other"
        yield _Tick(line, x, kind, f"M{x} {y}h4v{height}h-4z")


def _said(count: int, failed: int) -> str:
    return thin(count) if failed in {0, count} else f"{thin(count)} (✕ {thin(failed)})"
