"""The inputs of a run, from what was said on the command line."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from execution_history.cli.exit_codes import CommandFailed, ExitCode
from execution_history.records.depth import WRITABLE, cut
from execution_history.records.encoding import decode

STANDARD_INPUT = "-"

_LEVELS: Final = WRITABLE - 1
"""Levels of lists and objects that can be sent, the object of the parameters being the first; the request is around."""


def read_parameters(file: str | None, assignments: Iterable[str]) -> dict[str, Any]:
    """Return the parameters in *file* (``-`` is the standard input), then those of the *assignments* over them.

    An assignment is ``NAME=VALUE``. VALUE is JSON where it reads as JSON, ``true``, ``null`` and numbers included,
    and otherwise text; a JSON string, quotes and all, is how text that reads as JSON is given.

    Raises:
        CommandFailed: an assignment has no name, the file cannot be read or is no JSON object, or a value is nested too
            deeply to be sent as it is.
    """
    parameters = {} if file is None else _from_file(file)
    for assignment in assignments:
        name, separator, value = assignment.partition("=")
        if not (separator and name):
            raise CommandFailed(ExitCode.WRONG_CALL, "The parameter '%(text)s' is not NAME=VALUE.", text=assignment)
        parameters[name] = _value(value)
    return parameters


def _value(text: str) -> Any:  # noqa: ANN401 - JSON is any of six things
    try:
        return _decoded(text.encode("utf-8", "surrogateescape"), _LEVELS - 1)
    except ValueError:
        return text


def _decoded(document: bytes, levels: int) -> Any:  # noqa: ANN401 - JSON is any of six things
    """Return the value of a JSON document.

    Raises:
        CommandFailed: it has more than *levels* levels.
        ValueError: it is not valid JSON.
    """
    value = decode(document)
    if cut(document, levels) is not document:
        raise CommandFailed(
            ExitCode.WRONG_CALL,
            "The parameters are nested too deeply to be sent: at most %(most)s levels of lists and objects.",
            most=_LEVELS,
        )
    return value


def _from_file(file: str) -> dict[str, Any]:
    try:
        data = sys.stdin.buffer.read() if file == STANDARD_INPUT else Path(file).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CommandFailed(
            ExitCode.WRONG_CALL, "The parameters file %(path)s cannot be read: %(reason)s.", path=file, reason=reason
        ) from None
    try:
        content = _decoded(data.removeprefix(b"\xef\xbb\xbf"), _LEVELS)
    except ValueError:
        raise CommandFailed(ExitCode.WRONG_CALL, "The parameters file %(path)s is not JSON.", path=file) from None
    if not isinstance(content, dict):
        raise CommandFailed(
            ExitCode.WRONG_CALL, "The parameters file %(path)s holds no JSON object of names and values.", path=file
        )
    return content
