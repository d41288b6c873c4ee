"""What a history has removed on purpose of the entries that a backup has: its change feed and its audit log say so."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from typing import Final, NamedTuple

import orjson

from execution_history.access.audit import Action
from execution_history.errors import FeedExpired
from execution_history.history.service import ExecutionHistoryService
from execution_history.maintenance import rules
from execution_history.maintenance.backup.present import AuditLine, lines_of
from execution_history.stores.administration import KEY, KEY_USE, EntryName

_CHANGES_AT_ONCE: Final = 5_000
_BY_LINES: Final = {
    Action.KEY_REVOKED.value: ((KEY, KEY_USE), "id"),
    Action.RULE_REMOVED.value: ((rules.KIND,), "name"),
}
"""The lines of the audit log about removals: the kinds of the entries, and the detail that has their key."""


class Removals(NamedTuple):
    """The entries that were removed, and whether the history may have forgotten some since the backup."""

    entries: frozenset[EntryName]
    are_forgotten: bool


async def removals_of(service: ExecutionHistoryService, revision: int, known: Iterable[AuditLine]) -> Removals:
    """Return what *service* has removed.

    Args:
        service: the history.
        revision: the change up to which the backup is complete.
        known: the lines of the audit log that the backup has; removals among them are older than it.

    Raises:
        StoreError: the store could not be read.
    """
    found = {name async for name in _fed(service)} | {name async for name in _noted(service, Counter(known))}
    there = {entry.name for entry in await service.registry()}
    try:
        await service.changes(revision, 1)
    except FeedExpired:
        return Removals(frozenset(found - there), are_forgotten=True)
    return Removals(frozenset(found - there), are_forgotten=False)


async def _fed(service: ExecutionHistoryService) -> AsyncIterator[EntryName]:
    """Yield the entries of the registry in the change feed, there or not; from its beginning.

    A history that was made anew counts its changes otherwise than the backup does.
    """
    after = 0
    while changes := await service.changes(after, _CHANGES_AT_ONCE):
        for change in changes:
            if change.entry is not None:
                yield change.entry
        after = changes[-1].revision


async def _noted(service: ExecutionHistoryService, known: Counter[AuditLine]) -> AsyncIterator[EntryName]:
    """Yield the entries whose removal the audit log has a line about that the backup lacks."""
    async for line in lines_of(service):
        if known[line]:
            known[line] -= 1
        elif line[2] in _BY_LINES:
            kinds, detail = _BY_LINES[line[2]]
            for kind in kinds:
                yield EntryName(kind, _detail(line[3], detail))


def _detail(details: bytes, name: str) -> str:
    """Return a text among the details of a line, which anybody may have written; empty where there is none."""
    try:
        found = orjson.loads(details)[name]
    except (ValueError, LookupError, TypeError):
        return ""
    return found if isinstance(found, str) else ""
