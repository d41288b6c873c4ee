"""The command ``tag``: tags, notes, ratings and pins of runs."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from execution_history.cli.bulk import OF_WORKFLOW, RUN_ID, DryRunOption, counted, filters_of_call, followed
from execution_history.cli.open_history import open_history
from execution_history.cli.options import Filters, command
from execution_history.cli.output import Cell, aligned
from execution_history.cli.session import CommandFailed, ExitCode, Session
from execution_history.errors import N_
from execution_history.history.annotations import RATINGS, Annotation
from execution_history.presentation.formatting import as_text
from execution_history.presentation.phrases import enumerated
from execution_history.presentation.translator import Translator
from execution_history.records.metadata import NOTE, PINNED, RATING, TAGS


@command("workflow")
async def tag(
    session: Session,
    execute_id: Annotated[str | None, RUN_ID] = None,
    tags: Annotated[list[str] | None, typer.Argument(metavar="TAG", help=N_("Tags to add."))] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", metavar="TAG", help=N_("A tag to remove; repeatable."))
    ] = None,
    note: Annotated[str | None, typer.Option(metavar="TEXT", help=N_("The note; an empty text removes it."))] = None,
    rating: Annotated[
        int | None, typer.Option(metavar="0-5", help=N_("From 1 (bad) to 5 (very good); 0 removes it."))
    ] = None,
    pin: Annotated[bool | None, typer.Option("--pin/--no-pin", help=N_("Pin the run, or unpin it."))] = None,
    workflow: Annotated[str | None, OF_WORKFLOW] = None,
    dry_run: DryRunOption = False,
    *,
    filters: Filters,
) -> ExitCode:
    """Annotate one run, and show its annotations; or, with filters, annotate all that match."""
    if filters and execute_id is not None:  # no run is named: all words are tags
        tags, execute_id = [execute_id, *(tags or ())], None
    found = filters_of_call(execute_id, workflow, filters)
    annotation = Annotation(tuple(tags or ()), tuple(remove or ()), note, rating, pin)
    if found is not None and not dry_run and annotation == Annotation():
        raise CommandFailed("Say what to note: tags, --remove, --note, --rating or --pin.")
    async with open_history(session) as history:
        if found is not None:
            bulk = history.service.bulk
            if dry_run:
                return await counted(session, bulk, found, "annotate")
            return await followed(session, bulk, await bulk.annotate(found, annotation, "cli"))
        record = await history.run(execute_id or "", workflow)
        workflow_id, execute_id = record["workflow_id"], record["execute_id"]
        changed = record if dry_run else await history.service.annotate(workflow_id, execute_id, annotation)
    _show(session, changed, is_dry=dry_run)
    return ExitCode.SUCCESS


def _show(session: Session, changed: Mapping[str, Any], *, is_dry: bool) -> None:
    """Show the annotations of a run."""
    annotations: dict[str, Any] = {
        "workflow_id": changed["workflow_id"],
        "execute_id": changed["execute_id"],
        "tags": TAGS.of(changed) or [],
        "note": NOTE.of(changed),
        "rating": RATING.of(changed),
        "pinned": PINNED.of(changed) is True,
        **({"dry_run": True} if is_dry else {}),
    }
    if session.as_json:
        session.output.document(annotations)
        return
    if is_dry:
        session.notice(
            "Nothing is changed; it would annotate run '%(execute_id)s' of workflow '%(workflow_id)s'.",
            execute_id=changed["execute_id"],
            workflow_id=changed["workflow_id"],
        )
    rows = annotation_rows(session.translate, changed)
    session.output.lines(aligned(rows))
    if not rows:
        session.output.answer(session.translate("This run has no tags, note, rating or pin."))


def annotation_rows(_: Translator, record: Mapping[str, Any]) -> list[list[Cell]]:
    """Return the annotations of *record* as rows of name and text, with a row for each line of a note."""
    rating = RATING.of(record)
    facts = [
        (_("Tags"), _.message(enumerated(map(as_text, TAGS.of(record) or ())))),
        (_("Rating"), "★" * rating if rating in RATINGS and rating else ""),
        (_("Pinned"), _("yes") if PINNED.of(record) else ""),
    ]
    lines = (NOTE.of(record) or "").splitlines()
    facts += [(_("Note") if number == 0 else "", line) for number, line in enumerate(lines)]
    return [[Cell(f"  {name}", "dim"), Cell(value)] for name, value in facts if value]
