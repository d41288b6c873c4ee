"""Capabilities that only some stores have, and what stands in for them in the others."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

from execution_history.errors import Message
from execution_history.query.model import IndexReach, RecordKey
from execution_history.records.price_book import PriceBook
from execution_history.records.record import Document
from execution_history.records.size_limit import LARGEST_RECORD, LEAST_LIMIT
from execution_history.records.time_units import DAY_MS
from execution_history.stores.administration import AuditEntry, Entry
from execution_history.stores.mirror_port import ComparedSource
from execution_history.stores.protocol import HistoryStore
from execution_history.stores.verification import Check, Effort, PatrolStep

NO_TEXT_SEARCH: Final = Message(
    "Text search is switched off for this history: set the setting search (variable "
    "EXECUTION_HISTORY_SEARCH) to true, or leave the text out."
)
"""What a query with a text is told where texts are not searched."""

BIN_MS: Final = DAY_MS
"""How long deleted records are kept to be restored, unless the settings say another time (milliseconds)."""

OnReach = Callable[[IndexReach], None]
"""Called with how far an index has come, from any thread."""


def ignored(_: IndexReach) -> None:
    """Do nothing."""


@runtime_checkable
class Located(Protocol):
    """A store that other processes can open too."""

    @property
    def location(self) -> str:
        """Its name without a password, the same in every process of this machine."""


@runtime_checkable
class Watched(Protocol):
    """A store that calls back when it was changed through it, so that followers of its change feed need not poll."""

    def on_change(self, call: Callable[[], None]) -> Callable[[], None]:
        """Call *call*, which must be quick, soon after each change, from any thread; return a function that ends it."""


@runtime_checkable
class Indexed(Protocol):
    """A store whose ``select`` and ``statistics`` are answered by an index that follows its change feed."""

    async def index_reach(self, *, has_texts: bool = True) -> IndexReach:
        """Return how far the index has followed, without waiting; with what searches in texts need, or without."""

    async def follow_index(self, progress: OnReach = ignored, *, has_texts: bool = True) -> None:
        """Return when the index has everything that is in the store now; call *progress* now and then until then.

        Args:
            progress: called with one total of what is left, which only becomes less.
            has_texts: whether to wait for what only searches in texts need.

        Raises:
            StoreBusy: the index has stopped.
        """

    async def rebuild_index(self) -> None:
        """Rebuild the index from the records, and return when it is complete."""


@runtime_checkable
class Mirrored(Protocol):
    """A store that keeps files beside its database."""

    async def flush(self) -> None:
        """Wait until everything that calls have returned so far is in the files and on the disk.

        Raises:
            StoreError: some are behind.
        """


@runtime_checkable
class Erasable(Protocol):
    """A store in whose files nothing is left of what was removed or replaced, once that was asked for."""

    async def erase(self) -> None:
        """Make all files anew from what is kept now; whoever writes meanwhile waits.

        Raises:
            StoreBusy: other programs are reading.
            StoreError: the files could not be written.
        """


@runtime_checkable
class Prunable(Protocol):
    """A store that keeps deletions until it is pruned, by a call or in idle time."""

    async def prune(self) -> int:
        """Forget the deletions that no follower needs; return the revision up to which they are forgotten."""


@dataclass(frozen=True, slots=True)
class Binned:
    """A deleted record that can be restored: its size in bytes of JSON, when it was deleted and when it expires.

    Times are milliseconds since the epoch. ``rule`` is the name of the rule of retention that removed it, ``None``
    where people did.
    """

    key: RecordKey
    size: int
    deleted_at: int
    ends: int
    rule: str | None = None


Versions = Mapping[RecordKey, int | None]
"""Records, each with the ``update_time`` (ms) that it must have; ``None`` stands for any."""


@runtime_checkable
class Bin(Protocol):
    """A store that can keep deleted records for a while.

    Attributes:
        bin_ms: how long the deletions of people are kept (milliseconds), as the settings say; 0: not at all.
    """

    bin_ms: int

    async def discard(
        self, keys: Iterable[RecordKey] | Versions, keep_ms: int, rule: str | None = None
    ) -> list[RecordKey]:
        """Remove records, but keep them for *keep_ms* milliseconds to be restored; return those removed.

        Of a mapping those are removed that still have the ``update_time`` (ms) that it has for them. *rule* is the name
        of the rule of retention that removes them.
        """

    async def restore(self, keys: Iterable[RecordKey]) -> list[RecordKey]:
        """Restore discarded records as they were; return those restored.

        Records that were not discarded or have expired, and those whose id is taken now, are left out.
        """

    async def binned(self, after: Binned | None = None, limit: int | None = None) -> list[Binned]:
        """Return the records that can be restored, after *after* in this order: the last deleted first, then by ids."""

    async def binned_documents(self, keys: Iterable[RecordKey]) -> dict[RecordKey, bytes]:
        """Return the stored bytes of those of the records *keys* that can be restored and are not damaged."""

    async def replace_binned(self, document: Document, expected: int) -> bool:
        """Put *document* in the place of a record that can be restored, and stays discarded; return whether it was.

        Only a record that has the ``update_time`` *expected* (ms), and the status of the document, is replaced.
        """

    async def bin_size(self) -> tuple[int, int]:
        """Return how many records can be restored, and how many bytes of JSON they have together."""

    async def empty_bin(self, keys: Iterable[RecordKey]) -> None:
        """Remove discarded records permanently."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskUse:
    """What a store takes of a disk, in bytes.

    Attributes:
        database: the tables.
        log: what the database writes before them.
        index: the index of searches and filters; 0 where it is a part of the database.
        files: the JSON files.
        other: whatever else is in the folder.
        free: what is free within all of this, and is used before more is taken; an estimate where that is not known.
        documents: the bytes of JSON of all records.
        lines: about what the runs take besides their documents: columns, the index and figures.
        runs: how many there are.
    """

    database: int = 0
    log: int = 0
    index: int = 0
    files: int = 0
    other: int = 0
    free: int = 0
    documents: int = 0
    lines: int = 0
    runs: int = 0

    @property
    def total(self) -> int:
        """All of it, as the file system counts."""
        return self.database + self.log + self.index + self.files + self.other

    @property
    def used(self) -> int:
        """What is not free."""
        return max(0, self.total - self.free)

    @property
    def kept(self) -> int:
        """What is left of that when the log has been copied, for which nobody may be reading."""
        return max(0, self.used - self.log)


