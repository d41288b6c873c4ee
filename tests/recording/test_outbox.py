"""If recording fails, the run does not: what a store cannot take waits, in order, bounded and never silently lost."""

import asyncio
import gc
import logging
from pathlib import Path
from typing import Any

import orjson
import pytest

from execution_history.errors import ExecutionExists, IllegalTransition, RecordDamaged, StoreFull
from execution_history.recording.outbox import Outbox
from execution_history.recording.pending_writes import Waiting
from execution_history.recording.spool import Spool
from execution_history.recording.spool_batch import Batch
from execution_history.stores.protocol import HistoryStore
from tests.faulty_store import FaultyStore, SharedFaultyStore
from tests.sample_records import change, document

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store() -> FaultyStore:
    """A store whose faults are off."""
    return FaultyStore()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """A spool in a folder of the test's own."""
    return Spool("shared", tmp_path / "waiting")


async def _record(store: HistoryStore, execute_id: str) -> dict[str, Any] | None:
    body = await store.get("w", execute_id)
    return None if body is None else orjson.loads(body)


async def _emptied(outbox: Outbox) -> None:
    async with asyncio.timeout(60):
        while outbox:
            await outbox.save()
            await asyncio.sleep(0.01)


async def test_what_waits_is_written_in_order_and_as_one_step(store: FaultyStore) -> None:
    """The beginning, the progress and the ending of a run that nobody could write are one record."""
    outbox = Outbox(store)
    store.fill()
    await outbox.write("w", "1", document("1"))
    await outbox.write("w", "1", change(2_000, usage={"token_count": 1}, only_from=frozenset({"running"})))
    await outbox.write("w", "1", change(3_000, "success", output="x"))
    await outbox.write("w", "2", document("2"))
    assert ("2 runs wait to be recorded: The disk is full.",) == outbox.problems()
    store.fault = None
    await _emptied(outbox)
    assert ["1 success", "2 running"] == store.written
    found = await _record(store, "1")
    assert found is not None
    assert ("x", {"token_count": 1}, 1_000, 3_000) == tuple(
        found[key] for key in ("output", "usage", "create_time", "update_time")
    )
    assert () == outbox.problems()


async def test_it_tries_again_by_itself(store: FaultyStore) -> None:
    """Also where no recorder tends it."""
    outbox = Outbox(store)
    store.fill()
    await outbox.write("w", "1", document("1"))
    store.fault = None
    async with asyncio.timeout(60):
        while outbox:
            await asyncio.sleep(0.01)
    assert ["1 running"] == store.written


async def test_once_the_store_is_in_trouble_nobody_waits_for_it(store: FaultyStore) -> None:
    """The first one has patience; what follows, of whatever run, is not even tried."""
    outbox = Outbox(store, patience_seconds=0)
    store.running.clear()
    await outbox.write("w", "1", document("1"))
    for number in range(2, 100):
        await outbox.write("w", str(number), document(str(number)))
        await outbox.write("w", str(number), change(2_000, "success"))
    assert 1 == store.asked
    store.running.set()
    await _emptied(outbox)
    assert {"1 running", *(f"{number} success" for number in range(2, 100))} == set(store.written)


async def test_what_waits_is_written_many_at_once(store: FaultyStore) -> None:
    """And whoever comes meanwhile is written as soon as the store takes anything again, not behind all others."""
    outbox = Outbox(store)
    store.fill()
    for number in range(10):
        await outbox.write("w", f"{number}", document(f"{number}"))
    store.held = {f"{number}": asyncio.Event() for number in range(1, 10)}
    store.fault, store.asked = None, 0
    saving = asyncio.create_task(outbox.save())
    async with asyncio.timeout(60):
        while store.asked < 10 or outbox.holds("w", "0"):
            await asyncio.sleep(0)
        await outbox.write("w", "new", document("new"))
    assert ["0 running", "new running"] == store.written
    for event in store.held.values():
        event.set()
    assert 0 == await saving
    assert 11 == len(store.written)


async def test_a_write_that_was_overtaken_keeps_its_place(store: FaultyStore) -> None:
    """What the store was still working on when patience ended comes first, whether it is taken or refused."""
    outbox = Outbox(store, patience_seconds=0)
    store.running.clear()
    await outbox.write("w", "1", document("1"))
    await outbox.write("w", "1", change(2_000, "success"))
    store.fill()
    store.running.set()
    await asyncio.sleep(0)
    store.fault = None
    await _emptied(outbox)
    found = await _record(store, "1")
    assert found is not None
    assert "success" == found["execute_status"]


