"""The proof that a backup can be restored, and the note of it beside the manifest, where every machine finds it."""

from collections.abc import Callable
from dataclasses import replace

import msgspec
from msgspec import structs

from execution_history.clock import now_ms
from execution_history.errors import BackupFailed, Message, StoreFull, message_of
from execution_history.history.registry import change_entry
from execution_history.history.service import ExecutionHistoryService
from execution_history.maintenance.backup.manifest import VERIFICATION, VerificationNote
from execution_history.maintenance.backup.restoration import RestoreReport, no_room, restore_into, temporary_folder
from execution_history.maintenance.backup.status import (
    KIND,
    BackupStatus,
    Failure,
    Verification,
    last_verification,
    source_of,
    status_in,
    status_of,
)
from execution_history.maintenance.backup.target import BackupTarget, read_backups
from execution_history.stores import store_at
from execution_history.stores.administration import Entry, EntryName
from execution_history.transfer.progress import OnProgress, in_thread, no_progress


async def verify(
    target: BackupTarget, *, at: str = "", on_progress: OnProgress = no_progress, clock: Callable[[], int] = now_ms
) -> RestoreReport:
    """Restore a backup of *target* into a store of its own, compare both, remove that store, and note it in the place.

    Args:
        target: where the backups are.
        at: the beginning of the backup's id; the newest of those is restored.
        on_progress: called now and then.
        clock: milliseconds since the epoch.

    Raises:
        BackupNotFound: there is no such backup.
        BackupDamaged: it is damaged; the message names the file.
        BackupFailed: it could not be read, or there is no space for the store.
    """
    backups = await in_thread(read_backups, target)
    if backups.damaged and not at:
        raise backups.damaged[0]
    chosen = backups.newest(at)
    chain = [each.manifest for each in backups.chain_of(chosen)]
    with temporary_folder() as folder:
        try:
            async with ExecutionHistoryService(store_at(folder / "history", json_files=False, search=False)) as service:
                report = await restore_into(service, target, chain, on_progress)
        except StoreFull as error:
            raise no_room(Message("no space left")) from error
    note = VerificationNote(clock(), chosen.checksum, report.records, report.digest)
    try:
        await in_thread(target.write, f"{report.id}/{VERIFICATION}", msgspec.json.encode(note))
    except BackupFailed as error:  # a place that is only read is verified all the same
        return replace(report, unnoted=message_of(error))
    return report


async def note_verification(service: ExecutionHistoryService, target: BackupTarget) -> BackupStatus | None:
    """Keep in *service* which of its backups in *target* was verified last; return what it knows of that place now.

    ``None`` is returned where the history has no backup there.

    Raises:
        BackupFailed: the place cannot be read.
        StoreError: the store could not be read or written.
    """
    if (await status_of(service, target.name)).last is None:
        return None
    verified, unverified = last_verification(await in_thread(read_backups, target), source_of(service))

    def noted(status: BackupStatus) -> BackupStatus:
        return structs.replace(status, verified=verified, unverified=unverified)

    return await _change(service, target.name, noted)


async def verify_last(
    service: ExecutionHistoryService, target: BackupTarget, backup_id: str, clock: Callable[[], int] = now_ms
) -> RestoreReport:
    """Verify the backup *backup_id*, the last one of *service* in *target*, and keep in the history how that went.

    Raises:
        BackupFailed: as for :func:`verify`.
        StoreError: the store could not be read or written.
    """
    try:
        report = await verify(target, at=backup_id, clock=clock)
    except BackupFailed as error:
        failure = Failure.of(error, clock())
        await _change(service, target.name, lambda status: structs.replace(status, failure=failure))
        raise
    verified = Verification(id=report.id, at=clock())
    await _change(service, target.name, lambda status: structs.replace(status, verified=verified, unverified=0))
    return report


async def _change(
    service: ExecutionHistoryService, place: str, change: Callable[[BackupStatus], BackupStatus]
) -> BackupStatus:
    """Change what *service* knows of its backups in *place*, and return it."""

    def made(entry: Entry | None) -> bytes:
        return msgspec.json.encode(change(status_in(entry, place)))

    return status_in(await change_entry(service.store, EntryName(KIND, place), made), place)
