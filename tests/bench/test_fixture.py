"""The large history that the bench makes."""

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from bench.fixture import Fixture, make

from execution_history import ExecutionHistoryService
from execution_history.records.record import Document

_RUNS = 2_100  # more than one chunk


async def _merge(folder: Path, records: list[dict[str, Any]], *, json_files: bool) -> None:
    async with ExecutionHistoryService(folder, json_files=json_files) as service:
        await service.merge(Document.of(record, orjson.dumps(record)) for record in records)


def _files(folder: Path) -> dict[str, Any]:
    return {path.name: json.loads(path.read_bytes()) for path in folder.glob("*.json")}


async def _pages(folder: Path) -> dict[str, Any]:
    async with ExecutionHistoryService(folder) as service:
        found = {name: await service.get_execution_history(name, 20) for name in await service.get_all_workflows()}
        failed = await service.get_execution_history("large-0", 100, status="failed")
        return {**found, "failed": failed}


@pytest.mark.anyio
async def test_a_fixture_that_was_cut_short_equals_a_history_that_was_imported_at_once(tmp_path: Path) -> None:
    """In its files, its pages and what its index finds."""
    fixture = Fixture(_RUNS, 1_790_000_000_000)
    records = list(fixture.records())
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "fixture.json").write_bytes(orjson.dumps({"runs": _RUNS, "end": fixture.end}))
    await _merge(tmp_path / "made" / "history", records[:700], json_files=False)
    await make(tmp_path / "made", _RUNS)
    await _merge(tmp_path / "imported", records, json_files=True)
    assert _files(tmp_path / "imported") == _files(tmp_path / "made" / "history")
    assert await _pages(tmp_path / "imported") == await _pages(tmp_path / "made" / "history")
