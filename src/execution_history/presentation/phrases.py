"""The words that page and command line share: for statuses, proofs, the facts of a run and its parts. Pure.

The sentences are translated where they are shown.
"""

from collections.abc import Callable, Iterable
from datetime import UTC
from typing import Any, Final

from execution_history.errors import N_, Message
from execution_history.presentation.formatting import day, one_line
from execution_history.presentation.translator import Translator
from execution_history.records.metadata import PROOF, RECORDED_AS
from execution_history.records.origin import is_function
from execution_history.records.proof import Proof
from execution_history.records.time_units import DAY_MS, HOUR_MS, MINUTE_MS
from execution_history.records.values import integer

STATUSES: Final = {
    "success": N_("success"),
    "running": N_("running"),
    "failed": N_("failed"),
    "interrupted": N_("interrupted"),
}

PROOFS: Final = {
    Proof.DONE_EVENT: N_("Coze’s stream ended with a Done event."),
    Proof.ERROR_EVENT: N_("Coze’s stream ended with an Error event."),
    Proof.INTERRUPT_EVENT: N_("Coze’s stream stopped with an Interrupt event: the workflow is waiting for an answer."),
    Proof.STREAM_ENDED_EARLY: N_("The stream ended without a final event; the run may have finished unseen."),
    Proof.CANCEL_EVENT: N_("The caller cancelled the chat, and Coze confirmed it."),
    Proof.ENVELOPE: N_("Coze’s response to the call states it."),
    Proof.ACCEPTED: N_("Coze accepted the run in the background; nothing has been heard since."),
    Proof.REJECTED: N_("Coze rejected the call."),
    Proof.HTTP_STATUS: N_("Coze answered with an HTTP error; the run may still have happened there."),
    Proof.NOT_JSON: N_(
        "The response was not in Coze’s format; something between this program and Coze may have sent it."
    ),
    Proof.UNREADABLE: N_("Coze’s response passed through, but could not be read here; how the run ended is not known."),
    Proof.TIMEOUT: N_("Coze did not respond in time; the run may still be going on there."),
    Proof.CONNECTION_FAILED: N_("No connection to Coze could be made."),
    Proof.CONNECTION_BROKEN: N_("The connection broke before the run ended; it may still be going on at Coze."),
    Proof.ABANDONED: N_("Recording was stopped before the run ended; it may still be going on at Coze."),
    Proof.NEVER_SENT: N_("The call was not sent."),
    Proof.RECORDER_DIED: N_("The program that recorded the run ended first; how the run ended is not known."),
    Proof.RUN_HISTORY: N_("Coze’s own run history states it; it was queried afterwards."),
    Proof.UPSTREAM_SILENT: N_("Coze was queried repeatedly and never reported how the run ended."),
    Proof.RETURNED: N_("The function returned."),
    Proof.RAISED: N_("The function raised an exception."),
    Proof.CANCELLED: N_("The function was cancelled before it returned."),
    Proof.CLOSED_EARLY: N_("The caller stopped reading before the generator ended."),
    Proof.NEVER_USED: N_(
        "The function returned something to be awaited, read or entered, and the caller never used it."
    ),
    Proof.PROGRAM_ENDED: N_("The program ended before the function returned."),
}
"""How a status is known, by the proof in the metadata."""

RUN_MODES: Final = {0: N_("synchronous"), 1: N_("streaming"), 2: N_("asynchronous")}

RECORDED_KINDS: Final = {
    "function": N_("a Python function"),
    "generator": N_("a Python generator"),
    "context manager": N_("a Python context manager"),
    "block": N_("a block of a Python program"),
}
"""What was recorded where no workflow of Coze ran."""

FACTS: Final = {
    "execute_id": N_("Run id"),
    "workflow_id": N_("Workflow"),
    "coze_execute_id": N_("Run id at Coze"),
    "log_id": N_("Coze log id"),
    "bot_id": N_("Bot"),
    "conversation_id": N_("Conversation"),
    "connector_uid": N_("User"),
    "connector_id": N_("Connector"),
    "account": N_("Account"),
    "caller": N_("Called by"),
    "create_time": N_("Started"),
    "update_time": N_("Last changed"),
    "run_mode": N_("Run mode"),
    "recorded_as": N_("Kind"),
    "tokens": N_("Tokens"),
    "cost": N_("Cost"),
    "error_code": N_("Error code"),
    "proof": N_("Proof"),
    "debug_url": N_("Debug page"),
    "is_output_trimmed": N_("Output"),
}
"""The names of a run's facts, by the record's keys."""

PARTS: Final = {"ending": N_("Result"), "input": N_("Input"), "output": N_("Output"), "settings": N_("Settings")}
"""The parts of two runs that are compared."""

DIVERGENCES: Final = {
    "order": N_("First difference: node %(position)s (order)"),
    "node": N_("First difference: node %(position)s (another node)"),
    "content": N_("First difference: node %(position)s (output)"),
    "state": N_("First difference: node %(position)s (status)"),
    "end": N_("First difference: node %(position)s (missing in one run)"),
}
"""The first difference between the nodes of two runs, by its kind."""

LOST_RESULT: Final = (
    N_(
        "Only the answer is known to be lost: the workflow may have run to its end at Coze, with all that it does "
        "there."
    ),
    N_(
        "Look at Coze whether it ran before you run it again, which does everything twice: open the debug page, or "
        "search Coze’s logs for the log id."
    ),
)
"""What it means that a run may have happened unseen, and what to do."""

