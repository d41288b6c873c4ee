"""The budget of disk space: what goes so that a store takes no more than it may.

First the oldest of what was deleted before, then the contents of the oldest runs, whose lines stay, then the oldest
runs: so many as make room by what was measured in the beginning, which is what a preview shows. Then space is given
back and the store measured anew; only where it still takes more than it may, more goes.
"""

import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import Final, Literal

from execution_history.maintenance.candidates import Candidate, Candidates, Page
from execution_history.maintenance.places import Places
from execution_history.maintenance.pruner import Pruner
from execution_history.maintenance.report import BUDGET, RetentionReport, RulePart
from execution_history.maintenance.space import Space
from execution_history.query.fields import RecordFilter
from execution_history.query.retention import Action
from execution_history.stores.capabilities import Bin, DiskUse, Sized
from execution_history.stores.protocol import HistoryStore

_ROOM: Final = 0.95
"""To which share of its budget a store that has grown beyond it shrinks, so that it need not shrink again at once."""

_MOST_ROUNDS: Final = 10
_ENTRIES: Final = 200
_STAGES: Final[Sequence[Literal["bin", "contents", "remove"]]] = ("bin", "contents", "remove")


class Budget:
    """Shrinks one store, or tries how it would.

    Args:
        store: the history; it can tell its size.
        limit: how many bytes it may take.
        candidates: finds the oldest runs.
        pruner: removes them, or notes what it would remove.
        places: remembers up to where contents were removed.
        space: what the store takes, less what rules have removed.
    """

    def __init__(
        self, store: HistoryStore, limit: int, candidates: Candidates, pruner: Pruner, places: Places, space: Space
    ) -> None:
        self._store, self._limit, self._candidates, self._pruner = store, limit, candidates, pruner
        self._places, self._space = places, space
        self._touched: set[str] = set()

    async def shrink(self, store: Sized, report: RetentionReport) -> None:
        """Remove what has to go, and note it in *report*.

        Raises:
            StoreError: the store could not be read or written; what was done before stays so.
        """
        rounds = self._rounds(report)
        for _ in range(_MOST_ROUNDS):
            is_reached = await anext(rounds, None)
            if not self._touched and is_reached is None:
                return
            report.rounds += 1
            report.waits_for_index = not await store.give_back(self._touched, is_thorough=True)
            self._touched = set()
            if is_reached is None:
                return
            use, binned = await measured(self._store, store)
            if report.before is not None:
                use = _with_index(use, report.before)
            self._space = Space.of(use, binned)
            if self._space.used <= self._limit:
                await rounds.aclose()
                return

    async def preview(self, report: RetentionReport, ends: float | None) -> None:
        """Note in *report* what :meth:`shrink` would remove before it measures the store anew.

        Args:
            report: the report.
            ends: the time of ``time.monotonic`` at which the preview ends; ``None``: when it is complete.

        Raises:
            StoreError: the store could not be read.
        """
        rounds = self._rounds(report, ends)
        await anext(rounds, None)
        await rounds.aclose()
        report.expected = max(0, round(self._space.used))

    async def _rounds(self, report: RetentionReport, ends: float | None = None) -> AsyncGenerator[bool]:
        """Remove what has to go; yield each time that the store is small enough by what was measured last."""
        if self._space.used <= self._limit:
            return
        aim = self._limit * _ROOM
        for action in _STAGES:
            part = RulePart(BUDGET, action)
            report.parts.append(part)
            pages = self._bin() if action == "bin" else self._runs(action)
            async for page in pages:
                rest = page
                while rest:
                    piece = self._space.up_to(rest, action, aim)
                    rest = rest[len(piece) :]
                    await self._take(part, piece)
                    if self._space.used <= aim:
                        yield True
                if ends is not None and time.monotonic() > ends:
                    part.is_complete = False
                    return
            if not (part.runs or part.kept):
                report.parts.remove(part)

    async def _take(self, part: RulePart, piece: Page) -> None:
        for each in piece:
            part.keep(each)
        if part.action == "bin":
            gone = [(each, each.size) for each in await self._pruner.empty_bin(piece)]
        else:
            gone = [(each.candidate, each.freed) for each in await self._pruner.prune(piece, part.action, BUDGET)]
        for candidate, size in gone:
            part.add(candidate, size)
            self._space.note(part.action, size)
            self._touched.add(candidate.key.workflow_id)

    async def _bin(self) -> AsyncGenerator[Page]:
        """Yield what was deleted before, the oldest deletions first, and at last what rules have deleted now."""
        if not isinstance(self._store, Bin):
            return
        last = self._pruner.discarded
        now = {each.key for each in last}
        entries = sorted(await self._store.binned(), key=lambda each: each.deleted_at)
        before = [Candidate(each.key, each.deleted_at, 0, each.size, None) for each in entries if each.key not in now]
        for start in range(0, len(before), _ENTRIES):
            yield before[start : start + _ENTRIES]
        if last:
            yield list(last)

    async def _runs(self, action: Action) -> AsyncGenerator[Page]:
        """Yield all runs, oldest first; of contents from where they are still there."""
        is_of_contents = action == "contents"
        since = await self._places.begin(BUDGET) if is_of_contents else 0
        what = RecordFilter(created_from=since or None)
        async for page in self._candidates.walk(what, is_of_contents=is_of_contents):
            if page:
                yield page
                if is_of_contents:
                    self._places.note(BUDGET, page[-1].create_time)


async def measured(store: HistoryStore, sized: Sized) -> tuple[DiskUse, int]:
    """Return what a store takes, and how many bytes of JSON are in its bin.

    Raises:
        StoreError: that cannot be read.
    """
    return await sized.disk_use(), (await store.bin_size())[1] if isinstance(store, Bin) else 0


def _with_index(use: DiskUse, before: DiskUse) -> DiskUse:
    """Return what is used when the index is as much smaller as all documents are, at most.

    It may be behind, or keep what is deleted for a while: for that no more runs go.
    """
    return replace(use, index=min(use.index, before.index * use.documents // max(1, before.documents)))
