"""JSON files that follow a history of any kind: near it, whole at any time, and never in its way."""

import asyncio
import json
import os
import random
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from execution_history import ExecutionHistoryService
from execution_history.errors import SettingsError, StoreFull, StoreUnwritable
from execution_history.followers.mirror import MirrorFollower, give_up
from execution_history.followers.mirror_folder import MirrorFolder
from execution_history.followers.mirror_trouble import MirrorTrouble
from execution_history.stores import MemoryStore, SQLiteStore, store_at
from execution_history.stores.jsonfiles.file_format import parse_header
from execution_history.stores.protocol import HistoryStore
from tests.followers.folders import PATIENCE, SMALL, Standing, following, place_in, shown, stored, until
from tests.sample_records import change, document
from tests.stores_under_test import Clock
from tests.transfer.histories import fill

pytestmark = pytest.mark.anyio


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the files are to be."""
    return tmp_path / "files"


async def test_the_files_show_every_run_that_is_there_and_those_that_come(store: HistoryStore, folder: Path) -> None:
    """At first, and after each kind of change; a workflow without runs has no file."""
    await fill(store)
    async with following(store, folder) as follower:
        await follower.until_current()
        assert await stored(store) == shown(folder)
        await store.create(document("new", "w", 9_000))
        await store.create(document("first", "another/x", 9_000))
        await store.update("w", "new", change(9_500, "success", output="x" * 10_000))
        await store.delete("w", "e0")
        await store.clear("工作流")
        await follower.until_current()
        assert {"w", "another/x"} == set(shown(folder))
        assert await stored(store) == shown(folder)
        await store.delete("another/x", "first")
        await store.create(document("again", "工作流", 10_000))
        await follower.until_current()
        assert {"w", "工作流"} == set(shown(folder))


async def test_a_file_is_the_one_that_the_embedded_store_keeps(tmp_path: Path, folder: Path) -> None:
    """Its header, its records and their bytes; only the spaces before the newest record may be more or less."""
    store = SQLiteStore(tmp_path / "history")
    await store.open()
    async with following(store, folder) as follower:
        await fill(store)
        await follower.until_current()
        for name in ("w.json", "工作流.json"):
            ours, theirs = ((each / name).read_bytes() for each in (folder, tmp_path / "history"))
            (ours_says, ours_from), (theirs_says, theirs_from) = _parsed(ours), _parsed(theirs)
            assert (theirs_says.workflow_id, theirs_says.state.total) == (ours_says.workflow_id, ours_says.state.total)
            assert theirs_says.state.updated_at == ours_says.state.updated_at
            assert theirs[theirs_from:].replace(b" ", b"") == ours[ours_from:].replace(b" ", b"")
            assert 0o600 == (folder / name).stat().st_mode & 0o777
    await store.aclose()


def _parsed(content: bytes) -> Any:
    found = parse_header(content)
    assert found is not None
    return found


async def test_it_goes_on_where_it_ended(store: HistoryStore, folder: Path) -> None:
    """Files without changes are not touched; what happened meanwhile is taken, deletions too."""
    await fill(store)
    async with following(store, folder) as follower:
        await follower.until_current()
    before = (folder / "工作流.json").stat()
    await store.delete("w", "e2")
    await store.create(document("later", "w", 9_000))
    async with following(store, folder) as follower:
        await follower.until_current()
        assert await stored(store) == shown(folder)
    after = (folder / "工作流.json").stat()
    assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_happens_in_whatever_order(folder: Path, seed: int) -> None:
    """Files of several sizes, edited, given room and made anew, with the follower stopped and started in between."""
    rng, store = random.Random(seed), MemoryStore()  # noqa: S311 - of a test
    for _ in range(5):
        async with following(store, folder, sizes=SMALL) as follower:
            for _ in range(8):
                await _change(store, rng)
                await follower.until_current()
                assert _as_sets(await stored(store)) == _as_sets(shown(folder))
        await _change(store, rng)


async def _change(store: MemoryStore, rng: random.Random) -> None:
    for _ in range(rng.randrange(12)):
        workflow_id, execute_id = rng.choice("ab"), f"e{rng.randrange(30)}"
        now = rng.randrange(1_000, 3_000)
        match rng.randrange(9):
            case 0 | 1 | 2 | 3:
                with suppress(Exception):
                    await store.create(document(execute_id, workflow_id, now, parameters="x" * rng.randrange(900)))
            case 4 | 5:
                await store.update(workflow_id, execute_id, change(now, metadata={"note": "y" * rng.randrange(2_000)}))
            case 6:
                await store.delete(workflow_id, execute_id)
            case 7:  # a newer version that began at another time
                later = document(execute_id, workflow_id, now + 10_000_000 + rng.randrange(10_000))
                await store.merge([later])
            case 8 if rng.random() < 0.3:
                await store.clear(workflow_id)


def _as_sets(found: dict[str, list[dict[str, Any]]]) -> dict[str, list[str]]:
    """The records of each workflow; those of one millisecond in any order."""
    for records in found.values():
        times = [record["create_time"] for record in records]
        assert sorted(times, reverse=True) == times
    return {name: sorted(map(json.dumps, records)) for name, records in found.items()}


async def test_a_file_that_somebody_removed_or_changed_is_made_anew(store: HistoryStore, folder: Path) -> None:
    """With the next change of its workflow, or with the next start; what was written into it does not come back."""
    await fill(store)
    async with following(store, folder) as follower:
        await follower.until_current()
        (folder / "w.json").unlink()
        (folder / "工作流.json").write_text("[]")
        await store.create(document("x", "w", 9_000))
        await store.create(document("y", "工作流", 9_000))
        await follower.until_current()
        assert await stored(store) == shown(folder)
    (folder / "w.json").unlink()
    (folder / "工作流.json").write_bytes((folder / "工作流.json").read_bytes() + b" ")
    async with following(store, folder) as follower:
        await follower.until_current()
        assert await stored(store) == shown(folder)


async def test_one_process_writes_and_another_goes_on(folder: Path) -> None:
    """The second one says that it does not write; when the first ends it takes over."""
    store = MemoryStore()
    await fill(store)
    async with following(store, folder) as first:
        await first.until_current()
        async with following(store, folder, lease_ms=3_000) as second:
            with pytest.raises(MirrorTrouble, match="Another process writes"):
                await second.until_current()
            assert (True, False) == ((await first.status()).is_writing, (await second.status()).is_writing)
            await first.aclose()
            await store.create(document("x", "w", 9_000))
            await until(lambda: any(each["execute_id"] == "x" for each in shown(folder)["w"]))


async def test_a_writer_that_died_is_replaced_when_its_lease_has_ended(store: HistoryStore, folder: Path) -> None:
    """Nobody released it, so another process waits for its time to pass, and then has everything."""
    await fill(store)
    async with following(store, folder) as follower:
        await follower.until_current()
    place = place_in(folder)
    assert await store.lease(f"mirror:{place['id']}", "one that died", 500)
    await store.create(document("x", "w", 9_000))
    async with following(store, folder, lease_ms=3_000) as follower:
        await until(lambda: follower.is_current)
        assert await stored(store) == shown(folder)


async def test_a_feed_that_has_forgotten_means_beginning_anew(folder: Path, clock: Clock) -> None:
    """Deletions that nobody lists any more are in no file afterwards."""
    store = MemoryStore(clock=clock)
    await fill(store)
    async with following(store, folder) as follower:
        await follower.until_current()
        await store.create(document("x", "w", 9_000))
        await follower.until_current()
    await store.delete("w", "e0")
    await store.clear("工作流")
    for name in await store.cursors():
        await store.save_cursor(name, await store.revision())  # as if the folder were an older copy of itself
    clock.go_on(31)
    await store.create(document("y", "w", 9_000))
    await store.prune()
    async with following(store, folder) as follower:
        await follower.until_current()
        assert await stored(store) == shown(folder)


async def test_beginning_anew_that_was_cut_short_is_gone_on_with(folder: Path) -> None:
    """No file that was there before is trusted by the next start, until it has been made anew."""
    store = MemoryStore()
    await fill(store)
    async with following(store, folder) as follower:
        await follower.until_current()
    files = MirrorFolder(folder, lambda _: (0, iter(())), check=lambda: None)
    files.begin(["w", "工作流"], is_anew=True)
    files.begin(["w", "工作流"], is_anew=False)
    assert {"w", "工作流"} == files.stale


async def test_a_history_that_was_set_back_means_beginning_anew(tmp_path: Path, folder: Path) -> None:
    """As with a database that was restored from a backup: what the files had that it does not is gone."""
    async with _embedded(tmp_path / "history") as store, following(store, folder) as follower:
        await fill(store, 3)
        await follower.until_current()
    shutil.copytree(tmp_path / "history", tmp_path / "backup")
    async with _embedded(tmp_path / "history") as store, following(store, folder) as follower:
        await store.create(document("later", "another"))
        await follower.until_current()
    (tmp_path / "history").rename(tmp_path / "lost")
    (tmp_path / "backup").rename(tmp_path / "history")
    async with _embedded(tmp_path / "history") as store, following(store, folder) as follower:
        await store.clear("工作流")
        await follower.until_current()
        assert {"w"} == set(shown(folder))
        assert await stored(store) == shown(folder)


@asynccontextmanager
async def _embedded(place: Path) -> AsyncIterator[SQLiteStore]:
    store = SQLiteStore(place, json_files=False)
    await store.open()
    yield store
    await store.aclose()


async def test_after_the_machine_has_started_anew_what_was_not_on_the_disk_is_made_anew(folder: Path) -> None:
    """A file that looks whole may have lost an edit that came after the last place that was stored."""
    store = MemoryStore()
    await fill(store)
    async with following(store, folder) as follower:
        await follower.until_current()
    place = place_in(folder)
    (folder / ".mirror").write_bytes(orjson.dumps(place | {"boot": "an earlier one"}))
    await store.update("w", "e0", change(9_000, metadata={"note": "x"}))
    inodes = {path.name: path.stat().st_ino for path in folder.glob("*.json")}
    async with following(store, folder) as follower:
        await follower.until_current()
        assert await stored(store) == shown(folder)
    now = {path.name: path.stat().st_ino for path in folder.glob("*.json")}
    assert {"w.json"} == {name for name in now if now[name] != inodes[name]}


async def test_a_disk_without_space_is_said_and_tried_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The history goes on; the files catch up."""
    store, is_full = MemoryStore(), True
    await fill(store)
    written = os.pwrite

    def pwrite(descriptor: int, data: bytes, offset: int) -> int:
        if is_full:
            raise OSError(28, "No space left on device")
        return written(descriptor, data, offset)

    monkeypatch.setattr("execution_history.stores.jsonfiles.disk_sync.os.pwrite", pwrite)
    async with following(store, folder) as follower:
        with pytest.raises(MirrorTrouble, match="there is no space left"):
            await follower.until_current()
        assert 1 == len(follower.problems())
        assert (await follower.status()).files_left
        await store.create(document("meanwhile", "w", 9_000))
        is_full = False
        await until(lambda: not follower.problems())
        await follower.until_current()
        assert await stored(store) == shown(folder)


