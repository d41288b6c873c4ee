"""The help of a command as a page of text: as wide as the terminal, with examples that stay as they are."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from rich.cells import cell_len
from rich.text import Text

from execution_history.cli.help_texts import KEPT_LINES
from execution_history.cli.session import Session
from execution_history.errors import N_

_USAGE: Final = N_("Usage: ")
_ARGUMENTS: Final = N_("Arguments")
_OPTIONS: Final = N_("Options")
_COMMANDS: Final = N_("Commands")
_DEFAULT: Final = N_("[default: {}]")
_REQUIRED: Final = N_("[required]")

_TYPES: Final = {"int": "NUMBER", "float": "NUMBER", "str": "TEXT"}
_WIDTH: Final = 80
_WIDEST: Final = 110
_LONGEST_NAME: Final = 30
"""Columns of a name that its meaning still stands beside, and not below."""

# A line may end behind a blank, and behind any Chinese character that no closing mark follows.
_WIDE: Final = r"\u2e80-\u9fff\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef"
_CLOSING: Final = r"，。；：！？、）》」』】％"
_PIECE: Final = re.compile(rf"\s+|[{_WIDE}][{_CLOSING}]*|[^\s{_WIDE}]+[{_CLOSING}]*")


def print_help(command: Any, context: Any, session: Session) -> None:  # noqa: ANN401 - of typer's own classes
    """Print the help of *command* to the standard output, in the language of *session*."""
    _, output = session.translate, session.output
    width = min(output.width or _WIDTH, _WIDEST)
    output.answer(Text(_(_USAGE), "bold").append(command.get_usage(context).partition(": ")[2].strip()))
    for paragraph in (command.help or "").split("\n\n"):
        _print_paragraph(session, paragraph, width)
    panels: dict[str, list[tuple[str, str]]] = {}
    for parameter in command.get_params(context):
        if not parameter.hidden:
            is_option = parameter.param_type_name == "option"
            panel = parameter.rich_help_panel or _(_OPTIONS if is_option else _ARGUMENTS)
            panels.setdefault(panel, []).append((_names(parameter, context), _meaning(session, parameter)))
    for name in getattr(command, "commands", ()):
        if command.commands[name].hidden:
            continue
        summary = (command.commands[name].help or "").partition("\n\n")[0]
        panels.setdefault(_(_COMMANDS), []).append((name, summary))
    for panel, rows in panels.items():
        output.heading(panel)
        output.lines(_rows(rows, width))
    for paragraph in (command.epilog or "").split("\n\n"):
        _print_paragraph(session, paragraph, width)


def wrapped(text: str, width: int) -> list[str]:
    """Return *text* in lines of at most *width* columns, of which a wide character takes two.

    What cannot be broken, such as an address, is longer.
    """
    lines, line = [], ""
    for piece in _PIECE.findall(text):
        if line.strip() and cell_len(line + piece.rstrip()) > width:
            lines.append(line.rstrip())
            line = piece.lstrip()
        else:
            line += piece
    return [*lines, line.rstrip()]


def _print_paragraph(session: Session, paragraph: str, width: int) -> None:
    """Print a paragraph behind an empty line; examples and tables keep their lines."""
    if not paragraph.strip():
        return
    session.output.answer()
    if paragraph.startswith(KEPT_LINES):
        session.output.lines(paragraph.removeprefix(KEPT_LINES).split("\n"))
    else:
        session.output.lines(wrapped(" ".join(paragraph.split()), width))


def _rows(rows: Sequence[tuple[str, str]], width: int) -> Iterator[Text]:
    """Yield names and their meanings in two columns; the meaning of a long name begins on the next line."""
    left = max((len(name) for name, _ in rows if len(name) <= _LONGEST_NAME), default=0)
    margin = left + 4
    for name, meaning in rows:
        first, *others = wrapped(meaning, max(20, width - margin))
        line = Text("  ").append(name, "cyan")
        if len(name) > left:
            yield line
            line = Text(" " * margin)
        else:
            line.append(" " * (margin - 2 - len(name)))
        yield line.append(first)
        yield from (Text(" " * margin + other) for other in others)


def _names(parameter: Any, context: Any) -> str:  # noqa: ANN401 - of typer's own classes
    """Return how a parameter is written: an option with its short form first and the kind of its value."""
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name.upper())
    names = ", ".join([*sorted(parameter.opts, key=len), *parameter.secondary_opts])
    return names if parameter.is_flag else f"{names} {_kind(parameter, context)}"


def _kind(parameter: Any, context: Any) -> str:  # noqa: ANN401 - of typer's own classes
    """Return the kind of an option's value: its own word for it, its choices, or the type."""
    kind = str(parameter.metavar or parameter.display_type_rich(context)).strip("<>")
    return _TYPES.get(kind.partition(" ")[0], kind)


def _meaning(session: Session, parameter: Any) -> str:  # noqa: ANN401 - of typer's own classes
    """Return what a parameter is for, with its default or that it has to be there."""
    default: Any = parameter.default
    if isinstance(parameter.show_default, str):
        default = parameter.show_default
    elif not parameter.show_default or getattr(parameter, "is_flag", False):
        default = None
    parts = [parameter.help or ""]
    parts += [session.translate(_DEFAULT).format(default)] if default not in (None, "", [], ()) else []
    parts += [session.translate(_REQUIRED)] if parameter.required else []
    return " ".join(filter(None, parts))
