"""Large JSON files made in the background: whole in the end, and in nobody's way."""

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import orjson
import pytest

from execution_history.query.model import RecordKey
from execution_history.stores import SQLiteStore
from execution_history.stores.jsonfiles import background_rebuild as background_rebuild_module
from execution_history.stores.jsonfiles import disk_sync
from execution_history.stores.jsonfiles import rebuild as rebuild_module
from execution_history.stores.jsonfiles.file_format import Header
from execution_history.stores.jsonfiles.file_sizes import FileSizes
from execution_history.stores.jsonfiles.json_file import JSONFile
from execution_history.stores.jsonfiles.rebuild import copy_before, write_new
from execution_history.stores.mirror_port import FileState
from execution_history.stores.sqlite.queries import migrations, query
from tests.sample_records import change, document, page_of

pytestmark = pytest.mark.anyio


# Small files count as large, and get new slack while there is plenty.
_SIZES = FileSizes(small=20_000, low_slack=1, front=4_000)


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Where the front of a file was copied to its successor."""
    threads: list[str] = []

    def noted(source: JSONFile, begin: int, end: int, target: JSONFile) -> None:
        threads.append(threading.current_thread().name)
        copy_before(source, begin, end, target)

    monkeypatch.setattr(background_rebuild_module, "copy_before", noted)
    return iter([threads])


@pytest.mark.parametrize("disturbed", [False, True])
async def test_a_front_that_has_grown_long_is_copied_in_the_background(
    tmp_path: Path, copied: Iterator[list[str]], monkeypatch: pytest.MonkeyPatch, disturbed: bool
) -> None:
    """All but a little of it; and where an older record changes meanwhile, the file is right all the same."""
    threads = next(copied)
    begun, go_on = threading.Event(), threading.Event()

    def held_up(*arguments: Any) -> None:
        begun.set()
        assert go_on.wait(30)
        rebuild_module.build_from_file(*arguments)

    monkeypatch.setattr(background_rebuild_module, "build_from_file", held_up)
    store = SQLiteStore(tmp_path / "h", file_sizes=_SIZES)
    await store.open()
    number = 0
    while not begun.is_set():
        await store.create(document(f"e{number}", now=1_000 + number, parameters={"t": "x" * 300}))
        number += 1
    for later in range(number, number + 20):
        await store.create(document(f"e{later}", now=1_000 + later, parameters={"t": "x" * 300}))
    if disturbed:
        await store.update("w", "e0", change(9_000, "success"))
    go_on.set()
    await store.flush()
    assert disturbed or threads[0] == "execution-history-slack"
    content = json.loads((tmp_path / "h" / "w.json").read_bytes())
    found = [orjson.loads(body) for index in (1, 2, 3, 4) for body in (await page_of(store, "w", 100, index)).documents]
    assert found == content["histories"]
    assert number + 20 == content["total"]
    await store.aclose()


@pytest.fixture
def building(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Set when a file has been built from the store, which goes on when the other one is set."""
    begun, go_on = threading.Event(), threading.Event()

    def held_up(*arguments: Any) -> None:
        rebuild_module.build_from_store(*arguments)
        begun.set()
        assert go_on.wait(30)

    monkeypatch.setattr(background_rebuild_module, "build_from_store", held_up)
    yield begun, go_on
    go_on.set()


