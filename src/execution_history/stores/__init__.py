"""The stores, which implement :mod:`execution_history.stores.protocol`, and their forms on a disk.

That in PostgreSQL is not among these names, since its driver is an extra: :func:`store_at` makes it from a URL.
"""

from typing import TYPE_CHECKING

from execution_history.lazy_names import lazy_names

if TYPE_CHECKING:
    from execution_history.stores.database_files import DATABASE
    from execution_history.stores.factory import place_named, store_at, store_of
    from execution_history.stores.memory.store import MemoryStore
    from execution_history.stores.sqlite import FoundFile, SQLiteStore, file_name, stored_elsewhere, workflow_id_of
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            **dict.fromkeys(("place_named", "store_at", "store_of"), "factory"),
            **dict.fromkeys(("FoundFile", "SQLiteStore", "file_name", "stored_elsewhere", "workflow_id_of"), "sqlite"),
            "DATABASE": "database_files",
            "MemoryStore": "memory.store",
        },
    )

__all__ = [
    "DATABASE",
    "FoundFile",
    "MemoryStore",
    "SQLiteStore",
    "file_name",
    "place_named",
    "store_at",
    "store_of",
    "stored_elsewhere",
    "workflow_id_of",
]
