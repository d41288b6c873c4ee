"""typer's own sentences about wrong calls, in the language of the command line, and commands that have our help."""

from collections.abc import Callable
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from execution_history.cli.help_page import print_help
from execution_history.errors import N_
from execution_history.presentation.translator import Translator

_FRAME: Final = {
    "ERRORS_PANEL_TITLE": N_("Error"),
    "ABORTED_TEXT": N_("Aborted."),
    "RICH_HELP": N_("Try [blue]'{command_path} {help_option}'[/] for help."),
}
"""typer's sentences around errors, by the names of its constants."""

_OPTIONS: Final = {
    "help": N_("Show this message and exit."),
    "install_completion": N_("Install completion for the current shell."),
    "show_completion": N_("Show the completion script for the current shell."),
}
"""The help texts of the options that typer adds to ours, by name."""

_USAGE: Final = N_("Usage: ")
_Context: Final[Any] = TyperGroup.context_class
_Formatter: Final[Any] = _Context.formatter_class


class TranslatedCommand(TyperCommand):
    """A command whose help is in the language of the session."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401, ARG002 - of typer's own classes
        """Print the help."""
        print_help(self, ctx, ctx.find_root().obj)


class TranslatedGroup(TyperGroup):
    """The group of all commands; errors in a call are explained in the language of the session."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401, ARG002 - of typer's own classes
        """Print the help."""
        print_help(self, ctx, ctx.obj)

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:  # noqa: ANN401 - of typer's own classes
        """Read the options ahead of a command."""
        make = super().make_context
        return _translated(extra["obj"].translate, lambda: make(info_name, args, parent, **extra))

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - of typer's own classes
        """Read the rest of the call, and run its command."""
        invoke = super().invoke
        return _translated(ctx.obj.translate, lambda: invoke(ctx))


def translate_parameters(command: Any, translate: Translator) -> None:  # noqa: ANN401 - of typer's own classes
    """Translate the help texts of the options and arguments of a *command*."""
    for parameter in (*command.params, command.get_help_option(typer.Context(command))):
        text = _OPTIONS.get(parameter.name, parameter.help)
        parameter.help = translate(text) if text else text
        if isinstance(parameter.show_default, str):
            parameter.show_default = translate(parameter.show_default)
        if parameter.rich_help_panel is not None:
            parameter.rich_help_panel = translate(parameter.rich_help_panel)


def _translate_frame(translate: Translator) -> None:
    """Translate typer's own sentences around help texts and errors, for the whole process."""
    from typer import rich_utils  # noqa: PLC0415 - Markdown and tracebacks, which only those two wait for

    for name, sentence in _FRAME.items():
        setattr(rich_utils, name, translate(sentence))

    class Formatter(_Formatter):  # type: ignore[misc] # typer's own class, wherever this version has it
        def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
            super().write_usage(prog, args, translate(_USAGE) if prefix is None else prefix)

    _Context.formatter_class = Formatter


def _translated(translate: Translator, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever typer returns
    try:
        return work()
    except Exception as error:
        if hasattr(error, "format_message"):
            from execution_history.presentation.validation_errors import sentence_of  # noqa: PLC0415 - many patterns

            _translate_frame(translate)
            sentence = translate.message(sentence_of(error.format_message()))
            error.format_message = lambda: sentence
        raise