async def test_a_caller_who_is_cancelled_loses_nothing(store: FaultyStore) -> None:
    """The write goes on; where the store then refuses it, it waits."""
    outbox = Outbox(store)
    store.running.clear()
    writing = asyncio.create_task(outbox.write("w", "1", document("1")))
    async with asyncio.timeout(60):
        while not store.asked:
            await asyncio.sleep(0)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    store.fill()
    store.running.set()
    async with asyncio.timeout(60):
        while not any("The disk is full." in problem for problem in outbox.problems()):
            await asyncio.sleep(0)
    store.fault = None
    await _emptied(outbox)
    assert await _record(store, "1") is not None


def test_what_waits_outlives_the_event_loop_it_came_from(tmp_path: Path) -> None:
    """A loop that ends in the middle of a write, and another one that writes it."""
    kept: list[Any] = []

    async def begin() -> None:
        store = FaultyStore()
        outbox = Outbox(store, patience_seconds=0, spool=Spool("s", tmp_path))
        store.running.clear()
        await outbox.write("w", "1", document("1"))
        kept.extend((store, outbox))

    async def end() -> None:
        store, outbox = kept
        store.running = asyncio.Event()
        store.running.set()
        await outbox.write("w", "1", change(2_000, "success"))
        await _emptied(outbox)
        found = await _record(store, "1")
        assert found is not None
        assert "success" == found["execute_status"]

    asyncio.run(begin())
    asyncio.run(end())


