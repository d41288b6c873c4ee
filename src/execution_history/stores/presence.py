"""Whether there is a history at a place yet; asking does not make one."""

import asyncio
from pathlib import Path

from execution_history.stores.database_files import DATABASE
from execution_history.stores.factory import database_at, place_named
from execution_history.stores.folder_place import followed_in
from execution_history.stores.foreign_files import begins_like_history


async def holds_history(location: str) -> bool:
    """Return whether there is a history at *location*; true where a folder cannot be used, so that its store says why.

    Args:
        location: as :func:`~execution_history.stores.factory.store_at` takes it.

    Raises:
        SettingsError: there is no such store.
        StoreError: the database cannot be reached.
    """
    place = place_named(location)
    if place.folder is not None:
        return _is_in_folder(place.folder)
    if place.kind == "postgres":
        database = database_at(location)
        from execution_history.stores.postgres.presence import has_tables  # noqa: PLC0415 - an extra, checked just now

        return await asyncio.to_thread(has_tables, database)
    return True


def _is_in_folder(folder: Path) -> bool:
    """Return whether *folder* holds a history.

    Opening a store adopts the JSON files it finds, so other JSON files must not be mistaken for a history.
    """
    if not folder.is_dir():
        return folder.exists()
    try:
        is_known = (folder / DATABASE).exists() or followed_in(folder) is not None
        return is_known or any(map(begins_like_history, folder.glob("*.json")))
    except OSError:
        return True
