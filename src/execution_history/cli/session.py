"""What every command shares: its options, its output, its exit codes, and errors as one sentence."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from enum import IntEnum
from typing import Annotated, Any, Final, NoReturn, TypeVar

import orjson
import typer
from rich.console import Console

from execution_history import errors
from execution_history.cli.wording import harmless
from execution_history.settings import Settings, load_settings

_Result = TypeVar("_Result")


class Exit(IntEnum):
    """What a script learns from the exit code."""

    OK = 0
    RUN_FAILED = 1
    WRONG_CALL = 2
    RUN_INTERRUPTED = 3
    STORE_TROUBLE = 4
    NOT_FOUND = 5


EXIT_CODES: Final = (
    "Exit codes: 0 all is well, 1 the workflow failed, 2 the call or a setting is wrong, "
    "3 the workflow waits for an answer, 4 the store cannot be used, 5 there is no such record."
)

# A pipe has no width: what is read by a program is not cut to 80 columns.
out: Final = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
notes: Final = Console(stderr=True, highlight=False)

Store = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="FOLDER|URL",
        help="Where the history is. [default: EXECUTION_HISTORY_STORE, or data/execution_history]",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON for programs.")]


class Globals:
    """What was said before the command's name."""

    store: str | None = None
    debug: bool = False


def settings_of(store: str | None, **arguments: Any) -> Settings:  # noqa: ANN401 - checked by the settings
    """The settings in force for a command."""
    return load_settings(store=store or Globals.store, **arguments)


def run(work: Callable[[], Coroutine[Any, Any, _Result]]) -> _Result:
    """Run *work* in an event loop; what goes wrong is one sentence and an exit code."""
    try:
        return asyncio.run(work())
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): that is no fault, and nothing more can be said to it.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(Exit.OK) from None
    except (errors.ExecutionHistoryError, OSError) as error:
        if Globals.debug:
            raise
        fail(str(error), _code_of(error))


def fail(sentence: str, code: Exit) -> NoReturn:
    """Say why on the error output and end."""
    notes.print(harmless(sentence), style="red", markup=False)
    raise typer.Exit(code)


def write_json(value: object) -> None:
    """One JSON document on the output, indented on a terminal and compact for a program."""
    option = orjson.OPT_INDENT_2 if sys.stdout.isatty() else 0
    write_line(orjson.dumps(value, option=option))


def write_line(line: bytes) -> None:
    """A line of bytes on the output, at once."""
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


def _code_of(error: Exception) -> Exit:
    wrong = (errors.InvalidInput, errors.SettingsError, errors.AccountError)
    return Exit.WRONG_CALL if isinstance(error, wrong) else Exit.STORE_TROUBLE
