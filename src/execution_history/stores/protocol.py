"""The promise every store keeps.

The memory store is its executable specification: what this page leaves open, that store decides, and
one contract suite holds every other store to it. All methods are coroutines and may be called from
several event loops and threads at once.

**Order.** Records of a workflow are ordered by ``create_time``, newest first; of two with the same
time the one that came into the store later is the newer.

**Durability.** When a writing call returns, its effect survives the death of the process, and of the
machine where the store has a disk. A call that raises has changed nothing.

**The change feed.** Every create, update, merge, delete and clear gets the next ``revision``, an integer that
rises over the whole store. ``changes`` gives them in that order, and never reveals a revision while a
smaller one can still appear. It is a feed of states: of a record that changed several times only the last change is
given, with what is true of the record now. Deletions are forgotten after 30 days, unless a follower with a cursor has
not taken them yet; whoever stands before what was forgotten begins anew.

**Questions.** ``select`` and ``statistics`` answer with every change in them that had been answered before they were
called; where a store cannot do that in bounded time, ``reach`` in the answer says how far it got.

**Damage.** A record whose stored bytes are not what was stored is never given. Asked for by its id, it raises
:class:`~execution_history.errors.RecordDamaged`; whatever gives many records steps over it and names it in
``damaged``. It is counted as before, it can be deleted, and a merge replaces it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NewType, Protocol

from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordKey, RecordQuery, Selection, Statistics, StatisticsQuery
from execution_history.records.record import Document, RecordChange
from execution_history.stores.administration import Administration, EntryName

ScanToken = NewType("ScanToken", str)
"""A place in the order in which records came; opaque to callers."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some records as stored bytes, and the place from which the next batch goes on; ``None`` at the end.

    ``damaged`` are those that belong in it and cannot be read.
    """

    documents: Sequence[bytes]
    next: ScanToken | None
    damaged: tuple[RecordKey, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundRecords:
    """Some records by their ids, as stored bytes; ``damaged`` are those that are there and cannot be read."""

    documents: Mapping[RecordKey, bytes]
    damaged: tuple[RecordKey, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkflowSummary:
    """A workflow that has history: how many records in which status, and when the newest began.

    ``counts`` has the four statuses, and ``other`` for adopted records whose status is none of them.
    Times are milliseconds; ``last_create_time`` is the newest record's.
    """

    workflow_id: str
    total: int
    counts: dict[str, int]
    last_create_time: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the change feed.

    Attributes:
        revision: its place; whoever passes it as ``since`` later gets what follows.
        kind: ``created`` when the record came after the ``since`` that was asked for, ``updated`` when it was there
            already, ``deleted`` when it is gone; ``registry`` when an entry of the registry was changed or removed.
        workflow_id: whose record; ``None`` for the registry.
        execute_id: which record; ``None`` when the whole workflow was cleared.
        status: the record's status now, ``other`` for one that is none of the four; ``None`` when it is gone.
        document: the record's stored bytes now, or the entry's, where these were asked for and can be read.
        entry: which entry of the registry, if it is one.
    """

    revision: int
    kind: Literal["created", "updated", "deleted", "registry"]
    workflow_id: str | None = None
    execute_id: str | None = None
    status: str | None = None
    document: bytes | None = None
    entry: EntryName | None = None


@dataclass(frozen=True, slots=True)
class MergeReport:
    """What a merge did: records that were new, that replaced an older version, and that were left alone."""

    added: int = 0
    replaced: int = 0
    unchanged: int = 0


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """Whether the store can be used now: ``problems`` holds one sentence each, none when all is well."""

    problems: tuple[str, ...] = ()


