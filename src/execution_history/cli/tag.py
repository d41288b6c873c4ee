"""The command ``tag``: what people note about runs."""

from collections.abc import Mapping
from typing import Any

from execution_history.cli.exit_codes import ExitCode
from execution_history.cli.open_history import open_history, the_run
from execution_history.cli.output import Cell, aligned
from execution_history.cli.session import Session
from execution_history.history.annotations import RATINGS, Annotation
from execution_history.presentation.terminal_formatting import as_text
from execution_history.presentation.translator import Translator
from execution_history.records.metadata import NOTE, PINNED, RATING, TAGS


async def note_run(session: Session, execute_id: str, workflow_id: str | None, annotation: Annotation) -> ExitCode:
    """Note something about one run, and say what is noted about it then."""
    async with open_history(session) as (service, place):
        record = await the_run(session, service, place, execute_id, workflow_id)
        workflow_id, execute_id = record["workflow_id"], record["execute_id"]
        changed = await service.annotate(workflow_id, execute_id, annotation)
    noted: dict[str, Any] = {
        "workflow_id": workflow_id,
        "execute_id": execute_id,
        "tags": TAGS.of(changed) or [],
        "note": NOTE.of(changed),
        "rating": RATING.of(changed),
        "pinned": PINNED.of(changed) is True,
    }
    if session.as_json:
        session.output.document(noted)
        return ExitCode.SUCCESS
    _ = session.translate
    facts = noted_facts(_, changed)
    for line in aligned([[Cell(f"  {name}", "dim"), Cell(value)] for name, value in facts]):
        session.output.answer(line)
    if not facts:
        session.output.answer(_("This run has no tags, note, rating or pin."))
    return ExitCode.SUCCESS


def noted_facts(_: Translator, record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what people noted in *record*: a name and a text each, a long note a line for each of its lines."""
    rating = RATING.of(record)
    facts = [(_("Tags"), ", ".join(map(as_text, TAGS.of(record) or ())))]
    facts += [(_("Rating"), "★" * rating if rating in RATINGS and rating else "")]
    facts += [(_("Pinned"), _("yes") if PINNED.of(record) else "")]
    lines = (NOTE.of(record) or "").splitlines()
    facts += [(_("Note") if number == 0 else "", line) for number, line in enumerate(lines)]
    return [(name, value) for name, value in facts if value]
