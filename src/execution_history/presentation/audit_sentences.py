"""What page and command line say of a line of the audit log: who, and about what. Pure.

The details are JSON, as :mod:`execution_history.access.audit` and those who note something write it. Lines can be old,
or restored from a backup: of details in another shape, names and values are shown.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from execution_history.errors import N_
from execution_history.presentation.formatting import as_text, grouped, machine, size
from execution_history.presentation.retention_text import ACTIONS, filters_text, limits_text, removed_text, rule_name
from execution_history.presentation.translator import Translator

Details = Mapping[str, Any]

_KEY: Final = re.compile(r"([0-9a-f]{8}) (.*)", re.DOTALL)
_BY_ITSELF: Final = frozenset({"serve", "retention", "backup", "service"})
_FORMATS: Final = {"jsonl": "JSON Lines", "json": "JSON", "csv": "CSV", "parquet": "Parquet"}
_BACKUPS: Final = {"full": N_("full backup"), "incremental": N_("incremental backup")}


def actor_text(_: Translator, actor: str) -> str:
    """Return who did something, as people say it: a key, a user of the machine, anybody, or the server itself."""
    if found := _KEY.fullmatch(actor):
        return _("key %(name)s", name=found[2])
    if actor in _BY_ITSELF:
        return _("the server by itself")
    if actor in ("local", "http", "page"):
        return _("somebody without a key")
    if actor == "nobody":
        return _("somebody unknown")
    if actor.startswith("local:"):
        return _("%(user)s, on this machine", user=actor.removeprefix("local:"))
    return actor


def details_text(_: Translator, action: str, details: Details) -> str:
    """Return what was done about what, in one line."""
    tell = _begun if "begun" in details else _SENTENCES.get(action, _plain)
    try:
        if "failed" in details:
            return _failed(_, action, details)
        return tell(_, details)
    except (LookupError, TypeError, ValueError, AttributeError):
        return _plain(_, details)


def _begun(_: Translator, details: Details) -> str:
    """Return what an act that begins is about."""
    named = details.get("only_workflows", ())
    return str(details.get("place", "")) or _(", ").join(_("workflow %(workflow)s", workflow=each) for each in named)


def _failed(_: Translator, action: str, details: Details) -> str:
    """Return why an act failed, and what it had done by then."""
    told = _begun(_, details)
    with suppress(LookupError, TypeError, ValueError, AttributeError):  # it had not come so far
        told = _SENTENCES[action](_, details)
    reason = _.message(details["failed"])
    return _("%(text)s (%(remark)s)", text=reason, remark=told) if told else reason


def _plain(_: Translator, details: Details) -> str:
    return _(", ").join(f"{name}: {_value(value)}" for name, value in details.items())


def _value(value: object) -> str:
    return " ".join(map(_value, value)) if isinstance(value, list) else as_text(value)


def _runs(_: Translator, count: int) -> str:
    return _.plural("%(num)s run", "%(num)s runs", count)


def _deleted(_: Translator, details: Details) -> str:
    if "execute_id" in details:
        return _("run %(run)s of workflow %(workflow)s", run=details["execute_id"], workflow=details["workflow_id"])
    return _chosen(_, details)


def _chosen(_: Translator, details: Details) -> str:
    """Return runs that were chosen one by one, the first of them by their ids."""
    named = [each[1] if isinstance(each, list) else str(each) for each in details.get("first", ())]
    told = _runs(_, details["runs"])
    if named:
        told += _(": ") + _(", ").join(named)
    return told + (" …" if 0 < len(named) < details["runs"] else "")


def _filtered(_: Translator, details: Details) -> str:
    """Return the filters that chose something, as addresses and commands have them."""
    filters = {name: texts if isinstance(texts, list) else [texts] for name, texts in details["filters"].items()}
    return " ".join(
        f"{name}={','.join(_filter_value(name, text) for text in texts)}" for name, texts in filters.items()
    )


def _filter_value(name: str, value: object) -> str:
    """Return a value of a filter; times, which are kept as milliseconds, as people read them."""
    return machine(int(str(value))) if name in ("since", "until") and str(value).isdecimal() else str(value)


def _changed(_: Translator, details: Details) -> str:
    told = _runs(_, details["runs"])
    return told + _(": ") + _filtered(_, details) if details.get("filters") else told


def _exported(_: Translator, details: Details) -> str:
    kind = _FORMATS.get(details["format"], details["format"])
    if "runs" in details:
        what = _chosen(_, details)
    else:
        what = _filtered(_, details) if details.get("filters") else _("everything")
    return f"{kind}{_(', ')}{what}"


def _repriced(_: Translator, details: Details) -> str:
    return _filtered(_, details) if details.get("filters") else _("all runs")


def _pruned(_: Translator, details: Details) -> str:
    parts = [
        f"{removed_text(_, each['action'], each['runs'])} ({rule_name(_, each['rule'])})" for each in details["parts"]
    ]
    return _("%(what)s; %(size)s given back.", what=_(", ").join(parts), size=size(details["freed"]))


def _rule(_: Translator, rule: Details) -> str:
    what = f"{rule['name']}{_(': ')}{_(ACTIONS[rule['action']])}"
    return _(", ").join(part for part in (what, filters_text(rule), limits_text(_, rule)) if part)


def _archived(_: Translator, details: Details) -> str:
    return f"{details['month']}{_(', ')}{_runs(_, details['records'])}{_(', ')}{details['file']}"


def _redacted(_: Translator, details: Details) -> str:
    return _.plural(
        "%(values)s values in %(num)s run",
        "%(values)s values in %(num)s runs",
        details["records"],
        values=grouped(sum(details["values"].values())),
    )


def _backed_up(_: Translator, details: Details) -> str:
    return _(", ").join((_(_BACKUPS[details["kind"]]), _runs(_, details["records"]), details["place"]))


def _restored(_: Translator, details: Details) -> str:
    if "missing" in details:
        return _("only what was missing, from %(place)s", place=details["place"])
    return _(", ").join((_runs(_, details["records"]), details["place"]))


def _repaired(_: Translator, details: Details) -> str:
    return _.gap.join(sentence for sentences in details["repaired"].values() for sentence in sentences)


def _key_added(_: Translator, details: Details) -> str:
    told = f"{details['name']} ({details['id']}){_(': ')}{_(', ').join(details['scopes'])}"
    workflows = details.get("workflows")
    return told + _(", ") + _("only workflows %(patterns)s", patterns=" ".join(workflows)) if workflows else told


def _key_renewed(_: Translator, details: Details) -> str:
    until = details.get("expires")
    ends = _("never expires") if until is None else _("expires %(time)s", time=machine(until))
    return f"{details['name']} ({details['id']}){_(', ')}{ends}"


def _sessions(_: Translator, details: Details) -> str:
    if details["signed_out"]:
        return _("everyone has to sign in again")
    return _("a new signature for cookies; those from before stay valid until they end")


_SENTENCES: Final[Mapping[str, Callable[[Translator, Details], str]]] = {
    "delete": _deleted,
    "clear": lambda _, details: _("workflow %(workflow)s", workflow=details["workflow_id"]),
    "bulk_delete": _changed,
    "undelete": _chosen,
    "export": _exported,
    "import": lambda _, details: _.plural("%(num)s source", "%(num)s sources", details["sources"]),
    "reprice": _repriced,
    "retention.prune": _pruned,
    "retention.rule.set": _rule,
    "retention.rule.remove": lambda _, details: str(details["name"]),
    "bin.empty": _chosen,
    "archive": _archived,
    "redact": _redacted,
    "backup": _backed_up,
    "restore": _restored,
    "doctor": _repaired,
    "key_added": _key_added,
    "key_renewed": _key_renewed,
    "key_revoked": lambda _, details: f"{details['name']} ({details['id']})",
    "sessions_ended": _sessions,
    "sign_in_failed": lambda _, details: _("from %(client)s", client=details["client"]),
    "audit.export": _exported,
}
