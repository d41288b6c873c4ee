"""API keys: added, listed, revoked, and recognised when somebody comes with one.

A key is ``eh_`` with the id of its entry and a secret of 256 random bits. The store's registry has an entry of the kind
``key`` for it, with the SHA-256 of the secret. That is enough: a slow hash protects what people make up, and nobody can
try 2²⁵⁶ secrets. When it was last used stands in an entry of its own, of the kind ``key_use``, written at most once a
minute. An entry is read again with each request, so that a key that was revoked anywhere does nothing any more. Only
while the store does not answer, a key is taken as it was read last: the gateway goes on, as recording never breaks a
workflow, and nobody can revoke a key meanwhile either.
"""

import asyncio
import hmac
import logging
import re
import secrets
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, NamedTuple

import orjson

from execution_history.access import audit
from execution_history.access.limits import Rate
from execution_history.access.principals import Principal, Scope, scope_of
from execution_history.errors import InvalidInput, KeyNotFound, StoreBusy, StoreError, quoted
from execution_history.query.workflow_patterns import WorkflowPatterns
from execution_history.records.time_units import MINUTE_MS
from execution_history.stores.administration import KEY, KEY_USE, Entry
from execution_history.stores.protocol import HistoryStore

_log = logging.getLogger("execution_history.access")

LONGEST_NAME: Final = 100
MOST_KEYS: Final = 1_000
PATIENCE_SECONDS: Final = 2.0
"""How long a request waits for a store that told of its key before."""

_REFUSED: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""The categories of characters that break a line, or change how what stands around them reads."""

_JOINERS: Final = dict.fromkeys((0x200C, 0x200D))
"""Invisible characters that join letters, or emoji, and are harmless."""

_SECRET: Final = re.compile(r"eh_([0-9a-f]{8})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key, without its secret. Times are milliseconds since the epoch.

    Attributes:
        id: eight hexadecimal digits, which stand in the key itself.
        name: what people call it; no two keys have the same.
        digest: the SHA-256 of its secret.
        scopes: what it allows.
        workflows: patterns of the ids of the workflows that it is for; none stands for all.
        created: when it was added.
        expires: from when on it is not taken any more; ``None`` for never.
        rate: how many requests it may send.
        largest_body: how many bytes a request may have.
        last_used: within a minute; ``None`` for not yet.
    """

    id: str
    name: str
    digest: str
    scopes: tuple[Scope, ...]
    workflows: tuple[str, ...] = ()
    created: int = 0
    expires: int | None = None
    rate: Rate | None = None
    largest_body: int | None = None
    last_used: int | None = None

    def has_expired(self, now: int) -> bool:
        """Return whether it is too old."""
        return self.expires is not None and now >= self.expires

    @property
    def principal(self) -> Principal:
        """Whoever comes with it."""
        return Principal(self.id, self.name, frozenset(self.scopes), WorkflowPatterns(self.workflows))

    def to_json(self) -> dict[str, Any]:
        """Return its fields, without the digest and with the rate as people write it."""
        fields = asdict(self) | {"rate": None if self.rate is None else str(self.rate)}
        del fields["digest"]
        return fields


class NewKey(NamedTuple):
    """A key that was just added; its ``secret`` is the whole of what its holder sends, and is shown only now."""

    key: Key
    secret: str


