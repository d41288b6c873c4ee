"""The index as a whole: it answers queries, and waits a little until it has caught up with the history."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

import apsw

from execution_history.errors import StoreBusy, StoreClosed
from execution_history.query.breakdown import Breakdown, BreakdownQuery
from execution_history.query.model import IndexReach, RecordQuery, Selection, Statistics, StatisticsQuery
from execution_history.stores.capabilities import OnReach, ignored
from execution_history.stores.sqlite.connections import one_moment
from execution_history.stores.sqlite.index.builder import BuildStopped
from execution_history.stores.sqlite.index.connections import SERVING, IndexUnusable
from execution_history.stores.sqlite.index.follower import IndexFollower
from execution_history.stores.sqlite.index.groups import breakdowns
from execution_history.stores.sqlite.index.history_source import HistoryView
from execution_history.stores.sqlite.index.limits import USUAL, Limits
from execution_history.stores.sqlite.index.select import select
from execution_history.stores.sqlite.index.state import ROWS, TEXTS, IndexState
from execution_history.stores.sqlite.index.statistics import statistics
from execution_history.stores.sqlite.index.text_index import TextIndex
from execution_history.stores.sqlite.reader import Reader

_Result = TypeVar("_Result")
Read = Callable[[apsw.Connection, HistoryView, IndexReach], _Result]
"""Reads an answer from one moment of the index, and from the history, knowing how far that index has come."""

_LOOK_SECONDS: Final = 0.05
_LONG: Final = 3
"""Steps without end that a query waits for."""


class RecordIndex:
    """Answers from ``index.db``, which follows ``history.db``; for any number of threads.

    Nothing is opened before it is needed. From the first query on a thread follows the history while the store is open,
    so that later queries have little to catch up with.

    Args:
        folder: the store's folder.
        reader: reads the history.
        text: the text index, if there is one.
        limits: how much is done at once, and how long a query waits.
        serving: versions of files that answer until one of the present version is built.
    """

    def __init__(
        self,
        folder: Path,
        reader: Reader,
        text: TextIndex | None = None,
        limits: Limits = USUAL,
        serving: frozenset[str] = SERVING,
    ) -> None:
        self._text = text
        self._limits = limits
        self._helping = threading.Lock()
        self.follower = IndexFollower(folder, reader, text, limits, serving)

    def close(self) -> None:
        """End the thread and close the file."""
        self.follower.close()

    async def select(self, query: RecordQuery) -> Selection:
        """See :meth:`HistoryStore.select`."""

        def read(index: apsw.Connection, history: HistoryView, reach: IndexReach) -> Selection:
            return select(index, history, query, self._text, reach, self._limits)

        return await asyncio.to_thread(self.answer, read, query.wait_seconds, has_text=query.filter.text is not None)

    async def statistics(self, query: StatisticsQuery) -> Statistics:
        """See :meth:`HistoryStore.statistics`."""

        def read(index: apsw.Connection, history: HistoryView, reach: IndexReach) -> Statistics:
            return statistics(index, history, query, self._text, reach, self._limits)

        return await asyncio.to_thread(self.answer, read, query.wait_seconds, has_text=query.filter.text is not None)

    async def breakdowns(self, queries: Sequence[BreakdownQuery]) -> list[Breakdown]:
        """See :meth:`HistoryStore.breakdowns`."""

        def read(index: apsw.Connection, history: HistoryView, reach: IndexReach) -> list[Breakdown]:
            return breakdowns(index, history, queries, self._text, reach, self._limits)

        waits = [each.wait_seconds for each in queries]
        longest = None if None in waits else max(waits)  # type: ignore[type-var] # the line says it
        has_text = any(each.filter.text is not None for each in queries)
        return await asyncio.to_thread(self.answer, read, longest, has_text=has_text)

    def answer(self, read: "Read[_Result]", wait_seconds: float | None = None, *, has_text: bool = True) -> _Result:
        """Return the result of *read* on an index that has caught up, as far as that was possible in a short time.

        An index that cannot be written, such as on a full disk, is read as it is.

        Args:
            read: reads the index.
            wait_seconds: how long to wait for it; ``None``: as the limits have it.
            has_text: whether the texts are waited for too.

        Raises:
            StoreError: the history could not be read, or there is no index and none can be made.
            InvalidQuery: raised by *read*.
        """
        seconds = self._limits.wait_seconds if wait_seconds is None else wait_seconds

        def answered() -> _Result:
            newest = self._catch_up(time.monotonic() + seconds, has_text=has_text).newest
            follower, with_texts = self.follower, has_text and self._text is not None
            with (
                follower.precedence.query(),
                follower.history() as history,
                follower.index().connection() as index,
                one_moment(index),
            ):
                # What was waited for may have been replaced since, or texts of it have become due.
                return read(index, history, IndexState.read(index).reach(newest, with_texts=with_texts))

        return self.follower.tried(answered)

    async def reach(self, *, has_texts: bool = True) -> IndexReach:
        """Return how far the index has followed; it goes on by itself.

        Raises:
            StoreError: the history could not be read.
        """
        return await asyncio.to_thread(self._reach, has_texts=has_texts)

    def _reach(self, *, has_texts: bool) -> IndexReach:
        self.follower.start()
        newest = self._newest()

        def read() -> IndexReach:
            try:
                return self.follower.state().reach(newest, with_texts=has_texts and self._text is not None)
            except IndexUnusable as error:
                self.follower.note(error)  # the thread goes on once that has passed
                return IndexReach(0, newest)

        return self.follower.tried(read)

    def problems(self) -> tuple[str, ...]:
        """Return one sentence on what keeps the index from following, if anything."""
        return self.follower.problems()

    async def follow(self, progress: OnReach = ignored, *, has_texts: bool = True) -> None:
        """See :class:`~execution_history.stores.capabilities.Indexed`.

        Any number may wait: each looks now and then, and one of them at a time helps.
        """
        newest = await asyncio.to_thread(self._newest)
        before: tuple[IndexReach, int] | None = None
        moved_at = time.monotonic()
        least: int | None = None
        while True:
            reach, left = await asyncio.to_thread(self._helped, has_texts=has_texts)
            least = left if least is None else min(left, least)
            changes = reach.newest - reach.revision
            progress(replace(reach, missing=max(0, least - changes)))
            if reach.revision >= newest and reach.since is None:
                return
            state = (reach, self.follower.written_at())
            if state != before:
                before, moved_at = state, time.monotonic()
            elif time.monotonic() > moved_at + self._limits.standstill_seconds and not await asyncio.to_thread(
                self._is_building
            ):
                raise StoreBusy(
                    "The index of this history has stopped at change %(revision)s of %(newest)s: try again, or "
                    "rebuild it.",
                    revision=reach.revision,
                    newest=newest,
                )
            await asyncio.sleep(_LOOK_SECONDS)

    def _newest(self) -> int:
        with self.follower.history() as history:
            return history.newest()

    def _is_building(self) -> bool:
        return self.follower.builder().is_building()

    def _helped(self, *, has_texts: bool) -> tuple[IndexReach, int]:
        """Help to follow for a moment, unless somebody else does; return how far it is, and the work that is left."""

        def helped() -> tuple[IndexReach, int]:
            if self._helping.acquire(blocking=False):
                try:
                    reach = self._catch_up(time.monotonic() + _LOOK_SECONDS, has_text=has_texts, is_all=True)
                finally:
                    self._helping.release()
            else:
                reach = self._reach(has_texts=has_texts)
            return reach, 0 if reach.is_complete else self._left(reach, has_texts=has_texts)

        return self.follower.tried(helped)

    def _left(self, reach: IndexReach, *, has_texts: bool) -> int:
        """Return how many rows and texts are still to be written, at most; those of a file built beside too."""
        state = self.follower.state()
        rows = state.due[ROWS] + (0 if state.behind is None else state.missing) + reach.newest - reach.revision
        if self._text is None or not has_texts:
            return rows
        return rows + state.due[TEXTS] + (state.stops_at + self._limits.front if state.needs_another else rows)

    async def rebuild(self) -> None:
        """Make the index anew beside the present one, which answers meanwhile; return when it is in its place.

        Raises:
            StoreError: the history could not be read, or the index not be written.
        """
        follower = self.follower
        follower.start()
        state = await asyncio.to_thread(follower.tried, follower.state)
        if not state.needs_another:  # else it is being built: the thread goes on with it
            with_texts = not state.lacks_rows and not any(state.due)
            # A build that is under way may have begun long ago.
            await self._repeated(lambda: follower.builder().forget())
            await self._repeated(lambda: follower.tried(lambda: follower.build(with_texts=with_texts)))
        await self.follow()

    async def give_back(self, seconds: float) -> bool:
        """Give what is free in the file back to the file system, once it has followed the history.

        Returns:
            Whether it has: one that is still behind after so many *seconds* gives back what is free by then.

        Raises:
            StoreError: the history could not be read, or the index not be written.
        """
        is_behind = False
        try:
            async with asyncio.timeout(seconds):
                await self.follow(has_texts=True)
        except TimeoutError:
            is_behind = True
        if await asyncio.to_thread(self.follower.give_back) and not is_behind:
            await self.rebuild()
        return not is_behind

    async def _repeated(self, work: Callable[[], bool]) -> None:
        """Do *work* until it was done, which it is not while somebody builds; nobody waits for that on a thread."""
        try:
            while not await asyncio.to_thread(work):  # noqa: ASYNC110 - another process may be the one that builds
                await asyncio.sleep(_LOOK_SECONDS)
        except BuildStopped:
            raise StoreClosed("This history was closed; create a new service.") from None

    def _catch_up(self, deadline: float, *, has_text: bool, is_all: bool = False) -> IndexReach:
        """Follow the feed to its present end, or until *deadline*, or as far as the disk has space.

        What is known to take longer is not waited for, unless *is_all* is to be done.
        """
        follower, has_text = self.follower, has_text and self._text is not None
        follower.start()
        with follower.history() as history:
            newest = history.newest()
        before, standing = None, 0
        try:
            while True:
                state = follower.state()
                standing = standing + 1 if state == before else 0
                before = state
                reach = state.reach(newest, with_texts=has_text)
                remaining = deadline - time.monotonic()
                within = self._limits.a_second * remaining
                is_followed = reach.revision >= newest
                is_far = not is_all and newest - reach.revision > max(self._limits.few_changes, within)
                is_long = not is_all and standing > _LONG  # rows of a cleared workflow are being removed
                is_left_to_a_build = state.needs_another and not any(state.due[: 1 + has_text])
                is_enough = is_followed and (is_left_to_a_build or (reach.missing > within and not is_all))
                if reach.is_complete or remaining <= 0 or is_far or is_long or is_enough:
                    break
                follower.advance(state, newest, remaining)
        except IndexUnusable as error:
            follower.note(error)
            reach = follower.state().reach(newest, with_texts=has_text)
        if reach.is_complete:
            follower.verify()
        else:
            follower.wake()
        return reach
