"""The commands ``delete`` and ``clear``."""

import sys

import typer

from execution_history.cli.exit_codes import CommandFailed, ExitCode
from execution_history.cli.open_history import ids_of_run, open_history
from execution_history.cli.session import Session


async def delete_run(session: Session, execute_id: str, workflow_id: str | None) -> ExitCode:
    """Delete one record."""
    async with open_history(session) as (service, place):
        workflow_id, execute_id = await ids_of_run(session, service, place, execute_id, workflow_id)
        is_deleted = await service.delete_execution_record(workflow_id, execute_id)
    if session.as_json:
        deleted = 1 if is_deleted else 0
        session.output.document({"workflow_id": workflow_id, "execute_id": execute_id, "deleted": deleted})
    else:
        session.output.remark(session.say("delete.done", execute_id=execute_id, workflow_id=workflow_id))
    return ExitCode.SUCCESS


async def clear_workflow(session: Session, workflow_id: str, *, unasked: bool) -> ExitCode:
    """Delete a workflow's whole history, once somebody has agreed."""
    async with open_history(session) as (service, place):
        count = (await service.page_bytes(workflow_id, page_size=1)).total
        if count == 0:
            raise CommandFailed(
                session.say("error.no_workflow", workflow_id=workflow_id, store=place), ExitCode.NOT_FOUND
            )
        if not (unasked or _agreed(session, workflow_id, count)):
            session.output.remark(session.say("clear.kept"))
            return ExitCode.STOPPED
        await service.clear_workflow_history(workflow_id)
    if session.as_json:
        session.output.document({"workflow_id": workflow_id, "deleted": count})
    else:
        session.output.remark(session.say("clear.done", count=count, workflow_id=workflow_id))
    return ExitCode.SUCCESS


def _agreed(session: Session, workflow_id: str, count: int) -> bool:
    if session.as_json or not sys.stdin.isatty():
        raise CommandFailed(session.say("error.say_yes", count=count), ExitCode.WRONG_CALL)
    return typer.confirm(session.say("clear.ask", count=count, workflow_id=workflow_id), err=True)
