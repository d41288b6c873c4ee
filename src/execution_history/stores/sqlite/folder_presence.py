"""Noticing that the folder of an open store was moved or removed.

SQLite would go on writing into files that have no name any more.
"""

import os
from pathlib import Path

from execution_history.errors import StoreUnwritable, quoted
from execution_history.stores.sqlite.connections import DATABASE
from execution_history.stores.sqlite.error_mapping import as_store_error


class Presence:
    """Remembers which file ``history.db`` is.

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
        """See that the database is still the file that was opened; costs one system call.

        Raises:
            StoreUnwritable: it was moved, removed or replaced since, or cannot be looked at.
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
