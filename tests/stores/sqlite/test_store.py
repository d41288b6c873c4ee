"""What only the embedded store promises: its folder, its files, its disk, its processes."""

import asyncio
import json
import os
import subprocess
import sys
import tracemalloc
from itertools import count
from pathlib import Path
from typing import Any

import apsw
import orjson
import pytest

from execution_history.errors import StoreClosed, StoreDamaged, StoreFull, StoreTooNew, StoreUnwritable
from execution_history.history.service import ExecutionHistoryService
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordQuery
from execution_history.stores import SQLiteStore
from execution_history.stores.jsonfiles.file_names import file_name, workflow_id_of
from tests.sample_records import change, document, ids, page_of

pytestmark = pytest.mark.anyio

_RECORD: dict[str, Any] = {
    "execute_id": "old-1",
    "workflow_id": "w",
    "create_time": 1_761_901_941_289,
    "update_time": 1_761_901_941_290,
    "execute_status": "success",
    "error_code": None,
    "error_message": None,
    "output": {"result": "执行结果"},
    "input_parameters": {"param1": "value1"},
    "bot_id": None,
    "conversation_id": None,
    "debug_url": None,
    "run_mode": 1,
    "usage": {"tokens": 100},
    "metadata": {},
}


def _old_file(folder: Path, name: str, records: list[dict[str, Any]], **layout: Any) -> Path:
    folder.mkdir(exist_ok=True)
    content = {"workflow_id": name, "total": len(records), "histories": records, "updated_at": 1_761_901_941_291}
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content, **({"ensure_ascii": False, "indent": 2} | layout)), "utf-8")
    return path


def _old(number: int, **fields: Any) -> dict[str, Any]:
    time = _RECORD["create_time"] - number
    return _RECORD | {"execute_id": f"old-{number}", "create_time": time, "update_time": time + 1} | fields


@pytest.mark.parametrize("layout", [{}, {"indent": None}, {"indent": 4}, {"ensure_ascii": True}, {"sort_keys": True}])
async def test_a_folder_of_the_old_format_is_adopted(tmp_path: Path, layout: dict[str, Any]) -> None:
    """Every record is there, with the four younger keys, however the file was laid out."""
    _old_file(tmp_path / "h", "w", [_old(0), _old(1, error_code="boom", execute_status="failed")], **layout)
    _old_file(tmp_path / "h", "v", [])
    async with ExecutionHistoryService(tmp_path / "h") as service:
        page = await service.get_execution_history("w")
        assert ["old-0", "old-1"] == [record["execute_id"] for record in page["histories"]]
        extra = {"connector_id": None, "connector_uid": None, "is_output_trimmed": False, "node_execute_status": None}
        assert _old(0) | extra == page["histories"][0]
        assert "boom" == page["histories"][1]["error_code"]
        assert page["histories"] == json.loads((tmp_path / "h" / "w.json").read_bytes())["histories"]


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
async def test_a_truncated_file_gives_up_what_can_be_read_and_is_set_aside(tmp_path: Path, kept: float) -> None:
    """It is never deleted, and the workflow has a good file again."""
    path = _old_file(tmp_path / "h", "w", [_old(number) for number in range(20)])
    data = path.read_bytes()[: int(path.stat().st_size * kept)]
    path.write_bytes(data)
    whole = data.count(b'"metadata": {}')
    async with ExecutionHistoryService(tmp_path / "h") as service:
        assert whole == (await service.get_execution_history("w"))["total"]
    aside = list((tmp_path / "h").glob("w.json.damaged-*"))
    assert [data] == [found.read_bytes() for found in aside]
    assert whole == json.loads(path.read_bytes())["total"]


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\x00" * 100, b"not json", b'{"histories": [{"execute_id"', b"\xff\xfe{}"]
)
async def test_a_file_without_a_readable_record_is_set_aside(tmp_path: Path, data: bytes) -> None:
    """And the store opens."""
    (tmp_path / "h").mkdir()
    (tmp_path / "h" / "w.json").write_bytes(data)
    async with ExecutionHistoryService(tmp_path / "h") as service:
        await service.create_execution_record("w")
        assert 1 == (await service.get_execution_history("w"))["total"]
    assert [data] == [found.read_bytes() for found in (tmp_path / "h").glob("w.json.*")]


