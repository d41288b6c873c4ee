"""The file ``.mirror`` of a folder of JSON files that follow a history: which one, and how far they have come."""

import os
from pathlib import Path
from typing import Final, NamedTuple, cast

import orjson

from execution_history.errors import Message, quoted

PLACE_FILE: Final = ".mirror"


class FolderPlace(NamedTuple):
    """What the file says.

    Attributes:
        id: the name of the folder among all that follow, for its place and its lease; the history that the folder
            follows knows it. Empty where the folder was given up, so that any history may take it.
        revision: the change up to which all files are on the disk; ``None`` where that is not known.
        boot: the start of the machine in which it was written.
        store: the name of that history, without a password; empty where it is not known.
        identity: which file said it, so that a copy of it is told from it: its inode number, and when that changed last
            (nanoseconds since the epoch); not in the file.
    """

    id: str
    revision: int | None = None
    boot: str = ""
    store: str = ""
    identity: tuple[int, int] | None = None

    @property
    def follower(self) -> str:
        """The name of the place in the change feed, and of the lease."""
        return f"mirror:{self.id}"

    @property
    def shown_store(self) -> str:
        """The name of the history in a sentence."""
        return quoted(self.store) if self.store else Message("its name is not known")


def read_place(folder: Path) -> FolderPlace | None:
    """Return what the file of *folder* says; ``None`` where there is none that can be understood.

    Raises:
        OSError: it cannot be read.
    """
    try:
        with (folder / PLACE_FILE).open("rb") as file:
            found, status = orjson.loads(file.read()), os.fstat(file.fileno())
        revision, identity = cast("int | None", found["revision"]), (status.st_ino, status.st_ctime_ns)
        return FolderPlace(str(found["id"]), revision, str(found["boot"]), str(found.get("store", "")), identity)
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None


def followed_in(folder: Path) -> FolderPlace | None:
    """Return the place of a *folder* whose JSON files follow a history; ``None`` where none follow, or none is there.

    Raises:
        OSError: its file cannot be read.
    """
    try:
        place = read_place(folder)
    except NotADirectoryError:
        return None
    return place if place is not None and place.id else None
