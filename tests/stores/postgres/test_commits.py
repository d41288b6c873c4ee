"""Several processes on one history: nothing is lost, nothing is done twice, and the counters are those of a recount."""

import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Final
from urllib.parse import quote

import orjson
import pytest
from psycopg import sql
from psycopg.errors import UniqueViolation

from execution_history.clock import now_ms
from execution_history.errors import ExecutionExists, StoreBusy
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordKey, RecordQuery, StatisticsQuery
from execution_history.records.price_book import PriceBook
from execution_history.stores.compression import Packer, shipped_dictionary
from execution_history.stores.postgres.batch import Batch
from execution_history.stores.postgres.commit import is_conflict
from execution_history.stores.postgres.group_commit import GroupCommit, Operation
from execution_history.stores.postgres.late_terms import LateTerms
from execution_history.stores.postgres.location import location_of
from execution_history.stores.postgres.store import PostgresStore
from execution_history.stores.protocol import StoreHealth
from execution_history.stores.write_queue import Caller
from tests.postgres_server import PostgresServer
from tests.sample_records import change, document, ids, page_of
from tests.stores.postgres.servers import way_to
from tests.stores.postgres.test_schema import opened
from tests.stores_under_test import Clock

pytestmark = pytest.mark.anyio

_STORES: Final = 3
_ROLLUPS: Final = (
    (
        (
            "SELECT workflow_id, hour, sum(running), sum(success), sum(failed), sum(interrupted), sum(tokens), "
            "sum(input_tokens) "
            "FROM execution_history.rollups GROUP BY workflow_id, hour "
            "HAVING sum(running + success + failed + interrupted + other) > 0 ORDER BY workflow_id, hour"
        ),
        (
            "SELECT workflow_id, create_time / 3600000, count(*) FILTER (WHERE status = 0), "
            "count(*) FILTER (WHERE status = 1), count(*) FILTER (WHERE status = 2), "
            "count(*) FILTER (WHERE status = 3), coalesce(sum(tokens), 0), "
            "coalesce(sum(input_tokens), 0) "
            "FROM execution_history.executions GROUP BY 1, 2 ORDER BY 1, 2"
        ),
    ),
    (
        (
            "SELECT workflow_id, hour, currency, sum(runs), sum(cost) FROM execution_history.costs "
            "GROUP BY 1, 2, 3 HAVING sum(runs) > 0 ORDER BY 1, 2, 3"
        ),
        (
            "SELECT workflow_id, create_time / 3600000, currency, count(*), sum(cost) "
            "FROM execution_history.executions WHERE cost IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
        ),
    ),
    (
        (
            "SELECT hour, sum(running), sum(success), sum(failed), sum(interrupted), sum(tokens), "
            "sum(input_tokens) "
            "FROM execution_history.total_rollups GROUP BY hour "
            "HAVING sum(running + success + failed + interrupted + other) > 0 ORDER BY hour"
        ),
        (
            "SELECT create_time / 3600000, count(*) FILTER (WHERE status = 0), count(*) FILTER (WHERE status = 1), "
            "count(*) FILTER (WHERE status = 2), count(*) FILTER (WHERE status = 3), coalesce(sum(tokens), 0), "
            "coalesce(sum(input_tokens), 0) "
            "FROM execution_history.executions GROUP BY 1 ORDER BY 1"
        ),
    ),
)
"""What the rollups say, and what the rows themselves say."""
_FORGET_TERMS: Final = "UPDATE execution_history.executions SET terms = NULL"
_SCATTER: Final = (
    "INSERT INTO execution_history.counters AS t SELECT 'w', slot, 2 * slot - 7, 0, 7 - 2 * slot, 0, 0, 0 "
    "FROM generate_series(0, 7) AS slot ON CONFLICT (workflow_id, slot) DO UPDATE SET "
    "running = t.running + excluded.running, failed = t.failed + excluded.failed"
)
_COUNTERS: Final = "SELECT workflow_id, slot FROM execution_history.counters"
_SLOTS: Final = "SELECT DISTINCT slot FROM execution_history.total_durations"
_BINNED: Final = "SELECT count(*) FROM execution_history.bin"
_DURATIONS: Final = "SELECT coalesce(sum(runs), 0) FROM execution_history.total_durations"


