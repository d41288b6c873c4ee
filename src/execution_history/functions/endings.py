"""How a run ended, from what ended it: its status, the record's keys and the proof. Pure."""

import asyncio
import traceback
from typing import Final

from execution_history.functions.arguments import Redaction
from execution_history.records.metadata import PROOF, TRACEBACK
from execution_history.records.proof import Proof
from execution_history.records.record import ExecutionStatus

_LONGEST_TRACEBACK: Final = 100_000


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


def ending_of(
    error: BaseException | None, redaction: Redaction
) -> tuple[ExecutionStatus, dict[str, object], dict[str, object]]:
    """Return the status of a run that *error* ended, the record's keys, and the metadata with the reason."""
    if error is None:
        return "success", {}, {PROOF.name: Proof.RETURNED}
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    if isinstance(error, Exception):
        message = redaction.text(_text(error)) or f"{name}, which says nothing more."
        shown = redaction.text(_traceback(error))
        return (
            "failed",
            {"error_code": name, "error_message": message},
            {PROOF.name: Proof.RAISED, TRACEBACK.name: shown},
        )
    for known, proof, reason in _REASONS:
        if isinstance(error, known):
            return "interrupted", {"error_message": reason}, {PROOF.name: proof}
    return "interrupted", {"error_message": f"{name} ended the run before it was done."}, {PROOF.name: Proof.CANCELLED}


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a foreign __str__ may raise anything
        return ""


def _traceback(error: BaseException) -> str:
    """Return the traceback as Python prints it, from the recorded function on, its end when it is very long."""
    trace, ours = error.__traceback__, "execution_history.functions."
    while trace and trace.tb_next and str(trace.tb_frame.f_globals.get("__name__")).startswith(ours):
        trace = trace.tb_next
    shown = "".join(traceback.format_exception(type(error), error, trace))
    return shown if len(shown) <= _LONGEST_TRACEBACK else "…" + shown[-_LONGEST_TRACEBACK:]
