"""Bringing in Coze Studio's tables: as MySQL and its clients dump them, whole, in part and damaged."""

import csv
import io
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest

from execution_history import ExecutionHistoryService
from execution_history.errors import ImportFailed
from execution_history.records.attributes import attributes_of
from execution_history.stores import MemoryStore
from execution_history.stores.protocol import HistoryStore
from execution_history.transfer import ImportReport, Progress, import_studio
from execution_history.transfer.coze_studio.mapping import MOST_NODES, record_of_execution
from tests.transfer.histories import everything

pytestmark = pytest.mark.anyio

WORKFLOW = 7_519_999_999_999_999_001
RUN = 18_446_744_073_709_551_557
BEGAN = 1_754_000_000_123

EXECUTION: dict[str, Any] = {
    "id": RUN, "workflow_id": WORKFLOW, "version": "v0.0.1", "space_id": 7_519_000_000_000_000_007, "mode": 2,
    "operator_id": 7_519_000_000_000_000_009, "connector_id": 1024, "connector_uid": "用户-1", "created_at": BEGAN,
    "log_id": "20250801-log", "status": 2, "duration": 2_500, "input": '{"city":"北京","lines":"a\\nb, \\"c\\""}',
    "output": '{"output":"晴\\t\\\\"}', "error_code": "", "fail_reason": "", "input_tokens": 30, "output_tokens": 12,
    "updated_at": BEGAN + 2_600, "root_execution_id": RUN, "parent_node_id": "", "app_id": 0, "node_count": 2,
    "resume_event_id": 0, "agent_id": 0, "sync_pattern": 3, "commit_id": None,
}  # fmt: skip

NODE: dict[str, Any] = {
    "id": 7_520_000_000_000_000_001, "execute_id": RUN, "node_id": "100001", "node_name": "开始", "node_type": "Entry",
    "created_at": BEGAN + 1, "status": 3, "duration": 5, "input": '{"city":"北京"}', "output": '{"city":"北京"}',
    "raw_output": "", "error_info": "", "error_level": "", "input_tokens": 0, "output_tokens": 0,
    "updated_at": BEGAN + 6, "composite_node_index": 0, "composite_node_items": "", "parent_node_id": "",
    "sub_execute_id": 0, "extra": None,
}  # fmt: skip

Rows = Sequence[dict[str, Any]]


def as_json(rows: Rows) -> str:
    """JSON Lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def as_csv(rows: Rows, delimiter: str = ",", null: str = "NULL") -> str:
    """CSV as clients with windows write it: quotes doubled, and only where they are needed."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(rows[0])
    writer.writerows([[null if value is None else value for value in row.values()] for row in rows])
    return text.getvalue()


def as_outfile(rows: Rows) -> str:
    """CSV as ``SELECT … INTO OUTFILE … FIELDS TERMINATED BY ',' ENCLOSED BY '"'`` writes it, under a header."""

    def cell(value: object) -> str:
        if value is None:
            return "\\N"
        text = str(value)
        for special in ("\\", '"', "\n"):
            text = text.replace(special, "\\" + special)
        return f'"{text}"'

    return "".join(",".join(cells) + "\n" for cells in [list(rows[0]), *([*map(cell, row.values())] for row in rows)])


def as_batch(rows: Rows) -> str:
    """What ``mysql --batch`` prints."""

    def cell(value: object) -> str:
        text = "NULL" if value is None else str(value)
        for special, escaped in (("\\", "\\\\"), ("\n", "\\n"), ("\t", "\\t")):
            text = text.replace(special, escaped)
        return text

    return "".join("\t".join(cells) + "\n" for cells in [list(rows[0]), *([*map(cell, row.values())] for row in rows)])


DUMPS = {
    "jsonl": as_json,
    "csv": as_csv,
    "csv with semicolons and empty cells": lambda rows: as_csv(rows, ";", ""),
    "csv with a byte order mark": lambda rows: "\ufeff" + as_csv(rows, null="\\N"),
    "csv of INTO OUTFILE": as_outfile,
    "mysql --batch": as_batch,
}
dumped = pytest.mark.parametrize("dump", DUMPS.values(), ids=DUMPS.keys())


