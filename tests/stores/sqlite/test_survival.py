"""Whatever is raised between a call and its answer, by whatever type: the call is answered, and the store goes on."""

import asyncio
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import apsw
import pytest
from bench.fault_damage import examined, opened, problems_of

from execution_history.clock import now_ms
from execution_history.errors import ExecutionHistoryError, StoreBusy, StoreError, StoreUnwritable
from execution_history.records.record import Document, RecordChange
from execution_history.stores import SQLiteStore
from execution_history.stores.sqlite.error_mapping import as_store_error
from execution_history.stores.sqlite.process_lock import ProcessLock
from tests.sample_records import change, document, ids, page_of
from tests.stores.sqlite.injection import Injector, injected, install

pytestmark = pytest.mark.anyio


class Strange(BaseException):
    """An exception that nobody has ever heard of."""


_ERRORS = [Strange("strange"), MemoryError(), StopIteration(), TypeError("t"), OSError(5, "Input/output error")]
_errors = pytest.mark.parametrize("error", _ERRORS, ids=lambda error: type(error).__name__)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SQLiteStore]:
    """An opened store with one record of each of two workflows; closing it ends, and it opens again."""
    install()
    made = SQLiteStore(tmp_path / "h")
    await made.open()
    await made.create(document("first"))
    await made.create(document("first", "other"))
    yield made
    async with asyncio.timeout(60):
        await made.aclose()
    again = SQLiteStore(tmp_path / "h")
    async with asyncio.timeout(60):
        await again.open()
        assert {"w", "other"} <= {summary.workflow_id for summary in await again.workflows()}
        for summary in await again.workflows():
            assert summary.total == len(_file(again, summary.workflow_id)["histories"])
        await again.aclose()


def _file(store: SQLiteStore, workflow_id: str = "w") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        (Path(store.location.removeprefix("sqlite:")) / f"{workflow_id}.json").read_bytes()
    )
    return found


async def _goes_on(store: SQLiteStore) -> None:
    """Calls on both workflows are answered, and the files show what came of them."""
    async with asyncio.timeout(60):
        for workflow_id in ("other", "w"):
            name = f"next-{os.urandom(4).hex()}"
            await store.create(document(name, workflow_id, 5_000))
            assert name in ids((await page_of(store, workflow_id, 100, 1)).documents)
            assert name in [record["execute_id"] for record in _file(store, workflow_id)["histories"]]


@_errors
@pytest.mark.parametrize("sign", ["BEGIN IMMEDIATE", "INSERT INTO executions", "UPDATE workflows", "COMMIT"])
async def test_a_transaction_that_fails_is_the_callers_error(
    store: SQLiteStore, sign: str, error: BaseException
) -> None:
    """Nothing of it is kept, and the same call succeeds afterwards."""
    with injected(Injector(error, statements=(sign,))) as injector, pytest.raises(StoreError):
        await store.create(document("again"))
    assert injector.raised
    assert ["first"] == ids((await page_of(store, "w", 10, 1)).documents)
    await store.create(document("again"))
    await _goes_on(store)


@_errors
async def test_a_transaction_that_cannot_even_be_undone_does_not_stay_open(
    store: SQLiteStore, error: BaseException
) -> None:
    """The next one undoes it first."""
    signs = ("INSERT INTO executions", "ROLLBACK")
    with injected(Injector(error, statements=signs, times=2)) as injector, pytest.raises(StoreError):
        await store.create(document("again"))
    assert len(injector.raised) == 2
    assert ["first"] == ids((await page_of(store, "w", 10, 1)).documents)
    await _goes_on(store)


@_errors
async def test_of_a_group_only_the_operation_that_fails_is_refused(store: SQLiteStore, error: BaseException) -> None:
    """The others are written."""

    class Failing(RecordChange):
        def apply(self, body: bytes, parts: Any = None, costs: Any = None) -> Document | None:
            del body, parts, costs
            raise error

    failing = Failing(2_000, None, {}, {})
    calls = [store.create(document(f"e{number}")) for number in range(5)]
    calls[2:2] = [store.update("w", "first", failing)]  # type: ignore[list-item]
    async with asyncio.timeout(60):
        answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [False, False, True, False, False, False] == [isinstance(answer, StoreError) for answer in answers]
    assert 6 == (await page_of(store, "w", 10, 1)).total
    await _goes_on(store)


