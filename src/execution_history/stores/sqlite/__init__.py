"""The embedded store: one SQLite database and, beside it, a JSON file for every workflow."""

from execution_history.stores.sqlite.store import SQLiteStore

__all__ = ["SQLiteStore"]
