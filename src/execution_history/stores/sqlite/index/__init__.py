"""The index that follows the change feed: ``index.db`` beside ``history.db``, to filter, sort and count by."""

from execution_history.stores.sqlite.index.record_index import RecordIndex
from execution_history.stores.sqlite.index.text_index import TextIndex

__all__ = ["RecordIndex", "TextIndex"]