@runtime_checkable
class Sized(Protocol):
    """A store that takes space on a disk."""

    async def disk_use(self) -> DiskUse:
        """Return what the store takes now.

        Raises:
            StoreError: that cannot be read.
        """

    async def sizes_of(self, keys: Collection[RecordKey]) -> dict[RecordKey, int]:
        """Return the bytes of JSON of those of the records *keys* that exist, without reading them."""

    async def give_back(self, workflow_ids: Collection[str] = (), *, is_thorough: bool = False) -> bool:
        """Give what is free within the store back to the file system, as far as it can, in steps that hold nobody up.

        Args:
            workflow_ids: whose JSON files may have gaps.
            is_thorough: whether files are made anew for smaller gaps too.

        Returns:
            Whether all of it was given back; an index that is behind is not waited for, and gives back the next time.

        Raises:
            StoreError: it could not be done.
        """


class ExaminedRecords(ComparedSource, Protocol):
    """The records of a store, and the places of those that follow it, as the doctor reads them."""

    def cursors(self) -> dict[str, int]:
        """Return how far each follower has come; see :meth:`Administration.cursors`."""


@runtime_checkable
class Verifiable(Protocol):
    """A store that can be examined; it need not be open, and may be unable to."""

    def checks(self, effort: Effort = "usual") -> Sequence[Check]:
        """Return its checks that take so much effort, in the order in which they are to be made and repaired."""

    def record_source(self) -> ExaminedRecords | None:
        """Return what reads the records although the store is not open; ``None`` where it has to be open."""

    def holders(self) -> list[Message]:
        """Return a phrase for each other process that has the store open, where that keeps it from being repaired."""

    async def administration(self, kind: str, actions: Collection[str]) -> tuple[list[Entry], list[AuditEntry]]:
        """Return the entries of the registry of a kind, and the lines of the audit log about *actions*, in their order.

        Raises:
            StoreError: the store cannot be read.
        """

    async def note(self, actor: str, action: str, details: bytes) -> None:
        """Add a line to the audit log; a store that has to be closed for repairs is open for that only.

        Raises:
            StoreError: it cannot be written.
        """

    async def running(self) -> tuple[list[bytes], Mapping[str, int]]:
        """Return the running records, of very many only the oldest, and the milliseconds that remain of each lease.

        Raises:
            StoreError: the store cannot be read.
        """


