"""What the store asks the index."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from execution_history.query.model import IndexReach, RecordQuery, Selection, Statistics, StatisticsQuery
from execution_history.stores.sqlite.index.follower import Follower
from execution_history.stores.sqlite.index.index_plugin import Part
from execution_history.stores.sqlite.index.limits import USUAL, Limits
from execution_history.stores.sqlite.index.select import select
from execution_history.stores.sqlite.index.statistics import statistics
from execution_history.stores.sqlite.reader import Reader


class RecordIndex:
    """Answers questions in a thread, after catching up with the history.

    Args:
        folder: the store's folder.
        reader: of the history.
        parts: what else follows the history in the same file.
        limits: the numbers that it works with.
    """

    def __init__(self, folder: Path, reader: Reader, parts: Sequence[Part] = (), limits: Limits = USUAL) -> None:
        self._limits = limits
        self._follower = Follower(folder, reader, parts, limits)

    def close(self) -> None:
        """End the thread that follows, and close the file."""
        self._follower.close()

    async def select(self, query: RecordQuery) -> Selection:
        """See :meth:`HistoryStore.select`."""
        return await asyncio.to_thread(self._select, query)

    def _select(self, query: RecordQuery) -> Selection:
        parts = self._follower.parts
        return self._follower.answer(
            lambda index, history, reach: select(index, history, query, parts, reach, self._limits)
        )

    async def statistics(self, query: StatisticsQuery) -> Statistics:
        """See :meth:`HistoryStore.statistics`."""
        parts = self._follower.parts
        return await asyncio.to_thread(
            self._follower.answer,
            lambda index, history, reach: statistics(index, history, query, parts, reach, self._limits),
        )

    async def reach(self) -> IndexReach:
        """See :meth:`HistoryStore.index_reach`."""
        return await asyncio.to_thread(self._follower.reach)

    def problems(self) -> tuple[str, ...]:
        """Return what keeps the index from following, in one sentence; empty when nothing does."""
        return self._follower.problems()

    async def rebuild(self) -> None:
        """See :meth:`HistoryStore.rebuild_index`."""
        await asyncio.to_thread(self._follower.rebuild)
