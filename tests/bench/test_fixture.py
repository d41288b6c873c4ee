"""The large history that the bench makes."""

import json
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pytest
from bench.fixture import TEXTS, Fixture, known, make

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


@pytest.mark.anyio
async def test_a_short_history_is_noted_as_one_and_is_not_gone_on_with_as_another(tmp_path: Path) -> None:
    """It is found by the same words, and has no JSON files where none are wanted."""
    await make(tmp_path, 300, is_short=True, json_files=False)
    fixture = known(tmp_path)
    assert fixture is not None
    assert (300, True) == (fixture.runs, fixture.is_short)
    assert {} == _files(tmp_path / "history")
    assert 1_000 > max(len(orjson.dumps(record)) for record in fixture.records())
    async with ExecutionHistoryService(tmp_path / "history", json_files=False) as service:
        page = await service.get_execution_history(None, 20, q="planned")
    assert [True] * 20 == [b"planned" in orjson.dumps(each) for each in page["histories"]]
    with pytest.raises(SystemExit, match="300 short runs"):
        await make(tmp_path, 300)


def test_short_runs_repeat_the_texts_of_the_first_with_other_ids_and_times() -> None:
    """Each is of its own time, and its duration stays."""
    fixture = Fixture(TEXTS + 3, 1_764_000_000_000, is_short=True)
    firsts = list(islice(fixture.records(), 3))
    repeated = list(fixture.records(TEXTS))
    assert [each["output"] for each in firsts] == [each["output"] for each in repeated]
    assert 6 == len({each["execute_id"] for each in (*firsts, *repeated)})
    for first, again in zip(firsts, repeated, strict=True):
        assert first["create_time"] < again["create_time"]
        assert first["update_time"] - first["create_time"] == again["update_time"] - again["create_time"]
