"""Archives: the runs of a month that is over, as a history of their own in one file that is only read.

A month is that of the time zone in which it is named. What is still open (running, interrupted) stays where it is, and
so does, where runs are removed, whatever retention never touches.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, Final

import orjson

from execution_history.access.audit import Action, lines
from execution_history.access.principals import current_actor
from execution_history.errors import BackupFailed, InvalidInput, Message, quoted
from execution_history.history import name_book, views
from execution_history.history.service import ExecutionHistoryService
from execution_history.maintenance.sole import sole
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordKey, RecordQuery
from execution_history.records import price_book
from execution_history.records.partial import outline_of
from execution_history.records.protection import KEEP_TAGS, protection_of
from execution_history.records.record import Document
from execution_history.stores import DATABASE, store_at
from execution_history.stores.sqlite.archive import is_archive, seal
from execution_history.transfer.atomic_output import sync_folder
from execution_history.transfer.progress import OnProgress, Progress, in_thread, no_progress, read_ahead, to_its_end

_ENDED: Final = ("success", "failed", "other")
_SUFFIX: Final = ".db"
_PARTIAL: Final = ".partial"
_READ_ONLY: Final = 0o400
_LINES_AT_ONCE: Final = 1_000
_KEPT_KINDS: Final = frozenset({name_book.KIND, views.KIND, price_book.KIND})
"""The entries of the registry that say something of runs: neither keys nor what jobs remember are in an archive."""


@dataclass(frozen=True, slots=True)
class ArchivedMonth:
    """What became of the runs of one month.

    Attributes:
        month: such as ``2026-05``.
        file: the archive.
        records: the number of runs in it, those of an earlier archive of the month among them.
        size: the bytes of the file.
        removed: the number of runs that were removed from the history.
        kept: the number of runs that stay although the others were removed: protected, or changed meanwhile.
    """

    month: str
    file: str
    records: int
    size: int
    removed: int = 0
    kept: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return an object of the fields."""
        return {name: getattr(self, name) for name in self.__slots__}


