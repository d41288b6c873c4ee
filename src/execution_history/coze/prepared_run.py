"""A run that is ready to leave: its record is open, its request is built. It is sent once, whole or as a stream."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any, Final, NotRequired, TypedDict

import httpx

from execution_history.coze.accounts import Upstream
from execution_history.coze.protocol.messages import Outcome, RunRequest
from execution_history.coze.protocol.sse import EventDecoder, ServerSentEvent
from execution_history.coze.transport.call_recording import RunContext, close_recording
from execution_history.coze.transport.recorded_call import NEVER_SENT, RecordedCall
from execution_history.recording.recorder import Recorder
from execution_history.records.proof import NEVER_TAKEN, Proof

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


@dataclass(frozen=True, slots=True)
class PreparedRun:
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
        if outcome.status == "failed" or outcome.proof in NEVER_TAKEN:
            yield self._frame("error", {"message": outcome.error_message, "type": outcome.proof})

    async def close_unsent(self) -> None:
        """Close the record of a run whose caller left before its request did; do nothing once it has left."""
        recording = self.context.recording
        if self.context.was_sent or recording is None:
            return
        call = RecordedCall(self.run, self.recorder.clock)
        call.opened(recording.create_time, recording.timeline, recording.question)
        if (action := call.end(NEVER_SENT)) is not None:
            await close_recording(recording, action)

    async def _events(self) -> AsyncGenerator[ServerSentEvent, None]:
        """Yield the upstream's events; a stream that breaks just ends, its record says how."""
        with contextlib.suppress(httpx.TransportError):
            async with self._sent() as response:
                decoder = EventDecoder.for_response(response.headers)
                async for chunk in response.aiter_raw():
                    for event in decoder.feed(chunk) if decoder else ():
                        yield event
                for event in decoder.close() if decoder else ():
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
        return self.context.outcome or Outcome(
            "failed", Proof.CONNECTION_BROKEN, error_message="The run gave no answer; it may still be running upstream."
        )

    def _frame(self, event: str, data: dict[str, Any]) -> Frame:
        return {"event": event, "data": data, "timestamp": self.recorder.clock()}


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
