"""A new ``history.db`` of every row of a damaged one that can still be read, put in its place.

The damaged files are kept beside. What the new one lacks, the JSON files have: the next opening of the store reads all
of them, and merges what is newer or missing.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from execution_history.errors import StoreFull, quoted
from execution_history.query.model import RecordKey
from execution_history.stores.database_files import DATABASE
from execution_history.stores.jsonfiles.comparison import newest_in_files
from execution_history.stores.jsonfiles.disk_sync import sync_file
from execution_history.stores.sqlite.connections import open_writer
from execution_history.stores.sqlite.registry_copy import read_copy
from execution_history.stores.sqlite.repaired_database import KEPT, complete_repair, put_in_place
from execution_history.stores.sqlite.salvage.log import read_log
from execution_history.stores.sqlite.salvage.pages import FileBytes, Pages
from execution_history.stores.sqlite.salvage.row_writer import OtherLosses, RowWriter
from execution_history.stores.sqlite.salvage.tables import DamagedTables, tables_of

_PARTS: Final = ("", "-wal", "-shm")
_SPARE: Final = 16 * 1024 * 1024
_TOLD_EVERY: Final = 500


@dataclass(frozen=True, slots=True)
class SalvageReport:
    """What was read from a damaged database.

    Attributes:
        records: how many records the new database has.
        expected: how many its counters told of; ``None`` where these could not be read.
        lost: records that were there and could not be read, at most a thousand; the JSON files may have them.
        broken: how many pages and rows could not be read.
        others: what became of everything but records.
        kept: the folder with the damaged files.
    """

    records: int
    expected: int | None
    lost: tuple[RecordKey, ...]
    broken: int
    others: OtherLosses
    kept: Path


def salvage(folder: Path, progress: Callable[[int], None] = lambda _: None) -> SalvageReport:
    """Replace the damaged ``history.db`` in *folder*, which no process may have open; *progress* gets the rows so far.

    Raises:
        StoreFull: there is no space for the new database.
        apsw.Error: the new one could not be written.
        OSError: the damaged one could not be read, or not be replaced.
    """
    complete_repair(folder)
    size = sum(path.stat().st_size for path in _files(folder))
    if shutil.disk_usage(folder).free < size + _SPARE:
        raise StoreFull(
            "Repairing the history in %(folder)s takes as much space as it has now: free %(size)s MB, then try again.",
            folder=quoted(folder),
            size=(size + _SPARE) // 1_000_000 + 1,
        )
    scratch = folder / f".{DATABASE}.salvage"
    shutil.rmtree(scratch, ignore_errors=True)  # of a repair that was killed
    scratch.mkdir(mode=0o700)
    try:
        writer, broken = _fill(folder, scratch, progress)
        sync_file(scratch / DATABASE)
        kept = _keep_damaged(folder)
        put_in_place(scratch / DATABASE, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return SalvageReport(writer.records, writer.expected, tuple(writer.lost), broken, writer.others, kept)


def _fill(folder: Path, scratch: Path, progress: Callable[[int], None]) -> tuple[RowWriter, int]:
    with ExitStack() as stack:
        database = _opened(folder / DATABASE, stack)
        log_file = _opened(folder / f"{DATABASE}-wal", stack)
        connection = stack.enter_context(closing(open_writer(scratch)))
        log_content = b"" if log_file is None else log_file.whole()
        connection.pragma("synchronous", 0)  # the file is brought to the disk as a whole, before it is used
        log = read_log(log_content)
        tables = tables_of(connection)
        found = DamagedTables(Pages(database, log, log_content), log, log_content, tables)
        # Whoever follows the history has seen the changes up to there.
        writer = RowWriter(connection, tables, newest_in_files(folder))
        for number, row in enumerate(found.rows()):
            writer.add(row)
            if not number % _TOLD_EVERY:
                progress(number)
        writer.add_lost(found)
        writer.add_copied(read_copy(folder, writer.store))
        writer.note_losses(found)
        writer.finish()
        return writer, found.broken + writer.broken


def _opened(path: Path, stack: ExitStack) -> FileBytes | None:
    """Return a file, which *stack* closes; ``None`` where there is none."""
    try:
        return stack.enter_context(closing(FileBytes(path)))
    except FileNotFoundError:
        return None


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files of the database that are there."""
    return filter(Path.exists, (folder / f"{DATABASE}{part}" for part in _PARTS))


def _keep_damaged(folder: Path) -> Path:
    """Keep the damaged files in a folder of their own, too; return that."""
    kept = folder / f"{KEPT}{time.strftime('%Y%m%d-%H%M%S')}"
    number = 1
    while kept.exists():
        number += 1
        kept = kept.with_name(f"{KEPT}{time.strftime('%Y%m%d-%H%M%S')}-{number}")
    kept.mkdir(mode=0o700)
    for path in _files(folder):
        try:
            os.link(path, kept / path.name)
        except OSError:  # a file system without links
            shutil.copy2(path, kept / path.name)
            sync_file(kept / path.name)
    return kept
