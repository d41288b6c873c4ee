"""The inputs of a run, from what was said on the command line."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from execution_history.cli.exits import CommandFailed, ExitCode
from execution_history.cli.speech import Speech
from execution_history.jsonvalue import decode

STANDARD_INPUT = "-"


def read_parameters(say: Speech, file: str | None, assignments: Iterable[str]) -> dict[str, Any]:
    """The parameters in *file* (``-`` is the standard input), then those of the *assignments* over them.

    An assignment is ``NAME=VALUE``. VALUE is JSON where it reads as JSON, ``true``, ``null`` and numbers included,
    and otherwise text; a JSON string, quotes and all, is how text that reads as JSON is given.

    Raises:
        CommandFailed: an assignment has no name, or the file cannot be read or is no JSON object.
    """
    parameters = {} if file is None else _from_file(say, file)
    for assignment in assignments:
        name, separator, value = assignment.partition("=")
        if not (separator and name):
            raise CommandFailed(say("error.parameter", text=assignment), ExitCode.WRONG_CALL)
        parameters[name] = _value(value)
    return parameters


def _value(text: str) -> Any:  # noqa: ANN401 - JSON is any of six things
    try:
        return decode(text.encode("utf-8", "surrogateescape"))
    except ValueError:
        return text


def _from_file(say: Speech, file: str) -> dict[str, Any]:
    try:
        data = sys.stdin.buffer.read() if file == STANDARD_INPUT else Path(file).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CommandFailed(say("error.file", path=file, reason=reason), ExitCode.WRONG_CALL) from None
    try:
        content = decode(data.removeprefix(b"\xef\xbb\xbf"))
    except ValueError:
        raise CommandFailed(say("error.file_json", path=file), ExitCode.WRONG_CALL) from None
    if not isinstance(content, dict):
        raise CommandFailed(say("error.file_object", path=file), ExitCode.WRONG_CALL)
    return content