async def test_one_record_that_is_never_taken_does_not_keep_the_others_waiting(
    store: FaultyStore, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor do three; each is tried a number of times while others pass, then given up, and the log names it."""
    outbox = Outbox(store)
    store.poison = "bad"
    for number in range(3):
        await outbox.write("w", f"bad {number}", document("bad"))
    for number in range(30):
        await outbox.write("w", str(number), document(str(number)))
        await outbox.save()
        await outbox.save()
        assert await _record(store, str(number)) is not None
    assert ("3 runs could not be recorded and were given up.",) == outbox.problems()
    assert any("'w'/'bad 2'" in record.getMessage() for record in caplog.records if record.levelno == logging.ERROR)


async def test_a_change_of_a_damaged_record_is_given_up_at_once(
    store: FaultyStore, caplog: pytest.LogCaptureFixture
) -> None:
    """It would never be possible, and the store is not in trouble: nobody else waits."""
    outbox = Outbox(store)
    await outbox.write("w", "bad", document("bad"))
    store.poison, store.poisoned = "bad", RecordDamaged("here", "w", "bad")
    await outbox.write("w", "bad", change(status="success"))
    await outbox.write("w", "good", document("good"))
    assert ["bad running", "good running"] == store.written
    assert ("1 run could not be recorded and was given up.",) == outbox.problems()
    assert any("'bad'" in record.getMessage() for record in caplog.records if record.levelno == logging.ERROR)


async def test_a_change_of_a_damaged_record_that_cannot_be_set_aside_waits(tmp_path: Path) -> None:
    """It is told as one that waits, and set aside when that is possible again."""
    store = SharedFaultyStore()
    in_the_way = tmp_path / "waiting"
    in_the_way.write_text("no folder")
    outbox = Outbox(store, spool=Spool("shared", in_the_way))
    await outbox.write("w", "bad", document("bad"))
    store.poison, store.poisoned = "bad", RecordDamaged("here", "w", "bad")
    await outbox.write("w", "bad", change(status="success"))
    assert outbox.holds("w", "bad")
    assert (f"1 run waits to be recorded: {store.poisoned}",) == outbox.problems()
    in_the_way.unlink()
    await _emptied(outbox)
    [problem] = outbox.problems()
    assert problem.startswith("Steps of runs that the store has refused for good: 1.")


async def test_a_damaged_record_that_was_not_waited_for_stops_nobody_else(store: FaultyStore) -> None:
    """Its fault is not the store's, also when that answers late: the next write goes to the store at once."""
    outbox = Outbox(store)
    await outbox.write("w", "bad", document("bad"))
    store.poison, store.poisoned = "bad", RecordDamaged("here", "w", "bad")
    store.held["bad"] = asyncio.Event()
    writing = asyncio.create_task(outbox.write("w", "bad", change(status="success")))
    async with asyncio.timeout(60):
        while store.asked < 2:
            await asyncio.sleep(0)
        writing.cancel()
        await asyncio.wait({writing})
        store.held["bad"].set()
        while not outbox.problems():
            await asyncio.sleep(0)
    await outbox.write("w", "good", document("good"))
    assert "good running" == store.written[-1]


async def test_a_large_record_waits_for_room_while_small_ones_pass(store: FaultyStore) -> None:
    """A disk that is nearly full is no reason to give a run up."""
    outbox = Outbox(store)
    store.poison, store.poisoned = "large", StoreFull("The disk is full.")
    await outbox.write("w", "large", document("large"))
    for number in range(30):
        await outbox.write("w", str(number), document(str(number)))
        await outbox.save()
    store.poison = None
    await _emptied(outbox)
    assert () == outbox.problems()
    assert await _record(store, "large") is not None


async def test_a_store_that_is_only_gone_never_makes_us_give_up(store: FaultyStore) -> None:
    """However often it refuses everything."""
    outbox = Outbox(store)
    store.fill()
    await outbox.write("w", "1", document("1"))
    for _ in range(50):
        await outbox.save()
    store.fault = None
    await _emptied(outbox)
    assert ["1 running"] == store.written


async def test_a_record_that_could_not_be_made_does_not_change_the_one_that_is_there(store: FaultyStore) -> None:
    """Its id was taken, which nobody knew while the store was full."""
    outbox = Outbox(store)
    await outbox.write("w", "1", document("1"))
    with pytest.raises(ExecutionExists):
        await outbox.write("w", "1", document("1"))
    store.fill()
    await outbox.write("w", "2", document("2"))
    await outbox.write("w", "1", document("1"))
    await outbox.write("w", "1", change(2_000, "failed"))
    store.fault = None
    await _emptied(outbox)
    found = await _record(store, "1")
    assert found is not None
    assert "running" == found["execute_status"]


async def test_a_second_ending_is_left_out(store: FaultyStore) -> None:
    """In memory as in the store: the first one stands."""
    outbox = Outbox(store)
    store.fill()
    await outbox.write("w", "1", document("1"))
    await outbox.write("w", "1", change(2_000, "success"))
    await outbox.write("w", "1", change(3_000, "failed"))
    store.fault = None
    await _emptied(outbox)
    with pytest.raises(IllegalTransition):
        await store.update("w", "1", change(4_000, "failed"))


async def test_the_memory_it_takes_is_bounded(spool: Spool, tmp_path: Path) -> None:
    """What is beyond goes to the spool, comes back in order, and leaves no file behind."""
    store = SharedFaultyStore()
    outbox = Outbox(store, most_bytes=50_000, spool=spool)
    store.fill()
    for number in range(200):
        await outbox.write("w", str(number), document(str(number), parameters="x" * 1_000))
    for number in range(200):
        await outbox.write("w", str(number), change(2_000, "success", output=number))
    assert list((tmp_path / "waiting").iterdir())
    assert {0o600} == {path.stat().st_mode & 0o777 for path in (tmp_path / "waiting").iterdir()}
    assert ("200 runs wait to be recorded: The disk is full.",) == outbox.problems()
    store.fault = None
    await _emptied(outbox)
    for number in range(200):
        found = await _record(store, str(number))
        assert found is not None
        assert ("success", number, "x" * 1_000) == (
            found["execute_status"], found["output"], found["input_parameters"],
        )  # fmt: skip
    assert [] == list((tmp_path / "waiting").iterdir())


def test_progress_that_waits_takes_the_room_of_one() -> None:
    """A long stream on a store that is gone does not fill the memory."""
    waiting = Waiting()
    waiting.add(("w", "1"), document("1"), under_way=True)
    sizes = []
    for number in range(100):
        step = change(number, usage=number, node_execute_status="x" * 100, only_from=frozenset({"running"}))
        waiting.add(("w", "1"), step)
        sizes.append(waiting.bytes)
    assert 2 >= max(sizes) - min(sizes)
    waiting.take(("w", "1"))
    assert 0 == waiting.bytes


async def test_large_steps_behind_a_store_that_hangs_do_not_fill_the_memory(spool: Spool) -> None:
    """Nor does a single one that is larger than all that may wait; in the end each run is recorded, in order."""
    store = SharedFaultyStore()
    outbox = Outbox(store, most_bytes=1_000_000, spool=spool)
    store.running.clear()
    names = [str(number) for number in range(20)]
    writing = [asyncio.create_task(outbox.write("w", name, document(name))) for name in names]
    async with asyncio.timeout(60):
        while store.asked < len(names):
            await asyncio.sleep(0)
    for task in writing:
        task.cancel()
    await asyncio.gather(*writing, return_exceptions=True)
    for name in names:
        await outbox.write("w", name, change(2_000, "success", output="x" * 400_000))
        assert outbox._waiting.bytes <= 1_000_000
    await outbox.write("w", "huge", document("huge", parameters="x" * 5_000_000))
    assert outbox._waiting.bytes <= 1_000_000
    store.running.set()
    await _emptied(outbox)
    for name in names:
        found = await _record(store, name)
        assert found is not None
        assert ("success", 400_000) == (found["execute_status"], len(found["output"]))
    assert await _record(store, "huge") is not None


async def test_what_waits_at_the_end_is_written_by_the_next_program(spool: Spool, tmp_path: Path) -> None:
    """A store that is still gone when the recorder closes: a file keeps the runs, and the next start writes them."""
    store = SharedFaultyStore()
    outbox = Outbox(store, spool=spool)
    await outbox.write("w", "begun", document("begun", metadata={"k": 1}))
    store.fill()
    await outbox.write("w", "whole", document("whole", parameters={"a": "\u2028"}))
    await outbox.write("w", "whole", change(2_000, "success", output=[1]))
    await outbox.write("w", "begun", change(2_000, "success", metadata={"l": 2}))
    await outbox.aclose()
    store.fault = None
    following = Outbox(store, spool=Spool("shared", tmp_path / "waiting"))
    await following.save()
    found = [await _record(store, name) for name in ("whole", "begun")]
    assert [("success", {"a": "\u2028"}, [1], {}), ("success", {}, None, {"k": 1, "l": 2})] == [
        (record["execute_status"], record["input_parameters"], record["output"], record["metadata"])
        for record in found
        if record is not None
    ]
    assert [] == list((tmp_path / "waiting").iterdir())


async def test_closing_saves_what_waits_before_it_tries_the_store_again(spool: Spool, tmp_path: Path) -> None:
    """A container is killed ten seconds after it was asked to stop, however long the store leaves us waiting."""
    store = SharedFaultyStore()
    outbox = Outbox(store, spool=spool, patience_seconds=0)
    store.running.clear()
    await outbox.write("w", "1", document("1"))
    closing = asyncio.create_task(outbox.aclose(3_600))
    async with asyncio.timeout(60):
        while not list((tmp_path / "waiting").glob("*")):
            await asyncio.sleep(0.01)
    assert not closing.done()
    store.running.set()
    await closing
    assert ["1 running"] == store.written
    assert not outbox


async def test_closing_goes_on_where_what_waits_cannot_be_saved(tmp_path: Path) -> None:
    """Without a place for it, it is still tried, and nothing is given up that the store takes after all."""
    (tmp_path / "file").write_text("in the way")
    store = SharedFaultyStore()
    outbox = Outbox(store, spool=Spool("shared", tmp_path / "file"), patience_seconds=0)
    store.running.clear()
    await outbox.write("w", "1", document("1"))
    closing = asyncio.create_task(outbox.aclose())
    await asyncio.sleep(0)
    store.running.set()
    await closing
    assert ["1 running"] == store.written
    assert () == outbox.problems()


async def test_a_batch_that_is_written_twice_changes_nothing(spool: Spool, tmp_path: Path) -> None:
    """Two programs may find it at the same moment; what happened to the records in between stays."""
    store = SharedFaultyStore()
    spool.put([(("w", "1"), document("1")), (("w", "1"), change(2_000, "success", output="first"))])
    [path] = (tmp_path / "waiting").iterdir()
    copy = path.read_bytes()
    await Outbox(store, spool=spool).save()
    await store.update("w", "1", change(3_000, output="later"))
    path.write_bytes(copy)
    await Outbox(store, spool=spool).save()
    found = await _record(store, "1")
    assert found is not None
    assert ("success", "later") == (found["execute_status"], found["output"])


async def test_a_damaged_batch_gives_what_can_be_read_and_is_kept(spool: Spool, tmp_path: Path) -> None:
    """Somebody edited it."""
    store = SharedFaultyStore()
    path = spool.put([(("w", "1"), document("1")), (("w", "2"), document("2"))])
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first[:50] + b"\n" + second)
    await Outbox(store, spool=spool).save()
    assert [None, "2"] == [
        record and record["execute_id"] for record in (await _record(store, "1"), await _record(store, "2"))
    ]
    assert [".damaged"] == [left.suffix for left in (tmp_path / "waiting").iterdir()]


