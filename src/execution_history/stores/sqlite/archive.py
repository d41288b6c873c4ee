"""An archive: the history of a time that is over, in one database file that nobody writes any more.

It is opened as it is, on whatever disk, and opened anew where another file has taken its place, as redaction does. What
has to be written to look into it, the index of searches and filters, is in a temporary folder for as long as the store
is open. An archive that an older version wrote is copied there and brought up to date.
"""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.parse import quote

import apsw

from execution_history.errors import StoreUnwritable, message_of, quoted
from execution_history.stores.administration import ADMISSION_KINDS, Entry
from execution_history.stores.database_files import DATABASE
from execution_history.stores.mirror_port import Mirror
from execution_history.stores.protocol import StoreHealth
from execution_history.stores.sqlite.connections import (
    applied_migrations,
    is_current,
    load_dictionaries,
    open_writer,
    plan_once,
    write_in_one_file,
)
from execution_history.stores.sqlite.error_mapping import faults
from execution_history.stores.sqlite.lifecycle import QueryIndex, StoreParts
from execution_history.stores.sqlite.process_lock import ProcessLock
from execution_history.stores.sqlite.reader import Reader
from execution_history.stores.sqlite.space import PARTS
from execution_history.stores.sqlite.store import SQLiteStore

_LOCK_FILE: Final = ".lock"

_MAGIC: Final = b"SQLite format 3\x00"
_VERSIONS: Final = slice(18, 20)
_WITHOUT_LOG: Final = b"\x01\x01"
"""The versions in the header of a database that has no write-ahead log (sqlite.org/fileformat2)."""


class ArchiveStore(SQLiteStore):
    """A store that only reads one file; every call that would change the history raises ``StoreUnwritable``.

    Leases and the places of followers are accepted and not kept: they speak of processes, and nothing is written here
    for which they would matter.

    Args:
        file: the archive.
        search: whether texts can be searched for.
    """

    def __init__(self, file: Path, *, search: bool = True) -> None:
        self._file = file.absolute()
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._identity: tuple[int, int] | None = None
        super().__init__(self._file.parent, json_files=False, search=search)

    @property
    def location(self) -> str:
        """See :class:`~execution_history.stores.capabilities.Located`: the file."""
        return f"sqlite:{self._file}"

    @property
    def _parts(self) -> StoreParts:
        """The parts of the store; where another archive has taken the file's place, they are opened anew."""
        if self._identity not in (None, found := _identity_of(self._file)) and found is not None:
            with self._opening:
                if self._opened is not None and self._identity != found and is_archive(self._file):
                    self._opened, self._left_for_fork = None, True  # the next line opens it again, as after a fork
                    self._end()
        return super()._parts

    async def renew_lease(self, owner: str, ttl_ms: int) -> None:
        """Keep nothing: no recorder writes here."""

    async def lease(self, name: str, owner: str, ttl_ms: int) -> bool:  # noqa: ARG002
        """Give the lease to anybody, as no work changes anything here."""
        return ttl_ms > 0

    async def save_cursor(self, name: str, revision: int | None) -> None:
        """Keep nothing: the feed does not go on."""

    async def entry(self, kind: str, key: str) -> Entry | None:
        """See :meth:`Administration.entry`; the keys that an earlier version put into an archive let nobody in."""
        return None if kind in ADMISSION_KINDS else await super().entry(kind, key)

    async def entries(self, kind: str, after: str = "", limit: int | None = None) -> list[Entry]:
        """See :meth:`Administration.entries`."""
        return [] if kind in ADMISSION_KINDS else await super().entries(kind, after, limit)

    async def kinds(self) -> list[str]:
        """See :meth:`Administration.kinds`."""
        return [kind for kind in await super().kinds() if kind not in ADMISSION_KINDS]

    async def health(self) -> StoreHealth:
        """See :meth:`HistoryStore.health`; what is never written is well when it can be read."""
        try:
            await self.open()
            await self.revision()
            problems = (*await self._parts.reader.problems(), *self._parts.index.problems())
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
            problems = (message_of(error),)
        return StoreHealth(problems)

    def _sizes_of_files(self) -> dict[str, int]:
        """See :class:`SQLiteSpace`: the file is all there is."""
        with faults(self._file):
            return dict.fromkeys(PARTS, 0) | {"database": self._file.stat().st_size}

    def _read_folder(self) -> StoreParts:
        """Open the archive, and return the parts of the store.

        Raises:
            StoreTooNew: a newer version wrote it.
            apsw.Error: SQLite could not open it.
            OSError: it or the temporary folder cannot be used.
        """
        self._temporary = tempfile.TemporaryDirectory(prefix="execution-history-", ignore_cleanup_errors=True)
        folder = Path(self._temporary.name)
        self._identity = _identity_of(self._file)
        try:
            with faults(self._file):
                connection = _open(self._file)
                try:
                    if not applied_migrations(connection):
                        raise StoreUnwritable(
                            "%(file)s is a database without a history: name a folder, or an archive.",
                            file=quoted(self._file),
                        )
                    is_ours, dictionaries = is_current(connection, self._file), load_dictionaries(connection)
                finally:
                    connection.close()
            if is_ours:
                (folder / DATABASE).symlink_to(self._file)
            else:
                shutil.copyfile(self._file, folder / DATABASE)
                upgraded = open_writer(folder)
                dictionaries = load_dictionaries(upgraded)
                upgraded.close()
                seal(folder / DATABASE)
            self._folder = folder
            reader = Reader(folder, dictionaries, opens=lambda place: _open((place / DATABASE).resolve()))
            writer: Any = _Refusal(self._file)
            lock = ProcessLock(folder / _LOCK_FILE, self._lock_seconds)
            return StoreParts(None, writer, reader, Mirror(), lock, QueryIndex(folder, reader, has_texts=self._search))
        except BaseException:
            self._temporary.cleanup()
            raise

    def _end(self) -> None:
        """Close what was opened, and remove what was written for it."""
        self._at_exit()
        if self._temporary is not None:
            self._temporary.cleanup()

    def _close(self) -> None:
        super()._close()
        if self._temporary is not None:
            self._temporary.cleanup()


