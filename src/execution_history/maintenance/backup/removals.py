"""What a history has removed on purpose since a backup: its change feed, its bin and its audit log say so.

What a backup has and the history has not is lost only where it was not removed here.
"""

import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable
from pathlib import Path
from typing import Final

from execution_history.access.audit import BEGUN, Action, details_in
from execution_history.errors import FeedExpired
from execution_history.history.service import ExecutionHistoryService
from execution_history.maintenance import rules
from execution_history.maintenance.backup.manifest import Manifest
from execution_history.maintenance.backup.present import AuditLine, lines_of
from execution_history.maintenance.backup.status import status_of
from execution_history.query.model import RecordKey
from execution_history.stores.administration import KEY, KEY_USE, EntryName
from execution_history.stores.capabilities import Bin

_CHANGES_AT_ONCE: Final = 5_000
_BY_LINES: Final = {
    Action.KEY_REVOKED.value: ((KEY, KEY_USE), "id"),
    Action.RULE_REMOVED.value: ((rules.KIND,), "name"),
}
"""The lines of the audit log about removed entries: the kinds of these, and the detail that has their key."""

_SCHEMA: Final = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE gone (workflow BLOB, execute BLOB, PRIMARY KEY (workflow, execute)) WITHOUT ROWID;
CREATE TABLE cleared (workflow BLOB PRIMARY KEY) WITHOUT ROWID;
"""

_IS_GONE: Final = """
SELECT EXISTS (SELECT 1 FROM gone WHERE workflow = ?1 AND execute = ?2)
    OR EXISTS (SELECT 1 FROM cleared WHERE workflow = ?1)
"""


class Removals:
    """What was removed. Close it after use.

    Args:
        folder: an empty one, for a temporary database of the runs, of which there may be very many.

    Attributes:
        entries: the entries of the registry.
        are_forgotten: whether the history may have removed more than it knows of.
    """

    def __init__(self, folder: Path) -> None:
        self.entries: set[EntryName] = set()
        self.are_forgotten = False
        self._database = sqlite3.connect(folder / "removed.db", isolation_level=None, check_same_thread=False)
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the temporary database."""
        self._database.close()

    def add_run(self, workflow_id: str, execute_id: str | None) -> None:
        """Note a run that was removed; without an id all those of its workflow."""
        if execute_id is None:
            self._database.execute("INSERT OR IGNORE INTO cleared VALUES (?)", (workflow_id.encode(),))
        else:
            key = (workflow_id.encode(), execute_id.encode())
            self._database.execute("INSERT OR IGNORE INTO gone VALUES (?, ?)", key)

    def among(self, keys: Collection[RecordKey]) -> set[RecordKey]:
        """Return those of the runs *keys* that were removed."""
        run = self._database.execute
        return {key for key in keys if run(_IS_GONE, (key[0].encode(), key[1].encode())).fetchone()[0]}


async def read_removals(
    removals: Removals, service: ExecutionHistoryService, place: str, manifest: Manifest, known: Iterable[AuditLine]
) -> None:
    """Note in *removals* what *service* has removed since the backup *manifest*.

    Args:
        removals: to be filled.
        service: the history.
        place: the name of the target that the backup is in.
        manifest: that of the backup.
        known: the lines of the audit log that the backup has; removals among them are older than it.

    Raises:
        StoreError: the store could not be read.
    """
    since = await _since(service, place, manifest)
    removals.are_forgotten = since is None
    after = since or 0
    while changes := await service.changes(after, _CHANGES_AT_ONCE):
        for change in changes:
            if change.entry is not None:
                removals.entries.add(change.entry)
            elif change.kind == "deleted" and since is not None:
                removals.add_run(change.workflow_id or "", change.execute_id)
        after = changes[-1].revision
    store = service.store
    if isinstance(store, Bin):
        for binned in await store.binned():
            removals.add_run(*binned.key)
    async for line in _later_lines(service, Counter(known)):
        _read_line(removals, line)
    removals.entries -= {entry.name for entry in await service.registry()}


async def _since(service: ExecutionHistoryService, place: str, manifest: Manifest) -> int | None:
    """Return the place in the change feed that the backup has; ``None`` where the feed does not begin there any more.

    So it is, too, where the history is not the one that was backed up, or was set back.
    """
    if not await _has_made(service, place, manifest.id) or await service.revision() < manifest.revision:
        return None
    try:
        await service.changes(manifest.revision, 1)
    except FeedExpired:
        return None
    return manifest.revision


async def _has_made(service: ExecutionHistoryService, place: str, backup_id: str) -> bool:
    """Return whether this history made the backup; one that was restored since counts its changes otherwise."""
    last = (await status_of(service, place)).last
    if last is not None and last.id == backup_id:
        return True
    has_made = False
    async for _, _, action, text in lines_of(service):
        if action == Action.BACKUP:
            has_made |= details_in(text).get("id") == backup_id
        elif action == Action.RESTORE:
            has_made &= not {"missing", BEGUN}.isdisjoint(details_in(text))
    return has_made


async def _later_lines(service: ExecutionHistoryService, known: Counter[AuditLine]) -> AsyncIterator[AuditLine]:
    """Yield the lines of the audit log that the backup lacks; by themselves, whatever the clock was."""
    async for line in lines_of(service):
        if known[line]:
            known[line] -= 1
        else:
            yield line


def _read_line(removals: Removals, line: AuditLine) -> None:
    """Note what a line of the audit log tells of something removed; anybody may have written its details."""
    _, _, action, text = line
    details = details_in(text)
    try:
        if action in _BY_LINES:
            kinds, name = _BY_LINES[action]
            removals.entries |= {EntryName(kind, str(details[name])) for kind in kinds}
        elif action == Action.CLEAR:
            removals.add_run(str(details["workflow_id"]), None)
        elif action == Action.DELETE:
            runs = [(details["workflow_id"], details["execute_id"])] if "execute_id" in details else details["first"]
            for workflow_id, execute_id in runs:
                removals.add_run(str(workflow_id), str(execute_id))
    except (ValueError, LookupError, TypeError):
        pass
