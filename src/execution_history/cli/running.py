"""The command ``run``: a workflow run from the terminal, recorded."""

import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.text import Text

from execution_history.cli import wording
from execution_history.cli.session import AsJson, Exit, Store, fail, notes, run, settings_of, write_line
from execution_history.coze import CozeRunner
from execution_history.service import ExecutionHistoryService

Parameter = Annotated[
    list[str] | None,
    typer.Option(
        "--parameter",
        "-p",
        metavar="NAME=VALUE",
        help="An input. VALUE is JSON where it reads as JSON (-p n=3), otherwise text; -p 'n=\"3\"' forces text.",
    ),
]
ParametersFile = Annotated[
    str | None, typer.Option("--parameters-file", metavar="FILE|-", help="The inputs as one JSON object.")
]
BotId = Annotated[str | None, typer.Option(help="The bot, where the workflow needs one.")]
ConversationId = Annotated[str | None, typer.Option(help="The conversation the run belongs to.")]
UserId = Annotated[str | None, typer.Option(help="The end user, passed on to Coze.")]
Account = Annotated[str, typer.Option(help="The configured Coze account.")]


def run_workflow(
    workflow_id: Annotated[str, typer.Argument(help="The workflow to run.")],
    parameter: Parameter = None,
    parameters_file: ParametersFile = None,
    bot_id: BotId = None,
    conversation_id: ConversationId = None,
    user_id: UserId = None,
    account: Account = "default",
    sandbox: Annotated[bool, typer.Option("--sandbox", help="Run against an embedded sandbox, without Coze.")] = False,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Run a workflow, streaming its answer to the terminal, and record it.

    \b
    Examples:
      execution-history run 7000000000000000002 --sandbox
      execution-history run 7321 -p city=Paris -p days=3
    """
    inputs = _inputs(parameter or [], parameters_file)

    async def work() -> dict[str, Any] | None:
        async with _opened(store, sandbox=sandbox) as (service, runner):
            frames = runner.stream_workflow(
                workflow_id, inputs, bot_id, conversation_id, user_id=user_id, account_id=account
            )
            execution_id = ""
            async with aclosing(frames):
                async for frame in frames:
                    if frame["event"] == "workflow_started":
                        execution_id = frame["data"]["execution_id"]
                    if as_json:
                        write_line(orjson.dumps(frame))
                    else:
                        _print_frame(frame)
            found = await service.get_execution_detail(workflow_id, execution_id)
            return None if found is None else dict(found)

    record = run(work)
    if record is None:
        fail("The run could not be recorded; see the messages above.", Exit.STORE_TROUBLE)
    if not as_json:
        _print_end(record)
    raise typer.Exit(
        {"success": Exit.OK, "interrupted": Exit.RUN_INTERRUPTED}.get(record["execute_status"], Exit.RUN_FAILED)
    )


@asynccontextmanager
async def _opened(store: str | None, *, sandbox: bool) -> AsyncIterator[tuple[ExecutionHistoryService, CozeRunner]]:
    # A free port: a server with its own sandbox may be running beside this.
    from execution_history.wiring import open_application  # noqa: PLC0415 - `list` must not wait for this import

    settings = settings_of(store, sandbox_port=0 if sandbox else None)
    async with open_application(settings, sandbox=sandbox) as application:
        yield application.service, application.runner


def _inputs(parameters: list[str], file: str | None) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    if file is not None:
        try:
            content = orjson.loads(sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes())
        except (OSError, ValueError) as error:
            fail(f"--parameters-file {file} cannot be read as JSON: {error}.", Exit.WRONG_CALL)
        if not isinstance(content, dict):
            fail(f"--parameters-file {file} holds no JSON object of inputs.", Exit.WRONG_CALL)
        inputs.update(content)
    for parameter in parameters:
        name, separator, value = parameter.partition("=")
        if not separator or not name:
            fail(f"-p {parameter!r} is not NAME=VALUE.", Exit.WRONG_CALL)
        inputs[name] = _value(value)
    return inputs


def _value(text: str) -> object:
    try:
        return orjson.loads(text.encode("utf-8", "replace"))
    except ValueError:
        return text


_last_node: list[str] = []


def _print_frame(frame: dict[str, Any]) -> None:
    message = frame["data"].get("message") if frame["event"] == "data" else None
    if not isinstance(message, dict):
        return
    node = str(message.get("node_title") or "")
    if _last_node != [node]:
        if _last_node:
            sys.stdout.write("\n")
        sys.stdout.flush()
        notes.print(Text(wording.harmless(node), style="dim"))
        _last_node[:] = [node]
    sys.stdout.write(wording.harmless(str(message.get("content") or "")))
    sys.stdout.flush()


def _print_end(record: dict[str, Any]) -> None:
    if _last_node:
        sys.stdout.write("\n")
        sys.stdout.flush()
        _last_node.clear()
    line = wording.status_text(record["execute_status"])
    counted = wording.tokens(record)
    line.append(f"  {record['execute_id']}  {wording.took(record)}" + (f"  {counted} tokens" if counted else ""))
    notes.print(line)
    if record["error_message"]:
        notes.print(Text(wording.harmless(str(record["error_message"]))))
    interrupt = record["metadata"].get("interrupt")
    if record["execute_status"] == "interrupted" and isinstance(interrupt, dict):
        notes.print(Text(f"The workflow waits for an answer: {wording.one_line(interrupt.get('data'))}"))
