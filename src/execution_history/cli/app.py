"""The command line as a whole: its commands, their options and help, and the one way in."""

import os
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated, NoReturn

import typer
from typer import rich_utils
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from execution_history.cli import delete, show
from execution_history.cli import list as listing
from execution_history.cli.query_commands import add_questions
from execution_history.cli.session import PROGRAM, DebugOption, JsonOption, Session, StoreOption
from execution_history.presentation.terminal_translator import Speech, language_of

app = typer.Typer(
    name=PROGRAM,
    help="help.app",
    epilog="help.app.epilog",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)

WorkflowOption = Annotated[str | None, typer.Option("--workflow", metavar="ID", help="option.workflow")]
SandboxOption = Annotated[bool, typer.Option("--sandbox", help="option.ask_sandbox")]
ExecuteId = Annotated[str, typer.Argument(metavar="EXECUTE_ID", help="argument.execute_id")]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line with *arguments*, by default the process's own, and end the process with its exit code."""
    say = Speech(language_of(os.environ))
    command = typer.main.get_command(app)
    assert isinstance(command, TyperGroup)  # noqa: S101 - there are several commands
    _put_frame_into_words(say)
    _put_into_words(command, say)
    command.main(args=arguments, prog_name=PROGRAM, obj=Session(say))
    raise SystemExit(0)


def _put_frame_into_words(say: Speech) -> None:
    """Give what typer itself says around help texts in the language of *say*."""
    for name in ("ARGUMENTS_PANEL_TITLE", "OPTIONS_PANEL_TITLE", "COMMANDS_PANEL_TITLE", "ERRORS_PANEL_TITLE"):
        setattr(rich_utils, name, say.text(f"frame.{name.partition('_')[0].lower()}"))
    rich_utils.DEFAULT_STRING = say.text("frame.default")
    rich_utils.REQUIRED_LONG_STRING = say.text("frame.required")


def _put_into_words(command: TyperCommand | TyperGroup, say: Speech) -> None:
    """Replace the keys that stand for help texts with the texts in the language of *say*."""
    for name in ("help", "epilog", "short_help"):
        key = getattr(command, name, None)
        if isinstance(key, str) and say.knows(key):
            setattr(command, name, say.text(key))
    for parameter in (*command.params, command.get_help_option(typer.Context(command))):
        if isinstance(parameter, (TyperOption, TyperArgument)):
            _put_parameter_into_words(parameter, say)
    if isinstance(command, TyperGroup):
        for inner in command.commands.values():
            if isinstance(inner, (TyperCommand, TyperGroup)):
                _put_into_words(inner, say)


def _put_parameter_into_words(parameter: TyperOption | TyperArgument, say: Speech) -> None:
    for key in (parameter.help, f"frame.{parameter.name}"):
        if key and say.knows(key):
            parameter.help = say.text(key)
    panel = parameter.rich_help_panel
    if panel is not None and say.knows(panel):
        parameter.rich_help_panel = say.text(panel)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it so
    if wanted:
        typer.echo(f"{PROGRAM} {version(PROGRAM)}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    store: StoreOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="option.version")
    ] = False,
) -> None:
    Session.of(context, store, as_json=as_json, debug=debug)


@app.command("serve", help="help.serve")
def _serve(
    context: typer.Context,
    host: Annotated[
        str | None, typer.Option(help="option.host", show_default="EXECUTION_HISTORY_HOST, or 127.0.0.1")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="option.port", show_default="EXECUTION_HISTORY_PORT, or 8765")
    ] = None,
    sandbox: Annotated[bool, typer.Option("--sandbox", help="option.serve_sandbox")] = False,
    sandbox_port: Annotated[
        int | None, typer.Option(help="option.sandbox_port", show_default="EXECUTION_HISTORY_SANDBOX_PORT, or 8766")
    ] = None,
    access_log: Annotated[bool, typer.Option("--access-log", help="option.access_log")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    from execution_history.cli.serve import serve  # noqa: PLC0415 - a web framework that `list` need not wait for

    session = Session.of(context, store, as_json=as_json, debug=debug)
    session.perform(
        lambda: serve(session, host=host, port=port, sandbox=sandbox, sandbox_port=sandbox_port, access_log=access_log)
    )


@app.command("sandbox", help="help.sandbox")
def _sandbox(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="option.sandbox_host")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(help="option.port", show_default="EXECUTION_HISTORY_SANDBOX_PORT, or 8766")
    ] = None,
    token: Annotated[str, typer.Option(help="option.token")] = "sandbox-token",  # noqa: S107 - guards nothing
    studio: Annotated[bool, typer.Option("--studio", help="option.studio")] = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    from execution_history.cli.serve import serve_sandbox_alone  # noqa: PLC0415 - as above

    session = Session.of(context, as_json=as_json, debug=debug)
    session.perform(lambda: serve_sandbox_alone(session, host=host, port=port, token=token, studio=studio))


