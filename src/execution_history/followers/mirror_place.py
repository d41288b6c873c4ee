"""The file ``.mirror`` of a folder of JSON files that follow a history: its id, and how far it has come."""

import contextlib
import os
import uuid
from pathlib import Path
from typing import Final, NamedTuple, cast

import orjson

from execution_history.clock import boot_id
from execution_history.errors import SettingsError, quoted
from execution_history.stores.database_files import DATABASE
from execution_history.stores.jsonfiles.file_names import SUFFIX

_NAME: Final = ".mirror"


class FolderReplaced(Exception):  # noqa: N818 - a finding, not a failure
    """The folder is not as its follower left it: it was removed, or another one or a copy is in its place."""


class FolderPlace(NamedTuple):
    """What the file says.

    Attributes:
        id: the name of the folder among all that follow, for its place and its lease.
        revision: the change up to which all files are on the disk; ``None`` where that is not known.
        boot: the start of the machine in which it was written.
        identity: which file said it, so that a copy of it is told from it: its inode number, and when that changed last
            (nanoseconds since the epoch); not in the file.
    """

    id: str
    revision: int | None = None
    boot: str = ""
    identity: tuple[int, int] | None = None

    @property
    def follower(self) -> str:
        """The name of the place in the change feed, and of the lease."""
        return f"mirror:{self.id}"


def claim_folder(folder: Path) -> FolderPlace:
    """Make *folder*, for its owner only, or check that it can be used; return what its file says.

    Raises:
        SettingsError: it holds a history, or JSON files of others.
        OSError: it cannot be read or written.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (folder / DATABASE).exists():
        raise SettingsError(
            "The folder %(folder)s holds a history, which keeps its own JSON files: choose another one for JSON files "
            "that follow.",
            folder=quoted(folder),
        )
    place = read_place(folder)
    if place is None:
        if any(folder.glob(f"*{SUFFIX}")):
            raise SettingsError(
                "The folder %(folder)s holds JSON files of another program: choose an empty one for JSON files that "
                "follow the history.",
                folder=quoted(folder),
            )
        place = FolderPlace(uuid.uuid4().hex)
        # Of two processes that begin at once the first decides: a link fails where the name is taken.
        beside = _written_beside(folder, place)
        try:
            with contextlib.suppress(FileExistsError):
                os.link(beside, folder / _NAME)
            if read_place(folder) is None:  # nobody was first: what has the name cannot be understood
                beside.replace(folder / _NAME)
        finally:
            beside.unlink(missing_ok=True)
        place = read_place(folder) or place
    return place


def read_place(folder: Path) -> FolderPlace | None:
    """Return what the file of *folder* says; ``None`` where there is none that can be understood.

    Raises:
        OSError: it cannot be read.
    """
    try:
        with (folder / _NAME).open("rb") as file:
            found, status = orjson.loads(file.read()), os.fstat(file.fileno())
        revision, identity = cast("int | None", found["revision"]), (status.st_ino, status.st_ctime_ns)
        return FolderPlace(str(found["id"]), revision, str(found["boot"]), identity)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def check_place(folder: Path, place: FolderPlace) -> None:
    """Return if the file of *folder* is the one that said *place*.

    Raises:
        FolderReplaced: it is another one, or is missing.
        OSError: it cannot be read.
    """
    if read_place(folder) != place:
        raise FolderReplaced


def save_place(folder: Path, place: FolderPlace, revision: int) -> FolderPlace:
    """Write that everything up to *revision* is on the disk, where *place* was said; return what the file says now.

    Raises:
        FolderReplaced: the file is another one, or is missing.
        OSError: it cannot be written.
    """
    saved = place._replace(revision=revision, boot=boot_id(), identity=None)
    beside = _written_beside(folder, saved)
    try:
        # After the file beside it was written: in a folder that is replaced from now on there is none to be renamed.
        check_place(folder, place)
        beside.replace(folder / _NAME)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    found = read_place(folder)
    if found is None or found._replace(identity=None) != saved:
        raise FolderReplaced
    return found


def _written_beside(folder: Path, place: FolderPlace) -> Path:
    path = folder / f"{_NAME}.{os.getpid()}.new"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(orjson.dumps({"id": place.id, "revision": place.revision, "boot": place.boot}))
        file.flush()
        os.fsync(file.fileno())
    return path
