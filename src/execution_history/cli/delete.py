"""The commands ``delete`` and ``clear``."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from execution_history.cli.bulk import OF_WORKFLOW, RUN_ID, DryRunOption, counted, filters_of_call, followed
from execution_history.cli.completion import complete_workflow
from execution_history.cli.open_history import open_history
from execution_history.cli.options import Filters, command
from execution_history.cli.session import CommandFailed, ExitCode, Session
from execution_history.errors import N_

if TYPE_CHECKING:
    from execution_history.history.bulk_change import BulkChange


ForeverOption = Annotated[bool, typer.Option("--forever", help=N_("Remove for good at once, instead of into the bin."))]


@command("workflow")
async def delete(
    session: Session,
    execute_id: Annotated[str | None, RUN_ID] = None,
    workflow: Annotated[str | None, OF_WORKFLOW] = None,
    dry_run: DryRunOption = False,
    undo: Annotated[
        str | None,
        typer.Option("--undo", metavar="ID", help=N_("Restore what a deletion removed, as long as the bin keeps it.")),
    ] = None,
    forever: ForeverOption = False,
    *,
    filters: Filters,
) -> ExitCode:
    """Delete one record, or all that match; or restore what such a deletion removed."""
    found = filters_of_call(execute_id, workflow, filters, or_else=undo)
    if forever and execute_id is None:
        raise CommandFailed(
            "--forever belongs to the deletion of one run; what filters match can be removed by bin empty."
        )
    async with open_history(session) as history:
        bulk = history.service.bulk
        if undo is not None and dry_run:
            return _would_restore(session, (await bulk.undoable(undo))[0])
        if undo is not None:
            return await followed(session, bulk, await bulk.undo(undo, "cli"))
        if found is not None and dry_run:
            return await counted(session, bulk, found, "delete")
        if found is not None:
            return await followed(session, bulk, await bulk.delete(found, "cli"))
        workflow_id, execute_id = await history.key_of_run(execute_id or "", workflow)
        is_deleted = not dry_run and await history.service.delete_execution_record(
            workflow_id, execute_id, forever=forever
        )
        keeps = not forever and (await history.service.bin.page(limit=1)).keep_ms > 0
    _show_deleted(session, workflow_id, execute_id, dry_run=dry_run, is_deleted=is_deleted)
    if is_deleted and keeps:
        _show_way_back(session, execute_id)
    return ExitCode.SUCCESS


@command()
async def clear(
    session: Session,
    workflow_id: Annotated[
        str,
        typer.Argument(
            metavar="WORKFLOW",
            autocompletion=complete_workflow,
            help=N_("The workflow whose history is deleted, by its whole id or its name."),
        ),
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help=N_("Delete without asking."))] = False,
    forever: ForeverOption = False,
    dry_run: DryRunOption = False,
) -> ExitCode:
    """Delete a workflow's whole history, after confirmation."""
    async with open_history(session) as history:
        workflow_id = await history.service.workflow_named(workflow_id, parts=False)
        count = (await history.service.page_bytes(workflow_id, page_size=1)).total
        if count == 0:
            raise CommandFailed(
                "Workflow '%(workflow_id)s' has no history in %(store)s.",
                code=ExitCode.NOT_FOUND,
                workflow_id=workflow_id,
                store=history.place,
            )
        if not (yes or dry_run or _is_confirmed(session, workflow_id, count)):
            session.notice("Nothing was deleted.")
            return ExitCode.STOPPED
        if not dry_run:
            await history.service.clear_workflow_history(workflow_id, forever=forever)
        keeps = not forever and (await history.service.bin.page(limit=1)).keep_ms > 0
    _show_cleared(session, workflow_id, count, dry_run=dry_run)
    if keeps and not dry_run:
        _show_way_back(session, "--workflow", workflow_id)
    return ExitCode.SUCCESS


def _show_deleted(session: Session, workflow_id: str, execute_id: str, *, dry_run: bool, is_deleted: bool) -> None:
    if session.as_json:
        deleted, beside = 1 if is_deleted else 0, {"dry_run": True} if dry_run else {}
        session.output.document({"workflow_id": workflow_id, "execute_id": execute_id, "deleted": deleted, **beside})
        return
    sentence = N_("Deleted run '%(execute_id)s' of workflow '%(workflow_id)s'.")
    if dry_run:
        sentence = N_("Nothing is changed; it would delete run '%(execute_id)s' of workflow '%(workflow_id)s'.")
    session.notice(sentence, execute_id=execute_id, workflow_id=workflow_id)


def _show_cleared(session: Session, workflow_id: str, count: int, *, dry_run: bool) -> None:
    if session.as_json:
        beside = {"deleted": 0, "matches": count, "dry_run": True} if dry_run else {"deleted": count}
        session.output.document({"workflow_id": workflow_id, **beside})
        return
    plural = session.translate.plural
    if dry_run:
        sentence = plural(
            "Nothing is changed; it would delete the history of workflow '%(workflow_id)s' (%(num)s run).",
            "Nothing is changed; it would delete the history of workflow '%(workflow_id)s' (%(num)s runs).",
            count,
            workflow_id=workflow_id,
        )
    else:
        sentence = plural(
            "Deleted the history of workflow '%(workflow_id)s' (%(num)s run).",
            "Deleted the history of workflow '%(workflow_id)s' (%(num)s runs).",
            count,
            workflow_id=workflow_id,
        )
    session.output.remark(sentence)


def _show_way_back(session: Session, *names: str) -> None:
    """Show how what was deleted is restored from the bin, unless the output is JSON."""
    if not session.as_json:
        session.notice("To restore it: %(command)s", command=session.command("bin", "restore", *names), style="dim")


def _would_restore(session: Session, deletion: "BulkChange") -> ExitCode:
    """Show how many runs a deletion that can be undone has removed."""
    if session.as_json:
        session.output.document({"matches": deletion.changed, "matches_are_exact": True})
    else:
        session.output.answer(
            session.translate.plural(
                "Nothing is changed; it would restore %(num)s run.",
                "Nothing is changed; it would restore %(num)s runs.",
                deletion.changed,
            )
        )
    return ExitCode.SUCCESS


def _is_confirmed(session: Session, workflow_id: str, count: int) -> bool:
    if session.as_json or not sys.stdin.isatty():
        raise CommandFailed(
            "This deletes the whole history of a workflow (runs: %(num)s), and there is no terminal "
            "to confirm it on: add --yes to go ahead.",
            num=count,
        )
    return typer.confirm(
        session.translate.plural(
            "Delete the whole history of workflow '%(workflow_id)s' (%(num)s run)?",
            "Delete the whole history of workflow '%(workflow_id)s' (%(num)s runs)?",
            count,
            workflow_id=workflow_id,
        ),
        err=True,
    )
