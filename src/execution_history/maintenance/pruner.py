"""Removes runs, or their contents, in batches that hold nobody up; or tries what would go."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from execution_history.maintenance.candidates import Candidate, Page, Tried
from execution_history.query.model import RecordKey
from execution_history.query.retention import Action
from execution_history.records.contents import prune_contents
from execution_history.records.partial import outline_of
from execution_history.records.record import Document
from execution_history.records.replacement import Replacement
from execution_history.stores.capabilities import Bin, remove
from execution_history.stores.protocol import HistoryStore

_SECONDS: Final = 0.010
_FIRST: Final = 4  # at once, and the least: on a slow disk one by one is fewer than come in
_MOST: Final = 32
_MOST_BYTES: Final = 500_000
_LEAST_PAUSE: Final = 0.002


class Pace:
    """Chooses how much is done at once: as much as takes 10 ms, and then as long a pause, in which others write.

    Attributes:
        batches: how many there were.
        longest: how long the longest took, in seconds.
    """

    def __init__(self) -> None:
        self.batches = 0
        self.longest = 0.0
        self._size = _FIRST

    async def run(
        self, candidates: Sequence[Candidate], work: Callable[[Sequence[Candidate]], Awaitable[None]]
    ) -> None:
        """Do *work* on *candidates*, some at a time."""
        for batch in self._batches(candidates):
            began = time.monotonic()
            await work(batch)
            seconds = time.monotonic() - began
            self.batches += 1
            self.longest = max(self.longest, seconds)
            if seconds > _SECONDS:
                # A commit takes its time whatever is in it: fewer at once would only be more commits.
                self._size = max(_FIRST, int(len(batch) * _SECONDS / seconds))
            elif len(batch) == self._size:
                self._size = min(_MOST, 2 * self._size)
            await asyncio.sleep(max(seconds, _LEAST_PAUSE))

    def _batches(self, candidates: Sequence[Candidate]) -> Iterator[list[Candidate]]:
        batch: list[Candidate] = []
        size = 0
        for each in candidates:
            if batch and (len(batch) >= self._size or size + each.size > _MOST_BYTES):
                yield batch
                batch, size = [], 0
            batch.append(each)
            size += each.size
        if batch:
            yield batch


class Pruned(NamedTuple):
    """A run that was removed, or whose contents were, and how many bytes of JSON that frees."""

    candidate: Candidate
    freed: int


class Pruner:
    """Removes what rules choose, where it is still the version that was judged.

    Args:
        store: the history.
        clock: milliseconds since the epoch.
        begin: called before anything is removed.

    Attributes:
        pace: how much is done at once.
        discarded: what it has moved into the bin, in that order.
    """

    def __init__(
        self, store: HistoryStore, clock: Callable[[], int], begin: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self._store, self._clock, self._begin = store, clock, begin
        self.pace = Pace()
        self.discarded: Page = []

    async def prune(
        self, candidates: Sequence[Candidate], action: Action, rule: str, *, keep_ms: int = 0
    ) -> list[Pruned]:
        """Remove the runs, or their contents, that are not protected; return those that were changed.

        Args:
            candidates: the runs.
            action: what to do.
            rule: the name of the rule, which a run without contents keeps, and the bin of a removed one.
            keep_ms: how long removed runs can be restored.

        Raises:
            StoreError: the store could not be read or written; what was done before stays so.
        """
        pruned: list[Pruned] = []

        async def work(batch: Sequence[Candidate]) -> None:
            if action == "contents":
                pruned.extend(await self._without_contents(batch, rule))
            else:
                gone = set(await remove(self._store, {each.key: each.update_time for each in batch}, keep_ms, rule))
                pruned.extend(Pruned(each, each.size) for each in batch if each.key in gone)

        chosen = [each for each in candidates if each.protection is None]
        if chosen and self._begin is not None:
            await self._begin()
        # A record whose text becomes longer finds room in its JSON file where a newer one has become shorter.
        await self.pace.run(chosen[::-1] if action == "contents" else chosen, work)
        if keep_ms and action == "remove":
            self.discarded += (each.candidate for each in pruned)
        return pruned[::-1] if action == "contents" else pruned

    async def empty_bin(self, entries: Page) -> Page:
        """Remove discarded runs for good; return them.

        Raises:
            StoreError: they could not be removed.
        """
        store = self._store
        if not isinstance(store, Bin):
            return []
        if entries and self._begin is not None:
            await self._begin()
        await self.pace.run(entries, lambda batch: store.empty_bin([each.key for each in batch]))
        return entries

    async def _without_contents(self, batch: Sequence[Candidate], rule: str) -> list[Pruned]:
        found = await self._store.get_many([each.key for each in batch])
        made = await asyncio.to_thread(_shortened, batch, found.documents, self._clock(), rule)
        changed = await asyncio.gather(
            *(self._store.update(*each.key, Replacement.by(document, each.update_time)) for each, document in made)
        )
        return [
            Pruned(each, len(found.documents[each.key]) - len(document.body))
            for (each, document), change in zip(made, changed, strict=True)
            if change is not None
        ]


class Trial(Pruner):
    """Finds what a pruner would do, and changes nothing.

    Args:
        store: the history.
        clock: milliseconds since the epoch.
        tried: takes what it finds.
    """

    def __init__(self, store: HistoryStore, clock: Callable[[], int], tried: Tried) -> None:
        super().__init__(store, clock)
        self._tried = tried

    async def prune(
        self, candidates: Sequence[Candidate], action: Action, rule: str, *, keep_ms: int = 0
    ) -> list[Pruned]:
        """See :meth:`Pruner.prune`."""
        chosen = [each for each in candidates if each.protection is None]
        if action == "remove":
            self.discarded += chosen if keep_ms else ()
            for each in chosen:
                self._tried.note_gone(each)
            return [Pruned(each, each.size) for each in chosen]
        found: list[Pruned] = []

        async def work(batch: Sequence[Candidate]) -> None:
            documents = (await self._store.get_many([each.key for each in batch])).documents
            made = await asyncio.to_thread(_shortened, batch, documents, self._clock(), rule)
            found.extend(Pruned(each, len(documents[each.key]) - len(document.body)) for each, document in made)

        await self.pace.run(chosen, work)
        for each, freed in found:
            self._tried.note_shorter(each.key, freed)
        return found

    async def empty_bin(self, entries: Page) -> Page:
        """See :meth:`Pruner.empty_bin`."""
        return entries


def _shortened(
    batch: Sequence[Candidate], documents: Mapping[RecordKey, bytes], now: int, rule: str
) -> list[tuple[Candidate, Document]]:
    """Return the runs that can be read, are still as they were judged and have contents, each without them."""
    made = []
    for each in batch:
        body = documents.get(each.key)
        document = None if body is None else Document.of(outline_of(body), body)
        if document is not None and document.update_time == each.update_time:
            shorter = prune_contents(document, now, rule)
            if shorter is not None:
                made.append((each, shorter))
    return made
