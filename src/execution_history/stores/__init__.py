"""The stores that keep the promise of :mod:`execution_history.store`."""

from execution_history.stores.locate import store_at
from execution_history.stores.memory import MemoryStore
from execution_history.stores.sqlite import SQLiteStore

__all__ = ["MemoryStore", "SQLiteStore", "store_at"]
