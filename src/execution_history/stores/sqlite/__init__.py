"""The embedded store: one SQLite database and, beside it, a JSON file for every workflow."""

from execution_history.stores.jsonfiles import FoundFile, file_name, workflow_id_of
from execution_history.stores.sqlite.documents import stored_elsewhere
from execution_history.stores.sqlite.store import SQLiteStore

__all__ = ["FoundFile", "SQLiteStore", "file_name", "stored_elsewhere", "workflow_id_of"]
