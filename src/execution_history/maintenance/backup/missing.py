"""What a history has lost besides its runs, taken from a backup: entries of the registry, lines of the audit log.

That is for a database that was damaged: its runs are in its pages and in the JSON files, the rest is there once.
"""

import contextlib
from collections import Counter
from dataclasses import dataclass
from typing import Any

import orjson

from execution_history.access.audit import Action
from execution_history.access.keys import expired_at, key_in
from execution_history.access.principals import current_actor
from execution_history.clock import now_ms
from execution_history.history.service import ExecutionHistoryService
from execution_history.maintenance.backup.manifest import Manifest
from execution_history.maintenance.backup.present import add_lines
from execution_history.maintenance.backup.restoration import temporary_folder
from execution_history.maintenance.backup.state import ChainState
from execution_history.maintenance.backup.status import LEFT_OUT
from execution_history.maintenance.backup.target import BackupTarget, read_backups
from execution_history.stores.administration import KEY, Entry, EntryName
from execution_history.transfer.progress import in_thread


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingReport:
    """What a history was given back.

    Attributes:
        id: the backup.
        moment: the time at which the history was what it holds (milliseconds).
        entries: the number of entries by kind.
        key_names: the names of the keys among them.
        audit_lines: the lines of the audit log.
    """

    id: str
    moment: int
    entries: dict[str, int]
    key_names: tuple[str, ...]
    audit_lines: int

    def to_json(self) -> dict[str, Any]:
        """Return an object of the fields."""
        return {name: getattr(self, name) for name in self.__slots__}


async def restore_missing(
    target: BackupTarget, service: ExecutionHistoryService, *, at: str = "", keep_keys: bool = False
) -> MissingReport:
    """Add to *service* what it lacks of a backup's registry and audit log; runs, and what is there, stay as they are.

    Args:
        target: where the backups are.
        service: the history; it may be in use.
        at: the beginning of the backup's id; the newest of those is taken.
        keep_keys: leave keys that are added as they are in the backup; otherwise they have expired.

    Raises:
        BackupNotFound: there is no such backup.
        BackupDamaged: it is damaged.
        BackupFailed: it could not be read.
        StoreError: the store could not be read or written.
    """
    backups = await in_thread(read_backups, target)
    chain = [each.manifest for each in backups.chain_of(backups.newest(at))]
    with temporary_folder() as folder, contextlib.closing(ChainState(target, chain, folder)) as state:
        await in_thread(state.fold)
        added, names = await _add_entries(service, state.entries, keep_keys=keep_keys)
        lines = await add_lines(service, state.audit())
    return await _noted(service, target, chain[-1], added, names, lines)


async def _add_entries(
    service: ExecutionHistoryService, entries: dict[EntryName, bytes], *, keep_keys: bool
) -> tuple[Counter[str], list[str]]:
    """Add the entries that are not there; return how many of which kind, and the names of the keys among them."""
    taken = {key.name for key in map(key_in, await service.entries(KEY)) if key is not None}
    added: Counter[str] = Counter()
    names: list[str] = []
    for name, value in entries.items():
        if name.kind in LEFT_OUT:
            continue
        entry = Entry(name, value, 0)
        key = key_in(entry) if name.kind == KEY else None
        if key is not None and key.name in taken:
            continue  # it was added anew since, with another secret
        kept = value if key is None or keep_keys else expired_at(entry, now_ms())
        if await service.put_entry(name, kept, expected=0) is not None:
            added[name.kind] += 1
            names += [] if key is None else [key.name]
    return added, names


async def _noted(
    service: ExecutionHistoryService,
    target: BackupTarget,
    manifest: Manifest,
    added: Counter[str],
    names: list[str],
    lines: int,
) -> MissingReport:
    """Write a line of the audit log about what was added, if anything was, and return the report."""
    if not added and not lines:
        return MissingReport(id=manifest.id, moment=manifest.moment, entries={}, key_names=(), audit_lines=0)
    details = {"place": target.name, "id": manifest.id, "missing": dict(added), "audit_lines": lines}
    await service.append_audit(current_actor(), Action.RESTORE.value, orjson.dumps(details))
    return MissingReport(
        id=manifest.id, moment=manifest.moment, entries=dict(added), key_names=tuple(sorted(names)), audit_lines=lines
    )
