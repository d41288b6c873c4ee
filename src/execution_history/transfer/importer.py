"""Bringing records into a history: merged by ``execute_id``, in groups that are each taken whole or not at all.

Importing is idempotent: what is there already in the same or a newer version is skipped. So an import that was cut
short, by a kill or a full disk, is continued by running it again. A record that was deleted comes back with an import.
"""

import asyncio
import contextlib
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

from execution_history.clock import now_ms
from execution_history.errors import StoreError
from execution_history.history.service import ExecutionHistoryService
from execution_history.records.reading_limits import ReadingLimits
from execution_history.records.record import Document
from execution_history.stores.foreign_files import in_groups
from execution_history.stores.protocol import MergeReport
from execution_history.transfer.folders import source_at
from execution_history.transfer.progress import Progress, Tell, in_thread, no_progress, to_its_end
from execution_history.transfer.sources import Item, Refused, Source

MOST_REFUSALS: Final = 1_000
"""So many refusals are kept with their reasons; the others are counted."""

# A group is one transaction, for which everybody else who writes waits.
_AT_ONCE: Final = 250
_BYTES_AT_ONCE: Final = 1024 * 1024


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

    def with_group(self, merged: MergeReport, refused: Sequence[Refused], size: int) -> "ImportReport":
        """Return the report on what is in this one and one more group; *size* is that of both."""
        return ImportReport(
            added=self.added + merged.added,
            replaced=self.replaced + merged.replaced,
            skipped=self.skipped + merged.unchanged,
            refused_count=self.refused_count + len(refused),
            refused=(*self.refused, *refused[: MOST_REFUSALS - len(self.refused)]),
            size=size,
        )

    def to_json(self) -> dict[str, Any]:
        """Return an object of the fields above; ``refused`` is ``[{"source", "place", "reason"}, …]``."""
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        return plain | {"refused": [each.to_json() for each in self.refused]}


async def import_history(
    service: ExecutionHistoryService,
    paths: Iterable[Path],
    *,
    tell: Tell = no_progress,
    clock: Callable[[], int] = now_ms,
    limits: ReadingLimits | None = None,
) -> ImportReport:
    """Merge the records of files, folders, zip files and databases into *service*.

    Args:
        service: where they come in.
        paths: JSON Lines, the JSON files of deployments and of exports, folders or zip files of them, and folders of
            stores (their ``history.db`` is read and not changed).
        tell: is told how far it has come.
        clock: the time, in milliseconds, for records that do not say theirs.
        limits: what reading them may take; what is beyond is refused. Unless given, a record
            may be as large as in the store.

    Raises:
        ImportFailed: one of *paths* is missing or is nothing that can be imported; nothing was imported.
        StoreError: the store failed; what was merged before stays, and running the import again goes on.
    """
    given = limits or ReadingLimits(service.record_limit_bytes)
    sources = await in_thread(lambda: [source_at(Path(path), given) for path in paths])
    return await merge_sources(service, sources, tell=tell, clock=clock)


async def merge_sources(
    service: ExecutionHistoryService,
    sources: Sequence[Source],
    *,
    tell: Tell = no_progress,
    clock: Callable[[], int] = now_ms,
) -> ImportReport:
    """Merge everything that *sources* hold; see :func:`import_history`."""
    await service.open()
    totals = [source.total for source in sources]
    total = None if None in totals else sum(filter(None, totals))
    report, limit = ImportReport(), service.record_limit_bytes
    reading = _Reading(sources, clock)
    ahead = asyncio.create_task(in_thread(reading.group))
    try:
        while group := await ahead:
            is_large = sum(map(_size_of, group)) > _BYTES_AT_ONCE
            if not is_large:
                # The next group is read while this one is written; a large record is enough for the memory.
                ahead = asyncio.create_task(in_thread(reading.group))
            merged = MergeReport()
            if documents := [item.fitted(limit) for item in group if isinstance(item, Document)]:
                merged = await to_its_end(service.merge(documents, settle=False))
            report = report.with_group(merged, [item for item in group if isinstance(item, Refused)], reading.size())
            tell(Progress(report.taken + report.skipped + report.refused_count, report.size, total_size=total))
            if is_large:
                del group, documents
                ahead = asyncio.create_task(in_thread(reading.group))
    except BaseException:
        reading.stop()
        # Whoever changes a record of these workflows meanwhile relies on their files being made anew in the end.
        with contextlib.suppress(StoreError):
            await to_its_end(service.flush())
        raise
    finally:
        with contextlib.suppress(Exception):
            await ahead
        await in_thread(reading.close)
    await service.flush()
    return replace(report, size=reading.size())


class _Reading:
    """Reads sources one after the other, in groups; for one thread at a time."""

    def __init__(self, sources: Sequence[Source], clock: Callable[[], int]) -> None:
        self._sources = sources
        self._clock = clock
        self._items = self._all()
        self._groups = in_groups(self._items, _AT_ONCE, _BYTES_AT_ONCE, _size_of)
        self._is_stopped = False

    def size(self) -> int:
        """How many bytes have been read."""
        return sum(source.size for source in self._sources)

    def group(self) -> list[Item]:
        """Return the next items; none at the end."""
        return next(self._groups, [])

    def stop(self) -> None:
        """Read no further than the item at hand, whichever thread reads it."""
        self._is_stopped = True

    def close(self) -> None:
        """Let go of what is open."""
        self._items.close()

    def _all(self) -> Generator[Item]:
        for source in self._sources:
            for item in source.read(self._clock):
                yield item
                if self._is_stopped:
                    return


def _size_of(item: Item) -> int:
    return len(item.body) if isinstance(item, Document) else 0
