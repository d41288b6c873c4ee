"""Running workflows through us: the interface that existing deployments call, recorded at the wire."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any, Final, TypedDict

import httpx

from execution_history.coze.sse import EventParser, ServerSentEvent
from execution_history.coze.transport import CONTEXT, RunContext, close_recording, open_recording
from execution_history.coze.upstream import Upstream
from execution_history.coze.wire import Call, CallKind, Outcome, parse_json
from execution_history.jsonvalue import decode, encode
from execution_history.record import check_identifier
from execution_history.recorder import Recorder

Frame = dict[str, Any]

_NEVER_SENT: Final = Outcome(
    "failed", "never_sent", error_message="The caller left before the run was sent, so it never began."
)
_STATUS_OF_EVENT: Final = {"Message": "running", "Done": "success", "Error": "failed", "Interrupt": "interrupted"}


class WorkflowResult(TypedDict):
    """What became of a run: its record's id, its status, its output, and a sentence when it failed."""

    execution_id: str
    status: str
    output_data: Any
    error_message: str | None
    conversation_id: str | None


class CozeRunner:
    """Runs Coze workflows and records them.

    Args:
        recorder: what keeps the records.
        upstream: the accounts, whose client records.
    """

    def __init__(self, recorder: Recorder, upstream: Upstream) -> None:
        self._recorder = recorder
        self._upstream = upstream

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
            AccountError: the account is unknown or has no token.
            InvalidIdentifier: the workflow id cannot be one.
            StoreError: only where recording is required and the record cannot be written.
        """
        call, context, request = await self._prepare(
            "run", workflow_id, parameters, bot_id, conversation_id, user_id, account_id
        )
        with contextlib.suppress(httpx.TransportError):
            async with self._sent(request, context) as response:
                await response.aread()
        outcome = _known(context)
        return WorkflowResult(
            execution_id=_execute_id(context),
            status=outcome.status,
            output_data=outcome.output,
            error_message=outcome.error_message,
            conversation_id=call.conversation_id,
        )

    async def stream_workflow(
        self,
        workflow_id: str,
        parameters: Mapping[str, object] | None = None,
        bot_id: str | None = None,
        conversation_id: str | None = None,
        *,
        user_id: str | None = None,
        account_id: str = "default",
    ) -> AsyncGenerator[Frame, None]:
        """Run a workflow and give its events as they come, as the frames that existing callers know.

        The first frame is ``workflow_started``, then one ``data`` for each upstream event, and an ``error`` at the end
        of a run that failed. Leaving early does not stop the recording.

        Raises:
            AccountError: the account is unknown or has no token; before the first frame.
            InvalidIdentifier: the workflow id cannot be one; before the first frame.
            StoreError: only where recording is required and the record cannot be written; before the first frame.
        """
        call, context, request = await self._prepare(
            "stream_run", workflow_id, parameters, bot_id, conversation_id, user_id, account_id
        )
        started = {
            "workflow_id": workflow_id,
            "parameters": call.parameters or {},
            "execution_id": _execute_id(context),
        }
        try:
            yield self._frame("workflow_started", started)
            async with contextlib.aclosing(self._events(request, context)) as events:
                async for event in events:
                    frame = self._frame("data", _data(event))
                    if conversation_id is not None:
                        frame["conversation_id"] = conversation_id
                    yield frame
        finally:
            await _close_unsent(context)
        outcome = _known(context)
        if outcome.status == "failed":
            yield self._frame("error", {"message": outcome.error_message, "type": outcome.proof})

    async def _events(self, request: httpx.Request, context: RunContext) -> AsyncGenerator[ServerSentEvent, None]:
        """The upstream's events; a stream that breaks just ends, its record says how."""
        with contextlib.suppress(httpx.TransportError):
            async with self._sent(request, context) as response:
                if "text/event-stream" not in response.headers.get("content-type", ""):
                    await response.aread()
                    return
                parser = EventParser()
                async for chunk in response.aiter_raw():
                    for event in parser.feed(chunk):
                        yield event
                for event in parser.close():
                    yield event

    @contextlib.asynccontextmanager
    async def _sent(self, request: httpx.Request, context: RunContext) -> AsyncIterator[httpx.Response]:
        """The answer to *request*; a record whose request never left is closed as such."""
        response: httpx.Response | None = None
        try:
            response = await self._upstream.send(request)
            yield response
        finally:
            if response is not None:
                await response.aclose()
            await _close_unsent(context)

    async def _prepare(
        self,
        kind: CallKind,
        workflow_id: str,
        parameters: Mapping[str, object] | None,
        bot_id: str | None,
        conversation_id: str | None,
        user_id: str | None,
        account_id: str,
    ) -> tuple[Call, RunContext, httpx.Request]:
        """Open the record, then build the request that carries it."""
        check_identifier("workflow id", workflow_id)
        self._upstream.check(account_id)
        # Inputs and ids alike: what JSON cannot hold is sent in the form in which it is recorded.
        plain, bot_id, conversation_id, user_id = decode(
            encode((dict(parameters or {}), bot_id, conversation_id, user_id))
        )
        call = Call(kind, workflow_id, plain, bot_id, None, conversation_id, connector_uid=user_id)
        body: dict[str, Any] = {"workflow_id": workflow_id, "parameters": plain}
        if bot_id is not None:
            body["bot_id"] = bot_id
        if user_id is not None:
            body["ext"] = {"user_id": user_id}
        context = RunContext(account_id)
        path = "/v1/workflow/run" if kind == "run" else "/v1/workflow/stream_run"
        request = await self._upstream.request(account_id, path, body, {CONTEXT: context})
        opening = asyncio.ensure_future(open_recording(self._recorder, call, context))
        try:
            context.recording = await asyncio.shield(opening)
        except asyncio.CancelledError:
            # The record is being written all the same: it must not stay behind as running.
            context.recording = await opening
            await _close_unsent(context)
            raise
        return call, context, request

    def _frame(self, event: str, data: dict[str, Any]) -> Frame:
        return {"event": event, "data": data, "timestamp": self._recorder.clock()}


async def _close_unsent(context: RunContext) -> None:
    """End the record of a run whose caller left before its request did; does nothing once it has left."""
    if not context.was_sent and context.recording is not None:
        await close_recording(context.recording, _NEVER_SENT, None)


def _data(event: ServerSentEvent) -> dict[str, Any]:
    """An upstream event as existing callers know it; ``type`` is the upstream's own name for it."""
    content = parse_json(event.data.encode("utf-8", "replace"))
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


def _known(context: RunContext) -> Outcome:
    return context.outcome or Outcome(
        "failed", "connection_broken", error_message="The run gave no answer; it may still be running upstream."
    )


def _execute_id(context: RunContext) -> str:
    return "" if context.recording is None else context.recording.execute_id