@pytest.fixture
async def stores(postgres_url: str) -> AsyncIterator[list[PostgresStore]]:
    """One history, opened several times, as by several processes."""
    made = [PostgresStore(location_of(postgres_url)) for _ in range(_STORES)]
    await asyncio.gather(*(store.open() for store in made))
    yield made
    await asyncio.gather(*(store.aclose() for store in made))


async def test_no_update_is_lost_where_all_change_one_record(stores: list[PostgresStore]) -> None:
    """Each of them works on the newest version, whoever wrote it."""
    await stores[0].create(document("a"))

    async def add(number: int) -> None:
        made = await stores[number % _STORES].update("w", "a", change(metadata={f"k{number}": number}))
        assert made is not None
        assert number == orjson.loads(made.body)["metadata"][f"k{number}"]

    await asyncio.gather(*map(add, range(60)))
    body = await stores[1].get("w", "a")
    assert body is not None
    assert {f"k{number}": number for number in range(60)} == orjson.loads(body)["metadata"]


async def test_one_of_many_creates_the_record(stores: list[PostgresStore]) -> None:
    """The others learn that there is one."""
    results = await asyncio.gather(*(each.create(document("a")) for each in stores * 5), return_exceptions=True)
    assert 1 == results.count(None)
    assert all(isinstance(result, ExecutionExists) for result in results if result is not None)


@pytest.mark.parametrize(
    ("key", "is_taken"), [("executions_pkey", True), ("executions_pkey_102008", True), ("nodes_pkey", False)]
)
def test_a_record_that_is_there_already_is_a_conflict_on_a_cluster_too(key: str, *, is_taken: bool) -> None:
    """There only the text of the error names the key, with the number of a shard."""
    text = f'duplicate key value violates unique constraint "{key}"'
    assert is_taken == is_conflict(UniqueViolation(text))


async def test_one_of_many_ends_the_run(stores: list[PostgresStore]) -> None:
    """A compare-and-set holds between processes."""
    await stores[0].create(document("a"))
    endings = [
        each.update("w", "a", change(status="success", output=number, only_from=frozenset({"running"})))
        for number, each in enumerate(stores * 5)
    ]
    made = [result for result in await asyncio.gather(*endings) if result is not None]
    assert 1 == len(made)
    assert made[0].body == await stores[0].get("w", "a")


async def test_a_record_that_came_again_elsewhere_is_not_taken_for_the_old_one(stores: list[PostgresStore]) -> None:
    """What this process remembers of it is of no use then."""
    first, second, _ = stores
    await first.create(document("a", parameters={"n": 1}))
    assert await second.delete("w", "a")
    await second.create(document("a", parameters={"n": 2}))
    made = await first.update("w", "a", change(status="success"))
    assert made is not None
    assert {"n": 2} == orjson.loads(made.body)["input_parameters"]
    assert await second.delete("w", "a")
    assert await first.update("w", "a", change(status="success")) is None
    assert [] == ids((await page_of(first, None, 10, 1)).documents)


async def test_a_quicker_process_is_no_fault(stores: list[PostgresStore], caplog: pytest.LogCaptureFixture) -> None:
    """What was sent after the statement that shows it is sent once more, and nobody is warned."""
    first, second, _ = stores
    await first.create(document("a"))
    await second.update("w", "a", change(metadata={"second": 1}))
    created = [first.create(document(f"{number}")) for number in range(30)]
    made, *_ = await asyncio.gather(first.update("w", "a", change(metadata={"first": 1})), *created)
    assert made is not None
    assert {"first": 1, "second": 1} == orjson.loads(made.body)["metadata"]
    assert 31 == (await first.workflows())[0].total
    assert [] == [each.getMessage() for each in caplog.records]


async def _work(store: PostgresStore, seed: int) -> None:
    """Do many different things, some of which others make impossible."""
    luck = random.Random(seed)  # noqa: S311 - the same in every run
    for number in range(80):
        workflow_id, execute_id = f"w{luck.randrange(3)}", f"e{luck.randrange(12)}"
        now = 1_700_000_000_000 + luck.randrange(10) * 1_800_000
        step = luck.randrange(10)
        if step < 4:
            await asyncio.gather(store.create(document(execute_id, workflow_id, now)), return_exceptions=True)
        elif step < 8:
            status = luck.choice(["success", "failed", "interrupted", None])
            asked = change(now + number, status, usage={"token_count": number})
            await asyncio.gather(store.update(workflow_id, execute_id, asked), return_exceptions=True)
        elif step == 8:
            await store.delete(workflow_id, execute_id)
        elif luck.randrange(4) == 0:
            await store.clear(workflow_id)
        else:
            await store.prune()


