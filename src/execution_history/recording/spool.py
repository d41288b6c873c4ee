"""Steps of records on the disk beside the store, for when that cannot take them and the memory cannot keep them.

A file holds one batch, as JSON lines: it appears whole, is written into the store step by step, and goes away. It lies
in the user's state folder, readable only by the user, and is read by any program that opens the same store. Writing a
batch into a store twice does no harm.
"""

import hashlib
import logging
import os
import stat
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from platformdirs import user_state_path

from execution_history.clock import new_execute_id
from execution_history.errors import quoted
from execution_history.recording.pending_writes import Key, Step
from execution_history.recording.step_lines import line_of
from execution_history.stores.capabilities import Located
from execution_history.stores.protocol import HistoryStore

_log = logging.getLogger("execution_history.recording")
_BATCH: Final = ".jsonl"
_UNFINISHED: Final = ".unfinished"
DAMAGED: Final = ".damaged"
_REFUSED: Final = "steps.refused"
_DIGEST_CHARACTERS: Final = 16
_MOST_NAMED: Final = 20
_ABANDONED_SECONDS: Final = 60.0

if sys.platform == "win32":

    def lock(descriptor: int) -> bool:  # noqa: ARG001 - the parameter of the other one
        """Return true: a file that is locked there cannot be read, and what two processes do twice does no harm."""
        return True

else:
    import fcntl

    def lock(descriptor: int) -> bool:
        """Lock an open file for this process, until it is closed; whether no other process has it."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks: what two processes do twice does no harm
            return True
        return True


class Spool:
    """The batches that wait for one store.

    Args:
        location: the store, as every process that opens it names it.
        folder: where batches lie; made when it is needed.
        abandoned_seconds: the age at which a batch that is not finished, and that nobody has open, is taken for one
            whose writer has died.
    """

    def __init__(
        self, location: str, folder: Path | None = None, *, abandoned_seconds: float = _ABANDONED_SECONDS
    ) -> None:
        self.location = location
        self.folder: Path = folder or user_state_path("execution-history") / "waiting"
        self._abandoned_seconds = abandoned_seconds
        digest = hashlib.sha256(location.encode("utf-8", "surrogateescape")).hexdigest()
        self._prefix = digest[:_DIGEST_CHARACTERS] + "-"

    @property
    def refused(self) -> Path:
        """The file of the steps that the store has refused for good; with another ending it is a batch like others."""
        return self.folder / f"{self._prefix}{_REFUSED}"

    def put(self, batch: Iterable[tuple[Key, Step]]) -> Path:
        """Write a batch; it is on the disk when this returns.

        Returns:
            the file.

        Raises:
            OSError: it could not be written; no part of it is there.
        """
        make_private(self.folder)
        path = self.folder / f"{self._prefix}{new_execute_id()}{_BATCH}"
        write_whole(path, (line_of(self.location, key, step) for key, step in batch))
        return path

    def batches(self) -> list[Path]:
        """Return the batches that are there, oldest first.

        Raises:
            OSError: the folder cannot be read.
        """
        found = self._named(_BATCH, _UNFINISHED)
        unfinished = [path for path in found if path.suffix == _UNFINISHED and self._is_abandoned(path)]
        return sorted({path.with_suffix(_BATCH) for path in unfinished} | {p for p in found if p.suffix == _BATCH})

    def damaged(self) -> list[Path]:
        """Return the batches of which something could not be read; they are kept for whoever can read it.

        Raises:
            OSError: the folder cannot be read.
        """
        return sorted(self._named(DAMAGED))

    def _named(self, *suffixes: str) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return [p for p in self.folder.iterdir() if p.name.startswith(self._prefix) and p.suffix in suffixes]

    def _is_abandoned(self, path: Path) -> bool:
        """Whether the program that was writing a batch has died; what it has written is a batch then."""
        with suppress(OSError), open_regular(path) as file:
            if time.time() - os.fstat(file.fileno()).st_mtime < self._abandoned_seconds or not lock(file.fileno()):
                return False
            if path.with_suffix(_BATCH).exists():
                path.unlink()  # the copy of what was left of that batch: all of it still stands there
                return False
            path.rename(path.with_suffix(_BATCH))
            return True
        return False


def spool_of(store: HistoryStore) -> Spool | None:
    """Return the spool of a store that other processes can open too; ``None`` for one that lives in this one."""
    return Spool(store.location) if isinstance(store, Located) else None


def put_aside(
    spool: Spool | None, records: list[tuple[Key, list[Step]]], reason: str, *, is_last: bool = True
) -> Path | None:
    """Give records that could not be recorded to *spool*; the log names the file, or what is lost.

    Args:
        spool: where to; without one everything is lost.
        records: the steps of each.
        reason: why they could not be recorded.
        is_last: whether they are lost where this fails; otherwise they go on waiting in memory.

    Returns:
        the file; ``None`` where this failed.
    """
    is_one = len(records) == 1
    runs = "1 run" if is_one else f"{len(records)} runs"
    try:
        if spool is None:
            raise OSError("this store lives in this process only")  # noqa: TRY301 - one place says what is lost
        path = spool.put((key, step) for key, steps in records for step in steps)
    except Exception as error:  # noqa: BLE001 - whatever it is, the log names what is lost
        if not is_last:
            return None
        named = ", ".join("/".join(map(quoted, key)) for key, _ in records[:_MOST_NAMED])
        _log.error(
            "%s could not be recorded (%s) and %s lost, because %s cannot be put aside (%s): %s",
            runs, reason, "is" if is_one else "are", "it" if is_one else "they", error, named,
        )  # fmt: skip
        return None
    _log.error(
        "%s could not be recorded (%s); %s in %s and %s written when this history is used again.",
        runs, reason, "it waits" if is_one else "they wait", path, "is" if is_one else "are",
    )  # fmt: skip
    return path


def make_private(folder: Path) -> None:
    """Make a folder and those above it that are missing, each for its owner only; those that exist stay as they are.

    Raises:
        OSError: one cannot be made.
    """
    for missing in [each for each in reversed([folder, *folder.parents]) if not each.is_dir()]:
        with suppress(FileExistsError):  # another program has made it meanwhile
            missing.mkdir(mode=0o700)
            missing.chmod(0o700)  # whatever the umask leaves of it


def open_regular(path: Path) -> IO[bytes]:
    """Open a file for reading, unless it is a folder, a pipe or a device.

    Raises:
        OSError: it cannot be read, or is no file.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{quoted(path)} is no file")
    return os.fdopen(descriptor, "rb")


def state_of(file: Path | int) -> tuple[int, ...] | None:
    """Return what changes with a file, or with which file has its name; ``None`` where it cannot be seen."""
    try:
        found = os.stat(file)  # noqa: PTH116 - of a descriptor too
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mode, found.st_uid, found.st_size, found.st_mtime_ns


def create_private(path: Path, flags: int = 0) -> IO[bytes]:
    """Open a file for writing at its end, for its owner only under any umask; made when it is missing.

    Raises:
        OSError: it cannot be opened.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | flags, 0o600)
    if hasattr(os, "fchmod"):
        os.fchmod(descriptor, 0o600)
    return os.fdopen(descriptor, "ab")


def write_whole(path: Path, lines: Iterable[bytes]) -> None:
    """Write a file that is there with all *lines*, on the disk, or as it was before.

    Raises:
        OSError: it could not be written.
    """
    unfinished = path.with_suffix(_UNFINISHED)
    try:
        with create_private(unfinished, os.O_TRUNC) as file:
            lock(file.fileno())
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """See to it that the names in a folder are on the disk, where the system can do that."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
