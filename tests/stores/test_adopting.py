"""Opening a folder steps over whatever it meets, says so, and adopts everything else."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from execution_history.errors import StoreFull
from execution_history.history.service import ExecutionHistoryService
from execution_history.presentation.translator import LANGUAGES
from execution_history.records.reading_limits import ReadingLimits
from execution_history.records.size_limit import LARGEST_RECORD, LEAST_LIMIT
from execution_history.stores import MemoryStore, SQLiteStore
from execution_history.stores.jsonfiles.import_foreign_files import Adopter
from execution_history.transfer import import_history
from tests.sample_records import document

pytestmark = pytest.mark.anyio


def _put(path: Path, *records: dict[str, Any]) -> None:
    """A JSON file as a deployment wrote it."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"workflow_id": path.stem, "histories": records}, indent=2))


def _hostile(kind: str, path: Path) -> None:
    """Something at *path* that cannot be read as a file."""
    if kind == "folder":
        (path / "within").mkdir(parents=True)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to("/dev/zero")
    elif kind == "link to itself":
        path.symlink_to(path.name)
    else:
        path.symlink_to("nowhere")


_KINDS = ["folder", "pipe", "link", "link to itself", "link to nowhere"]


@pytest.mark.parametrize("kind", _KINDS)
async def test_what_is_no_file_is_stepped_over_and_named(tmp_path: Path, kind: str) -> None:
    """It stays where it is, and the problem goes when it does."""
    _put(tmp_path / "h" / "good.json", {"execute_id": "a"})
    _hostile(kind, tmp_path / "h" / "bad.json")
    async with ExecutionHistoryService(tmp_path / "h") as service:
        assert ["a"] == [each["execute_id"] for each in (await service.get_execution_history("good"))["histories"]]
        (problem,) = (await service.health()).problems
        assert problem.startswith("'bad.json' was not imported: it is a ")
        assert os.path.lexists(tmp_path / "h" / "bad.json")
        (tmp_path / "h" / "bad.json").rename(tmp_path / "away")
        assert () == (await service.health()).problems


@pytest.mark.parametrize("kind", _KINDS)
async def test_what_stands_in_the_place_of_a_file_makes_room_for_it(tmp_path: Path, kind: str) -> None:
    """It is kept under another name, which the problem names."""
    async with ExecutionHistoryService(tmp_path / "h") as service:
        await service.create_execution_record("w", "a")
    (tmp_path / "h" / "w.json").unlink()
    _hostile(kind, tmp_path / "h" / "w.json")
    async with ExecutionHistoryService(tmp_path / "h") as service:
        (problem,) = (await service.health()).problems
        await service.create_execution_record("w", "b")
        assert 2 == json.loads((tmp_path / "h" / "w.json").read_bytes())["total"]
    (kept,) = (path.name for path in (tmp_path / "h").iterdir() if ".unread-" in path.name)
    assert problem.endswith(f"It is kept as {kept!r}.")


class _Raising:
    """A writer whose transactions fail from the second on."""

    def __init__(self, error: Exception) -> None:
        self._error = error
        self.merged = 0

    def run_now(self, work: Callable[[Any], Any]) -> Any:
        """See :class:`RunsTransactions`."""
        del work
        if self.merged:
            raise self._error
        self.merged += 1
        return None, []


@pytest.mark.parametrize(
    "error",
    [
        OSError(5, "Input/output error"),
        MemoryError(),
        RecursionError(),
        ValueError("x"),
        KeyError("x"),
        OverflowError(),
        Exception(),
    ],
)
@pytest.mark.parametrize("is_needed", [True, False])
def test_whatever_one_file_raises_it_is_named_and_nothing_is_lost(
    tmp_path: Path, error: Exception, is_needed: bool
) -> None:
    """A file that has been taken in half is kept under another name: ours is made in its place."""
    path = tmp_path / "w.json"
    _put(path, *({"execute_id": f"e{n}"} for n in range(1_200)))
    data = path.read_bytes()
    adopter = Adopter(tmp_path, _Raising(error), lambda workflow_id: tmp_path / f"{workflow_id}.json")

    assert {"w"} == adopter.adopt(path, is_needed=is_needed)

    (kept,) = tmp_path.iterdir()
    assert kept.name.startswith("w.json.unread-")
    assert data == kept.read_bytes()
    (problem,) = adopter.problems()
    assert problem.startswith("'w.json' was not imported: ")
    assert problem.endswith(f"It is kept as {kept.name!r}.")


def test_a_file_for_which_there_is_no_space_now_stays_as_it_is(tmp_path: Path) -> None:
    """It is named, and taken in when there is: to keep it under another name would cost the space twice."""
    path = tmp_path / "w.json"
    _put(path, *({"execute_id": f"e{n}"} for n in range(1_200)))
    data = path.read_bytes()
    adopter = Adopter(tmp_path, _Raising(StoreFull("The disk is full.")), lambda name: tmp_path / f"{name}.json")
    with pytest.raises(StoreFull):
        adopter.adopt(path, is_needed=True)
    assert [data] == [each.read_bytes() for each in tmp_path.iterdir()]
    (problem,) = adopter.problems()
    assert problem.startswith("'w.json' was not imported: ")


