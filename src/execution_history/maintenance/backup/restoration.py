"""A history made again as it was at the moment of a backup."""

import contextlib
import dataclasses
import sqlite3
import tempfile
from collections.abc import AsyncGenerator, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from execution_history.access.audit import Act, Action
from execution_history.access.keys import key_in
from execution_history.errors import BackupDamaged, BackupFailed, InvalidInput, quoted
from execution_history.history.service import ExecutionHistoryService
from execution_history.maintenance.backup.manifest import Backups, Manifest
from execution_history.maintenance.backup.present import (
    Present,
    RestoredKeys,
    add_lines,
    check_replaceable,
    noted_in,
    present_in,
    settle_keys,
)
from execution_history.maintenance.backup.restore_place import place_for
from execution_history.maintenance.backup.state import ChainState, key_of
from execution_history.maintenance.backup.target import BackupTarget, read_backups
from execution_history.query.fields import RecordFilter
from execution_history.records.digest import RecordDigest
from execution_history.records.partial import outline_of
from execution_history.records.record import Document
from execution_history.records.redaction import shown_store
from execution_history.settings import Settings
from execution_history.stores import place_named, store_of
from execution_history.stores.administration import KEY
from execution_history.stores.foreign_files import in_groups
from execution_history.transfer.progress import (
    OnProgress,
    Progress,
    flushed,
    in_thread,
    no_progress,
    read_ahead,
    to_its_end,
)

