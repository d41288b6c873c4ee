"""Coze Studio's tables as records: from every kind of dump, with what its numbers mean."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from execution_history.errors import ImportFailed
from execution_history.facts import facts_of
from execution_history.store import HistoryStore
from execution_history.upkeep import import_studio

pytestmark = pytest.mark.anyio

RUN: dict[str, Any] = {
    "id": 7521234567890123456,
    "workflow_id": 7321,
    "version": "v0.0.3",
    "space_id": 88,
    "mode": 2,
    "operator_id": 5,
    "connector_id": 1024,
    "connector_uid": "user-9",
    "created_at": 1_750_000_000_000,
    "log_id": "log-1",
    "status": 2,
    "duration": 1_500,
    "input": '{"city": "北京", "say": "\\"hi\\"", "lines": "a\\nb"}',
    "output": '{"answer": "晴，25°", "n": 12345678901234567890}',
    "error_code": "",
    "fail_reason": "",
    "input_tokens": 30,
    "output_tokens": 12,
    "updated_at": 1_750_000_009_000,
    "root_execution_id": 7521234567890123456,
    "parent_node_id": "",
    "app_id": 0,
    "node_count": 2,
    "resume_event_id": 0,
    "agent_id": 77,
    "sync_pattern": 3,
    "commit_id": None,
}
NODES: list[dict[str, Any]] = [
    {
        "id": 2, "execute_id": RUN["id"], "node_id": "900001", "node_name": "结束", "node_type": "Exit",
        "created_at": 1_750_000_001_000, "status": 3, "duration": 5, "output": '{"answer":"晴"}',
        "updated_at": 1_750_000_001_005,
    },
    {
        "id": 1, "execute_id": RUN["id"], "node_id": "100001", "node_name": "开始", "node_type": "Entry",
        "created_at": 1_750_000_000_000, "status": 3, "duration": 1, "input": '{"city":"北京"}',
    },
    {
        "id": 3, "execute_id": 42, "node_id": "5", "node_name": "LLM", "node_type": "LLM",
        "created_at": 1_750_000_000_001, "status": 4, "error_info": "out of tokens", "error_level": "error",
        "input_tokens": 7, "composite_node_index": 3, "parent_node_id": "loop", "sub_execute_id": 9,
    },
]  # fmt: skip


def doubled(rows: list[dict[str, Any]], delimiter: str = ",") -> str:
    """CSV as most clients write it: quotes are doubled, NULL is an empty cell."""
    text = io.StringIO(newline="")
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, names, delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def escaped(rows: list[dict[str, Any]]) -> str:
    """CSV as MySQL's own export writes it: quotes and backslashes get a backslash, NULL is ``\\N``."""
    names = list(dict.fromkeys(name for row in rows for name in row))

    def cell(value: Any) -> str:
        if value is None:
            return "\\N"
        return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\\n") + '"'

    lines = [",".join(f'"{name}"' for name in names)]
    return "\n".join([*lines, *(",".join(cell(row.get(name)) for name in names) for row in rows)]) + "\n"


def batch(rows: list[dict[str, Any]]) -> str:
    """What ``mysql --batch`` prints: tabs between the cells, backslashes before what is special."""
    names = list(dict.fromkeys(name for row in rows for name in row))

    def cell(value: Any) -> str:
        text = "NULL" if value is None else str(value)
        return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")

    return "\n".join(["\t".join(names), *("\t".join(cell(row.get(name)) for name in names) for row in rows)]) + "\n"


