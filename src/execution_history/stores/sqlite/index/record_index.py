"""What the store asks the index."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from execution_history.errors import StoreError, message_of
from execution_history.query.model import IndexReach, RecordQuery, Selection, Statistics, StatisticsQuery
from execution_history.stores.sqlite.index.follower import Follower
from execution_history.stores.sqlite.index.index_plugin import Part
from execution_history.stores.sqlite.index.plain_list import is_plain, select_plainly
from execution_history.stores.sqlite.index.select import select
from execution_history.stores.sqlite.index.statistics import statistics
from execution_history.stores.sqlite.reader import Reader


class RecordIndex:
    """Answers questions in a thread, after catching up with the history.

    Args:
        folder: the store's folder.
        reader: of the history.
        parts: what else follows the history in the same file.
    """

    def __init__(self, folder: Path, reader: Reader, parts: Sequence[Part] = ()) -> None:
        self._reader = reader
        self._follower = Follower(folder, reader, parts)

    def close(self) -> None:
        """End the thread that follows, and close the file."""
        self._follower.close()

    async def select(self, query: RecordQuery) -> Selection:
        """See :meth:`HistoryStore.select`; a plain list needs no index."""
        return await asyncio.to_thread(self._select, query)

    def _select(self, query: RecordQuery) -> Selection:
        parts = self._follower.parts
        try:
            return self._follower.answer(lambda index, history, reach: select(index, history, query, parts, reach))
        except StoreError as error:
            if not is_plain(query):
                raise
            with self._reader.connection() as connection:
                return select_plainly(connection, self._reader, query, message_of(error))

    async def statistics(self, query: StatisticsQuery) -> Statistics:
        """See :meth:`HistoryStore.statistics`."""
        parts = self._follower.parts
        return await asyncio.to_thread(
            self._follower.answer, lambda index, history, reach: statistics(index, history, query, parts, reach)
        )

    async def reach(self) -> IndexReach:
        """See :meth:`HistoryStore.index_reach`."""
        return await asyncio.to_thread(self._follower.reach)

    def problems(self) -> tuple[str, ...]:
        """What keeps the index from following, in one sentence; empty when nothing does."""
        return self._follower.problems()

    async def rebuild(self) -> None:
        """See :meth:`HistoryStore.rebuild_index`."""
        await asyncio.to_thread(self._follower.rebuild)
