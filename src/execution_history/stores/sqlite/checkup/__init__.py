"""The checks of a store in a folder; all of them read, and none needs the store to be open."""

from execution_history.stores.sqlite.checkup.view import HistoryView

__all__ = ["HistoryView"]