_AT_ONCE: Final = 500
_BYTES_AT_ONCE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreReport:
    """The outcome of a restore, or of its rehearsal.

    Attributes:
        id: the backup.
        moment: the time at which the history was this (milliseconds).
        chain: the number of backups that were read for it.
        records: the records that were restored and compared.
        size: their bytes.
        digest: the digest of them all (:mod:`execution_history.records.digest`).
        entries: the entries of the registry.
        audit_lines: the lines of the audit log.
        damaged: the records that could not be read when the backups were made.
        replaced: where the history that was there before is now.
        replaced_records: how many runs that history has; ``None`` where there was none, or it could not be read.
        keys: whose keys let people in: those of the backup (``kept``), those of the history that was there before
            (``present``), or none, as those of the backup have ``expired``.
        key_names: the names of the keys.
        later_lines: the lines of the audit log of the history that was there before, which the backup lacked.
        unread: why that history could not be read, so that neither its keys nor its audit log were taken over.
        unnoted: of a backup that was verified, why that could not be noted beside it.
    """

    id: str
    moment: int
    chain: int
    records: int
    size: int
    digest: str
    entries: int
    audit_lines: int
    damaged: int
    replaced: str | None = None
    replaced_records: int | None = None
    keys: RestoredKeys = "kept"
    key_names: tuple[str, ...] = ()
    later_lines: int = 0
    unread: str | None = None
    unnoted: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return an object of the fields."""
        return {name: getattr(self, name) for name in self.__slots__}


async def restore(
    target: BackupTarget,
    settings: Settings,
    *,
    at: str = "",
    replace: bool = False,
    keep_keys: bool = False,
    on_progress: OnProgress = no_progress,
) -> RestoreReport:
    """Restore a backup of *target* into the store that *settings* name, and compare it with the backup.

    A store in a folder takes its name only when it is complete. Of a history that is moved aside the keys stay, and the
    lines of the audit log that the backup lacks; without one the keys of the backup have expired.

    Args:
        target: where the backups are.
        settings: name the store, which must be empty.
        at: the beginning of the backup's id; the newest of those is restored.
        replace: move a history that is in the folder aside first.
        keep_keys: leave the keys as they are in the backup, also those that have been revoked since.
        on_progress: called now and then.

    Raises:
        BackupNotFound: there is no such backup.
        BackupDamaged: it is damaged.
        InvalidInput: the store is not empty, in use, or cannot be replaced.
        BackupFailed: a backup could not be read, or a folder not be made.
        StoreError: the store could not be written.
    """
    backups = await in_thread(read_backups, target)
    chain = [each.manifest for each in backups.chain_of(backups.newest(at))]
    folder = place_named(settings.store).folder if replace else None
    if folder is not None:
        await in_thread(check_replaceable, folder)
    about = {"place": target.name, "id": chain[-1].id}
    with place_for(settings, replace=replace) as place:
        async with noted_in(folder, about), ExecutionHistoryService(store_of(place.settings)) as service:
            await _check_empty(service, settings.store)
            async with Act(service, Action.RESTORE, **about) as act:
                if place.is_filled_in_place:
                    await act.begin()
                report = await restore_into(service, target, chain, on_progress)
                report = await _settled(service, report, await present_in(folder), keep_keys=keep_keys)
                act.found = {"moment": _written(report.moment), "records": report.records, "keys": report.keys}
        if folder is not None:
            await in_thread(check_replaceable, folder)
        aside = await in_thread(place.take_name)
        return dataclasses.replace(report, replaced=None if aside is None else str(aside))


def _written(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1000, UTC).isoformat(timespec="seconds")


async def _settled(
    service: ExecutionHistoryService, report: RestoreReport, present: Present, *, keep_keys: bool
) -> RestoreReport:
    """Decide whose keys count, add what the audit log lacks, and return the report."""
    keys: RestoredKeys = "kept" if keep_keys else await settle_keys(service, present)
    names = [key.name for key in map(key_in, await service.entries(KEY)) if key is not None]
    later = await add_lines(service, present.lines)
    return dataclasses.replace(
        report,
        keys=keys,
        key_names=tuple(sorted(names)),
        later_lines=later,
        unread=present.trouble,
        replaced_records=present.records,
    )


async def known_backups(target: BackupTarget) -> Backups:
    """Return the backups in *target*.

    Raises:
        BackupFailed: it cannot be read.
    """
    return await in_thread(read_backups, target)


async def _check_empty(service: ExecutionHistoryService, store: str) -> None:
    """Refuse a store that has anything in it.

    Raises:
        InvalidInput: it has.
    """
    if await service.workflow_summaries() or await service.registry() or await service.audit(0, 1):
        raise InvalidInput(
            "There is a history in %(store)s already: name an empty place with --store; a folder's can be moved aside "
            "with --replace.",
            store=quoted(shown_store(store)),
        )


async def restore_into(
    service: ExecutionHistoryService, target: BackupTarget, chain: list[Manifest], on_progress: OnProgress
) -> RestoreReport:
    """Restore the last backup of *chain* into *service*, which is empty, and compare both.

    Raises:
        BackupDamaged: a file is damaged, or what was restored is not what was backed up.
    """
    expected, found = RecordDigest(), RecordDigest()
    lines = 0
    with temporary_folder() as folder, contextlib.closing(ChainState(target, chain, folder)) as state:
        await in_thread(state.fold)
        async with flushed(service):
            async for group in read_ahead(groups_of(state)):
                await to_its_end(service.take_over(group))
                for document in group:
                    expected.add(*key_of(document), document.body)
                on_progress(Progress(expected.count, expected.size, chain[-1].total))
            for name, value in state.entries.items():
                await service.put_entry(name, value, expected=None)
            for at, actor, action, details in state.audit():
                await service.append_audit(actor, action, details, at=at)
                lines += 1
    async for batch in read_ahead(service.batches(RecordFilter())):
        await in_thread(_add, found, batch.documents)
    manifest, damaged = chain[-1], sum(each.damaged_count for each in chain)
    total = expected.count if manifest.total is None or damaged else manifest.total
    entries = len(await service.registry())
    if expected != found or total != found.count or entries != len(state.entries):
        raise BackupDamaged(
            "What was restored from %(id)s is not what it should be: %(found)s of %(expected)s runs are as they were. "
            "Please report it, and restore another backup.",
            id=manifest.id,
            found=found.count,
            expected=total,
        )
    return RestoreReport(
        id=manifest.id,
        moment=manifest.moment,
        chain=len(chain),
        records=found.count,
        size=found.size,
        digest=found.hex(),
        entries=entries,
        audit_lines=lines,
        damaged=damaged,
    )


async def groups_of(state: ChainState) -> AsyncGenerator[list[Document]]:
    """Yield the records of *state* in their order, as many at once as are written at once."""
    groups = in_groups(state.records(), _AT_ONCE, _BYTES_AT_ONCE, lambda each: len(each.body))
    while (group := await in_thread(next, groups, None)) is not None:
        yield group


def _add(digest: RecordDigest, bodies: Iterable[bytes]) -> None:
    for body in bodies:
        outline = outline_of(body)
        digest.add(outline["workflow_id"], outline["execute_id"], body)


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield a folder that is removed afterwards.

    Raises:
        BackupFailed: there is no space for it.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="execution-history-", ignore_cleanup_errors=True) as folder:
            yield Path(folder)
    except (OSError, sqlite3.Error) as error:
        raise no_room(getattr(error, "strerror", None) or error) from error


def no_room(reason: object) -> BackupFailed:
    """Return the error for a temporary folder without space, or one that cannot be used for another *reason*."""
    return BackupFailed(
        "The temporary folder %(folder)s cannot be used (%(reason)s): make room in it, or name another one with the "
        "variable TMPDIR.",
        folder=quoted(Path(tempfile.gettempdir())),
        reason=reason,
    )
