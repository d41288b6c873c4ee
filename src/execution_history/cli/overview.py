"""The command ``overview``: what failed in a window of time, how each workflow did in it, and what is open now."""

from collections.abc import Mapping
from typing import Annotated, Final, get_args

import typer

from execution_history.cli.figure_table import show_fitting
from execution_history.cli.open_history import open_history
from execution_history.cli.options import command
from execution_history.cli.output import Cell, aligned, natural_width
from execution_history.cli.run_pages import notice_damaged, notice_reach, shape_of
from execution_history.cli.session import CommandFailed, Session
from execution_history.cli.workflow_text import name_and_id
from execution_history.clock import now_ms
from execution_history.errors import N_
from execution_history.history.answers import json_of
from execution_history.history.overview import (
    Count,
    OpenRun,
    Overview,
    OverviewQuery,
    Window,
    WorkflowInWindow,
    WorkflowSort,
)
from execution_history.presentation.formatting import duration, grouped, one_line, percent, short_id, sums
from execution_history.presentation.phrases import FAILURE_STATES, ago, failures_sentence
from execution_history.presentation.time_zone import local_zone_name
from execution_history.query.model import FailureGroup, Order

_HEADS: Final = {
    "name": N_("Workflow"),
    "runs": N_("Runs"),
    "failed": N_("Failed"),
    "rate": N_("Success rate"),
    "p95": "p95",
    "tokens": N_("Tokens"),
    "cost": N_("Cost"),
    "last": N_("Last run"),
}
_DISPENSABLE: Final = ("tokens", "p95", "cost", "rate")
_STATE_COLOURS: Final = {"new": "bold red", "back": "red", "more": "yellow"}
_MOST_FAILURES: Final = 8
_MOST_WORKFLOWS: Final = 25
_LONGEST_NAME: Final = 28
_LEAST_TEXT: Final = 50
"""Columns that what failed needs to stand on the line of the rest."""


@command()
async def overview(
    session: Session,
    window: Annotated[Window, typer.Option("--window", help=N_("How far back to look."))] = "24h",
    sort: Annotated[WorkflowSort, typer.Option("--sort", help=N_("What to sort the workflows by."))] = "failed",
    order: Annotated[
        Order | None,
        typer.Option("--order", help=N_("desc or asc; by default names and success rates asc, everything else desc.")),
    ] = None,
    *,
    show_all: Annotated[
        bool, typer.Option("--all", help=N_("Every failure and every workflow, hidden ones too."))
    ] = False,
    since: Annotated[str | None, typer.Option("--since", hidden=True)] = None,
) -> None:
    """Show what failed lately, failing workflows first, and what is open now."""
    if since is not None:
        raise CommandFailed(
            "The overview looks back over a window: --window %(windows)s.", windows="|".join(get_args(Window))
        )
    descending = None if order is None else order == "desc"
    query = OverviewQuery(window=window, zone=local_zone_name(), sort=sort, descending=descending)
    async with open_history(session) as history:
        found = await history.answer(lambda: history.service.overview(query))
    notice_damaged(session, found.damaged)
    if session.as_json:
        problems = [*map(session.translate.message, found.problems)]
        session.output.document(json_of(found) | {"problems": problems})
        return
    sentence = failures_sentence(
        session.translate,
        window,
        found.failed.number,
        found.runs,
        grouped,
        is_exact=found.failed.is_exact,
        is_whole=found.is_whole,
    )
    session.output.answer(sentence, style="bold red" if found.failed.number else "bold")
    _show_failures(session, found, show_all=show_all)
    _show_open(session, found)
    _show_workflows(session, found, show_all=show_all)
    notice_reach(session, found.reach)


def _show_failures(session: Session, found: Overview, *, show_all: bool) -> None:
    """Show a line for each group of failures: its mark, count and last time, the workflow, and what failed where."""
    names = {each.workflow_id: each for each in found.workflows}
    groups = found.failures if show_all else found.failures[:_MOST_FAILURES]
    facts = [_failure_cells(session, each, names.get(each.workflow_id)) for each in groups]
    texts = [Cell(_what_failed(session, each)) for each in groups]
    width, lines = session.output.width, aligned(facts)
    if width is None or natural_width(lines) + _LEAST_TEXT <= width:
        session.output.lines(aligned([[*row, text] for row, text in zip(facts, texts, strict=True)]), are_cut=True)
    else:
        for line, text in zip(lines, texts, strict=True):
            session.output.lines([line, *aligned([[Cell(""), text]])], are_cut=True)
    if left := found.failures[len(groups) :]:
        new = sum(each.state == "new" for each in left)
        more = session.translate.plural("and %(num)s more", "and %(num)s more", len(left))
        if new:
            more += ", " + session.translate.plural("%(num)s of them new", "%(num)s of them new", new)
        session.output.answer(more, style="dim")


