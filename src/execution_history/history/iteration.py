"""Every record that a filter means, page after page, and none left out because an index is behind."""

from collections.abc import AsyncGenerator
from typing import Final

from execution_history.errors import StoreBusy
from execution_history.query.fields import RecordFilter
from execution_history.query.model import MAX_SIZE, RecordQuery
from execution_history.stores.protocol import Batch, HistoryStore

_MOST_STANDSTILLS: Final = 10


async def selected(
    store: HistoryStore, wanted: RecordFilter, *, descending: bool, size: int = MAX_SIZE
) -> AsyncGenerator[Batch]:
    """Yield the records that match *wanted*, by ``create_time``, in batches of at most *size*.

    Every record that was there at the beginning is yielded, however long the index has to catch up for it. One that
    comes or changes meanwhile may be among them or not; each is whole.

    Raises:
        InvalidQuery: the filter contains a text to find, and the store has no text search.
        StoreBusy: the index does not catch up.
        StoreError: the store could not be read.
    """
    await _catch_up(store, wanted)
    after: str | None = None
    while True:
        query = RecordQuery(filter=wanted, size=size, after=after, descending=descending)
        selection = await store.select(query)
        yield Batch(selection.documents, None, selection.damaged)
        after = selection.next
        if after is None:
            return


async def _catch_up(store: HistoryStore, wanted: RecordFilter) -> None:
    """Ask until everything that is in the store now can be in an answer; each answer waits a little for that."""
    newest, reached, standstills = await store.revision(), -1, 0
    while reached < newest:
        before, reach = reached, (await store.select(RecordQuery(filter=wanted, size=1, summaries=True))).reach
        reached = reach.revision
        standstills = 0 if reached > before else standstills + 1
        if standstills == _MOST_STANDSTILLS:
            raise StoreBusy(
                "The index of this history stands at change %(revision)s of %(newest)s and does not "
                "go on: try again, or have it rebuilt.",
                revision=reach.revision,
                newest=newest,
            )