async def test_a_folder_that_cannot_be_written_is_said_and_tried_again(tmp_path: Path, folder: Path) -> None:
    """Here because a file is in its way; removing that is enough."""
    store = MemoryStore()
    await fill(store)
    folder.write_text("in the way")
    async with following(store, folder) as follower:
        with pytest.raises(MirrorTrouble, match="the folder cannot be written"):
            await follower.until_current()
        folder.unlink()
        await until(lambda: not follower.problems())
        await follower.until_current()
        assert await stored(store) == shown(folder)
    assert [folder] == list(tmp_path.iterdir())


async def test_a_store_that_fails_for_a_while_is_followed_on(folder: Path) -> None:
    """Nothing is lost, and the sentence says why the files are behind."""

    class Failing(MemoryStore):
        fails = False

        async def changes(self, since: int, limit: int, *, documents: bool = False) -> Any:
            if self.fails:
                raise StoreFull("The store has no answer.")
            return await super().changes(since, limit, documents=documents)

    store = Failing()
    async with following(store, folder) as follower:
        await follower.until_current()
        store.fails = True
        await store.create(document("x"))
        await until(lambda: bool(follower.problems()))
        assert "The store has no answer." in follower.problems()[0]
        store.fails = False
        await until(lambda: not follower.problems())
        await follower.until_current()
        assert {"w"} == set(shown(folder))


