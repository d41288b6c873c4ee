"""The second part of the promise: what a store keeps that is not a record.

It lives in the database only. Whoever rebuilds a history from its JSON files loses it.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

FEED_KEPT_MS: Final = 30 * 24 * 60 * 60 * 1000
"""So long, at least, the change feed knows what was deleted (milliseconds)."""


class EntryName(NamedTuple):
    """Which entry of the registry: its kind, such as ``view``, and its key within that."""

    kind: str
    key: str


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the registry: any JSON, and its version, which is the revision of its last change."""

    name: EntryName
    value: bytes
    version: int


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A line of the audit log: when (milliseconds) who did what; ``details`` is JSON, ``number`` its place."""

    number: int
    at: int
    actor: str
    action: str
    details: bytes


class Administration(Protocol):
    """What is configured, noted, held and followed.

    Every method may raise :class:`~execution_history.errors.StoreError` or one of its kinds.
    """

    async def entry(self, kind: str, key: str) -> Entry | None:
        """Return an entry of the registry, or ``None``."""

    async def entries(self, kind: str, after: str = "", limit: int | None = None) -> list[Entry]:
        """Return the entries of a kind whose keys come after *after* in the order of code points, in that order."""

    async def put_entry(self, kind: str, key: str, value: bytes, *, expected: int | None = None) -> Entry | None:
        """Keep *value*, which is JSON, under a key; the change feed tells of it.

        Args:
            kind: what it is, such as ``view``.
            key: which of its kind.
            value: compact UTF-8 JSON.
            expected: the version that it must have, 0 when there must be none; ``None`` replaces any.

        Returns:
            The entry as it is now; ``None``, and nothing is changed, when it has another version than *expected*.
        """

    async def drop_entry(self, kind: str, key: str, *, expected: int | None = None) -> bool:
        """Remove an entry, if it has the version *expected*; whether there was one that could be removed."""

    async def append_audit(self, actor: str, action: str, details: bytes = b"{}") -> int:
        """Add a line to the audit log; return its number. No line is ever changed."""

    async def audit(self, after: int, limit: int) -> list[AuditEntry]:
        """Return at most *limit* lines of the audit log behind the number *after*, in their order."""

    async def lease(self, name: str, owner: str, ttl_ms: int) -> bool:
        """Take, keep or give up the right to do what one process does at a time, such as a periodic job.

        Time is that of the store, not of its callers, so that a clock that is set changes nothing.

        Args:
            name: what is done.
            owner: who wants to do it.
            ttl_ms: for how long (milliseconds), unless it is renewed; 0 gives it up.

        Returns:
            Whether *owner* has it now: false as long as another owner's time has not passed.
        """

    async def renew_lease(self, owner: str, ttl_ms: int) -> None:
        """Keep recorder *owner* alive for *ttl_ms* milliseconds, on the store's clock; 0 gives the lease up."""

    async def leases(self) -> dict[str, int]:
        """Return the recorders that have a lease, each with the milliseconds that remain; 0 or less: it is over."""

    async def save_cursor(self, name: str, revision: int | None) -> None:
        """Keep how far the follower *name* of the change feed has come; ``None`` when it follows no more.

        As long as it follows, the feed forgets no deletion behind its place.
        """

    async def cursors(self) -> dict[str, int]:
        """Return the followers that have a cursor, each with the revision up to which it has taken everything."""
