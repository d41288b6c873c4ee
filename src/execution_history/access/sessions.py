"""Sessions of browsers: a signed cookie that names a key, and is worth nothing once that key is revoked.

The cookie holds the id of the key and when the session ends, signed with HMAC-SHA256; it does not hold the key. The
secret that signs is an entry of the store's registry, so that all servers of a history know each other's sessions.
Rotating makes a new one; the one before stays valid until its sessions have ended, unless all are to end at once.
"""

import base64
import binascii
import hmac
import secrets
from collections.abc import Callable
from hashlib import sha256
from typing import Final

import orjson

from execution_history.access import audit
from execution_history.errors import StoreBusy, StoreUnwritable
from execution_history.records.time_units import HOUR_MS
from execution_history.stores.administration import SESSION_KEY, Entry
from execution_history.stores.protocol import HistoryStore

LIFETIME_MS: Final = 12 * HOUR_MS
"""How long a browser stays signed in (milliseconds)."""

_NAME: Final = (SESSION_KEY, "current")
"""The entry that has the secrets which sign cookies: who has these can sign in as anybody."""

_MOST: Final = 2
_ATTEMPTS: Final = 20
_LONGEST: Final = 200
_LARGEST: Final = 10**15


class Sessions:
    """The sessions of a history's keys.

    Args:
        store: the whole store.
        clock: milliseconds since the epoch.
    """

    def __init__(self, store: HistoryStore, clock: Callable[[], int]) -> None:
        self._store, self._clock = store, clock
        self._own = secrets.token_bytes(32)  # signs where nothing can be written, as in an archive that is served

    async def begin(self, key_id: str) -> str:
        """Return the value of a cookie that names *key_id* for :data:`LIFETIME_MS`.

        Raises:
            StoreError: the store could not be read or written.
        """
        signers = await self._signers()
        if not signers:
            try:
                signers = await self._renewed(keeps=True)
            except StoreUnwritable:
                signers = [self._own]
        claim = f"{key_id}.{self._clock() + LIFETIME_MS}"
        return f"{claim}.{_signature(signers[0], claim)}"

    async def key_id_of(self, cookie: str) -> str | None:
        """Return the id of the key that a cookie names; ``None`` where it is none of ours, or its session has ended.

        Raises:
            StoreError: the store could not be read.
        """
        claim, _, signature = cookie.rpartition(".")
        key_id, _, ends = claim.partition(".")
        if len(cookie) > _LONGEST or not (cookie.isascii() and ends.isdecimal()):
            return None
        if not self._clock() < int(ends) < _LARGEST:
            return None
        signers = await self._signers() or [self._own]
        valid = [hmac.compare_digest(_signature(each, claim), signature) for each in signers]
        return key_id if any(valid) else None

    async def rotate(self, *, ends_all: bool = False) -> None:
        """Sign with a new secret from now on; with *ends_all* every browser is signed out.

        Raises:
            StoreError: it could not be written.
        """
        await self._store.open()
        await audit.note(self._store, audit.Action.SESSIONS_ENDED, signed_out=ends_all)
        await self._renewed(keeps=not ends_all)

    async def _signers(self) -> list[bytes]:
        await self._store.open()
        return _secrets_in(await self._store.entry(*_NAME))

    async def _renewed(self, *, keeps: bool) -> list[bytes]:
        """Put a new secret before the one there is, or in its place, and return those that are valid."""
        for _ in range(_ATTEMPTS):
            entry = await self._store.entry(*_NAME)
            kept = [secrets.token_bytes(32), *(_secrets_in(entry) if keeps else ())][:_MOST]
            value = orjson.dumps([base64.b64encode(each).decode() for each in kept])
            if await self._store.put_entry(*_NAME, value, expected=0 if entry is None else entry.version):
                return kept
        raise StoreBusy("Others keep changing the same: try again.")


def _signature(secret: bytes, claim: str) -> str:
    return base64.urlsafe_b64encode(hmac.digest(secret, claim.encode(), sha256)).decode().rstrip("=")


def _secrets_in(entry: Entry | None) -> list[bytes]:
    try:
        return [] if entry is None else [base64.b64decode(each, validate=True) for each in orjson.loads(entry.value)]
    except (binascii.Error, ValueError, TypeError):
        return []
