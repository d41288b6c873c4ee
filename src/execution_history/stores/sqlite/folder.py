"""The folder of a store: it is made, checked and watched, and keeps a little space in reserve."""

import contextlib
import os
import stat
from pathlib import Path
from typing import Final

from execution_history.errors import StoreUnwritable, quoted
from execution_history.stores.database_files import DATABASE, INDEX_DATABASE
from execution_history.stores.sqlite.error_mapping import as_store_error

_RESERVE_FILE: Final = ".reserve"
_RESERVE_BYTES: Final = 1024 * 1024
_PLENTY: Final = 8
_CHUNK: Final = bytes(64 * 1024)


def prepare_folder(folder: Path) -> None:
    """Make *folder*, for its owner only, or check that it can be used.

    Raises:
        StoreUnwritable: it is not a folder, or it belongs to somebody else.
        OSError: it cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        if not folder.is_dir():
            raise StoreUnwritable(
                "The history cannot be kept in %(folder)s: that is a file, not a folder.", folder=quoted(folder)
            ) from None
        _check_owner(folder)
        if _only_ours(folder) and stat.S_IMODE(folder.stat().st_mode) & 0o077:
            folder.chmod(0o700)


def _check_owner(folder: Path) -> None:
    if not hasattr(os, "geteuid"):
        return
    owner = folder.stat().st_uid
    if owner != os.geteuid():
        raise StoreUnwritable(
            "The history folder %(folder)s belongs to user %(owner)s and this program runs as "
            "user %(geteuid)s: run it as that user, or choose another folder.",
            folder=quoted(folder),
            owner=owner,
            geteuid=os.geteuid(),
        )


def _only_ours(folder: Path) -> bool:
    """Return whether the folder has no other files: a shared folder keeps its permissions."""
    with os.scandir(folder) as entries:
        return all(entry.name.startswith((DATABASE, INDEX_DATABASE, ".")) or ".json" in entry.name for entry in entries)


class Presence:
    """Detects when ``history.db`` is another file: SQLite would go on writing into one that was removed.

    Args:
        folder: the store's folder, with the database in it.

    Raises:
        OSError: the database is not there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = str(folder / DATABASE)
        self._identity = self._look()

    def check(self) -> None:
        """Check, with one system call, that the database is still the file that was opened.

        Raises:
            StoreUnwritable: it was moved, removed or replaced since, or its status cannot be read.
        """
        try:
            found: tuple[int, int] | None = self._look()
        except (FileNotFoundError, NotADirectoryError):
            found = None
        except OSError as error:
            raise as_store_error(error, self._folder) from error
        if found != self._identity:
            raise StoreUnwritable(
                "The history in %(folder)s is not there any more: its folder or its history.db was "
                "moved, removed or replaced while this program had it open. Put it back, or restart "
                "the program.",
                folder=quoted(self._folder),
            )

    def _look(self) -> tuple[int, int]:
        status = os.stat(self._path)  # noqa: PTH116 - once for every call, and a Path object costs as much as the call
        return status.st_dev, status.st_ino


class Reserve:
    """A file that is removed when a deletion finds the disk full, and made again when there is space.

    A transaction that deletes is written to SQLite's log before it frees anything (sqlite.org/wal.html).

    Args:
        folder: the folder of the file.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _RESERVE_FILE
        self._is_made = False

    def make_early(self) -> None:
        """Reserve the space before anything is written, where there is plenty. Never raises."""
        with contextlib.suppress(OSError, AttributeError):  # Windows has no statvfs: idle time comes soon enough
            space = os.statvfs(self._path.parent)
            if space.f_bavail * space.f_frsize >= _PLENTY * _RESERVE_BYTES:
                self.make()

    def make(self) -> None:
        """Reserve the space, if there is any; a further call costs nothing."""
        if self._is_made:
            return
        self._is_made = True  # a full disk is not tried again and again
        with contextlib.suppress(OSError):
            if self._path.stat().st_size >= _RESERVE_BYTES:
                return
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                for _ in range(0, _RESERVE_BYTES, len(_CHUNK)):
                    file.write(_CHUNK)  # a hole would take no space
        except OSError:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

    def release(self) -> bool:
        """Free the space; return whether there was any."""
        try:
            self._path.unlink()
        except OSError:
            return False
        self._is_made = False
        return True
