"""A new ``history.db`` put in the place of a damaged one: two files go, one comes, and a kill may come between.

So the new one is whole beside the damaged one first; from then on, whoever opens the history completes the step.
"""

import os
from pathlib import Path
from typing import Final

from execution_history.stores.database_files import DATABASE, INDEX_DATABASE

KEPT: Final = f"{DATABASE}.damaged-"
"""How the names of folders with damaged databases begin."""

_REPAIRED: Final = f".{DATABASE}.repaired"


def is_incomplete(folder: Path) -> bool:
    """Return whether a repair has ended before its new database was in its place."""
    return (folder / _REPAIRED).exists()


def put_in_place(made: Path, folder: Path) -> None:
    """Put the database *made* in its place in *folder*, where the damaged one has been kept.

    Raises:
        OSError: it could not be moved.
    """
    made.replace(folder / _REPAIRED)
    _sync(folder)
    _complete(folder)


def complete_repair(folder: Path) -> None:
    """Complete what a kill has ended; the caller holds the lock of *folder*, and nobody has its database open.

    A database that is not the one that was kept has come from elsewhere since, and stays.

    Raises:
        OSError: a file could not be moved.
    """
    if not is_incomplete(folder):
        return
    kept = max(folder.glob(f"{KEPT}*"), default=None, key=lambda path: path.stat().st_mtime_ns)
    if kept is not None and _state_of(folder / DATABASE) == _state_of(kept / DATABASE):
        _complete(folder)
    else:
        (folder / _REPAIRED).unlink()


def _complete(folder: Path) -> None:
    # The log first: SQLite would write it into whatever database stands beside it.
    for part in ("-wal", "-shm"):
        (folder / f"{DATABASE}{part}").unlink(missing_ok=True)
    (folder / _REPAIRED).replace(folder / DATABASE)
    for path in folder.glob(f"{INDEX_DATABASE}*"):
        path.unlink(missing_ok=True)
    _sync(folder)


def _state_of(path: Path) -> tuple[int, int] | None:
    """Return the size of a file and when it was changed; a link and a copy have the same."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime_ns


def _sync(folder: Path) -> None:
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
