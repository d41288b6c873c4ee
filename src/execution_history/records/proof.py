"""How the status of a run is known: the values of ``metadata.proof``. Pure."""

from enum import StrEnum
from typing import Final


class Proof(StrEnum):
    """What shows that a run has the status of its record; the value is what the record keeps."""

    DONE_EVENT = "done_event"
    """Coze's stream ended with its Done event, a chat's with the event that completes it."""
    ERROR_EVENT = "error_event"
    """Coze's stream ended with an Error event."""
    INTERRUPT_EVENT = "interrupt_event"
    """Coze's stream stopped with an Interrupt event: the workflow waits for an answer."""
    STREAM_ENDED_EARLY = "stream_ended_early"
    """The stream ended without any of these; the run may go on, or have finished unseen."""
    CANCEL_EVENT = "cancel_event"
    """Coze said that the chat was cancelled."""
    ENVELOPE = "envelope"
    """Coze's answer to the call has it."""
    ACCEPTED = "accepted"
    """Coze took the call and runs the workflow in the background."""
    REJECTED = "rejected"
    """Coze did not take the call, so nothing ran."""
    HTTP_STATUS = "http_status"
    """The answer was an HTTP error without Coze's envelope; the run may have happened."""
    NOT_JSON = "not_json"
    """The answer was none that Coze gives."""
    UNREADABLE = "unreadable"
    """The answer came, and could not be decoded or kept here; only who called knows what it says."""
    TIMEOUT = "timeout"
    """The upstream was silent for longer than the caller waited; the run may go on."""
    CONNECTION_FAILED = "connection_failed"
    """No connection came about, so nothing ran."""
    CONNECTION_BROKEN = "connection_broken"
    """The connection broke before the end; the run may go on."""
    ABANDONED = "abandoned"
    """Recording stopped before the end; the run may go on."""
    NEVER_SENT = "never_sent"
    """The call was not sent, so nothing ran: its caller left before, or it could not be."""
    RECORDER_DIED = "recorder_died"
    """The program that recorded the run ended first."""
    RUN_HISTORY = "run_history"
    """The upstream's own history has it; it was requested later."""
    UPSTREAM_SILENT = "upstream_silent"
    """The upstream's history was requested, and never had the end of the run."""
    RETURNED = "returned"
    """The recorded function returned."""
    RAISED = "raised"
    """The recorded function raised an exception."""
    CANCELLED = "cancelled"
    """The task of the recorded function was cancelled, or its program interrupted."""
    CLOSED_EARLY = "closed_early"
    """Who read the recorded generator stopped before its end."""
    NEVER_USED = "never_used"
    """The recorded function returned something to be awaited, read or entered, and nobody did."""
    PROGRAM_ENDED = "program_ended"
    """The program ended before the recorded function did."""


def known_proof(value: object) -> Proof | None:
    """Return the proof that *value* is; a later version, or somebody else, may have written one that is not known."""
    return Proof(value) if isinstance(value, str) and value in _VALUES else None


_VALUES: Final = frozenset(Proof)

UNCERTAIN: Final = frozenset({
    Proof.STREAM_ENDED_EARLY, Proof.TIMEOUT, Proof.CONNECTION_BROKEN, Proof.HTTP_STATUS, Proof.NOT_JSON,
    Proof.ABANDONED, Proof.UNREADABLE,
})  # fmt: skip
"""How a call ended, but not how the run did; the upstream may know better."""

NEVER_TAKEN: Final = frozenset({Proof.REJECTED, Proof.CONNECTION_FAILED, Proof.NEVER_SENT})
"""The call did nothing upstream."""

OF_FUNCTIONS: Final = frozenset({
    Proof.RETURNED, Proof.RAISED, Proof.CANCELLED, Proof.CLOSED_EARLY, Proof.NEVER_USED, Proof.PROGRAM_ENDED,
})  # fmt: skip
"""How the run of a Python function or block ended; nothing that ran at Coze has such a proof."""