@pytest.mark.parametrize("text", ['{"name": "x"}', '// with comments\n{"strict": true}', "", "[1, 2]"])
async def test_what_is_no_history_is_left_alone(tmp_path: Path, text: str) -> None:
    """Somebody else's file in the same folder, valid JSON or not."""
    (tmp_path / "h").mkdir()
    (tmp_path / "h" / "tsconfig.json").write_text(text)
    async with ExecutionHistoryService(tmp_path / "h") as service:
        assert [] == await service.get_all_workflows()
    assert ["tsconfig.json"] == [path.name for path in (tmp_path / "h").glob("*.json*")]
    assert text == (tmp_path / "h" / "tsconfig.json").read_text()


async def test_a_foreign_file_under_a_workflows_name_is_not_overwritten(tmp_path: Path) -> None:
    """It is set aside when the name is needed."""
    (tmp_path / "h").mkdir()
    (tmp_path / "h" / "w.json").write_text('{"name": "x"}')
    async with ExecutionHistoryService(tmp_path / "h") as service:
        await service.create_execution_record("w")
        assert 1 == json.loads((tmp_path / "h" / "w.json").read_bytes())["total"]
    assert ['{"name": "x"}'] == [path.read_text() for path in (tmp_path / "h").glob("w.json.*")]


async def test_odd_records_are_mended_and_nothing_in_them_is_dropped(tmp_path: Path) -> None:
    """Times in seconds, missing keys, keys that are not ours, values of the wrong kind, huge numbers."""
    odd = {"execute_id": 7, "create_time": 1_761_901_941, "metadata": [1], "colour": "red", "output": 2**80}
    _old_file(tmp_path / "h", "w", [odd, _old(1, execute_status="weird")])
    async with ExecutionHistoryService(tmp_path / "h") as service:
        record = await service.get_execution_detail("w", "7")
        assert record is not None
        assert 1_761_901_941_000 == record["create_time"]
        assert {"adopted_fields": {"colour": "red", "metadata": [1]}} == record["metadata"]
        other = await service.get_execution_detail("w", str(_old(1)["execute_id"]))
        assert other is not None
        assert {"adopted_fields": {"execute_status": "weird"}} == other["metadata"]
        assert str(2**80) == record["output"]
        summary = (await service.workflow_summaries())[0]
        assert {"running": 0, "success": 0, "failed": 0, "interrupted": 2, "other": 0} == summary.counts


async def test_the_newer_version_of_a_record_wins(tmp_path: Path) -> None:
    """Between a file that somebody edited and the database."""
    folder = tmp_path / "h"
    async with ExecutionHistoryService(folder, clock=count(1_761_901_941_289, 100).__next__) as service:
        for name in ("a", "b", "c"):
            await service.create_execution_record("w", name)
            await service.update_execution_record("w", name, metadata={"n": 1})
    content = json.loads((folder / "w.json").read_bytes())
    by_id = {record["execute_id"]: record for record in content["histories"]}
    by_id["a"] |= {"update_time": by_id["a"]["update_time"] + 5, "output": "newer"}
    by_id["b"] |= {"update_time": by_id["b"]["update_time"] - 5, "output": "older"}
    by_id["c"] |= {"output": "edited by hand"}
    (folder / "w.json").write_text(json.dumps(content))
    async with ExecutionHistoryService(folder) as service:
        records = (await service.get_execution_history("w"))["histories"]
        assert {"a": "newer", "b": None, "c": "edited by hand"} == {r["execute_id"]: r["output"] for r in records}