async def test_batches_of_other_stores_are_left_alone(tmp_path: Path) -> None:
    """Each store has its own."""
    Spool("other", tmp_path).put([(("w", "1"), document("1"))])
    store = SharedFaultyStore()
    await Outbox(store, spool=Spool("shared", tmp_path)).save()
    assert await _record(store, "1") is None
    assert 1 == len(list(tmp_path.iterdir()))


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """The log, with no outbox of another test left to write into it."""
    gc.collect()
    caplog.clear()
    return caplog


async def test_nothing_is_lost_without_a_word(tmp_path: Path, logged: pytest.LogCaptureFixture) -> None:
    """Where not even the spool can be written, the log names what is lost, and it is counted."""
    (tmp_path / "file").write_text("in the way")
    store = SharedFaultyStore()
    outbox = Outbox(store, spool=Spool("shared", tmp_path / "file"))
    store.fill()
    await outbox.write("w", "gone", document("gone"))
    await outbox.aclose()
    assert ("1 run could not be recorded and was given up.",) == outbox.problems()
    [said] = [message for message in logged.messages if "'w'/'gone'" in message]
    assert said.startswith("1 run could not be recorded (The disk is full.) and is lost, because it cannot be put")


async def test_who_is_told_of_trouble_is_told_of_its_end(store: FaultyStore, logged: pytest.LogCaptureFixture) -> None:
    """Once each, also where the one write that was overtaken has come to its end by itself."""
    outbox = Outbox(store, patience_seconds=0)
    store.running.clear()
    await outbox.write("w", "1", document("1"))
    assert 1 == await outbox.save()
    store.running.set()
    async with asyncio.timeout(60):
        while outbox:
            await asyncio.sleep(0)
    assert [
        "A run could not be recorded and waits: the store does not answer",
        "The store takes records again; everything that waited is written.",
    ] == logged.messages
    await outbox.write("w", "2", document("2"))
    assert not outbox
    assert ["1 running", "2 running"] == store.written


