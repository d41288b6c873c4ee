"""What a history has lost besides its runs, taken from a backup: entries of the registry, lines of the audit log.

That is for a database that was damaged: its runs are in its pages and in the JSON files, the rest is there once.
"""

import contextlib
from collections import Counter
from dataclasses import dataclass
from typing import Any

from execution_history.access.audit import Act, Action
from execution_history.access.keys import expired_at, key_in
from execution_history.clock import now_ms
from execution_history.history.service import ExecutionHistoryService
from execution_history.maintenance.backup.present import add_lines
from execution_history.maintenance.backup.removals import removals_of
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
        removed: the number of entries, by kind, that were left out as the history has removed them since.
        are_forgotten: whether the history may have forgotten what it has removed since the backup, so that some of it
            may have come back.
    """

    id: str
    moment: int
    entries: dict[str, int]
    key_names: tuple[str, ...]
    audit_lines: int
    removed: dict[str, int]
    are_forgotten: bool

    def to_json(self) -> dict[str, Any]:
        """Return an object of the fields."""
        return {name: getattr(self, name) for name in self.__slots__}


async def restore_missing(
    target: BackupTarget,
    service: ExecutionHistoryService,
    *,
    at: str = "",
    keep_keys: bool = False,
    with_removed: bool = False,
) -> MissingReport:
    """Add to *service* what it lacks of a backup's registry and audit log; runs, and what is there, stay as they are.

    What the history has removed itself since the backup was made was removed on purpose, and is left out.

    Args:
        target: where the backups are.
        service: the history; it may be in use.
        at: the beginning of the backup's id; the newest of those is taken.
        keep_keys: leave keys that are added as they are in the backup; otherwise they have expired.
        with_removed: add what the history has removed, too.

    Raises:
        BackupNotFound: there is no such backup.
        BackupDamaged: it is damaged.
        BackupFailed: it could not be read.
        StoreError: the store could not be read or written.
    """
    backups = await in_thread(read_backups, target)
    chain = [each.manifest for each in backups.chain_of(backups.newest(at))]
    manifest = chain[-1]
    about: dict[str, Any] = {"place": target.name, "id": manifest.id, "missing": {}}
    with temporary_folder() as folder, contextlib.closing(ChainState(target, chain, folder)) as state:
        await in_thread(state.fold)
        removals = await removals_of(service, manifest.revision, state.audit())
        there = {entry.name for entry in await service.registry()}
        lacking = {
            name: value for name, value in state.entries.items() if name not in there and name.kind not in LEFT_OUT
        }
        left = set() if with_removed else lacking.keys() & removals.entries
        async with Act(service, Action.RESTORE, **about) as act:
            wanted = {name: value for name, value in lacking.items() if name not in left}
            added, names = await _add_entries(service, wanted, act, keep_keys=keep_keys)
            lines = await add_lines(service, state.audit(), act.begin)
            act.found = {"missing": dict(added), "audit_lines": lines}
    return MissingReport(
        id=manifest.id,
        moment=manifest.moment,
        entries=dict(added),
        key_names=tuple(sorted(names)),
        audit_lines=lines,
        removed=dict(Counter(name.kind for name in left)),
        are_forgotten=removals.are_forgotten and not with_removed,
    )


async def _add_entries(
    service: ExecutionHistoryService, entries: dict[EntryName, bytes], act: Act, *, keep_keys: bool
) -> tuple[Counter[str], list[str]]:
    """Add entries that are not there; return how many of which kind, and the names of the keys among them."""
    taken = {key.name for key in map(key_in, await service.entries(KEY)) if key is not None}
    added: Counter[str] = Counter()
    names: list[str] = []
    for name, value in entries.items():
        entry = Entry(name, value, 0)
        key = key_in(entry) if name.kind == KEY else None
        if key is not None and key.name in taken:
            continue  # it was added anew since, with another secret
        await act.begin()
        kept = value if key is None or keep_keys else expired_at(entry, now_ms())
        if await service.put_entry(name, kept, expected=0) is not None:
            added[name.kind] += 1
            names += [] if key is None else [key.name]
    return added, names