def month_start(month: str, zone: tzinfo) -> int:
    """Return the beginning of a month such as ``2026-06`` in *zone* (milliseconds).

    Raises:
        InvalidInput: it is none.
    """
    try:
        return int(datetime.strptime(month, "%Y-%m").replace(tzinfo=zone).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise InvalidInput("A month is written as 2026-06, not %(month)s.", month=quoted(month)) from None


async def archive(
    service: ExecutionHistoryService,
    folder: Path,
    *,
    before: str,
    zone: tzinfo = UTC,
    remove: bool = False,
    keep_tags: Collection[str] = KEEP_TAGS,
    actor: str | None = None,
    on_progress: OnProgress = no_progress,
) -> list[ArchivedMonth]:
    """Write the runs that began before a month, and have ended, into one file for each month of them.

    The archive of a month that is there already gets what it does not have yet.

    Args:
        service: the history.
        folder: where the files are written; made where it is missing.
        before: the first month that is not archived, such as ``2026-06``.
        zone: of the months.
        remove: remove from the history what is proven to be in the archive byte for byte, unless it is protected.
        keep_tags: the tags that protect a run.
        actor: who does it, for the audit log; whoever acts unless given.
        on_progress: called now and then.

    Raises:
        InvalidInput: *before* is no month.
        BackupFailed: a file cannot be written; nothing of its month was removed.
        StoreError: the history could not be read or written.
    """
    await service.open()
    end, since = month_start(before, zone), 0
    found: list[ArchivedMonth] = []
    refusal = Message(
        "Another process is archiving runs of this history now: wait until it has ended, or twenty seconds if it was "
        "killed."
    )
    async with sole(service, "archive", refusal):
        while (first := await _oldest(service, since, end)) is not None:
            month = f"{datetime.fromtimestamp(first / 1000, zone):%Y-%m}"
            start, since = month_start(month, zone), min(end, month_start(_next(month), zone))
            chosen = RecordFilter(created_from=start, created_before=since, statuses=_ENDED)
            made = await _archive_month(service, folder, month, chosen, on_progress)
            # Before anything is removed: this line is how a redaction finds the archive.
            details = {name: getattr(made, name) for name in ("month", "file", "records", "size")}
            await service.append_audit(actor or current_actor(), Action.ARCHIVE.value, orjson.dumps(details))
            if remove:
                with _faults(Path(made.file)):
                    removed, kept = await _remove(service, Path(made.file), chosen, keep_tags)
                made = replace(made, removed=removed, kept=kept)
            found.append(made)
    return found


async def _oldest(service: ExecutionHistoryService, since: int, before: int) -> int | None:
    """Return when the oldest run that has ended began, of those in this range; ``None`` where there is none."""
    chosen = RecordFilter(created_from=since, created_before=before, statuses=_ENDED)
    await service.follow_index()
    page = await service.select(RecordQuery(filter=chosen, size=1, descending=False))
    return int(outline_of(page.documents[0])["create_time"]) if page.documents else None


def _next(month: str) -> str:
    year, number = divmod(int(month[:4]) * 12 + int(month[5:]), 12)
    return f"{year:04}-{number + 1:02}"


async def _archive_month(
    service: ExecutionHistoryService, folder: Path, month: str, chosen: RecordFilter, on_progress: OnProgress
) -> ArchivedMonth:
    """Write the archive of a month: the chosen runs, and those of an earlier archive."""
    file = (folder / f"{month}{_SUFFIX}").absolute()

    async def fill(made: ExecutionHistoryService) -> None:
        records = size = 0
        if is_archive(file):
            async with ExecutionHistoryService(store_at(file)) as earlier:
                async for batch in read_ahead(earlier.batches(RecordFilter())):
                    if batch.damaged:
                        raise BackupFailed(
                            "The archive %(file)s has runs that cannot be read, which a new one would not have: bring "
                            "it back from a copy, or move it and archive the month again.",
                            file=quoted(file),
                        )
                    await to_its_end(made.take_over(_documents(batch.documents)))
                await copy_audit(earlier, made)
        async for batch in read_ahead(service.batches(chosen)):
            await to_its_end(made.take_over(await in_thread(_documents, batch.documents)))
            records += len(batch.documents)
            size += sum(map(len, batch.documents))
            on_progress(Progress(records, size))
        await copy_entries(service, made)

    records = await write_archive(file, fill)
    return ArchivedMonth(month, str(file), records, file.stat().st_size)


async def write_archive(file: Path, fill: Callable[[ExecutionHistoryService], Awaitable[None]]) -> int:
    """Write an archive: a history that *fill* fills takes the name *file* once it is whole; return its number of runs.

    Raises:
        BackupFailed: it cannot be written; what was there is as it was.
        StoreError: the same.
    """
    with _faults(file):
        _prepare(file)
        with tempfile.TemporaryDirectory(prefix=f".{file.stem}.", suffix=_PARTIAL, dir=file.parent) as folder:
            async with ExecutionHistoryService(store_at(Path(folder), json_files=False, search=False)) as made:
                await made.open()
                await fill(made)
                records = await _count(made)
            database = Path(folder, DATABASE)
            await in_thread(seal, database)
            async with ExecutionHistoryService(store_at(database)) as sealed:
                if records != await _count(sealed):
                    raise BackupFailed(
                        "The archive %(file)s is not what it should be; nothing was removed.", file=quoted(file)
                    )
            await in_thread(_put_in_place, database, file)
    return records


async def copy_entries(service: ExecutionHistoryService, made: ExecutionHistoryService) -> None:
    """Copy what the registry of *service* says of runs into an archive that is being made."""
    for entry in await service.registry():
        if entry.name.kind in _KEPT_KINDS:
            await made.put_entry(entry.name, entry.value, expected=None)


def _prepare(file: Path) -> None:
    """Make the folder of *file*, and remove what a killed process has left of it.

    Raises:
        BackupFailed: there is something else than an archive at *file*.
    """
    folder = file.parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if file.exists() and not is_archive(file):
        raise BackupFailed("There is something else at %(file)s: choose another folder.", file=quoted(file))
    for left in folder.glob(f".{file.stem}.*{_PARTIAL}"):
        shutil.rmtree(left, ignore_errors=True)


async def copy_audit(archive: ExecutionHistoryService, made: ExecutionHistoryService) -> None:
    """Copy the lines of an archive's own audit log, such as those of redactions, into one that takes its place."""
    after = 0
    while found := await archive.audit(after, _LINES_AT_ONCE):
        for line in found:
            await made.append_audit(line.actor, line.action, line.details, at=line.at)
        after = found[-1].number


async def archives_of(service: ExecutionHistoryService) -> list[Path]:
    """Return the files into which runs of *service* were archived, as its audit log has them; they may be gone.

    Raises:
        StoreError: the store could not be read.
    """
    await service.open()
    found = [line.details.get("file") async for line in lines(service.store) if line.action == Action.ARCHIVE]
    files = dict.fromkeys(each for each in found if isinstance(each, str))
    return [Path(os.path.abspath(each)) for each in files]  # noqa: ASYNC240, PTH100 - asks no disk


async def _remove(
    service: ExecutionHistoryService, file: Path, chosen: RecordFilter, keep_tags: Collection[str]
) -> tuple[int, int]:
    """Remove the chosen runs that are in the archive as they are; return how many were removed, and how many stay."""
    removed = kept = 0
    async with ExecutionHistoryService(store_at(file)) as archived:
        async for batch in service.batches(chosen):
            outlines = [outline_of(body) for body in batch.documents]
            there = (await archived.get_many([_key(outline) for outline in outlines])).documents
            gone = [
                _key(outline)
                for outline, body in zip(outlines, batch.documents, strict=True)
                if there.get(_key(outline)) == body and protection_of(outline, keep_tags) is None
            ]
            removed += len(await to_its_end(service.delete_execution_records(gone))) if gone else 0
            kept += len(outlines) - len(gone)
    return removed, kept


async def _count(service: ExecutionHistoryService) -> int:
    return sum(summary.total for summary in await service.workflow_summaries())


def _documents(bodies: Iterable[bytes]) -> list[Document]:
    return [Document.of(outline_of(body), body) for body in bodies]


def _key(outline: dict[str, Any]) -> RecordKey:
    return RecordKey(outline["workflow_id"], outline["execute_id"])


def _put_in_place(made: Path, file: Path) -> None:
    """Give the archive its name; SQLite has flushed its content."""
    made.chmod(_READ_ONLY)
    made.replace(file)
    sync_folder(file.parent)


@contextlib.contextmanager
def _faults(file: Path) -> Iterator[None]:
    """Raise the operating system's errors in the block as one sentence.

    Raises:
        BackupFailed: the archive cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise BackupFailed(
            "The archive %(file)s cannot be written (%(reason)s): check that there is space, and that the folder is "
            "writable.",
            file=quoted(file),
            reason=error.strerror or error,
        ) from error
