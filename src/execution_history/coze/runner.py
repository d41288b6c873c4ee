"""Running workflows through us: the interface that existing deployments call, recorded at the wire."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

import orjson

from execution_history.coze.accounts import Upstream
from execution_history.coze.protocol.messages import MODE_STREAM, Call, CallKind, text
from execution_history.coze.run_request import Frame, PreparedRun, WorkflowResult
from execution_history.coze.transport.call_recording import RunContext, begin_recording
from execution_history.errors import NotInterrupted, quoted
from execution_history.recording.recorder import Recorder
from execution_history.records.encoding import decode, encode
from execution_history.records.record import check_identifier

_PATHS: Final[dict[CallKind, str]] = {
    "run": "/v1/workflow/run",
    "stream_run": "/v1/workflow/stream_run",
    "stream_resume": "/v1/workflow/stream_resume",
    "resume": "/v1/workflows/resume",
}


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
            UnknownAccount: there is no such account.
            AccountError: the account is incomplete.
            UpstreamRefused: no token could be fetched for it.
            InvalidIdentifier: the workflow id cannot be one.
            StoreError: only where recording is required and the record cannot be written.
        """
        prepared = await self._prepare("run", workflow_id, parameters, bot_id, conversation_id, user_id, account_id)
        return await prepared.execute()

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
            UnknownAccount: there is no such account; before the first frame, as are the others.
            AccountError: the account is incomplete.
            UpstreamRefused: no token could be fetched for it.
            InvalidIdentifier: the workflow id cannot be one.
            StoreError: only where recording is required and the record cannot be written.
        """
        prepared = await self._prepare(
            "stream_run", workflow_id, parameters, bot_id, conversation_id, user_id, account_id
        )
        async for frame in prepared.frames():
            yield frame

    async def resume_workflow(
        self, workflow_id: str, execute_id: str, answer: object, *, account_id: str | None = None
    ) -> WorkflowResult | None:
        """Answer the question of an interrupted run and wait for what comes of it, in the same record.

        Args:
            workflow_id: the workflow.
            execute_id: the record's id.
            answer: a text; any other value is sent as its JSON, which is what a question for several fields or
                files takes (coze-protocol 1.4).
            account_id: who answers; the account that began the run when not given.

        Returns:
            What became of the run, ``running`` where it was asynchronous; ``None`` when there is no such record.

        Raises:
            NotInterrupted: the run asks nothing.
            UnknownAccount: there is no such account.
            AccountError: the account is incomplete.
            UpstreamRefused: no token could be fetched for it.
            StoreError: the record cannot be read.
        """
        prepared = await self._prepare_answer(workflow_id, execute_id, answer, account_id)
        return None if prepared is None else await prepared.execute()

    async def stream_resumption(
        self, workflow_id: str, execute_id: str, answer: object, *, account_id: str | None = None
    ) -> AsyncGenerator[Frame, None]:
        """The same, as frames; none at all when there is no such record. A run that was not streamed gives no events.

        Raises:
            NotInterrupted: the run asks nothing; before the first frame, as are the others.
            UnknownAccount: there is no such account.
            AccountError: the account is incomplete.
            UpstreamRefused: no token could be fetched for it.
            StoreError: the record cannot be read.
        """
        prepared = await self._prepare_answer(workflow_id, execute_id, answer, account_id)
        if prepared is not None:
            async for frame in prepared.frames():
                yield frame

    async def _prepare(
        self,
        kind: CallKind,
        workflow_id: str,
        parameters: Mapping[str, object] | None,
        bot_id: str | None,
        conversation_id: str | None,
        user_id: str | None,
        account_id: str,
    ) -> PreparedRun:
        check_identifier("workflow id", workflow_id)
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
        return await self._open(call, body, RunContext(account_id))

    async def _prepare_answer(
        self, workflow_id: str, execute_id: str, answer: object, account_id: str | None
    ) -> PreparedRun | None:
        await self._recorder.store.open()
        stored = await self._recorder.store.get(workflow_id, execute_id)
        if stored is None:
            return None
        record = orjson.loads(stored)
        question = record["metadata"].get("interrupt")
        event_id = text(question.get("event_id")) if isinstance(question, dict) else None
        if record["execute_status"] != "interrupted" or event_id is None:
            raise NotInterrupted(
                "Run %(run)s is %(execute_status)s and waits for no answer: only a run that asked a "
                "question can be resumed.",
                run=quoted(execute_id),
                execute_status=quoted(record["execute_status"]),
            )
        kind: CallKind = "stream_resume" if record["run_mode"] == MODE_STREAM else "resume"
        data = answer if isinstance(answer, str) else encode(answer).decode()
        interrupt_type = question.get("type")
        body = {
            "workflow_id": workflow_id,
            "event_id": event_id,
            "resume_data": decode(encode(data)),
            "interrupt_type": interrupt_type,
        }
        call = Call(
            kind,
            workflow_id,
            conversation_id=record["conversation_id"],
            event_id=event_id,
            resume_data=body["resume_data"],
            interrupt_type=interrupt_type,
        )
        account = account_id or text(record["metadata"].get("account")) or "default"
        return await self._open(call, body, RunContext(account, resumes=record))

    async def _open(self, call: Call, body: dict[str, Any], context: RunContext) -> PreparedRun:
        """Build the request, then open the record that it will belong to."""
        self._upstream.check(context.account)
        request = await self._upstream.request(context.account, _PATHS[call.kind], body, context)
        prepared = PreparedRun(self._recorder, self._upstream, call, context, request)
        opening = asyncio.ensure_future(begin_recording(self._recorder, call, context, request))
        try:
            context.recording = await asyncio.shield(opening)
        except asyncio.CancelledError:
            # The record is being written all the same: it must not stay behind as running.
            context.recording = await opening
            await prepared.close_unsent()
            raise
        return prepared
