"""What a history knows of its backups: for each place the last one, and what went wrong since. It is in the registry.

These entries belong to the store that was backed up: backups leave them out, so that a restored history begins anew.
"""

from typing import Final

import msgspec

from execution_history.history.replication import HistoryReplication
from execution_history.maintenance.backup.manifest import Kind
from execution_history.stores.administration import EntryName

KIND: Final = "backup"
"""The kind of the entries in the registry; the key is the place."""


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
    """Why the last try failed, in English, and when (milliseconds)."""

    at: int
    problem: str


class BackupStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The backups of a history in one place.

    Attributes:
        place: the folder or bucket.
        last: the newest backup, ``None`` before there was one.
        failure: what went wrong with a later one; ``None`` where nothing did.
        every_ms: how often a server makes one; ``None`` where no server does.
    """

    place: str
    last: LastBackup | None = None
    failure: Failure | None = None
    every_ms: int | None = None

    def is_late(self, now: int) -> bool:
        """Return whether there should have been a later one by *now*: two periods have passed without one."""
        if self.every_ms is None or self.last is None:
            return False
        return now - self.last.ended_at > 2 * self.every_ms


async def status_of(service: HistoryReplication, place: str) -> BackupStatus:
    """Return what *service* knows of its backups in *place*.

    Raises:
        StoreError: the store could not be read.
    """
    entry = await service.entry(EntryName(KIND, place))
    return BackupStatus(place=place) if entry is None else _read(entry.value, place)


async def statuses(service: HistoryReplication) -> list[BackupStatus]:
    """Return what *service* knows of its backups, by place.

    Raises:
        StoreError: the store could not be read.
    """
    return [_read(entry.value, entry.name.key) for entry in await service.entries(KIND)]


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