def json_lines(rows: list[dict[str, Any]]) -> str:
    """One object a row."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


WAYS: dict[str, Callable[[list[dict[str, Any]]], str]] = {
    "doubled": doubled,
    "semicolons": lambda rows: doubled(rows, ";"),
    "escaped": escaped,
    "batch": batch,
    "json lines": json_lines,
    "byte order mark": lambda rows: "\ufeff" + doubled(rows),
    "capitals": lambda rows: doubled([{name.upper(): value for name, value in row.items()} for row in rows]),
}


def dumped(folder: Path, name: str, text: str) -> Path:
    """A dump in a file."""
    (folder / name).write_bytes(text.encode())
    return folder / name


async def stored(store: HistoryStore, execute_id: str, workflow_id: str = "7321") -> dict[str, Any]:
    """The record as a reader gets it."""
    body = await store.get(workflow_id, execute_id)
    assert body is not None
    found: dict[str, Any] = orjson.loads(body)
    return found


@pytest.mark.parametrize("way", WAYS)
async def test_an_execution_becomes_a_record(store: HistoryStore, tmp_path: Path, way: str) -> None:
    """Ids are text, times milliseconds, input and output parsed, the nodes in order; from every kind of dump."""
    runs, nodes = dumped(tmp_path, "runs", WAYS[way]([RUN])), dumped(tmp_path, "nodes", WAYS[way](NODES))

    report = await import_studio(store, runs, nodes)
    record = await stored(store, "7521234567890123456")

    assert (1, 0) == (report.added, report.refused_count)
    assert {
        "execute_id": "7521234567890123456",
        "workflow_id": "7321",
        "create_time": 1_750_000_000_000,
        "update_time": 1_750_000_009_000,
        "execute_status": "success",
        "error_code": None,
        "error_message": None,
        "output": {"answer": "晴，25°", "n": 12345678901234567890},
        "input_parameters": {"city": "北京", "say": '"hi"', "lines": "a\nb"},
        "bot_id": "77",
        "conversation_id": None,
        "debug_url": None,
        "run_mode": 1,
        "usage": {"input_count": 30, "output_count": 12, "token_count": 42},
        "metadata": {
            "coze_execute_id": "7521234567890123456",
            "imported_from": {
                "system": "coze_studio", "status": 2, "mode": "release", "version": "v0.0.3", "space_id": "88",
                "operator_id": "5", "node_count": "2",
            },
            "log_id": "log-1",
            "ended_at": 1_750_000_001_500,
        },
        "connector_id": "1024",
        "connector_uid": "user-9",
        "is_output_trimmed": False,
    } == {key: value for key, value in record.items() if key != "node_execute_status"}  # fmt: skip
    assert [("开始", "100001", True), ("结束", "900001", True)] == [
        (name, node["node_id"], node["is_finish"]) for name, node in record["node_execute_status"].items()
    ]
    assert '{"answer":"晴"}' == record["node_execute_status"]["结束"]["content"]
    assert 1_500 == facts_of(record).duration_ms


@pytest.mark.parametrize(
    ("number", "status"),
    [(1, "running"), (2, "success"), (3, "failed"), (4, "failed"), (5, "interrupted"), (9, "interrupted")],
)  # fmt: skip
async def test_the_numbers_of_the_status_mean_what_the_program_means(
    store: HistoryStore, tmp_path: Path, number: int, status: str
) -> None:
    """Cancelled is an ending, interrupted is not; the number itself is kept."""
    runs = dumped(tmp_path, "runs", json_lines([{**RUN, "status": number}]))

    await import_studio(store, runs)
    record = await stored(store, "7521234567890123456")

    assert (status, number) == (record["execute_status"], record["metadata"]["imported_from"]["status"])


@pytest.mark.parametrize(("number", "mode"), [(1, 0), (2, 2), (3, 1), (0, 1), (None, 1)])
async def test_the_pattern_is_the_run_mode(store: HistoryStore, tmp_path: Path, number: int | None, mode: int) -> None:
    """Sync, async and stream; a run that says nothing counts as streamed."""
    await import_studio(store, dumped(tmp_path, "runs", json_lines([{**RUN, "sync_pattern": number}])))

    assert mode == (await stored(store, "7521234567890123456"))["run_mode"]


async def test_a_failure_keeps_its_code_reason_and_node(store: HistoryStore, tmp_path: Path) -> None:
    """The failing node has its error, place in the loop and tokens; a sub-workflow's run names its parent."""
    failed = {**RUN, "id": 42, "status": 3, "error_code": "720701013", "fail_reason": "no", "root_execution_id": 41}
    failed |= {"output": "not { json", "input": "", "updated_at": None}
    runs, nodes = dumped(tmp_path, "runs", doubled([failed])), dumped(tmp_path, "nodes", doubled(NODES))

    await import_studio(store, runs, nodes)
    record = await stored(store, "42")
    node = record["node_execute_status"]["LLM"]

    assert (720701013, "no", "not { json", {}) == (
        record["error_code"], record["error_message"], record["output"], record["input_parameters"],
    )  # fmt: skip
    assert 1_750_000_001_500 == record["update_time"]
    assert "41" == record["metadata"]["parent"]
    assert ("out of tokens", 3, "loop", "9", 7) == (
        node["error_message"], node["loop_index"], node["parent_node_id"], node["sub_execute_id"],
        node["usage"]["token_count"],
    )  # fmt: skip


