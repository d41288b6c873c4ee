"""The record of the run that an answer goes on with: found, claimed by one of several answers, and noted by the others.

A run that asks is gone on with by the first answer. One that comes while that is under way, such as a retry, is noted
in the same record, and ends the run only if Coze takes it.
"""

import logging
from typing import Any

from execution_history.coze.protocol.messages import UNKNOWN_WORKFLOW, Outcome, RunRequest, execute_id_of_event, plain
from execution_history.recording.attempts import attempt
from execution_history.recording.open_record import Recording
from execution_history.recording.outbox import PATIENCE_SECONDS
from execution_history.recording.recorder import Recorder
from execution_history.records.identifiers import is_identifier
from execution_history.records.metadata import ANSWERS, INTERRUPT
from execution_history.records.proof import NEVER_TAKEN
from execution_history.records.record import OPEN_STATUSES, RecordChange
from execution_history.records.waiting import asked_at

_log = logging.getLogger("execution_history.coze")


def workflow_of(run: RunRequest) -> str:
    """Return the workflow under which a run is recorded, whatever its request names."""
    return run.workflow_id if is_identifier(run.workflow_id) else UNKNOWN_WORKFLOW


async def interrupted_record(recorder: Recorder, run: RunRequest) -> dict[str, Any] | None:
    """Return the record of the run that is answered: its id precedes the slash of the event's (coze-protocol 1.7)."""
    upstream_id = execute_id_of_event(run.event_id)
    if upstream_id is None:
        return None
    found, error = await attempt(recorder.records.find_upstream(workflow_of(run), upstream_id), PATIENCE_SECONDS)
    if error is not None:
        _log.warning("The record of a resumed run could not be looked for, so it gets a new one: %s", error)
    return next((record for record in found or () if record["execute_status"] in OPEN_STATUSES), None)


def continued(recorder: Recorder, record: dict[str, Any], run: RunRequest, caller: object) -> Recording:
    """Return the record of the run that *run* answers; of two answers at once, the second finds the first one's."""
    question, answers = INTERRUPT.raw(record), ANSWERS.of(record) or []
    answer = {"at": recorder.clock(), **answer_of(run), "question": question, "caller": caller}
    only_while = {ANSWERS.name: ANSWERS.raw(record)}
    if record["execute_status"] == "running":
        place = _place_of(answers, {"event_id": run.event_id})
        if place is not None:
            noted = {ANSWERS.name: [*answers, {**answer, "question": answers[place].get("question")}]}
            return recorder.prepare_again(record, metadata=noted, only_while=only_while, is_shared=True)
    else:
        only_while[INTERRUPT.name] = question
        answer = {"asked_at": asked_at(record), **answer}
    return recorder.prepare_again(
        record,
        metadata={ANSWERS.name: [*answers, answer], INTERRUPT.name: None},
        question=question if isinstance(question, dict) else {"event_id": run.event_id, "type": run.interrupt_type},
        only_while=only_while,
    )


async def note_outcome(recorder: Recorder, recording: Recording, run: RunRequest, outcome: Outcome) -> bool:
    """Note how an answer ended that another one came before; its own end is not that of the run.

    Returns:
        whether it is all the same: the run is not running any more without it, and Coze may have taken this answer.

    Raises:
        StoreError: it could not be written.
    """
    key = (recording.workflow_id, recording.execute_id)
    while (record := await recorder.records.get(*key)) is not None:
        if record["execute_status"] == "interrupted" and outcome.proof not in NEVER_TAKEN:
            return True
        answers = ANSWERS.of(record) or []
        place = _place_of(answers, plain(answer_of(run)))
        if place is None:
            return False
        ended = {**answers[place], "outcome": outcome.error_message or outcome.status}
        noted = [*answers[:place], ended, *answers[place + 1 :]]
        change = RecordChange.of(
            recorder.clock(), metadata={ANSWERS.name: noted}, only_while={ANSWERS.name: answers},
            largest=recorder.record_limit,
        )  # fmt: skip
        if await recorder.records.update(*key, change) is not None:
            return False
    return False


def answer_of(run: RunRequest) -> dict[str, object]:
    """Return what a record keeps of an answer."""
    return {"event_id": run.event_id, "interrupt_type": run.interrupt_type, "resume_data": run.resume_data}


def _place_of(answers: list[Any], known: dict[str, object]) -> int | None:
    """Return where the last answer is that has these values, and no outcome of its own."""
    wanted = {"outcome": None, **known}
    for place in reversed(range(len(answers))):
        answer = answers[place]
        if isinstance(answer, dict) and all(answer.get(name) == value for name, value in wanted.items()):
            return place
    return None
