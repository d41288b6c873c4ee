"""What page and command line say of rules of redaction and recording, what they did, and what is missing. Pure."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from execution_history.errors import N_
from execution_history.presentation.formatting import day, grouped, size
from execution_history.presentation.phrases import enumerated
from execution_history.presentation.retention_text import BUDGET
from execution_history.presentation.translator import Translator
from execution_history.records.detectors import DETECTORS
from execution_history.records.metadata import PRUNED, RECORDING, REDACTED_VALUES
from execution_history.records.recording_rules import RecordingRule
from execution_history.records.redaction_rules import SECRET_NAMES, SECRET_NAMES_MEANING, Action, Kind, RedactionRule
from execution_history.records.values import integer, time

_MEANINGS: Final = {
    SECRET_NAMES: SECRET_NAMES_MEANING,
    "secrets": N_("All secrets that are found without a rule"),
    "personal": N_("All personal data: phone numbers, identity cards, e-mail addresses, payment cards"),
    **{name: detector.meaning for name, detector in DETECTORS.items()},
}
_FOUND: Final[Mapping[Kind, str]] = {
    "key": N_("Values under the name %(value)s, at any depth"),
    "path": N_("The value at %(value)s"),
    "pattern": N_("Text that matches %(value)s"),
}
ACTIONS: Final[Mapping[Action, str]] = {
    "mask": N_("masked"),
    "remove": N_("removed"),
    "hash": N_("replaced by a hash"),
    "keep": N_("kept"),
}
"""What becomes of what a rule finds."""

_EXTENTS: Final = {
    "everything": N_("everything"),
    "summary": N_("a summary: status, times and tokens, without contents"),
    "nothing": N_("nothing"),
}
_SHORT: Final = 60
_PERCENT: Final = 100
_MOST_RULES: Final = 20


def found_by(_: Translator, rule: RedactionRule) -> str:
    """Return what a rule finds."""
    if rule.kind == "detector":
        return _(_MEANINGS.get(rule.value, rule.value))
    return _(_FOUND[rule.kind], value=rule.value)


def rule_label(_: Translator, name: str) -> str:
    """Return what a rule is called by that records and reports name: a detector by what it finds."""
    meaning = _MEANINGS.get(name)
    return name[:_SHORT] if meaning is None else _(meaning)


def recorded_by(_: Translator, rule: RecordingRule) -> str:
    """Return how much a rule lets be recorded."""
    if rule.share is not None:
        told = _(
            "%(percent)s%% of the runs, and all that do not succeed", percent=f"{round(rule.share * _PERCENT, 3):g}"
        )
    else:
        told = _(_EXTENTS[rule.record])
    if rule.largest_bytes is None:
        return told
    return _.message(enumerated([told, _("each value up to %(size)s", size=size(rule.largest_bytes))]))


def outcome(_: Translator, report: Mapping[str, Any], number: Callable[[int], str]) -> str:
    """Return what a redaction found and did, from its report as JSON; *number* writes a count."""
    values, records = sum(report["values"].values()), report["records"]
    if not report["changed"]:
        return _.plural(
            "Nothing to redact in %(num)s record.",
            "Nothing to redact in %(num)s records.",
            records,
            num=number(records),
        )
    counts = {"num": number(values), "changed": number(report["changed"]), "records": number(records)}
    if report["dry_run"]:
        return _.plural(
            "To be redacted: %(num)s value in %(changed)s of %(records)s records.",
            "To be redacted: %(num)s values in %(changed)s of %(records)s records.",
            values,
            **counts,
        )
    return _.plural(
        "Redacted: %(num)s value in %(changed)s of %(records)s records.",
        "Redacted: %(num)s values in %(changed)s of %(records)s records.",
        values,
        **counts,
    )


def remarks(_: Translator, report: Mapping[str, Any], command: Callable[..., str]) -> list[str]:
    """Return what else is to be known of a redaction: what is left, and where earlier versions may still be.

    Args:
        _: translates.
        report: of the redaction, as JSON.
        command: returns a call of the program on the history, from its words.
    """
    found = []
    if report["damaged"]:
        found.append(
            _.plural(
                "%(num)s record is damaged and was not looked at.",
                "%(num)s records are damaged and were not looked at.",
                report["damaged"],
            )
        )
    if report["missed"]:
        found.append(
            _.plural(
                "%(num)s record was changed by others all the time: redact again.",
                "%(num)s records were changed by others all the time: redact again.",
                report["missed"],
            )
        )
    found += _in_files(_, report)
    if report["dry_run"]:
        return found
    if report["changed"]:
        found += _left_in_store(_, report["erased"])
    if report["changed"] or any(each["changed"] for each in report.get("archives", ())):
        found += [_of_backups(_, each["place"], each["count"], command) for each in report.get("backups", ())]
        found.append(
            _(
                "Exports and copies that were made before still hold what was redacted: make new ones, and delete the "
                "old."
            )
        )
    return found


def _in_files(_: Translator, report: Mapping[str, Any]) -> list[str]:
    """Return what was found in archives, and in what waits for the store."""
    found = []
    for each in report.get("archives", ()):
        if each["trouble"] is not None:
            reason = _.message(each["trouble"]).rstrip(".")
            found.append(_("The archive %(file)s was not redacted: %(reason)s.", file=each["file"], reason=reason))
        elif each["changed"]:
            sentence = N_("Redacted in the archive %(file)s: %(changed)s of %(records)s records.")
            if report["dry_run"]:
                sentence = N_("To be redacted in the archive %(file)s: %(changed)s of %(records)s records.")
            found.append(
                _(sentence, file=each["file"], changed=grouped(each["changed"]), records=grouped(each["records"]))
            )
    spool = report.get("spool") or {"changed": 0, "missed": ()}
    if spool["changed"]:
        found.append(
            _.plural(
                "%(num)s step of a run that waits for the store is to be redacted.",
                "%(num)s steps of runs that wait for the store are to be redacted.",
                spool["changed"],
            )
            if report["dry_run"]
            else _.plural(
                "%(num)s step of a run that waits for the store was redacted.",
                "%(num)s steps of runs that wait for the store were redacted.",
                spool["changed"],
            )
        )
    if spool["missed"]:
        files = enumerated(spool["missed"])
        found.append(
            _(
                "Steps of runs that the store has not taken may still hold earlier versions: redact again, or delete "
                "these files once you no longer need them: %(files)s.",
                files=files,
            )
        )
    return found


def _left_in_store(_: Translator, is_erased: object) -> list[str]:
    """Return what is left of earlier versions in the store's files."""
    if is_erased is False:
        return [_("The files of the store still hold earlier versions: redact again without --no-erase.")]
    if is_erased is None:
        return [
            _(
                "The database keeps earlier versions of rows until it has vacuumed them: VACUUM (FULL) removes them "
                "from its files at once."
            )
        ]
    return []