async def test_a_fault_of_the_program_is_told_as_one(store: SQLiteStore, caplog: pytest.LogCaptureFixture) -> None:
    """The caller gets a sentence, the log the traceback."""
    with (
        injected(Injector(Strange("x"), statements=("INSERT INTO executions",))),
        pytest.raises(StoreError, match=r"could not complete one operation \(Strange\).*please report it"),
    ):
        await store.create(document("again"))
    assert "Traceback" in caplog.text


async def test_an_error_of_the_disk_is_told_as_one(store: SQLiteStore) -> None:
    """What happened, whose fault it is, and what to do."""
    with (
        injected(Injector(apsw.IOError("disk I/O error"), statements=("INSERT INTO executions",))),
        pytest.raises(StoreError, match=r"the disk reports an error \(disk I/O error\): check the disk.* try again"),
    ):
        await store.create(document("again"))


async def test_giving_space_back_tells_of_the_disk_as_all_calls_do(store: SQLiteStore) -> None:
    """Also where the log cannot be copied, which has a connection of its own."""
    with (
        injected(Injector(apsw.IOError("disk I/O error"), connections=True, times=100)) as injector,
        pytest.raises(StoreError, match="the disk reports an error"),
    ):
        await store.give_back()
    assert injector.raised
    await _goes_on(store)


async def test_a_disk_that_is_full_for_a_moment_keeps_no_lease_from_others(store: SQLiteStore) -> None:
    """Whoever releases one waits for space, as a deletion does."""
    assert await store.lease("work", "holder", 60_000)
    with injected(Injector(apsw.FullError("full"), statements=("INSERT INTO named_leases",), times=3)) as injector:
        assert not await store.lease("work", "holder", 0)
    assert 3 == len(injector.raised)
    assert await store.lease("work", "another", 60_000)


