"""SQLite's and the operating system's errors in our own words, in one place."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import apsw

from execution_history.errors import (
    StoreBusy,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreUnwritable,
    quoted,
)

_FULL_ERRNOS: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextmanager
def faults(folder: Path) -> Iterator[None]:
    """Raise what goes wrong inside as a :class:`StoreError` that names *folder*."""
    try:
        yield
    except (apsw.Error, OSError) as error:
        raise as_store_error(error, folder) from error


def as_store_error(error: Exception, folder: Path) -> StoreError:
    """The store error that says what *error* means for the user of *folder*."""
    place = f"The history in {quoted(folder)}"
    if isinstance(error, OSError):
        if error.errno in _FULL_ERRNOS:
            return _full(place)
        return StoreUnwritable(
            f"{place} cannot be used ({error.strerror or error}): "
            "check that the folder exists, is yours and is writable."
        )
    if isinstance(error, (apsw.BusyError, apsw.LockedError)):
        return StoreBusy(f"{place} is held by another process; try again, or find the process that holds it.")
    if isinstance(error, apsw.FullError):
        return _full(place)
    if isinstance(error, (apsw.ReadOnlyError, apsw.CantOpenError, apsw.PermissionsError, apsw.AuthError)):
        return StoreUnwritable(
            f"{place} cannot be written: check that the folder is yours, is writable and is not on a read-only disk."
        )
    if isinstance(error, (apsw.CorruptError, apsw.NotADBError)):
        return StoreDamaged(
            f"{place} has a damaged history.db: move that file away, "
            "and its records are read back from the JSON files beside it."
        )
    return StoreError(f"{place} failed: {error}.")


def _full(place: str) -> StoreFull:
    return StoreFull(f"{place} has no space left on its disk: free some, then try again.")