async def test_counters_and_rollups_are_those_of_a_recount(
    stores: list[PostgresStore], postgres: PostgresServer
) -> None:
    """After many processes have created, ended, deleted, cleared and folded counters at once."""
    await asyncio.gather(*(_work(stores[number % _STORES], number) for number in range(12)))
    batch = await stores[0].scan(None, 1_000)
    records = [orjson.loads(body) for body in batch.documents]
    expected = Counter((record["workflow_id"], record["execute_status"]) for record in records)
    summaries = await stores[1].workflows()
    counted = {(each.workflow_id, name): count for each in summaries for name, count in each.counts.items() if count}
    assert dict(expected) == counted
    total = await stores[2].statistics(StatisticsQuery(filter=RecordFilter()))
    assert len(records) == total.totals.runs
    statements = stores[0]._connections.statements
    with postgres.connected() as connection:
        for rolled_up, recounted in _ROLLUPS:
            expected_rows = connection.execute(statements.placed(recounted)).fetchall()
            assert expected_rows == connection.execute(statements.placed(rolled_up)).fetchall()
        durations = connection.execute(statements.placed(_DURATIONS)).fetchone()
    assert durations is not None
    assert durations[0] == sum(record["execute_status"] in {"success", "failed"} for record in records)


async def test_a_commit_whose_answer_is_lost_is_not_done_twice(postgres_url: str) -> None:
    """It is looked up: the caller gets its answer, and a new record is not taken for somebody else's."""
    with way_to(postgres_url) as way:
        async with opened(way.url) as store:
            await store.create(document("a"))
            seen = await store.revision()
            way.loses_commits = 1
            await store.create(document("b"))
            way.loses_commits = 1
            assert await store.update("w", "b", change(status="success")) is not None
            way.loses_commits = 1
            assert await store.delete("w", "a")
            assert 0 == way.loses_commits
            feed = [(entry.kind, entry.execute_id) for entry in await store.changes(seen, 10)]
            assert [("created", "b"), ("deleted", "a")] == feed
            assert seen + 3 == await store.revision()


async def test_a_lost_connection_is_made_again(postgres_url: str) -> None:
    """For reading, for writing and for what is not a record; nobody notices but by the time that it takes."""
    with way_to(postgres_url) as way:
        async with opened(way.url) as store:
            for number in range(5):
                await store.create(document(f"e{number}"))
                way.cut()
                assert await store.get("w", f"e{number}") is not None
                assert await store.put_entry("view", f"k{number}", b"1") is not None
                way.cut()
                assert await store.update("w", f"e{number}", change(status="success")) is not None
            assert {"success": 5} == {k: v for k, v in (await store.workflows())[0].counts.items() if v}
            assert 5 == len(await store.entries("view"))


async def test_a_server_that_stays_away_is_said_so_in_bounded_time(postgres_url: str) -> None:
    """Every caller gets the sentence, and what comes after the server is back is written."""
    with way_to(postgres_url) as way:
        async with opened(way.url, wait_seconds=1.0) as store:
            await store.create(document("a"))
            way.is_closed = True
            way.cut()
            calls = [
                store.create(document("b")),
                store.update("w", "a", change(status="success")),
                store.get("w", "a"),
                store.put_entry("view", "k", b"1"),
                store.clear("w"),
            ]
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert [StoreBusy] * 5 == [type(result) for result in results]
            assert all("cannot be reached" in str(result) or "in use" in str(result) for result in results)
            assert 1 == len((await store.health()).problems)
            way.is_closed = False
            await store.create(document("c"))
            assert ["c", "a"] == ids((await page_of(store, "w", 10, 1)).documents)


async def test_a_pool_that_is_exhausted_is_said_so(postgres: PostgresServer) -> None:
    """Who reads waits for a while, and learns what to do."""
    with postgres.new_history() as url:
        async with opened(f"{url}&pool_size=1", wait_seconds=0.6) as store:
            await store.create(document("a"))
            with store._connections.reading(), pytest.raises(StoreBusy, match="raise pool_size"):
                await store.get("w", "a")
            assert await store.get("w", "a") is not None