async def test_an_opening_that_fails_at_its_very_end_leaves_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one succeeds, in the same process too."""
    real, refused = fcntl.flock, [OSError(5, "Input/output error")]

    def flock(descriptor: int, operation: int) -> None:
        if operation == fcntl.LOCK_UN and refused:
            raise refused.pop()
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(StoreError):
        await SQLiteStore(tmp_path / "h").open()
    again = SQLiteStore(tmp_path / "h", lock_seconds=0.2)
    await again.open()
    await again.aclose()


def test_an_error_of_an_archive_names_the_archive(tmp_path: Path) -> None:
    """And not the temporary folder that leads to it."""
    (tmp_path / "temporary").mkdir()
    (tmp_path / "2026-05.db").touch()
    (tmp_path / "temporary" / "history.db").symlink_to(tmp_path / "2026-05.db")
    error = as_store_error(apsw.CorruptError("damaged"), tmp_path / "temporary")
    assert str(tmp_path / "2026-05.db") in str(error)
    assert "temporary" not in str(error)


@_errors
@pytest.mark.parametrize("sign", ["os.utime", "os.rename w2", "open w2.json"])
async def test_a_file_that_cannot_be_made_is_a_problem_and_no_error(
    store: SQLiteStore, sign: str, error: BaseException
) -> None:
    """The record is safe; health tells of the file until it is made, which the next change does."""
    with injected(Injector(error, files=(sign,), times=3)) as injector:
        async with asyncio.timeout(60):
            await store.create(document("one", "w2"))
        assert injector.raised
        if not (Path(store.location.removeprefix("sqlite:")) / "w2.json").exists():
            (problem,) = (await store.health()).problems
            assert "'w2'" in problem
    await store.create(document("two", "w2", 2_000))
    assert ["two", "one"] == [record["execute_id"] for record in _file(store, "w2")["histories"]]
    assert () == (await store.health()).problems
    await _goes_on(store)


@_errors
async def test_a_file_that_cannot_be_edited_is_made_anew(store: SQLiteStore, error: BaseException) -> None:
    """At the latest with the next change of its workflow."""
    with injected(Injector(error, files=("os.utime",), times=2)) as injector:
        async with asyncio.timeout(60):
            await store.create(document("second", now=2_000))
    assert injector.raised
    await store.update("w", "first", change(3_000, "success"))
    assert {"first": "success", "second": "running"} == {
        record["execute_id"]: record["execute_status"] for record in _file(store)["histories"]
    }
    await _goes_on(store)


@_errors
async def test_flush_does_not_say_yes_for_a_file_that_it_could_not_bring_to_the_disk(
    store: SQLiteStore, error: BaseException
) -> None:
    """It raises an error of ours, and tries the same file again with the next call."""
    await store.flush()
    await store.create(document("second", now=2_000))
    with injected(Injector(error, files=("open w.json",), times=3)) as injector:
        async with asyncio.timeout(60):
            with pytest.raises(ExecutionHistoryError):
                await store.flush()
    assert injector.raised
    await store.flush()
    await _goes_on(store)


async def test_flush_makes_a_file_anew_that_somebody_has_removed(store: SQLiteStore) -> None:
    """When it answers, every file is there."""
    folder = Path(store.location.removeprefix("sqlite:"))
    (folder / "w.json").unlink()
    await store.flush()
    assert ["first"] == [record["execute_id"] for record in _file(store)["histories"]]


@_errors
@pytest.mark.parametrize("sign", ["freelist_count", "DELETE FROM executions WHERE seq IN"])
async def test_tidying_that_fails_is_tried_again(store: SQLiteStore, sign: str, error: BaseException) -> None:
    """And keeps nobody from anything."""
    await store.create(document("gone", "cleared"))
    with injected(Injector(error, statements=(sign,))) as injector:
        assert await store.clear("cleared")
        async with asyncio.timeout(60):
            while not injector.raised:
                await asyncio.sleep(0.01)
    await _goes_on(store)


@_errors
async def test_a_checkpoint_that_fails_is_tried_again(tmp_path: Path, error: BaseException) -> None:
    """With the next commit that finds the log long."""
    install()
    store = SQLiteStore(tmp_path / "h", json_files=False)
    await store.open()
    large = os.urandom(5_000_000).hex()
    async with asyncio.timeout(60):
        with injected(Injector(error, connections=True)) as injector:
            for number in count():
                await store.create(document(f"e{number}", parameters={"t": large}))
                if injector.raised:
                    break
        await store.create(document("next"))
    async with asyncio.timeout(60):
        await store.aclose()


async def test_an_event_loop_that_cannot_be_answered_keeps_nobody_else_waiting(store: SQLiteStore) -> None:
    """Neither one that is closed, nor one that raises something of its own."""

    class Deaf(asyncio.SelectorEventLoop):
        is_deaf = False

        def call_soon_threadsafe(self, *arguments: Any, **keywords: Any) -> Any:  # type: ignore[override]
            if self.is_deaf and "_resolve" in str(arguments[0]):
                raise Strange("this loop does not listen")
            return super().call_soon_threadsafe(*arguments, **keywords)

    async def call(name: str) -> None:
        asyncio.get_running_loop().is_deaf = True  # type: ignore[attr-defined]
        task = asyncio.ensure_future(store.create(document(name)))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(task), 0.3)
        task.cancel()

    def run() -> None:
        with asyncio.Runner(loop_factory=Deaf) as runner:
            runner.run(call("deaf"))

    await asyncio.gather(asyncio.to_thread(run), *(store.create(document(f"e{number}")) for number in range(20)))
    assert 22 == (await page_of(store, "w", 100, 1)).total
    await _goes_on(store)


@_errors
async def test_a_file_that_raises_does_not_keep_the_history_from_opening(tmp_path: Path, error: BaseException) -> None:
    """It is stepped over, and health tells which."""
    install()
    folder = tmp_path / "h"
    store = SQLiteStore(folder)
    await store.open()
    for workflow_id in ("a", "b", "c"):
        await store.create(document("first", workflow_id))
    await store.aclose()
    (folder / "b.json").unlink()
    again = SQLiteStore(folder)
    with injected(Injector(error, files=("open b.json",), times=100)) as injector:
        async with asyncio.timeout(60):
            await again.open()
        assert injector.raised
        (problem,) = (await again.health()).problems
        assert "'b'" in problem
    await again.create(document("second", "b"))
    assert 2 == _file(again, "b")["total"]
    await again.aclose()


@pytest.mark.parametrize("how", ["moved", "removed", "replaced"])
async def test_a_folder_that_goes_away_is_noticed_at_the_next_call(tmp_path: Path, how: str) -> None:
    """Writing, reading and health say so; after it is put back, or with a new service, all goes on."""
    folder, elsewhere = tmp_path / "h", tmp_path / "elsewhere"
    store = SQLiteStore(folder)
    await store.open()
    await store.create(document("first"))
    await store.flush()
    folder.rename(elsewhere)
    if how == "replaced":
        other = SQLiteStore(folder)
        await other.open()
        await other.aclose()
    for call in (store.create(document("lost")), store.update("w", "first", change()), store.delete("w", "first")):
        with pytest.raises(StoreUnwritable, match="not there any more"):
            await call
    for read in (store.get("w", "first"), page_of(store, "w", 10, 1), store.workflows(), store.changes(0, 10)):
        with pytest.raises(StoreUnwritable, match="not there any more"):
            await read
    assert "not there any more" in (await store.health()).problems[0]
    if how == "moved":
        elsewhere.rename(folder)
        await store.create(document("second"))
        assert () == (await store.health()).problems
    async with asyncio.timeout(60):
        await store.aclose()


_ON_A_SMALL_DISK = """
import asyncio, os, sys
from pathlib import Path
from execution_history.errors import StoreFull
from execution_history.stores import SQLiteStore
from execution_history.stores.sqlite.process_lock import ProcessLock
from tests.sample_records import document, ids, page_of