class _Refusal:
    """Stands in for the writer of a store, and refuses whatever is to be written.

    Args:
        file: the archive, for the message.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.damage: tuple[str, ...] = ()

    def start(self, owner: object = None) -> None:
        """Start nothing."""

    def stop(self) -> None:
        """Stop nothing."""

    def close(self) -> None:
        """Close nothing."""

    def submit(self, work: Callable[..., object], *arguments: object, **options: object) -> NoReturn:  # noqa: ARG002
        """Refuse the change.

        Raises:
            StoreUnwritable: always.
        """
        raise StoreUnwritable(
            "%(file)s is an archive, which is only read: make changes in the history that it was taken from.",
            file=quoted(self._file),
        )


def seal(path: Path) -> None:
    """Make an archive of the database *path*, which nobody has open: all of it is in the one file, without gaps.

    Raises:
        StoreError: it could not be written.
    """
    with faults(path.parent):
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            write_in_one_file(connection)
        finally:
            connection.close()


def is_database(path: Path) -> bool:
    """Return whether there is the file of an SQLite database at *path*, rather than a folder or something else."""
    return _header(path).startswith(_MAGIC)


def is_archive(path: Path) -> bool:
    """Return whether there is a database at *path* that is one file; that of a history in use has a log beside it."""
    return is_database(path) and _header(path)[_VERSIONS] == _WITHOUT_LOG


def _header(path: Path) -> bytes:
    try:
        # A named pipe would be waited for without end.
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            return file.read(_VERSIONS.stop)
    except OSError:
        return b""


def _identity_of(file: Path) -> tuple[int, int] | None:
    """Return which file has this name; ``None`` where there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _open(file: Path) -> apsw.Connection:
    """Return a connection to *file*, which nobody changes.

    Raises:
        apsw.Error: SQLite could not open it.
    """
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    connection = apsw.Connection(f"file:{quote(str(file))}?mode=ro&immutable=1", flags=flags)
    plan_once(connection)
    return connection
