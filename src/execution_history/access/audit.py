"""The audit log: one line for each deletion, export, import, redaction and change of keys; no line is ever changed.

A line is written before the act: what cannot be noted is not done. It has no contents of runs and no secrets.
"""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import orjson

from execution_history.access.principals import current_actor
from execution_history.errors import N_
from execution_history.presentation.formatting import as_text
from execution_history.stores.administration import Administration, AuditEntry


class Action(StrEnum):
    """What the audit log has lines of."""

    DELETE = "delete"
    CLEAR = "clear"
    BULK_DELETE = "bulk_delete"
    UNDELETE = "undelete"
    EXPORT = "export"
    IMPORT = "import"
    REPRICE = "reprice"
    PRUNE = "retention.prune"
    RULE_SET = "retention.rule.set"
    RULE_REMOVED = "retention.rule.remove"
    BIN_EMPTIED = "bin.empty"
    ARCHIVE = "archive"
    REDACT = "redact"
    BACKUP = "backup"
    RESTORE = "restore"
    REPAIR = "doctor"
    KEY_ADDED = "key_added"
    KEY_RENEWED = "key_renewed"
    KEY_REVOKED = "key_revoked"
    SESSIONS_ENDED = "sessions_ended"
    SIGN_IN_FAILED = "sign_in_failed"


LABELS: Final[Mapping[str, str]] = {
    Action.DELETE: N_("Deleted runs"),
    Action.CLEAR: N_("Deleted the history of a workflow"),
    Action.BULK_DELETE: N_("Deleted all matching runs"),
    Action.UNDELETE: N_("Restored deleted runs"),
    Action.EXPORT: N_("Exported runs"),
    Action.IMPORT: N_("Imported runs"),
    Action.REPRICE: N_("Recalculated costs"),
    Action.PRUNE: N_("Removed runs by rule"),
    Action.RULE_SET: N_("Set a retention rule"),
    Action.RULE_REMOVED: N_("Removed a retention rule"),
    Action.BIN_EMPTIED: N_("Removed runs from the bin"),
    Action.ARCHIVE: N_("Archived runs"),
    Action.REDACT: N_("Redacted runs"),
    Action.BACKUP: N_("Made a backup"),
    Action.RESTORE: N_("Restored a backup"),
    Action.REPAIR: N_("Repaired the history"),
    Action.KEY_ADDED: N_("Added a key"),
    Action.KEY_RENEWED: N_("Renewed a key"),
    Action.KEY_REVOKED: N_("Revoked a key"),
    Action.SESSIONS_ENDED: N_("Signed all browsers out"),
    Action.SIGN_IN_FAILED: N_("Refused an unknown key"),
}
"""What people read for each action, to be translated."""

_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class AuditLine:
    """A line of the audit log: its place, when (milliseconds), who, what, and about what."""

    number: int
    at: int
    actor: str
    action: str
    details: dict[str, Any]

    @property
    def label(self) -> str:
        """What people read for the action; of one that is not known, its name."""
        return LABELS.get(self.action, self.action)

    @property
    def details_text(self) -> str:
        """The details on one line, as names and values."""
        return ", ".join(f"{name}: {_words(value)}" for name, value in self.details.items())


async def note(store: Administration, action: Action, **details: object) -> None:
    """Write a line about what whoever acts is about to do; details without a value, or empty ones, are left out.

    Raises:
        StoreError: it could not be written; then the act must not be done.
    """
    kept = {name: value for name, value in details.items() if value not in (None, (), {})}
    await store.append_audit(current_actor(), action.value, orjson.dumps(kept, default=str))


async def lines(store: Administration, since: int = 0) -> AsyncGenerator[AuditLine]:
    """Yield the lines of the audit log that were written at the time *since* (milliseconds) or later, oldest first.

    Raises:
        StoreError: the store could not be read.
    """
    after = 0
    while page := await store.audit(after, _AT_ONCE):
        for entry in page:
            if entry.at >= since:
                yield _line(entry)
        after = page[-1].number


async def newest_lines(store: Administration, limit: int) -> list[AuditLine]:
    """Return the newest lines, at most *limit*, the newest first.

    Raises:
        StoreError: the store could not be read.
    """
    newest = await _newest_number(store)
    return [_line(entry) for entry in reversed(await store.audit(max(0, newest - limit), limit))]


async def _newest_number(store: Administration) -> int:
    """Return the number of the newest line, 0 where there is none, without reading those before it."""
    least, most = 0, 1
    while await store.audit(most, 1):
        least, most = most, 2 * most
    while least < most:
        middle = (least + most) // 2
        least, most = (middle + 1, most) if await store.audit(middle, 1) else (least, middle)
    return least


def _words(value: object) -> str:
    return " ".join(map(_words, value)) if isinstance(value, list) else as_text(value)


def _line(entry: AuditEntry) -> AuditLine:
    try:
        details = orjson.loads(entry.details)
    except ValueError:
        details = {}
    return AuditLine(entry.number, entry.at, entry.actor, entry.action, details if isinstance(details, dict) else {})