async def main(folder):
    store = SQLiteStore(folder)
    await store.open()
    await store.create(document("before", "kept", 1_000))
    number = 0
    try:
        while True:
            text = os.urandom(30_000).hex()
            await store.create(document(f"e{number}", "large", 2_000 + number, parameters={"t": text}))
            number += 1
    except StoreFull as error:
        assert "no space left" in str(error), error
    await asyncio.sleep(0.3)
    assert await store.delete("large", "e0")
    assert await store.get("large", "e0") is None
    assert await store.clear("large")
    async with asyncio.timeout(60):
        while True:
            try:
                await store.create(document("after", "kept", 9_000, parameters={"t": os.urandom(30_000).hex()}))
                break
            except StoreFull:
                await asyncio.sleep(0.05)
    await store.aclose()
    again = SQLiteStore(folder)
    await again.open()
    assert "after" in ids((await page_of(again, "kept", 100, 1)).documents)
    await again.aclose()
    print("well")

asyncio.run(main(Path(sys.argv[1])))
"""


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root on Linux makes a small disk")
async def test_on_a_full_disk_deleting_works_and_makes_room(tmp_path: Path) -> None:
    """A real one of 16 MB: what is refused for want of space succeeds after something was deleted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", disk], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    try:
        ran = subprocess.run(
            [sys.executable, "-c", _ON_A_SMALL_DISK, disk / "h"], check=False, capture_output=True, timeout=120
        )
    finally:
        subprocess.run(["umount", disk], check=True)
    assert (0, b"well\n") == (ran.returncode, ran.stdout), ran.stderr.decode()


@pytest.mark.parametrize("key", ["create_time", "update_time"])
@pytest.mark.parametrize("digit", ["0", "9", "x", "-"])
async def test_a_wrong_digit_in_a_file_with_its_old_time_does_no_harm(tmp_path: Path, key: str, digit: str) -> None:
    """Neither to the database nor, once its record changes, to the file: what contradicts the database is made anew."""
    store = SQLiteStore(tmp_path / "h")
    await store.open()
    for number in range(10, 50):
        await store.create(document(f"e{number}", now=1_700_000_000_000 + number, parameters={"t": "x" * 3_000}))
    path = tmp_path / "h" / "w.json"
    for number in (49, 48, 30, 11, 10):
        status = path.stat()
        at = path.read_bytes().index(f'"{key}": 17000000000{number}'.encode()) + len(key) + 4
        with path.open("r+b") as file:
            file.seek(at + 1)
            file.write(digit.encode())
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        await store.update("w", f"e{number}", change(1_700_000_000_100, metadata={"n": number}))
        await store.create(document(f"later{number}", now=1_700_000_000_200))
        assert ids((await page_of(store, "w", 100, 1)).documents) == [
            r["execute_id"] for r in _file(store)["histories"]
        ]
    page = [json.loads(body) for body in (await page_of(store, "w", 100, 1)).documents]
    assert page == _file(store)["histories"]
    assert {1_700_000_000_000 + number for number in range(10, 50)} < {record["create_time"] for record in page}
    await store.aclose()


