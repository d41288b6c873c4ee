"""The contract of every store.

The memory store is its executable specification: it decides what this page leaves open, and one contract suite tests
every store against it. All methods are coroutines and may be called from several event loops and threads at once.

**Order.** Records of a workflow are ordered by ``create_time``, newest first; of two with the same
time the one that was created later is the newer.

**Durability.** When a writing call returns, its effect survives the death of the process, and of the
machine where the store has a disk. A call that raises has changed nothing.

**The change feed.** Every create, update, merge, delete and clear gets the next ``revision``, an integer that
rises over the whole store. ``changes`` returns them in that order, and never returns a revision while a
smaller one can still appear. It is a feed of states: of a record that changed several times only the last change is
returned, with the current state of the record. Deletions are forgotten after 30 days, unless a follower with a cursor
has not read them yet; a follower whose place is before forgotten deletions has to begin anew.

**Queries.** ``select``, ``statistics`` and ``breakdown`` cover every change whose call had returned before they were
called; where a store cannot do that in bounded time, ``reach`` of the result is how far it got.

**Damage.** A record whose bytes are damaged is never returned. Reading it by its id raises
:class:`~execution_history.errors.RecordDamaged`; methods that return many records skip it and name it in ``damaged``.
It is counted as before, it can be deleted, and a merge replaces it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NewType, Protocol

from execution_history.query.breakdown import Breakdown, BreakdownQuery
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordKey, RecordQuery, Selection, Statistics, StatisticsQuery
from execution_history.records.record import Document, RecordChange
from execution_history.stores.administration import Administration, EntryName

ScanToken = NewType("ScanToken", str)
"""A place in the order in which records were created; opaque to callers."""

LARGEST_ANSWER: Final = 8 * 1024 * 1024
"""The bytes of documents after which a batch, or an answer of the change feed, ends."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some records as stored bytes, and the place where the next batch begins; ``None`` at the end.

    ``damaged`` are the records of the batch that cannot be read.
    """

    documents: Sequence[bytes]
    next: ScanToken | None
    damaged: tuple[RecordKey, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundRecords:
    """Some records by their ids, as stored bytes; ``damaged`` are those that exist and cannot be read."""

    documents: Mapping[RecordKey, bytes]
    damaged: tuple[RecordKey, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkflowSummary:
    """A workflow that has history: its number of records in each status, when the newest began, and their size.

    ``counts`` has the four statuses, and ``other`` for adopted records whose status is none of them.
    Times are milliseconds; ``last_create_time`` is the newest record's. ``size`` is the bytes of JSON of all records.
    """

    workflow_id: str
    total: int
    counts: dict[str, int]
    last_create_time: int
    updated_at: int
    size: int


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the change feed.

    Attributes:
        revision: its place; passed as ``since`` later, it returns what follows.
        kind: ``created`` when the record was created after ``since``, ``updated`` when it was there before,
            ``deleted`` when it is gone; ``registry`` when an entry of the registry was changed or removed.
        workflow_id: the record's workflow; ``None`` for the registry.
        execute_id: the record; ``None`` when the whole workflow was cleared.
        status: the record's status now, ``other`` for one that is none of the four; ``None`` when it is gone.
        document: the current stored bytes of the record or entry, with ``documents`` and where they can be read.
        entry: the entry of the registry, for ``registry``.
        arrival: the record's place in the order of creation, which only means something beside another of the store;
            ``None`` where it is gone.
    """

    revision: int
    kind: Literal["created", "updated", "deleted", "registry"]
    workflow_id: str | None = None
    execute_id: str | None = None
    status: str | None = None
    document: bytes | None = None
    entry: EntryName | None = None
    arrival: int | None = None


@dataclass(frozen=True, slots=True)
class MergeReport:
    """The outcome of a merge: records that were new, that replaced an older version, and that were skipped.

    ``differing`` has the places, from 0, of those skipped for another one of the same id and ``update_time`` with other
    content, which was there first.
    """

    added: int = 0
    replaced: int = 0
    unchanged: int = 0
    differing: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """How the store is: ``problems`` holds one sentence each, none when all is well.

    With problems it can be read and written nevertheless only where ``works`` says so.
    """

    problems: tuple[str, ...] = ()
    works: bool = False

    @property
    def is_usable(self) -> bool:
        """Whether it can be read and written now."""
        return self.works or not self.problems


