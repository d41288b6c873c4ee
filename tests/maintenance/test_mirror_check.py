"""What the doctor says of JSON files in a folder of their own, which follow a history."""

from pathlib import Path

import pytest
from bench.fault_damage import chance_of, flip

from execution_history.maintenance.mirror_check import mirror_check
from execution_history.stores.protocol import HistoryStore
from execution_history.stores.verification import Outcome
from tests.followers.folders import following
from tests.sample_records import document
from tests.transfer.histories import fill

pytestmark = pytest.mark.anyio


async def _found(store: HistoryStore, folder: Path) -> Outcome:
    return await mirror_check(store, folder).look(lambda *_: None)


@pytest.fixture
async def folder(store: HistoryStore, tmp_path: Path) -> Path:
    """A folder that has followed the history."""
    await fill(store)
    async with following(store, tmp_path / "files") as follower:
        await follower.until_current()
    return tmp_path / "files"


async def test_a_folder_that_follows_is_sound(store: HistoryStore, folder: Path, tmp_path: Path) -> None:
    """One that has not been written yet, or not since the last changes, is behind: no problem."""
    assert ("2 files compared with the history", []) == ((found := await _found(store, folder)).summary, found.findings)
    await store.create(document("new", "w", 9_000))
    [behind] = (await _found(store, folder)).findings
    assert f"1 JSON file in '{folder}' is behind the history: w.json." == behind.sentence
    [missing] = (await _found(store, tmp_path / "other")).findings
    assert "are still to be written" in missing.sentence
    assert not any(finding.is_problem for finding in (behind, missing))


async def test_what_differs_is_named_and_made_anew(store: HistoryStore, folder: Path) -> None:
    """A bit that a disk turned round, a file that is missing, and one that no workflow has."""
    path = next(each for each in folder.glob("*.json") if each.name != "w.json")
    flip(folder / "w.json", chance_of(7), 1)
    path.rename(folder / "none.json")
    [found] = (await _found(store, folder)).problems
    for name in ("w.json (", f"{path.name} (it is missing)", "none.json (its workflow has no runs)"):
        assert name in found.sentence
    assert found.repair is not None
    assert "3 JSON files were rewritten from the history." == await found.repair()
    assert [] == (await _found(store, folder)).findings
    assert {path.name, "w.json"} == {each.name for each in folder.glob("*.json")}


async def test_a_file_that_somebody_edited_is_not_what_the_history_says(store: HistoryStore, folder: Path) -> None:
    """Such an edit is undone: files that follow are only written."""
    with (folder / "w.json").open("a") as file:
        file.write(" ")
    [found] = (await _found(store, folder)).problems
    assert "w.json (others have changed it, or it is damaged)" in found.sentence


async def test_a_folder_that_follows_another_history_is_told(store: HistoryStore, folder: Path) -> None:
    """It is known by the place that the history keeps for it, whatever the history is called now."""
    for name in await store.cursors():
        await store.save_cursor(name, None)
    [found] = (await _found(store, folder)).problems
    assert "follow another history" in found.sentence
