"""The audit log: what was deleted, taken out, brought in and redacted, and who may do so; no line is ever changed.

A line is written before the act: what cannot be noted is not done. An act that takes a while and counts what it did
(retention, redaction, a backup, a restore, a repair) has two: one when it begins, one when it has ended or failed.
Where the second is missing, it goes on or was interrupted. The line about an archive is written before its runs are
removed from the history. No line has contents of runs or secrets.
"""

import logging
from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from enum import StrEnum
from typing import Any, Final, NamedTuple, Protocol, Self

import orjson

from execution_history.access.principals import current_actor
from execution_history.errors import N_, InvalidInput, StoreError, StoreFull, message_of, quoted
from execution_history.query.hints import hint
from execution_history.query.values import read_time, read_until
from execution_history.stores.administration import Administration, AuditEntry

BEGUN: Final = "begun"
FAILED: Final = "failed"
"""The keys of details by which the first line of an act of two is known, and one about its failure."""

_log = logging.getLogger("execution_history.access")


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
    AUDIT_EXPORTED = "audit.export"


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
    Action.AUDIT_EXPORTED: N_("Exported the audit log"),
}
"""What people read for each action, to be translated."""

BEGUN_LABELS: Final[Mapping[str, str]] = {
    Action.PRUNE: N_("Began to remove runs by rule"),
    Action.REDACT: N_("Began to redact runs"),
    Action.BACKUP: N_("Began a backup"),
    Action.RESTORE: N_("Began to restore a backup"),
    Action.REPAIR: N_("Began a repair"),
}
FAILED_LABELS: Final[Mapping[str, str]] = {
    Action.PRUNE: N_("Failed to remove runs by rule"),
    Action.REDACT: N_("Failed to redact runs"),
    Action.BACKUP: N_("Failed to make a backup"),
    Action.RESTORE: N_("Failed to restore a backup"),
    Action.REPAIR: N_("Failed to repair the history"),
}
"""What people read for an act of two lines, when it begins and when it fails; the details tell which it is."""

_STOPPED: Final = N_("It was stopped before its end.")

MOST_NOTED: Final = 20
"""How many of many runs a line names."""

_AT_ONCE: Final = 500
_MOST_LOOKED_AT: Final = 50_000


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
        labels = BEGUN_LABELS if BEGUN in self.details else FAILED_LABELS if FAILED in self.details else LABELS
        return labels.get(self.action, LABELS.get(self.action, self.action))


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which lines are looked for.

    Attributes:
        actions: what was done; empty for anything.
        by: a part of who did it, such as the name or the id of a key; case does not matter.
        since: from when on (milliseconds).
        until: before when (milliseconds); ``None`` for no end.
    """

    actions: frozenset[str] = frozenset()
    by: str = ""
    since: int = 0
    until: int | None = None

    @classmethod
    def of(
        cls, actions: Iterable[str] = (), by: str = "", since: str = "", until: str = "", *, now: int, zone: tzinfo
    ) -> Self:
        """Return the filter that people write: empty texts stand for everything, times are those of other filters.

        Raises:
            InvalidInput: there is no such action.
            InvalidQuery: a time cannot be read.
        """
        named = frozenset(each for each in actions if each)
        for name in sorted(named - set(Action)):
            raise InvalidInput(
                "%(name)s is not an action: %(hint)s.", name=quoted(name), hint=hint(name, sorted(Action))
            )
        return cls(
            named,
            by.strip(),
            read_time("since", since, now=now, zone=zone) if since.strip() else 0,
            read_until("until", until, now=now, zone=zone) if until.strip() else None,
        )

    def matches(self, entry: AuditEntry) -> bool:
        """Return whether *entry* is looked for."""
        return (
            (not self.actions or entry.action in self.actions)
            and self.since <= entry.at
            and (self.until is None or entry.at < self.until)
            and self.by.casefold() in entry.actor.casefold()
        )

    def words(self) -> dict[str, Any]:
        """Return what is looked for, for the line of an export."""
        given = {"actions": sorted(self.actions), "by": self.by, "since": self.since, "until": self.until}
        return {name: value for name, value in given.items() if value}


EVERYTHING: Final = AuditFilter()


class AuditWriter(Protocol):
    """What has an audit log to write: a store, or a service."""

    async def append_audit(self, actor: str, action: str, details: bytes = b"{}") -> int:
        """See :meth:`Administration.append_audit`."""


class AuditPage(NamedTuple):
    """Lines, the newest first, and the number before which further ones may be; ``None`` at the end."""

    lines: list[AuditLine]
    next: int | None


async def note(store: Administration, action: Action, **details: object) -> None:
    """Write a line about what whoever acts is about to do; details without a value, or empty ones, are left out.

    Raises:
        StoreError: it could not be written; then the act must not be done.
    """
    kept = {name: value for name, value in details.items() if value not in (None, (), {})}
    await store.append_audit(current_actor(), action.value, orjson.dumps(kept, default=_as_json))


class Act:
    """An act that takes a while: a line when it begins, and one when it has ended, or failed.

    Used as a context manager around the act, which writes the second line where there is a first one or something was
    found.

    Args:
        log: has the audit log.
        action: what is done.
        actor: who does it; whoever acts unless given.
        about: details of both lines.

    Attributes:
        found: details of the second line, such as counts.
        has_begun: whether there is a first one.
    """

    def __init__(self, log: AuditWriter, action: Action, actor: str | None = None, **about: object) -> None:
        self.found: dict[str, object] = {}
        self._log, self._action, self._actor, self._about = log, action, actor or current_actor(), about
        self.has_begun = False

    async def begin(self) -> None:
        """Write the first line, once; before anything is changed. A full disk does not keep it from being done.

        Raises:
            StoreError: it could not be written; then the act must not be done.
        """
        if self.has_begun:
            return
        try:
            await self._note({**self._about, BEGUN: True})
        except StoreFull as error:
            _log.warning("That this began is not in the audit log: %s (%s)", self._action.value, error)
        self.has_begun = True

    async def __aenter__(self) -> Self:
        """Return the act, of which nothing is noted yet."""
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Write the second line, if there is a first one or something was found."""
        del kind, trace
        if not self.has_begun and not self.found:
            return
        if error is None:
            await self._note({**self._about, **self.found})
            return
        reason = message_of(error) if isinstance(error, Exception) else _STOPPED
        try:
            await self._note({**self._about, **self.found, FAILED: reason})
        except StoreError as trouble:  # what went wrong is raised, and is the more important
            _log.warning("That this failed is not in the audit log: %s (%s)", self._action.value, trouble)

    async def _note(self, details: Mapping[str, object]) -> None:
        await self._log.append_audit(self._actor, self._action.value, orjson.dumps(details, default=_as_json))


