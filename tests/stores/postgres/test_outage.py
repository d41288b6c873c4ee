"""A server that is away: told once, waited for once, and never mistaken for anything else."""

import asyncio
import gc
import logging
import socket
import threading
from contextlib import suppress
from typing import Any

import psycopg
import pytest

from execution_history.application.composition import open_when_there
from execution_history.errors import StoreBusy, StoreUnwritable
from execution_history.stores.postgres.connections import Connection
from execution_history.stores.postgres.error_mapping import as_store_error
from execution_history.stores.postgres.location import location_of
from execution_history.stores.postgres.moment import one_moment
from execution_history.stores.postgres.outage import Outage
from execution_history.stores.postgres.store import PostgresStore
from execution_history.stores.sql_fragments import Fragment
from tests.sample_records import document
from tests.stores.postgres.servers import Way, way_to
from tests.stores.postgres.test_schema import opened

pytestmark = pytest.mark.anyio


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def _go(way: Way) -> None:
    """Take the server away."""
    way.is_closed = True
    way.cut()


async def test_an_outage_is_told_once_and_so_is_its_end(postgres_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """By the store, in its own words: whatever is read, written or heard meanwhile adds nothing."""

    def break_off(connection: Connection) -> None:
        _go(way)
        connection.execute("SELECT 1")

    with way_to(postgres_url) as way:
        async with opened(way.url, wait_seconds=1.0) as store:
            await store.create(document("a"))
            end = store.on_change(lambda: None)
            with pytest.raises(StoreBusy):
                await asyncio.to_thread(store._connections.read_moment, break_off)
            calls = [
                store.get("w", "a"),
                store.create(document("b")),
                store.put_entry("view", "k", b"1"),
                store.clear("w"),
            ]
            await asyncio.gather(*calls, store.workflows(), store.health(), return_exceptions=True)
            way.is_closed = False
            await store.create(document("c"))
            assert await store.get("w", "a") is not None
            end()
    [gone, back] = _warnings(caplog)
    assert gone.startswith("The PostgreSQL server of this history cannot be reached (")
    assert "The PostgreSQL server of this history can be reached again." == back


async def test_who_reads_later_does_not_wait_again(postgres_url: str) -> None:
    """The first one has waited for as long as anybody does; who comes then learns of the outage by one try."""
    with way_to(postgres_url) as way:
        async with opened(way.url, wait_seconds=1.0) as store:
            await store.create(document("a"))
            _go(way)
            with pytest.raises(StoreBusy):
                await store.get("w", "a")
            tries = []
            for _ in range(5):  # what goes on in the background tries now and then, too
                before = way.refusals
                with pytest.raises(StoreBusy, match="cannot be reached"):
                    await store.workflows()
                tries.append(way.refusals - before)
            assert 1 == min(tries)
            way.is_closed = False
            assert await store.get("w", "a") is not None


async def test_connections_that_are_in_use_hide_no_server_that_is_away(postgres_url: str) -> None:
    """Raising pool_size would not help."""
    with way_to(postgres_url) as way:
        async with opened(f"{way.url}&pool_size=1", wait_seconds=1.0) as store:
            await store.create(document("a"))
            with suppress(StoreBusy), store._connections.reading():
                _go(way)
                with pytest.raises(StoreBusy, match="cannot be reached"):
                    await store.get("w", "a")


async def test_a_check_that_nobody_waits_for_any_more_leaves_no_error(postgres_url: str) -> None:
    """Its answer comes when whoever asked has gone."""
    loop, complaints = asyncio.get_running_loop(), list[dict[str, Any]]()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    with way_to(postgres_url) as way:
        async with opened(way.url, wait_seconds=1.0) as store:
            assert () == (await store.health()).problems
            way.goes_on.clear()
            asked = asyncio.create_task(store.health())
            while not (checks := [each for each in threading.enumerate() if each.name == "execution-history-health"]):
                await asyncio.sleep(0)
            asked.cancel()
            with suppress(asyncio.CancelledError):
                await asked
            way.is_closed = True
            way.cut()
            way.goes_on.set()
            await asyncio.gather(*(asyncio.to_thread(each.join) for each in checks))
            way.is_closed = False
            await store.health()
            del asked
            gc.collect()
    assert [] == complaints


async def test_many_who_open_a_history_wait_as_long_as_one() -> None:
    """For a server that lets them in and says nothing: one of them tries, and all get its error."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        silent.settimeout(30)
        url = f"postgresql://me@127.0.0.1:{silent.getsockname()[1]}/x?sslmode=disable&gssencmode=disable"
        store = PostgresStore(location_of(url), wait_seconds=6.0)
        results = await asyncio.gather(*(store.open() for _ in range(6)), return_exceptions=True)
        await store.aclose()
        silent.setblocking(False)
        tries = 0
        with suppress(BlockingIOError):
            while True:
                silent.accept()[0].close()
                tries += 1
    assert [StoreBusy] * 6 == [type(each) for each in results]
    assert 1 == tries


async def test_who_waits_for_a_database_gives_up_in_the_end() -> None:
    """With the error of the store, after one word that it waits."""
    store, told = PostgresStore(location_of("postgresql://me@127.0.0.1:1/x")), list[StoreBusy]()
    with pytest.raises(StoreBusy, match="cannot be reached"):
        await open_when_there(store, 0.1, told.append)
    assert 1 == len(told)


async def test_who_waits_for_a_database_does_not_wait_for_one_that_refuses(postgres_url: str) -> None:
    """Waiting would not help."""
    store = PostgresStore(location_of(postgres_url.replace("//postgres@", "//nobody_at_all@", 1)))
    told = list[StoreBusy]()
    with pytest.raises(StoreUnwritable):
        await open_when_there(store, 30, told.append)
    assert [] == told


async def test_new_connections_stay_within_the_bound(postgres_url: str) -> None:
    """Those that rest make room for one that must be new, so a pool never has more than its size."""
    async with opened(f"{postgres_url}&pool_size=2") as store:
        connections = store._connections
        made = []
        for is_new in (False, True, True, True):
            with connections.reading(is_new=is_new) as one, connections.reading() as other:
                made += [one, other]
        assert 2 >= sum(not each.closed for each in set(made))


def test_a_full_server_is_no_outage(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever asks learns that it takes no more connections, and what to change."""
    error = as_store_error(psycopg.OperationalError("connection failed: FATAL:  sorry, too many clients already"))
    assert isinstance(error, StoreBusy)
    assert "takes no more connections (FATAL: sorry, too many clients already)" in str(error)
    outage = Outage(1.0)
    outage.ends()
    outage.goes_on(psycopg.OperationalError("connection failed: FATAL:  sorry, too many clients already"))
    assert [] == _warnings(caplog)


async def test_no_write_waits_for_a_word_to_others_that_gets_lost(postgres_url: str) -> None:
    """A connection that falls silent behind a commit is given up, though the server answers everybody else."""
    with way_to(postgres_url) as way:
        async with opened(way.url, wait_seconds=3.0) as store:
            way.silenced_by = b"pg_notify"
            await store.create(document("a"))
            async with asyncio.timeout(60):
                while way.silenced_by:
                    await asyncio.sleep(0.01)
                await store.create(document("b"))
            assert await store.get("w", "b") is not None


async def test_a_connection_that_breaks_in_a_question_is_told_by_the_store_alone(
    postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The driver would warn of what it could not end."""

    def look(connection: Connection) -> None:
        with connections.connect() as other:
            other.execute("SELECT pg_terminate_backend(%s::integer)", (connection.info.backend_pid,))
        with one_moment(connection, connections.statements) as moment:
            moment.rows(Fragment("SELECT 1"))

    async with opened(postgres_url) as store:
        connections = store._connections
        with pytest.raises(StoreBusy):
            connections.read(look)
    assert [] == [record.name for record in caplog.records if record.name.startswith("psycopg")]


async def test_an_entry_does_not_wait_without_end_on_a_silent_connection(postgres_url: str) -> None:
    """Its caller gets it written on another one, or an error: the silent one is given up, though the server answers."""
    with way_to(postgres_url) as way:
        async with opened(way.url, wait_seconds=0.5) as store:
            await store.put_entry("view", "a", b"1")
            way.silenced_by = b"registry"
            async with asyncio.timeout(60):
                with suppress(StoreBusy):
                    await store.put_entry("view", "b", b"2")
            assert await store.put_entry("view", "c", b"3") is not None


async def test_closing_waits_for_no_server_that_is_away(postgres_url: str) -> None:
    """Whoever stops a program kills it soon afterwards: its calls end with what is wrong, whatever time they had."""
    with way_to(postgres_url) as way:
        async with opened(way.url, wait_seconds=90) as store, asyncio.timeout(60):
            await store.create(document("a"))
            _go(way)
            calls = [asyncio.create_task(call) for call in (store.create(document("b")), store.clear("w"))]
            before = way.refusals
            while way.refusals < before + 4:
                await asyncio.sleep(0)
            await store.aclose()
            for call in calls:
                with pytest.raises(StoreBusy, match="cannot be reached"):
                    await call
