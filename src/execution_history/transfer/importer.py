"""Import into a history: records are merged by ``execute_id``, in groups that are each taken whole or not at all.

An import is idempotent: what is there already in the same or a newer version is skipped. One that was cut short, by a
kill or a full disk, is continued by running it again. Of two different records of one id and one ``update_time`` the
first is taken, whether in a file or in the history, and the other one is refused. A record that was deleted comes back
with an import. Times may be written as :func:`execution_history.records.values.moment` says, a status as
:func:`execution_history.records.status_words.status_of` does; a record without one that is understood is refused.
"""

import threading
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any, Final

from execution_history.errors import Message
from execution_history.history.service import ExecutionHistoryService
from execution_history.records.reading_limits import ReadingLimits
from execution_history.records.record import Document
from execution_history.stores.foreign_files import in_groups
from execution_history.stores.protocol import MergeReport
from execution_history.transfer.folders import source_at
from execution_history.transfer.named_records import MOST_NAMED
from execution_history.transfer.progress import OnProgress, Progress, flushed, in_thread, no_progress, to_its_end
from execution_history.transfer.sources import Item, Refused, Source, Taken

# A group is one transaction, and every other writer waits for it.
_AT_ONCE: Final = 250
_BYTES_AT_ONCE: Final = 1024 * 1024
_ANOTHER: Final = Message(
    "Another record of the same execute_id and update_time, with other content, came before it or is in the history."
)


@dataclass(frozen=True, slots=True)
class ImportReport:
    """The outcome of an import.

    ``added`` records were new, ``replaced`` an older version, ``skipped`` were there in the same or a newer version;
    ``refused_count`` could not be taken, and ``refused`` has the first thousand of them. ``size`` is in bytes.
    """

    added: int = 0
    replaced: int = 0
    skipped: int = 0
    refused_count: int = 0
    refused: tuple[Refused, ...] = ()
    size: int = 0

    @property
    def taken(self) -> int:
        """The number of records that came in, new or in a newer version."""
        return self.added + self.replaced

    def with_group(self, merged: MergeReport, refused: Sequence[Refused], size: int) -> "ImportReport":
        """Return this report with one more group added; *size* is the total of both."""
        return ImportReport(
            added=self.added + merged.added,
            replaced=self.replaced + merged.replaced,
            skipped=self.skipped + merged.unchanged - len(merged.differing),
            refused_count=self.refused_count + len(refused),
            refused=(*self.refused, *refused[: MOST_NAMED - len(self.refused)]),
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
    on_progress: OnProgress = no_progress,
    zone: tzinfo = UTC,
    limits: ReadingLimits | None = None,
    redact: bool = False,
) -> ImportReport:
    """Merge the records of files, folders, zip files and databases into *service*.

    Args:
        service: the history they are merged into.
        paths: JSON Lines, the JSON files of deployments and of exports, folders or zip files of them, and folders of
            stores (their ``history.db`` is read and not changed).
        on_progress: called with the progress, now and then.
        zone: of times that have no offset.
        limits: what reading them may take; what exceeds them is refused. Without it a record may be as large as in
            the store.
        redact: whether the rules in force are applied to the records; they are taken as they are otherwise.

    Raises:
        ImportFailed: one of *paths* is missing or holds nothing to import; nothing was imported.
        StoreError: the store failed; what was merged before stays, and running the import again continues it.
    """
    limits = limits or ReadingLimits(service.record_limit_bytes)
    sources = await in_thread(lambda: [source_at(Path(path), limits) for path in paths])
    return await merge_sources(service, sources, on_progress=on_progress, zone=zone, redact=redact)


async def merge_sources(
    service: ExecutionHistoryService,
    sources: Sequence[Source],
    *,
    on_progress: OnProgress = no_progress,
    zone: tzinfo = UTC,
    redact: bool = False,
) -> ImportReport:
    """Merge everything that *sources* hold; see :func:`import_history`."""
    await service.open()
    totals = [source.total for source in sources]
    total = None if None in totals else sum(filter(None, totals))
    report, limit = ImportReport(), service.record_limit_bytes
    stopped = threading.Event()
    items = _items(sources, zone, stopped)
    groups = in_groups(items, _AT_ONCE, _BYTES_AT_ONCE, _size_of)
    nothing: list[Item] = []
    async with flushed(service):
        try:
            # Reading ahead of the writing is not quicker: both are Python's work, and a server has other requests.
            while group := await in_thread(next, groups, nothing):
                merged = MergeReport()
                taken = [item for item in group if isinstance(item, Taken)]
                kept = [_kept(service, item.document) if redact else item.document for item in taken]
                if documents := [document.fitted(limit) for document in kept]:
                    merged = await to_its_end(service.merge(documents, settle=False))
                differing = {id(taken[place]): taken[place].refused(_ANOTHER) for place in merged.differing}
                found = (differing.get(id(item), item) for item in group)
                refused = [item for item in found if isinstance(item, Refused)]
                report = report.with_group(merged, refused, sum(source.size for source in sources))
                records = report.taken + report.skipped + report.refused_count
                on_progress(Progress(records, report.size, total_size=total))
                del group, taken, kept, documents, found  # a large record takes its memory only once
        finally:
            stopped.set()
            await in_thread(items.close)
    return replace(report, size=sum(source.size for source in sources))


def _kept(service: ExecutionHistoryService, document: Document) -> Document:
    return service.rules.of_run(document.workflow_id).document(document)


def _items(sources: Iterable[Source], zone: tzinfo, stopped: threading.Event) -> Generator[Item]:
    """Yield the items of *sources*, one source after the other; end after the current item once *stopped* is set."""
    for source in sources:
        for item in source.read(zone):
            yield item
            if stopped.is_set():
                return


def _size_of(item: Item) -> int:
    return len(item.document.body) if isinstance(item, Taken) else 0