async def lines(store: Administration, chosen: AuditFilter = EVERYTHING) -> AsyncGenerator[AuditLine]:
    """Yield the lines that are looked for, oldest first.

    Raises:
        StoreError: the store could not be read.
    """
    after = 0
    while page := await store.audit(after, _AT_ONCE):
        for entry in page:
            if chosen.matches(entry):
                yield _line(entry)
        after = page[-1].number


async def newest_lines(
    store: Administration, limit: int, chosen: AuditFilter = EVERYTHING, before: int | None = None
) -> AuditPage:
    """Return the newest lines that are looked for, at most *limit*, of those with a number below *before*.

    At most 50,000 lines are looked at: a page can be empty and yet have a next one.

    Raises:
        StoreError: the store could not be read.
    """
    end = await _newest_number(store) + 1
    end = end if before is None else min(before, end)
    found: list[AuditLine] = []
    least = max(0, end - 1 - _MOST_LOOKED_AT)
    while end - 1 > least:
        start = max(least, end - 1 - _AT_ONCE)
        page = [entry for entry in await store.audit(start, end - 1 - start) if entry.number < end]
        for entry in reversed(page):
            if not chosen.matches(entry):
                continue
            if len(found) == limit:
                return AuditPage(found, entry.number + 1)
            found.append(_line(entry))
        end = start + 1
    return AuditPage(found, end if end > 1 else None)


async def _newest_number(store: Administration) -> int:
    """Return the number of the newest line, 0 where there is none, without reading those before it."""
    least, most = 0, 1
    while await store.audit(most, 1):
        least, most = most, 2 * most
    while least < most:
        middle = (least + most) // 2
        least, most = (middle + 1, most) if await store.audit(middle, 1) else (least, middle)
    return least


def _as_json(value: object) -> object:
    """Return what orjson can write: named tuples, such as the key of a run, as lists."""
    return list(value) if isinstance(value, tuple) else str(value)


def details_in(text: bytes) -> dict[str, Any]:
    """Return the details of a line, which anybody may have written; of what is no JSON object, none."""
    try:
        found = orjson.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _line(entry: AuditEntry) -> AuditLine:
    return AuditLine(entry.number, entry.at, entry.actor, entry.action, details_in(entry.details))
