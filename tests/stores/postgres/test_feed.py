"""The change feed under many writers: no reader ever misses a change, whatever commits in whichever order."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Final

import orjson
import pytest

from execution_history.errors import FeedExpired
from execution_history.query.model import RecordKey
from execution_history.stores.postgres.change_log import VERSIONS, Logged, log_changes
from execution_history.stores.postgres.location import location_of
from execution_history.stores.postgres.store import PostgresStore
from execution_history.stores.protocol import Change
from tests.sample_records import change, document
from tests.stores.postgres.test_schema import opened
from tests.stores_under_test import Clock

pytestmark = pytest.mark.anyio

_WRITERS: Final = 4
_ROUNDS: Final = 30
_AT_ONCE: Final = 16
_LOG_SIZE: Final = "SELECT count(*) FROM execution_history.changes"
_GONE: Final = "INSERT INTO execution_history.deletions VALUES ('w', 'late', %s, 0)"


@pytest.fixture
async def stores(postgres_url: str) -> AsyncIterator[list[PostgresStore]]:
    """One history, opened by each writer."""
    made = [PostgresStore(location_of(postgres_url)) for _ in range(_WRITERS)]
    await made[0].open()
    await asyncio.gather(*(store.open() for store in made[1:]))
    yield made
    await asyncio.gather(*(store.aclose() for store in made))


class Follower:
    """Whoever follows the feed: what it knows of the records from the changes alone."""

    def __init__(self, store: PostgresStore, limit: int) -> None:
        self._store = store
        self._limit = limit
        self.revision: int = 0
        self.known: dict[RecordKey, str] = {}
        self.count: int = 0

    async def catch_up(self) -> None:
        """Read everything that is there."""
        while found := await self._store.changes(self.revision, self._limit):
            revisions = [each.revision for each in found]
            assert revisions == sorted(set(revisions))
            assert revisions[0] > self.revision
            for each in found:
                self._take(each)
            self.revision = revisions[-1]
            self.count += len(found)

    def _take(self, each: Change) -> None:
        assert each.workflow_id is not None
        if each.kind == "deleted" and each.execute_id is None:
            self.known = {key: status for key, status in self.known.items() if key.workflow_id != each.workflow_id}
        elif each.kind == "deleted":
            self.known.pop(RecordKey(each.workflow_id, each.execute_id or ""), None)
        else:
            self.known[RecordKey(each.workflow_id, each.execute_id or "")] = each.status or ""


async def _write(store: PostgresStore, writer: int) -> None:
    luck = random.Random(writer)  # noqa: S311 - the same in every run
    for number in range(_ROUNDS):
        names = [RecordKey(f"w{luck.randrange(4)}", f"{writer}-{number}-{each}") for each in range(_AT_ONCE)]
        await asyncio.gather(*(store.create(document(name.execute_id, name.workflow_id)) for name in names))
        await asyncio.gather(*(store.update(*name, change(status="success")) for name in names))
        await store.delete_many(names[:3], 3)
        if number % 10 == 9:
            await store.clear(f"w{luck.randrange(4)}")


async def _follow(follower: Follower, is_over: asyncio.Event) -> None:
    while not is_over.is_set():
        await follower.catch_up()
    await follower.catch_up()


async def test_followers_know_what_is_there_whoever_writes(stores: list[PostgresStore]) -> None:
    """Thousands of changes of several writers, with long readers beside them, followed in steps of any size."""
    followers = [Follower(stores[number % _WRITERS], limit) for number, limit in enumerate((1, 7, 100, 1_000))]
    is_over = asyncio.Event()
    following = [asyncio.create_task(_follow(each, is_over)) for each in followers[1:]]
    with stores[0]._connections.reading() as long_reader, long_reader.transaction():
        long_reader.execute(stores[0]._connections.statements["feed_head"])
        await asyncio.gather(*(_write(store, number) for number, store in enumerate(stores)))
    is_over.set()
    await asyncio.gather(*following)
    batch = await stores[0].scan(None, 10_000)
    records = [orjson.loads(body) for body in batch.documents]
    there = {RecordKey(each["workflow_id"], each["execute_id"]): each["execute_status"] for each in records}
    await followers[0].catch_up()
    assert [there] * len(followers) == [follower.known for follower in followers]
    assert {await stores[1].revision()} == {follower.revision for follower in followers}


async def test_a_reader_stops_before_what_it_does_not_see_yet(postgres_url: str) -> None:
    """As on a cluster, where the row of a record can appear after the log that names it."""
    async with opened(postgres_url) as store:
        await store.create(document("a"))
        connections = store._connections
        [(place,)] = connections.rows("arrivals", 1)
        unseen = Logged("w", "late", (place + 1) * VERSIONS)
        connections.run(lambda connection, token: log_changes(connection, connections.statements, [unseen], 0, token))
        await store.create(document("b", "v"))
        assert ["a"] == [each.execute_id for each in await store.changes(0, 100)]
        with connections.connect() as connection:
            connection.execute(connections.statements.placed(_GONE), (unseen.version + 1,))
        assert ["a", "b"] == [each.execute_id for each in await store.changes(0, 100)]


async def test_a_deleted_workflow_hides_no_run_that_was_committed_later(postgres_url: str) -> None:
    """Its place may be an earlier one: it had that already, and waited for the deletion."""
    async with opened(postgres_url) as store:
        connections = store._connections
        [(place,)] = connections.rows("arrivals", 1)
        await store.create(document("a"))
        assert await store.clear("w")
        unseen = Logged("w", "late", place * VERSIONS)
        connections.run(lambda connection, token: log_changes(connection, connections.statements, [unseen], 0, token))
        await store.create(document("b", "v"))
        assert [None] == [each.execute_id for each in await store.changes(0, 100)]


async def test_only_what_is_current_is_kept_of_an_old_log(postgres_url: str) -> None:
    """After a month a new follower still learns of every record, and one that is behind has to begin anew."""
    clock = Clock()
    async with opened(postgres_url, clock=clock) as store:
        for number in range(40):
            await store.create(document(f"e{number}", now=1_000))
            await store.update("w", f"e{number}", change(status="success"))
        await store.delete_many([RecordKey("w", f"e{number}") for number in range(10)], 10)
        await store.create(document("x", "cleared"))
        await store.clear("cleared")
        behind = await store.revision() - 3
        await store.put_entry("view", "k", b"1")
        await store.drop_entry("view", "k")
        newest = await store.revision()
        clock.go_on(31)
        assert newest == await store.prune()
        with store._connections.reading() as connection:
            count = connection.execute(store._connections.statements.placed(_LOG_SIZE)).fetchone()
        assert (30,) == count
        assert [f"e{number}" for number in range(10, 40)] == [e.execute_id for e in await store.changes(0, 100)]
        with pytest.raises(FeedExpired):
            await store.changes(behind, 100)
        await store.update("w", "e39", change(metadata={"tags": ["late"]}))
        assert [("updated", "e39")] == [(e.kind, e.execute_id) for e in await store.changes(newest, 100)]
