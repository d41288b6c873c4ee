"""A store as somebody sees it who may see some workflows only; every other record does not exist for them.

It keeps the promise of every store (:mod:`execution_history.stores.protocol`), so whatever stands above it is narrowed
without knowing it: lists, totals, statistics, searches, names, exports, changes of many runs. Workflows are chosen by
their ids, which patterns match (:mod:`execution_history.query.workflow_patterns`).

Of the registry, names and prices are those of these workflows; saved views, and changes of many runs, are those that
were made within the same patterns: their keys begin with a digest of these, so that whoever sees everything sees
them too.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any, Final

import orjson

from execution_history.access.principals import check_workflow
from execution_history.errors import Message, NotAllowed, RecordDamaged
from execution_history.query.breakdown import Breakdown, BreakdownQuery
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordKey, RecordQuery, Selection, Statistics, StatisticsQuery
from execution_history.query.workflow_patterns import WorkflowPatterns
from execution_history.records.partial import outline_of
from execution_history.records.price_book import EVERY
from execution_history.records.record import Document, RecordChange
from execution_history.stores.administration import AuditEntry, Entry, EntryName
from execution_history.stores.capabilities import Versions
from execution_history.stores.protocol import (
    Batch,
    Change,
    FoundRecords,
    HistoryStore,
    MergeReport,
    ScanToken,
    StoreHealth,
    WorkflowSummary,
)

_OWN_KINDS: Final = frozenset({"view", "bulk", "bulk_plan", "bulk_keys"})
"""Entries that each set of patterns has its own of."""

NARROWED: Final = ":"
"""Stands in the ids of such entries, as those who see every workflow see them."""

_BULK_LEASE: Final = "bulk/"
_AT_ONCE: Final = 500
_TROUBLED: Final = Message("The history has a problem; an administrator of this server can see which.")


def _is_named(match: Callable[[str], bool], key: str) -> bool:
    return match(key)


def _is_priced(match: Callable[[str], bool], key: str) -> bool:
    """Return whether the key of a price is for every workflow or for one that matches."""
    try:
        workflow = orjson.loads(key)[0]
    except (ValueError, LookupError, TypeError):
        return False
    return workflow == EVERY or match(str(workflow))


_SHARED_KINDS: Final[dict[str, Callable[[Callable[[str], bool], str], bool]]] = {
    "workflow": _is_named,
    "price": _is_priced,
    "budget": lambda *_: True,
}
"""Entries that all have in common, by kind, with whether a key can be seen."""


class NarrowedStore:
    """The part of *store* whose workflows match *patterns*; closing it closes nothing.

    Args:
        store: the whole store.
        patterns: the workflows.
    """

    def __init__(self, store: HistoryStore, patterns: WorkflowPatterns) -> None:
        self._store = store
        self._patterns = patterns
        self._match = patterns.match
        self._own = blake2b("\0".join(patterns.patterns).encode(), digest_size=6).hexdigest() + NARROWED

    async def open(self) -> None:
        """See :meth:`HistoryStore.open`."""
        await self._store.open()

    async def aclose(self) -> None:
        """Do nothing: the store belongs to whoever sees all of it."""

    async def create(self, document: Document) -> None:
        """See :meth:`HistoryStore.create`."""
        self._check(document.workflow_id)
        await self._store.create(document)

    async def update(self, workflow_id: str, execute_id: str, change: RecordChange) -> Document | None:
        """See :meth:`HistoryStore.update`."""
        return await self._store.update(workflow_id, execute_id, change) if self._match(workflow_id) else None

    async def merge(self, documents: Iterable[Document], *, settle: bool = True) -> MergeReport:
        """See :meth:`HistoryStore.merge`."""
        kept = list(documents)
        for document in kept:
            self._check(document.workflow_id)
        return await self._store.merge(kept, settle=settle)

    async def get(self, workflow_id: str, execute_id: str) -> bytes | None:
        """See :meth:`HistoryStore.get`."""
        return await self._store.get(workflow_id, execute_id) if self._match(workflow_id) else None

    async def get_many(self, keys: Collection[RecordKey]) -> FoundRecords:
        """See :meth:`HistoryStore.get_many`."""
        return await self._store.get_many(self._seen(keys))

    async def find(self, execute_id: str) -> list[bytes]:
        """See :meth:`HistoryStore.find`."""
        return await self._found(self._store.find, execute_id)

    async def find_upstream(self, upstream_id: str) -> list[bytes]:
        """See :meth:`HistoryStore.find_upstream`."""
        return await self._found(self._store.find_upstream, upstream_id)

    async def scan(self, after: ScanToken | None, limit: int) -> Batch:
        """See :meth:`HistoryStore.scan`."""
        batch = await self._store.scan(after, limit)
        return replace(batch, documents=self._visible(batch.documents), damaged=tuple(self._seen(batch.damaged)))

    async def select(self, query: RecordQuery) -> Selection:
        """See :meth:`HistoryStore.select`."""
        found = await self._store.select(replace(query, filter=await self._narrowed(query.filter)))
        return replace(found, damaged=tuple(self._seen(found.damaged)))

    async def statistics(self, query: StatisticsQuery) -> Statistics:
        """See :meth:`HistoryStore.statistics`."""
        found = await self._store.statistics(replace(query, filter=await self._narrowed(query.filter)))
        return replace(found, damaged=tuple(self._seen(found.damaged)))

    async def breakdown(self, query: BreakdownQuery) -> Breakdown:
        """See :meth:`HistoryStore.breakdown`."""
        found = await self._store.breakdown(replace(query, filter=await self._narrowed(query.filter)))
        return replace(found, damaged=tuple(self._seen(found.damaged)))

    async def breakdowns(self, queries: Sequence[BreakdownQuery]) -> list[Breakdown]:
        """See :meth:`HistoryStore.breakdowns`."""
        narrowed = [replace(each, filter=await self._narrowed(each.filter)) for each in queries]
        found = await self._store.breakdowns(narrowed)
        return [replace(each, damaged=tuple(self._seen(each.damaged))) for each in found]

    async def open_records(self, statuses: frozenset[str], limit: int) -> list[bytes]:
        """See :meth:`HistoryStore.open_records`."""
        return self._visible(await self._store.open_records(statuses, limit))

    async def delete(self, workflow_id: str, execute_id: str) -> bool:
        """See :meth:`HistoryStore.delete`."""
        return self._match(workflow_id) and await self._store.delete(workflow_id, execute_id)

    async def delete_many(self, what: Collection[RecordKey] | RecordFilter, limit: int) -> list[RecordKey]:
        """See :meth:`HistoryStore.delete_many`."""
        kept = await self._narrowed(what) if isinstance(what, RecordFilter) else self._seen_of(what)
        return await self._store.delete_many(kept, limit)

    async def clear(self, workflow_id: str) -> bool:
        """See :meth:`HistoryStore.clear`."""
        return self._match(workflow_id) and await self._store.clear(workflow_id)

    async def workflows(
        self, prefix: str = "", after: WorkflowSummary | None = None, limit: int | None = None
    ) -> list[WorkflowSummary]:
        """See :meth:`HistoryStore.workflows`."""
        found: list[WorkflowSummary] = []
        while limit is None or len(found) < limit:
            page = await self._store.workflows(prefix, after, limit)
            found += [each for each in page if self._match(each.workflow_id)]
            if limit is None or len(page) < limit:
                return found[:limit]
            after = page[-1]
        return found[:limit]

    async def revision(self) -> int:
        """See :meth:`HistoryStore.revision`."""
        return await self._store.revision()

    async def changes(self, since: int, limit: int, *, documents: bool = False) -> list[Change]:
        """See :meth:`HistoryStore.changes`."""
        while read := await self._store.changes(since, limit, documents=documents):
            if kept := [each for each in read if each.workflow_id is not None and self._match(each.workflow_id)]:
                return kept
            since = read[-1].revision
        return []

    async def health(self) -> StoreHealth:
        """See :meth:`HistoryStore.health`."""
        return StoreHealth((_TROUBLED,) if (await self._store.health()).problems else ())

    async def entry(self, kind: str, key: str) -> Entry | None:
        """See :meth:`HistoryStore.entry`."""
        if not self._can_see(kind, key):
            return None
        found = await self._store.entry(kind, self._kept_as(kind, key))
        return None if found is None else replace(found, name=EntryName(kind, key))

    async def entries(self, kind: str, after: str = "", limit: int | None = None) -> list[Entry]:
        """See :meth:`HistoryStore.entries`."""
        own = self._own if kind in _OWN_KINDS else ""
        found: list[Entry] = []
        place = own + after
        while limit is None or len(found) < limit:
            page = await self._store.entries(kind, place, _AT_ONCE)
            named = [replace(each, name=EntryName(kind, each.name.key.removeprefix(own)))
                     for each in page if each.name.key.startswith(own)]  # fmt: skip
            found += [each for each in named if self._can_see(*each.name)]
            if len(page) < _AT_ONCE or not page[-1].name.key.startswith(own):
                break
            place = page[-1].name.key
        return found[:limit]

    async def kinds(self) -> list[str]:
        """See :meth:`HistoryStore.kinds`."""
        return [kind for kind in await self._store.kinds() if kind in _OWN_KINDS or kind in _SHARED_KINDS]

    async def put_entry(self, kind: str, key: str, value: bytes, *, expected: int | None = None) -> Entry | None:
        """See :meth:`HistoryStore.put_entry`."""
        self._check_entry(kind, key)
        made = await self._store.put_entry(kind, self._kept_as(kind, key), value, expected=expected)
        return None if made is None else replace(made, name=EntryName(kind, key))

    async def drop_entry(self, kind: str, key: str, *, expected: int | None = None) -> bool:
        """See :meth:`HistoryStore.drop_entry`."""
        self._check_entry(kind, key)
        return await self._store.drop_entry(kind, self._kept_as(kind, key), expected=expected)

    async def append_audit(self, actor: str, action: str, details: bytes = b"{}", *, at: int | None = None) -> int:
        """See :meth:`HistoryStore.append_audit`."""
        return await self._store.append_audit(actor, action, details, at=at)

    async def audit(self, after: int, limit: int) -> list[AuditEntry]:
        """See :meth:`HistoryStore.audit`."""
        del after, limit
        return []

    async def lease(self, name: str, owner: str, ttl_ms: int) -> bool:
        """See :meth:`HistoryStore.lease`."""
        if name.startswith(_BULK_LEASE):
            name = _BULK_LEASE + self._own + name.removeprefix(_BULK_LEASE)
        return await self._store.lease(name, owner, ttl_ms)

    async def renew_lease(self, owner: str, ttl_ms: int) -> None:
        """See :meth:`HistoryStore.renew_lease`."""
        await self._store.renew_lease(owner, ttl_ms)

    async def leases(self) -> dict[str, int]:
        """See :meth:`HistoryStore.leases`."""
        return await self._store.leases()

    async def save_cursor(self, name: str, revision: int | None) -> None:
        """See :meth:`HistoryStore.save_cursor`."""
        del name, revision
        raise NotAllowed("A key for some workflows cannot follow the whole history.")

    async def cursors(self) -> dict[str, int]:
        """See :meth:`HistoryStore.cursors`."""
        return {}

    async def _narrowed(self, record_filter: RecordFilter) -> RecordFilter:
        """Return *record_filter* for what can be seen of it; the workflows are looked up where it names none."""
        listed: list[str] = []
        if not record_filter.workflow_ids:
            for prefix in self._patterns.prefixes():
                listed += [each.workflow_id for each in await self.workflows(prefix)]
        return self._patterns.narrow(record_filter, listed)

    async def _found(self, find: Callable[[str], Any], name: str) -> list[bytes]:
        try:
            return self._visible(await find(name))
        except RecordDamaged as error:
            if self._match(error.workflow_id):
                raise
            return []

    def _visible(self, documents: Sequence[bytes]) -> list[bytes]:
        return [each for each in documents if self._match(outline_of(each)["workflow_id"])]

    def _seen(self, keys: Iterable[RecordKey]) -> list[RecordKey]:
        return [key for key in keys if self._match(key[0])]

    def _seen_of(self, keys: Iterable[RecordKey] | Versions) -> list[RecordKey] | Versions:
        """Return those of *keys* that can be seen, with the versions that they name."""
        if isinstance(keys, Mapping):
            return {key: version for key, version in keys.items() if self._match(key.workflow_id)}
        return self._seen(keys)

    def _check(self, workflow_id: str) -> None:
        """Check that a record of this workflow may be written.

        Raises:
            NotAllowed: it may not, whether there is such a workflow or not.
        """
        check_workflow(self._patterns, workflow_id)

    def _can_see(self, kind: str, key: str) -> bool:
        is_shared = _SHARED_KINDS.get(kind)
        return kind in _OWN_KINDS or (is_shared is not None and is_shared(self._match, key))

    def _check_entry(self, kind: str, key: str) -> None:
        """Check that an entry may be changed: names only of what is shared, as prices hold for others too.

        Raises:
            NotAllowed: it may not.
        """
        if kind == "workflow":
            self._check(key)
        elif kind not in _OWN_KINDS:
            raise NotAllowed("Your key is for some workflows only, and does not allow this.")

    def _kept_as(self, kind: str, key: str) -> str:
        return self._own + key if kind in _OWN_KINDS else key
