"""Workflows run from Python: the interface that existing deployments call, recorded at the wire."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NotRequired, TypedDict

import httpx

from execution_history.access.principals import check_workflow
from execution_history.coze.accounts import Upstream
from execution_history.coze.protocol.answers import answering_request
from execution_history.coze.protocol.messages import Outcome, RunKind, RunRequest
from execution_history.coze.protocol.repetition import repeating_request
from execution_history.coze.protocol.sse import EventDecoder, ServerSentEvent
from execution_history.coze.transport.call_recording import RunContext, close_recording, prepare_recording
from execution_history.coze.transport.recorded_call import NEVER_SENT, RecordedCall
from execution_history.errors import NotInterrupted, quoted
from execution_history.query.workflow_patterns import EVERY_WORKFLOW, WorkflowPatterns
from execution_history.recording.recorder import Recorder
from execution_history.records.encoding import encode
from execution_history.records.identifiers import check_identifier, may_exist
from execution_history.records.json_text import read_json
from execution_history.records.metadata import INTERRUPT
from execution_history.records.proof import Proof
from execution_history.records.withheld import check_identity, check_inputs

Frame = dict[str, Any]

_STATUS_OF_EVENT: Final = {"Message": "running", "Done": "success", "Error": "failed", "Interrupt": "interrupted"}


class WorkflowResult(TypedDict):
    """How a run ended: its record's id, its status, its output, and a sentence where it failed.

    ``interrupt`` is there where the run waits for an answer, as in the record's ``metadata``.
    """

    execution_id: str
    status: str
    output_data: Any
    error_message: str | None
    conversation_id: str | None
    interrupt: NotRequired[dict[str, Any]]


class CozeRunner:
    """Runs Coze workflows and records them.

    Args:
        recorder: keeps the records.
        upstream: the accounts, whose transport records.
        workflows: those that exist for whoever runs them.
    """

    def __init__(self, recorder: Recorder, upstream: Upstream, workflows: WorkflowPatterns = EVERY_WORKFLOW) -> None:
        self._recorder = recorder
        self._upstream = upstream
        self._workflows = workflows

    def within(self, workflows: WorkflowPatterns) -> "CozeRunner":
        """Return a runner of these *workflows* alone; any other is refused with :class:`NotAllowed`."""
        return CozeRunner(self._recorder, self._upstream, workflows)

    async def execute_workflow(
        self,
        workflow_id: str,
        parameters: Mapping[str, object] | None = None,
        bot_id: str | None = None,
        conversation_id: str | None = None,
        *,
        user_id: str | None = None,
        account_id: str = "default",
    ) -> WorkflowResult:
        """Run a workflow and wait for its result; an upstream failure is a status, never an exception.

        Raises:
            UnknownAccount: there is no such account.
            AccountError: the account is incomplete.
            UpstreamRefused: no token could be fetched for it.
            InvalidIdentifier: the workflow id cannot be one.
            StoreError: only where recording is required and the record cannot be written.
        """
        ids = (bot_id, conversation_id, user_id)
        return await (await self._prepare("run", workflow_id, parameters, ids, account_id)).execute()

    async def stream_workflow(
        self,
        workflow_id: str,
        parameters: Mapping[str, object] | None = None,
        bot_id: str | None = None,
        conversation_id: str | None = None,
        *,
        user_id: str | None = None,
        account_id: str = "default",
        is_streamed: bool = True,
    ) -> AsyncGenerator[Frame, None]:
        """Run a workflow and yield its events as they come, as the frames that existing callers know.

        The first frame is ``workflow_started``, then one ``data`` for each upstream event, and an ``error`` at the end
        of a run that failed. Leaving early does not stop the recording. Where it is not *is_streamed*, Coze gives one
        answer, and there are no events.

        Raises:
            UnknownAccount: there is no such account; before the first frame, as are the others.
            AccountError: the account is incomplete.
            UpstreamRefused: no token could be fetched for it.
            InvalidIdentifier: the workflow id cannot be one.
            StoreError: only where recording is required and the record cannot be written.
        """
        ids = (bot_id, conversation_id, user_id)
        kind: RunKind = "stream_run" if is_streamed else "run"
        async for frame in (await self._prepare(kind, workflow_id, parameters, ids, account_id)).frames():
            yield frame

    async def resume_workflow(
        self, workflow_id: str, execute_id: str, answer: object, *, account_id: str | None = None
    ) -> WorkflowResult | None:
        """Answer the question of an interrupted run and wait for its result, in the same record.

        Args:
            workflow_id: the workflow.
            execute_id: the record's id.
            answer: a text; any other value is sent as its JSON, as a question for several fields or files takes it
                (coze-protocol 1.4). A chat's question is answered by a message in its conversation.
            account_id: the account that answers; that of :meth:`Upstream.account_that_acts` unless given.

        Returns:
            The result, ``running`` where the run was asynchronous; ``None`` where there is no such record.

        Raises:
            InvalidIdentifier: an id is not text.
            NotInterrupted: the run waits for no answer.
            InputsWithheld: what names the question to Coze was redacted.
            UnknownAccount: there is no such account.
            AccountError: the account is incomplete, or none calls the address where the run waits.
            UpstreamRefused: no token could be fetched for it.
            StoreError: the record cannot be read.
        """
        prepared = await self._prepare_answer(workflow_id, execute_id, answer, account_id)
        return None if prepared is None else await prepared.execute()

    async def stream_resumption(
        self, workflow_id: str, execute_id: str, answer: object, *, account_id: str | None = None
    ) -> AsyncGenerator[Frame, None]:
        """Answer the question of an interrupted run and yield its events, as the frames of :meth:`stream_workflow`.

        There are none where there is no such record, and no events of a run that was not streamed.

        Raises:
            InvalidIdentifier: an id is not text; before the first frame, as are the others.
            NotInterrupted: the run waits for no answer.
            InputsWithheld: what names the question to Coze was redacted.
            UnknownAccount: there is no such account.
            AccountError: the account is incomplete, or none calls the address where the run waits.
            UpstreamRefused: no token could be fetched for it.
            StoreError: the record cannot be read.
        """
        prepared = await self._prepare_answer(workflow_id, execute_id, answer, account_id)
        if prepared is not None:
            async for frame in prepared.frames():
                yield frame

    async def stream_again(
        self, record: Mapping[str, Any], parameters: Mapping[str, object] | None
    ) -> AsyncGenerator[Frame, None]:
        """Run the workflow of *record* once more and yield its events, as the frames of :meth:`stream_workflow`.

        A chat is a chat again, in a conversation of its own. The account is that of
        :meth:`~execution_history.coze.Upstream.account_that_acts`.

        Raises:
            InputsWithheld: inputs of the record were redacted or removed; before the first frame, as are the others.
            UnknownAccount: there is no such account.
            AccountError: the account is incomplete, or none calls the address where the run took place.
            UpstreamRefused: no token could be fetched for it.
            StoreError: only where recording is required and the record cannot be written.
        """
        check_inputs(record, parameters)
        run = repeating_request(record, parameters)
        prepared = await self._open(run, RunContext(self._upstream.account_that_acts(record)))
        async for frame in prepared.frames():
            yield frame

    async def _prepare(
        self,
        kind: RunKind,
        workflow_id: str,
        parameters: Mapping[str, object] | None,
        ids: tuple[object, ...],
        account_id: str,
    ) -> "_PreparedRun":
        check_identifier("workflow id", workflow_id)
        # Inputs and ids alike: what JSON cannot hold is sent in the form in which it is recorded.
        inputs, bot, conversation, user = read_json(encode([dict(parameters or {}), *ids]))
        run = RunRequest(kind, workflow_id, inputs, bot, conversation_id=conversation, connector_uid=user)
        return await self._open(run, RunContext(account_id))

    async def _prepare_answer(
        self, workflow_id: str, execute_id: str, answer: object, account_id: str | None
    ) -> "_PreparedRun | None":
        if not (may_exist(workflow_id=workflow_id, execute_id=execute_id) and self._workflows.match(workflow_id)):
            return None
        record = await self._recorder.records.get(workflow_id, execute_id)
        if record is None:
            return None
        run = answering_request(record, answer)
        if run is None:
            raise _waits_for_no_answer(execute_id, record["execute_status"])
        check_identity(record, INTERRUPT.of(record))
        account = account_id or self._upstream.account_that_acts(record)
        return await self._open(run, RunContext(account, resumes=record))

    async def _open(self, run: RunRequest, context: RunContext) -> "_PreparedRun":
        """Build the HTTP request, then open the record that it will belong to.

        Raises:
            NotAllowed: the workflow is none of those that exist here.
        """
        check_workflow(self._workflows, run.workflow_id)
        context.redirect_hosts = self._upstream.origins
        request = await self._upstream.request(run, context)
        prepared = _PreparedRun(self._recorder, self._upstream, run, context, request)
        context.recording = await prepare_recording(self._recorder, run, context, request)
        try:
            is_open = await context.recording.begin()
        except asyncio.CancelledError:
            # The record is being written all the same: it must not stay behind as running.
            await prepared.close_unsent()
            raise
        if not is_open:
            raise _waits_for_no_answer(prepared.execute_id, "running")  # another answer came first
        return prepared


@dataclass(frozen=True, slots=True)
class _PreparedRun:
    """A run that is ready to leave."""

    recorder: Recorder
    upstream: Upstream
    run: RunRequest
    context: RunContext
    request: httpx.Request

    @property
    def execute_id(self) -> str:
        """Return the id of its record."""
        return "" if self.context.recording is None else self.context.recording.execute_id

    async def execute(self) -> WorkflowResult:
        """Send the request and return the result; an upstream failure is a status."""
        with contextlib.suppress(httpx.TransportError):
            async with self._sent() as response:
                async for _ in response.aiter_raw():
                    pass
        outcome = self._outcome()
        result = WorkflowResult(
            execution_id=self.execute_id,
            status=outcome.status,
            output_data=outcome.output,
            error_message=outcome.error_message,
            conversation_id=self.run.conversation_id,
        )
        if outcome.interrupt:
            result["interrupt"] = dict(outcome.interrupt)
        return result

    async def frames(self) -> AsyncGenerator[Frame, None]:
        """Send the request and yield its events as frames; leaving early does not stop the recording."""
        conversation_id = self.run.conversation_id
        started = {
            "workflow_id": self.run.workflow_id,
            "parameters": self.run.parameters or {},
            "execution_id": self.execute_id,
        }
        try:
            yield self._frame("workflow_started", started)
            async with contextlib.aclosing(self._events()) as events:
                async for event in events:
                    frame = self._frame("data", _data(event))
                    if conversation_id is not None:
                        frame["conversation_id"] = conversation_id
                    yield frame
        finally:
            await self.close_unsent()
        outcome = self._outcome()
        if outcome.error_message is not None:
            yield self._frame("error", {"message": outcome.error_message, "type": outcome.proof})

    async def close_unsent(self) -> None:
        """Close the record of a run whose caller left before its request did; do nothing once it has left."""
        recording = self.context.recording
        if self.context.was_sent or recording is None:
            return
        call = RecordedCall(self.run, self.recorder.clock)
        call.opened(recording.create_time, recording.timeline, recording.question)
        if (action := call.end(NEVER_SENT)) is not None:
            await close_recording(self.recorder, recording, action)

    async def _events(self) -> AsyncGenerator[ServerSentEvent, None]:
        """Yield the upstream's events; a stream that breaks just ends, and its record has the reason."""
        with contextlib.suppress(httpx.TransportError):
            async with self._sent() as response:
                decoder = EventDecoder.for_response(response.headers)
                async for chunk in response.aiter_raw():
                    for event in decoder.feed(chunk):
                        yield event
                for event in decoder.close():
                    yield event

    @contextlib.asynccontextmanager
    async def _sent(self) -> AsyncIterator[httpx.Response]:
        """Yield the answer to the request; a record whose request never left is closed as such."""
        response: httpx.Response | None = None
        try:
            response = await self.upstream.send(self.request)
            yield response
        finally:
            if response is not None:
                await response.aclose()
            await self.close_unsent()

    def _outcome(self) -> Outcome:
        if self.context.outcome is not None:
            return self.context.outcome
        sentence = "The run gave no answer; it may still be running upstream."
        proof = Proof.CONNECTION_BROKEN
        if not self.context.was_sent:
            sentence, proof = "The run could not be sent, so it never began.", Proof.NEVER_SENT
        return Outcome("failed", proof, error_message=sentence)

    def _frame(self, event: str, data: dict[str, Any]) -> Frame:
        return {"event": event, "data": data, "timestamp": self.recorder.clock()}


def _waits_for_no_answer(execute_id: str, status: str) -> NotInterrupted:
    return NotInterrupted(
        "Run %(run)s is %(execute_status)s and waits for no answer: only a run that asked a question can be resumed.",
        run=quoted(execute_id),
        execute_status=quoted(status),
    )


def _data(event: ServerSentEvent) -> dict[str, Any]:
    """Return an upstream event in the shape that existing callers know; ``type`` is the upstream's name for it."""
    content = event.content()
    known = content if isinstance(content, dict) else {}
    return {
        "type": event.event,
        "execute_id": known.get("execute_id"),
        "node_id": known.get("node_id"),
        "status": _STATUS_OF_EVENT.get(event.event),
        "message": content if event.event == "Message" else None,
        "error": content if event.event in {"Error", "error"} else None,
        "data": content if content is not None else event.data,
    }
