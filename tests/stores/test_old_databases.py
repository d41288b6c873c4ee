"""Histories that earlier commits left on the disk open as if this version had written them.

``scripts/make_old_database.py`` makes such a history; each folder in ``tests/data/histories`` is named by its commit.
Only copies are opened: an opened database is no longer as that commit left it.
"""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from execution_history import ExecutionHistoryService
from execution_history.query.model import StatisticsQuery

pytestmark = pytest.mark.anyio

_HISTORIES = Path(__file__).parents[1] / "data/histories"
_CHAT, _TRANSLATE = "7321000000000000001", "翻译 / translate"
_RUNNING = "019a3a1f-0000-7000-8000-000000000004"
_DELETED = "019a3a1f-0000-7000-8000-000000000024"


class OldHistory:
    """A copy of a history of an earlier commit, and what the code of that commit read from it."""

    def __init__(self, source: Path, target: Path) -> None:
        self.folder = target / "history"
        self.expected: dict[str, Any] = json.loads((source / "expected.json").read_text("utf-8"))
        shutil.copytree(source / "history", self.folder)

    def restore_file_times(self) -> None:
        """Set the times by which the store knows its own files; a checkout has lost them."""
        for name, modified in self.expected["file_times"].items():
            os.utime(self.folder / name, ns=(modified, modified))


@pytest.fixture(params=sorted(path.name for path in _HISTORIES.iterdir()))
def old(request: pytest.FixtureRequest, tmp_path: Path) -> OldHistory:
    """A copy of each old history, to be changed at will."""
    return OldHistory(_HISTORIES / request.param, tmp_path)


@pytest.mark.parametrize("lost", ["nothing", "file times", "index.db", "JSON files", "history.db"])
async def test_every_record_is_read_as_it_was(old: OldHistory, lost: str) -> None:
    """All records, filters and searches answer as on the day it was made, also when a part of the folder is missing."""
    if lost != "file times":
        old.restore_file_times()
    for path in old.folder.glob("*.json" if lost == "JSON files" else lost):
        path.unlink()
    async with ExecutionHistoryService(old.folder) as service:
        found = {
            workflow_id: (await service.get_execution_history(workflow_id, page_size=100))["histories"]
            for workflow_id in await service.get_all_workflows()
        }
        assert old.expected["records"] == found
        failed = [
            record["execute_id"]
            for workflow_id in found
            for record in (await service.get_execution_history(workflow_id, status="failed"))["histories"]
        ]
        assert sorted(old.expected["failed"]) == sorted(failed)
        for text, ids in old.expected["found"].items():
            matches = await service.get_execution_history(_CHAT, q=text)
            assert ids == [record["execute_id"] for record in matches["histories"]]
        assert () == (await service.health()).problems
    for path in old.folder.glob("*.json"):
        content = json.loads(path.read_bytes())
        assert old.expected["records"][content["workflow_id"]] == content["histories"]


async def test_its_leases_are_over(old: OldHistory) -> None:
    """A recorder that was alive then is not any more."""
    async with ExecutionHistoryService(old.folder) as service:
        assert all(remaining < 0 for remaining in (await service.store.leases()).values())


async def test_its_runs_are_counted(old: OldHistory) -> None:
    """Counters and statistics agree with the records that were read from it."""
    old.restore_file_times()
    async with ExecutionHistoryService(old.folder) as service:
        summaries = {each.workflow_id: each.total for each in await service.workflow_summaries()}
        assert {key: len(records) for key, records in old.expected["records"].items()} == summaries
        statistics = await service.statistics(StatisticsQuery())
        assert sum(summaries.values()) == sum(statistics.totals.counts.values())


async def test_it_is_written_on(old: OldHistory) -> None:
    """A run of it is ended, another begun and one deleted: in the database, in the files and at the next opening."""
    old.restore_file_times()
    async with ExecutionHistoryService(old.folder) as service:
        ended = await service.update_execution_record(_CHAT, _RUNNING, "success", output={"answer": "Amoy, again"})
        begun = await service.create_execution_record(_CHAT, parameters={"question": "Which pier?"})
        assert await service.delete_execution_record(_CHAT, "019a3a1f-0000-7000-8000-000000000002")
        assert ended is not None
        found = await service.get_execution_history(_CHAT, q="Amoy")
        assert [_RUNNING] == [record["execute_id"] for record in found["histories"]]
    shown = json.loads((old.folder / f"{_CHAT}.json").read_bytes())["histories"]
    assert [begun, ended] == shown[:2]
    async with ExecutionHistoryService(old.folder) as service:
        assert shown == (await service.get_execution_history(_CHAT))["histories"]
        assert 4 == len(shown)


async def test_what_was_deleted_in_it_stays_deleted(old: OldHistory) -> None:
    """A JSON file from before a deletion, put back from a backup, does not bring the run back."""
    (path,) = (each for each in old.folder.glob("*.json") if "translate" in each.name)
    text = re.sub('"revision": +[0-9]+', '"revision": 70', path.read_text("utf-8"), count=1)
    path.write_text(text.replace(old.expected["records"][_TRANSLATE][0]["execute_id"], _DELETED), "utf-8")
    async with ExecutionHistoryService(old.folder) as service:
        assert await service.get_execution_detail(_TRANSLATE, _DELETED) is None
        page = await service.get_execution_history(_TRANSLATE, page_size=100)
        assert old.expected["records"][_TRANSLATE] == page["histories"]
