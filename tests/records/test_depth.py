"""Whatever is nested however deeply, and wherever it comes in: the record is there, and everything that reads works."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_history import ExecutionHistoryService, record, recorded
from execution_history.history.diff import compare_records
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordQuery, StatisticsQuery
from execution_history.query.path_conditions import parse_condition
from execution_history.recording.step_lines import line_of, step_in
from execution_history.records.adoption import adopt_record, whole_record
from execution_history.records.attributes import attributes_of
from execution_history.records.record import KEYS, Document, RecordChange, new_document
from execution_history.stores import MemoryStore, SQLiteStore
from execution_history.stores.jsonfiles.file_format import render
from execution_history.transfer import Export, export_to_path, import_history
from tests.examples import examples
from tests.records.test_cut import depth_of, nested
from tests.sample_records import document

pytestmark = pytest.mark.anyio

LEVELS = (200, 249, 250, 251, 252, 253, 254, 255, 1_000, 20_000)
_NOW = 1_700_000_000_000
FIELDS = ("input_parameters", "output", "usage", "node_execute_status", "error_message", "bot_id", "metadata")


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[ExecutionHistoryService]:
    """A service on a folder."""
    async with ExecutionHistoryService(tmp_path / "history") as opened:
        yield opened


def text_of(levels: int) -> str:
    """The JSON of a needle in so many lists."""
    return "[" * levels + '"needle"' + "]" * levels


async def check(service: ExecutionHistoryService, folder: Path, workflow_id: str, levels: int) -> dict[str, Any]:
    """See that the newest record of a workflow can be read, found, shown and taken out; the record."""
    page = await service.get_execution_history(workflow_id)
    found: dict[str, Any] = dict(page["histories"][0])
    body = orjson.dumps(found)
    assert (KEYS, body) == (tuple(found), await service.detail_bytes(workflow_id, found["execute_id"]))
    assert depth_of(json.loads(body)) <= 128 <= levels
    assert levels - 1 <= body.count(b"[")
    await service.flush()
    in_file = json.loads((folder / f"{workflow_id}.json").read_bytes())["histories"]
    assert found == in_file[0]
    query = RecordQuery(filter=RecordFilter(workflow_ids=(workflow_id,), text="needle"))
    assert body in (await service.select(query)).documents
    await service.statistics(StatisticsQuery(filter=RecordFilter(workflow_ids=(workflow_id,))))
    assert not compare_records(found, found).output
    assert () == (await service.health()).problems
    for kind in ("jsonl", "json", "csv"):
        record_filter = RecordFilter(workflow_ids=(workflow_id,))
        await export_to_path(service, folder.parent / f"out.{kind}", Export(format=kind, record_filter=record_filter))
    for kind in ("jsonl", "json"):
        again = MemoryStore()
        report = await import_history(ExecutionHistoryService(again), [folder.parent / f"out.{kind}"])
        assert (0, body) == (report.refused_count, await again.get(workflow_id, found["execute_id"]))
    await service.create_execution_record("another")
    return found


@pytest.mark.parametrize("levels", LEVELS)
async def test_through_the_service(service: ExecutionHistoryService, tmp_path: Path, levels: int) -> None:
    """In every argument, of a new record and of a change, in lists and in objects."""
    value = nested(levels, "needle")
    both: list[Any] = [value, {"k": value[0]}]
    for deep in both:
        made = await service.create_execution_record("w", parameters=deep, metadata={"m": deep})
        await check(service, tmp_path / "history", "w", levels)
        changed = await service.update_execution_record(
            "w",
            made["execute_id"],
            "failed",
            output=deep,
            error_message=deep,
            usage=deep,
            node_execute_status={"node": {"usage": deep, "content": deep}},
            metadata={"n": deep},
        )
        assert changed == await service.get_execution_detail("w", made["execute_id"])
        assert changed is not None
        assert 128 == depth_of(changed)
        assert changed["output"] == made["input_parameters"]
        await service.delete_execution_record("w", made["execute_id"])


@pytest.mark.parametrize("levels", LEVELS)
async def test_through_a_recorded_function(service: ExecutionHistoryService, tmp_path: Path, levels: int) -> None:
    """As argument and result, as what is said on the way and as what is noted; the function gets what it was given."""
    deep = nested(levels, "needle")

    @recorded("f", service=service)
    def function(given: Any) -> Any:
        assert given is deep
        return given

    @recorded("g", service=service)
    def generator(given: Any) -> Any:
        yield given
        yield {"token": given}

    assert function(deep) is deep
    assert 2 == len(list(generator(deep)))
    with record("b", deep, service=service, metadata={"m": deep}) as run:
        run.message(deep)
        run.usage, run.metadata["k"] = deep, deep
    for workflow_id in ("f", "g", "b"):
        [found] = (await service.get_execution_history(workflow_id))["histories"]
        assert "success" == found["execute_status"]
        assert depth_of(found) <= 128
        assert "needle" in json.dumps([found["output"], found["input_parameters"]])
        assert found == json.loads((tmp_path / "history" / f"{workflow_id}.json").read_bytes())["histories"][0]


Bringing = Callable[[ExecutionHistoryService, Path, bytes], Awaitable[object]]


async def _as_lines(service: ExecutionHistoryService, folder: Path, line: bytes) -> None:
    (folder / "in.jsonl").write_bytes(line + b"\n" + document("after", "after").body + b"\n")
    assert (2, 0) == await _taken(service, folder / "in.jsonl")


async def _as_file(service: ExecutionHistoryService, folder: Path, line: bytes) -> None:
    (folder / "in.json").write_bytes(b'{"workflow_id": "w", "histories": [' + line + b"]}")
    assert (1, 0) == await _taken(service, folder / "in.json")


async def _in_its_layout(service: ExecutionHistoryService, folder: Path, line: bytes) -> None:
    (folder / "w.json").write_bytes(
        b'{\n  "workflow_id": "w",\n  "histories": [\n    {\n      ' + line[1:-1] + b"\n    }\n  ]\n}\n"
    )
    assert (1, 0) == await _taken(service, folder / "w.json")


async def _into_the_open_folder(service: ExecutionHistoryService, folder: Path, line: bytes) -> None:
    await service.create_execution_record("w", "first")
    (folder / "history" / "w.json").write_bytes(b'{"workflow_id": "w", "histories": [' + line + b"]}")
    await service.update_execution_record("w", "first", "success")
    await service.delete_execution_record("w", "first")


async def _taken(service: ExecutionHistoryService, path: Path) -> tuple[int, int]:
    report = await import_history(service, [path])
    return report.added, report.refused_count


@pytest.mark.parametrize("levels", [200, 254, 1_000, 20_000])
@pytest.mark.parametrize("key", ["output", "metadata", "foreign"])
@pytest.mark.parametrize("bring", [_as_lines, _as_file, _in_its_layout, _into_the_open_folder])
async def test_through_a_file(
    service: ExecutionHistoryService, tmp_path: Path, bring: Bringing, key: str, levels: int
) -> None:
    """Imported, or found in the folder while it is open, whatever the file is laid out like."""
    value = text_of(levels)
    if key == "metadata":
        value = f'{{"k": {value}}}'
    known = '"execute_id": "deep", "workflow_id": "w", "execute_status": "success", "create_time": 1700000000000'
    line = f'{{{known}, "{key}": {value}}}'
    await bring(service, tmp_path, line.encode())
    found = await check(service, tmp_path / "history", "w", levels)
    assert "needle" in json.dumps(found)


@pytest.mark.parametrize("levels", LEVELS)
async def test_through_a_file_in_a_folder_that_is_opened(tmp_path: Path, levels: int) -> None:
    """It is taken in, and the folder opens."""
    (tmp_path / "history").mkdir()
    (tmp_path / "history" / "w.json").write_text(
        f'{{"workflow_id": "w", "histories": [{{"execute_id": "e", "output": {text_of(levels)}}}]}}'
    )
    for _ in range(2):
        async with ExecutionHistoryService(tmp_path / "history") as service:
            await check(service, tmp_path / "history", "w", levels)


def _older(levels: int) -> list[Document]:
    """Records as earlier versions kept them: a value with its own *levels* in every place."""
    made = []
    for key in FIELDS:
        plain = new_document(workflow_id="w", execute_id=key, now=1).plain()
        value = json.loads(text_of(levels))
        body = orjson.dumps({**plain, key: orjson.Fragment(text_of(levels).encode())})
        if key == "metadata":
            value = {"k": json.loads(text_of(levels - 1))}
            body = orjson.dumps({**plain, key: orjson.Fragment(b'{"k":' + text_of(levels - 1).encode() + b"}")})
        made.append(Document.of({**plain, key: value}, body))
    return made


@pytest.mark.parametrize("levels", [129, 200, 251, 252, 253, 254])
@pytest.mark.parametrize("json_files", [True, False])
async def test_what_an_earlier_version_kept_is_read_shown_and_changed(
    tmp_path: Path, levels: int, json_files: bool
) -> None:
    """A record of up to 255 levels in the database: nothing fails for it, and a change brings it into today's form."""
    store = SQLiteStore(tmp_path / "history", json_files=json_files)
    async with ExecutionHistoryService(store) as service:
        await store.merge(_older(levels))
        page = await service.get_execution_history("w", page_size=20)
        assert len(FIELDS) == page["total"] == len(page["histories"])
        for found in page["histories"]:
            attributes_of(found)
            compare_records(
                {**found}, {**found, "output": nested(levels, "other"), "input_parameters": [found["output"]]}
            )
        summaries = (await service.select(RecordQuery(summaries=True, size=100))).documents
        assert len(FIELDS) == len([orjson.loads(summary) for summary in summaries])
        chosen = RecordFilter(workflow_ids=("w",), text="needle", conditions=(parse_condition("output[0][0] exists"),))
        assert 1 == len((await service.select(RecordQuery(filter=chosen))).documents)
        for kind in ("jsonl", "json", "csv"):
            await export_to_path(ExecutionHistoryService(store), tmp_path / f"out.{kind}", Export(format=kind))
            if kind != "csv":
                again = MemoryStore()
                assert (
                    len(FIELDS)
                    == (await import_history(ExecutionHistoryService(again), [tmp_path / f"out.{kind}"])).added
                )
                assert all(depth_of(orjson.loads(body)) <= 128 for body in (await again.scan(None, 20)).documents)
        for key in FIELDS:
            changed = await service.update_execution_record("w", key, "success", metadata={"more": 1})
            assert changed is not None
            assert 128 == depth_of(changed)
            assert "needle" in json.dumps(changed)
        assert () == (await service.health()).problems
    if json_files:
        in_file = json.loads((tmp_path / "history" / "w.json").read_bytes())["histories"]
        assert list(FIELDS)[::-1] == [each["execute_id"] for each in in_file]


