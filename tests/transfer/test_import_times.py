"""Times of imported runs: understood in every usual form, and refused with their place rather than replaced."""

import json
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest

from execution_history import ExecutionHistoryService
from execution_history.records.record import KEYS
from execution_history.stores import MemoryStore, SQLiteStore
from execution_history.transfer import ImportReport, import_history
from tests.sample_records import document
from tests.transfer.histories import everything

pytestmark = pytest.mark.anyio

_AT = 1_761_901_941_289


def _record(created: object, updated: object, **others: Any) -> dict[str, Any]:
    found = {"execute_id": "a", "workflow_id": "w", "execute_status": "success"}
    return found | {"create_time": created, "update_time": updated} | others


def _write(path: Path, record: dict[str, Any]) -> None:
    """Write one record as a line, compact or with blanks, or as a deployment's file."""
    if path.suffix == ".json":
        path.write_text(json.dumps({"workflow_id": "w", "total": 1, "histories": [record], "updated_at": 1}, indent=2))
    else:
        path.write_bytes(orjson.dumps(record) if path.stem == "compact" else json.dumps(record).encode())


async def _taken(path: Path, **options: Any) -> tuple[ImportReport, list[dict[str, Any]]]:
    store = MemoryStore()
    report = await import_history(ExecutionHistoryService(store), [path], **options)
    return report, [orjson.loads(body) for body in await everything(store)]


_FORMS: list[tuple[object, object, int]] = [
    ("2025-10-31T09:12:21.289Z", "2025-10-31T09:12:22.289Z", 1_000),
    ("2025-10-31 17:12:21.289+08:00", "2025-10-31T09:12:22.289", 1_000),
    (1_761_901_941.289, 1_761_901_942.5, 1_211),
    ("1761901941.289", "1761901942.289", 1_000),
    (1_761_901_941_289_000, 1_761_901_942_289_000, 1_000),
    (1_761_901_941_289_000_000, 1_761_901_942_289_000_000, 1_000),
    (_AT, 1_761_901_942, 711),
    (1_761_901_941_289.0, 1_761_901_942_289.0, 1_000),
    (_AT, None, 0),
    (None, _AT, 0),
]


@pytest.mark.parametrize("name", ["lines.jsonl", "compact.jsonl", "file.json"])
@pytest.mark.parametrize("is_whole", [False, True])
@pytest.mark.parametrize(("created", "updated", "duration"), _FORMS)
async def test_a_time_is_understood_in_every_form(
    tmp_path: Path, name: str, created: object, updated: object, duration: int, is_whole: bool
) -> None:
    """In records of others and in such that have all our keys, in lines and in files, each time by itself."""
    record = _record(created, updated)
    if is_whole:
        record = orjson.loads(document("a").body) | {"execute_status": "success"} | record
        assert KEYS == tuple(record)
    _write(tmp_path / name, record)
    report, (found,) = await _taken(tmp_path / name)
    assert (1, 0) == (report.added, report.refused_count)
    assert (_AT, _AT + duration) == (found["create_time"], found["update_time"])
    assert ({} if created is not None else {"adopted_fields": {"create_time": None}}) == found["metadata"]


@pytest.mark.parametrize("name", ["lines.jsonl", "compact.jsonl", "file.json"])
@pytest.mark.parametrize("is_whole", [False, True])
@pytest.mark.parametrize(
    ("created", "updated", "reason"),
    [
        (None, None, "It has no create_time."),
        (0, 0, "Its create_time is 0, which is not understood: "),
        (-1_000, 5, "Its create_time is -1000, which is not understood: "),
        (_AT, "soon", "Its update_time is 'soon', which is not understood: "),
        (20_251_031_091_221, _AT, "Its create_time is 20251031091221, which is not understood: "),
        ({}, _AT, "Its create_time is {}, which is not understood: "),
        (True, _AT, "Its create_time is true, which is not understood: "),
    ],
)
async def test_what_is_not_understood_is_refused_with_its_place(
    tmp_path: Path, name: str, created: object, updated: object, reason: str, is_whole: bool
) -> None:
    """The field and the value are named, and nothing takes their place."""
    record = _record(created, updated)
    _write(tmp_path / name, orjson.loads(document("a").body) | record if is_whole else record)
    report, found = await _taken(tmp_path / name)
    assert [] == found
    (refused,) = report.refused
    assert ("record 1" if name.endswith(".json") else "line 1") == refused.place
    assert refused.reason.startswith(reason)


