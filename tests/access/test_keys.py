"""Keys: what is kept of them, who they let in, and when they stop."""

import orjson
import pytest

from execution_history.access.audit import Action, AuditFilter, lines, newest_lines, note
from execution_history.access.gate import Gate
from execution_history.access.keys import Keys
from execution_history.access.limits import Buckets, Rate, lifetime_of, rate_of, size_of
from execution_history.access.principals import LOCAL, SCOPES, Principal, Scope, acting
from execution_history.access.sessions import LIFETIME_MS, Sessions
from execution_history.errors import InvalidInput, KeyNotFound, StoreError, StoreUnwritable
from execution_history.records.redaction import without_credentials
from execution_history.stores.administration import Entry
from execution_history.stores.memory.store import MemoryStore
from execution_history.stores.protocol import HistoryStore
from tests.stores_under_test import Clock

pytestmark = pytest.mark.anyio

_DAY_MS = 86_400_000


async def test_a_key_lets_its_holder_in_and_its_secret_is_kept_nowhere(store: HistoryStore, clock: Clock) -> None:
    """The registry has a digest; a wrong secret, a cut one and another id let nobody in."""
    keys = Keys(store, clock)
    made = await keys.add("team", ["read", "run"], workflows=["order-*"], rate=Rate(60, 60), largest_body=1_000)
    held = await keys.holder_of(made.secret)
    assert held is not None
    assert made.key == held
    assert ("order-*",) == held.principal.workflows.patterns
    kept = b"".join([each.value for each in await store.entries("key")])
    assert made.secret.split("_", 2)[2].encode() not in kept
    other = await keys.add("other", ["read"])
    for wrong in ("", "eh_", made.secret[:-1], made.secret + "x", made.secret.replace(made.key.id, other.key.id)):
        assert None is await keys.holder_of(wrong)
    assert made.secret not in without_credentials(f"GET /k/{made.secret}/v1/workflow/run")


async def test_a_revoked_or_expired_key_does_nothing_any_more(store: HistoryStore, clock: Clock) -> None:
    """At once, also where another process revoked it; its name is free again."""
    here, elsewhere = Keys(store, clock), Keys(store, clock)
    made = await here.add("team", ["read"])
    short = await here.add("short", ["read"], lifetime_ms=lifetime_of("1d"))
    assert await here.holder_of(made.secret)
    await elsewhere.revoke("team")
    assert None is await here.holder_of(made.secret)
    with pytest.raises(KeyNotFound):
        await elsewhere.revoke("team")
    await here.add("team", ["read"])
    clock.go_on(1)
    assert None is await here.holder_of(short.secret)
    assert {"short", "team"} == {key.name for key in await here.all()}


async def test_an_expired_key_is_renewed(store: HistoryStore, clock: Clock) -> None:
    """For a time or for ever, also where another process has seen it expire; who did it is in the audit log."""
    keys, elsewhere = Keys(store, clock), Keys(store, clock)
    made = await keys.add("team", ["read"], lifetime_ms=1_000)
    clock.go_on(days=1)
    assert None is await elsewhere.holder_of(made.secret)
    before = clock()
    renewed = await keys.renew("team", lifetime_ms=_DAY_MS)
    assert renewed.expires is not None
    assert before + _DAY_MS <= renewed.expires <= clock() + _DAY_MS
    assert await elsewhere.holder_of(made.secret)
    assert None is (await keys.renew(made.key.id)).expires
    clock.go_on(days=2)
    assert await elsewhere.holder_of(made.secret)
    with pytest.raises(KeyNotFound, match="There is no key 'nobody'"):
        await keys.renew("nobody")
    assert [Action.KEY_RENEWED] * 2 == [line.action for line in (await newest_lines(store, 2)).lines]


async def test_what_was_revoked_is_not_renewed(store: HistoryStore, clock: Clock) -> None:
    """Whoever tries, by its name or its id, reads that it was, and what to do; a new key may have the name."""
    keys = Keys(store, clock)
    made = await keys.add("team", ["read"])
    await keys.revoke("team")
    for name in ("team", made.key.id):
        with pytest.raises(KeyNotFound, match="was revoked, and stays so: add a new one"):
            await keys.renew(name)
    assert "team" == (await keys.add("team", ["read"])).key.name


