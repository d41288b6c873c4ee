"""The service as existing deployments call it."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

import execution_history
from execution_history import ExecutionHistoryService, get_execution_history_service
from execution_history.errors import (
    ExecutionExists,
    IllegalTransition,
    InvalidIdentifier,
    InvalidInput,
    InvalidPage,
    InvalidStatus,
    SettingsError,
    StoreClosed,
)
from execution_history.history.annotations import Annotation
from execution_history.history.comparison import Run
from execution_history.records.record import KEYS
from execution_history.stores import MemoryStore, SQLiteStore, store_at

pytestmark = pytest.mark.anyio


@pytest.fixture
def service() -> ExecutionHistoryService:
    """A service on the memory store."""
    return ExecutionHistoryService("memory:")


async def test_a_new_record_has_the_19_keys_and_their_defaults(service: ExecutionHistoryService) -> None:
    """Running, mode 1, empty input and metadata, everything else null."""
    record = await service.create_execution_record("w")
    assert KEYS == tuple(record)
    assert ("running", 1, {}, {}, False) == (
        record["execute_status"], record["run_mode"], record["input_parameters"], record["metadata"],
        record["is_output_trimmed"],
    )  # fmt: skip
    given = {"execute_id", "workflow_id", "create_time", "update_time", "execute_status", "run_mode",
             "input_parameters", "metadata", "is_output_trimmed"}  # fmt: skip
    assert {None} == {value for key, value in record.items() if key not in given}


async def test_the_seed_walks_through(service: ExecutionHistoryService) -> None:
    """Create, update, list, detail, delete, clear, with the return values that callers check."""
    made = await service.create_execution_record(
        workflow_id="w", parameters={"input": "value"}, bot_id="b", conversation_id="c", metadata={"k": 1}
    )
    execute_id = made["execute_id"]
    updated = await service.update_execution_record(
        "w", execute_id, "success", {"result": "ok"}, debug_url="http://d", usage={"tokens": 100}, metadata={"l": 2}
    )
    assert updated is not None
    assert {"k": 1, "l": 2} == updated["metadata"]
    assert {"histories": [updated], "total": 1, "has_more": False} == await service.get_execution_history("w")
    assert updated == await service.get_execution_detail("w", execute_id)
    assert ["w"] == await service.get_all_workflows()
    assert [True, False] == [await service.delete_execution_record("w", execute_id) for _ in range(2)]
    assert not await service.clear_workflow_history("w")
    assert {"histories": [], "total": 0, "has_more": False} == await service.get_execution_history("w")


async def test_what_is_missing_is_none_or_false(service: ExecutionHistoryService) -> None:
    """Impossible ids are missing too."""
    for workflow_id, execute_id in (("w", "x"), ("", ""), ("w", "\ud800")):
        assert await service.update_execution_record(workflow_id, execute_id, "success") is None
        assert await service.get_execution_detail(workflow_id, execute_id) is None
        assert not await service.delete_execution_record(workflow_id, execute_id)
        assert not await service.clear_workflow_history(workflow_id)


async def test_bad_input_is_refused_with_a_sentence(service: ExecutionHistoryService) -> None:
    """And changes nothing."""
    await service.create_execution_record("w", "a")
    with pytest.raises(ExecutionExists, match="already has a run"):
        await service.create_execution_record("w", "a")
    for workflow_id in ("", "x" * 1001, "\ud800", 5):
        with pytest.raises(InvalidIdentifier):
            await service.create_execution_record(workflow_id)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="metadata is a mapping"):
        await service.create_execution_record("w", metadata=[1])  # type: ignore[arg-type]
    with pytest.raises(InvalidStatus, match="'done' is not a run status"):
        await service.update_execution_record("w", "a", "done")
    for size, index in ((0, 1), (101, 1), (1, 0), ("x", 1)):
        with pytest.raises(InvalidPage):
            await service.get_execution_history("w", size, index)  # type: ignore[arg-type]
    await service.update_execution_record("w", "a", "failed")
    with pytest.raises(IllegalTransition, match="'failed' and cannot become 'success'"):
        await service.update_execution_record("w", "a", "success")
    assert 1 == (await service.get_execution_history("w"))["total"]


async def test_a_call_is_on_the_disk_when_it_returns(tmp_path: Path) -> None:
    """The workflow's file exists, parses and contains the record, in the format that deployments know."""
    service = ExecutionHistoryService(storage_dir=str(tmp_path / "history"))
    made = await service.create_execution_record("7321", parameters={"问": "题"})
    updated = await service.update_execution_record("7321", made["execute_id"], "success", {"答": "案"})
    text = (tmp_path / "history" / "7321.json").read_text("utf-8")
    content = json.loads(text)
    assert ("7321", 1, [updated]) == (content["workflow_id"], content["total"], content["histories"])
    assert content["updated_at"] >= made["create_time"]
    assert '\n      "execute_id": ' in text
    assert "答" in text
    await service.aclose()


async def test_the_folder_and_its_files_are_for_their_owner_only(tmp_path: Path) -> None:
    """0700 and 0600."""
    folder = tmp_path / "history"
    async with ExecutionHistoryService(folder) as service:
        await service.create_execution_record("w")
        assert 0o700 == folder.stat().st_mode & 0o777
        assert {0o600} == {path.stat().st_mode & 0o777 for path in folder.iterdir()}


