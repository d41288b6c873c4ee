"""What all commands share: common options, settings, and errors as one sentence and an exit code."""

import asyncio
import gc
import logging
import shutil
import sys
import traceback
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import typer

from execution_history import errors
from execution_history.cli.output import Output
from execution_history.errors import Message
from execution_history.presentation.command_line import PROGRAM, command_line
from execution_history.presentation.translator import Translator
from execution_history.records.redaction import without_credentials

if TYPE_CHECKING:
    from execution_history.settings import Settings

_LONGEST_ARGUMENT: Final = 400
"""Characters of an argument that an error quotes: an id may have a thousand, and several may be named."""


class ExitCode(IntEnum):
    """Every exit code of the command line."""

    SUCCESS = 0
    WORKFLOW_FAILED = 1
    SOME_REFUSED = 1
    WRONG_CALL = 2
    INTERRUPTED = 3
    STORE_TROUBLE = 4
    NOT_FOUND = 5
    FAULT = 70
    STOPPED = 130
    BROKEN_PIPE = 141
    TERMINATED = 143


class CommandFailed(Exception):  # noqa: N818 - named as the errors of this package are
    """A command cannot be carried out.

    Args:
        sentence: the msgid of one sentence for people.
        code: the exit code.
        listing: what the sentence is about, a line for each.
        arguments: the values of its placeholders.
    """

    def __init__(
        self, sentence: str, /, code: ExitCode = ExitCode.WRONG_CALL, listing: Sequence[str] = (), **arguments: object
    ) -> None:
        self.code = code
        self.listing = listing
        self.message = Message(sentence, **arguments)
        super().__init__(self.message)


def code_of(error: errors.ExecutionHistoryError) -> ExitCode:
    """Return the exit code of *error*: the store's trouble, the machine's, something missing, or else a wrong call."""
    match error:
        case errors.StoreError():
            return ExitCode.STORE_TROUBLE
        case errors.ExecutionNotFound() | errors.ViewNotFound() | errors.KeyNotFound() | errors.BackupNotFound():
            return ExitCode.NOT_FOUND
        case errors.BackupDamaged():
            return ExitCode.SOME_REFUSED
        case errors.ExportFailed() | errors.BackupFailed():
            return ExitCode.FAULT
    return ExitCode.WRONG_CALL


LoopFactory = Callable[[], asyncio.AbstractEventLoop]

Work = Coroutine[Any, Any, ExitCode | None]
"""The coroutine of a command; it returns the exit code, or ``None`` for success."""


class Session:
    """One call of the command line: its common options, its language and its output."""

    def __init__(self, translate: Translator) -> None:
        self.translate = translate
        self.output = Output()
        self.store: str | None = None
        self.as_json = False
        self.debug = False

    @classmethod
    def of(
        cls, context: typer.Context, store: str | None = None, *, as_json: bool = False, debug: bool = False
    ) -> "Session":
        """Return the session of *context*; options after the command's name take precedence over those ahead of it."""
        session = context.find_object(cls)
        assert session is not None  # noqa: S101 - main puts it there
        session.store = session.store if store is None else store
        session.as_json = session.as_json or as_json
        session.debug = session.debug or debug
        return session

    def settings(self, **arguments: Any) -> "Settings":  # noqa: ANN401 - checked by the settings
        """Return the settings in force for this call.

        Raises:
            SettingsError: a setting is wrong.
        """
        from execution_history.settings import load_settings  # noqa: PLC0415 - `--help` and completion need none

        return load_settings(store=self.store, **arguments)

    def command(self, *words: str, text: str | None = None) -> str:
        """Return a call of this program to copy, on the same store; *text* comes last and may begin with a dash.

        A password in the URL of the store is left to be filled in.
        """
        return command_line(*words, store=self.store, text=text, program=_callable_name())

    def notice(self, msgid: str, /, *, style: str = "", **arguments: object) -> None:
        """Print a sentence in the language of the session, beside the answer."""
        self.output.remark(self.translate(msgid, **arguments), style=style)

    def perform(self, work: Work, event_loop: LoopFactory | None = None) -> NoReturn:
        """Run *work* and end the process with its exit code, or with that of its error.

        Args:
            work: the command.
            event_loop: makes the event loop of a server, which calls :func:`turn_on_garbage_collection` itself when it
                has loaded its modules; asyncio's own unless given.
        """
        if not self.debug:
            _silence_warnings()
        if event_loop is None:
            turn_on_garbage_collection()
        raise typer.Exit(self._code_of(work, event_loop))

    def _code_of(self, work: Work, event_loop: LoopFactory | None) -> ExitCode:
        try:
            with asyncio.Runner(loop_factory=event_loop) as runner:
                code = runner.run(work)
            sys.stdout.flush()
        except (KeyboardInterrupt, asyncio.CancelledError, typer.Abort):
            return ExitCode.STOPPED
        except BrokenPipeError:
            self.output.discard_answers()
            return ExitCode.BROKEN_PIPE
        except Exception as error:  # noqa: BLE001 - whatever it is, a person gets one sentence
            return self._explain(error)
        return code or ExitCode.SUCCESS

    def _explain(self, error: Exception) -> ExitCode:
        if self.debug:
            sys.stderr.write(without_credentials("".join(traceback.format_exception(error))))
        code, longest = ExitCode.FAULT, None
        match error:
            case CommandFailed():
                code, message, longest = error.code, error.message, _LONGEST_ARGUMENT
            case errors.StoreDamaged() if self._has_folder() and not isinstance(error, errors.RecordDamaged):
                code = code_of(error)
                message = Message(
                    "The database of this history is damaged. Stop every program that uses it, then run: %(command)s",
                    command=self.command("doctor", "--repair"),
                )
            case errors.ExecutionHistoryError():
                code, message = code_of(error), error.message
            case OSError():
                self.output.discard_answers()
                message = Message("The operating system refused: %(reason)s.", reason=error.strerror or str(error))
            case _:
                message = Message(
                    "An unexpected error (%(kind)s). Add --debug to see where, and please report it.",
                    kind=type(error).__name__,
                )
        with suppress(OSError):
            self.output.remark(self.translate("Error: ") + self.translate.message(message, longest), style="red")
            for line in error.listing if isinstance(error, CommandFailed) else ():
                self.output.remark(f"  {self.translate.message(line, longest)}")
        return code

    def _has_folder(self) -> bool:
        from execution_history.stores.factory import place_named  # noqa: PLC0415 - `--help` and completion need none

        folder = place_named(self.settings().store).folder
        return folder is not None and not folder.is_file()  # which is an archive


def turn_on_garbage_collection() -> None:
    """Turn garbage collection on, where the program's start turned it off; what is loaded by now is never looked at."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def _callable_name() -> str:
    """Return how to call this program from the current folder: its name where the shell finds it, else its path."""
    called = Path(sys.argv[0])
    if called.stem != PROGRAM or not called.is_file():
        return PROGRAM  # called in another way, such as python -m
    found = shutil.which(PROGRAM)
    if found is not None and Path(found).resolve() == called.resolve():
        return PROGRAM
    path = called.absolute()
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _silence_warnings() -> None:
    """Silence Python's warnings: they are for developers, and whoever runs a workflow cannot act on them."""
    logging.captureWarnings(capture=True)
    warnings = logging.getLogger("py.warnings")
    warnings.addHandler(logging.NullHandler())
    warnings.propagate = False