async def test_the_last_use_is_noted_once_a_minute(store: HistoryStore, clock: Clock) -> None:
    """More often would be a write for each request; two processes have one entry."""
    first, second = Keys(store, clock), Keys(store, clock)
    made = await first.add("team", ["read"])
    assert [None] == [key.last_used for key in await first.all()]
    for keys in (first, second, first, second):
        await keys.holder_of(made.secret)
    [entry] = await store.entries("key_use")
    [noted] = [key.last_used for key in await first.all()]
    assert noted is not None
    clock.go_on(1)
    await second.holder_of(made.secret)
    await first.holder_of(made.secret)
    [later] = await store.entries("key_use")
    assert later.version > entry.version
    [seen] = [key.last_used for key in await first.all()]
    assert seen is not None
    assert seen - noted >= _DAY_MS


@pytest.mark.parametrize(
    ("name", "scopes", "workflows"),
    [("", ["read"], []), ("n", [], []), ("n", ["all"], []), ("n", ["admin"], ["a*"]), ("TEAM", ["read"], []),
     ("a\nb", ["read"], []), ("a\u2028b", ["read"], []), ("a\x1bb", ["read"], []), ("a\u202eb", ["read"], [])],
)  # fmt: skip
async def test_what_cannot_be_a_key_is_refused(
    store: HistoryStore, clock: Clock, name: str, scopes: list[str], workflows: list[str]
) -> None:
    """No name, another key's or one that reads differently, no scope, and everything for some workflows only."""
    keys = Keys(store, clock)
    await keys.add("team", ["read"])
    with pytest.raises(InvalidInput):
        await keys.add(name, scopes, workflows=workflows)
    assert 1 == len(await keys.all())


class _Silent(MemoryStore):
    """A store whose registry cannot be read while it is ``lost``."""

    lost = False

    async def entry(self, kind: str, key: str) -> Entry | None:
        """See :meth:`HistoryStore.entry`."""
        self._raise()
        return await super().entry(kind, key)

    async def entries(self, kind: str, after: str = "", limit: int | None = None) -> list[Entry]:
        """See :meth:`HistoryStore.entries`."""
        self._raise()
        return await super().entries(kind, after, limit)

    def _raise(self) -> None:
        if self.lost:
            raise StoreError("The database does not answer.")


