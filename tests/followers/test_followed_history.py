"""Which history a folder of JSON files follows: one, whose files no other one touches until the folder is given up."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from execution_history import ExecutionHistoryService
from execution_history.errors import SettingsError
from execution_history.followers.mirror import MirrorFollower, give_up
from execution_history.followers.mirror_trouble import MirrorTrouble
from execution_history.stores import MemoryStore, SQLiteStore, store_at
from execution_history.stores.protocol import HistoryStore
from tests.followers.folders import following, place_in, shown, stored, until
from tests.sample_records import document
from tests.transfer.histories import fill

pytestmark = pytest.mark.anyio


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the files are to be."""
    return tmp_path / "files"


async def _mirrored(store: HistoryStore, folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Fill a history, have its files in a folder, and return what they say."""
    await fill(store)
    async with following(store, folder) as follower:
        await follower.until_current()
    return shown(folder)


def _noted(folder: Path, **values: object) -> None:
    (folder / ".mirror").write_bytes(orjson.dumps(place_in(folder) | values))


async def test_a_folder_that_follows_another_history_is_refused(store: HistoryStore, folder: Path) -> None:
    """Its files stay as they are, and the sentence names the history that they follow; that one goes on."""
    before = await _mirrored(store, folder)
    with pytest.raises(SettingsError, match="follow another history") as refused:
        await MirrorFollower(ExecutionHistoryService(other := MemoryStore()), folder).start()
    assert (getattr(store, "location", None) or "memory:").partition(" ")[0].strip("'")[:30] in str(refused.value)
    assert {} == await other.cursors()
    assert before == shown(folder)
    await store.create(document("later", "w", 9_000))
    async with following(store, folder) as follower:
        await follower.until_current()
        assert await stored(store) == shown(folder)


async def test_a_history_that_was_copied_is_another_one(folder: Path) -> None:
    """It may have the same runs, but not the same feed."""
    await _mirrored(store := MemoryStore(), folder)
    await fill(other := MemoryStore())
    assert await stored(store) == await stored(other)
    with pytest.raises(SettingsError, match="follow another history"):
        await MirrorFollower(ExecutionHistoryService(other), folder).start()


async def test_a_folder_that_was_given_up_follows_another_history(folder: Path) -> None:
    """Its files are made anew by that one."""
    await _mirrored(store := MemoryStore(), folder)
    assert await give_up(folder, ExecutionHistoryService(store))
    await (other := MemoryStore()).create(document("other", "other"))
    assert {"w", "工作流"} == set(shown(folder))
    async with following(other, folder) as follower:
        await follower.until_current()
        assert await stored(other) == shown(folder)
    with pytest.raises(SettingsError, match="follow another history"):
        await MirrorFollower(ExecutionHistoryService(store), folder).start()


async def test_a_folder_can_be_given_up_without_the_history_that_it_followed(folder: Path) -> None:
    """As when that one is gone; whether it was known is told. What follows nothing cannot be given up."""
    await _mirrored(MemoryStore(), folder)
    assert not await give_up(folder, ExecutionHistoryService(MemoryStore()))
    with pytest.raises(SettingsError, match="No JSON files follow"):
        await give_up(folder, None)


async def test_a_folder_of_an_earlier_version_goes_on_with_the_history_that_knows_it(folder: Path) -> None:
    """It did not note which one that is; another one is refused."""
    await _mirrored(store := MemoryStore(), folder)
    earlier = place_in(folder)
    del earlier["store"]
    (folder / ".mirror").write_bytes(orjson.dumps(earlier))
    with pytest.raises(SettingsError, match="its name is not known"):
        await MirrorFollower(ExecutionHistoryService(MemoryStore()), folder).start()
    await store.create(document("later", "w", 9_000))
    async with following(store, folder) as follower:
        await follower.until_current()
    assert "memory:" == place_in(folder)["store"]


async def test_a_folder_that_never_began_belongs_to_the_history_that_it_names(tmp_path: Path, folder: Path) -> None:
    """Whose program ended in between, or begins at the same moment."""
    stores = [SQLiteStore(tmp_path / name) for name in ("one", "two")]
    for store in stores:
        await store.open()
    folder.mkdir()
    place = {"id": "x", "revision": None, "boot": "", "store": f"sqlite:{tmp_path / 'two'}"}
    (folder / ".mirror").write_bytes(orjson.dumps(place))
    with pytest.raises(SettingsError, match="follow another history"):
        await MirrorFollower(ExecutionHistoryService(stores[0]), folder).start()
    async with following(stores[1], folder) as follower:
        await follower.until_current()
    assert "x" == place_in(folder)["id"]
    for store in stores:
        await store.aclose()


async def test_a_folder_that_is_taken_from_a_follower_is_said(folder: Path) -> None:
    """It leaves the other history's files alone, and goes on when the folder is its own again."""
    await fill(store := MemoryStore())
    async with following(store, folder) as follower:
        await follower.until_current()
        ours = place_in(folder)
        _noted(folder, id="another", store="another")
        (folder / "theirs.json").write_text("{}")
        await until(lambda: bool(follower.problems()))
        with pytest.raises(MirrorTrouble, match="follow another history \\('another'\\)"):
            await follower.until_current()
        (folder / "theirs.json").unlink()
        _noted(folder, id=ours["id"])
        await until(lambda: not follower.problems())
        await follower.until_current()
        assert await stored(store) == shown(folder)


@pytest.mark.parametrize("name", ["files", "files/"])
async def test_files_that_follow_are_not_opened_as_a_history(tmp_path: Path, folder: Path, name: str) -> None:
    """Opening would make a database there, and nothing would follow any more; given up, they are as good as any."""
    await _mirrored(MemoryStore(), folder)
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(SettingsError, match="follow a history \\('memory:'\\)"):
        store_at(f"{tmp_path}/{name}")
    assert before == sorted(path.name for path in folder.iterdir())
    await give_up(folder, None)
    async with ExecutionHistoryService(store_at(folder)) as history:
        assert {"w", "工作流"} == {each.workflow_id for each in await history.workflow_summaries()}


async def test_a_folder_that_was_opened_as_a_history_is_mended_as_it_is_told(folder: Path) -> None:
    """By an earlier version, which let that happen."""
    await _mirrored(store := MemoryStore(), folder)
    async with ExecutionHistoryService(SQLiteStore(folder)):
        pass
    with pytest.raises(SettingsError, match="remove history"):
        await MirrorFollower(ExecutionHistoryService(store), folder).start()
    for name in (".lock", ".reserve"):
        (folder / name).unlink()
    for path in (*folder.glob("history.db*"), *folder.glob("index.db*")):
        path.unlink()
    async with following(store, folder) as follower:
        await follower.until_current()
        assert await stored(store) == shown(folder)
