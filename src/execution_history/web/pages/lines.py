"""A run as one line of a list, made from its summary. Pure."""

from dataclasses import dataclass
from typing import Any

import orjson

from execution_history.wording import error_text, one_line

_LONGEST_LINE = 160


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of text, and whether it is what was searched for."""

    text: str
    is_hit: bool


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run in a list. Times are milliseconds; ``duration`` of a run that goes on is how long it has."""

    workflow_id: str
    execute_id: str
    status: str
    create_time: int
    duration: int
    tokens: int | None
    input: tuple[Stretch, ...]
    result: tuple[Stretch, ...]
    is_error: bool
    tags: tuple[str, ...]
    is_pinned: bool


def line_of_run(summary: bytes, now: int, words: str = "") -> RunLine:
    """The line of the run whose *summary* this is (see :mod:`execution_history.summaries`), *words* marked in it."""
    facts: dict[str, Any] = orjson.loads(summary)
    metadata = facts["metadata"]
    error = error_text(facts)
    tags = metadata.get("tags")
    duration = facts["duration_ms"]
    return RunLine(
        facts["workflow_id"],
        facts["execute_id"],
        facts["execute_status"],
        facts["create_time"],
        duration if isinstance(duration, int) else max(0, now - facts["create_time"]),
        facts["tokens"],
        marked(one_line(facts["input_line"], _LONGEST_LINE), words),
        marked(one_line(error or facts["output_line"], _LONGEST_LINE), words),
        bool(error),
        tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else (),
        metadata.get("pinned") is True,
    )


def marked(text: str, words: str) -> tuple[Stretch, ...]:
    """*text* in stretches, those that are one of *words* marked, whatever their case."""
    wanted = sorted({word for word in words.replace('"', " ").casefold().split() if word}, key=len, reverse=True)
    folded = text.casefold()
    if not wanted or len(folded) != len(text):  # where folding changes lengths, places could not be told
        return (Stretch(text, is_hit=False),) if text else ()
    stretches: list[Stretch] = []
    at = 0
    while at < len(text):
        found = min(
            ((place, -len(word), word) for word in wanted if (place := folded.find(word, at)) >= 0), default=None
        )
        if found is None:
            break
        place, _, word = found
        if place > at:
            stretches.append(Stretch(text[at:place], is_hit=False))
        stretches.append(Stretch(text[place : place + len(word)], is_hit=True))
        at = place + len(word)
    if at < len(text):
        stretches.append(Stretch(text[at:], is_hit=False))
    return tuple(stretches)
