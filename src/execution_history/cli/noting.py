"""The command ``tag``: what people note about runs."""

from typing import Any

from execution_history.annotations import Annotation, annotate_execution
from execution_history.cli.exits import ExitCode
from execution_history.cli.histories import open_history, the_run
from execution_history.cli.session import Session


async def note_run(session: Session, execute_id: str, workflow_id: str | None, annotation: Annotation) -> ExitCode:
    """Note something about one run, and say what is noted about it then."""
    async with open_history(session) as (service, place):
        record = await the_run(session, service, place, execute_id, workflow_id)
        changed = await annotate_execution(service.store, record["workflow_id"], execute_id, annotation)
    metadata = changed["metadata"]
    noted: dict[str, Any] = {
        "workflow_id": record["workflow_id"],
        "execute_id": execute_id,
        "tags": metadata.get("tags") or [],
        "note": metadata.get("note"),
        "rating": metadata.get("rating"),
        "pinned": metadata.get("pinned") is True,
    }
    if session.as_json:
        session.output.document(noted)
        return ExitCode.SUCCESS
    say = session.say
    shown = [(say("note.tags"), ", ".join(noted["tags"])), (say("note.rating"), noted["rating"])]
    shown += [(say("note.pinned"), say("note.yes") if noted["pinned"] else ""), (say("note.note"), noted["note"])]
    lines = [f"  {name}  {value}" for name, value in shown if value]
    for line in lines or [say("note.nothing")]:
        session.output.answer(line)
    return ExitCode.SUCCESS