def _failure_cells(session: Session, group: FailureGroup, workflow: WorkflowInWindow | None) -> list[Cell]:
    _, state = session.translate, group.state
    name = name_and_id(None if workflow is None else workflow.name, group.workflow_id, longest=_LONGEST_NAME)
    if others := group.workflows - 1:
        name += " " + _.plural("and %(num)s more workflow", "and %(num)s more workflows", others)
    return [
        Cell(_(FAILURE_STATES[state]) if state else "", _STATE_COLOURS.get(state or "", "dim")),
        Cell(f"{grouped(group.count)}×", right=True),
        Cell(ago(_, group.last_seen, now_ms()), "dim"),
        Cell(name),
    ]


def _what_failed(session: Session, group: FailureGroup) -> str:
    """Return the node of a group of failures, what they are called and their code, as far as these are known."""
    title = one_line(group.message, 200) or session.translate("failure without a message")
    code = f" ({one_line(group.error_code, 40)})" if group.error_code and group.error_code not in title else ""
    node = f"{one_line(group.failed_node, 40)}: " if group.failed_node else ""
    return f"{node}{title}{code}"


def _show_open(session: Session, found: Overview) -> None:
    """Show what waits, what runs, what expires and what is wrong with recording, as far as there is anything."""
    _ = session.translate
    names = {each.workflow_id: each for each in found.workflows}
    rows = []
    for status, name, some in (
        ("interrupted", _("Interrupted"), found.waiting),
        ("running", _("Running now"), found.running),
    ):
        if some.runs:
            shape, colour = shape_of(status)
            newest = _run_text(some.runs[0], names)
            rows.append([Cell(f"{shape} {name}", colour), _count_cell(session, some.total), Cell(newest, "dim")])
    if found.pinned.number:
        rows.append([Cell(f"★ {_('Pinned')}"), _count_cell(session, found.pinned), Cell("")])
    if rows:
        session.output.answer()
        session.output.lines(aligned(rows), are_cut=True)
    if found.expiring.number:
        session.output.answer(
            _.plural(
                "Expiring at Coze today: the debug page of %(num)s unsuccessful run",
                "Expiring at Coze today: the debug pages of %(num)s unsuccessful runs",
                found.expiring.number,
            )
        )
    for problem in found.problems:
        session.output.answer(_.message(problem), style="red")


def _count_cell(session: Session, count: Count) -> Cell:
    number = grouped(count.number)
    return Cell(number if count.is_exact else session.translate("at least %(num)s", num=number), right=True)


def _run_text(run: OpenRun, names: Mapping[str, WorkflowInWindow]) -> str:
    """Return the question of an open run or its output, else its short id, and the workflow it is of."""
    workflow = names.get(run.workflow_id)
    name = name_and_id(None if workflow is None else workflow.name, run.workflow_id, longest=_LONGEST_NAME)
    return f"{run.gist or short_id(run.execute_id)} · {name}"


def _show_workflows(session: Session, found: Overview, *, show_all: bool) -> None:
    """Show a line for each workflow; on a narrow terminal the least needed columns are left out."""
    _ = session.translate
    listed = [each for each in found.workflows if show_all or not each.hidden]
    shown = listed if show_all else listed[:_MOST_WORKFLOWS]
    if not shown:
        return
    about = "" if found.percentiles_are_exact else "≈ "
    heads = {name: Cell(_(head).upper(), "dim", right=name != "name") for name, head in _HEADS.items()}
    rows = [heads, *(_workflow_cells(session, each, about) for each in shown)]
    names = [name for name in _HEADS if name != "cost" or any(row["cost"].text for row in rows[1:])]
    session.output.answer()
    show_fitting(session, rows, names, _DISPENSABLE)
    left, hidden = len(listed) - len(shown), len(found.workflows) - len(listed)
    if left or hidden:
        _notice_left(session, left, hidden)


def _workflow_cells(session: Session, workflow: WorkflowInWindow, about: str) -> dict[str, Cell]:
    figures, star = workflow.figures, "★ " if workflow.starred else ""
    last = ago(session.translate, workflow.last_run, now_ms())
    cells = {name: Cell("", right=True) for name in _HEADS} | {
        "name": Cell(star + name_and_id(workflow.name, workflow.workflow_id, longest=_LONGEST_NAME)),
        "last": Cell(last, right=True),
    }
    if figures is None or not figures.runs:
        return cells
    failed = figures.counts["failed"]
    return cells | {
        "runs": Cell(grouped(figures.runs), right=True),
        "failed": Cell(grouped(failed or None), "red", right=True),
        "rate": Cell(percent(figures.counts["success"], figures.counts["success"] + failed), right=True),
        "p95": Cell("" if figures.p95 is None else f"{about}{duration(figures.p95)}", right=True),
        "tokens": Cell(grouped(figures.tokens or None), right=True),
        "cost": Cell(sums(figures.costs) if figures.costs else "", right=True),
    }


def _notice_left(session: Session, left: int, hidden: int) -> None:
    """Print how many workflows are not shown, and how to see them."""
    _ = session.translate
    parts = []
    if left:
        parts.append(_.plural("%(num)s more workflow not shown", "%(num)s more workflows not shown", left))
    if hidden:
        parts.append(_.plural("%(num)s hidden workflow not shown", "%(num)s hidden workflows not shown", hidden))
    session.notice(
        "%(what)s; %(command)s shows them.",
        what=_(", ").join(parts),
        command=session.command("overview", "--all"),
        style="dim",
    )
