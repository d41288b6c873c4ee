"""The gate of a server: whether a key is needed, and who comes with which."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from execution_history.access import audit
from execution_history.access.keys import PATIENCE_SECONDS, Key, Keys
from execution_history.access.limits import Buckets, Rate
from execution_history.access.principals import NOBODY, acting
from execution_history.access.sessions import Sessions
from execution_history.errors import Message, StoreError, StoreUnwritable
from execution_history.stores.protocol import HistoryStore

FRESH_SECONDS: Final = 1.0
"""How long a server may not notice that another process has added the first key, or revoked the last."""

CHECKED_AGAIN_SECONDS: Final = 5.0

_SESSION_ENDED: Final = Message("Your session has ended: sign in again.")
_REVOKED: Final = Message("Your key was revoked: sign in with another one.")
_EXPIRED: Final = Message("Your key has expired: have it renewed, or sign in with another one.")

_FAILURES_NOTED: Final = Rate(10, 60)
_log = logging.getLogger("execution_history.access")


class Gate:
    """What a server knows about keys.

    Args:
        store: the whole store.
        clock: milliseconds since the epoch.
        is_required: whether a key is needed; ``None``: as soon as there is one.
        largest_body: how many bytes a request may have, whoever sends it; ``None`` for no limit of ours.
        seconds: seconds, from any beginning, that only rise.
        checked_again_seconds: how often, while an answer goes on, its sender is looked for again.
    """

    def __init__(
        self,
        store: HistoryStore,
        clock: Callable[[], int],
        *,
        is_required: bool | None = None,
        largest_body: int | None = None,
        seconds: Callable[[], float] = time.monotonic,
        checked_again_seconds: float = CHECKED_AGAIN_SECONDS,
    ) -> None:
        self.keys: Keys = Keys(store, clock, self._look_again)
        self.sessions: Sessions = Sessions(store, clock)
        self.buckets: Buckets = Buckets(seconds)
        self.largest_body: int | None = largest_body
        self.checked_again_seconds: float = checked_again_seconds
        self._store = store
        self._is_required = is_required
        self.seconds: Callable[[], float] = seconds
        self._looked_at = float("-inf")
        self._is_open = False

    async def is_closed(self) -> bool:
        """Return whether nobody comes in without a key.

        Where the store does not answer, and had no key before, it has none yet: nobody could add one.

        Raises:
            StoreError: the store could not be read, and has never been.
        """
        if self._is_required is not None:
            return self._is_required
        if self.seconds() - self._looked_at >= FRESH_SECONDS:
            try:
                async with asyncio.timeout(PATIENCE_SECONDS if self._is_open else None):
                    self._is_open = not await self.keys.any()
            except (StoreError, TimeoutError):
                if not self._is_open:
                    raise
            self._looked_at = self.seconds()
        return not self._is_open

    def _look_again(self) -> None:
        """Look for keys with the next request: this process has added or revoked one."""
        self._looked_at = float("-inf")

    async def holder_of_cookie(self, cookie: str) -> Key | None:
        """Return the key whose session a browser's *cookie* is; ``None`` where it is none that is valid.

        Raises:
            StoreError: the store could not be read.
        """
        key_id = await self.sessions.key_id_of(cookie)
        return None if key_id is None else await self.keys.with_id(key_id)

    async def reason_out(self, cookie: str) -> Message | None:
        """Return why a browser's *cookie* does not let it in any more; ``None`` where it does.

        Raises:
            StoreError: the store could not be read.
        """
        key_id = await self.sessions.key_id_of(cookie)
        if key_id is None:
            return _SESSION_ENDED
        if await self.keys.with_id(key_id) is not None:
            return None
        return _EXPIRED if any(key.id == key_id for key in await self.keys.all()) else _REVOKED

    async def note_failure(self, client: str) -> None:
        """Note in the audit log that a *client* came with a key that is none; at most ten times a minute.

        In a history that is only read, such as an archive, the server's log has it instead.

        Raises:
            StoreError: the store does not answer.
        """
        if self.buckets.take("failures", _FAILURES_NOTED):
            return
        try:
            with acting(NOBODY):
                await audit.note(self._store, audit.Action.SIGN_IN_FAILED, client=client)
        except StoreUnwritable as error:
            _log.warning("It could not be noted that %s came with an unknown key: %s", client, error)
