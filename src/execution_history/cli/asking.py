"""What an interrupted workflow asks, and how it can be answered (coze-protocol 1.4, 1.7)."""

import shlex
from collections.abc import Mapping
from typing import Any

import orjson

from execution_history.cli.session import Session
from execution_history.cli.wording import one_line, question_text, visible
from execution_history.settings import COZE_COM


def question_lines(session: Session, interrupt: Mapping[str, Any]) -> list[str]:
    """The question and the fields it wants filled in, as far as *interrupt* says what they are."""
    question = question_text(interrupt)
    first = session.say("ask.question", question=question) if question else session.say("ask.unnamed")
    fields = interrupt.get("required_parameters")
    described = fields.items() if isinstance(fields, dict) else ()
    return [first, *(_field(session, str(name), field) for name, field in described)]


def answer_lines(session: Session, workflow_id: str, interrupt: Mapping[str, Any], account: object) -> list[str]:
    """How to answer later: a call to the upstream that can be copied."""
    if not isinstance(interrupt.get("event_id"), str):
        return []
    known = session.settings().accounts.get(account if isinstance(account, str) else "default")
    body = {
        "workflow_id": workflow_id,
        "event_id": interrupt["event_id"],
        "interrupt_type": interrupt.get("type"),
        "resume_data": "…",
    }
    address = (COZE_COM if known is None else known.base_url) + "/v1/workflow/stream_resume"
    return [
        session.say("ask.later"),
        f'  curl -N {shlex.quote(address)} -H "Authorization: Bearer $COZE_API_TOKEN" \\',
        f"    -H 'Content-Type: application/json' -d {shlex.quote(visible(orjson.dumps(body).decode()))}",
    ]


def _field(session: Session, name: str, field: object) -> str:
    facts: dict[str, Any] = field if isinstance(field, dict) else {}
    kind = [str(facts["type"])] if facts.get("type") else []
    kind += [session.say("ask.required")] if facts.get("required") else []
    shown = name + (f" ({', '.join(kind)})" if kind else "")
    return "  " + one_line(f"{shown}: {facts['description']}" if facts.get("description") else shown, 500)
