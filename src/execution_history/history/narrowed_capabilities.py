"""What only some stores can do, for whoever may see some workflows only; see :mod:`.narrowed_store`."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Final, cast

from execution_history.errors import NotAllowed
from execution_history.history.narrowed_store import NarrowedStore
from execution_history.query.model import IndexReach, RecordKey
from execution_history.query.workflow_patterns import WorkflowPatterns
from execution_history.records.price_book import EVERY, PriceBook, Prices
from execution_history.records.record import Document
from execution_history.stores.capabilities import (
    Bin,
    Binned,
    Indexed,
    Limited,
    Mirrored,
    OnReach,
    Priced,
    Versions,
    Watched,
)
from execution_history.stores.capabilities import ignored as _ignored
from execution_history.stores.protocol import HistoryStore


class _NarrowedWatch(NarrowedStore):
    def on_change(self, call: Callable[[], None]) -> Callable[[], None]:
        """See :class:`Watched`."""
        return cast("Watched", self._store).on_change(call)


class _NarrowedIndex(NarrowedStore):
    async def index_reach(self, *, has_texts: bool = True) -> IndexReach:
        """See :class:`Indexed`."""
        return await cast("Indexed", self._store).index_reach(has_texts=has_texts)

    async def follow_index(self, progress: OnReach = _ignored, *, has_texts: bool = True) -> None:
        """See :class:`Indexed`."""
        await cast("Indexed", self._store).follow_index(progress, has_texts=has_texts)

    async def rebuild_index(self) -> None:
        """Refuse: the index is everybody's.

        Raises:
            NotAllowed: always.
        """
        raise NotAllowed("Your key is for some workflows only, and does not allow this.")


class _NarrowedFiles(NarrowedStore):
    async def flush(self) -> None:
        """See :class:`Mirrored`."""
        await cast("Mirrored", self._store).flush()


class _NarrowedBin(NarrowedStore):
    @property
    def bin_ms(self) -> int:
        """See :class:`Bin`."""
        return cast("Bin", self._store).bin_ms

    async def discard(
        self, keys: Iterable[RecordKey] | Versions, keep_ms: int, rule: str | None = None
    ) -> list[RecordKey]:
        """See :class:`Bin`."""
        return await cast("Bin", self._store).discard(self._seen_of(keys), keep_ms, rule)

    async def restore(self, keys: Iterable[RecordKey]) -> list[RecordKey]:
        """See :class:`Bin`."""
        return await cast("Bin", self._store).restore(self._seen(keys))

    async def binned(self, after: Binned | None = None, limit: int | None = None) -> list[Binned]:
        """See :class:`Bin`."""
        found = await cast("Bin", self._store).binned(after)
        return [each for each in found if self._match(each.key.workflow_id)][:limit]

    async def binned_documents(self, keys: Iterable[RecordKey]) -> dict[RecordKey, bytes]:
        """See :class:`Bin`."""
        return await cast("Bin", self._store).binned_documents(self._seen(keys))

    async def replace_binned(self, document: Document, expected: int) -> bool:
        """See :class:`Bin`."""
        is_seen = self._match(document.workflow_id)
        return is_seen and await cast("Bin", self._store).replace_binned(document, expected)

    async def bin_size(self) -> tuple[int, int]:
        """See :class:`Bin`."""
        found = await self.binned()
        return len(found), sum(each.size for each in found)

    async def empty_bin(self, keys: Iterable[RecordKey]) -> None:
        """See :class:`Bin`."""
        await cast("Bin", self._store).empty_bin(self._seen(keys))


class _NarrowedLimit(NarrowedStore):
    @property
    def record_limit_bytes(self) -> int:
        """See :class:`Limited`."""
        return cast("Limited", self._store).record_limit_bytes


class _NarrowedPrices(NarrowedStore):
    @property
    def prices(self) -> PriceBook:
        """The prices of the settings that can be seen; see :class:`Priced`."""
        whole, book = cast("Priced", self._store).prices, PriceBook()
        book.fixed = Prices(each for each in whole.fixed if each.workflow == EVERY or self._match(each.workflow))
        book.currency, book.budget = whole.currency, whole.budget
        return book


_CAPABILITIES: Final[tuple[tuple[Any, type[NarrowedStore]], ...]] = (
    (Watched, _NarrowedWatch),
    (Indexed, _NarrowedIndex),
    (Mirrored, _NarrowedFiles),
    (Bin, _NarrowedBin),
    (Limited, _NarrowedLimit),
    (Priced, _NarrowedPrices),
)


@cache
def _class_with(capabilities: tuple[type[NarrowedStore], ...]) -> type[NarrowedStore]:
    return type("NarrowedStore", (*capabilities, NarrowedStore), {})


def narrowed(store: HistoryStore, patterns: WorkflowPatterns) -> HistoryStore:
    """Return *store* as it is for whoever may see the workflows of *patterns*, with the capabilities that it has."""
    capabilities = tuple(part for kind, part in _CAPABILITIES if isinstance(store, kind))
    return _class_with(capabilities)(store, patterns)