def put(path: Path, text: str) -> Path:
    """A file with exactly this text."""
    path.write_bytes(text.encode())
    return path


async def taken(path: Path, text: str, nodes: str | None = None) -> tuple[ImportReport, list[dict[str, Any]]]:
    """What importing these dumps into an empty store reports and gives."""
    store = MemoryStore()
    second = None if nodes is None else put(path / "nodes", nodes)
    report = await import_studio(ExecutionHistoryService(store), put(path / "executions", text), second)
    return report, [orjson.loads(body) for body in await everything(store)]


@dumped
async def test_a_run_with_its_nodes_is_a_record(store: HistoryStore, tmp_path: Path, dump: Any) -> None:
    """Every column is where it belongs, in all ways to dump, whatever the order of the nodes and of the files."""
    later = NODE | {"id": 7_520_000_000_000_000_002, "node_id": "900001", "node_name": "N", "created_at": BEGAN + 2}
    put(tmp_path / "executions", dump([EXECUTION]))
    put(tmp_path / "nodes", dump([later, NODE]))

    report = await import_studio(ExecutionHistoryService(store), tmp_path / "nodes", tmp_path / "executions")
    found = orjson.loads(await store.get(str(WORKFLOW), str(RUN)) or b"null")

    assert (1, 0) == (report.added, report.refused_count)
    assert ["开始", "N"] == list(found.pop("node_execute_status"))
    assert {
        "execute_id": str(RUN), "workflow_id": str(WORKFLOW), "create_time": BEGAN, "update_time": BEGAN + 2_600,
        "execute_status": "success", "error_code": None, "error_message": None, "output": {"output": "晴\t\\"},
        "input_parameters": {"city": "北京", "lines": 'a\nb, "c"'}, "bot_id": None, "conversation_id": None,
        "debug_url": None, "run_mode": 1, "usage": {"input_count": 30, "output_count": 12, "token_count": 42},
        "metadata": {
            "coze_execute_id": str(RUN),
            "imported_from": {
                "system": "coze_studio", "status": 2, "mode": "release", "space_id": "7519000000000000007",
                "operator_id": "7519000000000000009", "version": "v0.0.1", "node_count": "2",
            },
            "log_id": "20250801-log", "ended_at": BEGAN + 2_500,
        },
        "connector_id": "1024", "connector_uid": "用户-1", "is_output_trimmed": False,
    } == found  # fmt: skip
    assert 2_500 == attributes_of(found | {"node_execute_status": None}).duration_ms


@dumped
async def test_line_breaks_within_cells_stay(tmp_path: Path, dump: Any) -> None:
    """Of either kind, with quotes, tabs and backslashes around them; the next row is found."""
    text = 'first\nsecond "quoted",\t\\N; \\\\ end\\'
    _, found = await taken(tmp_path, dump([EXECUTION | {"output": text}, EXECUTION | {"id": 5}]))

    assert [text, {"output": "晴\t\\"}] == [record["output"] for record in found]


@dumped
async def test_null_and_zero_are_nothing(tmp_path: Path, dump: Any) -> None:
    """In every column that may be NULL; the times then come from what there is."""
    needed = {"id", "workflow_id", "created_at", "space_id", "mode", "operator_id"}
    bare = {name: value if name in needed else None for name, value in EXECUTION.items()}
    _, found = await taken(tmp_path, dump([bare, EXECUTION | {"id": 5, "input_tokens": 0, "output_tokens": 0}]))

    first, second = found
    assert ("interrupted", BEGAN, BEGAN) == (first["execute_status"], first["create_time"], first["update_time"])
    empty = ("error_code", "error_message", "output", "bot_id", "usage", "connector_id", "connector_uid")
    assert [None] * len(empty) == [first[name] for name in empty]
    assert {"coze_execute_id": str(RUN), "imported_from": first["metadata"]["imported_from"]} == first["metadata"]
    assert None is second["usage"]


