"""Files of others in any charset: read as they are meant, by every way in, and the record says which it was."""

import json
import zipfile
from pathlib import Path
from typing import Any

import orjson
import pytest

from execution_history import ExecutionHistoryService
from execution_history.stores import MemoryStore
from execution_history.transfer import ImportReport, import_history
from tests.transfer.histories import everything

pytestmark = pytest.mark.anyio

_AT = 1_761_901_941_289
_BIG_ENDIAN = "utf-16-be with a mark"
_CHARSETS = [("gb18030", "gb18030"), ("utf-16", "utf-16"), (_BIG_ENDIAN, "utf-16"), ("utf-8-sig", None)]


def _record(execute_id: str, output: str = "北京很好 𝄞 😀") -> dict[str, Any]:
    found = {"execute_id": execute_id, "workflow_id": "流", "execute_status": "success", "create_time": _AT}
    return found | {"output": output, "input_parameters": {"城市": "上海"}}


def _file(*records: dict[str, Any]) -> str:
    content = {"workflow_id": "流", "total": len(records), "histories": records, "updated_at": 1}
    return json.dumps(content, ensure_ascii=False, indent=2)


def _lines(*records: dict[str, Any]) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\r\n" for record in records)


def _encoded(text: str, charset: str) -> bytes:
    return b"\xfe\xff" + text.encode("utf-16-be") if charset == _BIG_ENDIAN else text.encode(charset)


async def _taken(path: Path) -> tuple[ImportReport, list[dict[str, Any]]]:
    store = MemoryStore()
    report = await import_history(ExecutionHistoryService(store), [path])
    return report, [orjson.loads(body) for body in await everything(store)]


@pytest.mark.parametrize("way", ["file.json", "lines.jsonl", "lines.json", "file.zip", "lines.zip", "folder"])
@pytest.mark.parametrize(("charset", "name"), _CHARSETS)
async def test_a_file_in_another_charset_is_read_and_says_so(
    tmp_path: Path, way: str, charset: str, name: str | None
) -> None:
    """In a zip file and in a folder too; as Chinese editors and PowerShell save them."""
    records = [_record("a"), _record("b")]
    data = _encoded(_lines(*records) if way.startswith("lines") else _file(*records), charset)
    path = tmp_path / way
    if way == "folder":
        path.mkdir()
        (path / "w.json").write_bytes(data)
    elif way.endswith(".zip"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("in.jsonl" if way.startswith("lines") else "in.json", data)
    else:
        path.write_bytes(data)
    report, found = await _taken(path)
    assert (2, 0) == (report.added, report.refused_count)
    for record in found:
        assert ("流", "北京很好 𝄞 😀", {"城市": "上海"}) == (
            record["workflow_id"], record["output"], record["input_parameters"],
        )  # fmt: skip
        assert ({} if name is None else {"imported_from": {"charset": name}}) == record["metadata"]


@pytest.mark.parametrize(("charset", "name"), _CHARSETS)
async def test_a_file_in_the_folder_of_a_store_is_taken_in_in_its_charset(
    tmp_path: Path, charset: str, name: str | None
) -> None:
    """Nothing is lost and nothing is said to be damaged; the file is written anew in UTF-8."""
    (tmp_path / "流.json").write_bytes(_encoded(_file(_record("a")), charset))
    async with ExecutionHistoryService(tmp_path) as service:
        (found,) = (await service.get_execution_history("流"))["histories"]
        assert () == (await service.health()).problems
    assert "北京很好 𝄞 😀" == found["output"]
    assert ({} if name is None else {"imported_from": {"charset": name}}) == found["metadata"]
    assert "北京很好" in (tmp_path / "流.json").read_text("utf-8")


@pytest.mark.parametrize("is_cut", [False, True])
async def test_a_few_broken_bytes_of_utf_8_become_escapes(tmp_path: Path, is_cut: bool) -> None:
    """Although all of it could be read as GB18030; only the record that has them says so, and the file is kept."""
    text = _file(_record("a", "北京"), _record("b", "你好#你好"), _record("c", "南京")).replace("流", "流程")
    data = text.encode().replace(b"#", "啊".encode("gb18030"))
    assert data.decode("gb18030")
    data = data[: data.index("南".encode()) + 2] if is_cut else data
    (tmp_path / "in.json").write_bytes(data)
    report, found = await _taken(tmp_path / "in.json")
    assert [f"It is damaged; {len(found)} records could still be read."] == [each.reason for each in report.refused]
    assert ["北京", r"你好\xb0\xa1你好", "南京"][: len(found)] == [each["output"] for each in found]
    assert [{}, {"imported_from": {"charset": "escapes"}}, {}][: len(found)] == [each["metadata"] for each in found]
    assert (2 if is_cut else 3) == len(found)


async def test_a_flipped_bit_does_not_make_another_charset_of_a_file(tmp_path: Path) -> None:
    """Although the byte and the letter after it are a character of GB18030."""
    text = _file(_record("a", "done"), _record("b", "left as it is")).replace("流", "flow")
    data = text.encode().replace(b"done", b"d\xefne")
    assert data.decode("gb18030")
    (tmp_path / "in.json").write_bytes(data)
    _, found = await _taken(tmp_path / "in.json")
    assert [r"d\xefne", "left as it is"] == [each["output"] for each in found]
    assert [{"imported_from": {"charset": "escapes"}}, {}] == [each["metadata"] for each in found]


async def test_a_file_that_is_cut_within_a_character_is_still_utf_8(tmp_path: Path) -> None:
    """What stands before the cut is as it is."""
    data = _file(_record("a", "北京"), _record("b", "南京")).encode()
    (tmp_path / "in.json").write_bytes(data[: data.index("南".encode()) + 1])
    report, (found,) = await _taken(tmp_path / "in.json")
    assert (1, "北京", {}) == (report.refused_count, found["output"], found["metadata"])


@pytest.mark.parametrize("name", ["in.jsonl", "in.json"])
async def test_files_that_were_joined_have_marks_between_their_lines(tmp_path: Path, name: str) -> None:
    """Each byte order mark is read over, also one that stands alone."""
    mark = b"\xef\xbb\xbf"
    one, two, three = (_lines(_record(execute_id)).encode() for execute_id in "abc")
    (tmp_path / name).write_bytes(mark + one + b"\r\n" + mark + two + mark + b"\r\n" + mark + mark + three)
    report, found = await _taken(tmp_path / name)
    assert (3, 0, [{}, {}, {}]) == (report.added, report.refused_count, [each["metadata"] for each in found])