class HistoryStore(Administration, Protocol):
    """A store of histories. Callers check ids beforehand; see the module for the contract.

    Every method may raise :class:`~execution_history.errors.StoreError` or one of its kinds.
    """

    async def open(self) -> None:
        """Make the store usable; a second call does nothing."""

    async def aclose(self) -> None:
        """Finish work under way and release everything; a second call does nothing."""

    async def create(self, document: Document) -> None:
        """Keep a new record.

        Raises:
            ExecutionExists: the workflow has a record with this execute id.
        """

    async def update(self, workflow_id: str, execute_id: str, change: RecordChange) -> Document | None:
        """Apply *change* to the stored record, atomically, and return the new record.

        Returns ``None`` when there is no such record, or ``change.only_from`` excludes its status.

        Raises:
            IllegalTransition: the record has ended and the change has another status.
            RecordDamaged: the stored record cannot be read.
        """

    async def merge(self, documents: Iterable[Document], *, settle: bool = True) -> MergeReport:
        """Merge records from elsewhere; idempotent.

        A record that is there already is replaced when the other's ``update_time`` is newer, or when it cannot be read.
        With *settle* a store that is :class:`~execution_history.stores.capabilities.Mirrored` is flushed too; for many
        merges in a row only the last one needs it.
        """

    async def get(self, workflow_id: str, execute_id: str) -> bytes | None:
        """Return the stored bytes of one record, or ``None``.

        Raises:
            RecordDamaged: it cannot be read.
        """

    async def get_many(self, keys: Collection[RecordKey]) -> FoundRecords:
        """Return those of the records *keys* that exist, all from one moment."""

    async def find(self, execute_id: str) -> list[bytes]:
        """Return the records with this execute id in any workflow, newest first; usually one or none.

        Raises:
            RecordDamaged: one of them cannot be read.
        """

    async def find_upstream(self, upstream_id: str) -> list[bytes]:
        """Return the records whose run has this id upstream (``metadata["coze_execute_id"]``), newest first.

        Raises:
            RecordDamaged: one of them cannot be read.
        """

    async def scan(self, after: ScanToken | None, limit: int) -> Batch:
        """Return at most *limit* records of all workflows, in the order of creation; for reading a store as a whole.

        *after* is ``None`` for the first batch and the ``next`` of the previous batch for every other. Large records
        make a batch shorter. Changing a record does not move it; each is returned as it is when its batch is read.

        Raises:
            InvalidCursor: *after* is broken.
        """

    async def select(self, query: RecordQuery) -> Selection:
        """Return one page of the records that match ``query.filter``, in the order of *query*.

        Pages that follow each other by their cursors never skip a record and never repeat one, as long as the values
        they are sorted by do not change; a record created meanwhile is returned if its place is still ahead. A list of
        one workflow, or of all, by time and without a filter is exact and waits for no index.

        Raises:
            InvalidCursor: ``query.after`` is broken, or belongs to another filter or order.
            InvalidQuery: the filter has a text, and the store has no text search.
        """

    async def statistics(self, query: StatisticsQuery) -> Statistics:
        """Return the statistics of the records that match ``query.filter``.

        Raises:
            InvalidQuery: there is no such time zone, there would be too many buckets, or the filter has a text and the
                store has no text search.
        """

    async def breakdown(self, query: BreakdownQuery) -> Breakdown:
        """Return the figures by group of the records that match ``query.filter``.

        Raises:
            InvalidQuery: as for :meth:`statistics`.
        """

    async def breakdowns(self, queries: Sequence[BreakdownQuery]) -> list[Breakdown]:
        """Return the result of :meth:`breakdown` for each of *queries*, in their order; a store may share reads.

        Raises:
            InvalidQuery: as for :meth:`statistics`.
        """

    async def open_records(self, statuses: frozenset[str], limit: int) -> list[bytes]:
        """Return at most *limit* readable records in one of *statuses*, oldest first."""

    async def delete(self, workflow_id: str, execute_id: str) -> bool:
        """Remove one record; return whether there was one."""

    async def delete_many(self, what: Collection[RecordKey] | RecordFilter, limit: int) -> list[RecordKey]:
        """Remove at most *limit* of the records that *what* lists or matches, and return which were removed.

        Of a mapping those are removed that still have the ``update_time`` (ms) that it has for them. Those of one
        workflow are removed together. Of the records that match a filter the oldest are removed first, and none that
        was changed since it was found; call again until the answer is empty to remove all.

        Raises:
            InvalidQuery: the filter has a text, and the store has no text search.
        """

    async def clear(self, workflow_id: str) -> bool:
        """Remove a workflow's whole history at once; return whether there was any."""

    async def workflows(
        self, prefix: str = "", after: WorkflowSummary | None = None, limit: int | None = None
    ) -> list[WorkflowSummary]:
        """Return the workflows that have history, the one with the newest record first.

        Args:
            prefix: the beginning of their ids.
            after: the last one of the previous page, as it was returned; two with equally new records are in the order
                of their ids by code points.
            limit: the largest number; ``None`` for all.
        """

    async def revision(self) -> int:
        """Return the newest revision."""

    async def changes(self, since: int, limit: int, *, documents: bool = False) -> list[Change]:
        """Return at most *limit* changes with a revision above *since*, in order; none at the end of the feed.

        With *documents* each has its record's stored bytes, and an answer ends once these are
        :data:`LARGEST_ANSWER` bytes. One that ends before either limit has all changes that there were at one moment.

        Raises:
            FeedExpired: *since* is not 0, and deletions that come after it have been forgotten.
        """

    async def health(self) -> StoreHealth:
        """Return whether the store can be read and written now, and what needs attention; never raises."""
