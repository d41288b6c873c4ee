"""Which thread the embedded store writes on, and that nobody can tell from the outside."""

import asyncio
import json
import struct
import threading
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any

import apsw
import pytest

from execution_history.errors import StoreClosed
from execution_history.stores import SQLiteStore
from execution_history.stores.sqlite import checkpoint as checkpoint_module
from execution_history.stores.sqlite.face import faces as faces_module
from execution_history.stores.sqlite.face import fresh as fresh_module
from execution_history.stores.sqlite.pace import SLOW_SECONDS, Pace
from execution_history.stores.sqlite.process_lock import ProcessLock
from execution_history.stores.sqlite.transaction import WriteTransaction
from tests.records import change, document, ids

pytestmark = pytest.mark.anyio


class Clock:
    """Seconds that pass by *step* at every look."""

    def __init__(self, step: float) -> None:
        self.now = 0.0
        self.step = step

    def __call__(self) -> float:
        """The time now."""
        self.now += self.step
        return self.now


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SQLiteStore]:
    """An opened store whose disk seems quick, however busy this machine is."""
    made = SQLiteStore(tmp_path / "h")
    await made.open()
    _pace(made, Clock(0.0))
    yield made
    await made.aclose()


def _pace(store: SQLiteStore, clock: Clock) -> None:
    store._parts.writer._commits.pace = Pace(clock)


async def _where(store: SQLiteStore, size: int = 0) -> int:
    """The thread on which a small write of *size* bytes is made."""
    return await store._parts.writer.submit(lambda _: threading.get_ident(), size=size, bounded=True)


async def _update_where(store: SQLiteStore, execute_id: str) -> int:
    def work(transaction: WriteTransaction) -> int:
        assert transaction.update("w", execute_id, change(3_000)) is not None
        return threading.get_ident()

    return await store._parts.writer.submit(work, ("w", execute_id), bounded=True)


async def test_small_writes_are_made_on_the_callers_thread(store: SQLiteStore) -> None:
    """One alone, and several that are asked for together, which are one group."""
    here = threading.get_ident()
    assert here == await _where(store)
    groups: list[int] = []
    run_briefly = store._parts.writer._commits.run_briefly

    def counted(group: Any) -> Any:
        groups.append(len(group))
        return run_briefly(group)

    store._parts.writer._commits.run_briefly = counted  # type: ignore[method-assign]
    assert [here] * 30 == await asyncio.gather(*(_where(store) for _ in range(30)))
    assert sum(groups) == 30
    assert 29 in groups


async def test_large_writes_are_made_in_the_writer_thread(store: SQLiteStore) -> None:
    """What is large in itself, and a small change of a large record, with what was asked for after it."""
    here = threading.get_ident()
    assert here != await _where(store, 1_000_000)
    await store.create(document("large", parameters={"t": "x" * 300_000}))
    await store.create(document("small"))
    places = await asyncio.gather(*(_update_where(store, name) for name in ("small", "large", "small")))
    assert [True, False, False] == [place == here for place in places]
    assert here == await _update_where(store, "small")


async def test_a_slow_disk_keeps_the_event_loop_free(store: SQLiteStore) -> None:
    """Its commits go to the thread, are tried again after a while, and come back when the disk is quick again."""
    here = threading.get_ident()
    clock = Clock(0.01)
    _pace(store, clock)
    places = [await _where(store) == here for _ in range(10)]
    assert places[0]
    assert not any(places[5:])
    clock.now += 2
    assert await _where(store) == here
    assert await _where(store) != here
    clock.now += 2
    clock.step = 0.0
    assert await _where(store) == here
    assert await _where(store) == here


def test_a_disk_that_stays_slow_is_tried_less_and_less_often() -> None:
    """Down to once a minute."""
    clock = Clock(0.0)
    pace = Pace(clock)

    def commit(seconds: float) -> None:
        began = clock.now
        clock.now += seconds
        pace.note(began, on_loop=True)

    while pace.is_quick():
        commit(SLOW_SECONDS * 3)
    waited = []
    for _ in range(9):
        began = clock.now
        while not pace.is_quick():
            clock.now += 0.5
        waited.append(round(clock.now - began))
        commit(SLOW_SECONDS * 3)
    assert [1, 2, 4, 8, 16, 32, 60, 60, 60] == waited


