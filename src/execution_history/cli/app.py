"""The command line as a whole: its commands, the options ahead of them, and the one way in."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from execution_history.cli.help_texts import APP, epilog_of, help_of
from execution_history.cli.options import DebugOption, JsonOption, StoreOption, with_flag_values
from execution_history.cli.session import ExitCode, Session
from execution_history.cli.usage_errors import TranslatedCommand, TranslatedGroup, translate_parameters
from execution_history.errors import N_
from execution_history.presentation.command_line import PROGRAM
from execution_history.presentation.translator import LANGUAGES, Languages, Translator

COMMANDS: Final = {
    "serve": "serve.serve",
    "sandbox": "serve.sandbox",
    "run": "run.run",
    "resume": "run.resume",
    "fetch": "run.fetch",
    "overview": "overview.overview",
    "list": "list.list_runs",
    "search": "search.search",
    "follow": "follow.follow",
    "stats": "stats.stats",
    "diff": "diff.diff",
    "prices": "prices.prices",
    "reprice": "prices.reprice",
    "tag": "tag.tag",
    "export": "transfer.export_runs",
    "import": "transfer.import_runs",
    "copy": "copy_history.copy_history",
    "mirror": "mirror.mirror",
    "doctor": "doctor.doctor",
    "backup": "backup.backup",
    "restore": "restore.restore",
    "archive": "archive.archive",
    "views": "views.views",
    "workflows": "list.list_workflows",
    "name": "name.name",
    "show": "show.show",
    "redact": "redact.redact",
    "delete": "delete.delete",
    "changes": "changes.changes",
    "clear": "delete.clear",
    "keys": "keys.keys",
    "audit": "audit.audit",
    "bin": "bin.bin_",
    "retention": "retention.retention",
    "prune": "retention.prune",
}
"""The module and function of each command, in the order of the help."""

ALIASES: Final = {"rename": "name"}
"""Other words for commands, which the help does not list."""

_app = typer.Typer(name=PROGRAM, cls=TranslatedGroup, no_args_is_help=True, pretty_exceptions_enable=False)


class _Command(TyperCommand):
    """A command whose module is imported when it is called; before that it has a name and a help text."""

    def __init__(self, name: str, translate: Translator) -> None:
        meant = ALIASES.get(name, name)
        super().__init__(name, help=help_of(translate, meant), hidden=meant != name)
        self._translate = translate

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:  # noqa: ANN401 - of typer's own classes
        """Read the rest of the call, in a context of the imported command."""
        module, _, function = COMMANDS[ALIASES.get(str(self.name), str(self.name))].partition(".")
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        alone.command(self.name, cls=TranslatedCommand)(
            getattr(import_module(f"execution_history.cli.{module}"), function)
        )
        command = typer.main.get_command(alone)
        command.help = self.help
        translate_parameters(command, self._translate)
        return command.make_context(info_name, with_flag_values(args), parent, **extra)


def main(arguments: Sequence[str] | None = None, languages: Languages = LANGUAGES) -> NoReturn:
    """Run the command line with *arguments*, by default the process's own, and end the process with its exit code."""
    _open_missing_streams()
    translate = languages.of_environment(os.environ)
    group = typer.main.get_command(_app)
    assert isinstance(group, TyperGroup)  # noqa: S101 - it has options of its own
    group.help, group.epilog = translate(APP), epilog_of(translate)
    translate_parameters(group, translate)
    for name in (*COMMANDS, *ALIASES):
        group.add_command(_Command(name, translate))
    session = Session(translate)
    try:
        group.main(args=arguments, prog_name=PROGRAM, obj=session)
    except BrokenPipeError:  # of a help text; commands end by themselves
        session.output.discard_answers()
        raise SystemExit(ExitCode.BROKEN_PIPE) from None
    raise SystemExit(0)


def _open_missing_streams() -> None:
    """Replace the standard streams that the caller has closed (``>&-``, a daemon) by ones that lead nowhere."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - open until the end


def _print_version(requested: bool) -> None:  # noqa: FBT001 - typer calls it so
    if requested:
        from importlib.metadata import version  # noqa: PLC0415 - a parser of e-mails, for nothing but this option

        typer.echo(f"{PROGRAM} {version(PROGRAM)}")
        raise typer.Exit


@_app.callback()
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