async def test_an_odd_record_is_kept_and_found_by_what_can_be_kept(postgres_url: str) -> None:
    """PostgreSQL's texts cannot have U+0000, and its indexes no long texts."""
    ids_of = ["a\0b", "\x01", "\x01\x01", "x" * 1000, "字" * 1000, "字" * 999 + "符", "a'b\"c\\d{}"]
    async with opened(postgres_url) as store:
        for workflow_id in ids_of:
            for execute_id in ids_of:
                record = document(execute_id, workflow_id, metadata={"tags": [execute_id, "t"], "account": workflow_id})
                await store.create(record)
                assert record.body == await store.get(workflow_id, execute_id)
                await store.update(workflow_id, execute_id, change(status="failed", error_message="no " + execute_id))
        assert set(ids_of) == {each.workflow_id for each in await store.workflows()}
        for text in ids_of:
            for wanted in (
                RecordFilter(workflow_ids=(text,)),
                RecordFilter(tags=(text,)),
                RecordFilter(accounts=(text,)),
                RecordFilter(execute_id_prefix=text[:990]),
            ):
                found = await store.statistics(StatisticsQuery(filter=wanted))
                assert found.totals.runs >= len(ids_of)
        feed = await store.changes(0, 1_000)
        assert {(w, e) for w in ids_of for e in ids_of} == {(each.workflow_id, each.execute_id) for each in feed}
        assert [RecordKey(ids_of[0], ids_of[3])] == await store.delete_many([RecordKey(ids_of[0], ids_of[3])], 10)
        assert all([await store.clear(workflow_id) for workflow_id in ids_of])
        assert [] == await store.workflows()


async def test_what_is_not_a_record_is_not_done_twice_either(postgres_url: str) -> None:
    """Nor told wrongly: an entry that was stored although the answer was lost has the version that was expected."""
    with way_to(postgres_url) as way:
        async with opened(way.url) as store:
            await store.append_audit("me", "before")
            first = await store.put_entry("view", "k", b"1", expected=0)
            assert first is not None
            way.loses_commits = 1
            second = await store.put_entry("view", "k", b"2", expected=first.version)
            assert second is not None
            assert second == await store.entry("view", "k")
            way.loses_commits = 1
            assert 2 == await store.append_audit("me", "once")
            assert 0 == way.loses_commits
            assert ["before", "once"] == [line.action for line in await store.audit(0, 10)]


async def test_who_waits_longer_gets_what_was_committed_meanwhile(postgres_url: str) -> None:
    """Of two calls in one lost commit the older one has given up; the other is not told that its record exists."""
    with way_to(postgres_url) as way:
        async with opened(way.url, wait_seconds=20.0) as store:
            await store.create(document("before"))
            connections = store._connections
            commits = GroupCommit(connections, Packer(shipped_dictionary()), 0, now_ms, lambda: None, PriceBook())
            made = [document("older"), document("newer")]
            group = [
                Operation(partial(Batch.create, document=each), Caller.here(), (), (RecordKey("w", each.execute_id),),
                          submitted_at=time.monotonic() - waited)
                for each, waited in zip(made, (19.5, 0.0), strict=True)
            ]  # fmt: skip
            way.loses_commits, way.closes_with_commit = 1, True
            running = asyncio.create_task(asyncio.to_thread(commits.run, group))
            while not running.done() and (way.refusals < 3 or time.monotonic() < group[0].submitted_at + 20):
                await asyncio.wait([running], timeout=0.05)
            way.is_closed = way.closes_with_commit = False
            older, newer = await running
            commits.close()
            assert isinstance(older.error, StoreBusy)
            assert newer.error is None
            assert {"older", "newer", "before"} == set(ids((await page_of(store, "w", 10, 1)).documents))


async def test_a_lock_of_somebody_else_is_waited_for_in_bounded_time(
    postgres: PostgresServer, postgres_url: str
) -> None:
    """The caller gets a sentence, and what comes after the lock is written."""
    async with opened(postgres_url, wait_seconds=1.0) as store:
        await store.create(document("a"))
        with postgres.connected() as other, other.transaction():
            other.execute(store._connections.statements["lock_feed"])
            with pytest.raises(StoreBusy, match="not answered in time"):
                await store.create(document("b"))
        await store.create(document("b"))
        assert ["b", "a"] == ids((await page_of(store, "w", 10, 1)).documents)


