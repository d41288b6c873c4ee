"""The store errors that stand for SQLite's and the operating system's errors."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import apsw

from execution_history.errors import (
    N_,
    NO_SPACE,
    Message,
    StoreBusy,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreUnwritable,
    quoted,
)
from execution_history.presentation.command_line import command_line
from execution_history.stores.database_files import DATABASE

_log = logging.getLogger("execution_history.stores.sqlite")

_USE: Final = N_("%(place)s cannot be used (%(reason)s): check that the folder exists, is yours and is writable.")
_HELD: Final = N_("%(place)s is held by another process; try again, or find the process that holds it.")
_WRITE: Final = N_(
    "%(place)s cannot be written: check that the folder is yours, is writable and is not on a read-only disk."
)
_DAMAGED: Final = N_(
    "%(place)s has a damaged history.db: stop every program that uses it, then run %(command)s, which "
    "brings back every run that can still be read."
)
_DISK: Final = N_(
    "%(place)s cannot be read or written, because the disk reports an error (%(reason)s): check the disk and the log "
    "of the system, then try again."
)
_FAILED: Final = N_("%(place)s failed: %(reason)s.")

_LACKING: Final = ("no such ", "malformed ")

_Errors = type[Exception] | tuple[type[Exception], ...]
_MEANINGS: Final[tuple[tuple[_Errors, type[StoreError], str], ...]] = (
    (OSError, StoreUnwritable, _USE),
    ((apsw.BusyError, apsw.LockedError), StoreBusy, _HELD),
    ((apsw.ReadOnlyError, apsw.CantOpenError, apsw.PermissionsError, apsw.AuthError), StoreUnwritable, _WRITE),
    ((apsw.CorruptError, apsw.NotADBError), StoreDamaged, _DAMAGED),
    (apsw.IOError, StoreError, _DISK),
    (apsw.Error, StoreError, _FAILED),
)


@contextmanager
def faults(folder: Path) -> Iterator[None]:
    """Raise errors in the block as a :class:`StoreError` that names *folder*."""
    try:
        yield
    except (apsw.Error, OSError) as error:
        raise as_store_error(error, folder) from error


def is_full(error: BaseException) -> bool:
    """Return whether *error* stands for a disk without space."""
    if isinstance(error, OSError):
        return error.errno in NO_SPACE
    if isinstance(error, apsw.IOError):  # raised when the shared-memory file does not fit
        return bool(getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_SHMSIZE)
    return isinstance(error, (apsw.FullError, StoreFull))


def as_store_error(error: BaseException, folder: Path) -> StoreError:
    """Return the store error for *error*, of whatever type, in *folder*.

    An unknown one is a fault of this program: it is logged with its traceback.
    """
    place = Message("The history in %(folder)s", folder=quoted(_named(folder)))
    if isinstance(error, StoreError):
        return error
    if is_full(error):
        return StoreFull("%(place)s has no space left on its disk: free some, then try again.", place=place)
    if isinstance(error, apsw.SQLError) and str(error).startswith(_LACKING):
        error = apsw.CorruptError(str(error))  # all statements are ours: the schema has been damaged
    reason = getattr(error, "strerror", None) or error
    for errors, kind, sentence in _MEANINGS:
        if isinstance(error, errors):
            repair = command_line("doctor", "--repair", store=_named(folder))
            return kind(sentence, place=place, reason=reason, command=repair)
    _log.error("An operation on %s failed unexpectedly", quoted(folder), exc_info=error)
    return StoreError(
        "%(place)s could not complete one operation (%(name)s); all others continue. This is a bug in "
        "execution-history: please report it with the program's log.",
        place=place,
        name=type(error).__name__,
    )


def _named(folder: Path) -> Path:
    """Return what people know of a folder: where its database is a link, as for an archive, what that leads to."""
    database = folder / DATABASE
    return database.resolve() if database.is_symlink() else folder
