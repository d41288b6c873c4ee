"""Bringing records into a history: merged by ``execute_id``, in groups that are each taken whole or not at all.

Importing is idempotent: what is there already in the same or a newer version is skipped. So an import that was cut
short, by a kill or a full disk, is continued by running it again. A record that was deleted comes back with an import.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from execution_history.clock import now_ms
from execution_history.errors import ImportFailed, quoted
from execution_history.record import Document
from execution_history.store import HistoryStore, record_limit_of
from execution_history.upkeep.items import Item, Refused
from execution_history.upkeep.progress import Progress, Tell, in_thread, no_progress, to_its_end
from execution_history.upkeep.sources import Source, sources_at

MOST_REFUSALS: Final = 1_000
"""So many refusals are kept with their reasons; the others are counted."""

_AT_ONCE: Final = 1_000
_BYTES_AT_ONCE: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did.

    ``added`` records were new, ``replaced`` an older version, ``skipped`` were there in the same or a newer version;
    ``refused_count`` could not be taken, and ``refused`` tells the first thousand of them. ``size`` is in bytes.
    """

    added: int = 0
    replaced: int = 0
    skipped: int = 0
    refused_count: int = 0
    refused: tuple[Refused, ...] = ()
    size: int = 0

    @property
    def taken(self) -> int:
        """How many records came in, new or in a newer version."""
        return self.added + self.replaced

    def to_json(self) -> dict[str, Any]:
        """An object of the fields above; ``refused`` is ``[{"source", "place", "reason"}, …]``."""
        return {
            "added": self.added,
            "replaced": self.replaced,
            "skipped": self.skipped,
            "refused_count": self.refused_count,
            "refused": [each.to_json() for each in self.refused],
            "size": self.size,
        }


async def import_history(
    store: HistoryStore,
    paths: Iterable[Path],
    *,
    tell: Tell = no_progress,
    clock: Callable[[], int] = now_ms,
) -> ImportReport:
    """Merge the records of files, folders, zip files and databases into *store*.

    Args:
        store: where they come in.
        paths: JSON Lines, the JSON files of deployments and of exports, folders or zip files of them, and folders of
            stores (their ``history.db`` is read and not changed).
        tell: is told how far it has come.
        clock: the time, in milliseconds, for records that do not say theirs.

    Raises:
        ImportFailed: one of *paths* is missing or is nothing that can be imported; nothing was imported.
        StoreError: the store failed; what was merged before stays, and running the import again goes on.
    """
    sources = [source for path in paths for source in sources_at(Path(path))]
    return await merge_sources(store, sources, tell=tell, clock=clock)


async def merge_sources(
    store: HistoryStore, sources: Sequence[Source], *, tell: Tell = no_progress, clock: Callable[[], int] = now_ms
) -> ImportReport:
    """Merge everything that *sources* hold; see :func:`import_history`."""
    await store.open()
    total = _sum(source.total for source in sources)
    tally, limit = _Tally(), record_limit_of(store)
    reading = _Reading(sources, clock)
    ahead = asyncio.create_task(in_thread(reading.group))
    try:
        # The next group is read while this one is written.
        while group := await ahead:
            ahead = asyncio.create_task(in_thread(reading.group))
            documents = [item.fitted(limit) for item in group if isinstance(item, Document)]
            merged = await to_its_end(store.merge(documents, settle=False))
            tally.added += merged.added
            tally.replaced += merged.replaced
            tally.skipped += merged.unchanged
            tally.refuse([item for item in group if isinstance(item, Refused)])
            tell(Progress(tally.records(), reading.size(), total_size=total))
    finally:
        with contextlib.suppress(ImportFailed):
            await ahead
        await in_thread(reading.close)
    await store.flush()
    return ImportReport(
        tally.added, tally.replaced, tally.skipped, tally.refused_count, tuple(tally.refused), reading.size()
    )


class _Tally:
    """What has been done so far."""

    def __init__(self) -> None:
        self.added = self.replaced = self.skipped = self.refused_count = 0
        self.refused: list[Refused] = []

    def refuse(self, refusals: list[Refused]) -> None:
        """Count refusals, and keep the first."""
        self.refused_count += len(refusals)
        self.refused += refusals[: MOST_REFUSALS - len(self.refused)]

    def records(self) -> int:
        """How many records have been seen."""
        return self.added + self.replaced + self.skipped + self.refused_count


class _Reading:
    """Reads sources one after the other, in groups; for one thread at a time."""

    def __init__(self, sources: Sequence[Source], clock: Callable[[], int]) -> None:
        self._sources = sources
        self._items = self._all(clock)

    def size(self) -> int:
        """How many bytes have been read."""
        return sum(source.size for source in self._sources)

    def group(self) -> list[Item]:
        """The next items; none at the end.

        Raises:
            ImportFailed: a source cannot be read any more.
        """
        group: list[Item] = []
        size = 0
        for item in self._items:
            group.append(item)
            size += len(item.body) if isinstance(item, Document) else 0
            if len(group) >= _AT_ONCE or size >= _BYTES_AT_ONCE:
                break
        return group

    def close(self) -> None:
        """Let go of what is open."""
        self._items.close()

    def _all(self, clock: Callable[[], int]) -> Any:  # noqa: ANN401 - a generator of items
        for source in self._sources:
            try:
                yield from source.items(_time_of(source, clock))
            except OSError as error:
                raise ImportFailed(
                    f"{quoted(Path(source.name))} cannot be read on: {error.strerror or error}."
                ) from error


def _time_of(source: Source, clock: Callable[[], int]) -> Callable[[], int]:
    written = source.written
    return clock if written is None else lambda: written


def _sum(totals: Iterator[int | None]) -> int | None:
    known = list(totals)
    return None if None in known else sum(total for total in known if total is not None)
