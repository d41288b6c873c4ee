"""The stores, which implement :mod:`execution_history.stores.protocol`, and their forms on a disk."""

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