class HistoryStore(Administration, Protocol):
    """Where histories are kept. Ids are checked before they come here; see the module for the promise.

    Every method may raise :class:`~execution_history.errors.StoreError` or one of its kinds.
    """

    async def open(self) -> None:
        """Make the store usable; a second call does nothing."""

    async def aclose(self) -> None:
        """Finish what is under way and let go of everything; a second call does nothing."""

    async def create(self, document: Document) -> None:
        """Keep a new record.

        Raises:
            ExecutionExists: the workflow has a record with this execute id.
        """

    async def update(self, workflow_id: str, execute_id: str, change: RecordChange) -> Document | None:
        """Apply *change* to the stored record, atomically, and return what it became.

        Returns ``None`` when there is no such record, or ``change.only_from`` excludes its status.

        Raises:
            IllegalTransition: the record has ended and the change asks for another status.
            RecordDamaged: the stored record cannot be read.
        """

    async def merge(self, documents: Iterable[Document], *, settle: bool = True) -> MergeReport:
        """Bring records from elsewhere in; idempotent.

        A record that is there already is replaced when the other's ``update_time`` is newer, or when it cannot be read.
        With *settle* a store that is :class:`~execution_history.stores.capabilities.Mirrored` is flushed too; whoever
        merges many times in a row does that once, at the end.
        """

    async def get(self, workflow_id: str, execute_id: str) -> bytes | None:
        """Return the stored bytes of one record, or ``None``.

        Raises:
            RecordDamaged: it cannot be read.
        """

    async def get_many(self, keys: Collection[RecordKey]) -> FoundRecords:
        """Return those of the records *keys* that are there, all from one moment."""

    async def find(self, execute_id: str) -> list[bytes]:
        """Return the records with this execute id in any workflow, newest first; most often one or none.

        Raises:
            RecordDamaged: one of them cannot be read.
        """

    async def find_upstream(self, upstream_id: str) -> list[bytes]:
        """Return the records whose run has this id upstream (``metadata["coze_execute_id"]``), newest first.

        Raises:
            RecordDamaged: one of them cannot be read.
        """

    async def scan(self, after: ScanToken | None, limit: int) -> Batch:
        """Return at most *limit* records of all workflows, in the order in which they came; to read a store whole.

        *after* is ``None`` for the first batch and the ``next`` of the batch before for every other. Large records
        make a batch shorter. Changing a record does not move it; each is given as it is when its batch is read.

        Raises:
            InvalidCursor: *after* is broken.
        """

    async def select(self, query: RecordQuery) -> Selection:
        """Return one page of the records that ``query.filter`` means, in the order that *query* asks for.

        Pages that follow each other by their cursors never skip a record and never repeat one, as long as what is
        sorted by does not change; a record that comes in between is given if its place is still ahead. A list of one
        workflow, or of all, by time and without a filter is exact and waits for nothing that follows the feed.

        Raises:
            InvalidCursor: ``query.after`` is broken, or belongs to another filter or order.
            InvalidQuery: the filter asks for text, and the store has no text search.
        """

    async def statistics(self, query: StatisticsQuery) -> Statistics:
        """Return what can be counted of the records that ``query.filter`` means.

        Raises:
            InvalidQuery: there is no such time zone, there would be too many buckets, or the filter asks for text and
                the store has no text search.
        """

    async def open_records(self, statuses: frozenset[str], limit: int) -> list[bytes]:
        """At most *limit* records in one of *statuses* that can be read, oldest first."""

    async def delete(self, workflow_id: str, execute_id: str) -> bool:
        """Remove one record; whether there was one."""

    async def delete_many(self, what: Collection[RecordKey] | RecordFilter, limit: int) -> list[RecordKey]:
        """Remove at most *limit* of the records that *what* names or means, and return which were removed.

        Those of one workflow go together. Of a filter's records the oldest go first, and none that was changed since it
        was found; whoever wants all of them gone calls until the answer is empty.

        Raises:
            InvalidQuery: the filter asks for text, and the store has no text search.
        """

    async def clear(self, workflow_id: str) -> bool:
        """Remove a workflow's whole history at once; whether there was any."""

    async def workflows(
        self, prefix: str = "", after: WorkflowSummary | None = None, limit: int | None = None
    ) -> list[WorkflowSummary]:
        """Return the workflows that have history, the one with the newest record first.

        Args:
            prefix: what their ids begin with.
            after: the last one of the page before, as it was given; of two with equally new records the one whose id
                is first in the order of code points is given first.
            limit: how many at most; ``None`` for all.
        """

    async def revision(self) -> int:
        """Return the newest revision."""

    async def changes(self, since: int, limit: int, *, documents: bool = False) -> list[Change]:
        """Return at most *limit* changes with a revision above *since*, in order; none at the end of the feed.

        With *documents* each has its record's stored bytes, and large ones make the answer shorter.

        Raises:
            FeedExpired: *since* is not 0, and deletions that come after it have been forgotten.
        """

    async def health(self) -> StoreHealth:
        """Return whether the store can be read and written now; never raises."""