@pytest.mark.parametrize("levels", [129, 254])
def test_what_an_earlier_version_put_aside_is_read(levels: int) -> None:
    """The steps of a record in the spool, with values that are nested more deeply than any today."""
    deep = text_of(levels).encode()
    steps: list[Document | RecordChange] = [
        *_older(levels),
        RecordChange(2, "success", {"output": deep, "usage": deep}, {"m": text_of(levels - 1).encode()}),
    ]
    found = [
        step_in(line_of("somewhere", ("w", step.execute_id if isinstance(step, Document) else "e"), step))
        for step in steps
    ]
    body = next(step.body for step in found if isinstance(step, Document))
    for step in found:
        kept = step if isinstance(step, Document) else step.apply(body)
        assert kept is not None
        assert 128 == depth_of(orjson.loads(kept.body))
        assert b"needle" in kept.body


@examples(25)
@given(
    st.lists(
        st.tuples(st.sampled_from(FIELDS), st.integers(0, 300), st.sampled_from(["list", "dict", "tuple"])), max_size=4
    ),
    st.sampled_from([None, "text", b"\xff", {1, 2}, float("nan"), 2**70, {"k": None}]),
)
def test_a_record_comes_back_as_it_went_out(parts: list[tuple[str, int, str]], core: Any) -> None:
    """Whatever is in it: it is as deep as it may be, and taking its bytes in again gives the same bytes."""
    given_values: dict[str, Any] = {key: nested(levels, core, kind) for key, levels, kind in parts}
    metadata = {"m": given_values.pop("metadata", None)}
    made = document(
        "e", now=_NOW, metadata=metadata, parameters=given_values.pop("input_parameters", None), **given_values
    )
    changed = RecordChange.of(_NOW + 1, "success", metadata, fields=given_values).apply(made.body)
    assert changed is not None
    for body in (made.body, changed.body):
        read = json.loads(body)
        assert read == orjson.loads(body)
        assert depth_of(read) <= 128
        assert whole_record(read, body) is not None
        again = adopt_record(read, "w", 5)
        assert again is not None
        assert body == again.body
        assert read == orjson.loads(render(body))
