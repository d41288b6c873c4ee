"""The command ``diff``: two runs, and where they differ."""

from collections.abc import Callable, Sequence
from typing import Annotated

import orjson
import typer
from rich.text import Text

from execution_history.cli.completion import complete_run
from execution_history.cli.node_columns import show_nodes, show_several
from execution_history.cli.open_history import open_history
from execution_history.cli.options import ExecuteId, WorkflowOption, command
from execution_history.cli.output import Cell, aligned
from execution_history.cli.run_pages import status_cell
from execution_history.cli.session import Session
from execution_history.errors import N_
from execution_history.history.comparison import Run
from execution_history.history.diff import Comparison, Difference, Divergence, Measure
from execution_history.presentation.field_labels import KNOWN_FIELDS, field_label, field_value
from execution_history.presentation.formatting import clock, duration, grouped, one_line, visible
from execution_history.presentation.phrases import DIVERGENCES, PARTS, labelled

_BOTH = 2
_LONGEST_VALUE = 300
_MARKS = {"removed": ("[-", "-]"), "added": ("{+", "+}"), "same": ("", "")}
"""Marks around changed words where there are no colours, as in ``git diff --word-diff``."""

_STYLES = {"removed": "magenta", "added": "cyan", "same": "dim"}
"""Older and newer; neither is good or bad."""


@command()
async def diff(
    session: Session,
    execute_id: ExecuteId,
    others: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[EXECUTE_ID]...",
            autocompletion=complete_run,
            help=N_("The run to compare with, or up to five; the first one is the older side, or the baseline."),
            show_default=False,
        ),
    ] = None,
    workflow: WorkflowOption = None,
) -> None:
    """Show how a run differs from another, or from several; one run alone from the last success before it."""
    async with open_history(session) as history:
        records = [await history.run(each, workflow) for each in (execute_id, *(others or ()))]
        runs = [Run(record["execute_id"], record["workflow_id"]) for record in records]
        if len(runs) > _BOTH:
            show_several(session, await history.service.compare_runs(runs))
            return
        if others:
            found = await history.service.compare(runs[0], runs[1])
        else:
            found = await history.service.compare_with_last_success(runs[0])
    if session.as_json:
        session.output.document(found.to_json())
    else:
        _show(session, found)


def _show(session: Session, found: Comparison) -> None:
    _, answer = session.translate, session.output.answer
    for sign, run, style in (("−", found.old, _STYLES["removed"]), ("+", found.new, _STYLES["added"])):
        status = status_cell(_, run.status)
        line = Text(f"{sign} {visible(run.execute_id)}", style=style)
        line.append(f"  {clock(run.create_time)}  ", style="default")
        answer(line.append(status.text, style=status.style))
    measures = [_measure(_("Duration"), found.duration, duration)]
    if found.tokens["total"].old is not None or found.tokens["total"].new is not None:
        measures.append(_measure(_("Tokens"), found.tokens["total"], grouped))
    session.output.lines(aligned(measures))
    _show_part(session, "ending", found.ending)
    show_nodes(session, found.nodes)
    if found.divergence is not None:
        _show_divergence(session, found.divergence)
    for name in ("input", "output", "settings"):
        _show_part(session, name, getattr(found, name))
    for sentence in found.left_out:
        session.output.remark(_.message(sentence), style="yellow")
    if found.is_same:
        answer(_("No other differences."))


def _measure(name: str, measure: Measure, shown: Callable[[int], str]) -> list[Cell]:
    old, new = ("–" if each is None else shown(each) for each in (measure.old, measure.new))
    ratio = "" if measure.ratio is None else f"  × {measure.ratio:.2f}"
    return [Cell(f"  {name}"), Cell(f"{old} → {new}{ratio}")]


def _show_divergence(session: Session, divergence: Divergence) -> None:
    titles = [one_line(title or "–", 60) for title in (divergence.old_title, divergence.new_title)]
    node = titles[0] if titles[0] == titles[1] else " → ".join(titles)
    sentence = session.translate(DIVERGENCES[divergence.kind], position=divergence.position + 1)
    session.output.heading(session.translate.message(labelled(sentence, node)))
    for sign, content, style in (
        ("−", divergence.old_content, _STYLES["removed"]),
        ("+", divergence.new_content, _STYLES["added"]),
    ):
        if content:
            session.output.answer(Text(f"  {sign} {one_line(content, _LONGEST_VALUE)}", style=style))


def _show_part(session: Session, name: str, differences: Sequence[Difference]) -> None:
    if not differences:
        return
    session.output.heading(session.translate(PARTS[name]))
    for each in differences:
        session.output.answer(Text(f"  {visible(field_label(session.translate, each.path))}", style="bold"))
        if each.text is not None:
            line = Text("    ")
            for edit in each.text:
                before, after = ("", "") if session.output.has_colours else _MARKS[edit.kind]
                line.append(f"{before}{visible(edit.text).replace(chr(10), '⏎')}{after}", style=_STYLES[edit.kind])
            session.output.answer(line)
            continue
        if each.kind != "added":
            session.output.answer(Text(f"    − {_value(session, each.path, each.old)}", style=_STYLES["removed"]))
        if each.kind != "removed":
            session.output.answer(Text(f"    + {_value(session, each.path, each.new)}", style=_STYLES["added"]))


def _value(session: Session, path: str, value: object) -> str:
    if value is None and path in KNOWN_FIELDS:
        return "–"
    words = field_value(session.translate, path, value)
    return one_line(orjson.dumps(value).decode() if words is None else words, _LONGEST_VALUE)