async def test_a_record_without_the_keys_of_times_is_refused(tmp_path: Path) -> None:
    """The time of the file is no time of a run."""
    (tmp_path / "in.jsonl").write_text('{"workflow_id": "w", "execute_id": "a"}')
    report, found = await _taken(tmp_path / "in.jsonl")
    assert ([], ["It has no create_time."]) == (found, [each.reason for each in report.refused])


async def test_a_time_without_an_offset_is_in_the_zone_of_the_import(tmp_path: Path) -> None:
    """UTC unless another is named; the end under metadata too."""
    ended = {"metadata": {"ended_at": "2025-10-31 17:12:22.289"}}
    _write(tmp_path / "in.jsonl", _record("2025-10-31 17:12:21.289", None, **ended))
    _, (found,) = await _taken(tmp_path / "in.jsonl", zone=ZoneInfo("Asia/Shanghai"))
    assert (_AT, {"ended_at": _AT + 1_000}) == (found["create_time"], found["metadata"])


async def test_an_end_before_the_beginning_is_the_beginning_and_stays_visible(tmp_path: Path) -> None:
    """A clock was set back meanwhile; the run took place all the same."""
    _write(tmp_path / "in.jsonl", _record(_AT, _AT - 10_000))
    _, (found,) = await _taken(tmp_path / "in.jsonl")
    assert (_AT, _AT) == (found["create_time"], found["update_time"])
    assert {"adopted_fields": {"update_time": _AT - 10_000}} == found["metadata"]