@pytest.mark.parametrize(
    ("number", "status", "message"),
    [
        (1, "running", None),
        (2, "success", None),
        (3, "failed", None),
        (4, "failed", "The run was cancelled."),
        (5, "interrupted", None),
        (0, "interrupted", None),
        (77, "interrupted", None),
    ],
)
async def test_every_status_number_means_what_studio_means(
    tmp_path: Path, number: int, status: str, message: str | None
) -> None:
    """Cancelled runs have failed, and the number itself is kept; only a run that has ended has an end."""
    _, [found] = await taken(tmp_path, as_csv([EXECUTION | {"status": number}]))

    assert (status, message) == (found["execute_status"], found["error_message"])
    assert number == found["metadata"]["imported_from"]["status"]
    assert (status in {"success", "failed"}) == ("ended_at" in found["metadata"])


async def test_a_failure_keeps_its_code_and_reason(tmp_path: Path) -> None:
    """The code is a number where it is one, as in records of ours."""
    failed = EXECUTION | {"status": 4, "error_code": "777777777", "fail_reason": "workflow cancel by user"}
    other = EXECUTION | {"id": 5, "status": 3, "error_code": "E-1", "fail_reason": "坏了"}
    _, found = await taken(tmp_path, as_json([failed, other]))

    assert [(777_777_777, "workflow cancel by user"), ("E-1", "坏了")] == [
        (record["error_code"], record["error_message"]) for record in found
    ]


@pytest.mark.parametrize(("pattern", "mode"), [(1, 0), (2, 2), (3, 1), (None, 1), (9, 1)])
async def test_the_sync_pattern_is_the_run_mode(tmp_path: Path, pattern: int | None, mode: int) -> None:
    """Sync, async and stream have other numbers here; where nothing is known it is our default."""
    _, [found] = await taken(tmp_path, as_json([EXECUTION | {"sync_pattern": pattern}]))

    assert mode == found["run_mode"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1, {"b": null}]}', {"a": [1, {"b": None}]}),
        ("[1, 2]", [1, 2]),
        ('{"n": 12345678901234567890123}', {"n": "12345678901234567890123"}),
        ('{"n": 9007199254740993}', {"n": 9_007_199_254_740_993}),
        ('{"a": ', '{"a": '),
        ("[answer] it is so", "[answer] it is so"),
        ("好的，123", "好的，123"),
        ("123", "123"),
        ("true", "true"),
    ],
)
async def test_an_input_or_output_is_json_or_stays_text(tmp_path: Path, text: str, value: object) -> None:
    """An answer that happens to be a number stays a text, and broken JSON is kept as it is."""
    _, [found] = await taken(tmp_path, as_csv([EXECUTION | {"input": text, "output": text}]))

    assert (value, value) == (found["input_parameters"], found["output"])


async def test_a_json_column_may_hold_values(tmp_path: Path) -> None:
    """In JSON Lines some clients write the object itself."""
    _, [found] = await taken(tmp_path, as_json([EXECUTION | {"output": {"a": 1}, "input": [1]}]))

    assert ({"a": 1}, [1]) == (found["output"], found["input_parameters"])


@pytest.mark.parametrize("levels", [200, 255, 1_000, 100_000])
async def test_cells_nested_however_deeply_come_in(tmp_path: Path, levels: int) -> None:
    """As text or as values, in every column that is kept."""
    deep = "[" * levels + '"needle"' + "]" * levels
    for cell in (deep, json.dumps(deep)):
        row = as_json(
            [EXECUTION | {"input": "@", "output": "@", "fail_reason": "@", "connector_uid": "@", "version": "@"}]
        )
        _, [found] = await taken(tmp_path, row.replace('"@"', cell))
        for key in ("input_parameters", "output", "error_message", "connector_uid"):
            assert "needle" in json.dumps(found[key])