WINDOWS: Final = {"24h": N_("24 hours"), "7d": N_("7 days"), "30d": N_("30 days")}
"""The windows of time that the page offers everywhere; some places have a shorter or a longer one too."""

SINCE: Final = {"24h": N_("since yesterday"), "7d": N_("in the last 7 days"), "30d": N_("in the last 30 days")}
"""The same in sentences about what happened in them."""

FAILURE_STATES: Final = {"new": N_("new"), "back": N_("back"), "more": N_("more than usual"), "still": N_("still")}
"""How a kind of failure compares with the time before."""

_LONG_AGO: Final = 60 * DAY_MS
_DISTANCES: Final = (
    (DAY_MS, (N_("%(count)s d ago"), N_("in %(count)s d"))),
    (HOUR_MS, (N_("%(count)s h ago"), N_("in %(count)s h"))),
    (MINUTE_MS, (N_("%(count)s min ago"), N_("in %(count)s min"))),
)
_LONGEST_PROOF: Final = 60
_LONGEST_STATUS: Final = 20


def enumerated(values: Iterable[str]) -> str:
    """Return *values* as one list, to be translated; each language has its own separator."""
    parts = [*values] or [""]
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2  # halves, so that a thousand values nest ten messages deep
    before, after = enumerated(parts[:middle]), enumerated(parts[middle:])
    return Message("%(before)s, %(after)s", before=before, after=after)


def labelled(name: str, value: str) -> Message:
    """Return a *value* after its *name*, to be translated."""
    return Message("%(name)s: %(value)s", name=name, value=value)


def remarked(text: str, remark: str) -> Message:
    """Return a *text* and a *remark* in brackets, to be translated."""
    return Message("%(text)s (%(remark)s)", text=text, remark=remark)


def status_word(_: Translator, status: str) -> str:
    """Return the word for a *status*; an unknown one is returned as it is, on one line."""
    return _(STATUSES[status]) if status in STATUSES else one_line(status, _LONGEST_STATUS)


def proof_sentence(_: Translator, record: dict[str, Any]) -> str:
    """Return how the status of a *record* is known: a sentence for every proof that recorders write."""
    known = PROOF.of(record)
    if known is not None:
        return _(PROOFS[known])
    if record["execute_status"] == "running":
        return _("The run has not ended yet.")
    proof = PROOF.raw(record)
    if proof is None:
        return _("Whoever recorded the run set the status; no proof is recorded.")
    return _("Recorded with the proof “%(proof)s”.", proof=one_line(str(proof), _LONGEST_PROOF))


def mode_words(_: Translator, record: dict[str, Any]) -> str | None:
    """Return how a run was called, or what of a Python program it was; ``None`` where that is not known."""
    kind = RECORDED_AS.of(record)
    if kind is not None:
        return _(RECORDED_KINDS[kind])
    if is_function(record):
        return _("Python code")
    mode = integer(record["run_mode"])
    return _(RUN_MODES[mode]) if mode in RUN_MODES else None


def failures_sentence(
    _: Translator, window: str, failed: int, runs: int, number: Callable[[int], str], *, is_exact: bool, is_whole: bool
) -> str:
    """Return how many of the *runs* of a window have failed: that nothing has, only where it is known.

    Args:
        _: the translator.
        window: one of :data:`WINDOWS`.
        failed: how many are known to have failed.
        runs: how many are known to have begun in it.
        number: formats a count.
        is_exact: whether no more than *failed* have.
        is_whole: whether nothing can be missing.
    """
    since = _(SINCE[window])
    many = {"failed": number(failed), "num": number(runs), "since": since}
    if failed and not is_exact:
        return _.plural(
            "At least %(failed)s run failed %(since)s", "At least %(failed)s runs failed %(since)s", failed, **many
        )
    if failed:
        return _.plural(
            "%(failed)s of %(num)s run failed %(since)s", "%(failed)s of %(num)s runs failed %(since)s", runs, **many
        )
    if not is_whole:
        return _.plural(
            "No failure is known %(since)s (%(num)s run counted)",
            "No failure is known %(since)s (%(num)s runs counted)",
            runs,
            **many,
        )
    if not runs:
        return _("No run began %(since)s", since=since)
    return _.plural("Nothing failed %(since)s (%(num)s run)", "Nothing failed %(since)s (%(num)s runs)", runs, **many)


def cut_sentence(_: Translator, size: str | None) -> str:
    """Return the sentence for a cut value that had *size*; ``None`` stands for a response too large to keep."""
    if size is None:
        return _(
            "Incomplete: the response was larger than largest_recorded_bytes; the rest was passed on, not recorded."
        )
    return _(
        "Incomplete: this value had %(size)s; only its beginning is kept, because the record was larger than "
        "record_limit_bytes.",
        size=size,
    )


def token_parts(_: Translator, read: str, written: str) -> str:
    """Return how many tokens went in and came out."""
    return _("%(input)s in, %(output)s out", input=read, output=written)


def ago(_: Translator, moment: int, now: int) -> str:
    """Return how long before or after *now* (both in milliseconds) *moment* is; its date when that is long."""
    past = now - moment
    if abs(past) < MINUTE_MS:
        return _("just now")
    if abs(past) > _LONG_AGO:
        return day(moment, UTC)
    for unit, sentences in _DISTANCES:
        count = round(abs(past) / unit - 0.49)
        if count:
            return _(sentences[0 if past > 0 else 1], count=count)
    raise AssertionError
