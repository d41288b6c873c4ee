"""Commands on one run, or on all that match filters: their options, and how far a change is."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from execution_history.cli.options import Filters, read_filters
from execution_history.cli.progress_bar import progress_bar
from execution_history.cli.session import CommandFailed, ExitCode, Session
from execution_history.clock import now_ms
from execution_history.errors import N_
from execution_history.presentation.change_sentence import change_sentence, trial_sentence
from execution_history.query.fields import RecordFilter

if TYPE_CHECKING:
    from execution_history.history.bulk_changes import BulkChange, BulkChanges

RUN_ID: Final = typer.Argument(
    metavar="[EXECUTE_ID]",
    help=N_(
        "The run's id as list shows it, or its first characters (8 or more), or its id at Coze; none with filters."
    ),
)
OF_WORKFLOW: Final = typer.Option(
    "--workflow",
    metavar="ID",
    help=N_("The workflow, where several have a run with this id; with filters, only runs of this workflow."),
)
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help=N_("Change nothing: show which run, or how many runs, would be changed."))
]

_LOOK_SECONDS: Final = 0.2
_PATIENCE_SECONDS: Final = 1.0
"""How long a deletion may take before it says how to undo it: whoever ends this program by force has the id then."""


def filters_of_call(
    execute_id: str | None, workflow: str | None, filters: Filters, *, or_else: object = None
) -> RecordFilter | None:
    """Return the filter of a call; ``None`` where it names one run, or has the other option *or_else*.

    Raises:
        CommandFailed: the call names neither a run nor filters, or both.
        InvalidQuery: a filter is invalid.
    """
    ways = [execute_id is not None, bool(filters), or_else is not None]
    if execute_id is None and or_else is None and workflow is not None:
        filters, ways[1] = {"workflow": [workflow], **filters}, True
    if ways.count(True) != 1:
        raise CommandFailed("Say which runs: the id of one, or filters such as --status failed --since 7d.")
    return read_filters(filters) if ways[1] else None


async def counted(
    session: Session, bulk: "BulkChanges", record_filter: RecordFilter, action: Literal["delete", "annotate"]
) -> ExitCode:
    """Show how many runs match, and what would happen to them."""
    total, is_exact = await bulk.count(record_filter)
    if session.as_json:
        session.output.document({"matches": total, "matches_are_exact": is_exact})
    else:
        session.output.answer(trial_sentence(session.translate, action, total, is_exact=is_exact))
    return ExitCode.SUCCESS


async def followed(session: Session, bulk: "BulkChanges", change: "BulkChange") -> ExitCode:
    """Show how far a change is, until it is over; then what it has changed, and how to undo it.

    A deletion that takes longer than a second says at once how to undo it.
    """
    is_told = False
    try:
        change = await bulk.wait(change.id, _PATIENCE_SECONDS) or change
        if change.is_running and change.ends is not None:
            is_told = _tell_undo(session, change)
        with progress_bar(session) as bar:
            while change.is_running:
                bar.of_change(change)
                change = await bulk.wait(change.id, _LOOK_SECONDS) or change
    except asyncio.CancelledError:  # it stops with this program; what it has removed so far can be restored
        if change.ends is not None and not is_told:
            _tell_undo(session, change)
        raise
    show_change(session, change, is_told=is_told)
    return ExitCode.SOME_REFUSED if change.refused or change.is_cut_short else ExitCode.SUCCESS


def show_change(session: Session, change: "BulkChange", *, is_told: bool = False) -> None:
    """Show what a change has done so far, and how to undo it, unless that *is_told*, or to carry it on."""
    if session.as_json:
        session.output.document(change.to_json())
        return
    session.output.answer(change_sentence(session.translate, change))
    if change.reason is not None:
        session.output.remark(session.translate.message(change.reason), style="yellow")
    now = now_ms()
    if change.is_running:
        session.notice("To stop it: %(command)s", command=session.command("changes", "--stop", change.id))
    if change.can_be_undone(now) and not is_told:
        _tell_undo(session, change)
    if change.can_be_resumed(now):
        session.notice("To carry it on: %(command)s", command=session.command("changes", "--resume", change.id))


def _tell_undo(session: Session, change: "BulkChange") -> bool:
    session.notice("To undo it: %(command)s", command=session.command("delete", "--undo", change.id))
    return True