@runtime_checkable
class Patrolled(Protocol):
    """A store that can be read in the course of time, so that what a disk has damaged is found and repaired."""

    async def patrol(self) -> PatrolStep | None:
        """Read the next part, half a megabyte, and repair what can be; ``None`` when all has been read once.

        Raises:
            StoreError: the store cannot be read, or what is damaged not be written.
        """


@runtime_checkable
class Limited(Protocol):
    """A store that limits the records that are made for it."""

    @property
    def record_limit_bytes(self) -> int:
        """The largest size of such a record in bytes; 1 MiB at least."""


@runtime_checkable
class Priced(Protocol):
    """A store that keeps with a run that ends what it cost."""

    @property
    def prices(self) -> PriceBook:
        """The prices that hold for the runs that end in this process."""


def versions_of(keys: Iterable[RecordKey] | Versions) -> Versions:
    """Return *keys* with the versions that they must have: any, unless they name some."""
    return keys if isinstance(keys, Mapping) else dict.fromkeys(keys)


async def remove(store: HistoryStore, versions: Versions, keep_ms: int, rule: str | None = None) -> list[RecordKey]:
    """Remove records that still have the given versions, into the bin for *keep_ms* milliseconds where there is one.

    The bin keeps the name of the *rule* of retention that removes them.

    Returns:
        Those that were removed.

    Raises:
        StoreError: they could not be removed.
    """
    if keep_ms > 0 and isinstance(store, Bin):
        return await store.discard(versions, keep_ms, rule)
    return await store.delete_many(versions, len(versions))


async def reach_of(store: HistoryStore, *, has_texts: bool = True) -> IndexReach:
    """Return how far the index of ``select`` has followed the feed; to its end in a store without an index."""
    if isinstance(store, Indexed):
        return await store.index_reach(has_texts=has_texts)
    newest = await store.revision()
    return IndexReach(newest, newest)


async def follow_index(store: HistoryStore, progress: OnReach = ignored, *, has_texts: bool = True) -> None:
    """Wait until the index of ``select`` has everything that is in *store* now; there is nothing to do without one.

    See :meth:`Indexed.follow_index`.

    Raises:
        StoreBusy: the index has stopped.
        StoreError: the store could not be read, or the index not be written.
    """
    if isinstance(store, Indexed):
        await store.follow_index(progress, has_texts=has_texts)


async def flush(store: HistoryStore) -> None:
    """Wait until everything that follows the calls returned so far is on the disk too.

    Raises:
        StoreError: some files are behind.
    """
    if isinstance(store, Mirrored):
        await store.flush()


def record_limit_of(store: HistoryStore) -> int:
    """Return the largest size in bytes of a record that is made for *store*; see ``records/size_limit``."""
    return max(LEAST_LIMIT, store.record_limit_bytes) if isinstance(store, Limited) else LARGEST_RECORD