async def test_a_deleted_record_does_not_come_back_from_an_old_file(tmp_path: Path) -> None:
    """A copy of the file from before the deletion is behind, not new."""
    folder = tmp_path / "h"
    async with ExecutionHistoryService(folder) as service:
        await service.create_execution_record("w", "a")
        await service.create_execution_record("w", "b")
        copy = (folder / "w.json").read_bytes()
        await service.delete_execution_record("w", "a")
    (folder / "w.json").write_bytes(copy)
    async with ExecutionHistoryService(folder) as service:
        assert ["b"] == [r["execute_id"] for r in (await service.get_execution_history("w"))["histories"]]


@pytest.mark.parametrize(
    "workflow_id",
    ["7321", "工作流", "a b", "../../etc/passwd", "a/b", "CON", "con.txt", "长" * 300, "x" * 300, "😀", ".hidden",
     "end.", "n\0l", "a%2Fb", "%", "~", "a~" + "0" * 64, "e\u0301", "-rf", 'q"*?<>|:', "\u2028", "W", "w"],
)  # fmt: skip
@pytest.mark.parametrize("case_sensitive", [True, False])
def test_a_file_name_is_safe_and_reversible(workflow_id: str, case_sensitive: bool) -> None:
    """Short enough for every file system, and read back to the id unless only the file can tell."""
    name = file_name(workflow_id, case_sensitive=case_sensitive)
    assert len(name.encode()) <= 255
    assert name.endswith(".json")
    assert name[0] not in ".- "
    assert not set(name) & set('/\\:*?"<>|\0\n')
    assert workflow_id_of(name) == workflow_id or (workflow_id_of(name) is None and len(workflow_id) >= 300)


def test_ids_that_differ_in_case_only_have_files_of_their_own() -> None:
    """Also where the file system does not tell case."""
    assert 3 == len({file_name(name, case_sensitive=False).lower() for name in ("wf", "Wf", "WF")})


@pytest.mark.parametrize("workflow_id", ["../../etc/passwd", "长" * 300, "CON", "n\0l", ".x", "W", "w"])
async def test_a_database_is_rebuilt_from_files_of_any_name(tmp_path: Path, workflow_id: str) -> None:
    """Delete history.db, and everything comes back."""
    folder = tmp_path / "h"
    async with ExecutionHistoryService(folder) as service:
        made = await service.create_execution_record(workflow_id, "a", {"p": 1})
    for path in folder.glob("history.db*"):
        path.unlink()
    async with ExecutionHistoryService(folder) as service:
        assert made == await service.get_execution_detail(workflow_id, "a")


async def test_files_come_back_while_the_store_is_open(tmp_path: Path) -> None:
    """Deleted by somebody: the next call on the workflow makes it anew, whole."""
    async with ExecutionHistoryService(tmp_path / "h") as service:
        for number in range(5):
            await service.create_execution_record("w", f"e{number}")
        (tmp_path / "h" / "w.json").unlink()
        await service.update_execution_record("w", "e0", "success")
        assert 5 == json.loads((tmp_path / "h" / "w.json").read_bytes())["total"]


async def test_a_large_file_is_current_after_every_call(tmp_path: Path) -> None:
    """Beyond the size that is made anew at once, with updates of the oldest record and deletions in the middle."""
    store = SQLiteStore(tmp_path / "h")
    await store.open()
    await store.merge(
        [document(f"e{number:05d}", now=1_000 + number, parameters={"t": "x" * 3_000}) for number in range(4_500)]
    )
    await asyncio.gather(
        *(
            store.update("w", f"e{number:05d}", change(status="success", output="y" * 20_000))
            for number in (0, 1, 700, 4_499)
        ),
        *(
            store.create(document(f"n{number}", now=5_000 + number, parameters={"t": "z" * 30_000}))
            for number in range(60)
        ),
        store.delete("w", "e00500"),
    )
    content = json.loads((tmp_path / "h" / "w.json").read_bytes())
    found = [orjson.loads(body) for index in range(1, 47) for body in (await page_of(store, "w", 100, index)).documents]
    assert 4_559 == content["total"]
    assert found == content["histories"]
    await store.aclose()


