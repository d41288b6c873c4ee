"""What page and command line say of a change of many runs. Pure."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

from execution_history.errors import N_
from execution_history.presentation.formatting import one_line, thin
from execution_history.presentation.translator import Translator

ACTIONS: Final = {"delete": N_("Delete"), "annotate": N_("Annotate"), "restore": N_("Restore")}
STATES: Final = {
    "running": N_("running"),
    "done": N_("done"),
    "stopped": N_("stopped"),
    "interrupted": N_("interrupted"),
    "undone": N_("undone"),
}
DOORS: Final = {
    "page": N_("on the page"),
    "http": N_("over HTTP"),
    "cli": N_("on the command line"),
    "python": N_("in Python"),
}
"""Where a change was begun."""

_GOING_ON: Final = {
    "delete": (N_("Deleting: %(done)s of %(total)s"), N_("Deleting: %(done)s of at least %(total)s")),
    "annotate": (N_("Changing: %(done)s of %(total)s"), N_("Changing: %(done)s of at least %(total)s")),
    "restore": (N_("Restoring: %(done)s of %(total)s"), N_("Restoring: %(done)s of at least %(total)s")),
}


class _Change(Protocol):
    """The change of many runs that :mod:`execution_history.history.bulk_changes` defines."""

    @property
    def action(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def total(self) -> int: ...
    @property
    def total_is_exact(self) -> bool: ...
    @property
    def changed(self) -> int: ...
    @property
    def unchanged(self) -> int: ...
    @property
    def refused(self) -> int: ...
    @property
    def left_alone(self) -> int: ...
    @property
    def reached(self) -> int: ...


def change_sentence(_: Translator, change: _Change) -> str:
    """Return how far a change is, or what has become of it, in a sentence or a few."""
    if change.state == "running":
        done = change.reached
        exactly, at_least = _GOING_ON[change.action]
        return _(exactly if change.total_is_exact else at_least, done=thin(done), total=thin(max(done, change.total)))
    if change.state == "undone":
        return _.plural(
            "%(num)s run was deleted; that was undone.", "%(num)s runs were deleted; that was undone.", change.changed
        )
    return _.gap.join(_parts(_, change))


def annotation_words(_: Translator, annotation: Mapping[str, Any] | None) -> str:
    """Return what an annotation sets, in a few words; nothing for ``None``."""
    if annotation is None:
        return ""
    if "tags" in annotation:
        tags = annotation["tags"]
        words = [_("tags %(tags)s", tags=", ".join(map(one_line, tags)))] if tags else [_("no tags")]
    else:
        words = [f"+{one_line(tag)}" for tag in annotation.get("add_tags", ())]
        words += [f"−{one_line(tag)}" for tag in annotation.get("remove_tags", ())]
    if rating := annotation.get("rating"):
        words.append("★" * rating)
    if "rating" in annotation and not rating:
        words.append(_("no rating"))
    if "pinned" in annotation:
        words.append(_("pinned") if annotation["pinned"] else _("not pinned"))
    if "note" in annotation:
        words.append(_("note “%(note)s”", note=one_line(annotation["note"])) if annotation["note"] else _("no note"))
    return _(", ").join(words)


def trial_sentence(_: Translator, action: str, total: int, *, is_exact: bool) -> str:
    """Return to how many runs a change would happen that was only tried."""
    if is_exact and action == "delete":
        return _.plural("%(num)s run would be deleted.", "%(num)s runs would be deleted.", total)
    if is_exact:
        return _.plural("%(num)s run would be changed.", "%(num)s runs would be changed.", total)
    if action == "delete":
        return _.plural("At least %(num)s run would be deleted.", "At least %(num)s runs would be deleted.", total)
    return _.plural("At least %(num)s run would be changed.", "At least %(num)s runs would be changed.", total)


def _parts(_: Translator, change: _Change) -> list[str]:
    changed = change.changed
    match change.action:
        case "delete":
            parts = [_.plural("%(num)s run deleted.", "%(num)s runs deleted.", changed)]
        case "restore":
            parts = [_.plural("%(num)s run restored.", "%(num)s runs restored.", changed)]
        case _:
            parts = [_.plural("%(num)s run changed.", "%(num)s runs changed.", changed)]
    if change.unchanged and change.action == "annotate":
        parts.append(_.plural("%(num)s was so already.", "%(num)s were so already.", change.unchanged))
    elif change.unchanged:
        parts.append(_.plural("%(num)s was not there.", "%(num)s were not there.", change.unchanged))
    if change.left_alone:
        parts.append(
            _.plural(
                "%(num)s run was changed by others meanwhile and left alone.",
                "%(num)s runs were changed by others meanwhile and left alone.",
                change.left_alone,
            )
        )
    if change.refused:
        parts.append(_.plural("%(num)s was left out.", "%(num)s were left out.", change.refused))
    return parts
