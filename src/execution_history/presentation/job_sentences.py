"""What page and command line say of work that a server does by itself: what it is, and what the last run did. Pure."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from execution_history.errors import N_
from execution_history.presentation import redaction_sentences
from execution_history.presentation.formatting import grouped, size
from execution_history.presentation.retention_text import outcome_text
from execution_history.presentation.translator import Translator

Report = Mapping[str, Any]

JOBS: Final = {
    "retention": N_("Retention"),
    "backup": N_("Backup"),
    "check": N_("Reading everything for damage"),
    "redaction": N_("Redaction"),
}
"""What each job is called, by its name."""


def job_text(_: Translator, name: str, outcome: str, reason: str | None, report: Report | None) -> str:
    """Return how the last run of a job went, in one line; of a report in another shape, that it is done."""
    if outcome == "running":
        return _("It has begun and not ended yet.")
    if outcome == "failed":
        return _.message(reason or "")
    try:
        return _REPORTS[name](_, report or {})
    except (LookupError, TypeError, ValueError, AttributeError):
        return _("Done.")


def _backup(_: Translator, report: Report) -> str:
    told = _.plural(
        "%(num)s run written, %(size)s.",
        "%(num)s runs written, %(size)s.",
        report["records"],
        size=size(report["size"]),
    )
    if "verified" not in report:
        return told
    proven = _.plural(
        "Verified: %(num)s run was restored and compared.",
        "Verified: %(num)s runs were restored and compared.",
        report["verified"],
    )
    return f"{told}{_.gap}{proven}"


def _check(_: Translator, report: Report) -> str:
    repaired = report["repaired"]
    if not repaired:
        return _("%(size)s read, and no damage found.", size=size(report["bytes"]))
    return _.gap.join([_("%(size)s read.", size=size(report["bytes"])), *repaired])


_REPORTS: Final[Mapping[str, Callable[[Translator, Report], str]]] = {
    "retention": outcome_text,
    "backup": _backup,
    "check": _check,
    "redaction": lambda _, report: redaction_sentences.outcome(_, report, grouped),
}