async def test_many_loops_and_threads_share_one_service(tmp_path: Path) -> None:
    """One after the other and at once."""
    service = ExecutionHistoryService(tmp_path / "history")

    async def work(name: str) -> None:
        for number in range(10):
            await service.create_execution_record("w", f"{name}{number}")

    await asyncio.gather(
        asyncio.to_thread(asyncio.run, work("a")), asyncio.to_thread(asyncio.run, work("b")), work("c")
    )
    assert 30 == (await service.get_execution_history("w"))["total"]
    await service.aclose()
    with pytest.raises(StoreClosed):
        await service.create_execution_record("w")


async def test_any_value_can_be_recorded(service: ExecutionHistoryService) -> None:
    """What JSON cannot hold has its documented form."""
    made = await service.create_execution_record("w", parameters={"n": float("nan"), "b": b"\xff", "i": 2**70})
    assert {"n": "NaN", "b": {"$base64": "/w=="}, "i": str(2**70)} == made["input_parameters"]


@pytest.mark.parametrize("value", ["LLM", ["100002", "other"]])
async def test_the_node_a_run_failed_in_is_a_keyword(service: ExecutionHistoryService, value: str | list[str]) -> None:
    """Of a workflow's history and of all: its title or its id, one or several."""
    await service.create_execution_record("w", "a")
    await service.create_execution_record("w", "b")
    nodes = {"LLM": {"node_title": "LLM", "node_id": "100002", "error_message": "no"}}
    await service.update_execution_record("w", "a", "failed", node_execute_status=nodes)
    for workflow_id in ("w", None):
        page = await service.get_execution_history(workflow_id, failed_node=value)
        assert ["a"] == [record["execute_id"] for record in page["histories"]]


def test_a_program_that_never_closes_leaves_its_files_in_order(tmp_path: Path) -> None:
    """The end of the program closes the store."""
    program = (
        "import asyncio, sys; from execution_history import ExecutionHistoryService as S; s = S(sys.argv[1]);"
        "asyncio.run(s.create_execution_record('w', 'a'))"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "h")], check=True, timeout=60)
    text = (tmp_path / "h" / "w.json").read_text()
    assert 1 == json.loads(text)["total"]
    assert "  " * 100 not in text


def test_the_shared_service_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the store that the settings name."""
    monkeypatch.setenv("EXECUTION_HISTORY_STORE", str(tmp_path / "shared"))
    monkeypatch.setattr("execution_history.history.service._shared", None)
    first = get_execution_history_service()
    assert first is get_execution_history_service()
    asyncio.run(first.create_execution_record("w"))
    assert (tmp_path / "shared" / "w.json").exists()
    asyncio.run(first.aclose())


@pytest.mark.parametrize(
    ("location", "kind"),
    [
        ("memory:", MemoryStore),
        ("sqlite:folder", SQLiteStore),
        ("sqlite:///a/b", SQLiteStore),
        ("C:\\x", SQLiteStore),
        ("x", SQLiteStore),
    ],
)
def test_a_location_names_a_store(location: str, kind: type) -> None:
    """A folder or a URL."""
    assert isinstance(store_at(location), kind)


@pytest.mark.parametrize(
    "location", ["", "mysql://x", "sqlite:", "postgresql://x/y?pool_size=many", "postgresql.psycopg://x/y"]
)
def test_an_unknown_location_is_a_sentence(location: str) -> None:
    """That says what there is."""
    with pytest.raises(SettingsError, match=r"\.$"):
        store_at(location)


def test_the_public_names_are_those_that_are_documented() -> None:
    """Sorted, and all of them there."""
    assert sorted(execution_history.__all__) == execution_history.__all__
    assert all(hasattr(execution_history, name) for name in execution_history.__all__)


@pytest.mark.anyio
async def test_several_records_are_deleted_at_once(place: str) -> None:
    """Which of them there were is the answer; ids that cannot be are simply not there."""
    async with ExecutionHistoryService(place) as service:
        for name in ("a", "b"):
            await service.create_execution_record("w", name)
        before = await service.revision()
        assert [("w", "a")] == await service.delete_execution_records([("w", "a"), ("w", "x"), ("", "a")])
        assert before < await service.revision()
        assert ["b"] == [record["execute_id"] for record in (await service.get_execution_history("w"))["histories"]]


async def test_runs_are_noted_and_compared_through_the_service(service: ExecutionHistoryService) -> None:
    """One run, several runs, and those that are not there; and two runs side by side."""
    old, new = [await service.create_execution_record("w", name, {"a": name}) for name in ("1", "2")]
    await service.update_execution_record("w", "1", "success")

    assert ["t"] == (await service.annotate("w", "1", Annotation(add_tags=("t",))))["metadata"]["tags"]
    report = await service.annotate_many([("w", "1"), ("w", "2"), ("w", "3")], Annotation(add_tags=("t",)))
    assert (1, 1, ["3"]) == (report.changed, report.unchanged, [each.execute_id for each in report.refused])
    compared = await service.compare(Run(old["execute_id"], "w"), Run(new["execute_id"], "w"))
    assert ["input.a"] == [each.path for each in compared.input]