async def test_nodes_with_one_name_are_told_apart(store: HistoryStore, tmp_path: Path) -> None:
    """The rounds of a loop are numbered, in the order of their times."""
    rounds = [{**NODES[0], "id": 10 + n, "created_at": 1_750_000_000_000 + n, "output": str(n)} for n in (2, 0, 1)]
    runs, nodes = dumped(tmp_path, "runs", json_lines([RUN])), dumped(tmp_path, "nodes", json_lines(rounds))

    await import_studio(store, runs, nodes)
    timeline = (await stored(store, "7521234567890123456"))["node_execute_status"]

    assert [("结束", "0"), ("结束 (2)", "1"), ("结束 (3)", "2")] == [
        (k, node["content"]) for k, node in timeline.items()
    ]


async def test_of_endless_nodes_two_thousand_are_kept(store: HistoryStore, tmp_path: Path) -> None:
    """How many there were beside them is said."""
    many = [{**NODES[0], "id": number} for number in range(2_010)]
    runs, nodes = dumped(tmp_path, "runs", json_lines([RUN])), dumped(tmp_path, "nodes", json_lines(many))

    await import_studio(store, runs, nodes)
    record = await stored(store, "7521234567890123456")

    assert (2_000, 10) == (len(record["node_execute_status"]), record["metadata"]["imported_from"]["nodes_left_out"])


async def test_a_later_dump_brings_a_run_up_to_date(store: HistoryStore, tmp_path: Path) -> None:
    """A run that was running in the first dump ends with the second; the same dump again changes nothing."""
    begun = {**RUN, "status": 1, "output": None, "updated_at": 1_750_000_000_500, "duration": 0}
    await import_studio(store, dumped(tmp_path, "first", doubled([begun])))

    second = await import_studio(store, dumped(tmp_path, "second", doubled([RUN])))
    again = await import_studio(store, tmp_path / "second")

    assert (0, 1, 0) == (second.added, second.replaced, second.skipped)
    assert (0, 0, 1) == (again.added, again.replaced, again.skipped)
    assert "success" == (await stored(store, "7521234567890123456"))["execute_status"]


@pytest.mark.parametrize("way", ["doubled", "batch", "json lines"])
async def test_hostile_rows_are_refused_one_by_one(store: HistoryStore, tmp_path: Path, way: str) -> None:
    """Rows without ids, of another length, that are no text or no row at all: each has its line, the others come in."""
    good = WAYS[way]([RUN]).encode()
    header = b"" if way == "json lines" else good.split(b"\n", 1)[0].rstrip(b"\r") + b"\n"
    row = good[len(header) :] if way == "json lines" else good.split(b"\n", 1)[1]
    no_id = WAYS[way]([{**RUN, "id": None}]).encode()
    no_id = no_id if way == "json lines" else no_id.split(b"\n", 1)[1]
    broken = b"{\xff\xfe broken\n"
    data = header + broken + no_id + row.replace("晴".encode(), b"\xff") + row
    (tmp_path / "runs").write_bytes(data)

    report = await import_studio(store, tmp_path / "runs")

    assert (1, 3) == (report.added, report.refused_count)
    assert all(refused.reason.endswith(".") for refused in report.refused)
    first = 1 if way == "json lines" else 2
    assert [f"line {first + number}" for number in range(3)] == [refused.place for refused in report.refused]


async def test_broken_nodes_are_named_and_the_run_comes_in(store: HistoryStore, tmp_path: Path) -> None:
    """What is wrong in the second table does not keep the first from being imported."""
    runs = dumped(tmp_path, "runs", json_lines([RUN]))
    nodes = dumped(tmp_path, "nodes", json_lines(NODES) + "broken\n" + json_lines([{"node_id": "1"}]))

    report = await import_studio(store, runs, nodes)

    assert 1 == report.added
    assert [f"line 4 of {nodes}", f"line 5 of {nodes}"] == [refused.place for refused in report.refused]


async def test_the_wrong_table_is_said_before_anything_is_imported(store: HistoryStore, tmp_path: Path) -> None:
    """Swapped files, a file without the names of the columns, an empty and a missing one."""
    runs, nodes = dumped(tmp_path, "runs", doubled([RUN])), dumped(tmp_path, "nodes", doubled(NODES))
    headless = dumped(tmp_path, "headless", doubled([RUN]).split("\n", 1)[1])
    nothing = dumped(tmp_path, "nothing", "")

    for executions, second, reason in (
        (nodes, runs, "does not name the columns workflow_id"),
        (runs, runs, "does not name the columns execute_id, node_id, node_name"),
        (headless, None, "is not the table that is meant"),
        (nothing, None, "is not the table that is meant"),
        (tmp_path / "missing", None, "cannot be imported: No such file"),
    ):
        with pytest.raises(ImportFailed, match=reason):
            await import_studio(store, executions, second)

    assert [] == await store.workflows()