async def test_while_the_store_does_not_answer_known_keys_are_taken_as_they_were(clock: Clock) -> None:
    """Recording must not break a workflow; a key that this process has not seen, or that has expired, is not taken."""
    store = _Silent()
    keys = Keys(store, clock)
    known, other = await keys.add("known", ["run"], lifetime_ms=_DAY_MS // 2), await keys.add("other", ["run"])
    assert await keys.holder_of(known.secret)
    store.lost = True
    assert await keys.holder_of(known.secret)
    assert None is await keys.holder_of(known.secret[:-1] + "~")
    with pytest.raises(StoreError):
        await keys.holder_of(other.secret)
    clock.go_on(1)
    assert None is await keys.holder_of(known.secret)
    store.lost = False
    await keys.revoke("known")
    store.lost = True
    with pytest.raises(StoreError):
        await keys.holder_of(known.secret)


async def test_a_door_stays_as_it_was_while_the_store_does_not_answer(clock: Clock) -> None:
    """Open where there was no key, closed where there was one, and closed where nobody knows."""
    store, seconds = _Silent(), 0.0
    gate = Gate(store, clock, seconds=lambda: seconds)
    store.lost = True
    with pytest.raises(StoreError):
        await gate.is_closed()
    store.lost = False
    assert not await gate.is_closed()
    store.lost, seconds = True, 10.0
    assert not await gate.is_closed()
    store.lost, seconds = False, 20.0
    await gate.keys.add("first", ["read"])
    assert await gate.is_closed()
    store.lost, seconds = True, 30.0
    with pytest.raises(StoreError):
        await gate.is_closed()


async def test_an_entry_that_is_no_key_lets_nobody_in(store: HistoryStore, clock: Clock) -> None:
    """Whoever wrote it; and it is not listed."""
    keys = Keys(store, clock)
    made = await keys.add("team", ["read"])
    kept = await store.entry("key", made.key.id)
    assert kept is not None
    odd = ({"scopes": ["all"]}, {"rate": {"requests": 1, "seconds": 0}}, {"rate": {"requests": 0, "seconds": 60}})
    for value in (b"{}", b"[]", *(orjson.dumps(orjson.loads(kept.value) | each) for each in odd)):
        await store.put_entry("key", made.key.id, value)
        assert None is await keys.holder_of(made.secret)
        assert [] == await keys.all()


def test_scopes_contain_each_other_as_they_say() -> None:
    """Writing reads too, an administrator does everything, and running alone reads nothing."""

    def may(*held: Scope) -> list[Scope]:
        principal = Principal("id", "n", frozenset(held))
        return [scope for scope in SCOPES if principal.may(scope)]

    assert [["read"], ["run"], ["read", "write"], ["read", "run", "write", "admin"], []] == [
        may("read"), may("run"), may("write"), may("admin"), may(),
    ]  # fmt: skip


async def test_a_session_names_a_key_until_it_ends(store: HistoryStore, clock: Clock) -> None:
    """A cookie that was changed, made up or outlived is none; every server of the history knows it."""
    sessions = Sessions(store, clock)
    cookie = await sessions.begin("0123abcd")
    assert "0123abcd" == await Sessions(store, clock).key_id_of(cookie)
    claim, _, signature = cookie.rpartition(".")
    _, _, ends = claim.partition(".")
    for wrong in ("", "a.b.c", f"ffffffff.{ends}.{signature}", f"0123abcd.{int(ends) + 1}.{signature}", cookie[:-1],
                  f"0123abcd.{ends}.", f"0123abcd.²{ends}.{signature}"):  # fmt: skip
        assert None is await sessions.key_id_of(wrong)
    clock.go_on(LIFETIME_MS / _DAY_MS)
    assert None is await sessions.key_id_of(cookie)


async def test_the_key_of_cookies_can_be_rotated(store: HistoryStore, clock: Clock) -> None:
    """The sessions of the one before stay; those of an older one, or all where that is asked for, end."""
    sessions = Sessions(store, clock)
    cookie = await sessions.begin("0123abcd")
    await sessions.rotate()
    assert "0123abcd" == await sessions.key_id_of(cookie)
    newer = await sessions.begin("0123abcd")
    await sessions.rotate()
    assert [None, "0123abcd"] == [await sessions.key_id_of(each) for each in (cookie, newer)]
    await sessions.rotate(ends_all=True)
    assert None is await sessions.key_id_of(newer)


async def test_the_audit_log_says_who_did_what(store: HistoryStore, clock: Clock) -> None:
    """In order, with the newest found without reading the rest; secrets are not in it."""
    key = await Keys(store, clock).add("team", ["read"])
    with acting(key.key.principal):
        for number in range(20):
            await note(store, Action.DELETE, number=number, nothing=None)
    with acting(LOCAL):
        await note(store, Action.CLEAR)
    newest, _ = await newest_lines(store, 3)
    assert ["clear", "delete", "delete"] == [line.action for line in newest]
    assert ["local", f"{key.key.id} team"] == [line.actor for line in newest[:2]]
    assert {"number": 19} == newest[1].details
    every = [line async for line in lines(store)]
    assert [*range(1, 23)] == [line.number for line in every]
    assert every[0].actor.startswith("local:")
    assert key.secret.split("_", 2)[2] not in str(every)
    assert [] == [line async for line in lines(store, AuditFilter(since=every[-1].at + 1))]


def test_a_rate_is_so_many_at_once_and_so_many_over_time() -> None:
    """Whoever has used it up is told when there is one again."""
    now = 0.0
    buckets, rate = Buckets(lambda: now), rate_of("2/m")
    assert [0.0, 0.0, 30.0] == [buckets.take("a", rate) for _ in range(3)]
    assert not buckets.take("b", rate)
    now = 30.0
    assert [0.0, 30.0] == [buckets.take("a", rate) for _ in range(2)]


@pytest.mark.parametrize(
    "text", ["", "60", "0", "0/m", "60/d", "-1/s", "1.5/s", "x/m", "１/m", "0d", "30s", "999999999w"]
)
def test_what_is_no_rate_size_or_lifetime_is_refused(text: str) -> None:
    """With a sentence that shows one."""
    for read in (rate_of, lifetime_of, size_of):
        if (read, text) != (size_of, "60"):
            with pytest.raises(InvalidInput):
                read(text)


def test_rates_sizes_and_lifetimes_are_read_as_people_write_them() -> None:
    """Small and capital letters alike."""
    assert (Rate(60, 60), "60/m") == (rate_of(" 60 / M "), str(rate_of("60/m")))
    assert (1_000_000, 512, 2_048) == (size_of("1MB"), size_of("512"), size_of("2 kib"))
    assert (90 * _DAY_MS, _DAY_MS // 2) == (lifetime_of("90d"), lifetime_of("0.5 D"))


async def test_where_nothing_can_be_written_a_server_signs_by_itself() -> None:
    """As in an archive, which has no secret for cookies; its sessions end with the server."""

    class ReadOnly(MemoryStore):
        async def put_entry(self, *_: object, **__: object) -> Entry | None:
            raise StoreUnwritable("It is only read.")

    store, clock = ReadOnly(), Clock()
    sessions = Sessions(store, clock)
    cookie = await sessions.begin("0123abcd")
    assert "0123abcd" == await sessions.key_id_of(cookie)
    assert await Sessions(store, clock).key_id_of(cookie) is None
