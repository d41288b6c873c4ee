"""The ways back to an older version that ``docs/upgrading.md`` promises."""

from pathlib import Path
from typing import Any

import apsw
import pytest

from execution_history import ExecutionHistoryService
from execution_history.errors import StoreTooNew
from execution_history.history.annotations import Annotation
from execution_history.transfer import Export, export_to_path, import_history

pytestmark = pytest.mark.anyio


async def _records(folder: Path) -> list[Any]:
    async with ExecutionHistoryService(folder) as service:
        return (await service.get_execution_history("w"))["histories"]


@pytest.fixture
async def newer(tmp_path: Path) -> tuple[Path, list[Any]]:
    """A folder of a newer version, with keys in its metadata that this one does not know, and its export beside it."""
    folder = tmp_path / "history"
    async with ExecutionHistoryService(folder) as service:
        await service.create_execution_record("w", "a", {"text": "北京"}, metadata={"of_a_newer_version": [1]})
        await service.update_execution_record("w", "a", "success", output={"n": 2**60})
        await service.annotate("w", "a", Annotation(add_tags=("checked",), note="kept", pinned=True))
        await service.create_execution_record("w", "b")
        await export_to_path(service, tmp_path / "runs.jsonl", Export(format="jsonl"))
    made = await _records(folder)
    connection = apsw.Connection(str(folder / "history.db"))
    connection.execute("INSERT INTO migrations VALUES (9999, 'from the future', 0)")
    connection.close()
    with pytest.raises(StoreTooNew):
        await _records(folder)
    return folder, made


async def test_an_export_is_a_way_back(newer: tuple[Path, list[Any]], tmp_path: Path) -> None:
    """Every record, with its annotations and what only the newer version knows."""
    folder, made = newer
    older = tmp_path / "older"
    async with ExecutionHistoryService(older) as service:
        await import_history(service, [folder.parent / "runs.jsonl"])
    assert made == await _records(older)


async def test_the_json_files_are_a_way_back(newer: tuple[Path, list[Any]]) -> None:
    """With the databases moved away."""
    folder, made = newer
    aside = folder.parent / "newer"
    aside.mkdir()
    for path in [*folder.glob("history.db*"), *folder.glob("index.db*")]:
        path.rename(aside / path.name)
    assert made == await _records(folder)
