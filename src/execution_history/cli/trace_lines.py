"""Runs within runs, as ``show --trace`` shows them: an indented tree with statuses, times and errors."""

from itertools import compress
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from execution_history.cli.output import Cell, aligned, cropped, natural_width
from execution_history.cli.run_pages import notice_damaged, notice_reach, status_cell
from execution_history.cli.session import Session
from execution_history.cli.workflow_text import Names
from execution_history.clock import now_ms
from execution_history.presentation.formatting import duration, grouped, one_line, short_id
from execution_history.records.attributes import elapsed_ms

if TYPE_CHECKING:
    from execution_history.history.trace import Trace, TraceRun

_LONGEST_NAME: Final = 28
_LONGEST_ID: Final = 12
_BEGIN: Final = 2
_LEAST_NAME: Final = 12
_MOST_INDENTED: Final = 8
_LONGEST_ERROR: Final = 300


def show_trace(session: Session, trace: "Trace", names: Names) -> None:
    """Show *trace* as a tree, with the *names* of workflows, or print it as JSON."""
    if session.as_json:
        session.output.document(trace.to_json())
        return
    _, width = session.translate, session.output.width
    if trace.missing_parent is not None:
        session.notice("Its parent %(run)s has no record here.", run=trace.missing_parent[1], style="yellow")
    if trace.is_circular:
        session.notice("The parents of these runs lead round in a circle: none is the outermost.", style="yellow")
    now = now_ms()
    lines = _lines([_row(session, run, trace, names, now) for run in trace.runs], width)
    for run, line in zip(trace.runs, lines, strict=True):
        if run.key == trace.run.key:
            line.stylize("bold")
        session.output.answer(cropped(line, width))
        if run.status == "failed" and (error := run.error_message or run.error_code):
            indent = "  " * (min(run.depth, _MOST_INDENTED) + 2)
            session.output.answer(cropped(Text(indent + one_line(str(error), _LONGEST_ERROR), style="red"), width))
    if trace.is_single:
        session.notice("No run is recorded around this one or within it.", style="dim")
    if trace.left_out:
        sentence = _.plural(
            "%(num)s further run at least is left out.", "%(num)s further runs at least are left out.", trace.left_out
        )
        session.output.remark(sentence, style="dim")
    notice_damaged(session, trace.damaged)
    notice_reach(session, trace.reach)


def _lines(rows: list[list[Cell]], width: int | None) -> list[Text]:
    """Return *rows* as lines without empty columns; where they are too wide, without begins and with short names."""
    lines = aligned(_filled(rows))
    if width is not None and natural_width(lines) > width:
        rows = [[*row[:_BEGIN], *row[_BEGIN + 1 :]] for row in rows]
        excess = natural_width(aligned(_filled(rows))) - width
        columns = max(_LEAST_NAME, max(cell_len(row[0].text) for row in rows) - max(0, excess))
        rows = [[row[0]._replace(text=set_cell_size(row[0].text, columns - 1) + "…")
                 if cell_len(row[0].text) > columns else row[0], *row[1:]] for row in rows]  # fmt: skip
        lines = aligned(_filled(rows))
    return lines


def _filled(rows: list[list[Cell]]) -> list[list[Cell]]:
    """Return *rows* without the columns that have no text in any."""
    filled = [any(cell.text for cell in column) for column in zip(*rows, strict=True)]
    return [list(compress(row, filled)) for row in rows]


def _row(session: Session, run: "TraceRun", trace: "Trace", names: Names, now: int) -> list[Cell]:
    """Return status, name, begin after that of the outermost run, duration, tokens and id of a run."""
    status = status_cell(session.translate, run.status)
    indent = "  " * min(run.depth, _MOST_INDENTED)
    name = names[run.workflow_id].name if run.workflow_id in names else None
    took = elapsed_ms(run.create_time, run.duration_ms, now, run.waited_ms)
    return [
        Cell(f"{indent}{one_line(name or short_id(run.workflow_id), _LONGEST_NAME)}"),
        status,
        Cell(f"+{duration(run.create_time - trace.root.create_time)}", "dim", right=True),
        Cell(duration(took), right=True),
        Cell(grouped(run.tokens), right=True),
        Cell(("← " if run.key == trace.run.key else "  ") + one_line(short_id(run.execute_id), _LONGEST_ID), "dim"),
    ]
