"""How a run ended, from what ended it: its status, the record's keys and the proof. Pure."""

import asyncio
import traceback
from typing import Final

from execution_history.functions.arguments import Redaction
from execution_history.functions.foreign import attempt, text_of, traceback_of
from execution_history.records.metadata import TRACEBACK
from execution_history.records.proof import Proof
from execution_history.records.record import ExecutionStatus

_LONGEST_TRACEBACK: Final = 100_000
_FIRST_LINE: Final = "Traceback (most recent call last):\n"


class NeverUsed(BaseException):
    """Nobody awaited, read or entered what the function returned, and nobody can any more. It is never raised."""


PROGRAM_ENDED: Final = "The program ended before the run did."
_REASONS: Final = (
    (asyncio.CancelledError, Proof.CANCELLED, "The task was cancelled before the run ended."),
    (GeneratorExit, Proof.CLOSED_EARLY, "The caller stopped reading before the run ended."),
    (KeyboardInterrupt, Proof.CANCELLED, "The program was interrupted before the run ended."),
    (SystemExit, Proof.PROGRAM_ENDED, PROGRAM_ENDED),
    (NeverUsed, Proof.NEVER_USED, "The function returned, but the caller never used what it returned."),
)


def status_of(error: BaseException | None) -> tuple[ExecutionStatus, Proof]:
    """Return the status of a run that *error* ended, and its proof. Asks the error for nothing, so it never fails."""
    if error is None:
        return "success", Proof.RETURNED
    kind = type(error)
    if issubclass(kind, Exception):
        return "failed", Proof.RAISED
    return "interrupted", next((proof for known, proof, _ in _REASONS if issubclass(kind, known)), Proof.CANCELLED)


def said_of(error: BaseException | None, redaction: Redaction) -> tuple[dict[str, object], dict[str, object]]:
    """Return the record's keys and the metadata that say why *error* ended a run, as far as it can be asked.

    Raises:
        BaseException: it came from outside meanwhile (:func:`execution_history.functions.foreign.comes_from_outside`).
    """
    if error is None:
        return {}, {}
    kind = type(error)
    name = attempt(lambda: _name_of(kind), "Exception")
    if issubclass(kind, Exception):
        message = redaction.text(text_of(error))
        shown = attempt(lambda: _traceback(error), f"{name}: {message}")
        return (
            {"error_code": name, "error_message": message or f"{name}, which says nothing more."},
            {TRACEBACK.name: redaction.text(shown)},
        )
    reasons = (reason for known, _, reason in _REASONS if issubclass(kind, known))
    return {"error_message": next(reasons, f"{name} ended the run before it was done.")}, {}


def _name_of(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _traceback(error: BaseException) -> str:
    """Return the traceback as Python prints it, from the recorded function on, its end when it is very long."""
    trace, ours = traceback_of(error), "execution_history.functions."
    while trace and trace.tb_next and str(trace.tb_frame.f_globals.get("__name__")).startswith(ours):
        trace = trace.tb_next
    # Python reads attributes of errors to print them, which some do not have and others do not give.
    shown = attempt(lambda: "".join(traceback.format_exception(type(error), error, trace)), "")
    if not shown:
        shown = "".join([_FIRST_LINE, *traceback.format_tb(trace), f"{_name_of(type(error))}: {text_of(error)}"])
    return shown if len(shown) <= _LONGEST_TRACEBACK else "…" + shown[-_LONGEST_TRACEBACK:]
