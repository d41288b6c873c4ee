"""The claim of a folder for JSON files that follow a history, and the place that is saved in it."""

import contextlib
import os
import uuid
from pathlib import Path

import orjson

from execution_history.clock import boot_id
from execution_history.errors import SettingsError, quoted
from execution_history.stores.database_files import DATABASE
from execution_history.stores.folder_place import PLACE_FILE, FolderPlace, followed_in, read_place
from execution_history.stores.jsonfiles.file_names import SUFFIX


class FolderReplaced(Exception):  # noqa: N818 - a finding, not a failure
    """The folder is not as its follower left it: it was removed, or another one or a copy is in its place."""


def claim_folder(folder: Path, store: str) -> FolderPlace:
    """Make *folder*, for its owner only, or check that it can be used; return what its file says.

    Args:
        folder: the folder.
        store: the name of the history, for a folder that follows none yet.

    Raises:
        SettingsError: it holds a history, or JSON files of others.
        OSError: it cannot be read or written.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    place = read_place(folder)
    if (folder / DATABASE).exists():
        raise _holding_a_database(folder, place)
    if place is None and any(folder.glob(f"*{SUFFIX}")):
        raise SettingsError(
            "The folder %(folder)s holds JSON files of another program: choose an empty one for JSON files that "
            "follow the history.",
            folder=quoted(folder),
        )
    if place is None or not place.id:
        # Of two processes that begin at once the first decides: a link fails where the name is taken.
        beside = _written_beside(folder, fresh := FolderPlace(uuid.uuid4().hex, store=store))
        try:
            with contextlib.suppress(FileExistsError):
                os.link(beside, folder / PLACE_FILE)
            if followed_in(folder) is None:  # nobody was first: what has the name was given up, or means nothing
                beside.replace(folder / PLACE_FILE)
        finally:
            beside.unlink(missing_ok=True)
        place = read_place(folder) or fresh
    return place


def _holding_a_database(folder: Path, place: FolderPlace | None) -> SettingsError:
    if place is None or not place.id:
        return SettingsError(
            "The folder %(folder)s holds a history, which keeps its own JSON files: choose another one for JSON files "
            "that follow.",
            folder=quoted(folder),
        )
    return SettingsError(
        "The folder %(folder)s, whose JSON files follow a history, was opened as a history of its own by an earlier "
        "version: remove history.db*, index.db*, .lock and .reserve from it, and import the folder into the history "
        "before if runs were recorded in it.",
        folder=quoted(folder),
    )


def give_up_folder(folder: Path) -> FolderPlace:
    """Let no JSON files follow in *folder* any more, so that any history may take it; return what its file said.

    Raises:
        SettingsError: none follow in it.
        OSError: it cannot be read or written.
    """
    place = followed_in(folder)
    if place is None:
        raise SettingsError("No JSON files follow a history in the folder %(folder)s.", folder=quoted(folder))
    _written_beside(folder, FolderPlace("")).replace(folder / PLACE_FILE)
    return place


def check_place(folder: Path, place: FolderPlace) -> None:
    """Return if the file of *folder* is the one that said *place*.

    Raises:
        FolderReplaced: it is another one, or is missing.
        OSError: it cannot be read.
    """
    if read_place(folder) != place:
        raise FolderReplaced


def save_place(folder: Path, place: FolderPlace, revision: int, store: str) -> FolderPlace:
    """Write that everything up to *revision* is on the disk, where *place* was said; return what the file says now.

    Args:
        folder: the folder.
        place: what its file said last.
        revision: the change up to which it has everything.
        store: the name that the history has now.

    Raises:
        FolderReplaced: the file is another one, or is missing.
        OSError: it cannot be written.
    """
    saved = place._replace(revision=revision, boot=boot_id(), store=store, identity=None)
    beside = _written_beside(folder, saved)
    try:
        # After the file beside it was written: in a folder that is replaced from now on there is none to be renamed.
        check_place(folder, place)
        beside.replace(folder / PLACE_FILE)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    found = read_place(folder)
    if found is None or found._replace(identity=None) != saved:
        raise FolderReplaced
    return found


def _written_beside(folder: Path, place: FolderPlace) -> Path:
    path = folder / f"{PLACE_FILE}.{os.getpid()}.new"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(orjson.dumps({name: value for name, value in place._asdict().items() if name != "identity"}))
        file.flush()
        os.fsync(file.fileno())
    return path