async def test_changes_of_one_millisecond_are_caught_up_in_the_order_they_came(tmp_path: Path) -> None:
    """Whichever of them was updated last."""
    store = SQLiteStore(tmp_path / "h")
    await store.open()
    for name in ("a", "b", "c"):
        await store.create(document(name))
    await store.update("w", "b", change(status="success"))
    await store.update("w", "a", change(status="success"))
    await store.create(document("d"))
    await store.delete("w", "d")
    await store.create(document("d"))
    with store._parts.reader.snapshot() as records:
        changes = records.changes("w", 0)
    assert changes is not None
    assert [("d", False), ("a", True), ("b", True), ("c", True), ("d", True)] == [
        (entry.execute_id, entry.body is not None) for entry in changes
    ]
    await store.aclose()


async def test_two_processes_share_a_folder(tmp_path: Path) -> None:
    """Writing at once: no record is lost, the counters are exact, the files show both."""
    program = (
        "import asyncio, sys\nfrom execution_history import ExecutionHistoryService as S\n"
        "async def main():\n"
        "    async with S(sys.argv[1]) as s:\n"
        "        for n in range(60):\n"
        "            r = await s.create_execution_record('w' + str(n % 3), sys.argv[2] + str(n))\n"
        "            await s.update_execution_record(r['workflow_id'], r['execute_id'], 'success', 'o' * 500)\n"
        "asyncio.run(main())\n"
    )
    folder = tmp_path / "h"
    children = [subprocess.Popen([sys.executable, "-c", program, str(folder), name]) for name in ("a", "b", "c")]
    assert [0, 0, 0] == [child.wait(60) for child in children]
    async with ExecutionHistoryService(folder) as service:
        summaries = await service.workflow_summaries()
        assert [60, 60, 60] == [summary.counts["success"] for summary in summaries]
        for summary in summaries:
            page = await service.get_execution_history(summary.workflow_id, 100)
            assert page["histories"] == json.loads((folder / f"{summary.workflow_id}.json").read_bytes())["histories"]


