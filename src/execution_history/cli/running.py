"""The command ``run``: a workflow run from the terminal, recorded."""

import asyncio
import signal
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from execution_history.cli.exits import CommandFailed, ExitCode
from execution_history.cli.parameters import read_parameters
from execution_history.cli.session import Session
from execution_history.cli.signals import stops_call
from execution_history.cli.telling import Ending, Telling, telling_of
from execution_history.sandbox import AddressError
from execution_history.wiring import Application, open_application

_CODES: Final = {
    "success": ExitCode.SUCCESS,
    "running": ExitCode.SUCCESS,
    "failed": ExitCode.WORKFLOW_FAILED,
    "interrupted": ExitCode.INTERRUPTED,
}


@dataclass(frozen=True, slots=True)
class RunRequest:
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


async def run_workflow(session: Session, request: RunRequest) -> ExitCode:
    """Run a workflow, tell what it says, and end with what became of it.

    Ctrl-C and SIGTERM stop it; its record is then closed as interrupted.
    """
    if request.sandbox and request.account not in (None, "default"):
        raise CommandFailed(session.say("error.sandbox_account"), ExitCode.WRONG_CALL)
    parameters = read_parameters(session.say, request.parameters_file, request.assignments)
    telling = telling_of(session, embedded=request.sandbox)
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine that runs has one
    with stops_call(task.cancel) as received:
        try:
            ending, problems = await _run(session, request, parameters, telling)
        except asyncio.CancelledError:
            telling.stopped()
            return ExitCode.TERMINATED if signal.SIGTERM in received else ExitCode.STOPPED
    telling.ended(ending, problems)
    return _CODES.get(ending.status, ExitCode.WORKFLOW_FAILED)


async def _run(
    session: Session, request: RunRequest, parameters: dict[str, Any], telling: Telling
) -> tuple[Ending, Sequence[str]]:
    """The ending, and what the recorder could not write even in the end."""
    # A free port for the sandbox: a server with its own may be running beside this.
    settings = session.settings(sandbox_port=0 if request.sandbox else None)
    try:
        async with open_application(settings, sandbox=request.sandbox) as application:
            run = _stream if request.streamed else _execute
            ending = await run(application, request, parameters, telling)
    except AddressError as error:
        raise CommandFailed(str(error), ExitCode.WRONG_CALL) from None
    return ending, application.recorder.problems()


async def _stream(
    application: Application, request: RunRequest, parameters: dict[str, Any], telling: Telling
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
    async with aclosing(frames):
        async for frame in frames:
            ending.take(frame)
            try:
                telling.take(frame)
            except BrokenPipeError:
                # Whoever read our output has gone (`| head`); the run is still recorded to its end.
                telling.unheard()
    ending.record = await application.service.get_execution_detail(ending.workflow_id, ending.execute_id)
    return ending


async def _execute(
    application: Application, request: RunRequest, parameters: dict[str, Any], telling: Telling
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
    ending.record = await application.service.get_execution_detail(ending.workflow_id, ending.execute_id)
    return ending
