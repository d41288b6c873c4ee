"""The inputs of a run, from what was said on the command line."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from execution_history.cli.exit_codes import CommandFailed, ExitCode
from execution_history.presentation.terminal_translator import Speech
from execution_history.records.encoding import decode
from execution_history.records.nesting import WRITABLE, cut

STANDARD_INPUT = "-"

_LEVELS: Final = WRITABLE - 1
"""Levels of lists and objects that can be sent, the object of the parameters being the first; the request is around."""


def read_parameters(say: Speech, file: str | None, assignments: Iterable[str]) -> dict[str, Any]:
    """The parameters in *file* (``-`` is the standard input), then those of the *assignments* over them.

    An assignment is ``NAME=VALUE``. VALUE is JSON where it reads as JSON, ``true``, ``null`` and numbers included,
    and otherwise text; a JSON string, quotes and all, is how text that reads as JSON is given.

    Raises:
        CommandFailed: an assignment has no name, the file cannot be read or is no JSON object, or a value is nested too
            deeply to be sent as it is.
    """
    parameters = {} if file is None else _from_file(say, file)
    for assignment in assignments:
        name, separator, value = assignment.partition("=")
        if not (separator and name):
            raise CommandFailed(say("error.parameter", text=assignment), ExitCode.WRONG_CALL)
        parameters[name] = _value(say, value)
    return parameters


def _value(say: Speech, text: str) -> Any:  # noqa: ANN401 - JSON is any of six things
    try:
        return _decoded(say, text.encode("utf-8", "surrogateescape"), _LEVELS - 1)
    except ValueError:
        return text


def _decoded(say: Speech, document: bytes, levels: int) -> Any:  # noqa: ANN401 - JSON is any of six things
    """The value of a JSON document.

    Raises:
        CommandFailed: it has more than *levels* levels.
        ValueError: it is not valid JSON.
    """
    value = decode(document)
    if cut(document, levels) is not document:
        raise CommandFailed(say("error.parameters_deep", most=_LEVELS), ExitCode.WRONG_CALL)
    return value


def _from_file(say: Speech, file: str) -> dict[str, Any]:
    try:
        data = sys.stdin.buffer.read() if file == STANDARD_INPUT else Path(file).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CommandFailed(say("error.file", path=file, reason=reason), ExitCode.WRONG_CALL) from None
    try:
        content = _decoded(say, data.removeprefix(b"\xef\xbb\xbf"), _LEVELS)
    except ValueError:
        raise CommandFailed(say("error.file_json", path=file), ExitCode.WRONG_CALL) from None
    if not isinstance(content, dict):
        raise CommandFailed(say("error.file_object", path=file), ExitCode.WRONG_CALL)
    return content
