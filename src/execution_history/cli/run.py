"""The commands ``run``, ``resume`` and ``fetch``: workflows run from the terminal, recorded."""

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

import typer

from execution_history.cli.completion import complete_workflow
from execution_history.cli.open_history import open_history
from execution_history.cli.options import ExecuteId, WorkflowOption, command
from execution_history.cli.run_reporter import Ending, RunReporter
from execution_history.cli.session import CommandFailed, ExitCode, Session
from execution_history.cli.signals import stops_call
from execution_history.errors import N_
from execution_history.presentation.phrases import STATUSES
from execution_history.records.charset import BYTE_ORDER_MARK
from execution_history.records.depth import WRITABLE, cut
from execution_history.records.json_text import read_json
from execution_history.records.record import ExecutionRecord
from execution_history.settings import Settings

if TYPE_CHECKING:
    from execution_history.application import Application
    from execution_history.coze import CozeRunner

Start = Callable[["CozeRunner"], AsyncGenerator[dict[str, Any], None] | Awaitable[Any]]
"""Starts a run, which is streamed as frames or waited for as a result."""

_LEVELS: Final = WRITABLE - 1
"""Levels of lists and objects that can be sent, the object of the parameters being the first; the request is around."""

_CODES: Final = {
    "success": ExitCode.SUCCESS,
    "running": ExitCode.SUCCESS,
    "failed": ExitCode.WORKFLOW_FAILED,
    "interrupted": ExitCode.INTERRUPTED,
}

_Workflow = Annotated[
    str,
    typer.Argument(
        metavar="WORKFLOW", autocompletion=complete_workflow, help=N_("The workflow to run, by its id or its name.")
    ),
]
_Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "--parameter",
        "-p",
        metavar="NAME=VALUE",
        help=N_(
            "An input; repeatable. VALUE is JSON where it parses as JSON (n=3, on=true, list=[1,2]) "
            "and text otherwise; n='\"3\"' forces text."
        ),
    ),
]
_ParametersFile = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|-", help=N_("The inputs as one JSON object; - reads the standard input. -p overrides it.")
    ),
]
_Bot = Annotated[str | None, typer.Option(metavar="ID", help=N_("The bot, where the workflow needs one."))]
_Conversation = Annotated[str | None, typer.Option(metavar="ID", help=N_("The conversation that the run belongs to."))]
_User = Annotated[str | None, typer.Option(metavar="ID", help=N_("The end user, passed on to Coze."))]
_Account = Annotated[str | None, typer.Option(metavar="NAME", help=N_("The configured Coze account."))]
_AnsweringAccount = Annotated[
    str | None,
    typer.Option(metavar="NAME", help=N_("The Coze account that answers; by default the one that started the run.")),
]
_EmbeddedSandbox = Annotated[
    bool, typer.Option("--sandbox", help=N_("Run in an embedded sandbox, without a Coze account and without a server."))
]
_ServedSandbox = Annotated[
    bool, typer.Option("--sandbox", help=N_("Use the sandbox started by `serve --sandbox` as the account default."))
]
_NoStream = Annotated[bool, typer.Option("--no-stream", help=N_("Wait for the result instead of streaming it."))]
_Answer = Annotated[
    str,
    typer.Argument(
        metavar="ANSWER|-",
        help=N_(
            "The answer: a text, or JSON where the question asks for several fields; - reads it from "
            "the standard input."
        ),
    ),
]


@command()
async def run(
    session: Session,
    workflow_id: _Workflow,
    parameter: _Parameters = None,
    parameters_file: _ParametersFile = None,
    bot_id: _Bot = None,
    conversation_id: _Conversation = None,
    user_id: _User = None,
    account: _Account = None,
    sandbox: _EmbeddedSandbox = False,
    no_stream: _NoStream = False,
) -> ExitCode:
    """Run a workflow, print its messages, and exit with the code for its status."""
    # What calls Coze is slow to import, and other commands need not wait for it.
    from execution_history.cli.accounts import account_named, account_of_sandbox  # noqa: PLC0415

    inputs = read_parameters(parameters_file, parameter or [])
    # A free port for the sandbox: a server with its own may be running beside this.
    settings = session.settings(sandbox_port=0 if sandbox else None)
    name = account_of_sandbox(account) if sandbox else account_named(settings, account)[1]
    async with open_history(session) as history:
        workflow_id = await history.workflow(workflow_id)

    def start(runner: "CozeRunner") -> Any:  # noqa: ANN401 - frames or a result
        call = runner.execute_workflow if no_stream else runner.stream_workflow
        return call(workflow_id, inputs, bot_id, conversation_id, user_id=user_id, account_id=name)

    return await _report(session, settings, Ending(workflow_id), start, sandbox=sandbox)


@command()
async def resume(
    session: Session,
    execute_id: ExecuteId,
    answer: _Answer,
    workflow: WorkflowOption = None,
    account: _AnsweringAccount = None,
    sandbox: _ServedSandbox = False,
) -> ExitCode:
    """Answer the question of an interrupted run, print what follows, and exit with the code for its status."""
    from execution_history.cli.accounts import account_that_answers  # noqa: PLC0415 - as above
    from execution_history.coze.protocol.answers import answering_request  # noqa: PLC0415 - as above

    text = sys.stdin.read() if answer == "-" else answer
    async with open_history(session) as history:
        record = await history.run(execute_id, workflow)
    request = answering_request(record, text)
    if request is None:
        raise CommandFailed(
            "Run '%(execute_id)s' is not waiting for an answer (status: %(status)s): only a run that "
            "asked a question can be resumed.",
            execute_id=record["execute_id"],
            status=session.translate(STATUSES[record["execute_status"]]),
        )
    settings, acting = account_that_answers(session.settings(), record, account, sandbox=sandbox)
    key = (record["workflow_id"], record["execute_id"])

    def start(runner: "CozeRunner") -> Any:  # noqa: ANN401 - frames or a result
        send = runner.stream_resumption if request.kind == "stream_resume" else runner.resume_workflow
        return send(*key, text, account_id=acting)

    return await _report(session, settings, Ending(*key), start)