async def test_a_folder_that_another_process_holds_for_long_leaves_nobody_waiting(tmp_path: Path) -> None:
    """Writes and flush are answered with an error, also a flush whose event loop is gone; later all goes on."""
    store = SQLiteStore(tmp_path / "h", lock_seconds=0.05)
    await store.open()
    await store.create(document("first"))
    other = ProcessLock(tmp_path / "h" / ".lock")
    other.acquire()

    async def leave() -> None:
        task = asyncio.ensure_future(store.flush())
        await asyncio.sleep(0)
        task.cancel()

    async with asyncio.timeout(60):
        await asyncio.to_thread(asyncio.run, leave())
        for call in (store.create(document("second")), store.flush()):
            with pytest.raises(StoreBusy):
                await call
        other.release()
        await store.create(document("second"))
        await store.flush()
        await store.aclose()
    other.close()


async def test_a_file_into_which_much_was_merged_is_current_soon_also_without_a_flush(tmp_path: Path) -> None:
    """Whoever merged may have failed before its end; a file that cannot be made meanwhile stays a problem."""
    install()
    store = SQLiteStore(tmp_path / "h")
    await store.open()
    await store.create(document("first"))
    with injected(Injector(OSError(28, "No space left on device"), files=("open w.json",), times=1_000)):
        await store.merge([document(f"e{number}", now=2_000 + number) for number in range(5)], settle=False)
        async with asyncio.timeout(60):
            while not (await store.health()).problems:
                await asyncio.sleep(0.05)
        await store.create(document("more", now=3_000))
        assert (await store.health()).problems
    await store.merge([document("last", now=4_000)], settle=False)
    async with asyncio.timeout(60):
        while _file(store)["total"] < 8:
            await asyncio.sleep(0.05)
    assert () == (await store.health()).problems
    await store.aclose()


