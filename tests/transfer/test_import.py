"""Bringing records in: merged, repeatable, whatever the file is like, and every refusal has a place and a reason."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_history import ExecutionHistoryService
from execution_history.errors import ImportFailed
from execution_history.query.fields import RecordFilter
from execution_history.records.record import Document, RecordChange, new_document
from execution_history.stores import MemoryStore, SQLiteStore
from execution_history.stores.protocol import HistoryStore
from execution_history.transfer import Export, ImportReport, Progress, export_to_path, import_history
from tests.examples import examples
from tests.sample_records import change, document
from tests.stores.sqlite.damage import damage
from tests.transfer.histories import everything, fill

pytestmark = pytest.mark.anyio

TEXT = st.text(max_size=12) | st.sampled_from(
    ["北京", "\u2028", "\ud800", "\0", '"', "\\", "=1", "𝄞", "null", "9" * 30]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
IDS = TEXT.filter(lambda text: text != "" and "\ud800" not in text)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """A record that has begun, perhaps ended, and perhaps been changed later, with any values in it."""
    made = new_document(
        workflow_id=draw(IDS),
        execute_id=draw(IDS),
        now=draw(st.integers(1, 10**7) | st.integers(10**11, 10**13 - 9)),
        parameters=draw(VALUES),
        metadata=draw(st.none() | st.dictionaries(TEXT, VALUES, max_size=3)),
        bot_id=draw(st.none() | TEXT),
        run_mode=draw(st.sampled_from([0, 1, 2])),
    )
    endings: list[list[str | None]] = [[], ["success"], ["interrupted", "failed"], ["failed", None]]
    for status in draw(st.sampled_from(endings)):
        fields = {"output": draw(VALUES), "usage": draw(VALUES), "node_execute_status": draw(VALUES)}
        changed = RecordChange.of(made.create_time + 1, status, {"k": draw(VALUES)}, fields=fields).apply(made.body)
        assert changed is not None
        made = changed
    return made


@pytest.mark.parametrize("name", ["out.jsonl", "out", "out.zip"])
@examples(8)
@given(made=st.lists(documents(), max_size=6))
async def test_what_is_exported_and_imported_is_the_same_byte_for_byte(name: str, made: list[Document]) -> None:
    """For records of any content, in every format that can be imported, into an empty store."""
    before, after = MemoryStore(), MemoryStore()
    await before.merge(made)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        exported = await export_to_path(
            ExecutionHistoryService(before), path, Export(format="jsonl" if name == "out.jsonl" else "json")
        )
        report = await import_history(ExecutionHistoryService(after), [path] if exported.records else [])

    assert 0 == report.refused_count
    assert sorted(await everything(before)) == sorted(await everything(after))


async def test_a_whole_history_keeps_its_order(filled: HistoryStore, tmp_path: Path) -> None:
    """JSON Lines of everything bring the order of arrival with them, into a store on the disk too."""
    await export_to_path(ExecutionHistoryService(filled), tmp_path / "out.jsonl", Export())
    copy = SQLiteStore(tmp_path / "copy")

    report = await import_history(ExecutionHistoryService(copy), [tmp_path / "out.jsonl"])

    assert await everything(filled) == await everything(copy)
    assert (10, 0, 0, 0) == (report.added, report.replaced, report.skipped, report.refused_count)
    assert {"w.json", "工作流.json"} == {path.name for path in (tmp_path / "copy").glob("*.json")}
    await copy.aclose()


async def test_importing_again_changes_nothing(store: HistoryStore, filled: HistoryStore, tmp_path: Path) -> None:
    """What is there in the same or a newer version is skipped; an older one is replaced."""
    await export_to_path(ExecutionHistoryService(filled), tmp_path / "out.jsonl", Export())
    newer = MemoryStore()
    await newer.merge([document("e0", now=1_000), document("e2", now=1_000)])
    await newer.update("w", "e2", change(99_000, "success"))

    first = await import_history(ExecutionHistoryService(newer), [tmp_path / "out.jsonl"])
    before = await everything(newer)
    second = await import_history(ExecutionHistoryService(newer), [tmp_path / "out.jsonl"])

    assert (8, 1, 1) == (first.added, first.replaced, first.skipped)
    assert (0, 0, 10) == (second.added, second.replaced, second.skipped)
    assert before == await everything(newer)
    assert store is filled


async def test_a_folder_of_a_store_is_read_and_not_changed(tmp_path: Path) -> None:
    """Its database is the source, also while it is open elsewhere, and no file in it is touched."""
    source = SQLiteStore(tmp_path / "source")
    await source.open()
    await fill(source, 2_500)
    await source.clear("w")
    await source.flush()
    copy = MemoryStore()

    opened = await import_history(ExecutionHistoryService(copy), [tmp_path / "source"])
    await source.aclose()
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "source").iterdir()}
    again = await import_history(ExecutionHistoryService(copy), [tmp_path / "source" / "history.db"])

    assert (1_250, 0) == (opened.added, opened.refused_count)
    assert 1_250 == again.skipped
    assert before == {
        path.name: path.stat().st_mtime_ns
        for path in (tmp_path / "source").iterdir()
        if not path.name.endswith(("-wal", "-shm"))
    }


async def test_a_store_on_a_read_only_disk_is_read(tmp_path: Path) -> None:
    """A folder that nothing may be written into gives up its records all the same."""
    source = SQLiteStore(tmp_path / "source", json_files=False)
    await source.open()
    await fill(source)
    await source.aclose()
    (tmp_path / "source").chmod(0o500)
    try:
        report = await import_history(ExecutionHistoryService(MemoryStore()), [tmp_path / "source"])
    finally:
        (tmp_path / "source").chmod(0o700)

    assert 10 == report.added


async def test_a_damaged_database_says_so(tmp_path: Path) -> None:
    """What is no database is refused with a reason, and nothing fails."""
    (tmp_path / "history.db").write_bytes(b"not a database" * 1_000)

    report = await import_history(ExecutionHistoryService(MemoryStore()), [tmp_path])

    assert ["after record 0"] == [each.place for each in report.refused]
    assert "damaged" in report.refused[0].reason


@pytest.mark.parametrize("json_files", [True, False])
async def test_a_damaged_record_of_another_history_is_one_refusal(tmp_path: Path, json_files: bool) -> None:
    """Unless the JSON file beside it still has it; the others come in."""
    source = SQLiteStore(tmp_path / "source", json_files=json_files)
    await source.open()
    for name in ("a", "b", "c"):
        await source.create(document(name))
    await source.aclose()
    damage(tmp_path / "source", "b")

    store = MemoryStore()
    report = await import_history(ExecutionHistoryService(store), [tmp_path / "source"])

    assert (3 if json_files else 2) == report.added
    assert ([] if json_files else ["run b of workflow w"]) == [each.place for each in report.refused]
    assert await store.get("w", "c") is not None


async def test_the_folder_of_a_deployment_is_taken_in(store: HistoryStore, tmp_path: Path) -> None:
    """Files of older versions, with four keys missing and an error code of any type; the file's workflow counts."""
    old = tmp_path / "old"
    old.mkdir()
    time = {"execute_status": "success", "create_time": 1_700_000_000_000}
    record = {"execute_id": "a", **time, "execute_status": "success", "error_code": "0"}
    content = {"workflow_id": "731", "total": 1, "histories": [record], "updated_at": 1}
    (old / "731.json").write_text(json.dumps(content, ensure_ascii=False, indent=2), "utf-8")
    (old / "732.json").write_text(
        json.dumps([{"execute_id": 7} | time, {"no": "id"}, {"execute_id": "b"} | time]), "utf-8"
    )
    (old / "config.json").write_text('{"port": 8000}')
    (old / "notes.txt").write_text("not looked at")

    report = await import_history(ExecutionHistoryService(store), [old])

    assert (3, 2) == (report.added, report.refused_count)
    assert [("732.json", "record 2", "It has no execute_id."), ("config.json", "the file")] == [
        (Path(each.source).name, each.place, each.reason)[: 3 if each.place != "the file" else 2]
        for each in report.refused
    ]
    found = await store.get("731", "a")
    assert found is not None
    assert None is orjson.loads(found)["node_execute_status"]
    assert await store.get("732", "7") is not None


