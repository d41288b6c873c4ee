"""The parts of an open store: how they are put together, and in which order they are let go of."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from execution_history.records.reading_limits import ReadingLimits
from execution_history.stores.compression import CURRENT, Packer, shipped_dictionary
from execution_history.stores.jsonfiles import JSONFileMirror
from execution_history.stores.jsonfiles.recovery import recovered_from
from execution_history.stores.mirror_port import Mirror
from execution_history.stores.sqlite.connections import load_dictionaries, open_writer
from execution_history.stores.sqlite.documents import nowhere
from execution_history.stores.sqlite.error_mapping import as_store_error
from execution_history.stores.sqlite.folder import prepare_folder
from execution_history.stores.sqlite.index import RecordIndex, TextIndex
from execution_history.stores.sqlite.process_lock import ProcessLock
from execution_history.stores.sqlite.queries import rows
from execution_history.stores.sqlite.reader import Reader
from execution_history.stores.sqlite.write_batcher import Writer
from execution_history.stores.sqlite.write_transaction import WriteTransaction

_log = logging.getLogger("execution_history.stores.sqlite")

_LOCK_FILE: Final = ".lock"


@dataclass(frozen=True, slots=True)
class StoreParts:
    """The parts of a store that is open."""

    writer: Writer
    reader: Reader
    mirror: Mirror
    lock: ProcessLock
    index: RecordIndex

    def close(self) -> None:
        """Finish what has queued up, bring the files in order and let go of everything. Never raises."""
        for step in (
            self.writer.stop,
            self.lock.acquire,
            self.mirror.close,
            self.index.close,
            self.reader.close,
            self.writer.close,
            self.lock.close,
        ):
            try:
                step()
            except BaseException as error:  # noqa: BLE001 - what is left must be let go of too
                _log.warning("Closing a history left something to its next opening: %s", error)


def open_parts(
    folder: Path,
    *,
    json_files: bool,
    search: bool,
    limits: ReadingLimits,
    lock_seconds: float,
    clock: Callable[[], int],
) -> StoreParts:
    """Open the database in *folder*, read in what others wrote there, and return what serves it.

    Raises:
        StoreError: another process holds the lock, or the database is of a newer version or cannot be ours.
        apsw.Error: SQLite could not open it.
        OSError: the folder cannot be used.
    """
    prepare_folder(folder)
    lock = ProcessLock(folder / _LOCK_FILE, lock_seconds)
    try:
        lock.acquire()
        connection = open_writer(folder)
        dictionaries = load_dictionaries(connection)
        if CURRENT not in dictionaries:
            rows(connection, "add_dictionary", CURRENT, shipped_dictionary())
            dictionaries = load_dictionaries(connection)
        reader = Reader(folder, dictionaries, recovered_from(folder) if json_files else nowhere)
        transaction = WriteTransaction(connection, reader.stored, Packer(dictionaries[CURRENT]), clock)
        mirror = Mirror()
        if json_files:
            mirror = JSONFileMirror(folder, reader, lambda error: as_store_error(error, folder), limits)
        writer = Writer(folder, connection, transaction, lock, mirror)
        mirror.begin(writer)
    except BaseException:
        lock.close()
        raise
    lock.release()
    return StoreParts(writer, reader, mirror, lock, RecordIndex(folder, reader, [TextIndex()] if search else []))
