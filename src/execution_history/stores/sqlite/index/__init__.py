"""The index that follows the change feed: ``index.db`` beside ``history.db``, to filter, sort and count by."""

from execution_history.stores.sqlite.index.answering import RecordIndex
from execution_history.stores.sqlite.index.parts import Fragment, Match, Part
from execution_history.stores.sqlite.index.text import TextIndex

__all__ = ["Fragment", "Match", "Part", "RecordIndex", "TextIndex"]