def test_quick_commits_of_the_thread_make_the_disk_count_as_quick() -> None:
    """Without a trial on an event loop; one single slow commit changes nothing."""
    clock = Clock(0.0)
    pace = Pace(clock)
    for seconds in (0.0001, 0.01, 0.0001):
        clock.now += seconds
        pace.note(clock.now - seconds, on_loop=True)
        assert pace.is_quick()
    for _ in range(20):
        clock.now += 0.01
        pace.note(clock.now - 0.01, on_loop=False)
    assert not pace.is_quick()
    for _ in range(40):
        clock.now += 0.0001
        pace.note(clock.now - 0.0001, on_loop=False)
    assert pace.is_quick()


async def test_one_caller_does_not_keep_the_event_loop_from_coming_round(store: SQLiteStore) -> None:
    """Though none of its calls has to wait for anything."""
    _pace(store, Clock(0.0004))
    others = count()
    stop = asyncio.Event()

    async def other() -> None:
        while not stop.is_set():
            next(others)
            await asyncio.sleep(0)

    running = asyncio.create_task(other())
    for number in range(100):
        await store.create(document(f"e{number}"))
    stop.set()
    await running
    assert next(others) >= 20


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
    assert ["b", "a"] == ids((await store.page("w", 10, 1)).documents)
    lock.close()
    other.close()


async def test_calls_of_one_loop_keep_their_order_on_whatever_thread_they_run(store: SQLiteStore) -> None:
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
    assert ["c", "b", "a"] == ids((await store.page("w", 10, 1)).documents)


async def test_what_was_asked_for_before_closing_is_done(tmp_path: Path) -> None:
    """Also while the event loop has not come round; what comes later is refused."""
    for _ in range(20):
        store = SQLiteStore(tmp_path / "h", json_files=False)
        await store.open()
        before = (await store.page("w", 1, 1)).total
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
    async with asyncio.timeout(30):
        await mine
        for thread in threads:
            await asyncio.to_thread(thread.join)
    again = SQLiteStore(folder)
    await again.open()
    assert set(answered) <= {str(record["execute_id"]) for record in _histories(again)}
    await again.aclose()


async def test_a_file_that_takes_its_time_is_made_anew_in_the_thread(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is current when the call returns."""
    monkeypatch.setattr(faces_module, "_BRIEF", 0)
    where: list[int] = []

    def noted(*arguments: Any, **keywords: Any) -> Any:
        where.append(threading.get_ident())
        return fresh_module.regrow(*arguments, **keywords)

    monkeypatch.setattr(faces_module, "regrow", noted)
    for number in range(40):
        await store.create(document(f"e{number}", parameters={"t": "x" * 3_000}))
        assert f"e{number}" == _histories(store)[0]["execute_id"]
    assert where
    assert threading.get_ident() not in where


async def test_the_log_begins_again_from_its_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though no commit makes a checkpoint, and writes never pause."""
    monkeypatch.setattr(checkpoint_module, "_PAGES", 50)
    store = SQLiteStore(tmp_path / "h")
    await store.open()
    log = tmp_path / "h" / "history.db-wal"
    async with asyncio.timeout(30):
        for number in count():
            await store.create(document(f"e{number}"))
            # SQLite's file format, section 4.1: the number of checkpoints stands at offset 12.
            if struct.unpack(">I", log.read_bytes()[12:16])[0] >= 3:
                break
    await store.aclose()


def _histories(store: SQLiteStore) -> list[dict[str, Any]]:
    """The records of workflow ``w`` as its file shows them."""
    found: list[dict[str, Any]] = json.loads((store._folder / "w.json").read_bytes())["histories"]
    return found