class Keys:
    """The keys of a history.

    Args:
        store: the whole store.
        clock: milliseconds since the epoch.
        changed: called when a key was added or revoked here.
    """

    def __init__(
        self, store: HistoryStore, clock: Callable[[], int], changed: Callable[[], None] = lambda: None
    ) -> None:
        self._store, self._clock, self._changed = store, clock, changed
        self._used: dict[str, int] = {}
        self._known: dict[str, Key] = {}

    async def add(
        self,
        name: str,
        scopes: Iterable[str],
        *,
        workflows: Iterable[str] = (),
        lifetime_ms: int | None = None,
        rate: Rate | None = None,
        largest_body: int | None = None,
    ) -> NewKey:
        """Add a key and return it with its secret, which nobody can read later.

        Raises:
            InvalidInput: the name is none or taken, a scope or pattern is not possible, or there are too many keys.
            StoreError: it could not be written.
        """
        known = await self.all()
        if len(known) >= MOST_KEYS:
            raise InvalidInput("There are %(most)s keys, and no room for more: revoke one first.", most=MOST_KEYS)
        key_id, secret, now = secrets.token_hex(4), secrets.token_urlsafe(32), self._clock()
        patterns = WorkflowPatterns.of(workflows)
        key = Key(
            id=key_id,
            name=_free(_name_of(name), known),
            digest=_digest(secret),
            scopes=_scopes_of(scopes, patterns),
            workflows=patterns.patterns,
            created=now,
            expires=None if lifetime_ms is None else now + lifetime_ms,
            rate=rate,
            largest_body=largest_body,
        )
        about = {"id": key.id, "name": key.name, "scopes": key.scopes, "workflows": key.workflows}
        await audit.note(self._store, audit.Action.KEY_ADDED, **about)
        if await self._store.put_entry(KEY, key_id, _bytes_of(key), expected=0) is None:
            raise StoreBusy("The key could not be saved: try again.")
        self._changed()
        return NewKey(key, f"eh_{key_id}_{secret}")

    async def all(self) -> list[Key]:
        """Return all keys, the newest last, also those that have expired.

        Raises:
            StoreError: the store could not be read.
        """
        await self._store.open()
        used = {each.name.key: _time_in(each) for each in await self._store.entries(KEY_USE)}
        found = [key_in(each, used.get(each.name.key)) for each in await self._store.entries(KEY)]
        return sorted((key for key in found if key is not None), key=lambda key: (key.created, key.id))

    async def any(self) -> bool:
        """Return whether there is a key, expired or not.

        Raises:
            StoreError: the store could not be read.
        """
        await self._store.open()
        return bool(await self._store.entries(KEY, "", 1))

    async def revoke(self, name: str) -> Key:
        """Remove the key of this name or id, and return it: from now on it does nothing, nor does a session of it.

        Raises:
            KeyNotFound: there is none, or not any more.
            StoreError: it could not be removed.
        """
        key = await self._named(name)
        await audit.note(self._store, audit.Action.KEY_REVOKED, id=key.id, name=key.name)
        await self._store.drop_entry(KEY, key.id)
        self._known.pop(key.id, None)
        self._changed()
        await self._store.drop_entry(KEY_USE, key.id)
        return key

    async def renew(self, name: str, *, lifetime_ms: int | None = None) -> Key:
        """Let the key of this name or id be taken for so long from now on, for ever unless that is given; return it.

        Raises:
            KeyNotFound: there is none, or not any more.
            StoreBusy: others changed it meanwhile.
            StoreError: it could not be written.
        """
        key = await self._named(name)
        expires = None if lifetime_ms is None else self._clock() + lifetime_ms
        until = None if expires is None else datetime.fromtimestamp(expires / 1000, UTC).isoformat(timespec="seconds")
        await audit.note(self._store, audit.Action.KEY_RENEWED, id=key.id, name=key.name, expires=until)
        renewed, entry = replace(key, expires=expires), await self._store.entry(KEY, key.id)
        version = 0 if entry is None else entry.version
        if not version or not await self._store.put_entry(KEY, key.id, _bytes_of(renewed), expected=version):
            raise StoreBusy("Others keep changing the same: try again.")
        return renewed

    async def _named(self, name: str) -> Key:
        found = next((key for key in await self.all() if name.strip() in (key.id, key.name)), None)
        if found is None:
            if await self._was_revoked(name.strip()):
                raise KeyNotFound(
                    "The key %(name)s was revoked, and stays so: add a new one for its holder.", name=quoted(name)
                )
            raise KeyNotFound("There is no key %(name)s.", name=quoted(name))
        return found

    async def _was_revoked(self, name: str) -> bool:
        """Return whether the audit log has a line about revoking the key of this name or id."""
        revoked = audit.AuditFilter(frozenset({audit.Action.KEY_REVOKED.value}))
        async for line in audit.lines(self._store, revoked):
            if name in (line.details.get("id"), line.details.get("name")):
                return True
        return False

    async def holder_of(self, secret: str) -> Key | None:
        """Return the key that *secret* is, and note that it was used; ``None`` where it is none that is valid.

        Raises:
            StoreError: the store could not be read.
        """
        found = _SECRET.fullmatch(secret)
        key = None if found is None else await self.with_id(found[1])
        if found is None or key is None or not hmac.compare_digest(_digest(found[2]), key.digest):
            return None
        await self._note_use(key)
        return key

    async def with_id(self, key_id: str) -> Key | None:
        """Return the valid key with this id.

        Raises:
            StoreError: the store could not be read, and has not told of this key before.
        """
        key = await self._read(key_id)
        return None if key is None or key.has_expired(self._clock()) else key

    async def _read(self, key_id: str) -> Key | None:
        """Return the key that the store has under this id; as it was read last where the store does not answer."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS if key_id in self._known else None):
                await self._store.open()
                entry = await self._store.entry(KEY, key_id)
        except (StoreError, TimeoutError):
            if key_id not in self._known:
                raise
            return self._known[key_id]
        key = None if entry is None else key_in(entry)
        if key is None:
            self._known.pop(key_id, None)
        else:
            self._known[key_id] = key
        return key

    async def _note_use(self, key: Key) -> None:
        now = self._clock()
        if now - self._used.get(key.id, 0) < MINUTE_MS:
            return
        self._used[key.id] = now
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                entry = await self._store.entry(KEY_USE, key.id)
                if now - (0 if entry is None else _time_in(entry) or 0) >= MINUTE_MS:
                    # Where another process was faster, it has noted the same minute.
                    version = 0 if entry is None else entry.version
                    await self._store.put_entry(KEY_USE, key.id, orjson.dumps({"at": now}), expected=version)
        except (StoreError, TimeoutError) as error:
            reason = str(error) or "the store does not answer"  # a timeout has no words
            _log.warning("It could not be noted that the key %s was used: %s", key.id, reason)


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def _bytes_of(key: Key) -> bytes:
    fields = asdict(key)
    return orjson.dumps({name: value for name, value in fields.items() if name not in {"id", "last_used"}})


def expired_at(entry: Entry, now: int) -> bytes:
    """Return the value of an entry that holds a key, such that nobody comes in with it until it is renewed."""
    key = key_in(entry)
    return entry.value if key is None or key.has_expired(now) else _bytes_of(replace(key, expires=now))


def key_in(entry: Entry, last_used: int | None = None) -> Key | None:
    """Return the key that an entry of the kind ``key`` holds; ``None`` where it holds none, whoever wrote it."""
    try:
        kept = orjson.loads(entry.value)
        rate = kept["rate"]
        return Key(
            id=entry.name.key,
            name=str(kept["name"]),
            digest=str(kept["digest"]),
            scopes=tuple(map(scope_of, kept["scopes"])),
            workflows=WorkflowPatterns.of(kept["workflows"]).patterns,
            created=int(kept["created"]),
            expires=None if kept["expires"] is None else int(kept["expires"]),
            rate=None if rate is None else Rate(int(rate["requests"]), int(rate["seconds"])),
            largest_body=None if kept["largest_body"] is None else int(kept["largest_body"]),
            last_used=last_used,
        )
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def _time_in(entry: Entry) -> int | None:
    try:
        return int(orjson.loads(entry.value)["at"])
    except (ValueError, LookupError, TypeError):
        return None


def _name_of(name: str) -> str:
    line = name.strip()
    text = " ".join(line.split())
    is_plain = not any(unicodedata.category(each) in _REFUSED for each in line.translate(_JOINERS))
    if not 1 <= len(text) <= LONGEST_NAME or not is_plain:
        raise InvalidInput(
            "The name of a key is a text of 1 to %(longest)s characters on one line, without control characters or "
            "direction marks, not %(name)s.",
            longest=LONGEST_NAME,
            name=quoted(name),
        )
    return text


def _free(name: str, keys: Iterable[Key]) -> str:
    if any(name.casefold() == key.name.casefold() or name == key.id for key in keys):
        raise InvalidInput("There is a key called %(name)s already.", name=quoted(name))
    return name


def _scopes_of(names: Iterable[str], patterns: WorkflowPatterns) -> tuple[Scope, ...]:
    scopes = tuple(dict.fromkeys(scope_of(name) for name in names))
    if not scopes:
        raise InvalidInput("A key needs at least one scope: read, run, write or admin.")
    if "admin" in scopes and not patterns.are_all:
        raise InvalidInput("A key with the scope admin is for all workflows: leave the patterns out.")
    return scopes