def test_a_file_of_somebody_else_that_cannot_be_read_stays_where_it_is(tmp_path: Path) -> None:
    """Nothing of ours belongs under its name."""
    adopter = Adopter(tmp_path, _Raising(OSError()), lambda workflow_id: tmp_path / f"{workflow_id}.json")
    (tmp_path / "x.json").mkdir()
    assert set() == adopter.adopt(tmp_path / "x.json", is_needed=False)
    assert ["x.json"] == [path.name for path in tmp_path.iterdir()]
    assert ("'x.json' was not imported: it is a folder, not a file.",) == adopter.problems()


@pytest.mark.parametrize(
    "fields",
    [
        {"create_time": 10**400, "update_time": "9" * 4_000},
        {"create_time": "1e999", "update_time": -1},
        {"create_time": True, "update_time": {}},
        {"create_time": 253_402_300_800_000, "update_time": 2**63},
        {"execute_id": "x" * 2_000},
        {"execute_id": {"a": [1] * 1_000}},
        {"execute_id": 10**3_000},
        {"execute_id": "\ud800"},
        {"workflow_id": "\ud800", "metadata": {"coze_execute_id": "\ud800"}},
        {"execute_status": [], "error_code": {}, "usage": "x", "metadata": 7},
    ],
)
async def test_odd_values_of_a_record_hinder_nobody(tmp_path: Path, fields: dict[str, Any]) -> None:
    """Its times and ids among them: it is mended or left out, and those beside it are there."""
    _put(tmp_path / "h" / "w.json", {"execute_id": "a"}, {"execute_id": "odd"} | fields, {"execute_id": "b"})
    _put(tmp_path / "h" / "v.json", {"execute_id": "c"})
    async with ExecutionHistoryService(tmp_path / "h") as service:
        found = {each["execute_id"] for each in (await service.get_execution_history("w"))["histories"]}
        assert {"a", "b"} <= found
        assert 1 == (await service.get_execution_history("v"))["total"]


