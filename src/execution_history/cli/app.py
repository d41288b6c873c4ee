"""The command line as a whole: its commands, their options and help, and the one way in."""

import os
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from execution_history.cli import delete, show
from execution_history.cli import list as listing
from execution_history.cli.help_texts import APP, epilog_of, help_of
from execution_history.cli.options import DebugOption, ExecuteId, JsonOption, StoreOption, WorkflowOption
from execution_history.cli.query_commands import add_questions
from execution_history.cli.session import PROGRAM, Session
from execution_history.cli.usage_errors import OPTIONS_OF_TYPER, TranslatedGroup, translate_frame
from execution_history.errors import N_
from execution_history.presentation.translator import LANGUAGES, Languages, Translator

app = typer.Typer(
    name=PROGRAM,
    cls=TranslatedGroup,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)

SandboxOption = Annotated[
    bool, typer.Option("--sandbox", help=N_("Call the sandbox that `serve --sandbox` runs, as the account default."))
]


def main(arguments: Sequence[str] | None = None, languages: Languages = LANGUAGES) -> NoReturn:
    """Run the command line with *arguments*, by default the process's own, and end the process with its exit code."""
    translate = languages.of_environment(os.environ)
    command = typer.main.get_command(app)
    assert isinstance(command, TyperGroup)  # noqa: S101 - there are several commands
    translate_frame(translate)
    command.help, command.epilog = translate(APP), epilog_of(translate)
    _translate_parameters(command, translate)
    for name, inner in command.commands.items():
        inner.help = help_of(translate, name)
        _translate_parameters(inner, translate)
    command.main(args=arguments, prog_name=PROGRAM, obj=Session(translate))
    raise SystemExit(0)


def _translate_parameters(command: Any, translate: Translator) -> None:  # noqa: ANN401 - of typer's own classes
    """Translate what the options and arguments of a *command* are for."""
    for parameter in (*command.params, command.get_help_option(typer.Context(command))):
        text = OPTIONS_OF_TYPER.get(parameter.name, parameter.help)
        parameter.help = translate(text) if text else text
        if isinstance(parameter.show_default, str):
            parameter.show_default = translate(parameter.show_default)
        if parameter.rich_help_panel is not None:
            parameter.rich_help_panel = translate(parameter.rich_help_panel)


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
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help=N_("Show the version and exit."))
    ] = False,
) -> None:
    Session.of(context, store, as_json=as_json, debug=debug)


@app.command("serve")
def _serve(
    context: typer.Context,
    host: Annotated[
        str | None,
        typer.Option(help=N_("The address to listen on."), show_default=N_("EXECUTION_HISTORY_HOST, or 127.0.0.1")),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            help=N_("The port to listen on; 0 picks a free one."), show_default=N_("EXECUTION_HISTORY_PORT, or 8765")
        ),
    ] = None,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help=N_("Also start the sandbox upstream and let the account default call it."))
    ] = False,
    sandbox_port: Annotated[
        int | None,
        typer.Option(
            help=N_("The sandbox's port; 0 picks a free one."),
            show_default=N_("EXECUTION_HISTORY_SANDBOX_PORT, or 8766"),
        ),
    ] = None,
    access_log: Annotated[
        bool, typer.Option("--access-log", help=N_("Log every request to the standard error."))
    ] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    from execution_history.cli.serve import serve  # noqa: PLC0415 - a web framework that `list` need not wait for

    session = Session.of(context, store, as_json=as_json, debug=debug)
    session.perform(
        lambda: serve(session, host=host, port=port, sandbox=sandbox, sandbox_port=sandbox_port, access_log=access_log)
    )


@app.command("sandbox")
def _sandbox(
    context: typer.Context,
    host: Annotated[str, typer.Option(help=N_("The address to listen on."))] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            help=N_("The port to listen on; 0 picks a free one."),
            show_default=N_("EXECUTION_HISTORY_SANDBOX_PORT, or 8766"),
        ),
    ] = None,
    token: Annotated[str, typer.Option(help=N_("The bearer token that the sandbox expects."))] = "sandbox-token",  # noqa: S107 - guards nothing
    studio: Annotated[
        bool,
        typer.Option(
            "--studio",
            help=N_("Answer as Coze Studio, the open-source edition, does: other paths, numeric ids, fewer fields."),
        ),
    ] = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    from execution_history.cli.serve import serve_sandbox_alone  # noqa: PLC0415 - as above

    session = Session.of(context, as_json=as_json, debug=debug)
    session.perform(lambda: serve_sandbox_alone(session, host=host, port=port, token=token, studio=studio))


