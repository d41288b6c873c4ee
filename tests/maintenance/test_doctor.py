"""The doctor of a history in a folder: what it finds, what it repairs, and what it leaves alone."""

import asyncio
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import orjson
import pytest
from bench.fault_damage import (
    DAMAGES,
    Damage,
    chance_of,
    content,
    copy_folder,
    examined,
    flip,
    make_folder,
    opened,
    problems_of,
    repaired,
)

from execution_history.clock import new_execute_id, now_ms
from execution_history.maintenance.doctor import CheckReport
from execution_history.records.metadata import RECORDER
from execution_history.stores import SQLiteStore
from execution_history.stores.sqlite.process_lock import ProcessLock
from tests.sample_records import document
from tests.stores.sqlite.damage import damage

pytestmark = pytest.mark.anyio

_RUNS = 60


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A history as a killed program leaves it; tests copy it."""
    folder = tmp_path_factory.mktemp("whole") / "h"
    asyncio.run(make_folder(folder, _RUNS))
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    copied = tmp_path / "h"
    copy_folder(whole, copied)
    return copied


def _named(reports: list[CheckReport], name: str) -> CheckReport:
    return next(report for report in reports if report.name == name)


def _sentences(report: CheckReport) -> str:
    return " ".join(str(finding.sentence) for finding in report.findings)


async def _settle(folder: Path) -> None:
    """Have all of the log in the database."""
    async with opened(folder):
        pass


async def _execute(folder: Path, sql: str, *values: Any) -> None:
    with closing(apsw.Connection(str(folder / "history.db"))) as connection:
        connection.execute(sql, values)


async def test_a_sound_history_is_found_sound_and_stays_as_it_is(folder: Path) -> None:
    """Not a byte of the database and the JSON files changes."""
    before = {path.name: path.read_bytes() for path in folder.glob("*[bnl]") if not path.name.endswith("shm")}
    reports = await examined(folder)
    assert [] == list(problems_of(reports))
    assert before == {path.name: path.read_bytes() for path in folder.glob("*[bnl]") if not path.name.endswith("shm")}
    assert {"database", "counters", "records", "files", "index", "times", "runs", "space"} < {r.name for r in reports}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name.replace(" ", "-"))
async def test_what_was_damaged_is_repaired_and_no_run_is_lost(
    whole: Path, folder: Path, tmp_path: Path, damage: Damage
) -> None:
    """Whatever of the database, the log, the index or the JSON files: the rest has it."""
    copy_folder(whole, tmp_path / "known")
    known = await content(tmp_path / "known")
    for seed in range(2):
        copy_folder(whole, folder)
        done = damage.do(folder, chance_of(f"{damage.name} {seed}"))
        outcome = await repaired(folder, known)
        assert (0, 0) == (outcome.lost, outcome.left), f"seed {seed}: {done}: {outcome}"


async def test_every_flipped_bit_of_a_json_file_is_found_although_its_time_is_the_same(folder: Path) -> None:
    """Thirty of thirty."""
    await _settle(folder)
    [files] = [check for check in SQLiteStore(folder).checks() if check.name == "files"]
    chance = chance_of(4)
    for number in range(30):
        path = folder / f"w{number % 5}.json"
        kept, status = path.read_bytes(), path.stat()
        done = flip(path, chance, 1)
        assert (await files.look(lambda *_: None)).problems, done
        path.write_bytes(kept)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


async def test_wrong_counters_are_counted_anew(folder: Path) -> None:
    """And the file of the workflow says the right number, too; sizes are counters like the others."""
    await _settle(folder)
    await _execute(folder, "UPDATE workflows SET success = success + 3, failed = 9 WHERE workflow_id = 'w2'")
    await _execute(folder, "UPDATE workflows SET size = 1 WHERE workflow_id = 'w3'")
    assert "counters of 2 workflows are wrong: w2, w3" in _sentences(_named(await examined(folder), "counters"))
    report = _named(await examined(folder, repair=True), "counters")
    assert ("ok", 1) == (report.verdict, len(report.repaired))
    assert [] == list(problems_of(await examined(folder)))
    shown = orjson.loads((folder / "w2.json").read_bytes())
    assert len(shown["histories"]) == shown["total"]


async def test_a_damaged_run_comes_back_from_its_json_file(folder: Path) -> None:
    """One that is in no file either is named, and left to a backup."""
    await _settle(folder)
    damage(folder, "run-00002", workflow_id="w2")
    damage(folder, "run-00003", workflow_id="w3")
    (folder / "w3.json").unlink()
    found = _sentences(_named(await examined(folder), "records"))
    assert "sound in its JSON file: w2/run-00002" in found
    assert "in no JSON file: w3/run-00003" in found
    reports = await examined(folder, repair=True)
    assert "rewritten from its JSON file" in str(_named(reports, "records").repaired)
    assert ["1 run is damaged, and in no JSON file: w3/run-00003."] == list(problems_of(await examined(folder)))


async def test_columns_that_contradict_their_run_are_made_anew_from_it(folder: Path) -> None:
    """The document has a checksum, they have none."""
    await _settle(folder)
    await _execute(folder, "UPDATE executions SET update_time = update_time + 9 WHERE execute_id = 'run-00004'")
    assert "contradict it: w4/run-00004" in _sentences(_named(await examined(folder), "records"))
    await examined(folder, repair=True)
    assert [] == list(problems_of(await examined(folder)))


async def test_nothing_is_repaired_while_another_program_has_the_history_open(folder: Path) -> None:
    """It is named, with its number and its command; the checks are made beside it."""
    await _settle(folder)
    flip(folder / "w1.json", chance_of(1), 3)
    holds = (
        "import sys, apsw; c = apsw.Connection(sys.argv[1]); c.pragma('user_version'); print(1, flush=True); input()"
    )
    command = [sys.executable, "-c", holds, str(folder / "history.db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        kept = (folder / "w1.json").read_bytes()
        reports = await examined(folder, repair=True)
        assert f"process {other.pid} (" in _sentences(_named(reports, "processes"))
        assert "stop that first" in str(_named(reports, "files").refusal)
        assert kept == (folder / "w1.json").read_bytes()
        other.communicate(b"\n")
    assert _named(await examined(folder, repair=True), "files").repaired


async def test_a_history_that_is_open_in_this_program_is_not_replaced_under_it(folder: Path) -> None:
    """What an open store can repair itself is repaired."""
    async with opened(folder) as store:
        flip(folder / "w1.json", chance_of(1), 3)
        [files] = [check for check in store.checks() if check.name == "files"]
        [finding] = (await files.look(lambda *_: None)).problems
        assert finding.repair is not None
        await finding.repair()
        assert () == tuple((await files.look(lambda *_: None)).problems)


async def test_a_repair_is_noted_in_the_audit_log(folder: Path) -> None:
    """With what was done."""
    await _settle(folder)
    (folder / "history.db").write_bytes(b"no database" * 1000)
    await examined(folder, repair=True)
    async with opened(folder) as store:
        line = (await store.audit(0, 100))[-1]
        assert ("local:", "doctor") == (line.actor[:6], line.action)
        assert "history.db was rebuilt" in orjson.loads(line.details)["repaired"]["database"][0]


async def test_the_damaged_database_is_kept(folder: Path) -> None:
    """As it was, in a folder that says when."""
    await _settle(folder)
    damaged = b"no database" * 1000
    (folder / "history.db").write_bytes(damaged)
    report = _named(await examined(folder, repair=True), "database")
    [kept] = folder.glob("history.db.damaged-*")
    assert kept.name in str(report.repaired[0])
    assert damaged == (kept / "history.db").read_bytes()
    assert kept.name in _sentences(_named(await examined(folder), "files"))


async def test_a_quick_examination_reads_no_record(folder: Path) -> None:
    """What takes longer with a longer history is left out."""
    settings_only = {report.name for report in await examined(folder, is_quick=True)}
    assert {"versions", "permissions", "space", "waiting", "processes", "runs"} == settings_only


async def test_files_that_their_owner_cannot_write_are_opened_up(folder: Path) -> None:
    """They are named first."""
    (folder / "w1.json").chmod(0o400)
    assert "w1.json" in _sentences(_named(await examined(folder), "permissions"))
    await examined(folder, repair=True)
    assert 0o600 == (folder / "w1.json").stat().st_mode & 0o777


async def test_runs_whose_recorder_is_gone_are_told_of(folder: Path) -> None:
    """It is no problem: who serves asks Coze about them."""
    async with opened(folder) as store:
        now = now_ms()
        await store.create(document("left", "w1", now - 60_000, metadata={RECORDER.name: "a:-:-:1:-"}))
        await store.create(document("long", "w1", now - 100 * 3_600_000, metadata={RECORDER.name: "b"}))
        await store.renew_lease("b", 60_000)
    report = _named(await examined(folder), "runs")
    assert "The program that recorded 1 run is gone: left." in _sentences(report)
    assert "7 runs have been going on for more than 26 hours" in _sentences(report)
    assert "remark" == report.verdict


async def test_a_clock_that_was_wrong_shows_in_the_times(folder: Path) -> None:
    """Runs in the future are a problem, a clock that went back is worth knowing."""
    async with opened(folder) as store:
        ids = [new_execute_id() for _ in range(2)]
        ahead = now_ms() + 3_600_000
        early = f"{ahead:012x}"
        await store.create(document(f"{early[:8]}-{early[8:]}{ids[0][13:]}", "w1", ahead))
        await store.create(document(ids[1], "w1", now_ms()))
    report = _named(await examined(folder), "times")
    assert "1 run begins in the future" in _sentences(report)
    assert "The clock went back once" in _sentences(report)
    assert 1 == sum(finding.is_problem for finding in report.findings)


async def test_a_database_of_a_newer_version_is_not_repaired(folder: Path) -> None:
    """It is sound; this program is too old for it."""
    await _settle(folder)
    await _execute(folder, "INSERT INTO migrations VALUES (999, 'later', 0)")
    database = _named(await examined(folder, repair=True), "database")
    assert [] == list(database.repaired)
    assert "newer version" in _sentences(database)


async def test_a_writer_waits_while_a_database_is_made_anew(folder: Path) -> None:
    """The doctor waits for the lock of the folder, too."""
    await _settle(folder)
    (folder / "history.db").write_bytes(b"no database" * 1000)
    lock = ProcessLock(folder / ".lock")
    lock.acquire()
    repairing = asyncio.create_task(examined(folder, repair=True))
    await asyncio.sleep(0.2)
    assert not list(folder.glob("history.db.damaged-*"))
    lock.release()
    lock.close()
    assert _named(await repairing, "database").repaired


async def test_an_index_that_says_something_else_than_the_history_is_rebuilt(folder: Path) -> None:
    """A run that it lacks, and one of which it has another status."""
    async with opened(folder) as store:
        await store.follow_index()
    for sql in (
        "DELETE FROM facets WHERE execute_id = 'run-00007'",
        "UPDATE facets SET status = 3 WHERE execute_id = 'run-00007'",
    ):
        with closing(apsw.Connection(str(folder / "index.db"))) as connection:
            connection.execute(sql)
        assert "Run 'run-00007' differs" in _sentences(_named(await examined(folder), "index"))
        await examined(folder, repair=True)
        assert "ok" == _named(await examined(folder), "index").verdict


async def test_an_id_that_is_not_utf_8_any_more_is_damage_of_the_database(folder: Path) -> None:
    """SQLite does not look at it; the document says what it was."""
    await _settle(folder)
    await _execute(folder, "UPDATE executions SET execute_id = CAST(? AS TEXT) WHERE seq = 9", b"run\xf200008")
    assert "not UTF-8" in _sentences(_named(await examined(folder), "database"))
    await examined(folder, repair=True)
    assert [] == list(problems_of(await examined(folder)))
    async with opened(folder) as store:
        assert None is not await store.get("w3", "run-00008")


async def test_what_cannot_be_repaired_is_said_beside_what_was(folder: Path) -> None:
    """A folder in the place of a JSON file: the others are written anew."""
    await _settle(folder)
    flip(folder / "w1.json", chance_of(5), 2)
    (folder / "w2.json").unlink()
    (folder / "w2.json").mkdir()
    (folder / "w2.json" / "something").touch()
    reports = await examined(folder, repair=True)
    files = _named(reports, "files")
    assert "ok" != files.verdict
    assert "w1.json" not in _sentences(files)
