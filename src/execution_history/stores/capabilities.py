"""What only some stores can do, beside the promise of all; and what stands in for it where a store cannot."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from execution_history.query.model import IndexReach, RecordKey
from execution_history.records.size_limit import LARGEST_RECORD, LEAST_LIMIT
from execution_history.stores.protocol import HistoryStore


@runtime_checkable
class Located(Protocol):
    """A store that other processes can open too."""

    @property
    def location(self) -> str:
        """Its name, the same in every process of this machine."""


@runtime_checkable
class Watched(Protocol):
    """A store that calls back when it was changed through it, so that a follower of its change feed need not look."""

    def on_change(self, call: Callable[[], None]) -> Callable[[], None]:
        """Have *call* called after each change, soon, from any thread; it must be quick. The result ends that."""


@runtime_checkable
class Indexed(Protocol):
    """A store whose ``select`` and ``statistics`` are answered by an index that follows its change feed."""

    async def index_reach(self) -> IndexReach:
        """Return how far the index has followed; waits for nothing."""

    async def rebuild_index(self) -> None:
        """Make the index anew from the records, and return when it is whole."""


@runtime_checkable
class Mirrored(Protocol):
    """A store that keeps files beside its database."""

    async def flush(self) -> None:
        """Return when the files have everything that was answered so far, on the disk.

        Raises:
            StoreError: some are behind.
        """


@runtime_checkable
class Prunable(Protocol):
    """A store that keeps what was deleted until it is told to forget it, or has the time for that."""

    async def prune(self) -> int:
        """Forget the deletions that nobody needs any more; return the revision up to which they are forgotten."""


@dataclass(frozen=True, slots=True)
class Binned:
    """A deleted record that can be restored: its size in bytes of JSON, when it was deleted and until when it is kept.

    Times are milliseconds since the epoch.
    """

    key: RecordKey
    size: int
    deleted_at: int
    ends: int


@runtime_checkable
class Bin(Protocol):
    """A store that can keep deleted records for a while."""

    async def discard(self, keys: Iterable[RecordKey], keep_ms: int) -> list[RecordKey]:
        """Remove records, but keep them so long (milliseconds) that they can be restored; return which there were."""

    async def restore(self, keys: Iterable[RecordKey]) -> list[RecordKey]:
        """Bring discarded records back as they were; return which these are.

        Left where they are: those that were not discarded or not kept so long, and those whose id a record has now.
        """

    async def binned(self, after: RecordKey = ..., limit: int | None = None) -> list[Binned]:
        """Return what can be restored, in the order of the ids, behind the record *after*."""

    async def empty_bin(self, keys: Iterable[RecordKey]) -> None:
        """Remove discarded records for good."""


@runtime_checkable
class Limited(Protocol):
    """A store that limits the records that are made for it."""

    @property
    def record_limit_bytes(self) -> int:
        """How many bytes such a record has at most; fewer than 1 MiB count as that."""


async def reach_of(store: HistoryStore) -> IndexReach:
    """Return how far what answers ``select`` has followed the feed: in a store without an index, to its end."""
    if isinstance(store, Indexed):
        return await store.index_reach()
    newest = await store.revision()
    return IndexReach(newest, newest)


async def flush(store: HistoryStore) -> None:
    """Return when everything that follows the calls answered so far is on the disk too.

    Raises:
        StoreError: that cannot be said of some files.
    """
    if isinstance(store, Mirrored):
        await store.flush()


def record_limit_of(store: HistoryStore) -> int:
    """Return how many bytes a record has at most that is made for *store*; see ``records/size_limit``."""
    return max(LEAST_LIMIT, store.record_limit_bytes) if isinstance(store, Limited) else LARGEST_RECORD