@pytest.mark.parametrize("name", [b"\xff.json", b"x" * 250 + b".json", "工作流.json".encode(), b"%.json", b"a\nb.json"])
@pytest.mark.parametrize("data", [b"", b"[", b'[{"execute_id": "x"}]', b'{"histories": [{"execute_id": "x"}]}'])
async def test_a_file_of_any_name_hinders_nobody(
    tmp_path: Path, name: bytes, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Whether it can be the name of a workflow or not; in the log it is one line that any terminal can show."""
    _put(tmp_path / "h" / "good.json", {"execute_id": "a"})
    (tmp_path / "h" / os.fsdecode(name)).write_bytes(data)
    async with ExecutionHistoryService(tmp_path / "h") as service:
        assert 1 == (await service.get_execution_history("good"))["total"]
        await service.create_execution_record("good")
    assert all(record.getMessage().isprintable() for record in caplog.records)


async def test_a_header_of_thousands_of_digits_hinders_nobody(tmp_path: Path) -> None:
    """Nor does a revision that no database can hold."""
    (tmp_path / "h").mkdir()
    for name, number in (("a", "9" * 5_000), ("b", "9" * 20), ("c", str(2**63))):
        numbers = "".join(f'  "{key}": {number},\n' for key in ("total", "updated_at", "revision", "newest_at"))
        record = '    {\n      "execute_id": "e"\n    }\n'
        text = f'{{\n  "workflow_id": "{name}",\n{numbers}  "histories": [\n{record}  ]\n}}\n'
        (tmp_path / "h" / f"{name}.json").write_text(text)
    async with ExecutionHistoryService(tmp_path / "h") as service:
        await service.create_execution_record("w", "x")
        assert {"a", "b", "c", "w"} == set(await service.get_all_workflows())


async def test_what_is_beyond_the_limits_is_named_and_kept(tmp_path: Path) -> None:
    """The number of the record, the setting, and where the file is; the records around it are there."""
    _put(
        tmp_path / "h" / "w.json", {"execute_id": "a"}, {"execute_id": "b", "output": "x" * 2_000}, {"execute_id": "c"}
    )
    store = SQLiteStore(tmp_path / "h", limits=ReadingLimits(record=1_000))
    async with ExecutionHistoryService(store) as service:
        assert 2 == (await service.get_execution_history("w"))["total"]
        (problem,) = (await store.health()).problems
    (kept,) = (tmp_path / "h").glob("w.json.damaged-*")
    assert problem == (
        f"Not all of 'w.json' could be read; it is kept as {kept.name!r}. The first fault: "
        "record 2: It has more than 1000 bytes (the setting record_limit_bytes)."
    )
    assert "第一处问题：第 2 条记录：" in LANGUAGES["zh_CN"].message(problem)


async def test_nobody_waits_for_the_file_of_a_workflow_into_which_records_are_brought(tmp_path: Path) -> None:
    """It is made anew once, at the end, and shows what came meanwhile too; so it is for small files and for large."""
    store = SQLiteStore(tmp_path / "h")
    await store.open()
    for workflow_id, size in (("small", 10), ("large", 10_000)):
        for number in range(3):
            made = [document(f"{number}-{n}", workflow_id, output="x" * size) for n in range(400)]
            await store.merge(made, settle=False)
            await store.create(document(f"mine-{number}", workflow_id))
            assert not (tmp_path / "h" / f"{workflow_id}.json").exists()
    await store.flush()
    for workflow_id in ("small", "large"):
        content = json.loads((tmp_path / "h" / f"{workflow_id}.json").read_bytes())
        shown = {record["execute_id"] for record in content["histories"]}
        assert (1_203, True) == (len(shown), {"mine-0", "mine-1", "mine-2"} <= shown)
        await store.create(document("later", workflow_id))
        assert 1_204 == json.loads((tmp_path / "h" / f"{workflow_id}.json").read_bytes())["total"]
    await store.aclose()


@pytest.mark.parametrize(
    "output",
    [list(range(1_200_000)), "{" * 2_500_000, [[0, 1]] * 60_000, [1] * 500_000],
    ids=["numbers", "a text of brackets", "lines of blanks", "nearly the limit"],
)
async def test_what_was_recorded_is_read_back_under_the_same_settings(tmp_path: Path, output: object) -> None:
    """From its JSON file when the database is gone, and from its own exports, whatever it consists of."""
    limit = LEAST_LIMIT if isinstance(output, list) and len(output) < 1_000_000 else LARGEST_RECORD
    made = document("e", now=1_700_000_000_000, output=output)
    store = SQLiteStore(tmp_path / "h", record_limit_bytes=limit)
    async with ExecutionHistoryService(store):
        await store.create(made)
        await store.flush()
    (tmp_path / "again").mkdir()
    (tmp_path / "h" / "w.json").rename(tmp_path / "again" / "w.json")
    shown = SQLiteStore(tmp_path / "again", record_limit_bytes=limit)
    async with ExecutionHistoryService(shown):
        assert made.body == await shown.get("w", "e")
        assert () == (await shown.health()).problems
    (tmp_path / "in.jsonl").write_bytes(made.body + b"\n")
    (tmp_path / "in.json").write_bytes(b"[" + orjson.dumps(made.plain(), option=orjson.OPT_INDENT_2) + b"]")
    for name in ("in.jsonl", "in.json"):
        other = MemoryStore(record_limit_bytes=limit)
        assert 0 == (await import_history(ExecutionHistoryService(other), [tmp_path / name])).refused_count
        assert made.body == await other.get("w", "e")


_TWICE = {"execute_id": "e", "create_time": 1_700_000_000_000, "execute_status": "success"}


@pytest.mark.parametrize(
    ("second", "taken"),
    [({"execute_status": "failed", "output": "SECOND"}, "FIRST"), ({"update_time": 1_700_000_000_001}, None)],
)
async def test_a_file_with_several_records_of_one_run_is_kept_beside(
    tmp_path: Path, second: dict[str, Any], taken: str | None
) -> None:
    """The newer one is taken, or the first, as by an import; the file is named, and the other is still in it."""
    _put(tmp_path / "h" / "w.json", _TWICE | {"output": "FIRST"}, _TWICE | second, {"execute_id": "other"})
    before = (tmp_path / "h" / "w.json").read_bytes()
    async with ExecutionHistoryService(tmp_path / "h") as service:
        found = await service.get_execution_detail("w", "e")
        (problem,) = (await service.health()).problems
    assert found is not None
    assert taken == found["output"]
    (kept,) = (tmp_path / "h").glob("w.json.adopted-*")
    assert before == kept.read_bytes()
    assert problem.startswith("'w.json' has several records of run 'e', and one of them was imported; ")
    assert problem.endswith(f"it is kept as {kept.name!r}.")
    assert 2 == json.loads((tmp_path / "h" / "w.json").read_bytes())["total"]
    async with ExecutionHistoryService(tmp_path / "h") as service:
        assert [kept] == list((tmp_path / "h").glob("w.json.*-*"))


async def test_a_file_with_one_record_twice_is_taken_as_it_is(tmp_path: Path) -> None:
    """Nothing is lost where both are the same."""
    _put(tmp_path / "h" / "w.json", _TWICE, _TWICE)
    async with ExecutionHistoryService(tmp_path / "h") as service:
        assert 1 == (await service.get_execution_history("w"))["total"]
        assert () == (await service.health()).problems
    assert [] == list((tmp_path / "h").glob("w.json.*"))
