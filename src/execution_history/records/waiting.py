"""For how long a run waited for answers of people: that is no time in which it worked. Pure.

An answer in ``metadata.answers`` has, besides ``at``, when its question was asked (``asked_at``): both are milliseconds
since the epoch. Answers that were recorded before that was kept have no ``asked_at``, and count as given at once.
"""

from collections.abc import Mapping
from typing import Any

from execution_history.records.metadata import ANSWERS, ENDED_AT, INTERRUPT
from execution_history.records.values import time


def waits_of(record: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Return the times between questions and answers, in order and without overlaps, none before the run began."""
    known: list[tuple[int, int]] = []
    for answer in ANSWERS.of(record) or ():
        asked, answered = _times(answer)
        if asked is not None and answered is not None:
            known.append((max(asked, record["create_time"]), answered))
    waits: list[tuple[int, int]] = []
    for asked, answered in sorted(known):
        begin = max(asked, waits[-1][1]) if waits else asked
        if answered > begin:
            waits.append((begin, answered))
    return waits


def waited_ms(record: Mapping[str, Any], end: int | None) -> int:
    """Return how many milliseconds a run waited for answers until *end*, or until now where that is ``None``."""
    return sum(
        max(0, (answered if end is None else min(answered, end)) - asked) for asked, answered in waits_of(record)
    )


def waiting_since(record: Mapping[str, Any]) -> int | None:
    """Return when the question was asked that a run waits with; ``None`` for a run that waits for no answer."""
    return asked_at(record) if record["execute_status"] == "interrupted" and INTERRUPT.of(record) else None


def asked_at(record: Mapping[str, Any]) -> int:
    """Return when an interrupted run stopped: later changes of its record do not count."""
    ended = ENDED_AT.of(record)
    return int(record["update_time"]) if ended is None else ended


def _times(answer: object) -> tuple[int | None, int | None]:
    return (time(answer.get("asked_at")), time(answer.get("at"))) if isinstance(answer, dict) else (None, None)
