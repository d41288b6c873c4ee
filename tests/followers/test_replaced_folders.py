"""Folders of JSON files that are removed or replaced while they follow: never declared current, and filled anew."""

import asyncio
import shutil
from pathlib import Path

import pytest

from execution_history.followers.mirror_folder import MirrorFolder
from execution_history.followers.mirror_place import FolderReplaced
from execution_history.followers.mirror_trouble import MirrorTrouble
from execution_history.stores import MemoryStore
from execution_history.stores.protocol import HistoryStore
from tests.followers.folders import PATIENCE, SMALL, Standing, following, place_in, shown, stored, until
from tests.sample_records import document
from tests.transfer.histories import fill

pytestmark = pytest.mark.anyio


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the files are to be."""
    return tmp_path / "files"


async def test_a_folder_that_was_removed_and_made_anew_has_a_lease_of_its_own(folder: Path) -> None:
    """Another process that makes it anew at the same moment must not write into it too."""
    store = MemoryStore()
    await fill(store)
    async with following(store, folder) as follower:
        shutil.rmtree(folder)  # before the follower has done anything but to claim it
        await follower.until_current()
        assert await stored(store) == shown(folder)
        place = place_in(folder)
        assert not await store.lease(f"mirror:{place['id']}", "another process", 1)


async def test_a_folder_that_was_removed_and_made_again_by_hand_is_filled_anew(
    store: HistoryStore, tmp_path: Path, folder: Path
) -> None:
    """All files come back, not only those of workflows that change; the place of the old folder is given up."""
    for number in range(5):
        await store.create(document("e", f"w{number}"))
    async with following(store, folder) as follower:
        await follower.until_current()
        folder.rename(tmp_path / "removed")
        folder.mkdir()
        await store.create(document("x", "w1", 9_000))
        await follower.until_current()
        assert await stored(store) == shown(folder)
        assert [f"mirror:{place_in(folder)['id']}"] == list(await store.cursors())


async def test_a_folder_that_was_removed_comes_back_by_itself(
    store: HistoryStore, tmp_path: Path, folder: Path
) -> None:
    """Whoever waits for the files gets them, though the history has no change."""
    await fill(store)
    async with following(store, folder) as follower:
        await follower.until_current()
        folder.rename(tmp_path / "removed")
        await follower.until_current()
        assert await stored(store) == shown(folder)
        await until(lambda: not follower.problems())


async def test_a_folder_that_is_removed_while_changes_are_read_is_filled_anew(tmp_path: Path, folder: Path) -> None:
    """It is not declared current by the change that was on its way."""
    store = Standing()
    await fill(store)
    async with following(store, folder) as follower, asyncio.timeout(PATIENCE):
        await follower.until_current()
        store.stands = True
        await store.create(document("x", "w", 9_000))
        await store.asked.wait()
        folder.rename(tmp_path / "removed")
        folder.mkdir()
        store.stands = False
        store.go_on.set()
        await follower.until_current()
        assert await stored(store) == shown(folder)


async def test_a_disk_that_was_away_comes_back(store: HistoryStore, tmp_path: Path, folder: Path) -> None:
    """The folder that was made meanwhile in its place is given up, and the files of the first are made anew."""
    await fill(store)
    async with following(store, folder) as follower:
        await follower.until_current()
        folder.rename(tmp_path / "away")
        there = await stored(store)
        await until(lambda: there == shown(folder) and place_in(folder)["revision"] is not None)
        await store.delete("w", "e0")
        await follower.until_current()
        folder.rename(tmp_path / "meanwhile")
        (tmp_path / "away").rename(folder)
        await follower.until_current()
        assert await stored(store) == shown(folder)
        assert [f"mirror:{place_in(folder)['id']}"] == list(await store.cursors())


async def test_an_older_copy_of_the_folder_in_its_place_is_brought_up_to_date(
    store: HistoryStore, tmp_path: Path, folder: Path
) -> None:
    """As with a backup that was restored: what changed since then comes again, in workflows that are quiet now too."""
    await fill(store)
    async with following(store, folder) as follower:
        await follower.until_current()
    shutil.copytree(folder, tmp_path / "copy")
    before = place_in(folder)
    await store.create(document("x", "w", 9_000))
    async with following(store, folder) as follower:
        await follower.until_current()
        await until(lambda: place_in(folder) != before)
        folder.rename(tmp_path / "removed")
        (tmp_path / "copy").rename(folder)
        await store.create(document("y", "工作流", 9_000))
        await follower.until_current()
        assert await stored(store) == shown(folder)
        assert before["id"] == place_in(folder)["id"]


async def test_a_copy_that_is_older_than_the_last_changes_is_brought_up_to_date(tmp_path: Path, folder: Path) -> None:
    """Though it says of itself what the folder said: how far it had come is written now and then only."""
    store = MemoryStore()
    await fill(store)
    async with following(store, folder) as follower:
        await follower.until_current()
        before = place_in(folder)
        shutil.copytree(folder, tmp_path / "copy")
        await store.create(document("x", "w", 9_000))
        await follower.until_current()
        folder.rename(tmp_path / "removed")
        (tmp_path / "copy").rename(folder)
        assert before == place_in(folder)
        await store.create(document("y", "w", 9_100))
        await follower.until_current()
        assert await stored(store) == shown(folder)


async def test_a_folder_that_has_lost_its_id_is_not_current(store: HistoryStore, folder: Path) -> None:
    """JSON files that may be another's are left alone, and that is said; without them the files come back."""
    await fill(store)
    async with following(store, folder) as follower:
        await follower.until_current()
        (folder / ".mirror").unlink()
        with pytest.raises(MirrorTrouble, match="JSON files of another program"):
            await follower.until_current()
        assert 1 == len(follower.problems())
        assert not follower.is_current
        for path in folder.glob("*.json"):
            path.unlink()
        await until(lambda: not follower.problems())
        await follower.until_current()
        assert await stored(store) == shown(folder)


