"""What page and command line say of retention: rules, what went by them, what stayed and why. Pure.

Rules and reports are JSON, as :mod:`execution_history.query.retention` and :mod:`execution_history.maintenance.report`
write it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from execution_history.errors import N_
from execution_history.presentation.formatting import grouped, size
from execution_history.presentation.translator import Translator

ACTIONS: Final = {"remove": N_("runs"), "contents": N_("contents"), "bin": N_("runs in the bin")}
"""What goes."""

ONE: Final = {"remove": N_("the run"), "contents": N_("its contents"), "bin": N_("the run in the bin")}
"""The same of one run."""

_KEPT: Final = {
    "running": N_("running"),
    "waiting": N_("waiting for an answer"),
    "pinned": N_("pinned"),
    "rated": N_("rated"),
    "tagged": N_("tagged to be kept"),
    "newest": N_("among the newest"),
    "bytes": N_("within the size that is kept"),
}
"""Why a run stays."""

_REASONS: Final = {
    "no_rules": N_("Nothing was removed: there are no rules and no limit."),
    "no_match": N_("Nothing was removed: no run matches."),
    "protected": N_("Nothing was removed: every run that matches is protected."),
    "failed": N_("Nothing was removed: no rule could be carried out."),
    "over_budget": N_("The history still takes more than %(limit)s: what is left is protected or cannot be removed."),
    "in_bin": N_("The space is freed when the runs leave the bin, %(hours)s hours after they were removed."),
}
_PREVIEWS: Final = {
    "no_rules": N_("Nothing would be removed: there are no rules and no limit."),
    "no_match": N_("Nothing would be removed: no run matches."),
    "protected": N_("Nothing would be removed: every run that matches is protected."),
    "failed": N_("Nothing would be removed: no rule could be carried out."),
    "over_budget": N_("The history would still take more than %(limit)s: what is left is protected."),
    "in_bin": N_("The runs would stay in the bin for %(hours)s hours before their space is freed."),
}
_HOUR_MS: Final = 3_600_000
BUDGET: Final = "max_bytes"
"""The name of the size limit where a rule has one."""


def rule_name(_: Translator, name: str) -> str:
    """Return the name of a rule in a report."""
    return _("size limit") if name == BUDGET else name


def filters_text(rule: Mapping[str, Any]) -> str:
    """Return the filters of a rule as ``status=success tag=a,b``; empty for all runs."""
    own = ("name", "action", "older_than", "keep_runs", "keep_bytes")
    return " ".join(f"{name}={','.join(texts)}" for name, texts in rule.items() if name not in own)


def limits_text(_: Translator, rule: Mapping[str, Any]) -> str:
    """Return what must be true of a run that goes: older than 30d, not among the newest 100 …."""
    parts = []
    if rule["older_than"] is not None:
        parts.append(_("older than %(age)s", age=rule["older_than"]))
    if rule["keep_runs"] is not None:
        parts.append(_("all but the newest %(count)s per workflow", count=grouped(rule["keep_runs"])))
    if rule["keep_bytes"] is not None:
        parts.append(_("all beyond %(size)s per workflow", size=size(rule["keep_bytes"])))
    return _(", ").join(parts)


def kept_text(_: Translator, kept: Mapping[str, int]) -> str:
    """Return how many runs stayed, and why: ``3 pinned, 1 rated``."""
    return _(", ").join(f"{grouped(count)} {_(_KEPT.get(name, name))}" for name, count in kept.items())


def reason_text(_: Translator, report: Mapping[str, Any]) -> str | None:
    """Return why a run of retention freed nothing, or not enough; ``None`` where it did."""
    sentence = (_PREVIEWS if report["dry_run"] else _REASONS).get(report["reason"])
    if sentence is None:
        return None
    limit = "" if report["limit"] is None else size(report["limit"])
    return _(sentence, limit=limit, hours=grouped(round(report["bin_ms"] / _HOUR_MS)))


def outcome_text(_: Translator, report: Mapping[str, Any]) -> str:
    """Return what a run of retention did, or would do, with the space that it freed."""
    counts = dict.fromkeys(ACTIONS, 0)
    for part in report["parts"]:
        counts[part["action"]] += part["runs"]
        counts["contents"] -= part.get("shortened", 0)  # these are gone now
    tell = _would_go if report["dry_run"] else removed_text
    done = [tell(_, action, count) for action, count in counts.items() if count]
    reason = reason_text(_, report)
    if not done:
        return reason or ""
    what = _(", ").join(done)
    what = what[:1].upper() + what[1:]
    sentences = [
        _("%(what)s.", what=what)
        if report["dry_run"] or report["reason"] == "in_bin"  # what the log gave back has nothing to do with them
        else _("%(what)s; %(size)s given back.", what=what, size=size(report["freed"]))
    ]
    if report.get("expected") is not None and report["reason"] != "over_budget":
        taken = {"size": size(report["expected"]), "limit": size(report["limit"])}
        sentences.append(_("The history would then take about %(size)s of %(limit)s.", **taken))
        if any(part["rule"] == BUDGET for part in report["parts"]):
            sentences.append(_("It is measured then, and more of the oldest runs go only if it still takes more."))
    if report.get("waits_for_index"):
        sentences.append(_("The index is busy: the space that it has of these runs is given back by the next run."))
    return _.gap.join([*sentences, *([] if reason is None else [reason])])


def last_outcome(_: Translator, report: Mapping[str, Any], *, has_rules: bool) -> str:
    """Return what the last run did; *has_rules* says whether there is a rule or a limit by now."""
    if has_rules and report["reason"] == "no_rules":
        return _("Nothing was removed: that was before there was a rule or a limit.")
    return outcome_text(_, report)


def listed_runs(parts: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Return the listed runs, each with its part; of one that went after its contents only that it went."""
    pairs = [(part, each) for part in parts for each in part["listed"]]
    gone = {_key(each) for part, each in pairs if part["action"] != "contents"}
    return [(part, each) for part, each in pairs if part["action"] != "contents" or _key(each) not in gone]


def _key(listed: Mapping[str, Any]) -> tuple[str, str]:
    return listed["workflow_id"], listed["execute_id"]


def removed_text(_: Translator, action: str, count: int) -> str:
    """Return how many runs, or their contents, were removed."""
    if action == "contents":
        return _.plural("contents of %(num)s run removed", "contents of %(num)s runs removed", count)
    if action == "bin":
        return _.plural("%(num)s run removed from the bin", "%(num)s runs removed from the bin", count)
    return _.plural("%(num)s run removed", "%(num)s runs removed", count)


def _would_go(_: Translator, action: str, count: int) -> str:
    if action == "contents":
        return _.plural("contents of %(num)s run would be removed", "contents of %(num)s runs would be removed", count)
    if action == "bin":
        return _.plural(
            "%(num)s run would be removed from the bin", "%(num)s runs would be removed from the bin", count
        )
    return _.plural("%(num)s run would be removed", "%(num)s runs would be removed", count)


def use_text(_: Translator, use: Mapping[str, int], limit: int | None) -> str:
    """Return what a history takes of the disk, and what it may take."""
    if limit is None:
        return _("The history takes %(size)s.", size=size(use["total"]))
    return _("The history takes %(size)s of %(limit)s.", size=size(use["total"]), limit=size(limit))
