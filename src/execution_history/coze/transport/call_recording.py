"""The record of a call: begun before the call leaves, continued when a run goes on, ended with what is known."""

import logging
from dataclasses import dataclass, field, replace
from typing import Any, Final

import httpx
import orjson

from execution_history.coze.protocol.messages import REJECTED, RESUMES, Call, Outcome, execute_id_of_event
from execution_history.coze.protocol.stream_reader import StreamReading
from execution_history.coze.protocol.user_agent import caller_of
from execution_history.coze.tracking.history_client import Authorise
from execution_history.errors import InvalidIdentifier, StoreError
from execution_history.recording.recorder import Recorder, Recording
from execution_history.records.metadata import (
    ACCOUNT,
    ANSWERS,
    CALLER,
    COZE_EXECUTE_ID,
    INTERRUPT,
    LOG_ID,
    PROOF,
    RECORDING_IS_CUT,
    UPSTREAM,
)
from execution_history.records.proof import NEVER_TAKEN, Proof
from execution_history.records.record import OPEN_STATUSES, check_identifier

_log = logging.getLogger("execution_history.coze")

CONTEXT: Final = "execution_history"
"""The request extension under which a :class:`RunContext` is passed."""

_NEVER_BEGAN: Final = ", so the run never began."


@dataclass(slots=True)
class RunContext:
    """What a caller of our own adds to a request, and where it learns the outcome.

    ``resumes`` is the record whose question the request answers, where the caller knows it; ``authorise`` gives
    fresh proof of the account for asking later what became of the run; ``is_unrecorded`` lets the request just pass.
    """

    account: str = "default"
    recording: Recording | None = None
    outcome: Outcome | None = None
    was_sent: bool = False
    metadata: dict[str, object] = field(default_factory=dict)
    resumes: dict[str, Any] | None = None
    authorise: Authorise | None = None
    is_unrecorded: bool = False


def is_recorded(call: Call, context: RunContext) -> bool:
    """Whether *call* can have a record: it names a workflow that can have one, or its record is open already."""
    if context.recording is not None:
        return True
    try:
        check_identifier("workflow id", call.workflow_id)
    except InvalidIdentifier:
        return False
    return True


async def begin_recording(
    recorder: Recorder, call: Call, context: RunContext, request: httpx.Request | None = None
) -> Recording:
    """Begin the record of *call*, or go on with the one whose question it answers.

    Args:
        recorder: what keeps it.
        call: what the request asks for.
        context: what else is known.
        request: the request itself, for who sends it and where it goes.

    Raises:
        InvalidIdentifier: the workflow id cannot be one.
        StoreError: only where recording is required and the record cannot be written.
    """
    known: dict[str, object] = {ACCOUNT.name: context.account, **context.metadata}
    if request is not None:
        known[UPSTREAM.name] = f"{request.url.scheme}://{request.url.netloc.decode('ascii', 'replace')}"
        if caller := caller_of(request.headers):
            known[CALLER.name] = caller
    if call.kind in RESUMES:
        record = context.resumes or await _interrupted_record(recorder, call)
        if record is not None:
            return await _go_on(recorder, record, call, known)
        known |= _unknown_run(call)
    return await recorder.open(
        call.workflow_id or "",
        parameters=call.parameters,
        bot_id=call.bot_id,
        conversation_id=call.conversation_id,
        connector_id=call.connector_id,
        connector_uid=call.connector_uid,
        run_mode=call.run_mode,
        metadata=known,
    )


async def _interrupted_record(recorder: Recorder, call: Call) -> dict[str, Any] | None:
    """The record of the run that *call* answers: its id stands before the slash of the event's (coze-protocol 1.7)."""
    upstream_id = execute_id_of_event(call.event_id)
    if upstream_id is None:
        return None
    try:
        await recorder.store.open()
        found = [orjson.loads(body) for body in await recorder.store.find_upstream(upstream_id)]
    except StoreError as error:
        _log.warning("The record of a resumed run could not be looked for, so it gets a new one: %s", error)
        return None
    ours = [record for record in found if record["workflow_id"] == call.workflow_id]
    return next((record for record in ours if record["execute_status"] in OPEN_STATUSES), None)


