"""All records that match a filter, page after page, and none left out because an index is behind."""

from collections.abc import AsyncGenerator

from execution_history.query.fields import RecordFilter
from execution_history.query.model import MAX_SIZE, RecordQuery, Sort
from execution_history.stores.capabilities import follow_index
from execution_history.stores.protocol import Batch, HistoryStore


async def selected(
    store: HistoryStore,
    record_filter: RecordFilter,
    *,
    descending: bool,
    sort: Sort = "create_time",
    size: int = MAX_SIZE,
) -> AsyncGenerator[Batch]:
    """Yield the records that match *record_filter*, in the order of *sort*, in batches of at most *size*.

    Every record that was there at the beginning is yielded, however long the index takes to catch up. One that is
    created or changes meanwhile may be yielded or not; each is whole.

    Raises:
        InvalidQuery: the filter contains a text to find, and the store has no text search.
        StoreBusy: the index does not catch up.
        StoreError: the store could not be read.
    """
    await follow_index(store, has_texts=record_filter.text is not None)
    after: str | None = None
    while True:
        query = RecordQuery(filter=record_filter, size=size, after=after, sort=sort, descending=descending)
        selection = await store.select(query)
        yield Batch(selection.documents, None, selection.damaged)
        after = selection.next
        if after is None:
            return
