"""Writes in groups, by several callers, loops and threads, and what becomes of them at the end."""

import asyncio
import json
import struct
import threading
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from secrets import token_hex
from typing import Any

import apsw
import pytest

from execution_history.errors import StoreClosed
from execution_history.stores import SQLiteStore
from execution_history.stores.sqlite.process_lock import ProcessLock
from tests.sample_records import change, document, ids, page_of

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SQLiteStore]:
    """An opened store."""
    made = SQLiteStore(tmp_path / "h")
    await made.open()
    yield made
    await made.aclose()


@pytest.mark.parametrize("held", ["by another program", "by another process"])
async def test_a_store_that_is_held_by_others_keeps_the_event_loop_free(store: SQLiteStore, held: str) -> None:
    """The call waits in the thread."""
    folder = store._folder
    other = apsw.Connection(str(folder / "history.db"))
    lock = ProcessLock(folder / ".lock")
    if held == "by another program":
        other.execute("BEGIN IMMEDIATE")
    else:
        lock.acquire()
    calls = [asyncio.create_task(store.create(document(name))) for name in ("a", "b")]
    done, _ = await asyncio.wait(calls, timeout=0.05)
    assert set() == done
    if held == "by another program":
        other.execute("ROLLBACK")
    else:
        lock.release()
    await asyncio.gather(*calls)
    assert ["b", "a"] == ids((await page_of(store, "w", 10, 1)).documents)
    lock.close()
    other.close()


async def test_calls_of_one_loop_keep_their_order(store: SQLiteStore) -> None:
    """Large and small ones mixed, all asked for before the first was answered, and in several rounds."""
    names = []
    calls = []
    for number in range(60):
        size = 200_000 if number % 7 == 3 else 10
        names.append(f"e{number}")
        calls.append(asyncio.create_task(store.create(document(names[-1], parameters={"t": "x" * size}))))
        if number % 4 == 0:
            await asyncio.sleep(0)
    await asyncio.gather(*calls)
    assert names == [entry.execute_id for entry in await store.changes(0, 100)]
    assert names[::-1] == [record["execute_id"] for record in _histories(store)]


async def test_several_event_loops_and_threads_write_at_once(store: SQLiteStore) -> None:
    """Each caller's records come in its own order, and every one is in its file."""

    async def caller(name: str) -> None:
        for number in range(40):
            await store.create(document(f"{name}-{number:02}", "w", 1_000 + number))
            await store.update("w", f"{name}-{number:02}", change(2_000 + number, "success", output="x" * number * 50))

    async def several(name: str) -> None:
        await asyncio.gather(caller(f"{name}a"), caller(f"{name}b"))

    threads = [threading.Thread(target=lambda name=name: asyncio.run(several(name))) for name in "123"]
    for thread in threads:
        thread.start()
    await several("0")
    for thread in threads:
        await asyncio.to_thread(thread.join)
    changes = await store.changes(0, 1_000)
    assert 320 == len(changes)
    for name in (first + second for first in "0123" for second in "ab"):
        mine = [entry.execute_id for entry in changes if str(entry.execute_id).startswith(name)]
        assert [f"{name}-{number:02}" for number in range(40)] == mine
    assert 320 == (await store.workflows())[0].counts["success"]
    assert {"success"} == {record["execute_status"] for record in _histories(store)}
    assert 320 == len(_histories(store))


async def test_a_caller_who_stops_waiting_does_not_undo_its_write(store: SQLiteStore) -> None:
    """Whether the event loop has come round or not."""
    calls = [asyncio.create_task(store.create(document(name))) for name in ("a", "b", "c")]
    await asyncio.sleep(0)
    for call in calls:
        call.cancel()
    await asyncio.wait(calls)
    await store.flush()
    assert ["c", "b", "a"] == ids((await page_of(store, "w", 10, 1)).documents)


async def test_what_was_asked_for_before_closing_is_done(tmp_path: Path) -> None:
    """Also while the event loop has not come round; what comes later is refused."""
    for _ in range(20):
        store = SQLiteStore(tmp_path / "h", json_files=False)
        await store.open()
        before = (await page_of(store, "w", 1, 1)).total
        asked = [asyncio.create_task(store.create(document(f"{before}-{number}"))) for number in range(5)]
        closing = asyncio.create_task(store.aclose())
        results = await asyncio.gather(*asked, return_exceptions=True)
        await closing
        with pytest.raises(StoreClosed):
            await store.create(document("late"))
        assert [None] * 5 == results


async def test_a_store_closed_under_several_loops_leaves_nobody_waiting(tmp_path: Path) -> None:
    """Every call is answered, with a record that is there or with a refusal."""
    folder = tmp_path / "h"
    store = SQLiteStore(folder)
    await store.open()
    answered: list[str] = []

    async def caller(name: str) -> None:
        for number in count():
            try:
                await store.create(document(f"{name}-{number}"))
            except StoreClosed:
                return
            answered.append(f"{name}-{number}")

    async def several(name: str) -> None:
        await asyncio.gather(*(caller(f"{name}{number}") for number in range(3)))

    threads = [threading.Thread(target=lambda name=name: asyncio.run(several(name))) for name in "xy"]
    for thread in threads:
        thread.start()
    mine = asyncio.create_task(several("z"))
    while len(answered) < 100:
        await asyncio.sleep(0)
    await store.aclose()
    async with asyncio.timeout(60):
        await mine
        for thread in threads:
            await asyncio.to_thread(thread.join)
    again = SQLiteStore(folder)
    await again.open()
    assert set(answered) <= {str(record["execute_id"]) for record in _histories(again)}
    await again.aclose()


async def test_the_log_begins_again_from_its_start(tmp_path: Path) -> None:
    """Though no commit makes a checkpoint, and writes never pause."""
    store = SQLiteStore(tmp_path / "h", json_files=False)
    await store.open()
    log = tmp_path / "h" / "history.db-wal"
    async with asyncio.timeout(60):
        for number in count():
            await store.create(document(f"e{number}", parameters={"t": token_hex(300_000)}))
            # SQLite's file format, section 4.1: the number of checkpoints stands at offset 12.
            if struct.unpack(">I", log.read_bytes()[12:16])[0] >= 3:
                break
    await store.aclose()


def _histories(store: SQLiteStore) -> list[dict[str, Any]]:
    """The records of workflow ``w`` as its file shows them."""
    found: list[dict[str, Any]] = json.loads((store._folder / "w.json").read_bytes())["histories"]
    return found
