"""Steps by which the writer removes the rows of cleared histories, and what has been kept long enough."""

from itertools import takewhile
from typing import Any, Final

from execution_history.stores.administration import FEED_KEPT_MS
from execution_history.stores.sqlite.write_transaction import WriteTransaction

_ROW_BYTES: Final = 32 * 1024
"""Bytes of documents that are removed for each row of a step: a large one has thousands of pages to be freed."""


def purge_cleared(transaction: WriteTransaction, limit: int) -> bool:
    """Remove at most *limit* rows of a cleared workflow, fewer of large ones; return whether there may be more."""
    found = transaction.run("cleared_workflow").fetchone()
    if found is None:
        return False
    transaction.run("purge_rows", found[0], limit, limit * _ROW_BYTES)
    if not transaction.connection.changes():
        transaction.run("drop_workflow", found[0])
    return True


def prune(transaction: WriteTransaction, limit: int) -> bool:
    """Forget at most *limit* deletions that are old enough and seen by all followers; return whether there may be more.

    As many discarded records that have expired are removed too.
    """
    now = transaction.clock()
    before: int = now - FEED_KEPT_MS
    seen: Any = transaction.run("oldest_cursor").get
    oldest: list[Any] = transaction.run("oldest_deletions", limit).fetchall()
    old = [r for r, at in takewhile(lambda row: row[1] <= before and (seen is None or row[0] <= seen), oldest)]
    if old:
        for name in ("drop_deletions", "drop_removed_entries", "save_feed_floor"):
            transaction.run(name, old[-1])
    transaction.run("purge_bin", now, limit, limit * _ROW_BYTES)
    return len(old) == limit or transaction.connection.changes() > 0
