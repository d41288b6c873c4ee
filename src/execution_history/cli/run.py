"""The commands ``run``, ``resume`` and ``fetch``: workflows run from the terminal, recorded."""

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, cast

from execution_history.application import Application, open_application
from execution_history.cli.accounts import account_named, account_that_answers, unusable_address
from execution_history.cli.exit_codes import CommandFailed, ExitCode
from execution_history.cli.open_history import open_history, the_run
from execution_history.cli.run_inputs import read_parameters
from execution_history.cli.run_reporter import Ending, Telling, telling_of
from execution_history.cli.session import Session
from execution_history.cli.signals import stops_call
from execution_history.coze.protocol.messages import MODE_STREAM
from execution_history.presentation.wording import STATUSES
from execution_history.records.metadata import INTERRUPT
from execution_history.records.record import ExecutionRecord
from execution_history.sandbox import AddressError

Work = Callable[[Telling], Awaitable[tuple[Ending, Sequence[str]]]]
"""Something that ends with what became of a run, and with what its recorder complains of."""

_CODES: Final = {
    "success": ExitCode.SUCCESS,
    "running": ExitCode.SUCCESS,
    "failed": ExitCode.WORKFLOW_FAILED,
    "interrupted": ExitCode.INTERRUPTED,
}


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What ``run`` was asked for; ``assignments`` are the ``-p`` options as they were written."""

    workflow_id: str
    assignments: Sequence[str]
    parameters_file: str | None
    bot_id: str | None
    conversation_id: str | None
    user_id: str | None
    account: str | None
    sandbox: bool
    streamed: bool


@dataclass(frozen=True, slots=True)
class ResumeRequest:
    """What ``resume`` was asked for; the answer may be ``-`` for the standard input."""

    execute_id: str
    answer: str
    workflow_id: str | None
    account: str | None
    sandbox: bool


async def resume_run(session: Session, request: ResumeRequest) -> ExitCode:
    """Answer the question of an interrupted run, tell what it says then, and end with what became of it."""
    answer = sys.stdin.read() if request.answer == "-" else request.answer
    async with open_history(session) as (service, place):
        found = await the_run(session, service, place, request.execute_id, request.workflow_id)
    if not _waits(found):
        raise CommandFailed(
            ExitCode.WRONG_CALL,
            "Run '%(execute_id)s' is not waiting for an answer (status: %(status)s): only a run that "
            "asked a question can be resumed.",
            execute_id=found["execute_id"],
            status=session.translate(STATUSES[found["execute_status"]]),
        )
    return await _told(telling_of(session, embedded=False), lambda t: _resume(session, found, answer, request, t))


def _waits(record: ExecutionRecord) -> bool:
    """Whether the run asks something that an answer can be sent to."""
    asked = INTERRUPT.of(record) or {}
    return record["execute_status"] == "interrupted" and isinstance(asked.get("event_id"), str)


async def _resume(
    session: Session, record: ExecutionRecord, answer: str, request: ResumeRequest, telling: Telling
) -> tuple[Ending, Sequence[str]]:
    settings, account = account_that_answers(session.settings(), record, request.account, sandbox=request.sandbox)
    async with open_application(settings) as application:
        runner, key = application.runner, (record["workflow_id"], record["execute_id"])
        ending = Ending(*key)
        if record["run_mode"] == MODE_STREAM:
            frames = runner.stream_resumption(*key, answer, account_id=account)
            await _listen(frames, ending, telling)
        else:
            result = await runner.resume_workflow(*key, answer, account_id=account)
            if result is not None:
                ending.status, ending.error_message = result["status"], result["error_message"]
                ending.output, ending.streamed = result["output_data"], False
        ending.settle(await application.service.get_execution_detail(*key))
    return ending, _problems(application, ending)


def _problems(application: Application, ending: Ending) -> Sequence[str]:
    """Return the recorder's problems in the end, and set in *ending* whether its run still waits."""
    ending.waits = application.recorder.outbox.holds(ending.workflow_id, ending.execute_id)
    return application.recorder.problems()