async def test_a_truncated_json_file_gives_up_what_is_whole(filled: HistoryStore, tmp_path: Path) -> None:
    """Every record before the cut comes in, and the report says that the file is damaged."""
    wanted = Export(format="json", record_filter=RecordFilter(workflow_ids=("w",)))
    await export_to_path(ExecutionHistoryService(filled), tmp_path / "out.json", wanted)
    data = (tmp_path / "out.json").read_bytes()
    (tmp_path / "out.json").write_bytes(data[: len(data) * 2 // 3])
    copy = MemoryStore()

    report = await import_history(ExecutionHistoryService(copy), [tmp_path / "out.json"])

    assert 3 == report.added
    assert "It is damaged; 3 records could still be read." == report.refused[-1].reason
    assert set(await everything(copy)) < set(await everything(filled))


async def test_truncated_lines_give_up_what_is_whole(filled: HistoryStore, tmp_path: Path) -> None:
    """The last line is named as cut off, and taken when only its line break is missing."""
    await export_to_path(ExecutionHistoryService(filled), tmp_path / "out.jsonl", Export())
    data = (tmp_path / "out.jsonl").read_bytes()
    (tmp_path / "cut.jsonl").write_bytes(data[:-100])
    (tmp_path / "whole.jsonl").write_bytes(data[:-1])

    cut = await import_history(ExecutionHistoryService(MemoryStore()), [tmp_path / "cut.jsonl"])
    whole = await import_history(ExecutionHistoryService(MemoryStore()), [tmp_path / "whole.jsonl"])

    assert (9, 1) == (cut.added, cut.refused_count)
    assert "line 10" == cut.refused[0].place
    assert cut.refused[0].reason.startswith("The file ends here, perhaps in the middle of a record.")
    assert (10, 0) == (whole.added, whole.refused_count)


async def test_hostile_lines_are_refused_one_by_one(store: HistoryStore, tmp_path: Path) -> None:
    """A byte order mark, CR LF and blank lines are fine; each line that is no record has its number and a reason."""
    good = document("good").body
    hostile = [
        b"\xef\xbb\xbf" + good,
        b"",
        b"   ",
        b"\0",
        b"{not json}",
        b'"text"',
        b"[1]",
        b"NaN",
        b"\xff\xfe{}",
        b"{}",
        b'{"execute_id": "x"}',
        b'{"execute_id": "", "workflow_id": "w"}',
        b'{"execute_id": "x", "workflow_id": {}}',
        b'{"execute_id": "\\ud800", "workflow_id": "w"}',
        b'{"execute_id": "' + b"x" * 1_001 + b'", "workflow_id": "w"}',
        b"[" * 100_000,
        b'{"execute_id": "deep", "workflow_id": "w", "output": ' + b"[" * 2_000 + b"}" * 2_000 + b"}",
        good.replace(b"good", b"crlf"),
    ]
    (tmp_path / "in.jsonl").write_bytes(b"\r\n".join(hostile) + b"\r\n")

    report = await import_history(ExecutionHistoryService(store), [tmp_path / "in.jsonl"])

    assert [f"line {number}" for number in range(4, 18)] == [each.place for each in report.refused]
    assert all(each.reason.endswith(".") and "Traceback" not in each.reason for each in report.refused)
    assert 2 == report.added
    assert good == await store.get("w", "good")


async def test_what_is_not_as_we_write_it_is_mended(store: HistoryStore, tmp_path: Path) -> None:
    """Missing keys, times in seconds, numbers as ids and enormous integers: taken, as from a deployment's file."""
    enormous = 12345678901234567890123
    line = (
        b'{"workflow_id": 7321, "execute_id": 99, "execute_status": "Success", "create_time": 1700000000, '
        b'"mine": 1, "output": %d}' % enormous
    )
    (tmp_path / "in.jsonl").write_bytes(line + b"\n")

    report = await import_history(ExecutionHistoryService(store), [tmp_path / "in.jsonl"])
    found = orjson.loads(await store.get("7321", "99") or b"null")

    assert 1 == report.added
    assert (1_700_000_000_000, "12345678901234567890123", {"mine": 1, "execute_status": "Success"}) == (
        found["create_time"], found["output"], found["metadata"]["adopted_fields"],
    )  # fmt: skip


async def test_a_key_that_comes_twice_and_goes_too_deep_ends_nothing(store: HistoryStore, tmp_path: Path) -> None:
    """Its line is mended as any other, and those behind it come in."""
    first, twice, last = (document(execute_id).body for execute_id in ("first", "twice", "last"))
    twice = twice[:-1] + b',"output":' + b"[" * 300 + b"]" * 300 + b"}"
    path = tmp_path / "deep.jsonl"
    path.write_bytes(b"\n".join((first, twice, last)))
    report = await import_history(ExecutionHistoryService(store), [path])
    assert (3, 0) == (report.added, report.refused_count)
    (body,) = await store.find("twice")
    assert orjson.loads(body)["output"]


async def test_of_one_id_in_a_file_the_newer_version_stays(store: HistoryStore, tmp_path: Path) -> None:
    """Duplicates are merged like everything else."""
    old = document("e", now=1_000)
    new = change(5_000, "success").apply(old.body)
    assert new is not None
    (tmp_path / "in.jsonl").write_bytes(b"\n".join([new.body, old.body, new.body]))

    report = await import_history(ExecutionHistoryService(store), [tmp_path / "in.jsonl"])

    assert (1, 0, 2) == (report.added, report.replaced, report.skipped)
    assert new.body == await store.get("w", "e")


@pytest.mark.parametrize("name", ["in.jsonl", "in.json"])
async def test_of_two_records_of_one_id_and_time_the_second_is_named(
    store: HistoryStore, tmp_path: Path, name: str
) -> None:
    """It is not there already; also when the first is in the history, and one that is the same is skipped."""
    record = {"execute_id": "e", "workflow_id": "w", "create_time": 1_700_000_000_000, "execute_status": "success"}
    records = [record | {"output": "FIRST"}, record | {"output": "SECOND"}, record | {"output": "FIRST"}]
    if name == "in.json":
        (tmp_path / name).write_text(json.dumps({"workflow_id": "w", "histories": records}))
    else:
        (tmp_path / name).write_text("".join(json.dumps(each) + "\n" for each in records))

    first = await import_history(ExecutionHistoryService(store), [tmp_path / name])
    again = await import_history(ExecutionHistoryService(store), [tmp_path / name])

    assert (1, 0, 1, 1) == (first.added, first.replaced, first.skipped, first.refused_count)
    assert (0, 0, 2, 1) == (again.added, again.replaced, again.skipped, again.refused_count)
    for report in (first, again):
        (refused,) = report.refused
        assert ("line 2" if name == "in.jsonl" else "record 2") == refused.place
        assert refused.reason.startswith("Another record of the same execute_id and update_time, with other content, ")
    assert "FIRST" == orjson.loads(await store.get("w", "e") or b"null")["output"]


async def test_a_zip_file_of_anything(filled: HistoryStore, tmp_path: Path) -> None:
    """JSON Lines and JSON in it are taken, everything else is passed over, and a broken one says so."""
    await export_to_path(
        ExecutionHistoryService(filled), tmp_path / "out.jsonl", Export(record_filter=RecordFilter(workflow_ids=("w",)))
    )
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.write(tmp_path / "out.jsonl", "deep/in/it.jsonl")
        archive.writestr(
            "../outside.json",
            json.dumps([{"execute_id": "z", "execute_status": "success", "create_time": 1_761_901_941}]),
        )
        archive.writestr("readme.txt", "nothing")
    whole = (tmp_path / "in.zip").read_bytes()
    (tmp_path / "broken.zip").write_bytes(whole[: len(whole) // 2])

    report = await import_history(ExecutionHistoryService(MemoryStore()), [tmp_path / "in.zip"])
    broken = await import_history(ExecutionHistoryService(MemoryStore()), [tmp_path / "broken.zip"])

    assert (6, 0) == (report.added, report.refused_count)
    assert not (tmp_path.parent / "outside.json").exists()
    assert broken.refused[0].reason.startswith("It is not a whole zip file")


async def test_what_is_nothing_to_import_is_said_before_anything_is_imported(tmp_path: Path) -> None:
    """A path that is not there, an empty folder and a table: one sentence, and the other files wait."""
    store = MemoryStore()
    (tmp_path / "good.jsonl").write_bytes(document("e").body)
    (tmp_path / "empty").mkdir()
    (tmp_path / "table.csv").write_text("execute_id\n1\n")

    for name, reason in (
        ("missing.jsonl", "cannot be imported: No such file"),
        ("empty", "holds nothing to import"),
        ("table.csv", "is a table, which does not hold whole records"),
    ):
        with pytest.raises(ImportFailed, match=reason):
            await import_history(ExecutionHistoryService(store), [tmp_path / "good.jsonl", tmp_path / name])

    assert [] == await everything(store)


async def test_an_empty_file_holds_nothing(tmp_path: Path) -> None:
    """No record, and no failure; a file that says nothing at all is named."""
    (tmp_path / "in.jsonl").write_bytes(b"")

    assert ImportReport() == await import_history(ExecutionHistoryService(MemoryStore()), [tmp_path / "in.jsonl"])


async def test_the_report_keeps_a_thousand_refusals_and_counts_all(tmp_path: Path) -> None:
    """A file of garbage does not fill the memory."""
    (tmp_path / "in.jsonl").write_bytes(b"garbage\n" * 5_000)

    report = await import_history(ExecutionHistoryService(MemoryStore()), [tmp_path / "in.jsonl"])

    assert (5_000, 1_000) == (report.refused_count, len(report.refused))
    assert 1_000 == len(report.to_json()["refused"])


async def test_progress_counts_records_and_bytes(store: HistoryStore, tmp_path: Path) -> None:
    """Both rise up to what the report says; the size of files is known beforehand."""
    (tmp_path / "in.jsonl").write_bytes(b"".join(document(f"e{n}").body + b"\n" for n in range(2_500)))
    told: list[Progress] = []

    report = await import_history(ExecutionHistoryService(store), [tmp_path / "in.jsonl"], on_progress=told.append)

    counts = [progress.records for progress in told]
    assert (sorted(set(counts)), 2_500) == (counts, counts[-1])
    assert report.size == told[-1].size == told[-1].total_size == (tmp_path / "in.jsonl").stat().st_size


_IMPORT = """
import asyncio, sys
from pathlib import Path
from execution_history import ExecutionHistoryService
from execution_history.transfer import import_history

async def main():
    async with ExecutionHistoryService(sys.argv[2]) as service:
        await import_history(service, [Path(sys.argv[1])], on_progress=lambda p: print(p.records, flush=True))

asyncio.run(main())
"""


async def test_an_import_that_is_killed_is_continued_by_running_it_again(tmp_path: Path) -> None:
    """What had been told to be in is in, every record is whole, and the second run takes exactly the rest."""
    made: dict[str, Any] = {f"e{n}": document(f"e{n}", "wv"[n % 2], now=1_000 + n).body for n in range(20_000)}
    (tmp_path / "in.jsonl").write_bytes(b"".join(body + b"\n" for body in made.values()))
    with subprocess.Popen(
        [sys.executable, "-c", _IMPORT, str(tmp_path / "in.jsonl"), str(tmp_path / "history")], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        told = 0
        while told < 3_000:
            told = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)

    store = SQLiteStore(tmp_path / "history")
    await store.open()
    survived = await everything(store)
    report = await import_history(ExecutionHistoryService(store), [tmp_path / "in.jsonl"])

    assert told <= len(survived) < 20_000
    assert set(survived) <= set(made.values())
    assert (20_000 - len(survived), len(survived), 0) == (report.added, report.skipped, report.refused_count)
    assert list(made.values()) == await everything(store)
    await store.aclose()


async def test_a_cancelled_import_leaves_whole_records_and_can_go_on(tmp_path: Path) -> None:
    """What had been merged stays and is in its file, nothing is half there, and the next run takes the rest."""
    made = [document(f"e{n}", now=1_000 + n).body for n in range(5_000)]
    (tmp_path / "in.jsonl").write_bytes(b"".join(body + b"\n" for body in made))
    store = SQLiteStore(tmp_path / "history")
    reached = asyncio.Event()
    task = asyncio.create_task(
        import_history(ExecutionHistoryService(store), [tmp_path / "in.jsonl"], on_progress=lambda _: reached.set())
    )
    await reached.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    survived = await everything(store)
    shown = json.loads((tmp_path / "history" / "w.json").read_bytes())["total"]
    report = await import_history(ExecutionHistoryService(store), [tmp_path / "in.jsonl"])

    assert len(survived) == shown
    assert made[: len(survived)] == survived
    assert (5_000 - len(survived), len(survived)) == (report.added, report.skipped)
    assert made == await everything(store)
    await store.aclose()


_ON_A_FULL_DISK = """
import asyncio, resource, sys
from pathlib import Path
from execution_history import ExecutionHistoryService
from execution_history.errors import StoreError
from execution_history.stores import SQLiteStore
from execution_history.transfer import import_history

async def main():
    store = SQLiteStore(Path(sys.argv[2]), json_files=False)
    await store.open()
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))
    try:
        await import_history(ExecutionHistoryService(store), [Path(sys.argv[1])])
    except StoreError as error:
        print(error)

asyncio.run(main())
"""


async def test_an_import_into_a_full_disk_is_one_sentence_and_can_go_on(tmp_path: Path) -> None:
    """What was merged before the disk was full is there, every record whole; with room again the rest comes in."""
    made = [document(f"e{n}", now=1_000 + n, parameters={"t": os.urandom(500).hex()}).body for n in range(8_000)]
    (tmp_path / "in.jsonl").write_bytes(b"".join(body + b"\n" for body in made))
    answer = subprocess.run(
        [sys.executable, "-c", _ON_A_FULL_DISK, str(tmp_path / "in.jsonl"), str(tmp_path / "history")],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip

    store = SQLiteStore(tmp_path / "history", json_files=False)
    await store.open()
    survived = await everything(store)
    report = await import_history(ExecutionHistoryService(store), [tmp_path / "in.jsonl"])

    assert answer.stdout.startswith(f"The history in '{tmp_path / 'history'}'")
    assert "Traceback" not in answer.stderr
    assert made[: len(survived)] == survived
    assert 8_000 - len(survived) == report.added > 0
    assert made == await everything(store)
    await store.aclose()


@pytest.mark.parametrize("redact", [False, True])
async def test_records_are_taken_as_they_are_unless_the_rules_are_to_hold(tmp_path: Path, *, redact: bool) -> None:
    """Importing the same again finds them there."""
    path = tmp_path / "runs.jsonl"
    path.write_bytes(document("e", parameters={"password": "hunter2x"}).body + b"\n")
    async with ExecutionHistoryService("memory:") as service:
        for added in (1, 0):
            report = await import_history(service, [path], redact=redact)
            assert (added, 0) == (report.added, report.refused_count)
        kept = await service.get_execution_detail("w", "e")
        assert kept is not None
        assert ("[redacted]" if redact else "hunter2x") == kept["input_parameters"]["password"]
