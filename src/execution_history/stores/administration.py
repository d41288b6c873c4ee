"""The second part of the contract: what a store keeps besides records.

It is kept in the database only: rebuilding a history from its JSON files loses it.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from execution_history.records.time_units import DAY_MS

FEED_KEPT_MS: Final = 30 * DAY_MS
"""How long, at least, the change feed keeps deletions (milliseconds)."""


KEY: Final = "key"
KEY_USE: Final = "key_use"
SESSION_KEY: Final = "session_key"
ADMISSION_KINDS: Final = frozenset({KEY, KEY_USE, SESSION_KEY})
"""The kinds of entries that decide who comes in through a server; no archive has them."""


class EntryName(NamedTuple):
    """The name of an entry of the registry: its kind, such as ``view``, and its key within that."""

    kind: str
    key: str


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the registry: any JSON, and its version, the revision of its last change."""

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
    """The registry, the audit log, leases and the cursors of followers.

    Every method may raise :class:`~execution_history.errors.StoreError` or one of its kinds.
    """

    async def entry(self, kind: str, key: str) -> Entry | None:
        """Return an entry of the registry, or ``None``."""

    async def entries(self, kind: str, after: str = "", limit: int | None = None) -> list[Entry]:
        """Return the entries of a kind whose keys follow *after* in the order of code points, in that order."""

    async def kinds(self) -> list[str]:
        """Return the kinds that have entries, in the order of code points."""

    async def put_entry(self, kind: str, key: str, value: bytes, *, expected: int | None = None) -> Entry | None:
        """Store *value*, which is JSON, under a key; the change feed has the change.

        Args:
            kind: the kind, such as ``view``.
            key: the key within the kind.
            value: compact UTF-8 JSON.
            expected: the version that the entry must have, 0 for no entry; ``None`` replaces any.

        Returns:
            The new entry; ``None``, and nothing is changed, when the version is not *expected*.
        """

    async def drop_entry(self, kind: str, key: str, *, expected: int | None = None) -> bool:
        """Remove an entry, if it has the version *expected*; return whether one was removed."""

    async def append_audit(self, actor: str, action: str, details: bytes = b"{}", *, at: int | None = None) -> int:
        """Add a line to the audit log; return its number. No line is ever changed.

        Args:
            actor: who did it.
            action: what was done.
            details: compact UTF-8 JSON.
            at: when (milliseconds), for a line that is restored; now unless given.
        """

    async def audit(self, after: int, limit: int) -> list[AuditEntry]:
        """Return at most *limit* lines of the audit log after the number *after*, in their order."""

    async def lease(self, name: str, owner: str, ttl_ms: int) -> bool:
        """Take, renew or release the lease of work that one process does at a time, such as a periodic job.

        The time is the store's, not the callers', so that setting a clock changes nothing.

        Args:
            name: the name of the work.
            owner: the process that takes the lease.
            ttl_ms: how long the lease lasts unless it is renewed (milliseconds); 0 releases it.

        Returns:
            Whether *owner* holds the lease now: false until the time of another owner has passed.
        """

    async def renew_lease(self, owner: str, ttl_ms: int) -> None:
        """Keep recorder *owner* alive for *ttl_ms* milliseconds, on the store's clock; 0 releases the lease."""

    async def leases(self) -> dict[str, int]:
        """Return the recorders that have a lease, each with the milliseconds that remain; 0 or less if it has ended."""

    async def save_cursor(self, name: str, revision: int | None) -> None:
        """Store the place of the follower *name* in the change feed; ``None`` removes the follower.

        As long as it follows, the feed keeps every deletion after its place.
        """

    async def cursors(self) -> dict[str, int]:
        """Return the followers that have a cursor, each with the revision up to which it has read everything."""
