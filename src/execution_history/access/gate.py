"""The gate of a server: whether a key is needed, and who comes with which."""

import time
from collections.abc import Callable
from typing import Final

from execution_history.access import audit
from execution_history.access.keys import Key, Keys
from execution_history.access.limits import Buckets, Rate
from execution_history.access.sessions import Sessions
from execution_history.stores.protocol import HistoryStore

FRESH_SECONDS: Final = 1.0
"""How long a server that has no key yet may not notice the first one that another process adds."""

_FAILURES_NOTED: Final = Rate(10, 60)


class Gate:
    """What a server knows about keys.

    Args:
        store: the whole store.
        clock: milliseconds since the epoch.
        is_required: whether a key is needed; ``None``: as soon as there is one.
        largest_body: how many bytes a request may have, whoever sends it; ``None`` for no limit of ours.
        seconds: seconds, from any beginning, that only rise.
    """

    def __init__(
        self,
        store: HistoryStore,
        clock: Callable[[], int],
        *,
        is_required: bool | None = None,
        largest_body: int | None = None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self.keys: Keys = Keys(store, clock)
        self.sessions: Sessions = Sessions(store, clock)
        self.buckets: Buckets = Buckets(seconds)
        self.largest_body: int | None = largest_body
        self._store = store
        self._is_required = is_required
        self.seconds: Callable[[], float] = seconds
        self._looked_at = float("-inf")

    async def is_closed(self) -> bool:
        """Return whether nobody comes in without a key.

        Raises:
            StoreError: the store could not be read.
        """
        if self._is_required is None and self.seconds() - self._looked_at >= FRESH_SECONDS:
            if await self.keys.any():
                return True
            self._looked_at = self.seconds()
        return self._is_required is True

    def forget(self) -> None:
        """Look for keys with the next request: this process has added or revoked one."""
        self._looked_at = float("-inf")

    async def holder_of_cookie(self, cookie: str) -> Key | None:
        """Return the key whose session a browser's *cookie* is; ``None`` where it is none that is valid.

        Raises:
            StoreError: the store could not be read.
        """
        key_id = await self.sessions.key_id_of(cookie)
        return None if key_id is None else await self.keys.with_id(key_id)

    async def note_failure(self, client: str) -> None:
        """Note in the audit log that a *client* came with a key that is none; at most ten times a minute.

        Raises:
            StoreError: it could not be written.
        """
        if not self.buckets.take("failures", _FAILURES_NOTED):
            await audit.note(self._store, audit.Action.SIGN_IN_FAILED, client=client)
