"""The doctor of a history in a folder: what it finds, what it repairs, and what it leaves alone."""

import asyncio
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import apsw
import orjson
import pytest
from bench.fault_damage import (
    BEGAN,
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

from execution_history.access.keys import Keys
from execution_history.clock import new_execute_id, now_ms
from execution_history.maintenance.doctor import CheckReport
from execution_history.records.metadata import RECORDER
from execution_history.records.record import Document
from execution_history.stores import SQLiteStore
from execution_history.stores.sqlite.checkup.view import limited
from execution_history.stores.sqlite.process_lock import ProcessLock
from execution_history.stores.sqlite.salvage.cells import children
from execution_history.stores.verification import Effort, runs_read
from tests.sample_records import change, changed, document
from tests.stores.sqlite.damage import damage

pytestmark = pytest.mark.anyio

_RUNS = 60
_Content = tuple[dict[tuple[str, str], bytes], set[bytes]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A history as a killed program leaves it; tests copy it."""
    folder = tmp_path_factory.mktemp("whole") / "h"
    asyncio.run(make_folder(folder, _RUNS))
    return folder


@pytest.fixture(scope="module")
def known(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> _Content:
    """What is in it."""
    folder = tmp_path_factory.mktemp("known") / "h"
    copy_folder(whole, folder)
    return asyncio.run(content(folder))


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
async def test_what_was_damaged_is_repaired_and_no_run_is_lost(folder: Path, known: _Content, damage: Damage) -> None:
    """Whatever of the database, the log, the index or the JSON files: the rest has it."""
    done = damage.do(folder, chance_of(f"{damage.name} 0"))
    outcome = await repaired(folder, known)
    assert (0, 0) == (outcome.lost, outcome.left), f"{done}: {outcome}"


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
    assert "can be recovered: w2/run-00002" in found
    assert "in no JSON file: w3/run-00003" in found
    reports = await examined(folder, repair=True)
    assert "1 damaged run was recovered" in str(_named(reports, "records").repaired)
    assert ["1 run is damaged, and in no JSON file: w3/run-00003."] == list(problems_of(await examined(folder)))


async def test_columns_that_contradict_their_run_are_made_anew_from_it(folder: Path) -> None:
    """The document has a checksum, they have none."""
    await _settle(folder)
    await _execute(folder, "UPDATE executions SET update_time = update_time + 9 WHERE execute_id = 'run-00004'")
    assert "contradict it: w4/run-00004" in _sentences(_named(await examined(folder), "records"))
    await examined(folder, repair=True)
    assert [] == list(problems_of(await examined(folder)))


@pytest.mark.parametrize(
    ("old", "new"), [("WHERE status IN (0, 3)", "WHERE status IN (0, 2)"), ("'the audit log", "'the audit lof")]
)
async def test_a_schema_that_a_disk_has_changed_is_made_anew(folder: Path, old: str, new: str) -> None:
    """SQLite's own check passes it; every run stays."""
    await _settle(folder)
    known = await content(folder)
    database = folder / "history.db"
    text = database.read_bytes()
    assert old.encode() in text
    database.write_bytes(text.replace(old.encode(), new.encode()))
    assert "The schema of history.db is damaged" in _sentences(_named(await examined(folder), "database"))
    await examined(folder, repair=True)
    assert [] == list(problems_of(await examined(folder)))
    assert known == await content(folder)


async def test_a_trigger_that_somebody_has_added_is_damage(folder: Path) -> None:
    """SQLite would run it with the next write; the new database has none, and every run stays."""
    await _settle(folder)
    known = await content(folder)
    with closing(apsw.Connection(str(folder / "history.db"))) as connection:
        connection.execute("CREATE TRIGGER stray AFTER INSERT ON audit BEGIN DELETE FROM executions; END")
    assert "The schema of history.db is damaged: stray." in _sentences(_named(await examined(folder), "database"))
    await examined(folder, repair=True)
    assert [] == list(problems_of(await examined(folder)))
    assert known == await content(folder)


@pytest.mark.parametrize(
    "column", ["value = CAST(replace(CAST(value AS TEXT), 'r', 's') AS BLOB)", "key = 'x' || key", "changed_at = 9"]
)
async def test_an_entry_that_is_not_what_its_copy_says_is_taken_from_there(folder: Path, column: str) -> None:
    """The copy has a checksum."""
    await _settle(folder)
    known = await content(folder)
    await _execute(folder, f"UPDATE registry SET {column}")  # noqa: S608 - from the list above
    assert "5 entries of the registry" in _sentences(_named(await examined(folder), "database"))
    await examined(folder, repair=True)
    assert [] == list(problems_of(await examined(folder)))
    assert known == await content(folder)


@pytest.mark.parametrize("columns", ["revision = revision - 1", "updated_at = updated_at + 64"])
async def test_a_damaged_file_wins_nothing_where_its_workflow_is_damaged_too(folder: Path, columns: str) -> None:
    """It has the time that it was given here: no hand has edited it, whatever the row of the workflow says."""
    await _settle(folder)
    known = await content(folder)
    file = folder / "w2.json"
    status = file.stat()
    text = file.read_bytes()
    file.write_bytes(text.replace(b"done done", b"done$done"))
    assert text != file.read_bytes()
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    await _execute(folder, f"UPDATE workflows SET {columns} WHERE workflow_id = 'w2'")  # noqa: S608 - from the list above
    await _settle(folder)
    assert known == await content(folder)


async def test_a_run_that_only_its_file_has_is_named(folder: Path) -> None:
    """Nothing proves what a disk may have done to the file."""
    await _settle(folder)
    with closing(apsw.Connection(str(folder / "history.db"))) as connection:
        root: Any = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'executions'").get
    content_of = (folder / "history.db").read_bytes()
    leaf = children(content_of[(root - 1) * 4096 : root * 4096], root)[0]
    (folder / "history.db").write_bytes(content_of[: (leaf - 1) * 4096] + bytes(4096) + content_of[leaf * 4096 :])
    said = str(_named(await examined(folder, repair=True), "database").repaired)
    assert "as their JSON files have them, which nothing proves: w" in said


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


async def test_a_history_that_others_write_meanwhile_is_sound(folder: Path) -> None:
    """A commit that is just being written is no damage of the log, nor what the index has not followed yet."""
    async with opened(folder) as store:
        found = list[str]()

        async def write(writer: int) -> None:
            number = 0
            while not is_over.is_set():
                number += 1
                await store.create(document(f"new-{writer}-{number}", f"w{number % 5}", BEGAN + number))

        is_over = asyncio.Event()
        writers = [asyncio.create_task(write(number)) for number in range(4)]
        for _ in range(2):
            for check in SQLiteStore(folder).checks():
                found += [str(each.sentence) for each in (await check.look(lambda *_: None)).problems]
        is_over.set()
        await asyncio.gather(*writers)
    assert [] == found


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


async def test_keys_that_are_lost_are_named(folder: Path) -> None:
    """With what brings them back; one that was revoked is not lost. Without any left, that is a problem."""
    async with opened(folder) as store:
        keys = Keys(store, now_ms)
        for name in ("team", "ci", "gone"):
            await keys.add(name, ["read"])
        await keys.revoke("gone")
    assert "ok" == _named(await examined(folder), "keys").verdict
    async with opened(folder) as store:
        first = (await store.entries("key"))[0].name.key
    await _execute(folder, "DELETE FROM registry WHERE kind = 'key' AND key = ?", first)
    report = _named(await examined(folder), "keys")
    assert ("remark", True) == (report.verdict, "1 key is gone without having been revoked" in _sentences(report))
    await _execute(folder, "DELETE FROM registry WHERE kind = 'key'")
    report = _named(await examined(folder), "keys")
    assert "problem" == report.verdict
    assert "2 keys are gone without having been revoked: team, ci." in _sentences(report)
    assert f"execution-history restore FOLDER --missing --store {folder}" in str(report.findings[0].remedy)


async def test_an_interrupted_repair_is_in_the_audit_log(folder: Path) -> None:
    """Its beginning, where the database can be written; what a database was rebuilt from is noted once that is done."""
    await _settle(folder)
    next(folder.glob("*.json")).write_bytes(b"[]")
    await examined(folder, repair=True)
    async with opened(folder) as store:
        found = [orjson.loads(line.details) for line in await store.audit(0, 100) if line.action == "doctor"]
    assert [{"begun": "files"}, ["files"]] == [found[0], list(found[1]["repaired"])]


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


async def test_a_quick_examination_reads_samples(folder: Path) -> None:
    """Of a small history all records; what takes longer with a longer history is left out."""
    await _settle(folder)
    damage(folder, "run-00002", workflow_id="w2")
    await _execute(folder, "UPDATE workflows SET failed = 9 WHERE workflow_id = 'w3'")
    reports = await examined(folder, is_quick=True)
    assert {"files", "times"}.isdisjoint(report.name for report in reports)
    assert "can be recovered: w2/run-00002" in _sentences(_named(reports, "records"))
    assert "wrong: w3" in _sentences(_named(reports, "counters"))


async def test_a_quick_look_ends_what_takes_longer() -> None:
    """However large a table is; the usual check reads all of it."""
    with closing(apsw.Connection(":memory:")) as connection:
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
        with limited(connection, "quick", 0) as limit:
            connection.execute(endless).fetchall()
        assert limit.is_reached
        with limited(connection, "usual", 0) as limit:
            connection.execute(f"{endless} WHERE i = 1 LIMIT 1".replace("FROM n)", "FROM n LIMIT 90000)")).fetchall()
        assert not limit.is_reached


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


def _made_at(time: int) -> str:
    """Return an execute id that was made at *time* (ms)."""
    digits = f"{time:012x}"
    return f"{digits[:8]}-{digits[8:]}{new_execute_id()[13:]}"


@pytest.mark.parametrize(
    ("machines", "is_live", "is_told"),
    [
        (("boot-1:1:8:1", "boot-1:1:9:1"), True, True),
        (("boot-1:1:8:1", "boot-2:1:9:1"), True, False),  # of two machines, or one before and after it was restarted
        (("demo", "demo"), True, False),
        (("boot-1:1:8:1", "boot-1:1:9:1"), False, False),  # imported in the order of JSON files, the newest first
    ],
)
async def test_a_clock_that_went_back_is_told_of_what_was_recorded_here_only(
    folder: Path, machines: tuple[str, str], *, is_live: bool, is_told: bool
) -> None:
    """An import says nothing of the clock."""
    async with opened(folder) as store:
        for number, machine in enumerate(machines):
            time = now_ms() - 3_600_000 * (number + 1)
            known = document(_made_at(time), "w1", time, metadata={RECORDER.name: f"r{number}:{machine}"})
            await store.merge([known])
            if is_live:
                await store.update("w1", known.execute_id, change(time + 5, "success"))
    report = _named(await examined(folder), "times")
    assert is_told is ("The clock went back once" in _sentences(report))
    assert [] == [finding for finding in report.findings if finding.is_problem]


async def test_runs_in_the_future_are_a_problem(folder: Path) -> None:
    """However they came."""
    async with opened(folder) as store:
        await store.create(document("early", "w1", now_ms() + 3_600_000))
    assert "1 run begins in the future: early." in _sentences(_named(await examined(folder), "times"))


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


_INDEXED: Final = (
    "tokens = coalesce(tokens, 0) + 1", "duration = 1", "cost = 5", "currency = 1", "failed_in = 1", "error_code = 1",
    "has_output = 1 - has_output", "pinned = 1", "rating = 5", "account = 1", "caller = 1", "bot = 1", "log_id = 'x'",
    "conversation = 'x'", "parent = 'x'", "upstream = 'x'", "run_mode = 9", "status = 3", "fingerprint = 7",
)  # fmt: skip


@pytest.fixture(scope="module")
def indexed(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The history with an index that has all of it, among it a run with nodes, tags and an error."""
    folder = tmp_path_factory.mktemp("indexed") / "h"
    copy_folder(whole, folder)

    async def fill() -> None:
        async with opened(folder) as store:
            for number in range(2):
                await store.merge([_full(f"full-{number}")])
            await store.follow_index()

    asyncio.run(fill())
    return folder


def _full(execute_id: str) -> Document:
    nodes = {"Writer": {"node_id": "7", "is_finish": False, "start_time": BEGAN, "update_time": BEGAN + 7}}
    ended = {"node_execute_status": nodes, "error_code": "4000", "error_message": "Quota", "metadata": {"tags": ["a"]}}
    return changed(document(execute_id, "w1", BEGAN), BEGAN + 9, "failed", **ended)


async def _found_in_index(folder: Path, sql: str, effort: Effort = "usual") -> str:
    """Return what the doctor finds once the index was changed by *sql*."""
    with closing(apsw.Connection(str(folder / "index.db"))) as connection:
        connection.execute(sql)
    [check] = [check for check in SQLiteStore(folder).checks(effort) if check.name == "index"]
    return " ".join(str(finding.sentence) for finding in (await check.look(lambda *_: None)).problems)


@pytest.mark.parametrize("new", _INDEXED)
async def test_every_column_of_the_index_is_compared_with_the_records(indexed: Path, tmp_path: Path, new: str) -> None:
    """The finding says which one differs."""
    copy_folder(indexed, tmp_path / "h")
    sql = f"UPDATE facets SET {new} WHERE execute_id = 'run-00007'"  # noqa: S608 - of the list above
    found = await _found_in_index(tmp_path / "h", sql)
    assert f"1 run differs between index.db and its record: run-00007 ({new.split(maxsplit=1)[0]})." == found


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("DELETE FROM facets WHERE execute_id = 'run-00007'", "run-00007 (facets)"),
        ("UPDATE facets SET seq = 9000 WHERE execute_id = 'run-00007'", "run-00007 (facets)"),
        ("DELETE FROM tags", "2 runs differ between index.db and their records: full-0 (tags), full-1 (tags)."),
        ("UPDATE failed_nodes SET name = name + 1000", "full-0 (failed_nodes)"),
        ("UPDATE nodes SET duration = 8", "full-0 (nodes)"),
        ("DELETE FROM failures", "full-0 (failures)"),
        ("UPDATE rollups SET tokens = tokens + 1", "1 table of index.db are not those of its rows: rollups."),
        ("DELETE FROM durations WHERE workflow = 0", "rows: durations."),
        ("INSERT INTO costs VALUES (0, 0, 1, 1, 1)", "rows: costs."),
        ("UPDATE days SET hours = zeroblob(192) WHERE node = 0", "rows: days."),
        ("UPDATE days SET success = 8 WHERE node > 0", "rows: days."),
        ("DELETE FROM words", "(words)"),
    ],
)
async def test_tables_and_sums_of_the_index_are_compared(indexed: Path, tmp_path: Path, sql: str, found: str) -> None:
    """Those of rows with the records, sums with the rows."""
    copy_folder(indexed, tmp_path / "h")
    assert found in await _found_in_index(tmp_path / "h", sql)


async def test_a_thorough_examination_finds_texts_that_a_record_does_not_have(indexed: Path, tmp_path: Path) -> None:
    """The usual one looks, in a sample, only for what should be there."""
    copy_folder(indexed, tmp_path / "h")
    assert "" == await _found_in_index(tmp_path / "h", "SELECT 1", "thorough")
    added = "INSERT INTO words (rowid, tokens) SELECT max(rowid) + 1, '=quota ^q' FROM words_docsize"
    found = await _found_in_index(tmp_path / "h", added.replace("rowid) + 1", "id) + 1"), "thorough")
    assert "The texts in index.db are not those of the records." == found


async def test_an_index_that_says_something_else_than_the_history_is_rebuilt(indexed: Path, tmp_path: Path) -> None:
    """Nothing is left to be found."""
    copy_folder(indexed, tmp_path / "h")
    assert await _found_in_index(tmp_path / "h", "UPDATE facets SET tokens = 1 WHERE seq < 9")
    assert "ok" == _named(await examined(tmp_path / "h", repair=True), "index").verdict


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


def test_a_sample_is_told_as_one() -> None:
    """How many runs were read, and of how many."""
    assert ("889 of 2 130 runs read", "2 130 runs read") == (runs_read(889, 2130), runs_read(2130, 0))
