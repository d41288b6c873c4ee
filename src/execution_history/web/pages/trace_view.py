"""Runs within runs on one time axis, with the nodes of the run that is shown among them. Pure."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from execution_history.history.trace import Trace, TraceRun
from execution_history.presentation.formatting import one_line
from execution_history.records.attributes import elapsed_ms
from execution_history.web.pages.run_axis import Label, RunAxis, axis_of

MOST_RUNS: Final = 120
"""How many runs of a tree a page has."""

_MOST_INDENTED: Final = 8
_MOST_PATH: Final = 6
_LONGEST_ERROR: Final = 300


class TraceRow(NamedTuple):
    """A run of the tree; ``start`` and ``took`` are milliseconds, ``x`` and ``width`` thousandths of the axis."""

    run: TraceRun
    indent: int
    start: int
    took: int
    x: int
    width: int
    error: str


class TraceView(NamedTuple):
    """The tree as its page shows it: the rows down to the run that is shown, and those after it.

    ``path`` are the runs around it, the outermost first, where there are many without those in the middle, of which
    ``path_missing`` is the number. ``missing`` counts the runs that the page does not have, of those known of.
    """

    before: list[TraceRow]
    after: list[TraceRow]
    path: list[TraceRun]
    path_missing: int
    missing_parent: tuple[str | None, str] | None
    missing: int
    is_circular: bool
    labels: list[Label]
    axis: RunAxis

    @property
    def indent(self) -> int:
        """How far the nodes of the run are indented."""
        return self.before[-1].indent + 1


def trace_view(trace: Trace, now: int, ends: Sequence[int] = ()) -> TraceView:
    """Return the view of *trace* at the time *now*; *ends* are times in milliseconds that the axis reaches to, too."""
    begin = min(run.create_time for run in trace.runs)
    axis = axis_of(begin, [now if run.end_time is None else run.end_time for run in trace.runs] + [*ends])
    rows = [_row(run, axis, now) for run in trace.runs]
    at = next(number for number, row in enumerate(rows, 1) if row.run.key == trace.run.key)
    around = trace.path[:-1]
    dropped = max(0, len(around) - _MOST_PATH)
    return TraceView(
        rows[:at],
        rows[at:],
        [*around[:1], *around[1 + dropped :]] if dropped else [*around],
        dropped,
        trace.missing_parent,
        trace.left_out,
        trace.is_circular,
        axis.labels(),
        axis,
    )


def _row(run: TraceRun, axis: RunAxis, now: int) -> TraceRow:
    ended = now if run.end_time is None else run.end_time
    error = (run.error_message or str(run.error_code or "")) if run.status == "failed" else ""
    took = elapsed_ms(run.create_time, run.duration_ms, now, run.waited_ms)
    return TraceRow(
        run,
        min(run.depth, _MOST_INDENTED),
        axis.at(run.create_time),
        took,
        *axis.span(run.create_time, ended),
        one_line(error, _LONGEST_ERROR) if error else "",
    )
