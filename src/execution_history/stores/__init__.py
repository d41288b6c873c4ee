"""The stores, which implement :mod:`execution_history.stores.protocol`, and their forms on a disk."""

from typing import TYPE_CHECKING

from execution_history.lazy_names import lazy_names

if TYPE_CHECKING:
    from execution_history.stores.factory import folder_of, store_at, store_of
    from execution_history.stores.memory.store import MemoryStore
    from execution_history.stores.sqlite import (
        DATABASE,
        FoundFile,
        SQLiteStore,
        file_name,
        stored_elsewhere,
        workflow_id_of,
    )
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            **dict.fromkeys(("folder_of", "store_at", "store_of"), "factory"),
            **dict.fromkeys(
                ("DATABASE", "FoundFile", "SQLiteStore", "file_name", "stored_elsewhere", "workflow_id_of"), "sqlite"
            ),
            "MemoryStore": "memory.store",
        },
    )

__all__ = [
    "DATABASE",
    "FoundFile",
    "MemoryStore",
    "SQLiteStore",
    "file_name",
    "folder_of",
    "store_at",
    "store_of",
    "stored_elsewhere",
    "workflow_id_of",
]
