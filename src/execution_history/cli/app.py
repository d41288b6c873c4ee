"""The command line as a whole: its commands, the options ahead of them, and the one way in."""

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer
from typer.core import TyperGroup

from execution_history.cli import delete, diff, follow, run, search, serve, show, stats, tag, transfer
from execution_history.cli import list as listing
from execution_history.cli.help_texts import APP, epilog_of, help_of
from execution_history.cli.options import DebugOption, JsonOption, StoreOption
from execution_history.cli.session import PROGRAM, Session
from execution_history.cli.usage_errors import OPTIONS_OF_TYPER, TranslatedGroup, translate_frame
from execution_history.errors import N_
from execution_history.presentation.translator import LANGUAGES, Languages, Translator

_COMMANDS: Final = {
    "serve": serve.serve,
    "sandbox": serve.sandbox,
    "run": run.run,
    "resume": run.resume,
    "fetch": run.fetch,
    "list": listing.list_runs,
    "search": search.search,
    "follow": follow.follow,
    "stats": stats.stats,
    "diff": diff.diff,
    "tag": tag.tag,
    "export": transfer.export_runs,
    "import": transfer.import_runs,
    "workflows": listing.list_workflows,
    "show": show.show,
    "delete": delete.delete,
    "clear": delete.clear,
}
"""In the order of the help."""

app = typer.Typer(
    name=PROGRAM, cls=TranslatedGroup, no_args_is_help=True, rich_markup_mode="rich", pretty_exceptions_enable=False
)
for _name, _function in _COMMANDS.items():
    app.command(_name)(_function)


def main(arguments: Sequence[str] | None = None, languages: Languages = LANGUAGES) -> NoReturn:
    """Run the command line with *arguments*, by default the process's own, and end the process with its exit code."""
    _open_missing_streams()
    translate = languages.of_environment(os.environ)
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)  # noqa: S101 - there are several commands
    translate_frame(translate)
    group.help, group.epilog = translate(APP), epilog_of(translate)
    _translate_parameters(group, translate)
    for name, inner in group.commands.items():
        inner.help = help_of(translate, name)
        _translate_parameters(inner, translate)
    group.main(args=arguments, prog_name=PROGRAM, obj=Session(translate))
    raise SystemExit(0)


def _open_missing_streams() -> None:
    """Replace the standard streams that the caller has closed (``>&-``, a daemon) by ones that lead nowhere."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - open until the end


def _translate_parameters(command: Any, translate: Translator) -> None:  # noqa: ANN401 - of typer's own classes
    """Translate the help texts of the options and arguments of a *command*."""
    for parameter in (*command.params, command.get_help_option(typer.Context(command))):
        text = OPTIONS_OF_TYPER.get(parameter.name, parameter.help)
        parameter.help = translate(text) if text else text
        if isinstance(parameter.show_default, str):
            parameter.show_default = translate(parameter.show_default)
        if parameter.rich_help_panel is not None:
            parameter.rich_help_panel = translate(parameter.rich_help_panel)


def _print_version(requested: bool) -> None:  # noqa: FBT001 - typer calls it so
    if requested:
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