async def test_nodes_are_a_timeline(tmp_path: Path) -> None:
    """With what Studio knows of each: kind, state, usage, errors, loops and runs of workflows inside."""
    loop = NODE | {
        "id": 3, "node_name": "大模型", "node_id": "2", "node_type": "LLM", "created_at": BEGAN + 20, "status": 4,
        "parent_node_id": "150", "composite_node_index": 0, "composite_node_items": "[1]", "error_info": "timeout",
        "error_level": "error", "input_tokens": 7, "output_tokens": 1, "updated_at": None, "duration": 9,
    }  # fmt: skip
    again = loop | {"id": 4, "composite_node_index": 1, "status": 2, "sub_execute_id": 5, "raw_output": "raw"}
    again |= {"error_info": "", "error_level": ""}
    _, [found] = await taken(tmp_path, as_csv([EXECUTION]), as_csv([again, loop, NODE]))

    assert {
        "开始": {
            "node_id": "100001", "node_title": "开始", "node_type": "Entry", "node_execute_uuid": "7520000000000000001",
            "is_finish": True, "start_time": BEGAN + 1, "update_time": BEGAN + 6, "content": '{"city":"北京"}',
            "packets": [], "packet_count": None, "usage": None, "status": "success", "input": '{"city":"北京"}',
        },
        "大模型": {
            "node_id": "2", "node_title": "大模型", "node_type": "LLM", "node_execute_uuid": "3", "is_finish": True,
            "start_time": BEGAN + 20, "update_time": BEGAN + 29, "content": '{"city":"北京"}', "packets": [],
            "packet_count": None, "usage": {"input_count": 7, "output_count": 1, "token_count": 8},
            "status": "failed", "input": '{"city":"北京"}', "error_message": "timeout", "error_level": "error",
            "loop_index": 0, "loop_items": "[1]", "parent_node_id": "150",
        },
        "大模型 (2)": {
            "node_id": "2", "node_title": "大模型", "node_type": "LLM", "node_execute_uuid": "4", "is_finish": False,
            "start_time": BEGAN + 20, "update_time": BEGAN + 29, "content": '{"city":"北京"}', "packets": [],
            "packet_count": None, "usage": {"input_count": 7, "output_count": 1, "token_count": 8},
            "status": "running", "input": '{"city":"北京"}', "raw_output": "raw", "loop_index": 1,
            "loop_items": "[1]", "parent_node_id": "150", "sub_execute_id": "5",
        },
    } == found["node_execute_status"]  # fmt: skip


async def test_nodes_with_one_name_are_told_apart(tmp_path: Path) -> None:
    """The rounds of a loop are numbered, in the order of their times."""
    rounds = [NODE | {"id": 10 + number, "created_at": BEGAN + number, "output": str(number)} for number in (2, 0, 1)]
    _, [found] = await taken(tmp_path, as_json([EXECUTION]), as_json(rounds))

    assert [("开始", "0"), ("开始 (2)", "1"), ("开始 (3)", "2")] == [
        (name, node["content"]) for name, node in found["node_execute_status"].items()
    ]


async def test_a_run_inside_another_names_it(tmp_path: Path) -> None:
    """Its root is its parent here; the node that ran it is kept."""
    _, [found] = await taken(tmp_path, as_json([EXECUTION | {"id": 5, "parent_node_id": "150", "agent_id": 77}]))

    assert (str(RUN), "150", "77") == (
        found["metadata"]["parent"], found["metadata"]["imported_from"]["parent_node_id"], found["bot_id"],
    )  # fmt: skip


async def test_only_so_many_nodes_of_a_run_are_kept(tmp_path: Path) -> None:
    """The first ones, and how many more there were."""
    nodes = [NODE | {"id": number, "created_at": BEGAN + number} for number in range(1, MOST_NODES + 4)]
    _, [found] = await taken(tmp_path, as_json([EXECUTION]), as_json(nodes[::-1]))

    kept = found["node_execute_status"]
    assert (MOST_NODES, "1") == (len(kept), kept["开始"]["node_execute_uuid"])
    assert 3 == found["metadata"]["imported_from"]["nodes_left_out"]