async def test_a_large_run_is_found_before_and_after_its_terms_are_written(postgres_url: str) -> None:
    """They follow the run; those that a process left to be written are written by another one."""
    words = " ".join(f"word{number}" for number in range(9_000))
    found = RecordQuery(filter=RecordFilter(text="word8123"))
    async with opened(postgres_url) as store:
        await store.create(document("a"))
        await store.update("w", "a", change(status="success", output=words))
        assert ["a"] == ids((await store.select(found)).documents)
        await _until_terms(store)
        assert ["a"] == ids((await store.select(found)).documents)
        with store._connections.connect() as connection:
            connection.execute(store._connections.statements.placed(_FORGET_TERMS))
        late = LateTerms(store._connections, now_ms)
        late.tidy()
        await _until_terms(store)
        await asyncio.to_thread(late.stop)
        assert ["a"] == ids((await store.select(found)).documents)


def _tell(loop: asyncio.AbstractEventLoop, heard: asyncio.Event) -> None:
    loop.call_soon_threadsafe(heard.set)


async def _until_terms(store: PostgresStore) -> None:
    async with asyncio.timeout(60):
        while await store._rows("missing_terms", 1):
            await asyncio.sleep(0.01)


async def test_all_that_has_expired_leaves_the_bin(postgres_url: str) -> None:
    """However much it is."""
    clock = Clock()
    async with opened(postgres_url, clock=clock) as store:
        keys = [RecordKey("w", f"e{number}") for number in range(600)]
        await store.merge([document(key.execute_id) for key in keys])
        assert keys == sorted(await store.discard(keys, 86_400_000), key=keys.index)
        assert 600 == len(await store.binned())
        clock.go_on(2)
        await store.prune()
        with store._connections.reading() as connection:
            left = connection.execute(store._connections.statements.placed(_BINNED)).fetchone()
        assert (0,) == left


async def test_counters_of_many_processes_are_folded(stores: list[PostgresStore]) -> None:
    """Many starts leave no rows behind that every list of workflows has to add up; the sums stay."""
    store = stores[0]
    await asyncio.gather(*(each.create(document(f"{number}")) for number, each in enumerate(stores)))
    await asyncio.gather(
        *(each.update("w", f"{number}", change(status="success")) for number, each in enumerate(stores))
    )
    before, statistics = await store.workflows(), await store.statistics(StatisticsQuery(filter=RecordFilter()))
    with store._connections.reading() as connection:
        connection.execute(store._connections.statements.placed(_SCATTER))
    assert before == await store.workflows()
    await store.prune()
    assert before == await store.workflows()
    with store._connections.reading() as connection:
        rows = connection.execute(store._connections.statements.placed(_COUNTERS)).fetchall()
        slots = connection.execute(store._connections.statements.placed(_SLOTS)).fetchall()
    assert ([("w", 0)], [(0,)]) == (rows, slots)
    assert statistics == await store.statistics(StatisticsQuery(filter=RecordFilter()))


async def test_hours_of_many_processes_are_folded(stores: list[PostgresStore]) -> None:
    """Those that are over, so that each is one row again, with the sums of all."""
    hours = [document(f"{number}", now=number * 3_600_000) for number in range(12)]
    for store in stores:
        await store.delete_many([RecordKey("w", each.execute_id) for each in hours], 12)
        await store.merge(hours)
    with stores[0]._connections.reading() as connection:
        placed = stores[0]._connections.statements.placed
        connection.execute(placed("UPDATE execution_history.rollups SET slot = 40 WHERE slot = 0"))
        before = connection.execute(placed(_ROLLUPS[0][0])).fetchall()
    await stores[0].prune()
    with stores[0]._connections.reading() as connection:
        assert before == connection.execute(placed(_ROLLUPS[0][0])).fetchall()
        assert before == connection.execute(placed(_ROLLUPS[0][1])).fetchall()
        assert [(0,)] == connection.execute(placed("SELECT DISTINCT slot FROM execution_history.rollups")).fetchall()


