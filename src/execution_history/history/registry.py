"""Entries that a history keeps in its store's registry, changed: names, views, prices, changes of many runs."""

import secrets
from collections.abc import Callable
from typing import Final

from execution_history.errors import StoreBusy
from execution_history.stores.administration import Entry, EntryName
from execution_history.stores.protocol import HistoryStore

_MOST_ATTEMPTS: Final = 100


def new_id() -> str:
    """Return an id for an entry: 16 hexadecimal digits, so that no command line takes it for an option."""
    return secrets.token_hex(8)


async def change_entry(
    store: HistoryStore, name: EntryName, make: Callable[[Entry | None], bytes | None]
) -> Entry | None:
    """Replace an entry by what *make* returns for it, however many others change it meanwhile, and return it.

    Args:
        store: an opened store.
        name: the entry.
        make: returns the new value, compact UTF-8 JSON, for the entry as it is, ``None`` where there is none; the same
            value changes nothing, and ``None`` removes the entry. It is called again where somebody else was faster,
            and what it raises ends the call.

    Raises:
        StoreBusy: others changed the entry a hundred times meanwhile.
        StoreError: the store could not be read or written.
    """
    for _ in range(_MOST_ATTEMPTS):
        entry = await store.entry(*name)
        value, version = make(entry), 0 if entry is None else entry.version
        if value == (None if entry is None else entry.value):
            return entry
        if value is None:
            if await store.drop_entry(*name, expected=version):
                return None
        elif (changed := await store.put_entry(*name, value, expected=version)) is not None:
            return changed
    raise StoreBusy("Others keep changing the same: try again.")
