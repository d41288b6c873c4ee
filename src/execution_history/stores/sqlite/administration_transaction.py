"""What the writer does with what is not a record, inside one transaction."""

from collections.abc import Callable
from itertools import takewhile
from typing import Any

import apsw

from execution_history.stores.administration import FEED_KEPT_MS, Entry, EntryName
from execution_history.stores.sqlite.boot_clock import boot_id, boot_ms
from execution_history.stores.sqlite.queries import query


class AdministrationTransaction:
    """The operations, on the writer's connection.

    Args:
        connection: the writer's.
        next_revision: gives the revision of a change.
        clock: milliseconds since the epoch.
    """

    def __init__(self, connection: apsw.Connection, next_revision: Callable[[], int], clock: Callable[[], int]) -> None:
        self._execute = connection.execute
        self._next_revision = next_revision
        self._clock = clock

    def run(self, name: str, *values: int | str | bytes | None) -> list[Any]:
        """Return the rows of a named statement."""
        return self._execute(query(name), values).fetchall()

    def put_entry(self, name: EntryName, value: bytes, expected: int | None) -> Entry | None:
        """See :meth:`Administration.put_entry`."""
        if expected not in (None, self._version(name)):
            return None
        version = self._next_revision()
        self.run("save_entry", *name, value, version, self._clock())
        return Entry(name, value, version)

    def drop_entry(self, name: EntryName, expected: int | None) -> bool:
        """See :meth:`Administration.drop_entry`."""
        version = self._version(name)
        if not version or expected not in (None, version):
            return False
        self.run("save_entry", *name, None, self._next_revision(), self._clock())
        return True

    def append_audit(self, actor: str, action: str, details: bytes) -> int:
        """See :meth:`Administration.append_audit`."""
        return int(self.run("append_audit", self._clock(), actor, action, details)[0][0])

    def lease(self, name: str, owner: str, ttl_ms: int) -> bool:
        """See :meth:`Administration.lease`; what was held before the machine was started anew has ended."""
        now, boot = boot_ms(), boot_id()
        held = self.run("named_lease", name)
        if held and held[0][0] != owner and held[0][1] == boot and held[0][2] > now:
            return False
        self.run("save_named_lease", name, owner, boot, now + ttl_ms)
        return ttl_ms > 0

    def renew_lease(self, owner: str, ttl_ms: int) -> None:
        """See :meth:`Administration.renew_lease`."""
        if ttl_ms > 0:
            self.run("put_lease", owner, self._clock() + ttl_ms, boot_id(), boot_ms() + ttl_ms)
        else:
            self.run("drop_lease", owner)

    def prune(self, most: int) -> bool:
        """Forget at most *most* deletions that are old enough and seen by all followers; whether there may be more.

        So many discarded records that are kept no longer go too.
        """
        before, seen = self._clock() - FEED_KEPT_MS, self.run("oldest_cursor")[0][0]
        oldest = self.run("oldest_deletions", most)
        old = [r for r, at in takewhile(lambda row: row[1] <= before and (seen is None or row[0] <= seen), oldest)]
        if old:
            self.run("drop_deletions", old[-1])
            self.run("drop_removed_entries", old[-1])
            self.run("save_feed_floor", old[-1])
        self.run("purge_bin", self._clock(), most)
        return len(old) == most

    def _version(self, name: EntryName) -> int:
        """Return the version of an entry, 0 where there is none."""
        found = self.run("entry", *name)
        return int(found[0][1]) if found else 0
