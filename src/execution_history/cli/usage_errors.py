"""What typer itself says, of wrong calls and around help texts, in the language of the command line.

typer puts the sentences about wrong calls together in English; they are taken apart by the patterns of this table and
said again. One that is not in it stays as it is.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from typer import rich_utils
from typer.core import TyperGroup

from execution_history.errors import N_
from execution_history.presentation.translator import Translator

_SENTENCES: Final = (
    N_("No such command %(name)s. Did you mean %(names)s?"),
    N_("No such command %(name)s."),
    N_("No such option: %(name)s (Possible options: %(names)s)"),
    N_("No such option: %(name)s Did you mean %(names)s?"),
    N_("No such option: %(name)s"),
    N_("Missing command."),
    N_("Missing argument %(name)s."),
    N_("Missing option %(name)s."),
    N_("Got unexpected extra argument (%(values)s)"),
    N_("Got unexpected extra arguments (%(values)s)"),
    N_("Got unexpected extra argument(s) (%(values)s)"),
    N_("Option %(name)s requires an argument."),
    N_("Option %(name)s does not take a value."),
    N_("Invalid value for %(name)s: %(reason)s"),
    N_("Invalid value: %(reason)s"),
)
"""A sentence stands before what it would fit into."""

_SAID_AS_IS: Final = {sentence: sentence for sentence in _SENTENCES}

_REASONS: Final = {
    "Input should be a valid integer, unable to parse string as an integer": N_("it is not a whole number."),
    "Input should be greater than or equal to %(least)s": N_("it must be at least %(least)s."),
    "Input should be less than or equal to %(most)s": N_("it must be at most %(most)s."),
    "Value error, %(value)s is not one of %(choices)s.": N_("%(value)s is not one of %(choices)s."),
    "%(value)s is not one of %(choices)s.": N_("%(value)s is not one of %(choices)s."),
    "%(value)s is not a valid integer.": N_("it is not a whole number."),
    "%(value)s is not in the range x>=%(least)s.": N_("it must be at least %(least)s."),
    "%(value)s is not in the range %(least)s<=x<=%(most)s.": N_("it must be %(least)s to %(most)s."),
}
"""What a value may lack, as versions of typer put it, and as we do."""

_FRAME: Final = {
    "ARGUMENTS_PANEL_TITLE": N_("Arguments"),
    "OPTIONS_PANEL_TITLE": N_("Options"),
    "COMMANDS_PANEL_TITLE": N_("Commands"),
    "ERRORS_PANEL_TITLE": N_("Error"),
    "DEFAULT_STRING": N_("[default: {}]"),
    "REQUIRED_LONG_STRING": N_("[required]"),
    "ABORTED_TEXT": N_("Aborted."),
    "RICH_HELP": N_("Try [blue]'{command_path} {help_option}'[/] for help."),
}
"""What typer says around help texts and errors, by the names that it has there."""

OPTIONS_OF_TYPER: Final = {
    "help": N_("Show this message and exit."),
    "install_completion": N_("Install completion for the current shell."),
    "show_completion": N_("Show the completion script for the current shell."),
}
"""What the options are for that typer adds to ours, by name."""

_USAGE: Final = N_("Usage: ")
_Context: Final[Any] = TyperGroup.context_class
_Formatter: Final[Any] = _Context.formatter_class
_PLACEHOLDER: Final = re.compile(r"%\\\((\w+)\\\)s")


class TranslatedGroup(TyperGroup):
    """The group of all commands; what is wrong with a call is said in the language of the session."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:  # noqa: ANN401 - of typer's own classes
        """Read the options that stand before a command."""
        make = super().make_context
        return _translated(extra["obj"].translate, lambda: make(info_name, args, parent, **extra))

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - of typer's own classes
        """Read the rest of the call, and do what it asks for."""
        invoke = super().invoke
        return _translated(ctx.obj.translate, lambda: invoke(ctx))


def translate_frame(translate: Translator) -> None:
    """Give what typer says around help texts in the language of *translate*; it holds for the whole process."""
    for name, sentence in _FRAME.items():
        setattr(rich_utils, name, translate(sentence))

    class Formatter(_Formatter):  # type: ignore[misc] # typer's own class, wherever this version has it
        def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
            super().write_usage(prog, args, translate(_USAGE) if prefix is None else prefix)

    _Context.formatter_class = Formatter


def translated(translate: Translator, sentence: str, templates: Mapping[str, str] = _SAID_AS_IS) -> str:
    """Return what typer said as *sentence* in the language of *translate*."""
    for template, said in templates.items():
        pattern = _PLACEHOLDER.sub(r"(?P<\1>.*)", re.escape(template))
        found = re.fullmatch(pattern, sentence, re.DOTALL)
        if found:
            arguments = found.groupdict()
            if "reason" in arguments:
                arguments["reason"] = translated(translate, arguments["reason"], _REASONS)
            return translate(said, **arguments)
    return sentence


def _translated(translate: Translator, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever typer returns
    try:
        return work()
    except Exception as error:
        if hasattr(error, "format_message"):
            sentence = translated(translate, error.format_message())
            error.format_message = lambda: sentence
        raise
