"""Keys that a history has lost: its audit log says that they were added, and not that they were revoked."""

from functools import partial

from execution_history.access.audit import Action, details_in
from execution_history.errors import N_, Message
from execution_history.presentation.command_line import command_line
from execution_history.stores.administration import KEY
from execution_history.stores.capabilities import Verifiable
from execution_history.stores.verification import Check, Finding, Outcome, Progress, counted, named


def key_check(store: Verifiable, location: str | None = None) -> Check:
    """Return the check of the keys of *store*, which commands know by its *location*."""
    return Check("keys", N_("Keys"), partial(_look, store, location))


async def _look(store: Verifiable, location: str | None, _: Progress) -> Outcome:
    entries, lines = await store.administration(KEY, (Action.KEY_ADDED.value, Action.KEY_REVOKED.value))
    there = {entry.name.key for entry in entries}
    added: dict[str, str] = {}
    for line in lines:
        details = details_in(line.details)
        key_id, name = details.get("id"), details.get("name")
        if line.action == Action.KEY_ADDED and isinstance(key_id, str) and isinstance(name, str):
            added[key_id] = name
        elif isinstance(key_id, str):
            added.pop(key_id, None)
    one, several = N_("1 key"), N_("%(count)s keys")
    summary = counted(len(there), one, several)
    lost = [name for key_id, name in added.items() if key_id not in there]
    if not lost:
        return Outcome(summary)
    sentence = counted(
        len(lost),
        N_("1 key is gone without having been revoked: %(names)s."),
        N_("%(count)s keys are gone without having been revoked: %(names)s."),
        names=named(lost),
    )
    remedy = Message(
        "Bring them back from a backup (%(restore)s, then %(renew)s), or add new ones (%(add)s).",
        restore=command_line("restore", "FOLDER", "--missing", store=location),
        renew=command_line("keys", "renew", "NAME", store=location),
        add=command_line("keys", "add", "NAME", "--scope", "read", store=location),
    )
    # Without any key a server lets in whoever reaches it, or nobody.
    return Outcome(summary, [Finding(sentence, remedy, is_problem=not there)])
