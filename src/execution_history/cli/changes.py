"""The command ``changes``: what was done with many runs at once."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from execution_history.cli.bulk import followed, show_change
from execution_history.cli.open_history import open_history
from execution_history.cli.options import as_options, command
from execution_history.cli.output import Cell, aligned
from execution_history.cli.session import CommandFailed, ExitCode, Session
from execution_history.clock import now_ms
from execution_history.errors import N_
from execution_history.presentation.change_sentence import ACTIONS, DOORS, STATES, annotation_words
from execution_history.presentation.formatting import brief_clock, clock, grouped, one_line
from execution_history.presentation.translator import Translator
from execution_history.query.fields import FILTERS

if TYPE_CHECKING:
    from execution_history.history.bulk_changes import BulkChange

_TIMES: Final = frozenset(row.name for row in FILTERS if row.values.kind == "time")
_COLOURS: Final = {"running": "blue", "stopped": "yellow", "interrupted": "yellow"}
_LONGEST: Final = 200


@command()
async def changes(
    session: Session,
    change_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help=N_("The id of a change: how far it is, or what it has done."))
    ] = None,
    stop: Annotated[str | None, typer.Option("--stop", metavar="ID", help=N_("Stop a change that goes on."))] = None,
    resume: Annotated[
        str | None,
        typer.Option("--resume", metavar="ID", help=N_("Carry on a change that was stopped or interrupted.")),
    ] = None,
    undo: Annotated[
        str | None,
        typer.Option("--undo", metavar="ID", help=N_("Restore what a deletion removed, as long as the bin keeps it.")),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1_000, help=N_("How many to show."))] = 20,
) -> ExitCode:
    """Show the changes of many runs, or stop, carry on or undo one."""
    if sum(each is not None for each in (change_id, stop, resume, undo)) > 1:
        raise CommandFailed("Name one change, and one thing to do with it.")
    async with open_history(session) as history:
        bulk = history.service.bulk
        if resume is not None:
            return await followed(session, bulk, await bulk.resume(resume))
        if undo is not None:
            return await followed(session, bulk, await bulk.undo(undo, "cli"))
        if stop is not None:
            await bulk.stop(stop)
        if (named := change_id or stop) is not None:
            show_change(session, await bulk.get(named))
        else:
            _show(session, await bulk.all(limit))
    return ExitCode.SUCCESS


def _show(session: Session, found: "list[BulkChange]") -> None:
    if session.as_json:
        session.output.document({"changes": [change.to_json() for change in found], "total": len(found)})
    elif not found:
        session.notice("Nothing was changed in many runs at once in the last 30 days.")
    else:
        _ = session.translate
        heads = [Cell(_("Id").upper(), "dim"), Cell(_("Begun").upper(), "dim"), Cell(_("State").upper(), "dim")]
        heads += [Cell(_("Runs").upper(), "dim", right=True), Cell(_("Action").upper(), "dim")]
        session.output.lines(aligned([heads, *(_row(_, change) for change in found)]), are_cut=True)


def _row(_: Translator, change: "BulkChange") -> list[Cell]:
    action = _(ACTIONS[change.action])
    if words := annotation_words(_, change.annotation):
        action += _(": ") + words
    what = " ".join(as_options({name: _shown(name, values) for name, values in (change.filters or {}).items()}))
    return [
        Cell(change.id),
        Cell(brief_clock(change.began, now=now_ms())),
        Cell(_(STATES[change.state]), _COLOURS.get(change.state, "")),
        Cell(grouped(change.changed), right=True),
        Cell(one_line(" · ".join(filter(None, [action, what, _(DOORS[change.by])])), _LONGEST)),
    ]


def _shown(name: str, values: list[str]) -> list[str]:
    """Return the values of a filter as people read them: a time on this machine's clock."""
    is_time = name in _TIMES and all(map(str.isdecimal, values))
    return [clock(int(value)).replace(" ", "T") for value in values] if is_time else values