async def test_one_table_is_enough_if_it_is_the_runs(tmp_path: Path) -> None:
    """Without nodes there are no timelines; nodes alone are no runs, and so it says."""
    _, [found] = await taken(tmp_path, as_csv([EXECUTION]))
    assert None is found["node_execute_status"]

    with pytest.raises(
        ImportFailed, match="is not a dump of workflow_execution: its first line does not name workflow_id"
    ):
        await taken(tmp_path, as_csv([NODE]))


async def test_nodes_of_runs_that_are_not_there_are_no_runs(tmp_path: Path) -> None:
    """They are left alone."""
    report, found = await taken(tmp_path, as_csv([EXECUTION]), as_csv([NODE | {"execute_id": 9}]))

    assert (1, 0, None) == (report.added, report.refused_count, found[0]["node_execute_status"])


@dumped
async def test_columns_may_be_more_fewer_and_in_any_order(tmp_path: Path, dump: Any) -> None:
    """Newer versions have more, older ones fewer; names are told apart without their case."""
    row = {"STATUS": 2, "new_column": "{}", "created_at": BEGAN, "Workflow_ID": WORKFLOW, "id": RUN}
    report, [found] = await taken(tmp_path, dump([row]))

    assert (0, str(RUN), "success") == (report.refused_count, found["execute_id"], found["execute_status"])


@pytest.mark.parametrize(
    ("executions", "nodes", "reason"),
    [
        ("", None, "is empty: a dump of workflow_execution names the columns in its first line"),
        ("id,status\n1,2\n", None, "a dump of workflow_execution: its first line does not name created_at, work"),
        ('{"id": 1}\n', None, "does not name created_at, status, workflow_id"),
        ("{broken\n", None, "does not name created_at, id, status, workflow_id"),
        ("1,2,3\n", None, "does not name created_at, id, status, workflow_id"),
        (as_csv([EXECUTION]).split("\n", 1)[1], None, "does not name created_at, id, status, workflow_id"),
        ("\0\xff", None, "does not name created_at, id, status, workflow_id"),
        (as_csv([EXECUTION]), "id,execute_id\n", "is not a dump of node_execution: its first line does not name"),
        (as_csv([EXECUTION]), as_csv([EXECUTION]), "is not a dump of node_execution"),
    ],
)  # fmt: skip
async def test_what_is_not_the_table_is_said_in_one_sentence(
    tmp_path: Path, executions: str, nodes: str | None, reason: str
) -> None:
    """With the file, the table and the columns that are missing, before anything is imported."""
    with pytest.raises(ImportFailed, match=reason) as raised:
        await taken(tmp_path, executions, nodes)

    assert str(raised.value).endswith(".")
    assert "\n" not in str(raised.value)


