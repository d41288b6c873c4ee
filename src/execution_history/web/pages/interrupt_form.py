"""The question of an interrupted run as a form, and its answer as Coze expects it (coze-protocol 1.7). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from execution_history.coze.protocol.messages import is_chat_question
from execution_history.coze.protocol.messages import text as identifier
from execution_history.errors import InvalidInput
from execution_history.presentation.formatting import question_text
from execution_history.records.encoding import as_text, encode
from execution_history.records.json_text import read_json

Kind = Literal["question", "fields", "authorise", "other"]

ANSWER: Final = "answer"
FIELD: Final = "field."
"""The prefix of the names of inputs for required parameters."""

_LONGEST_ID: Final = 1_000
_LONGEST_TEXT: Final = 2_000
_LONGEST_CHOICE: Final = 200
_MOST_FIELDS: Final = 50
_AUTHORISES: Final = 7
_QUESTION: Final = 2
_TRUE: Final = frozenset({"true", "yes", "on", "1", "是"})
_FALSE: Final = frozenset({"false", "no", "off", "0", "否"})


@dataclass(frozen=True, slots=True)
class Field:
    """One value that the answer has to fill in; ``kind`` is JSON's name for its type."""

    name: str
    kind: str
    is_required: bool
    description: str
    default: str


@dataclass(frozen=True, slots=True)
class Question:
    """The question of a run; ``choices`` are the answers that the question itself offers."""

    kind: Kind
    event_id: str
    text: str
    choices: tuple[str, ...]
    fields: tuple[Field, ...]


def question_of(interrupt: Mapping[str, Any]) -> Question | None:
    """Return the question in an interrupt as Coze described it; ``None`` where it cannot be answered."""
    event_id = identifier(interrupt.get("id", "chat") if is_chat_question(interrupt) else interrupt.get("event_id"))
    if event_id is None or len(event_id) > _LONGEST_ID:
        return None
    parameters = interrupt.get("required_parameters")
    # More than fit on a page are answered as one text: a form of some of them would leave the others out.
    if (
        not isinstance(parameters, dict)
        or len(parameters) > _MOST_FIELDS
        or max(map(len, parameters), default=0) > _LONGEST_CHOICE
    ):
        parameters = {}
    fields = tuple(_field(name, facts) for name, facts in parameters.items())
    kind: Kind = "other"
    if fields:
        kind = "fields"
    elif interrupt.get("type") == _AUTHORISES:
        kind = "authorise"
    elif interrupt.get("type") == _QUESTION or question_text(interrupt):
        kind = "question"
    return Question(kind, event_id, question_text(interrupt), _choices(interrupt), fields)


def answer_to(question: Question, form: Mapping[str, str]) -> str:
    """Return the answers in *form* as the text that Coze takes as ``resume_data``.

    Raises:
        InvalidInput: a required field is empty, or a value is not of the kind that its field has.
    """
    if question.kind != "fields":
        return form.get(ANSWER, "")
    answer: dict[str, Any] = {}
    for field in question.fields:
        text = form.get(FIELD + field.name, "")
        if text.strip():
            answer[field.name] = _value(field, text)
        elif field.is_required:
            raise InvalidInput("%(name)s is needed: the workflow asks for it.", name=field.name)
    return encode(answer).decode()


def _field(name: str, facts: object) -> Field:
    known: dict[str, Any] = facts if isinstance(facts, dict) else {}
    kind, description, default = known.get("type"), known.get("description"), known.get("default_value")
    text = as_text(default)
    return Field(
        name,
        kind if isinstance(kind, str) else "string",
        known.get("required") is True,
        description if isinstance(description, str) else "",
        text if len(text) <= _LONGEST_TEXT else "",
    )


def _choices(interrupt: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the options of a question node, which are in JSON within JSON."""
    content: Any = interrupt.get("data")
    for _ in range(3):
        if isinstance(content, str):
            content = _parsed(content)
        if not isinstance(content, dict):
            return ()
        options = content.get("options")
        if isinstance(options, list):
            names = (option.get("name") if isinstance(option, dict) else option for option in options)
            return tuple(name for name in names if isinstance(name, str) and 0 < len(name) <= _LONGEST_CHOICE)[:20]
        content = content.get("content")
    return ()


def _value(field: Field, text: str) -> Any:  # noqa: ANN401 - JSON is any of six things
    """Return *text* as a value of the field's kind."""
    word = text.strip()
    if field.kind == "boolean" and word.lower() in _TRUE | _FALSE:
        return word.lower() in _TRUE
    if field.kind in {"integer", "number", "boolean", "array", "object", "list"}:
        found = _parsed(word)
        if found is None or (field.kind == "integer" and not isinstance(found, int)):
            raise InvalidInput("%(name)s must be JSON of type %(kind)s.", name=field.name, kind=field.kind)
        return found
    return text


def _parsed(text: str) -> Any:  # noqa: ANN401 - JSON is any of six things
    try:
        return read_json(text)
    except ValueError:
        return None
