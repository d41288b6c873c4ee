"""Workflows run from Python: the interface that existing deployments call, recorded at the wire."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace

from execution_history.coze.accounts import Upstream
from execution_history.coze.prepared_run import Frame, PreparedRun, WorkflowResult
from execution_history.coze.protocol.messages import MODE_STREAM, RunRequest, text
from execution_history.coze.transport.call_recording import RunContext, begin_recording
from execution_history.errors import NotInterrupted, quoted
from execution_history.recording.recorder import Recorder
from execution_history.records.encoding import decode, encode
from execution_history.records.metadata import ACCOUNT, INTERRUPT
from execution_history.records.record import check_identifier


class CozeRunner:
    """Runs Coze workflows and records them.

    Args:
        recorder: keeps the records.
        upstream: the accounts, whose transport records.
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
        given = dict(parameters or {})
        run = RunRequest("run", workflow_id, given, bot_id, conversation_id=conversation_id, connector_uid=user_id)
        return await (await self._prepare(run, account_id)).execute()

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
        """Run a workflow and yield its events as they come, as the frames that existing callers know.

        The first frame is ``workflow_started``, then one ``data`` for each upstream event, and an ``error`` at the end
        of a run that failed. Leaving early does not stop the recording.

        Raises:
            UnknownAccount: there is no such account; before the first frame, as are the others.
            AccountError: the account is incomplete.
            UpstreamRefused: no token could be fetched for it.
            InvalidIdentifier: the workflow id cannot be one.
            StoreError: only where recording is required and the record cannot be written.
        """
        given = dict(parameters or {})
        run = RunRequest(
            "stream_run", workflow_id, given, bot_id, conversation_id=conversation_id, connector_uid=user_id
        )
        async for frame in (await self._prepare(run, account_id)).frames():
            yield frame

    async def resume_workflow(
        self, workflow_id: str, execute_id: str, answer: object, *, account_id: str | None = None
    ) -> WorkflowResult | None:
        """Answer the question of an interrupted run and wait for its result, in the same record.

        Args:
            workflow_id: the workflow.
            execute_id: the record's id.
            answer: a text; any other value is sent as its JSON, as a question for several fields or files takes it
                (coze-protocol 1.4).
            account_id: the account that answers; the one that began the run unless given.

        Returns:
            The result, ``running`` where the run was asynchronous; ``None`` where there is no such record.

        Raises:
            NotInterrupted: the run waits for no answer.
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
        """Answer the question of an interrupted run and yield its events, as the frames of :meth:`stream_workflow`.

        There are none where there is no such record, and no events of a run that was not streamed.

        Raises:
            NotInterrupted: the run waits for no answer; before the first frame, as are the others.
            UnknownAccount: there is no such account.
            AccountError: the account is incomplete.
            UpstreamRefused: no token could be fetched for it.
            StoreError: the record cannot be read.
        """
        prepared = await self._prepare_answer(workflow_id, execute_id, answer, account_id)
        if prepared is not None:
            async for frame in prepared.frames():
                yield frame

    async def _prepare(self, run: RunRequest, account_id: str) -> PreparedRun:
        check_identifier("workflow id", run.workflow_id)
        # Inputs and ids alike: what JSON cannot hold is sent in the form in which it is recorded.
        names = ("parameters", "bot_id", "conversation_id", "connector_uid")
        values = decode(encode([getattr(run, name) for name in names]))
        return await self._open(replace(run, **dict(zip(names, values, strict=True))), RunContext(account_id))

    async def _prepare_answer(
        self, workflow_id: str, execute_id: str, answer: object, account_id: str | None
    ) -> PreparedRun | None:
        record = await self._recorder.records.get(workflow_id, execute_id)
        if record is None:
            return None
        question = INTERRUPT.of(record) or {}
        event_id = text(question.get("event_id"))
        if record["execute_status"] != "interrupted" or event_id is None:
            raise NotInterrupted(
                "Run %(run)s is %(execute_status)s and waits for no answer: only a run that asked a "
                "question can be resumed.",
                run=quoted(execute_id),
                execute_status=quoted(record["execute_status"]),
            )
        run = RunRequest(
            "stream_resume" if record["run_mode"] == MODE_STREAM else "resume",
            workflow_id,
            conversation_id=record["conversation_id"],
            event_id=event_id,
            resume_data=decode(encode(answer if isinstance(answer, str) else encode(answer).decode())),
            interrupt_type=question.get("type"),
        )
        account = account_id or ACCOUNT.of(record) or "default"
        return await self._open(run, RunContext(account, resumes=record))

    async def _open(self, run: RunRequest, context: RunContext) -> PreparedRun:
        """Build the HTTP request, then open the record that it will belong to."""
        request = await self._upstream.request(run, context)
        prepared = PreparedRun(self._recorder, self._upstream, run, context, request)
        opening = asyncio.ensure_future(begin_recording(self._recorder, run, context, request))
        try:
            context.recording = await asyncio.shield(opening)
        except asyncio.CancelledError:
            # The record is being written all the same: it must not stay behind as running.
            context.recording = await opening
            await prepared.close_unsent()
            raise
        return prepared
