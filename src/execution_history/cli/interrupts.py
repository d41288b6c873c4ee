"""What an interrupted workflow asks, and how it can be answered (coze-protocol 1.4, 1.7)."""

from collections.abc import Mapping
from typing import Any

from execution_history.cli.session import Session
from execution_history.presentation.formatting import one_line, question_text


def question_lines(session: Session, interrupt: Mapping[str, Any]) -> list[str]:
    """Return the question and the fields that the answer must fill in, as far as *interrupt* describes them."""
    question = question_text(interrupt)
    first = (
        session.translate("The workflow asks: %(question)s", question=question)
        if question
        else session.translate("The workflow is waiting for an answer.")
    )
    fields = interrupt.get("required_parameters")
    described = fields.items() if isinstance(fields, dict) else ()
    return [first, *(_field(session, str(name), field) for name, field in described)]


def answer_lines(session: Session, execute_id: str, interrupt: Mapping[str, Any]) -> list[str]:
    """How to answer later: a command that can be copied."""
    if not isinstance(interrupt.get("event_id"), str):
        return []
    return [session.translate("To answer: %(command)s", command=session.command("resume", execute_id, "…"))]


def _field(session: Session, name: str, field: object) -> str:
    facts: dict[str, Any] = field if isinstance(field, dict) else {}
    kind = [str(facts["type"])] if facts.get("type") else []
    kind += [session.translate("required")] if facts.get("required") else []
    shown = name + (f" ({', '.join(kind)})" if kind else "")
    return "  " + one_line(f"{shown}: {facts['description']}" if facts.get("description") else shown, 500)
