"""The second part of the promise: what a store keeps that is not a record.

It lives in the database only. Whoever rebuilds a history from its JSON files loses it.
"""

from typing import Final, Protocol

FEED_KEPT_MS: Final = 30 * 24 * 60 * 60 * 1000
"""So long, at least, the change feed knows what was deleted (milliseconds)."""


class Bookkeeping(Protocol):
    """What followers and periodic jobs keep in a store.

    Every method may raise :class:`~execution_history.errors.StoreError` or one of its kinds.
    """

    async def save_cursor(self, name: str, revision: int | None) -> None:
        """Keep how far the follower *name* of the change feed has come; ``None`` when it follows no more.

        As long as it follows, the feed forgets no deletion behind its place.
        """

    async def cursors(self) -> dict[str, int]:
        """Return the followers that have a cursor, each with the revision up to which it has taken everything."""