@pytest.mark.parametrize("what", ["clear", "move"])
async def test_what_happens_while_a_file_is_built_is_in_it(
    tmp_path: Path, building: tuple[threading.Event, threading.Event], what: str
) -> None:
    """Also that another process clears the workflow, or that a merge brings a record with another time."""
    begun, go_on = building
    sizes = replace(_SIZES, near=700, reach=700)
    store, other = (SQLiteStore(tmp_path / "h", file_sizes=sizes, search=False) for _ in range(2))
    await store.open()
    for number in range(30):
        await store.create(document(f"e{number}", now=1_000 + number, parameters={"t": "x" * 1_000}))
    await other.open()
    growing = asyncio.create_task(store.update("w", "e15", change(9_000, output="y" * 300_000)))
    assert await asyncio.to_thread(begun.wait, 30)
    if what == "clear":
        await other.clear("w")
        await other.create(document("new", now=9_100))
    else:
        moved = change(9_100, output="moved").apply(document("e10", now=1_500).body)
        assert moved is not None
        await store.merge([moved], settle=False)
    go_on.set()
    await growing
    shown = json.loads((tmp_path / "h" / "w.json").read_bytes())["histories"]
    assert len(shown) == len({record["execute_id"] for record in shown})
    await store.flush()
    await other.flush()
    content = json.loads((tmp_path / "h" / "w.json").read_bytes())
    found = [orjson.loads(body) for body in (await page_of(store, "w", 100, 1)).documents]
    assert (1 if what == "clear" else 30) == len(found) == content["total"]
    assert found == content["histories"]
    await other.aclose()
    await store.aclose()


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_of_two_changes_in_one_commit_the_later_counts(tmp_path: Path, is_deleted: bool) -> None:
    """Also where the earlier one finds no room in the file."""
    store = SQLiteStore(tmp_path / "h")
    await store.open()
    for number in range(3):
        await store.create(document(f"e{number}", now=1_000 + number))
    await asyncio.gather(
        store.update("w", "e0", change(2_000, output="x" * 200_000)),
        store.delete("w", "e0") if is_deleted else store.update("w", "e0", change(2_001, output="small")),
    )
    shown = json.loads((tmp_path / "h" / "w.json").read_bytes())["histories"]
    assert shown == [orjson.loads(body) for body in (await page_of(store, "w", 100, 1)).documents]
    assert (2 if is_deleted else 3) == len(shown)
    await store.aclose()


def test_catching_up_reads_what_changed_and_not_the_whole_store() -> None:
    """It happens while everybody else waits."""
    connection = apsw.Connection(":memory:")
    for _, _, script in migrations():
        connection.execute(script)
    for name in ("changed_in_workflow", "deleted_in_workflow"):
        plan = [str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {query(name)}", (1, "w"))]
        assert plan[0].startswith("SEARCH")
    connection.close()


def test_new_slack_has_room_for_what_is_copied_last(tmp_path: Path) -> None:
    """Also where the newest records are most of the file."""
    bodies = [document(f"e{number}", now=number, parameters={"t": "x" * 3_000}).body for number in range(100, 0, -1)]
    write_new(tmp_path / "old", Header("w", FileState(100, 1, 1)), bodies, 0)
    old = JSONFile(tmp_path / "old")
    begin = rebuild_module.boundary(old, 250_000)
    rebuild_module.build_from_file(tmp_path / "new", old, begin)
    new = JSONFile(tmp_path / "new")
    copy_before(old, old.header.newest_at, begin, new)
    new.finish(FileState(100, 1, 1))
    assert [orjson.loads(body) for body in bodies] == json.loads((tmp_path / "new").read_bytes())["histories"]
    assert new.slack >= 64 * 1024
    old.close()
    new.close()


async def test_a_file_is_brought_to_the_disk_in_slices(tmp_path: Path) -> None:
    """Of any size, also one that is no multiple of them, and none is lost."""
    path = tmp_path / "f"
    for size in (0, 1, 8_192, 8_193, 100_000):
        path.write_bytes(b"x" * size)
        with path.open("rb") as file:
            await asyncio.to_thread(disk_sync.sync, file.fileno(), 8_192)
        assert size == path.stat().st_size


async def test_a_file_that_is_made_anew_without_its_gaps_has_room_meanwhile(
    tmp_path: Path, building: tuple[threading.Event, threading.Event]
) -> None:
    """Whoever creates a run in the workflow does not wait until that has ended."""
    begun, go_on = building
    go_on.set()
    store = SQLiteStore(tmp_path / "h", file_sizes=replace(_SIZES, low_slack=10_000), search=False)
    path, number = tmp_path / "h" / "w.json", 0

    async def create() -> None:
        nonlocal number
        number += 1
        await store.create(document(f"e{number}", now=1_000 + number, parameters={"t": "x" * 1_000}))

    def slack() -> int:
        file = JSONFile(path)
        file.close()
        return file.slack

    await store.open()
    while number < 150 or slack() > 3_000:
        await create()
    await store.delete_many([RecordKey("w", f"e{each}") for each in range(20, 80)], 100)
    begun.clear()
    go_on.clear()
    giving_back = asyncio.create_task(store.give_back(["w"]))
    assert await asyncio.to_thread(begun.wait, 30)
    async with asyncio.timeout(3):
        for _ in range(10):
            await create()
    go_on.set()
    await giving_back
    assert number - 60 == len(json.loads(path.read_bytes())["histories"])
    await store.aclose()