async def test_whoever_waits_for_the_files_is_told_that_the_history_was_closed(folder: Path) -> None:
    """Nothing comes any more, so that waiting would never end."""
    store = Standing()
    async with following(store, folder) as follower, asyncio.timeout(PATIENCE):
        await follower.until_current()
        store.stands = True
        await store.create(document("x"))
        waiting = asyncio.create_task(follower.until_current())
        await store.asked.wait()
        await store.aclose()
        store.go_on.set()
        with pytest.raises(MirrorTrouble, match="do not follow the history"):
            await waiting


async def test_whoever_waits_for_the_files_is_told_that_following_has_ended(folder: Path) -> None:
    """The same for who asks afterwards, or before it has begun."""
    store = Standing()
    await fill(store)
    store.stands = True
    async with following(store, folder) as follower, asyncio.timeout(PATIENCE):
        waiting = asyncio.create_task(follower.until_current())
        await store.asked.wait()
        closing = asyncio.create_task(follower.aclose())
        await asyncio.sleep(0)  # it has begun to end
        store.go_on.set()
        with pytest.raises(MirrorTrouble, match="do not follow the history"):
            await waiting
        await closing
        for each in (follower, MirrorFollower(ExecutionHistoryService(store), folder)):
            with pytest.raises(MirrorTrouble, match="do not follow the history"):
                await each.until_current()