async def test_a_bit_that_a_disk_turned_round_in_a_file_does_not_win_after_a_crash_of_the_machine(
    tmp_path: Path,
) -> None:
    """Every file is read then; one that nobody has touched since it was written is no edit by hand."""
    store = SQLiteStore(tmp_path / "h")
    await store.open()
    await store.create(document("first", parameters={"city": "Paris"}))
    await store.aclose()
    path = tmp_path / "h" / "w.json"
    status = path.stat()
    path.write_bytes(path.read_bytes().replace(b"Paris", b"Pasis"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with closing(apsw.Connection(str(tmp_path / "h" / "history.db"))) as connection:
        connection.execute("UPDATE feed SET boot = 'another start of the machine'")
    again = SQLiteStore(tmp_path / "h")
    await again.open()
    assert b"Paris" in (await again.get("w", "first") or b"")
    await again.flush()
    assert b"Paris" in path.read_bytes()
    await again.aclose()


def _machine_went_down(folder: Path) -> None:
    """Have the database think so when it is opened next: the last edits of files may not be on the disk."""
    with closing(apsw.Connection(str(folder / "history.db"))) as connection:
        connection.execute("UPDATE feed SET boot = 'an earlier start of the machine'")


@pytest.mark.parametrize("when", ["of the deletion", "of an edit that was under way", "of an earlier revision"])
async def test_a_file_that_a_power_cut_has_mixed_of_two_moments_brings_nothing_back(tmp_path: Path, when: str) -> None:
    """Its first page may be of the deletion, another one of before: the run stays deleted, and others as they are."""
    folder, path = tmp_path / "h", tmp_path / "h" / "w.json"
    store = SQLiteStore(folder)
    await store.open()
    await store.create(document("kept", now=now_ms()))
    await store.create(document("gone", now=now_ms()))
    await store.update("w", "kept", change(now_ms(), metadata={"page": "old"}))
    before, earlier = path.read_bytes(), path.stat().st_mtime_ns
    await store.delete("w", "gone")
    after, stamp = path.read_bytes(), path.stat().st_mtime_ns
    stored = await store.get("w", "kept")
    await store.aclose()
    header = after.index(b'"histories"')
    assert len(before) == len(after)
    first = after[:header] if when != "of the deletion" else bytes(header)  # or a page that was never written
    path.write_bytes(first + before[header:].replace(b'"page": "old"', b'"page": "???"'))
    if when != "of an edit that was under way":
        chosen = stamp if when == "of the deletion" else earlier
        os.utime(path, ns=(chosen, chosen))
    _machine_went_down(folder)
    again = SQLiteStore(folder)
    await again.open()
    assert await again.get("w", "gone") is None
    assert stored == await again.get("w", "kept")
    assert ["kept"] == [record["execute_id"] for record in _file(again)["histories"]]
    await again.aclose()


@pytest.mark.parametrize("who", ["the next opening", "another process"])
async def test_an_edit_that_a_kill_has_cut_short_is_no_edit_by_hand(tmp_path: Path, who: str) -> None:
    """What it has mixed is neither taken for a record, nor for damage, whoever comes to the file next."""
    folder, path = tmp_path / "h", tmp_path / "h" / "w.json"
    store = SQLiteStore(folder)
    await store.open()
    for name in ("first", "half"):
        await store.create(document(name, now=now_ms(), metadata={"mark": "old"}))
    before = path.read_bytes()
    await store.update("w", "first", change(now_ms(), "success", metadata={"mark": "new"}))
    await store.update("w", "half", change(now_ms(), "success", metadata={"mark": "new"}))
    stored = await store.get("w", "first")
    after = path.read_bytes()
    if who == "the next opening":
        await store.aclose()
    header, newest = after.index(b'"histories"'), after.index(b'"mark": "new"')  # "half" is the newer one
    torn = after[header:newest] + after[newest + 9 :].replace(b'"mark": "new"', b'"mark": "old"')
    path.write_bytes(before[:header] + torn + b" " * 9)
    again = store if who == "another process" else SQLiteStore(folder)
    await again.open()
    await again.create(document("third", now=now_ms()))
    assert stored == await again.get("w", "first")
    assert [{"mark": "new"}] * 2 == [
        {"mark": record["metadata"]["mark"]} for record in _file(again)["histories"] if "mark" in record["metadata"]
    ]
    assert () == (await again.health()).problems
    assert [path] == list(folder.glob("w.json*"))
    await again.aclose()


async def test_an_edit_by_hand_wins_also_after_the_machine_was_started_again(tmp_path: Path) -> None:
    """Nobody has recorded anything for a while before it."""
    folder, path = tmp_path / "h", tmp_path / "h" / "w.json"
    store = SQLiteStore(folder)
    await store.open()
    await store.create(document("first", now=now_ms(), parameters={"city": "Paris"}))
    await store.aclose()
    path.write_bytes(path.read_bytes().replace(b"Paris", b"Basel"))
    later = time.time_ns() + 10 * 10**9
    os.utime(path, ns=(later, later))
    _machine_went_down(folder)
    again = SQLiteStore(folder)
    await again.open()
    assert b"Basel" in (await again.get("w", "first") or b"")
    await again.aclose()


async def test_an_index_that_only_who_writes_can_recover_is_no_problem(tmp_path: Path) -> None:
    """A full disk has left it in the middle of a transaction; the next question rolls that back, or makes it anew."""
    folder = tmp_path / "h"
    store = SQLiteStore(folder)
    await store.open()
    await store.create(document("first"))
    await store.aclose()
    with closing(apsw.Connection(str(tmp_path / "x.db"))) as connection:
        connection.execute("PRAGMA cache_size = 1; CREATE TABLE t (x); INSERT INTO t VALUES (zeroblob(100000)); BEGIN")
        for _ in range(20):
            connection.execute("UPDATE t SET x = randomblob(100000)")
        for name in ("", "-journal"):
            shutil.copyfile(tmp_path / f"x.db{name}", folder / f"index.db{name}")
    assert [] == list(problems_of(await examined(folder)))
    async with opened(folder) as again:
        await again.follow_index()
