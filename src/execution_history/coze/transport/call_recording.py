"""The record of a call: opened before the call leaves, continued when a run is resumed, closed when the call ends."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from execution_history.coze.protocol.messages import Outcome, RunRequest, execute_id_of_event
from execution_history.coze.protocol.user_agent import caller_of
from execution_history.coze.tracking.history_client import Address, Authorise, origin_of
from execution_history.coze.tracking.poller import PolledRun, RunPoller
from execution_history.coze.transport.recorded_call import NEVER_BEGAN, STOPPED, CloseRecord, RecordedCall
from execution_history.errors import ExecutionHistoryError, StoreError
from execution_history.functions import parentage
from execution_history.recording.recorder import Recorder, Recording, Snapshot
from execution_history.records.metadata import ACCOUNT, ANSWERS, CALLER, COZE_EXECUTE_ID, INTERRUPT, UPSTREAM
from execution_history.records.proof import Proof
from execution_history.records.record import OPEN_STATUSES, is_identifier

_log = logging.getLogger("execution_history.coze")

CONTEXT: Final = "execution_history"
"""The request extension under which a :class:`RunContext` is passed."""

_KEPT: Final = ("parameters", "bot_id", "conversation_id", "connector_id", "connector_uid", "run_mode")

# By the first entry whose exception fits: how the call's end is known, and its sentence.
_FAILURES: Final = (
    (httpx.ConnectTimeout, Proof.CONNECTION_FAILED, f"No connection to {{}} came about in time{NEVER_BEGAN}"),
    (httpx.TimeoutException, Proof.TIMEOUT, "{} was silent for too long; the workflow may still be running there."),
    ((httpx.ConnectError, httpx.ProxyError), Proof.CONNECTION_FAILED, f"{{}} could not be reached ({{}}){NEVER_BEGAN}"),
    (
        (httpx.TransportError, httpx.StreamError, OSError),
        Proof.CONNECTION_BROKEN,
        "The connection to {} broke before the run ended; the workflow may still be running there.",
    ),
)


@dataclass(slots=True)
class RunContext:
    """What a caller inside this package adds to an HTTP request, and where it finds the outcome.

    Attributes:
        account: the name of the account that the record keeps.
        run: the request for the run, which spares the transport a second reading of the body.
        recording: the open record, where the caller has opened it.
        outcome: how the call ended, once it has.
        was_sent: whether the request has reached the transport.
        metadata: further metadata of the record.
        resumes: the record whose question the request answers, where the caller has it.
        authorise: returns fresh headers of the account, for polling the run later.
        is_unrecorded: whether the request just passes.
    """

    account: str = "default"
    run: RunRequest | None = None
    recording: Recording | None = None
    outcome: Outcome | None = None
    was_sent: bool = False
    metadata: dict[str, object] = field(default_factory=dict)
    resumes: dict[str, Any] | None = None
    authorise: Authorise | None = None
    is_unrecorded: bool = False


class CallRecord:
    """The record of one call, in the event loop of its recorder.

    Args:
        recorder: keeps the record.
        call: decides what is recorded.
        request: the HTTP request; its ``Authorization`` serves to poll a run that goes on upstream, and is kept nowhere
            else.
        context: what a caller inside this package has added to the request.
        poller: polls the runs that go on upstream.
    """

    def __init__(
        self, recorder: Recorder, call: RecordedCall, request: httpx.Request, context: RunContext, poller: RunPoller
    ) -> None:
        self.call = call
        self.request = request
        self._recorder = recorder
        self._context = context
        self._poller: RunPoller | None = poller
        context.was_sent = True
        context.metadata = {**parentage(), **context.metadata}

    @property
    def is_required(self) -> bool:
        """Return whether a call that cannot be recorded must not leave."""
        return self._recorder.requires_recording

    async def open(self) -> None:
        """Open the record. Where that fails the call goes on without one.

        Raises:
            StoreError: only where recording is required: the record could not be written.
        """
        context = self._context
        try:
            if context.recording is None:
                context.recording = await begin_recording(self._recorder, self.call.run, context, self.request)
        except Exception:
            if self.is_required:
                raise
            _log.exception("A run could not be recorded")
            return
        opened = context.recording
        self.call.opened(opened.create_time, opened.timeline, opened.question)

    def save_progress(self, snapshot: Snapshot) -> None:
        """Save the record keys that *snapshot* returns, regularly, whenever :meth:`touch` was called since."""
        if self._context.recording is not None:
            self._context.recording.follow(snapshot)

    def touch(self) -> None:
        """Note that there is progress to save."""
        if self._context.recording is not None:
            self._context.recording.touched()

    async def close(self, action: CloseRecord | None) -> None:
        """Close the record; ``None`` does nothing. What cannot be written now waits in the recorder's outbox."""
        recording = self._context.recording
        if action is None or recording is None:
            return
        self._context.outcome = action.outcome
        try:
            if self._poller is not None and action.polled_id is not None:
                self._poller.poll(self._polled(recording, action.polled_id, action.fallback))
            await close_recording(recording, action)
        except ExecutionHistoryError:
            pass  # the recorder has logged and counted it
        except Exception:  # noqa: BLE001 - the caller still gets its answer
            _log.exception("Recording a run failed")

    def leave_runs(self) -> None:
        """Poll no run from here on: whoever opens the history next takes them over."""
        self._poller = None

    def _polled(self, recording: Recording, upstream_id: str, fallback: Outcome | None) -> PolledRun:
        url, headers = self.request.url, self.request.headers
        prefix = url.raw_path.rpartition(b"/v1/")[0].decode("ascii", "replace").rstrip("/")
        own = {"Authorization": headers["authorization"]} if "authorization" in headers else {}

        async def authorise() -> Mapping[str, str]:
            return own if self._context.authorise is None else await self._context.authorise()

        address = Address(origin_of(url) + prefix, authorise, self._context.account)
        key = (recording.workflow_id, recording.execute_id)
        return PolledRun(*key, upstream_id, address, recording.create_time, fallback)