async def test_of_two_processes_one_fills_a_folder_that_was_removed(tmp_path: Path, folder: Path) -> None:
    """The other one waits for the new folder's lease, not for that of the one that is gone."""
    store = MemoryStore()
    await fill(store)
    async with following(store, folder) as first:
        await first.until_current()
        async with following(store, folder, lease_ms=3_000) as second:
            with pytest.raises(MirrorTrouble, match="Another process writes"):
                await second.until_current()
            folder.rename(tmp_path / "removed")
            there = await stored(store)
            await until(lambda: there == shown(folder))
            await first.aclose()
            await store.create(document("x", "w", 9_000))
            await until(lambda: any(each["execute_id"] == "x" for each in shown(folder)["w"]))
            assert (await second.status()).is_writing


async def test_an_id_that_cannot_be_understood_is_replaced(store: HistoryStore, folder: Path) -> None:
    """In a folder without JSON files nothing can be lost by that."""
    await fill(store)
    folder.mkdir()
    (folder / ".mirror").write_bytes(b"")
    async with following(store, folder) as follower, asyncio.timeout(PATIENCE):
        await follower.until_current()
        assert await stored(store) == shown(folder)


class _Looks:
    """Looks at a folder of which the one with a number finds it replaced, and those after it."""

    def __init__(self) -> None:
        self.left = 100

    def __call__(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise FolderReplaced


async def test_a_file_that_is_made_while_the_folder_is_replaced_does_not_get_into_the_other_one(folder: Path) -> None:
    """Nothing is left in it that its owner would find, whether the file is small or large."""
    folder.mkdir()
    for size in (1, 60):
        look = _Looks()
        bodies = [document(f"e{number}", "w", 9_000 - number).body for number in range(size)]
        files = MirrorFolder(folder, lambda _: (1, iter(bodies)), look, SMALL)  # noqa: B023 - used in this round only
        files.begin(["w"], is_anew=True)
        look.left = 0
        with pytest.raises(FolderReplaced):
            files.renew("w")
        assert [] == list(folder.iterdir())
        assert {"w"} == files.stale


async def test_a_file_that_was_edited_while_the_folder_was_replaced_is_not_left_in_the_other_one(folder: Path) -> None:
    """The other files of that one are left alone: nothing was done to them."""
    store, look = MemoryStore(), _Looks()
    for name in "abc":
        await store.create(document("e", name))
    since = await store.revision()
    async with following(store, folder) as follower:
        await follower.until_current()
    files = MirrorFolder(folder, lambda _: (0, iter(())), look)
    files.begin(["a", "b", "c"], is_anew=False)
    for name in "abc":
        await store.create(document("x", name, 9_000))
    look.left = 2
    with pytest.raises(FolderReplaced):
        files.follow(since, await store.changes(since, 10, documents=True))
    files.close()
    assert {"a": 2, "c": 1} == {name: len(records) for name, records in shown(folder).items()}