@app.command("run")
def _run(
    context: typer.Context,
    workflow_id: Annotated[str, typer.Argument(metavar="WORKFLOW_ID", help=N_("The workflow to run."))],
    parameter: Annotated[
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
    ] = None,
    parameters_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|-", help=N_("The inputs as one JSON object; - reads the standard input. -p overrides it.")
        ),
    ] = None,
    bot_id: Annotated[str | None, typer.Option(metavar="ID", help=N_("The bot, where the workflow needs one."))] = None,
    conversation_id: Annotated[
        str | None, typer.Option(metavar="ID", help=N_("The conversation that the run belongs to."))
    ] = None,
    user_id: Annotated[str | None, typer.Option(metavar="ID", help=N_("The end user, passed on to Coze."))] = None,
    account: Annotated[str | None, typer.Option(metavar="NAME", help=N_("The configured Coze account."))] = None,
    sandbox: Annotated[
        bool,
        typer.Option("--sandbox", help=N_("Run in an embedded sandbox, without a Coze account and without a server.")),
    ] = False,
    no_stream: Annotated[
        bool, typer.Option("--no-stream", help=N_("Wait for the result instead of streaming it."))
    ] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    from execution_history.cli.run import RunOptions, run_workflow  # noqa: PLC0415 - as above

    session = Session.of(context, store, as_json=as_json, debug=debug)
    request = RunOptions(
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


@app.command("resume")
def _resume(
    context: typer.Context,
    execute_id: ExecuteId,
    answer: Annotated[
        str,
        typer.Argument(
            metavar="ANSWER|-",
            help=N_(
                "The answer: a text, or JSON where the question asks for several fields; - reads it from "
                "the standard input."
            ),
        ),
    ],
    workflow: WorkflowOption = None,
    account: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help=N_("The Coze account that answers; by default the one that started the run.")
        ),
    ] = None,
    sandbox: SandboxOption = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    from execution_history.cli.run import ResumeRequest, resume_run  # noqa: PLC0415 - as above

    session = Session.of(context, store, as_json=as_json, debug=debug)
    session.perform(lambda: resume_run(session, ResumeRequest(execute_id, answer, workflow, account, sandbox)))


@app.command("fetch")
def _fetch(
    context: typer.Context,
    workflow_id: Annotated[str, typer.Argument(metavar="WORKFLOW_ID", help=N_("The workflow."))],
    execute_id: Annotated[
        str, typer.Argument(metavar="EXECUTE_ID", help=N_("The run's id at Coze, as its debug page shows it."))
    ],
    account: Annotated[str | None, typer.Option(metavar="NAME", help=N_("The configured Coze account."))] = None,
    sandbox: SandboxOption = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    from execution_history.cli.run import fetch_run  # noqa: PLC0415 - as above

    session = Session.of(context, store, as_json=as_json, debug=debug)
    session.perform(lambda: fetch_run(session, workflow_id, execute_id, account, sandbox=sandbox))


add_questions(app)


@app.command("workflows")
def _workflows(
    context: typer.Context, store: StoreOption = None, as_json: JsonOption = False, debug: DebugOption = False
) -> None:
    session = Session.of(context, store, as_json=as_json, debug=debug)
    session.perform(lambda: listing.list_workflows(session))


@app.command("show")
def _show(
    context: typer.Context,
    execute_id: ExecuteId,
    workflow: WorkflowOption = None,
    full: Annotated[
        bool, typer.Option("--full", help=N_("Show inputs, outputs and node texts in full, however long."))
    ] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    session = Session.of(context, store, as_json=as_json, debug=debug)
    session.perform(lambda: show.show_run(session, execute_id, workflow, whole=full))


@app.command("delete")
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


@app.command("clear")
def _clear(
    context: typer.Context,
    workflow_id: Annotated[
        str, typer.Argument(metavar="WORKFLOW_ID", help=N_("The workflow whose history is deleted."))
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help=N_("Delete without asking."))] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    session = Session.of(context, store, as_json=as_json, debug=debug)
    session.perform(lambda: delete.clear_workflow(session, workflow_id, unasked=yes))