async def test_a_dump_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Either of the two."""
    put(tmp_path / "executions", as_csv([EXECUTION]))

    for paths in ((tmp_path / "no",), (tmp_path / "executions", tmp_path / "no")):
        with pytest.raises(ImportFailed, match=r"no' cannot be imported: No such file"):
            await import_studio(ExecutionHistoryService(MemoryStore()), *paths)


@pytest.mark.parametrize("bad", ["7.52E+18", "-5", "0", "", "x"])
async def test_an_id_that_is_not_whole_is_refused(tmp_path: Path, bad: str) -> None:
    """A spreadsheet rounds long numbers, which would make one run of many."""
    rows = [EXECUTION | {"id": bad}, EXECUTION | {"workflow_id": bad}, EXECUTION]
    report, _ = await taken(tmp_path, as_csv(rows), as_csv([NODE | {"execute_id": bad}]))

    assert [
        ("line 2 of nodes", "Its execute_id is not a whole number above 0."),
        ("line 2", "Its id is not a whole number above 0; perhaps a spreadsheet has rounded it."),
        ("line 3", "Its workflow_id is not a whole number above 0; perhaps a spreadsheet has rounded it."),
    ] == [(each.place.replace(f"{tmp_path}/", ""), each.reason) for each in report.refused]
    assert 1 == report.added


@dumped
async def test_a_truncated_dump_gives_up_what_is_whole(tmp_path: Path, dump: Any) -> None:
    """Wherever it ends, the row that is cut off is refused with its line, and no half row comes in."""
    whole = dump([EXECUTION | {"id": number, "output": "short"} for number in (1, 2, 3)])
    last = whole.rstrip().rindex("short")
    report, found = await taken(tmp_path, whole[:last])

    assert (2, 1) == (report.added, report.refused_count)
    assert ["1", "2"] == [record["execute_id"] for record in found]
    assert "line 4" == report.refused[0].place or "line 3" == report.refused[0].place
    assert report.refused[0].reason.endswith(".")


async def test_a_quote_that_is_left_open_is_refused(tmp_path: Path) -> None:
    """Also in the last column, where the number of cells is right."""
    row = {"id": 1, "workflow_id": 2, "created_at": BEGAN, "status": 2, "output": "a, b, and what was cut off"}
    report, found = await taken(tmp_path, as_csv([row | {"id": 7}, row]).removesuffix('cut off"\r\n'))

    assert ["7"] == [record["execute_id"] for record in found]
    assert "This is not CSV, or the file ends here: unexpected end of data." == report.refused[0].reason


async def test_broken_rows_are_refused_one_by_one(tmp_path: Path) -> None:
    """What is no row, has too many cells or a broken time has its line and a reason; the others come in."""
    rows = ["{broken", *as_json([EXECUTION, EXECUTION | {"id": 5}]).splitlines()]
    table = b"id,workflow_id,created_at,status\n1,2,%d,2\n1,2,3,2,9\n\n2,2,\xff,2\n3,2,%d,2\n" % (BEGAN, BEGAN)
    (tmp_path / "table").write_bytes(table)

    lines, _ = await taken(tmp_path, "\n".join([*rows[:2], "{oops", "[1]", '{"id": 9}', rows[2]]))
    cells = await import_studio(ExecutionHistoryService(MemoryStore()), tmp_path / "table")

    assert (2, ["line 1", "line 3", "line 4", "line 5"]) == (lines.added, [each.place for each in lines.refused])
    assert (2, ["line 3", "line 5"]) == (cells.added, [each.place for each in cells.refused])
    assert "It has 5 cells where 4 columns are named; perhaps the file ends here." == cells.refused[0].reason
    assert cells.refused[1].reason.startswith(r"Its created_at is '\\xff', which is not understood: ")


async def test_sql_is_no_dump(tmp_path: Path) -> None:
    """The sentence says which dump to make."""
    with pytest.raises(ImportFailed, match="is SQL, which is not read: dump workflow_execution with mysql --batch"):
        await taken(tmp_path, "-- MySQL dump\nDROP TABLE IF EXISTS `workflow_execution`;\n")


@pytest.mark.parametrize(
    "text",
    [
        "\t".join(EXECUTION) + "\n" + "\t".join("" if each is None else str(each) for each in EXECUTION.values()),
        "\ufeff" + as_csv([EXECUTION], "\t"),
    ],
)
async def test_tabs_of_other_clients_are_read_as_they_are(tmp_path: Path, text: str) -> None:
    """Nothing is escaped where a single backslash stands before a quote; quotes may be doubled."""
    report, [found] = await taken(tmp_path, text)

    assert (0, {"city": "北京", "lines": 'a\nb, "c"'}) == (report.refused_count, found["input_parameters"])


@pytest.mark.parametrize("dump", [as_csv, as_batch, as_json])
async def test_hostile_rows_have_their_lines(tmp_path: Path, dump: Any) -> None:
    """No row at all and one without an id are named; what is no text has escapes, and the others come in."""
    header = b"" if dump is as_json else dump([EXECUTION]).encode().split(b"\n", 1)[0] + b"\n"
    no_id, row = (
        dump([each]).encode().removeprefix(header) for each in (EXECUTION | {"id": None, "output": "一"}, EXECUTION)
    )
    (broken,) = (dump([each]).encode().removeprefix(header) for each in [EXECUTION | {"id": 5}])
    rows = [b"{\xff\xfe broken\n", no_id, broken.replace("晴".encode(), b"\xff"), row]
    (tmp_path / "executions").write_bytes(header + b"".join(rows))
    store = MemoryStore()

    report = await import_studio(ExecutionHistoryService(store), tmp_path / "executions")

    first = 1 if dump is as_json else 2
    assert [f"line {first + number}" for number in range(2)] == [refused.place for refused in report.refused]
    assert all(refused.reason.endswith(".") for refused in report.refused)
    escaped, whole = (orjson.loads(body) for body in await everything(store))
    assert "\\xff" in str(escaped["output"])
    assert ("escapes", None) == tuple(each["metadata"]["imported_from"].get("charset") for each in (escaped, whole))


@pytest.mark.parametrize("charset", ["gb18030", "utf-16"])
@dumped
async def test_a_dump_in_another_charset_is_read_and_says_so(tmp_path: Path, dump: Any, charset: str) -> None:
    """As Excel in China and PowerShell save them; the nodes of a run may be in another one than the run."""
    (tmp_path / "executions").write_bytes(dump([EXECUTION]).removeprefix("\ufeff").encode(charset))
    (tmp_path / "nodes").write_text(dump([NODE]), "utf-8")
    store = MemoryStore()
    report = await import_studio(ExecutionHistoryService(store), tmp_path / "executions", tmp_path / "nodes")
    (found,) = (orjson.loads(body) for body in await everything(store))
    assert (1, 0) == (report.added, report.refused_count)
    assert {"output": "晴\t\\"} == found["output"]
    assert ["开始"] == list(found["node_execute_status"])
    assert charset == found["metadata"]["imported_from"]["charset"]


@dumped
async def test_the_beginning_of_a_run_is_known_from_its_end(tmp_path: Path, dump: Any) -> None:
    """Where Studio has only the time of the end and the duration."""
    rows = [{**EXECUTION, "created_at": 0, "updated_at": BEGAN + 1_500, "duration": "1.5e3"}]
    _, [found] = await taken(tmp_path, dump(rows))
    assert (BEGAN, BEGAN + 1_500) == (found["create_time"], found["update_time"])
    assert BEGAN + 1_500 == found["metadata"]["ended_at"]


@dumped
async def test_what_is_not_understood_of_a_row_is_refused(tmp_path: Path, dump: Any) -> None:
    """A duration that is no number, in both tables, and a status in an unknown word."""
    rows = [
        {**EXECUTION, "duration": "NaN"}, {**EXECUTION, "duration": -5}, {**EXECUTION, "status": "odd"},
        {**EXECUTION, "status": "Succeeded"},
    ]  # fmt: skip
    report, [found] = await taken(tmp_path, dump(rows), dump([{**NODE, "duration": "soon"}, NODE]))
    said = [each.reason.split(", which")[0].replace("'-5'", "-5") for each in report.refused]
    assert ["Its duration is 'soon'", "Its duration is 'NaN'", "Its duration is -5", "Its status is 'odd'"] == said
    assert ("success", "Succeeded") == (found["execute_status"], found["metadata"]["imported_from"]["status"])


async def test_the_rows_that_an_open_quote_has_swallowed_are_named(tmp_path: Path) -> None:
    """With their first and last line, in the place of the row."""
    rows = [EXECUTION | {"id": number, "input": "{}"} for number in range(1, 6)]
    lines = as_csv(rows).split("\r\n")
    lines[2] = lines[2].removesuffix("NULL") + '"NULL'
    report, found = await taken(tmp_path, "\r\n".join(lines[:5]))
    assert ["1", "4"] == [each["execute_id"] for each in found]
    (refused,) = report.refused
    assert "line 3" == refused.place
    assert refused.reason.startswith("A quote in it is not closed, so the lines 3 to 4 were read as one row, ")


async def test_broken_nodes_are_named_and_the_run_comes_in(tmp_path: Path) -> None:
    """What is wrong in the second table does not keep the first from being imported."""
    nodes = as_json([NODE]) + "broken\n" + as_json([{"node_id": "1"}])
    report, [found] = await taken(tmp_path, as_json([EXECUTION]), nodes)

    assert ["开始"] == list(found["node_execute_status"])
    assert [f"line {number} of {tmp_path / 'nodes'}" for number in (2, 3)] == [each.place for each in report.refused]


@dumped
async def test_importing_twice_changes_nothing(store: HistoryStore, tmp_path: Path, dump: Any) -> None:
    """And a later dump brings in what has gone on since."""
    running = EXECUTION | {"status": 1, "output": "", "updated_at": BEGAN, "duration": None}
    rows = [running, EXECUTION | {"id": 5}]
    put(tmp_path / "executions", dump(rows))
    put(tmp_path / "later", dump([EXECUTION, rows[1]]))

    first = await import_studio(ExecutionHistoryService(store), tmp_path / "executions")
    before = await everything(store)
    second = await import_studio(ExecutionHistoryService(store), tmp_path / "executions")
    assert before == await everything(store)
    third = await import_studio(ExecutionHistoryService(store), tmp_path / "later")

    counts = [(each.added, each.replaced, each.skipped) for each in (first, second, third)]
    assert [(2, 0, 0), (0, 0, 2), (0, 1, 1)] == counts
    assert "success" == orjson.loads(await store.get(str(WORKFLOW), str(RUN)) or b"null")["execute_status"]


async def test_progress_reaches_the_size_of_both_dumps(tmp_path: Path) -> None:
    """Bytes of the two files together, known beforehand."""
    executions = put(tmp_path / "executions", as_csv([EXECUTION | {"id": number} for number in range(1, 2_001)]))
    nodes = put(tmp_path / "nodes", as_csv([NODE] * 3_000))
    told: list[Progress] = []

    report = await import_studio(ExecutionHistoryService(MemoryStore()), executions, nodes, on_progress=told.append)

    size = executions.stat().st_size + nodes.stat().st_size
    assert (size, size, 2_000) == (report.size, told[-1].total_size, report.added)
    assert all(one.size <= other.size for one, other in pairwise(told))


def test_a_row_with_nothing_in_it_is_still_a_record() -> None:
    """The mapping itself never fails; what it cannot do without is refused before."""
    found = record_of_execution({}, [{}])

    assert ("interrupted", None, ["node"]) == (
        found["execute_status"], found["execute_id"], list(found["node_execute_status"]),
    )  # fmt: skip


async def test_a_run_without_a_time_is_refused_and_a_node_loses_it(store: HistoryStore, tmp_path: Path) -> None:
    """The line and the column are named; the rest of the rows comes in, and comes in once."""
    runs, nodes = tmp_path / "runs.csv", tmp_path / "nodes.csv"
    runs.write_text("id,workflow_id,created_at,status\n1,71,99999999999999999999,2\n2,71,1700000000000,2\n3,71,0,2\n")
    nodes.write_text(f"id,execute_id,node_id,node_name,created_at,status\n1,2,5,a,{2**63},3\n")
    first, second = [await import_studio(ExecutionHistoryService(store), runs, nodes) for _ in range(2)]
    assert (1, 0, 1) == (first.added, second.taken, second.skipped)
    assert ["line 2", "line 4"] == [each.place for each in first.refused]
    assert first.refused[0].reason.startswith("Its created_at is '99999999999999999999', which is not understood")
    assert "It has no created_at." == first.refused[1].reason
    (body,) = await store.find("2")
    assert 0 == orjson.loads(body)["node_execute_status"]["a"]["start_time"]
