"""The job that reads a history in the course of time, and repairs what a disk has damaged."""

import os
from pathlib import Path

import orjson
import pytest
from bench.fault_damage import chance_of, flip

from execution_history import ExecutionHistoryService
from execution_history.jobs.job import run_job
from execution_history.maintenance.check_job import check_all, check_jobs
from execution_history.stores import SQLiteStore, store_at
from tests.sample_records import change, document
from tests.stores.sqlite.damage import damage

pytestmark = pytest.mark.anyio

_AT_ONCE = 1e12


async def _filled(folder: Path, *, json_files: bool = True) -> SQLiteStore:
    store = SQLiteStore(folder, json_files=json_files)
    await store.open()
    for number in range(60):
        await store.create(document(f"e{number}", f"w{number % 3}", 1_000 + number, parameters={"t": "x" * 300}))
    await store.flush()
    return store


async def test_a_damaged_file_is_written_anew_while_others_record(tmp_path: Path) -> None:
    """Its time has not changed; the audit log says what was done."""
    store = await _filled(tmp_path)
    path = tmp_path / "w1.json"
    flip(path, chance_of(1), 2)
    report = await check_all(store, _AT_ONCE)
    assert ["w1"] == [sentence.split("'")[1] for sentence in report["repaired"]]
    assert 20_000 < report["bytes"]
    shown = orjson.loads(path.read_bytes())
    assert [f"e{number}" for number in range(58, 0, -3)] == [run["execute_id"] for run in shown["histories"]]
    assert "serve" == (await store.audit(0, 10))[-1].actor
    assert [] == (await check_all(store, _AT_ONCE))["repaired"]
    await store.aclose()


async def test_a_damaged_run_is_written_anew_from_its_file(tmp_path: Path) -> None:
    """Before anybody needed it; one that is nowhere else stays a problem that health tells of."""
    store = await _filled(tmp_path)
    damage(tmp_path, "e4", workflow_id="w1")
    assert 1 == len((await check_all(store, _AT_ONCE))["repaired"])
    assert () == (await store.health()).problems
    await store.aclose()
    (tmp_path / "alone").mkdir()
    alone = await _filled(tmp_path / "alone", json_files=False)
    damage(tmp_path / "alone", "e4", workflow_id="w1")
    assert [] == (await check_all(alone, _AT_ONCE))["repaired"]
    assert "w1/e4" in (await alone.health()).problems[0]
    await alone.aclose()


async def test_a_file_that_is_edited_all_the_time_is_not_taken_for_a_damaged_one(tmp_path: Path) -> None:
    """Each part is compared with the records of the very moment."""
    store = await _filled(tmp_path)
    number = 0
    while (step := await store.patrol()) is not None:
        assert () == step.repaired
        for _ in range(5):
            number += 1
            await store.create(document(f"more{number}", "w1", 2_000 + number))
            await store.update("w1", f"more{number}", change(3_000 + number, "success"))
    await store.aclose()


async def test_a_file_that_somebody_wrote_is_left_to_the_next_change(tmp_path: Path) -> None:
    """It is imported then, not overwritten before."""
    store = await _filled(tmp_path)
    path = tmp_path / "w1.json"
    path.write_bytes(path.read_bytes().replace(b'"execute_id": "e1"', b'"execute_id": "by-hand"'))
    os.utime(path)
    assert [] == (await check_all(store, _AT_ONCE))["repaired"]
    assert b"by-hand" in path.read_bytes()
    await store.aclose()


async def test_only_a_store_that_can_be_patrolled_has_the_job(tmp_path: Path) -> None:
    """What it did last is kept as that of every job."""
    store = await _filled(tmp_path)
    service = ExecutionHistoryService(store)
    [job] = check_jobs(service)
    run = await run_job(service, job)
    assert run is not None
    assert ("done", []) == (run.outcome, (run.report or {})["repaired"])
    await store.aclose()
    assert [] == check_jobs(ExecutionHistoryService(store_at("memory:")))