async def test_a_history_that_gives_nobody_the_lease_is_said(folder: Path) -> None:
    """As one that can only be read: without the lease nothing is written, and whoever waits is told."""

    class ReadOnly(MemoryStore):
        async def lease(self, *_: object) -> bool:
            raise StoreUnwritable("The store cannot be written.")

    async with following(ReadOnly(), folder) as follower, asyncio.timeout(PATIENCE):
        with pytest.raises(MirrorTrouble, match="The store cannot be written"):
            await follower.until_current()
        assert [".mirror"] == [path.name for path in folder.iterdir()]


async def test_the_folder_of_a_history_or_of_another_program_is_refused(tmp_path: Path) -> None:
    """Nothing in it is touched."""
    async with ExecutionHistoryService(tmp_path / "history") as history:
        with pytest.raises(SettingsError, match="holds a history"):
            await MirrorFollower(history, tmp_path / "history").start()
    (tmp_path / "package.json").write_text("{}")
    with pytest.raises(SettingsError, match="JSON files of another program"):
        await MirrorFollower(ExecutionHistoryService("memory:"), tmp_path).start()
    assert "{}" == (tmp_path / "package.json").read_text()


async def test_it_says_how_far_it_is(folder: Path) -> None:
    """The change it has come to, the newest, and since when it is behind."""
    store = MemoryStore()
    await fill(store)
    async with following(store, folder) as follower:
        await follower.until_current()
        await until(lambda: follower.is_current)
        status = await follower.status()
        assert (20, 20, 0, 0) == (status.revision, status.newest, status.behind_ms, status.files_left)
        assert str(folder) == status.to_json()["folder"]


async def test_its_place_keeps_deletions_in_the_feed_until_it_is_forgotten(folder: Path, clock: Clock) -> None:
    """A follower that is away for a month misses nothing; one that is given up costs nothing."""
    store = MemoryStore(clock=clock)
    await fill(store)
    async with following(store, folder) as follower:
        await follower.until_current()
    await store.delete("w", "e0")
    clock.go_on(31)
    assert 0 == await store.prune()
    assert await give_up(folder, ExecutionHistoryService(store))
    assert {} == await store.cursors()
    assert 0 < await store.prune()


async def test_stopping_in_the_middle_of_the_first_files_loses_nothing(folder: Path) -> None:
    """What is made already stays, the rest is made by the next start."""
    store = MemoryStore()
    for number in range(60):
        await store.create(document("e", f"w{number}"))
    async with following(store, folder):
        await until(lambda: any(folder.glob("*.json")))
    assert len(shown(folder)) <= 60
    async with following(store, folder) as follower:
        await follower.until_current()
        assert await stored(store) == shown(folder)


async def test_many_runs_of_one_workflow_are_written_page_by_page(tmp_path: Path, folder: Path) -> None:
    """More than fit into one page of the store, and more than are written at once."""
    store = store_at(tmp_path / "history", json_files=False)
    await store.open()
    await store.merge([document(f"e{number}", "w", 1_000 + number, parameters="x" * 300) for number in range(450)])
    async with following(store, folder, sizes=replace(SMALL, small=20_000)) as follower:
        await follower.until_current()
        found = shown(folder)["w"]
        assert [f"e{number}" for number in range(449, -1, -1)] == [each["execute_id"] for each in found]
        await store.delete("w", "e3")
        await store.update("w", "e200", change(9_000, metadata={"note": "z" * 5_000}))
        await store.merge([document(f"n{number}", "w", 5_000 + number, parameters="x" * 300) for number in range(90)])
        await follower.until_current()
        assert 539 == len(shown(folder)["w"])
    await store.aclose()
