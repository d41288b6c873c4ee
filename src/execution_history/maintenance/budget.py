"""The budget of disk space: what goes so that a store takes no more than it may.

First the oldest of what was deleted before, then the contents of the oldest runs, whose lines stay, then the oldest
runs. After each round space is given back and the store measured anew, so that no more goes than has to.
"""

import time
from collections.abc import AsyncGenerator, Collection, Iterator
from contextlib import aclosing
from typing import Final

from execution_history.maintenance.candidates import Candidate, Candidates, Page, up_to
from execution_history.maintenance.places import Places
from execution_history.maintenance.pruner import Pruner
from execution_history.maintenance.report import BUDGET, RulePart
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordKey
from execution_history.query.retention import Action
from execution_history.stores.capabilities import Bin, DiskUse, Sized
from execution_history.stores.protocol import HistoryStore

_ROOM: Final = 0.95
"""To which share of its budget a store that has grown beyond it shrinks, so that it need not shrink again at once."""

_MOST_ROUNDS: Final = 100
_LEAST_BYTES: Final = 64 * 1024
_ENTRIES: Final = 200


class Budget:
    """Shrinks one store.

    Args:
        store: the history; it can tell its size.
        limit: how many bytes it may take.
        candidates: finds the oldest runs.
        pruner: removes them.
        places: remembers up to where contents were removed.
    """

    def __init__(self, store: HistoryStore, limit: int, candidates: Candidates, pruner: Pruner, places: Places) -> None:
        self._store, self._limit, self._candidates, self._pruner = store, limit, candidates, pruner
        self._places = places
        self._touched: set[str] = set()
        self._rest: Page = []
        self._discarded: Page = []

    async def shrink(self) -> list[RulePart]:
        """Remove what has to go; return what did.

        Raises:
            StoreError: the store could not be read or written; what was done before stays so.
        """
        parts: list[RulePart] = []
        if not isinstance(self._store, Sized) or (await self._store.disk_use()).used <= self._limit:
            return parts
        await self._store.give_back()  # perhaps that is enough
        for part, steps in self._stages():
            self._rest = []
            is_enough = await self._take(part, steps, self._store)
            if part.runs or part.kept:
                parts.append(part)
            if is_enough:
                break
        return parts

    async def preview(
        self, freed: int, discarded: Page, gone: Collection[RecordKey], ends: float | None
    ) -> list[RulePart]:
        """Return what would have to go, about: how much of the disk it frees is known once it went.

        Args:
            freed: how many bytes of JSON the rules remove before, into the bin not counted.
            discarded: the runs that the rules move into the bin before.
            gone: the runs that the rules are about, which are not looked at again.
            ends: the time of ``time.monotonic`` at which the preview ends; ``None``: when it is complete.

        Raises:
            StoreError: the store could not be read.
        """
        parts: list[RulePart] = []
        if not isinstance(self._store, Sized):
            return parts
        use = await self._store.disk_use()
        if use.used - freed * use.used // max(1, use.documents) <= self._limit:
            return parts
        wanted = _documents_in(use.used - int(self._limit * _ROOM), use) - freed
        shorter: dict[RecordKey, int] = {}
        self._discarded = discarded
        for part, steps in self._stages():
            async with aclosing(steps):
                async for page in steps:
                    left = [
                        each._replace(size=each.size - shorter.get(each.key, 0))
                        for each in page
                        if part.action == "bin" or each.key not in gone
                    ]
                    piece = up_to(left, wanted)
                    for each in piece:
                        part.keep(each)
                    for each, size in await self._pruner.preview(piece, part.action):
                        part.add(each, size)
                        shorter[each.key] = size
                        wanted -= size
                    part.is_complete = ends is None or time.monotonic() <= ends
                    if wanted <= 0 or not part.is_complete:
                        break
            if part.runs or part.kept or not part.is_complete:
                parts.append(part)
            if wanted <= 0 or not part.is_complete:
                break
        return parts

    def _stages(self) -> Iterator[tuple[RulePart, AsyncGenerator[Page]]]:
        """Yield in which order what goes."""
        yield RulePart(BUDGET, "bin"), self._bin()
        yield RulePart(BUDGET, "contents"), self._runs("contents")
        yield RulePart(BUDGET, "remove"), self._runs("remove")

    async def _take(self, part: RulePart, steps: AsyncGenerator[Page], store: Sized) -> bool:
        """Remove what *steps* yield until the store is small enough; return whether it is."""
        try:
            for _ in range(_MOST_ROUNDS):
                use = await store.disk_use()
                excess = use.used - int(self._limit * _ROOM)
                if excess <= 0:
                    return True
                if not await self._round(part, steps, _documents_in(excess, use)):
                    return False
                await store.give_back(self._touched, is_thorough=True)
                self._touched = set()
            return False
        finally:
            await steps.aclose()

    async def _round(self, part: RulePart, steps: AsyncGenerator[Page], wanted: int) -> int:
        """Remove runs with *wanted* bytes of JSON, or more; return how many were removed, 0 where none is left."""
        freed = count = 0
        while freed < wanted:
            if not self._rest:
                self._rest = await anext(steps, [])
                if not self._rest:
                    break
            piece = up_to(self._rest, wanted - freed)
            self._rest = self._rest[len(piece) :]
            for each in piece:
                part.keep(each)
            for candidate, size in await self._removed(part, piece):
                part.add(candidate, size)
                self._touched.add(candidate.key.workflow_id)
                freed, count = freed + size, count + 1
        return count

    async def _removed(self, part: RulePart, page: Page) -> list[tuple[Candidate, int]]:
        if part.action != "bin":
            return [(each.candidate, each.freed) for each in await self._pruner.prune(page, part.action, BUDGET)]
        if isinstance(self._store, Bin):
            await self._pruner.empty_bin([each.key for each in page], self._store.empty_bin)
        return [(each, each.size) for each in page]

    async def _bin(self) -> AsyncGenerator[Page]:
        """Yield what was deleted before, the oldest deletions first."""
        if not isinstance(self._store, Bin):
            return
        entries = sorted(await self._store.binned(), key=lambda each: each.deleted_at)
        for start in range(0, len(entries), _ENTRIES):
            yield [
                Candidate(each.key, each.deleted_at, 0, each.size, None) for each in entries[start : start + _ENTRIES]
            ]
        if self._discarded:
            yield self._discarded

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


def _documents_in(excess: int, use: DiskUse) -> int:
    """Return about how many bytes of JSON take *excess* bytes of a disk."""
    return max(_LEAST_BYTES, excess * use.documents // max(1, use.used))