@app.command("run", help="help.run")
def _run(
    context: typer.Context,
    workflow_id: Annotated[str, typer.Argument(metavar="WORKFLOW_ID", help="argument.run_workflow")],
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="option.parameter")
    ] = None,
    parameters_file: Annotated[str | None, typer.Option(metavar="FILE|-", help="option.parameters_file")] = None,
    bot_id: Annotated[str | None, typer.Option(metavar="ID", help="option.bot_id")] = None,
    conversation_id: Annotated[str | None, typer.Option(metavar="ID", help="option.conversation_id")] = None,
    user_id: Annotated[str | None, typer.Option(metavar="ID", help="option.user_id")] = None,
    account: Annotated[str | None, typer.Option(metavar="NAME", help="option.account")] = None,
    sandbox: Annotated[bool, typer.Option("--sandbox", help="option.run_sandbox")] = False,
    no_stream: Annotated[bool, typer.Option("--no-stream", help="option.no_stream")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    from execution_history.cli.run import RunRequest, run_workflow  # noqa: PLC0415 - as above

    session = Session.of(context, store, as_json=as_json, debug=debug)
    request = RunRequest(
        workflow_id,
        assignments=parameter or [],
        parameters_file=parameters_file,
        bot_id=bot_id,
        conversation_id=conversation_id,
        user_id=user_id,
        account=account,
        sandbox=sandbox,
        streamed=not no_stream,
    )
    session.perform(lambda: run_workflow(session, request))


@app.command("resume", help="help.resume")
def _resume(
    context: typer.Context,
    execute_id: ExecuteId,
    answer: Annotated[str, typer.Argument(metavar="ANSWER|-", help="argument.answer")],
    workflow: WorkflowOption = None,
    account: Annotated[str | None, typer.Option(metavar="NAME", help="option.answerer")] = None,
    sandbox: SandboxOption = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    from execution_history.cli.run import ResumeRequest, resume_run  # noqa: PLC0415 - as above

    session = Session.of(context, store, as_json=as_json, debug=debug)
    session.perform(lambda: resume_run(session, ResumeRequest(execute_id, answer, workflow, account, sandbox)))


@app.command("fetch", help="help.fetch")
def _fetch(
    context: typer.Context,
    workflow_id: Annotated[str, typer.Argument(metavar="WORKFLOW_ID", help="argument.fetch_workflow")],
    execute_id: Annotated[str, typer.Argument(metavar="EXECUTE_ID", help="argument.fetch_execution")],
    account: Annotated[str | None, typer.Option(metavar="NAME", help="option.account")] = None,
    sandbox: SandboxOption = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    from execution_history.cli.run import fetch_run  # noqa: PLC0415 - as above

    session = Session.of(context, store, as_json=as_json, debug=debug)
    session.perform(lambda: fetch_run(session, workflow_id, execute_id, account, sandbox=sandbox))


add_questions(app)


@app.command("workflows", help="help.workflows")
def _workflows(
    context: typer.Context, store: StoreOption = None, as_json: JsonOption = False, debug: DebugOption = False
) -> None:
    session = Session.of(context, store, as_json=as_json, debug=debug)
    session.perform(lambda: listing.list_workflows(session))


@app.command("show", help="help.show")
def _show(
    context: typer.Context,
    execute_id: ExecuteId,
    workflow: WorkflowOption = None,
    full: Annotated[bool, typer.Option("--full", help="option.full")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    session = Session.of(context, store, as_json=as_json, debug=debug)
    session.perform(lambda: show.show_run(session, execute_id, workflow, whole=full))


@app.command("delete", help="help.delete")
def _delete(
    context: typer.Context,
    execute_id: ExecuteId,
    workflow: WorkflowOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    session = Session.of(context, store, as_json=as_json, debug=debug)
    session.perform(lambda: delete.delete_run(session, execute_id, workflow))


@app.command("clear", help="help.clear")
def _clear(
    context: typer.Context,
    workflow_id: Annotated[str, typer.Argument(metavar="WORKFLOW_ID", help="argument.clear_workflow")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="option.yes")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    session = Session.of(context, store, as_json=as_json, debug=debug)
    session.perform(lambda: delete.clear_workflow(session, workflow_id, unasked=yes))