@pytest.mark.parametrize("schema", ['Odd "name"', "{}", "ü" * 30, "select", "a.b;--", "it's", "x" * 63])
async def test_a_schema_may_have_any_name(postgres: PostgresServer, schema: str) -> None:
    """Its history works, and other processes hear of its commits."""
    with postgres.new_history() as url:
        named = re.sub(r"schema=[^&]*", "schema=" + quote(schema), url)
        try:
            async with opened(named) as store, opened(named) as other:
                heard = asyncio.Event()
                loop = asyncio.get_running_loop()
                end = other.on_change(partial(_tell, loop, heard))
                await store.create(document("a"))
                async with asyncio.timeout(30):
                    await heard.wait()
                assert ["a"] == [each.execute_id for each in await other.changes(0, 10)]
                end()
        finally:
            with postgres.connected() as connection:
                connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))


async def test_what_a_process_remembers_decides_nothing_alone(stores: list[PostgresStore]) -> None:
    """Another one may have ended or deleted the record since: a create, a merge or an update looks again."""
    first, second, _ = stores
    kept = {name: document(name) for name in ("created", "merged", "ended", "listed")}
    await asyncio.gather(*map(first.create, kept.values()))
    await second.delete("w", "created")
    await second.delete("w", "merged")
    await second.update("w", "ended", change(status="interrupted"))
    await second.update("w", "listed", change(status="failed"))
    await first.create(document("created", parameters={"n": 2}))
    assert 1 == (await first.merge([kept["merged"]])).added
    only = frozenset({"interrupted"})
    assert await first.update("w", "ended", change(status="success", only_from=only)) is not None
    wanted = RecordFilter(statuses=("failed",))
    assert [RecordKey("w", "listed")] == await first.delete_many(wanted, 10)


async def test_a_clear_whose_answer_is_lost_is_told_as_it_was(postgres_url: str) -> None:
    """It has removed something, though the second try finds nothing."""
    with way_to(postgres_url) as way:
        async with opened(way.url) as store:
            await store.create(document("a"))
            way.loses_commits = 1
            assert await store.clear("w")
            assert 0 == way.loses_commits
            assert not await store.clear("w")


@pytest.mark.parametrize(
    "setting", ["standard_conforming_strings=off", "bytea_output=escape", "idle_session_timeout=50", "search_path="]
)
async def test_settings_of_a_role_or_a_database_change_nothing(postgres_url: str, setting: str) -> None:
    """Bytes are those that were written, and a connection that has rested is replaced."""
    output = "\\x00 'quoted' \x01 字"
    async with opened(f"{postgres_url}&options={quote(f'-c {setting}')}") as store:
        for number in range(3):
            await store.create(document(f"e{number}"))
            made = await store.update("w", f"e{number}", change(status="success", output=output))
            assert made is not None
            assert made.body == await store.get("w", f"e{number}")
            assert await store.put_entry("view", "k", b"1") is not None


async def test_a_server_that_is_frozen_is_given_up(postgres_url: str) -> None:
    """It closes nothing and answers nothing: callers get an error, and the event loop's own threads stay free."""
    with way_to(postgres_url) as way:
        async with opened(f"{way.url}&connect_timeout=2", wait_seconds=2.0) as store:
            await store.create(document("a"))
            assert await store.get("w", "a") is not None
            way.goes_on.clear()
            calls: list[Any] = [store.create(document("b")), store.put_entry("view", "k", b"1"), store.health()]
            calls += [store.get("w", "a") for _ in range(20)]
            waiting = asyncio.gather(*calls, return_exceptions=True)
            assert await asyncio.to_thread(lambda: "free") == "free"
            created, put, health, *others = await waiting
            assert isinstance(health, StoreHealth)
            assert 1 == len(health.problems)
            assert {StoreBusy} == {type(each) for each in (created, put, *others)}
            way.goes_on.set()
            await store.create(document("c"))
            assert "c" in ids((await page_of(store, "w", 10, 1)).documents)


async def test_work_that_takes_its_time_is_not_given_up(postgres_url: str) -> None:
    """The server answers others meanwhile."""
    async with opened(postgres_url, wait_seconds=0.4) as store:
        slow = await asyncio.to_thread(
            store._connections.read, lambda connection: connection.execute("SELECT pg_sleep(1.5)::text").fetchall()
        )
        assert [("",)] == slow