async def _go_on(recorder: Recorder, record: dict[str, Any], call: Call, known: dict[str, object]) -> Recording:
    question = INTERRUPT.of(record)
    answer = {
        "at": recorder.clock(),
        "event_id": call.event_id,
        "interrupt_type": call.interrupt_type,
        "resume_data": call.resume_data,
        "question": INTERRUPT.raw(record),
        "caller": known.get(CALLER.name),
    }
    return await recorder.reopen(
        record,
        metadata={ANSWERS.name: [*(ANSWERS.of(record) or ()), answer], INTERRUPT.name: None},
        question=question or {"event_id": call.event_id, "type": call.interrupt_type},
    )


def _unknown_run(call: Call) -> dict[str, object]:
    """What is known of a run whose beginning was not recorded here."""
    answer = {"event_id": call.event_id, "interrupt_type": call.interrupt_type, "resume_data": call.resume_data}
    return {COZE_EXECUTE_ID.name: execute_id_of_event(call.event_id), ANSWERS.name: [answer]}


def settled(recording: Recording, outcome: Outcome) -> Outcome:
    """What *outcome* says of the run: one whose answer did not get through asks what it asked before."""
    if recording.question is None or outcome.proof not in NEVER_TAKEN or outcome.status == "interrupted":
        return outcome
    reason = (outcome.error_message or "").removeprefix(REJECTED).removesuffix(_NEVER_BEGAN)
    sentences = {
        Proof.REJECTED: f"Coze did not take the answer: {reason}",
        Proof.CONNECTION_FAILED: f"The answer did not get to Coze: {reason}.",
        Proof.NEVER_SENT: "The answer was not sent, because its caller left before.",
    }
    return replace(outcome, status="interrupted", interrupt=recording.question, error_message=sentences[outcome.proof])


async def end_recording(recording: Recording, outcome: Outcome, stream: StreamReading | None) -> None:
    """End a record with what is known of its run; an outcome that runs on leaves it running.

    Raises:
        InvalidInput: never for what a :class:`StreamReading` and an :class:`Outcome` hold.
    """
    outcome = settled(recording, outcome)
    known = {LOG_ID.name: outcome.log_id, INTERRUPT.name: outcome.interrupt}
    metadata: dict[str, object] = {PROOF.name: outcome.proof}
    metadata |= {key: value for key, value in known.items() if value is not None}
    if outcome.execute_id is not None:
        metadata[COZE_EXECUTE_ID.name] = outcome.execute_id
    if stream is not None and stream.is_cut:
        metadata[RECORDING_IS_CUT.name] = True
    await recording.close(
        None if outcome.status == "running" else outcome.status,
        output=outcome.output,
        error_code=outcome.error_code,
        error_message=outcome.error_message,
        debug_url=outcome.debug_url,
        usage=outcome.usage,
        node_execute_status=None if stream is None else stream.timeline(),
        conversation_id=None if stream is None else stream.conversation_id,
        metadata=metadata,
    )


STOPPED: Final = Outcome(
    "interrupted",
    Proof.ABANDONED,
    error_message="Recording stopped before the run ended; it may still be running upstream.",
)
"""The outcome of a run whose recorder was told to stop."""


NEVER_SENT: Final = Outcome(
    "failed", Proof.NEVER_SENT, error_message="The caller left before the run was sent, so it never began."
)
"""The outcome of a run whose record was opened, and whose request never left."""


def failure_of(error: BaseException, request: httpx.Request) -> Outcome:
    """What a transport's error says of a run (coze-protocol 3.1: a cut does not mean that the workflow stopped)."""
    host = request.url.host
    if not isinstance(error, (httpx.TransportError, httpx.StreamError, OSError)):
        return STOPPED
    if isinstance(error, httpx.ConnectTimeout):
        sentence = f"No connection to {host} came about in time{_NEVER_BEGAN}"
        return Outcome("failed", Proof.CONNECTION_FAILED, error_message=sentence)
    if isinstance(error, httpx.TimeoutException):
        sentence = f"{host} was silent for too long; the workflow may still be running there."
        return Outcome("failed", Proof.TIMEOUT, error_message=sentence)
    if isinstance(error, httpx.ConnectError):
        sentence = f"{host} could not be reached ({str(error) or 'no reason given'}){_NEVER_BEGAN}"
        return Outcome("failed", Proof.CONNECTION_FAILED, error_message=sentence)
    sentence = f"The connection to {host} broke before the run ended; the workflow may still be running there."
    return Outcome("failed", Proof.CONNECTION_BROKEN, error_message=sentence)
