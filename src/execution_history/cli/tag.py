"""The command ``tag``: what people note about runs."""

from collections.abc import Mapping
from typing import Any

from execution_history.cli.exit_codes import ExitCode
from execution_history.cli.open_history import open_history, the_run
from execution_history.cli.output import Cell, aligned
from execution_history.cli.session import Session
from execution_history.history.annotations import RATINGS, Annotation, annotate_execution
from execution_history.presentation.terminal_formatting import as_text
from execution_history.presentation.translator import Translator


async def note_run(session: Session, execute_id: str, workflow_id: str | None, annotation: Annotation) -> ExitCode:
    """Note something about one run, and say what is noted about it then."""
    async with open_history(session) as (service, place):
        record = await the_run(session, service, place, execute_id, workflow_id)
        workflow_id, execute_id = record["workflow_id"], record["execute_id"]
        changed = await annotate_execution(service.store, workflow_id, execute_id, annotation)
    metadata = changed["metadata"]
    noted: dict[str, Any] = {
        "workflow_id": workflow_id,
        "execute_id": execute_id,
        "tags": metadata.get("tags") or [],
        "note": metadata.get("note"),
        "rating": metadata.get("rating"),
        "pinned": metadata.get("pinned") is True,
    }
    if session.as_json:
        session.output.document(noted)
        return ExitCode.SUCCESS
    _ = session.translate
    facts = noted_facts(_, metadata)
    for line in aligned([[Cell(f"  {name}", "dim"), Cell(value)] for name, value in facts]):
        session.output.answer(line)
    if not facts:
        session.output.answer(_("This run has no tags, note, rating or pin."))
    return ExitCode.SUCCESS


def noted_facts(_: Translator, metadata: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What people noted in a record's *metadata*: a name and a text each, a long note a line for each of its lines."""
    tags, rating, note = metadata.get("tags"), metadata.get("rating"), metadata.get("note")
    facts = [(_("Tags"), ", ".join(map(as_text, tags)) if isinstance(tags, list) else "")]
    facts += [(_("Rating"), "★" * rating if isinstance(rating, int) and rating in RATINGS else "")]
    facts += [(_("Pinned"), _("yes") if metadata.get("pinned") is True else "")]
    lines = note.splitlines() if isinstance(note, str) else []
    facts += [(_("Note") if number == 0 else "", line) for number, line in enumerate(lines)]
    return [(name, value) for name, value in facts if value]
