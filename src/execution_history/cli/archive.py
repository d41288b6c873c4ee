"""The command ``archive``: months that are over, each in a file of its own."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from execution_history.cli.open_history import open_history, place_of, refuse_archive
from execution_history.cli.options import command
from execution_history.cli.output import Cell, aligned
from execution_history.cli.progress_bar import progress_bar
from execution_history.cli.session import CommandFailed, ExitCode, Session
from execution_history.errors import N_
from execution_history.presentation.formatting import grouped, size
from execution_history.presentation.time_zone import local_zone
from execution_history.stores.presence import holds_history

if TYPE_CHECKING:
    from execution_history.maintenance.archive import ArchivedMonth


@command()
async def archive(
    session: Session,
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help=N_("Where to write the archives."))],
    before: Annotated[
        str, typer.Option("--before", metavar="MONTH", help=N_("The first month that is not archived: 2026-06."))
    ],
    remove: Annotated[
        bool,
        typer.Option(
            "--remove", help=N_("Remove from the history what is in an archive; protected and unfinished runs stay.")
        ),
    ] = False,
) -> ExitCode:
    """Write old months into files of their own."""
    from execution_history.maintenance.archive import archive as archived  # noqa: PLC0415 - most commands need none

    settings = session.settings()
    if not await holds_history(settings.store):
        store = place_of(settings.store)
        raise CommandFailed("There is no history in %(store)s.", code=ExitCode.NOT_FOUND, store=store)
    refuse_archive(session, N_("%(store)s is an archive already: name the history whose runs are to be archived."))
    async with open_history(session) as history:
        with progress_bar(session) as bar:
            months = await archived(
                history.service,
                Path(folder),
                before=before,
                zone=local_zone(),
                remove=remove,
                keep_tags=settings.keep_tags,
                on_progress=bar.of_runs,
            )
    if session.as_json:
        session.output.document({"months": [each.to_json() for each in months]})
    elif months:
        _show(session, months, remove=remove)
    else:
        session.notice("No run that has ended began before %(month)s: there is nothing to archive.", month=before)
    return ExitCode.SUCCESS


def _show(session: Session, months: "list[ArchivedMonth]", *, remove: bool) -> None:
    """Show a line for each month."""
    _ = session.translate
    heads = [_("Month"), _("Runs"), _("Size"), *([_("Removed"), _("Kept here")] if remove else []), _("File")]
    rows = [
        [Cell(head.upper(), "dim", right=0 < number < len(heads) - 1) for number, head in enumerate(heads)],
        *(
            [
                Cell(each.month),
                Cell(grouped(each.records), right=True),
                Cell(size(each.size), right=True),
                *([Cell(grouped(count), right=True) for count in (each.removed, each.kept)] if remove else []),
                Cell(each.file),
            ]
            for each in months
        ),
    ]
    session.output.lines(aligned(rows))
    session.notice("Each is a history that every command looks into with --store FILE.", style="dim")
