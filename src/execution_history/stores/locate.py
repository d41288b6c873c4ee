"""From what a user writes, a folder or a URL, to the store it names."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from execution_history.errors import SettingsError
from execution_history.foreign_files import ReadingLimits
from execution_history.store import HistoryStore
from execution_history.stores.memory import MemoryStore
from execution_history.stores.sqlite import SQLiteStore


def store_at(
    location: str | Path,
    *,
    json_files: bool = True,
    search: bool = True,
    on_loops: bool = True,
    limits: ReadingLimits | None = None,
) -> HistoryStore:
    """The store at *location*, not yet opened.

    Args:
        location: a folder, or ``sqlite:///absolute/folder``, ``sqlite:relative/folder`` or ``memory:``.
        json_files: whether an embedded store keeps its JSON files beside the database.
        search: whether an embedded store can be searched for texts.
        on_loops: whether an embedded store may commit on the thread of an event loop; not for one that serves many.
        limits: what an embedded store may take to read JSON files that others wrote.

    Raises:
        SettingsError: no store answers to that name.
    """
    if isinstance(location, Path):
        return SQLiteStore(location, json_files=json_files, search=search, on_loops=on_loops, limits=limits)
    scheme, separator, rest = location.partition(":")
    if not separator or len(scheme) < 2 or not scheme.isalnum():  # noqa: PLR2004 - one letter is a Windows drive
        if not location:
            raise SettingsError("The store is an empty string; name a folder or a URL such as sqlite:data/history.")
        return SQLiteStore(Path(location), json_files=json_files, search=search, on_loops=on_loops, limits=limits)
    if scheme == "memory":
        return MemoryStore()
    if scheme == "sqlite":
        path = unquote(urlsplit(location).path if rest.startswith("//") else rest)
        if not path:
            raise SettingsError(
                f"The store {location!r} names no folder; write sqlite:///absolute/folder or sqlite:folder."
            )
        return SQLiteStore(Path(path), json_files=json_files, search=search, on_loops=on_loops, limits=limits)
    raise SettingsError(f"There is no store for {scheme!r}; use a folder, sqlite:folder or memory:.")
