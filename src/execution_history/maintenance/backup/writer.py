"""A backup of a history that is in use: everything, or what has changed since the last one.

The records are read as they are while others write; then the change feed is followed until an answer reaches its end.
Every record in the backup then is as it was at the moment of that answer, which is the moment of the backup.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any, Final
from uuid import uuid4

from msgspec import structs

from execution_history.access.audit import Act, Action
from execution_history.clock import now_ms
from execution_history.errors import BackupFailed, FeedExpired, Message, quoted
from execution_history.history.service import ExecutionHistoryService
from execution_history.maintenance.backup.lines import line_of_change, lines_of_audit, lines_of_entries
from execution_history.maintenance.backup.manifest import MANIFEST, KnownBackup, Manifest, id_at, sealed
from execution_history.maintenance.backup.rotation import remove_old, remove_unfinished
from execution_history.maintenance.backup.segments import SegmentWriter
from execution_history.maintenance.backup.status import (
    LEFT_OUT,
    BackupStatus,
    Failure,
    LastBackup,
    Verification,
    last_verification,
    save_status,
    source_of,
    status_of,
)
from execution_history.maintenance.backup.target import BackupTarget, read_backups
from execution_history.maintenance.sole import sole
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordKey
from execution_history.stores.protocol import LARGEST_ANSWER, Change
from execution_history.transfer.named_records import NamedRecords
from execution_history.transfer.progress import OnProgress, Progress, in_thread, no_progress, read_ahead

_CHANGES_AT_ONCE: Final = 1_000
_LINES_AT_ONCE: Final = 5_000


@dataclass(frozen=True, slots=True)
class BackupReport:
    """The outcome of a backup.

    Attributes:
        manifest: what it holds.
        place: where it is.
        seconds: how long it took.
        removed: the ids of older backups that were removed for it.
        reason: why it is full although an incremental one was possible.
    """

    manifest: Manifest
    place: str
    seconds: float
    removed: tuple[str, ...] = ()
    reason: Message | None = None

    def to_json(self) -> dict[str, Any]:
        """Return an object of the fields above, with those of the manifest but for its files."""
        return {"place": self.place, **shown(self.manifest), "seconds": round(self.seconds, 3), "removed": self.removed}


def shown(manifest: Manifest) -> dict[str, Any]:
    """Return what a backup holds as an object, without its files."""
    names = ("id", "parent", "source", "created_at", "moment", "revision", "reason", "records", "deletions", "entries")
    plain = {name: getattr(manifest, name) for name in (*names, "audit_lines", "total", "damaged_count", "size")}
    return {**plain, "kind": manifest.kind, "files": len(manifest.segments)}


async def back_up(
    service: ExecutionHistoryService,
    target: BackupTarget,
    *,
    full: bool = False,
    keep: int | None = None,
    full_every_ms: int | None = None,
    actor: str | None = None,
    on_progress: OnProgress = no_progress,
    clock: Callable[[], int] = now_ms,
) -> BackupReport:
    """Make a backup of *service* in *target*: an incremental one where the last one can be continued, else a full one.

    Args:
        service: the history; it may be in use, by other processes too.
        target: where.
        full: make a full one in any case.
        keep: how many full backups stay, each with those that need it; older ones are removed. All, unless given.
        full_every_ms: how old the last full one may be for another incremental one (milliseconds).
        actor: who makes it, for the audit log; whoever acts unless given.
        on_progress: called now and then.
        clock: milliseconds since the epoch.

    Raises:
        BackupFailed: it could not be written, or another process is making one; nothing of it counts as a backup.
        StoreError: the history could not be read, or is one that cannot be written.
    """
    await service.open()
    began = time.monotonic()
    status = await status_of(service, target.name)
    refusal = Message(
        "Another process is making a backup in %(place)s now: wait until it has ended, or twenty seconds if it was "
        "killed.",
        place=quoted(target.name),
    )
    backup_id = id_at(created_at := _later(clock(), status), uuid4().hex[:4])
    act = Act(service, Action.BACKUP, actor, place=target.name, id=backup_id)
    async with sole(service, f"backup:{target.name}", refusal), act:
        # What cannot be written, such as an archive, is refused before the work.
        await save_status(service, structs.replace(status, begun=backup_id))
        await act.begin()
        try:
            if status.begun is not None:
                await in_thread(remove_unfinished, target, status.begun)
            plan = await _planned(service, target, status, full=full, full_every_ms=full_every_ms, now=clock())
            backup = _Backup(service, target, plan, on_progress, clock, backup_id, created_at)
            manifest = await _write(backup, target, backup_id)
            status = plan.continued(status, _last(manifest, clock()))
            removed = await in_thread(remove_old, target, manifest.source, keep, clock())
        except Exception as error:
            begun = None if status.last is not None and status.last.id == backup_id else backup_id
            await save_status(service, structs.replace(status, failure=Failure.of(error, clock()), begun=begun))
            raise
        await save_status(service, status)
        act.found = {"kind": manifest.kind, "records": manifest.records, "removed": removed}
    return BackupReport(manifest, target.name, time.monotonic() - began, tuple(removed), plan.reason)


async def _write(backup: "_Backup", target: BackupTarget, backup_id: str) -> Manifest:
    """Write *backup*, and return its manifest; where that fails, nothing of it takes space."""
    try:
        return await backup.made()
    except Exception:
        if backup.has_files:
            with suppress(BackupFailed):  # then the next backup removes it
                await in_thread(remove_unfinished, target, backup_id)
        raise


def _later(now: int, status: BackupStatus) -> int:
    """Return *now*, or where the clock was set back a time after the last backup, so that the newest is the last."""
    return now if status.last is None else max(now, status.last.created_at + 1)


def _last(manifest: Manifest, ended_at: int) -> LastBackup:
    return LastBackup(
        id=manifest.id,
        kind=manifest.kind,
        revision=manifest.revision,
        created_at=manifest.created_at,
        ended_at=ended_at,
        records=manifest.records,
        size=manifest.size,
    )


@dataclass(frozen=True, slots=True)
class _Plan:
    """The backup that is continued, or why a new chain begins where there is one.

    The last backup that was verified, by whatever machine, and how many came after it, are known where the backups had
    to be read.
    """

    parent: KnownBackup | None = None
    reason: Message | None = None
    verified: Verification | None = None
    unverified: int = 0

    def continued(self, status: BackupStatus, last: LastBackup) -> BackupStatus:
        """Return what is known of the place with the *last* backup in it."""
        known = self if self.verified is not None else status
        return BackupStatus(place=status.place, last=last, verified=known.verified, unverified=known.unverified + 1)


async def _planned(
    service: ExecutionHistoryService,
    target: BackupTarget,
    status: BackupStatus,
    *,
    full: bool,
    full_every_ms: int | None,
    now: int,
) -> _Plan:
    if full or status.last is None:
        return _Plan()
    backups = await in_thread(read_backups, target)
    parent = backups.get(status.last.id)
    if parent is None:
        return _Plan(reason=Message("The last backup, %(id)s, is not there any more.", id=status.last.id))
    try:
        first = backups.chain_of(parent)[0]
    except BackupFailed as error:
        return _Plan(reason=error.message)
    if await service.revision() < parent.manifest.revision:
        return _Plan(reason=Message("The history was set back since the last backup, %(id)s.", id=status.last.id))
    if full_every_ms is not None and abs(now - first.manifest.created_at) >= full_every_ms:
        return _Plan()
    try:
        await service.changes(parent.manifest.revision, 1)
    except FeedExpired:
        return _Plan(
            reason=Message("The last backup, %(id)s, is so old that later deletions are forgotten.", id=status.last.id)
        )
    return _Plan(parent, None, *last_verification(backups, source_of(service)))


class _Backup:
    """One backup, with what it has read so far."""

    def __init__(
        self,
        service: ExecutionHistoryService,
        target: BackupTarget,
        plan: _Plan,
        on_progress: OnProgress,
        clock: Callable[[], int],
        backup_id: str,
        created_at: int,
    ) -> None:
        self._service, self._target, self._plan, self._on_progress = service, target, plan, on_progress
        self._clock = clock
        self._id, self._created_at, self._moment = backup_id, created_at, created_at
        self._writer = SegmentWriter(target, self._id)
        self._revision = self._audited = 0
        self._records = self._deletions = self._entries = self._lines = self._size = 0
        self._total: int | None = None
        self._damaged = NamedRecords()

    @property
    def has_files(self) -> bool:
        """Whether anything of it is in the target."""
        return bool(self._writer.segments)

    async def made(self) -> Manifest:
        """Write the backup, its manifest last, and return that."""
        parent = self._plan.parent
        if parent is None:
            self._revision = await self._service.revision()
            await self._write_records()
            await self._write_registry()
        else:
            self._revision, self._audited = parent.manifest.revision, parent.manifest.audited
        await self._follow()
        total = await self._counted()
        await self._write_audit()
        await self._writer.end()
        manifest = Manifest(
            id=self._id,
            version=_version(),
            source=source_of(self._service),
            created_at=self._created_at,
            moment=self._moment,
            revision=self._revision,
            audited=self._audited,
            parent=None if parent is None else parent.manifest.id,
            parent_checksum=None if parent is None else parent.checksum,
            reason=None if self._plan.reason is None else str(self._plan.reason),
            records=self._records,
            deletions=self._deletions,
            entries=self._entries,
            audit_lines=self._lines,
            total=total,
            damaged=tuple((key.workflow_id, key.execute_id) for key in self._damaged.keys),
            damaged_count=self._damaged.count,
            segments=tuple(self._writer.segments),
        )
        data, _ = sealed(manifest)
        await in_thread(self._target.write, f"{self._id}/{MANIFEST}", data)
        return manifest

    async def _write_records(self) -> None:
        """Write all records, each as it is when it is read."""
        self._total = sum(summary.total for summary in await self._service.workflow_summaries())
        async for batch in read_ahead(self._service.batches(RecordFilter())):
            await self._writer.add("records", batch.documents)
            self._damaged.add(*batch.damaged)
            self._count(len(batch.documents), sum(map(len, batch.documents)))

    async def _write_registry(self) -> None:
        entries = [entry for entry in await self._service.registry() if entry.name.kind not in LEFT_OUT]
        await self._writer.add("changes", lines_of_entries(entries))
        self._entries += len(entries)

    async def _follow(self) -> None:
        """Write what has changed since the revision that was reached, up to an answer that reaches the feed's end."""
        is_at_end = False
        while not is_at_end:
            self._moment = self._clock()
            changes = await self._service.changes(self._revision, _CHANGES_AT_ONCE, documents=True)
            size = sum(len(change.document or b"") for change in changes)
            is_at_end = len(changes) < _CHANGES_AT_ONCE and size < LARGEST_ANSWER
            if changes:
                await self._writer.add("changes", self._lines_of(changes))
                self._revision = changes[-1].revision
                self._count(sum(change.entry is None and change.document is not None for change in changes), size)

    def _lines_of(self, changes: list[Change]) -> list[bytes]:
        lines = []
        for change in changes:
            if change.entry is not None and change.entry.kind in LEFT_OUT:
                continue
            self._entries += change.entry is not None
            self._deletions += change.kind == "deleted"
            line = line_of_change(change)
            if line is None:
                self._damaged.add(RecordKey(change.workflow_id or "", change.execute_id or ""))
            else:
                lines.append(line)
        return lines

    async def _counted(self) -> int | None:
        """Return how many records the history counts, if nobody has changed it since the moment of the backup."""
        total = sum(summary.total for summary in await self._service.workflow_summaries())
        return total if await self._service.revision() == self._revision else None

    async def _write_audit(self) -> None:
        while lines := await self._service.audit(self._audited, _LINES_AT_ONCE):
            await self._writer.add("changes", lines_of_audit(lines))
            self._audited = lines[-1].number
            self._lines += len(lines)

    def _count(self, records: int, size: int) -> None:
        self._records += records
        self._size += size
        total = None if self._total is None else max(self._total, self._records)
        self._on_progress(Progress(self._records, self._size, total))


@cache
def _version() -> str:
    return version("execution-history")