async def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """With a sentence that names both users; it works once the folder is ours."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a folder that belongs to somebody else")
    (tmp_path / "h").mkdir()
    os.chown(tmp_path / "h", 12_345, 12_345)
    service = ExecutionHistoryService(tmp_path / "h")
    with pytest.raises(StoreUnwritable, match="belongs to user 12345"):
        await service.create_execution_record("w")
    os.chown(tmp_path / "h", 0, 0)
    await service.create_execution_record("w")
    await service.aclose()


async def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    """With a sentence."""
    (tmp_path / "h").write_text("x")
    with pytest.raises(StoreUnwritable, match="a file, not a folder"):
        await ExecutionHistoryService(tmp_path / "h").create_execution_record("w")


async def test_a_full_disk_is_an_error_and_works_again(small_disk: Path) -> None:
    """What was answered is there, what was refused is not, and nothing is half-written."""
    service = ExecutionHistoryService(small_disk / "h")
    await service.create_execution_record("w", "first")
    written = ["first"]
    ballast = small_disk / "ballast"
    with pytest.raises(StoreFull, match="no space left"):  # noqa: PT012 - which one is refused is not known before
        for number in range(500):
            await service.create_execution_record("w", f"e{number}", {"t": os.urandom(20_000).hex()})
            written.append(f"e{number}")
    await service.clear_workflow_history("missing")
    page = await service.page_bytes("w", 100)
    assert sorted(written)[:100] == sorted(ids(page.documents))
    with pytest.raises(StoreFull):
        await service.update_execution_record("w", "first", "success", os.urandom(400_000).hex())
    ballast.unlink(missing_ok=True)
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    assert await service.update_execution_record("w", "first", "success") is not None
    await service.flush()
    content = json.loads((small_disk / "h" / "w.json").read_bytes())
    assert sorted(written) == sorted(record["execute_id"] for record in content["histories"])
    await service.aclose()


async def test_a_read_only_disk_is_an_error_and_works_again(small_disk: Path) -> None:
    """Reading goes on; writing says why not, and works when it may."""
    service = ExecutionHistoryService(small_disk / "h")
    await service.create_execution_record("w", "a")
    await service.aclose()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    service = ExecutionHistoryService(small_disk / "h")
    with pytest.raises(StoreUnwritable):
        await service.create_execution_record("w", "b")
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    await service.create_execution_record("w", "b")
    assert 2 == (await service.get_execution_history("w"))["total"]
    await service.aclose()


async def test_a_damaged_database_is_a_sentence_that_says_what_to_do(tmp_path: Path) -> None:
    """And following it brings the records back."""
    folder = tmp_path / "h"
    async with ExecutionHistoryService(folder) as service:
        made = await service.create_execution_record("w", "a")
    (folder / "history.db").write_bytes(b"this is not a database at all" * 200)
    with pytest.raises(StoreDamaged, match="doctor --repair"):
        await ExecutionHistoryService(folder).get_all_workflows()
    (folder / "history.db").rename(tmp_path / "aside.db")
    async with ExecutionHistoryService(folder) as service:
        assert made == await service.get_execution_detail("w", "a")


async def test_a_store_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    """It is not touched."""
    folder = tmp_path / "h"
    async with ExecutionHistoryService(folder) as service:
        await service.create_execution_record("w", "a")
    connection = apsw.Connection(str(folder / "history.db"))
    connection.execute("INSERT INTO migrations VALUES (9999, 'from the future', 0)")
    connection.close()
    with pytest.raises(StoreTooNew, match="newer version"):
        await ExecutionHistoryService(folder).get_all_workflows()


async def test_a_dictionary_of_another_version_is_used(tmp_path: Path) -> None:
    """Documents are unpacked with what stands in the store, whichever version wrote it."""
    folder = tmp_path / "h"
    async with ExecutionHistoryService(folder) as service:
        made = await service.create_execution_record("w", "a", {"t": "some text to pack " * 20})
    connection = apsw.Connection(str(folder / "history.db"))
    stored = connection.execute("SELECT count(*) FROM dictionaries JOIN executions ON id = packing").get
    connection.close()
    assert 1 == stored
    async with ExecutionHistoryService(folder) as service:
        assert made == await service.get_execution_detail("w", "a")


async def test_cleared_histories_give_their_space_back(tmp_path: Path) -> None:
    """In small steps, in idle time."""
    store = SQLiteStore(tmp_path / "h", json_files=False)
    await store.open()
    await store.merge([document(f"e{n}", parameters={"t": os.urandom(1_000).hex()}) for n in range(3_000)])
    assert await store.clear("w")
    watcher = apsw.Connection(str(tmp_path / "h" / "history.db"))
    async with asyncio.timeout(60):
        while watcher.execute("SELECT count(*) FROM executions").get or int(watcher.pragma("page_count")) > 600:
            await asyncio.sleep(0.05)
    watcher.close()
    await store.aclose()


async def test_without_json_files_there_are_none(tmp_path: Path) -> None:
    """A setting turns the mirror off."""
    async with ExecutionHistoryService(tmp_path / "h", json_files=False) as service:
        await service.create_execution_record("w")
        assert [] == list((tmp_path / "h").glob("*.json"))


async def test_an_index_that_is_first_needed_when_the_store_is_closed_is_closed_too(tmp_path: Path) -> None:
    """Of a call that has begun before: it opens no file and starts no thread."""
    store = SQLiteStore(tmp_path)
    await store.open()
    parts = store._parts
    await store.aclose()
    with pytest.raises(StoreClosed):
        await parts.index.select(RecordQuery(filter=RecordFilter(statuses=("failed",))))
    assert not (tmp_path / "index.db").exists()


async def test_a_list_of_large_records_takes_the_memory_of_one(tmp_path: Path) -> None:
    """A page of summaries, such as lists of the page show, reads one record after the other."""
    async with ExecutionHistoryService(tmp_path, json_files=False) as service:
        for number in range(8):
            await service.create_execution_record("w", f"run-{number}", {"text": f"{number}" * 4_000_000})
        query = RecordQuery(filter=RecordFilter(workflow_ids=("w",)), size=8, summaries=True)
        tracemalloc.start()
        try:
            found = await service.select(query)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert 8 == len(found.documents)
    assert peak < 5 * 4_000_000