def _of_backups(_: Translator, place: str, count: int | None, command: Callable[..., str]) -> str:
    """Return what to do about backups that were made before."""
    replacing = command("backup", place, "--full", "--keep", "1")
    if count is None:
        return _(
            "Backups in %(place)s, which could not be read, may still hold what was redacted; to replace them: "
            "%(command)s",
            place=place,
            command=replacing,
        )
    return _.plural(
        "%(num)s backup in %(place)s still holds what was redacted; to replace it: %(command)s",
        "%(num)s backups in %(place)s still hold what was redacted; to replace them: %(command)s",
        count,
        place=place,
        command=replacing,
    )


def missing(_: Translator, record: Mapping[str, Any]) -> list[str]:
    """Return sentences about what was left out of a record, or taken out of it; none where it is whole."""
    found = []
    if counts := _counts(REDACTED_VALUES.of(record)):
        labels = {name: rule_label(_, name) for name in counts}
        named = [f"{label} ({counts[name]})" if len(counts) > 1 else label for name, label in labels.items()]
        rules = enumerated(named[:_MOST_RULES])
        found.append(
            _.plural(
                "%(num)s value was redacted (%(rules)s).",
                "%(num)s values were redacted (%(rules)s).",
                sum(counts.values()),
                rules=rules,
            )
        )
    if (pruned := PRUNED.of(record)) is not None:
        at, count = time(pruned.get("at")), integer(pruned.get("bytes"))
        by_limit = N_("The contents of this run (%(size)s) were removed on %(day)s by the size limit.")
        by_rule = N_("The contents of this run (%(size)s) were removed on %(day)s by the rule %(rule)s.")
        found.append(
            _(
                by_limit if pruned.get("rule") == BUDGET else by_rule,
                size="–" if count is None else size(count),
                day="–" if at is None else day(at),
                rule=str(pruned.get("rule"))[:_SHORT],
            )
        )
    if (RECORDING.of(record) or {}).get("record") == "summary":
        found.append(_("Of this workflow’s runs only a summary is recorded, without contents."))
    return found


def _counts(redacted: object) -> dict[str, int]:
    """Return how many values were redacted by which rule; what is no count is left out."""
    counts: dict[str, int] = {}
    for tally in redacted.values() if isinstance(redacted, dict) else ():
        for name, count in tally.items() if isinstance(tally, dict) else ():
            if (known := integer(count)) is not None and known > 0:
                counts[name] = counts.get(name, 0) + known
    return counts