async def fetch_run(
    session: Session, workflow_id: str, execute_id: str, account: str | None, *, sandbox: bool
) -> ExitCode:
    """Record a run that happened elsewhere, and show what became of it."""
    settings, name = account_named(session.settings(), account, sandbox=sandbox)
    async with open_application(settings) as application:
        record = await application.reconciler.fetch(workflow_id, execute_id, name)
    if session.as_json:
        session.output.document(record)
    else:
        ending = Ending(workflow_id, record["execute_id"], record["execute_status"])
        ending.record = cast("ExecutionRecord", record)
        telling_of(session, embedded=False).ended(ending, _problems(application, ending))
        session.output.remark(
            session.translate(
                "Recorded. `%(command)s` shows it.", command=session.command("show", record["execute_id"])
            )
        )
    return ExitCode.SUCCESS


async def run_workflow(session: Session, request: RunOptions) -> ExitCode:
    """Run a workflow, tell what it says, and end with what became of it.

    Ctrl-C and SIGTERM stop it; its record is then closed as interrupted.
    """
    if request.sandbox and request.account not in (None, "default"):
        raise CommandFailed(
            ExitCode.WRONG_CALL, "--sandbox and --account cannot be used together: the sandbox is the account default."
        )
    parameters = read_parameters(request.parameters_file, request.assignments)
    telling = telling_of(session, embedded=request.sandbox)
    return await _told(telling, lambda telling: _run(session, request, parameters, telling))


async def _told(telling: Telling, work: Work) -> ExitCode:
    """Do *work* with somebody who listens; Ctrl-C and SIGTERM end it as a stopped run."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine that runs has one
    with stops_call(task.cancel) as received:
        try:
            ending, problems = await work(telling)
        except asyncio.CancelledError:
            telling.stopped()
            return ExitCode.TERMINATED if signal.SIGTERM in received else ExitCode.STOPPED
    telling.ended(ending, problems)
    return _CODES.get(ending.status, ExitCode.WORKFLOW_FAILED)


async def _run(
    session: Session, request: RunOptions, parameters: dict[str, Any], telling: Telling
) -> tuple[Ending, Sequence[str]]:
    """Run the workflow; return the ending and the recorder's problems in the end."""
    # A free port for the sandbox: a server with its own may be running beside this.
    settings = session.settings(sandbox_port=0 if request.sandbox else None)
    if not request.sandbox:
        account_named(settings, request.account)
    try:
        async with open_application(settings, sandbox=request.sandbox) as application:
            run = _stream if request.streamed else _execute
            ending = await run(application, request, parameters, telling)
    except AddressError as error:
        raise unusable_address(error) from None
    return ending, _problems(application, ending)


async def _stream(
    application: Application, request: RunOptions, parameters: dict[str, Any], telling: Telling
) -> Ending:
    frames = application.runner.stream_workflow(
        request.workflow_id,
        parameters,
        request.bot_id,
        request.conversation_id,
        user_id=request.user_id,
        account_id=request.account or "default",
    )
    ending = Ending(request.workflow_id)
    await _listen(frames, ending, telling)
    ending.settle(await application.service.get_execution_detail(ending.workflow_id, ending.execute_id))
    return ending


async def _listen(frames: AsyncGenerator[dict[str, Any], None], ending: Ending, telling: Telling) -> None:
    async with aclosing(frames):
        async for frame in frames:
            ending.take(frame)
            try:
                telling.take(frame)
            except BrokenPipeError:
                # Whoever read our output has gone (`| head`); the run is still recorded to its end.
                telling.unheard()


async def _execute(
    application: Application, request: RunOptions, parameters: dict[str, Any], telling: Telling
) -> Ending:
    del telling  # there is nothing to tell before the end
    result = await application.runner.execute_workflow(
        request.workflow_id,
        parameters,
        request.bot_id,
        request.conversation_id,
        user_id=request.user_id,
        account_id=request.account or "default",
    )
    ending = Ending(request.workflow_id, result["execution_id"], result["status"], result["error_message"])
    ending.output, ending.streamed = result["output_data"], False
    ending.settle(await application.service.get_execution_detail(ending.workflow_id, ending.execute_id))
    return ending
