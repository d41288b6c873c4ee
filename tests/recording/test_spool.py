"""What lies in the spool is written or set aside, whatever it is, and whatever the store makes of it."""

import asyncio
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from execution_history.errors import InvalidInput, StoreClosed, StoreError, StoreFull
from execution_history.recording.outbox import Outbox
from execution_history.recording.spool import Spool
from tests.faulty_store import SharedFaultyStore
from tests.sample_records import change, document

pytestmark = pytest.mark.anyio

needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")


class Odd(BaseException):
    """What no store should raise."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where batches lie."""
    return tmp_path / "waiting"


@pytest.fixture
def spool(folder: Path) -> Spool:
    """A spool in a folder of the test's own."""
    return Spool("shared", folder)


@pytest.fixture
async def store() -> SharedFaultyStore:
    """A store whose faults are off."""
    return SharedFaultyStore()


async def _statuses(store: SharedFaultyStore, *execute_ids: str) -> list[str | None]:
    bodies = [await store.get("w", execute_id) for execute_id in execute_ids]
    return [None if body is None else orjson.loads(body)["execute_status"] for body in bodies]


def _put(spool: Spool, *execute_ids: str) -> Path:
    """Put runs aside, each with its beginning and its ending."""
    return spool.put(
        (("w", name), step) for name in execute_ids for step in (document(name), change(2_000, "success", output=name))
    )


def _refused(spool: Spool) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in spool.refused.read_bytes().splitlines()]


async def _saved(outbox: Outbox, rounds: int = 5) -> None:
    for _ in range(rounds):
        await outbox.save()


def _kinds(folder: Path) -> list[str]:
    return sorted(path.suffix for path in folder.iterdir())


