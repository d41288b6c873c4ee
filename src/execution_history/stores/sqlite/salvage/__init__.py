"""A damaged ``history.db`` read page by page, and a new one made of every row that can still be read."""

from execution_history.stores.sqlite.salvage.new_database import SalvageReport, salvage

__all__ = ["SalvageReport", "salvage"]