async def test_what_another_program_writes_keeps_no_trouble_up(spool: Spool, logged: pytest.LogCaptureFixture) -> None:
    """The store takes records again, and this is told, while a batch that another program has claimed is left to it."""
    before = SharedFaultyStore()
    before.fill()
    dying = Outbox(before, spool=spool)
    await dying.write("w", "theirs", document("theirs"))
    await dying.aclose()
    [path] = spool.batches()
    claimed = Batch.scanned(path, before.location)
    assert claimed.claim()
    logged.clear()
    store = SharedFaultyStore()
    outbox = Outbox(store, spool=spool)
    await outbox.look()
    store.fill()
    await outbox.write("w", "ours", document("ours"))
    store.fault = None
    await outbox.save()
    assert ["A run could not be recorded and waits: The disk is full.", "The store takes records again."] == (
        logged.messages
    )
    claimed.release()
    await _emptied(outbox)
    assert {"ours running", "theirs running"} == set(store.written)


def test_an_outbox_that_nobody_closed_puts_aside_what_waits(
    spool: Spool, tmp_path: Path, logged: pytest.LogCaptureFixture
) -> None:
    """A program that forgets to close its recorder, or ends in the middle."""

    async def forget() -> None:
        store = SharedFaultyStore()
        store.fill()
        await Outbox(store, spool=spool).write("w", "1", document("1"))

    asyncio.run(forget())
    gc.collect()
    [path] = (tmp_path / "waiting").iterdir()
    assert (
        f"1 run could not be recorded (the program has ended); it waits in {path} and is written when this history is "
        "used again."
    ) in logged.messages