def is_recorded(run: RunRequest, context: RunContext) -> bool:
    """Return whether a run can have a record: it names a workflow that can have one, or its record is open already."""
    return context.recording is not None or is_identifier(run.workflow_id)


async def begin_recording(
    recorder: Recorder, run: RunRequest, context: RunContext, request: httpx.Request
) -> Recording:
    """Open the record of a run, or continue the one whose question the run's request answers.

    Args:
        recorder: keeps the record.
        run: what the request asks for.
        context: what else is known.
        request: the HTTP request, for who sends it and where it goes.

    Raises:
        InvalidIdentifier: the workflow id cannot be one.
        StoreError: only where recording is required: the record could not be written.
    """
    metadata: dict[str, object] = {ACCOUNT.name: context.account, **context.metadata}
    metadata[UPSTREAM.name] = origin_of(request.url)
    if caller := caller_of(request.headers):
        metadata[CALLER.name] = caller
    if run.is_resumption:
        record = context.resumes or await _interrupted_record(recorder, run)
        if record is not None:
            return await _continue(recorder, record, run, caller)
        metadata |= {COZE_EXECUTE_ID.name: execute_id_of_event(run.event_id), ANSWERS.name: [_answer(run)]}
    fields = {name: getattr(run, name) for name in _KEPT}
    return await recorder.open(run.workflow_id or "", metadata=metadata, **fields)


async def close_recording(recording: Recording, action: CloseRecord) -> None:
    """Carry *action* out on an open record."""
    status = action.outcome.status
    await recording.close(None if status == "running" else status, metadata=action.metadata, **action.fields)


async def _interrupted_record(recorder: Recorder, run: RunRequest) -> dict[str, Any] | None:
    """Return the record of the run that is answered: its id precedes the slash of the event's (coze-protocol 1.7)."""
    upstream_id = execute_id_of_event(run.event_id)
    if upstream_id is None:
        return None
    try:
        found = await recorder.records.find_upstream(run.workflow_id, upstream_id)
    except StoreError as error:
        _log.warning("The record of a resumed run could not be looked for, so it gets a new one: %s", error)
        return None
    return next((record for record in found if record["execute_status"] in OPEN_STATUSES), None)


async def _continue(recorder: Recorder, record: dict[str, Any], run: RunRequest, caller: object) -> Recording:
    question = INTERRUPT.raw(record)
    answer = {"at": recorder.clock(), **_answer(run), "question": question, "caller": caller}
    return await recorder.reopen(
        record,
        metadata={ANSWERS.name: [*(ANSWERS.of(record) or ()), answer], INTERRUPT.name: None},
        question=question if isinstance(question, dict) else {"event_id": run.event_id, "type": run.interrupt_type},
    )


def _answer(run: RunRequest) -> dict[str, object]:
    return {"event_id": run.event_id, "interrupt_type": run.interrupt_type, "resume_data": run.resume_data}


def failure_of(error: BaseException, request: httpx.Request) -> Outcome:
    """Return the outcome of a call that *error* ended (coze-protocol 3.1: the workflow may run on all the same)."""
    for kinds, proof, sentence in _FAILURES:
        if isinstance(error, kinds):
            message = sentence.format(request.url.host, str(error) or "no reason given")
            return Outcome("failed", proof, error_message=message)
    return STOPPED
