"""What a run and people said to each other: messages of a chat, questions and their answers. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple

from execution_history.errors import N_
from execution_history.presentation.formatting import as_text, question_text
from execution_history.records.attributes import caller_words
from execution_history.records.metadata import ANSWERS
from execution_history.records.values import time

_MOST_TURNS: Final = 60
_LONGEST: Final = 2_000
_LONGEST_NAME: Final = 120

Kind = Literal["message", "reply", "question", "answer"]

SPEAKERS: Final[dict[Kind, str]] = {
    "message": N_("Message"),
    "reply": N_("Reply"),
    "question": N_("Question"),
    "answer": N_("Answer"),
}
"""What each kind of turn is called."""


class Turn(NamedTuple):
    """One turn of a dialogue.

    Attributes:
        kind: who speaks: ``question`` and ``reply`` are the workflow's, the others are people's.
        text: what was said, cut when it is very long; empty for a question that is a form.
        at: when, in milliseconds since the epoch; ``None`` where that is not known.
        waited_ms: how long an answer was waited for; ``None`` where that is not known.
        by: the node that asks, or the program that answered.
        outcome: what became of an answer that the run did not go on with.
        missing: how many characters are cut away.
    """

    kind: Kind
    text: str
    at: int | None = None
    waited_ms: int | None = None
    by: str | None = None
    outcome: str | None = None
    missing: int = 0


def dialogue_of(record: Mapping[str, Any]) -> list[Turn]:
    """Return the turns of a run, in order: its chat's messages, then each question that was answered and its answer.

    The question that a run waits with now is none of them. Of more than 60 turns the last are returned.
    """
    turns = [*_messages(record), *(turn for answer in ANSWERS.of(record) or () for turn in _answered(answer))]
    return turns[-_MOST_TURNS:]


def _messages(record: Mapping[str, Any]) -> Iterator[Turn]:
    given = record["input_parameters"]
    messages = given.get("additional_messages") if isinstance(given, dict) else None
    for message in messages if isinstance(messages, list) else ():
        if isinstance(message, dict) and message.get("content") not in (None, ""):
            kind: Kind = "reply" if message.get("role") == "assistant" else "message"
            yield _turn(kind, as_text(message["content"]))


def _answered(answer: object) -> Iterator[Turn]:
    """Yield a question and its answer, from an entry of the metadata that anybody may have written."""
    if not isinstance(answer, dict):
        return
    asked, at, question = time(answer.get("asked_at")), time(answer.get("at")), answer.get("question")
    if isinstance(question, dict):
        title = question.get("node_title")
        yield _turn("question", question_text(question), at=asked, by=title if isinstance(title, str) else None)
    outcome = answer.get("outcome")
    yield _turn(
        "answer",
        as_text(answer.get("resume_data")),
        at=at,
        waited_ms=None if asked is None or at is None else max(0, at - asked),
        by=caller_words(answer.get("caller")),
        outcome=outcome if isinstance(outcome, str) else None,
    )


def _turn(kind: Kind, text: str, *, by: str | None = None, **others: Any) -> Turn:  # noqa: ANN401 - the other fields
    missing = max(0, len(text) - _LONGEST)
    return Turn(kind, text[:_LONGEST], by=None if by is None else by[:_LONGEST_NAME] or None, missing=missing, **others)
