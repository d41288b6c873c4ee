"""The record of a call: opened before the call leaves, continued when a run is resumed, closed when the call ends."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

import httpx

from execution_history.coze.protocol.messages import Outcome, RunRequest, execute_id_of_event, is_chat_question
from execution_history.coze.protocol.user_agent import caller_of
from execution_history.coze.tracking.history_client import OF_ACCOUNT, Address, Authorise, origin_of
from execution_history.coze.tracking.poller import PolledRun, RunPoller
from execution_history.coze.transport.answered_runs import (
    answer_of,
    continued,
    interrupted_record,
    note_outcome,
    workflow_of,
)
from execution_history.coze.transport.recorded_call import CloseRecord, CompleteRecord, RecordedCall
from execution_history.coze.transport.redirects import Hop, Trail, followed_hop, target_of
from execution_history.errors import ExecutionHistoryError
from execution_history.functions import parentage
from execution_history.recording.attempts import attempt
from execution_history.recording.exemption import HEADER, asks_to_pass, is_exempt
from execution_history.recording.open_record import Recording, Snapshot
from execution_history.recording.outbox import PATIENCE_SECONDS
from execution_history.recording.recorder import Recorder
from execution_history.records.depth import IN_METADATA
from execution_history.records.encoding import encode
from execution_history.records.json_text import read_json
from execution_history.records.metadata import (
    ACCOUNT,
    ANSWERS,
    CALLER,
    COZE_EXECUTE_ID,
    INTERRUPT,
    LOG_ID,
    TRACEPARENT,
    UPSTREAM,
)
from execution_history.records.proof import Proof

_log = logging.getLogger("execution_history.coze")

CONTEXT: Final = "execution_history"
"""The request extension under which a :class:`RunContext` is passed."""

_KEPT: Final = ("parameters", "bot_id", "conversation_id", "connector_id", "connector_uid", "run_mode")


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
        is_unrecorded: whether the request just passes because it is too large.
        is_exempt: whether it just passes because its caller wants no record.
        redirect_hosts: the origins (scheme, host and port) within which redirects are followed here; ``None`` where
            the caller's own client follows them, or does not.
        first: the request before all redirects, where this one follows one.
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
    is_exempt: bool = False
    redirect_hosts: frozenset[str] | None = None
    first: httpx.Request | None = None


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
        """Open the record. Where that fails the call goes on without one, and is counted.

        A caller who is cancelled has a record all the same: it is to be closed, as one of a call that was not sent.

        Raises:
            StoreError: only where recording is required: the record could not be written.
        """
        context = self._context
        try:
            for may_join in (True, True, True, False):
                if context.recording is None:
                    context.recording = await prepare_recording(
                        self._recorder, self.call.run, context, self.request, may_join=may_join
                    )
                opened = context.recording
                self.call.opened(opened.create_time, opened.timeline, opened.question)
                if await opened.begin():
                    break
                context.recording = None  # another answer came first
        except Exception as error:
            context.recording = None
            if self.is_required:
                raise
            is_promised = isinstance(error, ExecutionHistoryError)
            self._recorder.count_unrecorded(str(error), None if is_promised else error)

    def save_progress(self, snapshot: Snapshot) -> None:
        """Save the record keys that *snapshot* returns, regularly, whenever :meth:`touch` was called since.

        The first time comes soon, and keeps the log id.
        """
        recording, log_id = self._context.recording, self.call.log_id
        if recording is not None and not recording.is_shared:
            recording.follow(snapshot, None if log_id is None else {LOG_ID.name: log_id})
            recording.touched()

    def count_unrecorded(self, reason: str) -> None:
        """Count a call that goes on without a record."""
        self._recorder.count_unrecorded(reason)

    def touch(self) -> None:
        """Note that there is progress to save."""
        if self._context.recording is not None:
            self._context.recording.touched()

    async def close(self, action: CloseRecord | None) -> None:
        """Close the record; ``None`` does nothing. What cannot be written now waits in the recorder's outbox."""
        if action is None:
            return
        self._context.outcome = action.outcome
        recording = self._context.recording
        if recording is None:
            return
        with self._guarded():
            if recording.is_shared and not await self._is_taken(recording, action.outcome):
                return
            if self._poller is not None and action.polled_id is not None and recording.is_kept:
                self._poller.poll(self._polled(recording, action.polled_id, action.fallback))
            await close_recording(self._recorder, recording, action)

    async def _is_taken(self, recording: Recording, outcome: Outcome) -> bool:
        """Return whether an answer goes on with a run with which another one did; note how it ended where not."""
        if outcome.status == "success" or outcome.interrupt is not None or outcome.proof is Proof.ACCEPTED:
            return True
        noting = note_outcome(self._recorder, recording, self.call.run, outcome)
        is_taken, error = await attempt(noting, PATIENCE_SECONDS)
        if error is not None:
            _log.warning("How an answer ended that was sent twice is not recorded: %s", error)
        return bool(is_taken)

    async def complete(self, action: CompleteRecord | None) -> None:
        """Add to the closed record; ``None`` does nothing, and a run that was gone on with since is left alone."""
        recording = self._context.recording
        if action is None or recording is None:
            return
        with self._guarded():
            await recording.complete(
                action.fields,
                action.metadata,
                only_from=frozenset({action.status}),
                only_while={INTERRUPT.name: read_json(encode(action.question, levels=IN_METADATA))},
            )

    def hop_of(self, response: httpx.Response) -> Hop | None:
        """Return the redirect that *response* is, where the caller's client may follow it within the same run."""
        context = self._context
        target = None if context.redirect_hosts is not None else target_of(self.request, response)
        if target is None or context.recording is None:
            return None
        first = context.first or self.request
        hop = Hop(target, self.request.stream, self.call.run, context.recording, first)
        hop.leave_with(self.request)
        return hop

    @property
    def trail(self) -> Trail | None:
        """Return the redirects that are followed here; ``None`` where the caller's client follows them itself."""
        hosts = self._context.redirect_hosts
        return None if hosts is None else Trail(hosts)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Log what goes wrong in here: the caller still gets its answer."""
        try:
            yield
        except ExecutionHistoryError:
            pass  # the recorder has logged and counted it
        except Exception:  # noqa: BLE001 - as above
            _log.exception("Recording a run failed")

    def leave_runs(self) -> None:
        """Poll no run from here on: whoever opens the history next takes them over."""
        self._poller = None

    def _polled(self, recording: Recording, upstream_id: str, fallback: Outcome | None) -> PolledRun:
        first = self._context.first or self.request
        url, headers = first.url, first.headers
        prefix = url.raw_path.rpartition(b"/v1/")[0].decode("ascii", "replace").rstrip("/")
        own = {"Authorization": headers["authorization"]} if "authorization" in headers else {}

        async def authorise() -> Mapping[str, str]:
            return own if self._context.authorise is None else await self._context.authorise()

        address = Address(origin_of(url) + prefix, authorise, self._context.account)
        key = (recording.workflow_id, recording.execute_id)
        return PolledRun(*key, upstream_id, address, recording.create_time, fallback)


def account_named_by(request: httpx.Request) -> str | None:
    """Return the name of the account over whose connections *request* goes; ``None`` where it names none."""
    context: RunContext | None = request.extensions.get(CONTEXT)
    return request.extensions.get(OF_ACCOUNT) if context is None else context.account


def context_of(request: httpx.Request, account: str) -> RunContext:
    """Return what is known of a call beside its request; one that follows a redirect is the same run.

    Args:
        request: the HTTP request.
        account: the name of the account that the record keeps, where the request names none.
    """
    context = request.extensions.get(CONTEXT) or RunContext(account, is_exempt=is_exempt())
    if HEADER in request.headers and asks_to_pass(request.headers.pop(HEADER)):
        context = replace(context, is_exempt=True)
    hop = followed_hop(request)
    if hop is None:
        return context
    # Whoever follows it again, or too late, runs the workflow all the same.
    recording = hop.recording if hop.claim() else None
    return replace(context, run=hop.run, recording=recording, first=hop.first, outcome=None)


async def prepare_recording(
    recorder: Recorder, run: RunRequest, context: RunContext, request: httpx.Request, *, may_join: bool = True
) -> Recording:
    """Return the record of a run, or that of the one whose question the request answers, which is still to begin.

    Where the store does not find the question, because it is in trouble and the question itself waits to be written,
    the answer gets a record of its own, which names the same run upstream.

    Args:
        recorder: keeps the record.
        run: what is requested.
        context: what else is known.
        request: the HTTP request, for who sends it and where it goes.
        may_join: whether to look for the question at all.
    """
    metadata: dict[str, object] = {ACCOUNT.name: context.account, **context.metadata, **run.metadata()}
    metadata[UPSTREAM.name] = origin_of(request.url)
    if caller := caller_of(request.headers):
        metadata[CALLER.name] = caller
    if traceparent := TRACEPARENT.read(request.headers.get("traceparent")):
        metadata[TRACEPARENT.name] = traceparent
    record = await _answered_record(recorder, run, context) if may_join else None
    if record is not None:
        return continued(recorder, record, run, caller)
    if run.is_resumption:
        metadata |= {COZE_EXECUTE_ID.name: execute_id_of_event(run.event_id), ANSWERS.name: [answer_of(run)]}
    fields = {name: getattr(run, name) for name in _KEPT}
    return recorder.prepare(workflow_of(run), metadata=metadata, is_recorded=not is_exempt(), **fields)


async def close_recording(recorder: Recorder, recording: Recording, action: CloseRecord) -> None:
    """Carry *action* out on an open record."""
    status = action.outcome.status
    was_open = await recording.close(None if status == "running" else status, metadata=action.metadata, **action.fields)
    if was_open and action.asked_conversation_id is not None:
        await recorder.chat_questions.put(recording.workflow_id, action.asked_conversation_id, recording.execute_id)


async def _answered_record(recorder: Recorder, run: RunRequest, context: RunContext) -> dict[str, Any] | None:
    """Return the record whose question is answered; a chat's is that of its conversation."""
    if run.kind == "chat" and run.conversation_id is not None:
        waiting = await recorder.chat_questions.take(
            workflow_of(run), run.conversation_id, lambda record: is_chat_question(INTERRUPT.of(record))
        )
        return context.resumes or waiting
    return (context.resumes or await interrupted_record(recorder, run)) if run.is_resumption else None
