"""What a history has lost, taken from a backup: runs, entries of the registry, lines of the audit log.

That is for a database that was damaged: most runs are in its pages and in the JSON files, the rest is there once.
"""

import contextlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from execution_history.access.audit import Act, Action
from execution_history.access.keys import expired_at, key_in
from execution_history.clock import now_ms
from execution_history.history.service import ExecutionHistoryService
from execution_history.maintenance.backup.present import add_lines
from execution_history.maintenance.backup.removals import Removals, read_removals
from execution_history.maintenance.backup.restoration import groups_of, temporary_folder
from execution_history.maintenance.backup.state import ChainState, key_of
from execution_history.maintenance.backup.status import LEFT_OUT
from execution_history.maintenance.backup.target import BackupTarget, read_backups
from execution_history.records.content_rules import ContentRules
from execution_history.records.record import Document
from execution_history.stores.administration import KEY, Entry, EntryName
from execution_history.transfer.progress import (
    OnProgress,
    Progress,
    flushed,
    in_thread,
    no_progress,
    read_ahead,
    to_its_end,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingReport:
    """What a history was given back.

    Attributes:
        id: the backup.
        moment: the time at which the history was what it holds (milliseconds).
        records: the number of runs.
        entries: the number of entries by kind.
        key_names: the names of the keys among them.
        audit_lines: the lines of the audit log.
        removed_records: the number of runs that were left out as the history has removed them since, or may have.
        removed: the number of entries, by kind, that were left out as the history has removed them since.
        are_forgotten: whether the history may have removed more than it knows of. Then no run was added, and some of
            the entries may have come back.
    """

    id: str
    moment: int
    records: int
    entries: dict[str, int]
    key_names: tuple[str, ...]
    audit_lines: int
    removed_records: int
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
    on_progress: OnProgress = no_progress,
) -> MissingReport:
    """Add to *service* what it lacks of a backup: runs, entries of the registry, lines of the audit log.

    What is there stays as it is, but for runs that cannot be read. What the history has removed itself since the backup
    was made was removed on purpose, and is left out. Runs are redacted by the rules in force.

    Args:
        target: where the backups are.
        service: the history; it may be in use.
        at: the beginning of the backup's id; the newest of those is taken.
        keep_keys: leave keys that are added as they are in the backup; otherwise they have expired.
        with_removed: add what the history has removed, too.
        on_progress: called now and then.

    Raises:
        BackupNotFound: there is no such backup.
        BackupDamaged: it is damaged.
        BackupFailed: it could not be read.
        StoreError: the store could not be read or written.
    """
    backups = await in_thread(read_backups, target)
    chain = [each.manifest for each in backups.chain_of(backups.newest(at))]
    manifest = chain[-1]
    act = Act(service, Action.RESTORE, place=target.name, id=manifest.id, missing={})
    with (
        temporary_folder() as folder,
        contextlib.closing(ChainState(target, chain, folder)) as state,
        contextlib.closing(Removals(folder)) as removals,
    ):
        await in_thread(state.fold)
        await read_removals(removals, service, target.name, manifest, state.audit())
        async with act:
            chosen, left = await _lacking(service, state, set() if with_removed else removals.entries)
            added, names = await _add_entries(service, chosen, act, keep_keys=keep_keys)
            records, left_records = await _add_records(
                service, state, None if with_removed else removals, act, on_progress
            )
            lines = await add_lines(service, state.audit(), act.begin)
            if act.has_begun:
                act.found = {"missing": dict(added), "records": records, "audit_lines": lines}
    return MissingReport(
        id=manifest.id,
        moment=manifest.moment,
        records=records,
        entries=dict(added),
        key_names=tuple(sorted(names)),
        audit_lines=lines,
        removed_records=left_records,
        removed=dict(left),
        are_forgotten=removals.are_forgotten and not with_removed,
    )


async def _lacking(
    service: ExecutionHistoryService, state: ChainState, removed: set[EntryName]
) -> tuple[dict[EntryName, bytes], Counter[str]]:
    """Return the entries that *service* lacks, and of those that it has *removed* how many there are of which kind."""
    there = {entry.name for entry in await service.registry()}
    found = {name: value for name, value in state.entries.items() if name not in there and name.kind not in LEFT_OUT}
    chosen = {name: value for name, value in found.items() if name not in removed}
    return chosen, Counter(name.kind for name in found.keys() - chosen.keys())


async def _add_records(
    service: ExecutionHistoryService, state: ChainState, removals: Removals | None, act: Act, on_progress: OnProgress
) -> tuple[int, int]:
    """Add the runs that are not there, or cannot be read; return how many, and how many *removals* keep out."""
    added = left = seen = size = 0
    async with flushed(service):
        async for group in read_ahead(groups_of(state)):
            keys = [key_of(each) for each in group]
            there = (await service.get_many(keys)).documents.keys()
            lacking = [each for each in group if key_of(each) not in there]
            if removals is not None and lacking:
                gone = removals.among([key_of(each) for each in lacking])
                chosen = [] if removals.are_forgotten else [each for each in lacking if key_of(each) not in gone]
                left += len(lacking) - len(chosen)
                lacking = chosen
            if lacking:
                await act.begin()
                await to_its_end(service.take_over(await in_thread(_redacted, service.rules, lacking)))
            added, seen = added + len(lacking), seen + len(group)
            size += sum(len(each.body) for each in group)
            on_progress(Progress(seen, size))
    return added, left


def _redacted(rules: ContentRules, documents: Iterable[Document]) -> list[Document]:
    """Return records without what was redacted since the backup, or would be now."""
    found = ((each, rules.of_run(each.workflow_id).redacted(each, now_ms())) for each in documents)
    return [each if made is None else made[0] for each, made in found]


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