@pytest.mark.parametrize(
    "error",
    [
        StoreError("This record is too large."),
        InvalidInput("This cannot be."),
        RuntimeError("A fault of the store."),
        asyncio.CancelledError(),
        Odd("Not even an exception."),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_step_that_is_never_taken_is_set_aside_with_the_reason(
    store: SharedFaultyStore, spool: Spool, folder: Path, error: BaseException
) -> None:
    """Whatever is raised for it, what stands behind it is written at once, and its batch goes away in the end."""
    _put(spool, "before", "bad", "behind")
    _put(spool, "later")
    store.poison, store.poisoned = "bad", error
    outbox = Outbox(store, spool=spool, most_refusals=3)
    await outbox.save()
    assert ["success"] * 3 == await _statuses(store, "before", "behind", "later")
    await _saved(outbox)
    assert [".refused"] == _kinds(folder)
    begun, ended = _refused(spool)
    assert ("bad", type(error).__name__) == (begun["execute_id"], begun["error"])
    assert begun["reason"] == (str(error) or "It gave no reason.")
    assert "bad" == ended["change"]["fields"]["output"]
    for each in (outbox, Outbox(store, spool=Spool("shared", folder))):
        await each.save()
        [problem] = each.problems()
        assert "refused for good: 2." in problem
        assert str(spool.refused) in problem


async def test_what_was_refused_is_tried_again_under_another_name(store: SharedFaultyStore, spool: Spool) -> None:
    """The file is a batch like others then, and the problem is over."""
    _put(spool, "bad", "good")
    store.poison, store.poisoned = "bad", InvalidInput("This cannot be.")
    outbox = Outbox(store, spool=spool)
    await outbox.save()
    assert outbox.problems()
    store.poison = None
    spool.refused.rename(spool.refused.with_suffix(".jsonl"))
    await outbox.save()
    assert ["success", "success"] == await _statuses(store, "bad", "good")
    assert () == outbox.problems()


@pytest.mark.parametrize("error", [StoreFull("The disk is full."), StoreClosed("It was closed.")])
async def test_what_will_pass_is_waited_for(store: SharedFaultyStore, spool: Spool, error: StoreError) -> None:
    """However often the store refuses it while it takes others."""
    _put(spool, "large", "small")
    store.poison, store.poisoned = "large", error
    outbox = Outbox(store, spool=spool, most_refusals=3)
    await _saved(outbox, 30)
    assert [None, "success"] == await _statuses(store, "large", "small")
    assert (f"1 run waits to be recorded: {error}",) == outbox.problems()
    store.poison = None
    await outbox.save()
    assert ["success"] == await _statuses(store, "large")
    assert () == outbox.problems()


async def test_a_store_that_takes_nothing_refuses_nothing_for_good(
    store: SharedFaultyStore, spool: Spool, folder: Path
) -> None:
    """Its fault is not that of a step, of whatever type it is."""
    _put(spool, *map(str, range(30)))
    store.fault = RuntimeError("Its thread has died.")
    outbox = Outbox(store, spool=spool, most_refusals=3)
    await _saved(outbox, 30)
    assert [".jsonl"] == _kinds(folder)
    store.fault = None
    await outbox.save()
    assert ["success"] * 30 == await _statuses(store, *map(str, range(30)))


async def test_what_memory_holds_is_set_aside_too(store: SharedFaultyStore, spool: Spool) -> None:
    """With its ending, which comes when it is given up already; the other runs of the program are recorded."""
    store.poison = "bad"
    outbox = Outbox(store, spool=spool, most_refusals=2)
    await outbox.write("w", "bad", document("bad"))
    await outbox.write("w", "good", document("good"))
    await _saved(outbox)
    await outbox.write("w", "bad", change(2_000, output="progress"))
    await outbox.write("w", "bad", change(3_000, "success", output="end"))
    await outbox.write("w", "good", change(3_000, "success"))
    await _saved(outbox)
    assert ["success"] == await _statuses(store, "good")
    assert ["record", "change"] == [list(line)[-1] for line in _refused(spool)]
    assert "end" == _refused(spool)[1]["change"]["fields"]["output"]


async def test_a_long_reason_is_cut(store: SharedFaultyStore, spool: Spool) -> None:
    """Neither the file nor a problem repeats what may be a whole record."""
    _put(spool, "bad")
    store.poison, store.poisoned = "bad", InvalidInput("x" * 1_000_000)
    await Outbox(store, spool=spool).save()
    assert spool.refused.stat().st_size < 5_000
    store.poison, store.poisoned = "waits", StoreFull("y" * 1_000_000)
    outbox = Outbox(store, spool=spool)
    await outbox.write("w", "waits", document("waits"))
    assert sum(map(len, outbox.problems())) < 1_000


async def test_a_batch_that_was_being_read_when_its_program_died_is_written(
    store: SharedFaultyStore, spool: Spool, folder: Path
) -> None:
    """Also where an older version had already given it its second name."""
    path = _put(spool, "1", "2")
    path.write_bytes(path.read_bytes() + b'{"half": \n')
    os.link(path, path.with_suffix(".damaged"))
    outbox = Outbox(store, spool=spool)
    await outbox.save()
    assert ["success", "success"] == await _statuses(store, "1", "2")
    assert [".damaged"] == _kinds(folder)
    [kept] = folder.iterdir()
    assert kept.read_bytes().endswith(b'{"half": \n')
    [problem] = outbox.problems()
    assert str(kept) in problem


_LINE = orjson.dumps({"store": "shared", "workflow_id": "w", "execute_id": "e", "record": {}})


def _odd_lines() -> Iterator[tuple[str, bytes]]:
    yield "garbage", os.urandom(200_000).replace(b"\n", b"")
    yield "nested", _LINE.replace(b"{}", b"[" * 100_000 + b"]" * 100_000)
    yield "not UTF-8", _LINE.replace(b"{}", b'{"execute_id":"\xff"}')
    yield "a number too large", _LINE.replace(b"{}", b"1e999")
    yield "no record", _LINE
    yield "another record", orjson.dumps({**orjson.loads(_LINE), "record": orjson.loads(document("other").body)})
    yield "no step", _LINE.replace(b"record", b"nothing")
    yield "a list", b"[1,2]"
    yield "an id that is none", _LINE.replace(b'"e"', b"[]")
    yield "an empty id", _LINE.replace(b'"e"', b'""')
    yield "an odd change", _LINE.replace(b"record", b"change")
    yield "another store", _LINE.replace(b"shared", b"others")


@pytest.mark.parametrize("line", [pytest.param(line, id=name) for name, line in _odd_lines()])
async def test_a_line_that_cannot_be_read_keeps_no_other_from_being_written(
    store: SharedFaultyStore, spool: Spool, folder: Path, line: bytes
) -> None:
    """It stays beside the others, as it was."""
    path = _put(spool, "1", "2")
    whole = path.read_bytes()
    path.write_bytes(line + b"\n" + whole + b"\n\n" + line)
    outbox = Outbox(store, spool=spool)
    await outbox.save()
    assert ["success", "success"] == await _statuses(store, "1", "2")
    assert [".damaged"] == _kinds(folder)
    [kept] = folder.iterdir()
    assert line + b"\n" + whole + b"\n\n" + line == kept.read_bytes()


async def test_a_file_that_is_no_batch_keeps_no_batch_from_being_written(
    store: SharedFaultyStore, spool: Spool, folder: Path
) -> None:
    """A folder is a problem as long as it is there; an empty file goes away; another store's is left alone."""
    _put(spool, "1")
    [path] = folder.iterdir()
    path.with_stem(path.stem[:-1] + "-").mkdir()
    path.with_suffix(".x.jsonl").touch()
    foreign = path.with_stem(path.stem + "-")
    foreign.write_bytes(path.read_bytes().replace(b'"shared"', b'"others"'))
    outbox = Outbox(store, spool=spool)
    await _saved(outbox)
    assert ["success"] == await _statuses(store, "1")
    assert not outbox
    [problem] = outbox.problems()
    assert "cannot be read" in problem
    [odd] = [each for each in folder.iterdir() if each.is_dir()]
    odd.rmdir()
    await outbox.look()
    assert () == outbox.problems()
    assert [foreign] == list(folder.iterdir())


@needs_pipes
async def test_a_pipe_is_not_waited_for(store: SharedFaultyStore, spool: Spool) -> None:
    """Nobody may ever write into it."""
    path = _put(spool, "1")
    os.mkfifo(path.with_stem(path.stem[:-1] + "-"))
    async with asyncio.timeout(60):
        await Outbox(store, spool=spool).save()
    assert ["success"] == await _statuses(store, "1")


async def test_a_batch_whose_writer_died_is_written_as_far_as_it_goes(
    store: SharedFaultyStore, spool: Spool, folder: Path
) -> None:
    """Unless it is still being written, as far as its age tells."""
    path = _put(spool, "1", "2")
    path.rename(path.with_suffix(".unfinished"))
    await Outbox(store, spool=spool).save()
    assert [".unfinished"] == _kinds(folder)
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_bytes(unfinished.read_bytes()[:-20])
    await Outbox(store, spool=Spool("shared", folder, abandoned_seconds=0)).save()
    assert ["success", "running"] == await _statuses(store, "1", "2")
    assert [".damaged"] == _kinds(folder)


async def test_a_batch_is_read_without_taking_its_size_in_memory(store: SharedFaultyStore, spool: Spool) -> None:
    """Nor does a hundred times as much garbage as any record has."""
    text = "\u65e5" * 300
    path = spool.put((("w", str(number)), document(str(number), parameters=text)) for number in range(20_000))
    store.poison = "0"
    with path.open("ab") as file:
        file.writelines(b"{" * 1_000_000 + b"\n" for _ in range(20))
    size = path.stat().st_size
    outbox = Outbox(store, spool=spool)
    store.fill()
    tracemalloc.start()
    try:
        await outbox.save()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size > 40_000_000
    assert peak < 8_000_000


async def test_a_batch_that_another_process_is_writing_is_left_to_it(
    store: SharedFaultyStore, spool: Spool, folder: Path
) -> None:
    """What comes later of its runs waits until that one is done, or has died."""
    path = _put(spool, "1")
    others = Outbox(store, spool=Spool("shared", folder), answer_seconds=0.001)
    outbox = Outbox(store, spool=spool)
    store.held["1"] = asyncio.Event()
    saving = asyncio.create_task(Outbox(store, spool=Spool("shared", folder)).save())
    async with asyncio.timeout(60):
        while not store.asked:
            await asyncio.sleep(0)
    await outbox.save()
    await others.save()
    assert 1 == store.asked
    await outbox.write("w", "1", change(3_000, metadata={"k": "later"}))
    store.held["1"].set()
    await saving
    assert not path.exists()
    async with asyncio.timeout(60):
        while outbox:
            await asyncio.sleep(0.01)
    body = await store.get("w", "1")
    assert body is not None
    assert ("success", "later") == (orjson.loads(body)["execute_status"], orjson.loads(body)["metadata"]["k"])


async def test_only_the_steps_of_spooled_runs_wait_for_the_spool(store: SharedFaultyStore, spool: Spool) -> None:
    """Other runs are recorded at once, also while nothing of the spool has been read; its own come in order."""
    spool.put([(("w", name), document(name)) for name in map(str, range(1_000))])
    outbox = Outbox(store, spool=spool)
    await outbox.write("w", "new", document("new"))
    await outbox.write("w", "new", change(2_000, "success"))
    assert ["new running", "new success"] == store.written
    store.held["500"] = asyncio.Event()
    await outbox.write("w", "900", change(3_000, "success"))
    assert not await outbox.look()
    async with asyncio.timeout(60):
        while "499 running" not in store.written:
            await asyncio.sleep(0.01)
    await outbox.write("w", "800", change(3_000, "success"))
    await outbox.write("w", "newer", document("newer"))
    assert "newer running" == store.written[-1]
    await outbox.write("w", "100", change(3_000, "success"))
    assert "100 success" == store.written[-1]
    assert () == outbox.problems()
    store.held["500"].set()
    async with asyncio.timeout(60):
        while outbox:
            await asyncio.sleep(0.01)
    assert ["success", "success"] == await _statuses(store, "800", "900")


async def test_closing_leaves_the_rest_of_a_batch_to_the_next_program(
    store: SharedFaultyStore, spool: Spool, folder: Path
) -> None:
    """It ends in time, whatever the store does, and nobody begins again."""
    _put(spool, *map(str, range(100)))
    store.held["60"] = asyncio.Event()
    outbox = Outbox(store, spool=spool, answer_seconds=0.2)
    await outbox.look()
    async with asyncio.timeout(60):
        while "59 success" not in store.written:
            await asyncio.sleep(0)
        await outbox.aclose(8)
    store.held["60"].set()
    [path] = folder.iterdir()
    written = set(store.written)
    assert 200 - len(written) == len(path.read_bytes().splitlines())
    store.written.clear()
    await Outbox(store, spool=Spool("shared", folder)).save()
    assert ["success"] * 100 == await _statuses(store, *map(str, range(100)))
    assert not written.intersection(store.written).difference({"60 running"})
    assert [] == list(folder.iterdir())


@pytest.mark.skipif(not hasattr(os, "umask"), reason="this system has no modes")
@pytest.mark.parametrize("umask", [0, 0o022, 0o777])
async def test_what_is_made_for_the_spool_is_private(store: SharedFaultyStore, tmp_path: Path, umask: int) -> None:
    """Each folder and each file, under any umask; what was there before keeps its mode."""
    there = tmp_path / "there"
    there.mkdir()
    there.chmod(0o755)
    spool = Spool("shared", there / "state" / "history" / "waiting")
    before = os.umask(umask)
    try:
        _put(spool, "1")
        store.poison, store.poisoned = "1", InvalidInput("This cannot be.")
        await Outbox(store, spool=spool).save()
        _put(spool, "2")
    finally:
        os.umask(before)
    modes = {path.relative_to(there).name: path.stat().st_mode & 0o777 for path in there.rglob("*")}
    assert {0o700} == {modes.pop(name) for name in ("state", "history", "waiting")}
    assert [0o600, 0o600] == list(modes.values())
    assert 0o755 == there.stat().st_mode & 0o777
