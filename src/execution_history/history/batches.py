"""Records in batches: the whole store in the order of arrival, or those that a filter means."""

from collections.abc import AsyncGenerator
from typing import Final

from execution_history.history.iteration import selected
from execution_history.query.model import RecordFilter
from execution_history.stores.protocol import Batch, HistoryStore, ScanToken

_AT_ONCE: Final = 2_000


async def batches(store: HistoryStore, wanted: RecordFilter, *, descending: bool) -> AsyncGenerator[Batch]:
    """Yield the records that match *wanted*, in batches, oldest first, or newest first where *descending*.

    Oldest first and without a filter the order is that of arrival, and the store is read from its beginning to its
    end, which is several times as fast as reading pages. A record that comes or changes meanwhile may be among them
    or not; each is whole.

    Raises:
        InvalidQuery: the filter contains a text to find, and the store has no text search.
        StoreError: the store could not be read.
    """
    await store.open()
    if not (descending or wanted.given()):
        async for batch in _everything(store):
            yield batch
    else:
        async for batch in selected(store, wanted, descending=descending):
            yield batch


async def _everything(store: HistoryStore) -> AsyncGenerator[Batch]:
    after: ScanToken | None = None
    while True:
        batch = await store.scan(after, _AT_ONCE)
        yield batch
        after = batch.next
        if after is None:
            return