@command()
async def fetch(
    session: Session,
    workflow_id: Annotated[
        str,
        typer.Argument(
            metavar="WORKFLOW", autocompletion=complete_workflow, help=N_("The workflow, by its id or its name.")
        ),
    ],
    execute_id: Annotated[
        str, typer.Argument(metavar="EXECUTE_ID", help=N_("The run's id at Coze, as its debug page shows it."))
    ],
    account: _Account = None,
    sandbox: _ServedSandbox = False,
) -> None:
    """Record a run that happened elsewhere, and show how it ended."""
    from execution_history.cli.accounts import account_named, opened  # noqa: PLC0415 - as above

    settings, name = account_named(session.settings(), account, sandbox=sandbox)
    async with opened(settings) as application:
        workflow_id = await application.service.workflow_named(workflow_id)
        record = cast("ExecutionRecord", await application.reconciler.fetch(workflow_id, execute_id, name))
    if session.as_json:
        session.output.document(record)
        return
    ending = Ending(workflow_id, record["execute_id"], record["execute_status"], record=record)
    _end(RunReporter(session), ending, application)
    shown = session.command("show", record["execute_id"])
    session.notice("Recorded. `%(command)s` shows it.", command=shown)


async def _report(
    session: Session, settings: Settings, ending: Ending, start: Start, *, sandbox: bool = False
) -> ExitCode:
    """Report on the run that *start* starts, and return the code for its status; Ctrl-C and SIGTERM stop it."""
    from execution_history.cli.accounts import opened  # noqa: PLC0415 - as above

    reporter, task = RunReporter(session, embedded=sandbox), asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine that runs has one
    with stops_call(task.cancel) as received:
        try:
            async with opened(settings, sandbox=sandbox) as application:
                started = start(application.runner)
                if isinstance(started, AsyncGenerator):
                    await _report_frames(session, started, ending, reporter)
                else:
                    ending.update_from_result(await started)
                ending.settle(await application.service.get_execution_detail(ending.workflow_id, ending.execute_id))
        except asyncio.CancelledError:
            reporter.stopped(ending.execute_id)
            return ExitCode.TERMINATED if signal.SIGTERM in received else ExitCode.STOPPED
    _end(reporter, ending, application)
    return _CODES.get(ending.status, ExitCode.WORKFLOW_FAILED)


async def _report_frames(
    session: Session, frames: AsyncGenerator[dict[str, Any], None], ending: Ending, reporter: RunReporter
) -> None:
    async with aclosing(frames):
        async for frame in frames:
            ending.update(frame)
            try:
                reporter.report(frame)
            except BrokenPipeError:
                # Whoever read our output has gone (`| head`); the run is still recorded to its end.
                session.output.discard_answers()


def _end(reporter: RunReporter, ending: Ending, application: "Application") -> None:
    """Report the end, with the recorder's problems once it is closed."""
    ending.waits = application.recorder.outbox.holds(ending.workflow_id, ending.execute_id)
    rule = application.recorder.rules.recording_rule(ending.workflow_id)
    ending.is_left_out = not rule.is_kept(ending.execute_id)
    reporter.ended(ending, application.recorder.problems())


def read_parameters(file: str | None, assignments: Iterable[str]) -> dict[str, Any]:
    """Return the parameters in *file* (``-`` is the standard input), then those of the *assignments* over them.

    An assignment is ``NAME=VALUE``. VALUE is JSON where it reads as JSON, ``true``, ``null`` and numbers included,
    and otherwise text; text that would read as JSON is passed as a JSON string, with its quotes.

    Raises:
        CommandFailed: an assignment has no name, the file cannot be read or is not a JSON object, or a value is nested
            too deeply to be sent as it is.
    """
    parameters = {} if file is None else _from_file(file)
    for assignment in assignments:
        name, separator, value = assignment.partition("=")
        if not (separator and name):
            raise CommandFailed("The parameter '%(text)s' is not NAME=VALUE.", text=assignment)
        parameters[name] = _value(value)
    return parameters


def _value(text: str) -> Any:  # noqa: ANN401 - JSON is any of six things
    try:
        return _decoded(text.encode("utf-8", "surrogateescape"), _LEVELS - 1)
    except ValueError:
        return text


def _decoded(document: bytes, levels: int) -> Any:  # noqa: ANN401 - JSON is any of six things
    """Return the value of a JSON document.

    Raises:
        CommandFailed: it has more than *levels* levels.
        ValueError: it is not valid JSON.
    """
    value = read_json(document)
    if cut(document, levels) is not document:
        raise CommandFailed(
            "The parameters are nested too deeply to be sent: at most %(most)s levels of lists and objects.",
            most=_LEVELS,
        )
    return value


def _from_file(file: str) -> dict[str, Any]:
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CommandFailed(
            "The parameters file %(path)s cannot be read: %(reason)s.", path=file, reason=reason
        ) from None
    try:
        content = _decoded(data.removeprefix(BYTE_ORDER_MARK), _LEVELS)
    except ValueError:
        raise CommandFailed("The parameters file %(path)s is not JSON.", path=file) from None
    if not isinstance(content, dict):
        raise CommandFailed("The parameters file %(path)s holds no JSON object of names and values.", path=file)
    return content