@pytest.mark.parametrize(
    ("created", "updated", "kept"),
    [
        ("long ago", None, {"create_time": "long ago"}),
        (None, None, {"create_time": None}),
        (0, "soon", {"create_time": 0, "update_time": "soon"}),
    ],
)
async def test_a_file_in_the_folder_of_a_store_loses_no_run_for_its_times(
    tmp_path: Path, created: object, updated: object, kept: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """It is taken in with the time of that moment, and the record and the log say so."""
    _write(tmp_path / "w.json", _record(created, updated))
    async with ExecutionHistoryService(SQLiteStore(tmp_path), clock=lambda: _AT) as service:
        found = await service.get_execution_detail("w", "a")
    assert found is not None
    assert found["create_time"] >= _AT
    assert {"adopted_fields": kept} == found["metadata"]
    assert "success" == found["execute_status"]
    assert ["w.json", "record 1"] == [part for part in ("w.json", "record 1") if part in caplog.text]


@pytest.mark.parametrize(("charset", "shown"), [("gb18030", "中文"), ("latin-1", r"n\xe9!")])
async def test_a_line_that_is_not_utf_8_says_in_which_charset_it_was_read(
    tmp_path: Path, charset: str, shown: str
) -> None:
    """In GB18030 or, where it is neither, with escapes; the lines around it are as they are."""
    plain = document("plain", now=_AT, metadata={"t": "中文"}).body
    written = "中文" if charset == "gb18030" else "né!"
    line = json.dumps(_record(_AT, _AT, output=written, metadata={"k": 1}), ensure_ascii=False).encode(charset)
    (tmp_path / "in.jsonl").write_bytes(b"\n".join((plain, line, b"")))
    report, (first, second) = await _taken(tmp_path / "in.jsonl")
    assert (2, 0) == (report.added, report.refused_count)
    assert {"t": "中文"} == first["metadata"]
    known = "gb18030" if charset == "gb18030" else "escapes"
    assert (shown, {"k": 1, "imported_from": {"charset": known}}) == (second["output"], second["metadata"])


_WORDS = [
    ("Success", "success"), ("SUCCEEDED", "success"), (" success ", "success"), (2, "success"), ("Fail", "failed"),
    ("FAILED", "failed"), ("error", "failed"), ("Cancel", "failed"), ("Canceled", "failed"), ("Running", "running"),
    ("in-progress", "running"), ("In Progress", "running"), ("1", "running"),
    ("Interrupted", "interrupted"), (5, "interrupted"), ("requires_action", "interrupted"), ("成功", "success"),
]  # fmt: skip


@pytest.mark.parametrize("name", ["lines.jsonl", "compact.jsonl", "file.json", "w.json"])
@pytest.mark.parametrize(("written", "status"), _WORDS)
async def test_a_status_is_understood_in_the_words_of_others(
    tmp_path: Path, name: str, written: object, status: str
) -> None:
    """In any case, from every way in; the word is kept, as the record has another one."""
    _write(tmp_path / name, _record(_AT, _AT, execute_status=written))
    if name == "w.json":
        async with ExecutionHistoryService(tmp_path) as service:
            kept = [dict(each) for each in (await service.get_execution_history("w"))["histories"]]
    else:
        _, kept = await _taken(tmp_path / name)
    (found,) = kept
    assert status == found["execute_status"]
    assert {"adopted_fields": {"execute_status": written}} == found["metadata"]


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (None, "It has no execute_status."),
        ("odd", "Its execute_status is 'odd', which is not understood: "),
        (True, "Its execute_status is true, which is not understood: "),
        ({"a": None}, 'Its execute_status is {"a":null}, which is not understood: '),
        (7, "Its execute_status is 7, which is not understood: "),
    ],
)
async def test_a_status_that_is_not_understood_is_refused_and_in_the_own_folder_kept(
    tmp_path: Path, written: object, reason: str
) -> None:
    """Nobody knows how such a run ended: it is not running for ever, and its word is there to be read."""
    _write(tmp_path / "w.json", _record(_AT, _AT, execute_status=written))
    report, taken = await _taken(tmp_path / "w.json")
    async with ExecutionHistoryService(tmp_path) as service:
        found = await service.get_execution_detail("w", "a")
    assert [] == taken
    assert report.refused[0].reason.startswith(reason)
    assert found is not None
    assert "interrupted" == found["execute_status"]
    assert "does not say how the run ended" in str(found["error_message"])
    assert ({} if written is None else {"adopted_fields": {"execute_status": written}}) == found["metadata"]


@pytest.mark.parametrize("stated", ["another", 7])
async def test_the_workflow_that_a_record_names_itself_is_kept(tmp_path: Path, stated: object) -> None:
    """Where its file names another one, to which it belongs."""
    _write(tmp_path / "w.json", _record(_AT, _AT, workflow_id=stated))
    _, (found,) = await _taken(tmp_path / "w.json")
    assert ("w", {"adopted_fields": {"workflow_id": stated}}) == (found["workflow_id"], found["metadata"])


async def test_lines_and_files_take_the_same_values(tmp_path: Path) -> None:
    """What Python writes as JSON and what has no strict form comes in from both, in the documented form."""
    output = '{"score": NaN, "t": "cut \\ud83d", "n": 80241446968629135069, "raw": "a\tb"}'
    record = f'{{"execute_id": "a", "execute_status": "success", "create_time": {_AT}, "output": {output}}}'
    record = record.replace("{", '{"workflow_id": "w", ', 1)
    (tmp_path / "in.jsonl").write_text(record + "\n")
    (tmp_path / "in.json").write_text(f'{{"workflow_id": "w", "histories": [{record}]}}')
    for name in ("in.jsonl", "in.json"):
        report, (found,) = await _taken(tmp_path / name)
        assert 0 == report.refused_count
        assert {"score": "NaN", "t": "cut \\ud83d", "n": "80241446968629135069", "raw": "a\tb"} == found["output"]
