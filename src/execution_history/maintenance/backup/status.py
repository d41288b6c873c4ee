"""What a history knows of its backups: for each place the last one, and what went wrong since. It is in the registry.

These entries belong to the store that was backed up: backups leave them out, so that a restored history begins anew.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from execution_history.access.audit import BEGUN, FAILED, Action, AuditFilter, newest_lines
from execution_history.errors import Message, message_of
from execution_history.history.replication import HistoryReplication
from execution_history.maintenance.backup.manifest import Backups, Kind
from execution_history.stores.administration import SESSION_KEY, Administration, Entry, EntryName

KIND: Final = "backup"
"""The kind of the entries in the registry; the key is the place."""

REDACTION: Final = "redaction"
"""The kind of the entries that a redaction goes on from; another store counts its records otherwise."""

LEFT_OUT: Final = frozenset({KIND, REDACTION, SESSION_KEY})
"""Entries that are in no backup: who can read one must not be able to sign in to the server with what stands in it."""

_NOT_WHOLE: Final = frozenset({BEGUN, FAILED, "missing"})
"""Details of a line of the audit log about a restore that has not made a history."""

_LINES_LOOKED_AT: Final = 100


class LastBackup(msgspec.Struct, frozen=True, kw_only=True):
    """The newest backup of a history in a place: see the manifest for its fields; ``ended_at`` is in milliseconds."""

    id: str
    kind: Kind
    revision: int
    created_at: int
    ended_at: int
    records: int
    size: int


class Failure(msgspec.Struct, frozen=True):
    """Why the last try failed: the sentence's msgid with its arguments; and when (milliseconds)."""

    at: int
    msgid: str
    arguments: dict[str, str] = {}

    @classmethod
    def of(cls, error: Exception, at: int) -> "Failure":
        """Return that of *error*."""
        message = message_of(error)
        if not isinstance(message, Message):
            return cls(at, message)
        return cls(at, message.msgid, {name: str(value) for name, value in message.arguments.items()})

    @property
    def problem(self) -> Message:
        """The sentence, which can be translated."""
        return Message(self.msgid, **self.arguments)


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """The newest backup that was restored to prove that it can be, and when (milliseconds)."""

    id: str
    at: int


class BackupStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The backups of a history in one place.

    Attributes:
        place: the folder or bucket.
        last: the newest backup, ``None`` before there was one.
        failure: what went wrong with a later one; ``None`` where nothing did.
        begun: the id of one that is being made, or was when its process was killed.
        verified: the newest one that was verified; ``None`` where none was.
        unverified: how many were made after that.
    """

    place: str
    last: LastBackup | None = None
    failure: Failure | None = None
    begun: str | None = None
    verified: Verification | None = None
    unverified: int = 0

    def is_late(self, planned: "PlannedBackups | None", now: int) -> bool:
        """Return whether there should have been a later one by *now*: two periods have passed without one."""
        if planned is None or self.last is None or planned.place != self.place:
            return False
        return now - self.last.ended_at > 2 * planned.every_ms


class PlannedBackups(NamedTuple):
    """The backups that this process makes by itself: where, and how often (milliseconds)."""

    place: str
    every_ms: int


async def status_of(service: HistoryReplication, place: str) -> BackupStatus:
    """Return what *service* knows of its backups in *place*.

    Raises:
        StoreError: the store could not be read.
    """
    return status_in(await service.entry(EntryName(KIND, place)), place)


def status_in(entry: Entry | None, place: str) -> BackupStatus:
    """Return what *entry*, of the registry, says of the backups in *place*."""
    return BackupStatus(place=place) if entry is None else _read(entry.value, place)


def source_of(service: HistoryReplication) -> str:
    """Return the name by which manifests know that a backup is one of *service*."""
    return service.location or "memory:"


def last_verification(backups: Backups, source: str) -> tuple[Verification | None, int]:
    """Return which backup of *source* was verified last, if any, and how many were made after that one."""
    ours = [each for each in backups.all if each.manifest.source == source]
    for later, each in enumerate(reversed(ours)):
        if each.verified is not None:
            return Verification(id=each.manifest.id, at=each.verified), later
    return None, len(ours)


async def statuses(service: HistoryReplication) -> list[BackupStatus]:
    """Return what *service* knows of its backups, by place.

    Raises:
        StoreError: the store could not be read.
    """
    return [_read(entry.value, entry.name.key) for entry in await service.entries(KIND)]


class Restoration(NamedTuple):
    """The backup that a history was restored from: its id and place, and when that was (milliseconds)."""

    id: str
    place: str
    at: int


async def last_restoration(store: Administration) -> Restoration | None:
    """Return the backup that the history in *store* was last restored from as a whole; ``None`` where it was not.

    The audit log has it, also where the history has not made a backup of its own yet.

    Raises:
        StoreError: the store could not be read.
    """
    found = await newest_lines(store, _LINES_LOOKED_AT, AuditFilter(frozenset({Action.RESTORE})))
    for line in found.lines:
        if not line.details.keys() & _NOT_WHOLE:
            return Restoration(str(line.details.get("id", "")), str(line.details.get("place", "")), line.at)
    return None


def current(found: Sequence[BackupStatus], planned: PlannedBackups | None) -> list[BackupStatus]:
    """Return those that there is still something to tell of.

    That are the planned ones, the place of the newest backup, and those where one has failed since. What is of no use
    any more, such as a place that was mistyped once, is left out.
    """
    newest = max((each.last.ended_at for each in found if each.last is not None), default=0)
    return [
        each
        for each in found
        if (planned is not None and planned.place == each.place)
        or (each.last is not None and each.last.ended_at == newest)
        or (each.failure is not None and each.failure.at > newest)
    ]


async def save_status(service: HistoryReplication, status: BackupStatus) -> None:
    """Note *status*.

    Raises:
        StoreError: it could not be written.
    """
    await service.put_entry(EntryName(KIND, status.place), msgspec.json.encode(status), expected=None)


def _read(value: bytes, place: str) -> BackupStatus:
    try:
        return msgspec.json.decode(value, type=BackupStatus)
    except msgspec.MsgspecError:  # of another version: the next backup is a full one
        return BackupStatus(place=place)
