"""A record that would be too large keeps the beginnings of its largest values, and says what was cut."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_history import ExecutionHistoryService, record, recorded
from execution_history.records.reading_limits import ReadingLimits
from execution_history.records.record import KEYS, RecordChange, new_document
from execution_history.records.size_limit import LARGEST_RECORD, LEAST_LIMIT, fit
from execution_history.stores import SQLiteStore, store_at
from execution_history.stores.capabilities import record_limit_of
from execution_history.stores.protocol import HistoryStore
from execution_history.transfer import import_history
from tests.examples import examples
from tests.sample_records import document

MOST = LEAST_LIMIT


def _read(body: bytes | None) -> dict[str, Any]:
    record: dict[str, Any] = orjson.loads(body or b"null")
    assert (KEYS, record) == (tuple(record), json.loads(body or b"null"))
    assert MOST >= len(body or b"")
    return record


def test_a_record_that_fits_stays_as_it_is() -> None:
    """To the byte, at the very limit too."""
    body = document("e", parameters="x" * (MOST - len(document("e", parameters="").body))).body
    assert MOST == len(body)
    assert body is fit(body, MOST)
    assert body is fit(body, 1)


@pytest.mark.parametrize(
    ("value", "beginning"),
    [
        ("文" * 2_000_000, "文文文"),
        ('\\"\n\x01' * 1_000_000, '\\"\n\x01\\"'),
        (["a", {"b": "c" * 3_000_000}], '["a",{"b":"ccc'),
        (list(range(1_000_000)), "[0,1,2,3"),
    ],
    ids=["text", "escapes", "list", "numbers"],
)
def test_a_value_that_is_too_large_keeps_its_beginning(value: Any, beginning: str) -> None:
    """As text; how many bytes of JSON it had stands in the metadata, whether it came first or last."""
    size = len(orjson.dumps(value))
    for body in (
        document("e", parameters=value, largest=MOST).body,
        _changed(document("e"), input_parameters=value).body,
        document("e", parameters=value).fitted(MOST).body,
    ):
        record = _read(body)
        assert {"input_parameters": size} == record["metadata"]["recording_is_cut"]
        kept = record["input_parameters"]
        assert (beginning, "…") == (kept[: len(beginning)], kept[-1])
        assert 30_000 < len(orjson.dumps(kept)) < 70_000


def _changed(before: Any, *, largest: int | None = MOST, metadata: Any = None, **fields: Any) -> Any:
    changed = RecordChange.of(5, metadata=metadata, fields=fields, largest=largest).apply(before.body, before.parts)
    assert changed is not None
    return changed


def test_of_several_values_the_largest_give_way() -> None:
    """Only as many as have to, and what is in the metadata counts like the rest."""
    before = document("e", parameters="i" * 300_000, metadata={"trace": "t" * 400_000, "note": "n"})
    record = _read(_changed(before, output="o" * 500_000).body)
    assert {"output": 500_002} == record["metadata"]["recording_is_cut"]
    assert (300_000, 400_000, "n") == (
        len(record["input_parameters"]), len(record["metadata"]["trace"]), record["metadata"]["note"],
    )  # fmt: skip
    record = _read(_changed(before, metadata={"trace": "t" * 900_000}).body)
    assert {"metadata.trace": 900_002} == record["metadata"]["recording_is_cut"]


def test_what_was_cut_and_is_replaced_is_whole_again() -> None:
    """The metadata speak of what is in the record now."""
    cut = _changed(document("e"), output="o" * 2_000_000, usage=["u" * 2_000_000])
    assert {"output", "usage"} == set(_read(cut.body)["metadata"]["recording_is_cut"])
    assert {"usage"} == set(_read(_changed(cut, output="short").body)["metadata"]["recording_is_cut"])
    assert "recording_is_cut" not in _read(_changed(cut, output="short", usage=1).body)["metadata"]
    both = _read(_changed(cut, metadata={"recording_is_cut": True}).body)
    assert {"output", "usage"} == set(both["metadata"]["recording_is_cut"])


def test_metadata_of_many_keys_lose_some() -> None:
    """The first ones, as a recorder adds its own at the end; their size is told."""
    many = {f"k{number}": "v" * 50 for number in range(100_000)}
    made = document("e", parameters=1, metadata={"x" * 900_000: 1, **many, "recorder": "r"}, largest=MOST)
    metadata = _read(made.body)["metadata"]
    assert ("r", "k99999") == (metadata["recorder"], list(metadata)[-3])
    assert metadata["recording_is_cut"]["metadata"] > 6_000_000
    assert len(metadata) > 10_000


def test_a_record_that_was_larger_before_loses_nothing() -> None:
    """The limit may have been another one when it was kept, and a change brings little."""
    before = document("e", parameters="x" * 3_000_000)
    changed = _changed(before, metadata={"tags": ["t"]}, output="o" * 2_000_000)
    record = orjson.loads(changed.body)
    assert (3_000_000, {"output": 2_000_002}) == (
        len(record["input_parameters"]),
        record["metadata"]["recording_is_cut"],
    )


_sizes = st.lists(st.sampled_from([0, 10, 70_000, 300_000, 900_000, 2_000_000]), min_size=4, max_size=4)


@examples(10)
@given(_sizes, _sizes)
def test_whatever_comes_a_record_fits_and_is_cut_once(first: list[int], then: list[int]) -> None:
    """However large its values are, and whether they come at once or later; to fit it again changes nothing."""
    values: dict[str, Any] = {
        name: "x" * size for name, size in zip(("parameters", "output", "usage"), first, strict=False)
    }
    made = document("e", metadata={"m": "é" * first[3]}, largest=MOST, **values)
    change = RecordChange.of(
        9,
        "success",
        {"m": ["y" * then[3]]},
        fields={"output": "z" * then[0], "debug_url": "\n" * then[1]},
        largest=MOST,
    )
    for body in (made.body, (change.apply(made.body, made.parts) or made).body, (change.apply(made.body) or made).body):
        _read(body)
        assert body is fit(body, MOST)


def test_a_new_record_is_made_without_its_large_value_twice() -> None:
    """What a caller keeps of it is what is stored."""
    made = new_document(workflow_id="w", execute_id="e", now=1, output="x" * 5_000_000, largest=MOST)
    assert made.plain() == orjson.loads(made.body)
    assert made.body == orjson.dumps(made.parts)


@pytest.fixture
async def service(place: str) -> AsyncIterator[ExecutionHistoryService]:
    """A service whose records have at most one megabyte."""
    async with ExecutionHistoryService(place, record_limit_bytes=MOST) as opened:
        yield opened


async def _stored(service: ExecutionHistoryService, workflow_id: str = "w") -> dict[str, Any]:
    [body] = (await service.page_bytes(workflow_id)).documents
    return _read(body)


@pytest.mark.anyio
async def test_no_record_of_a_service_is_larger_than_its_setting(service: ExecutionHistoryService) -> None:
    """At the beginning, after each change, and in what the calls return."""
    made = await service.create_execution_record("w", "e", parameters={"a": "x" * 700_000}, metadata={"m": 1})
    assert made == await _stored(service)
    changed = await service.update_execution_record("w", "e", "success", output="y" * 5_000_000)
    assert changed == await _stored(service)
    assert changed is not None
    assert {"output": 5_000_002} == changed["metadata"]["recording_is_cut"]
    assert 700_000 == len(changed["input_parameters"]["a"])
    changed = await service.update_execution_record("w", "e", usage="u" * 600_000)
    assert changed is not None
    assert {"output", "input_parameters"} == set(changed["metadata"]["recording_is_cut"])


@pytest.mark.anyio
async def test_recorded_runs_are_no_larger(service: ExecutionHistoryService) -> None:
    """Arguments, results, messages and metadata; where secrets may be in what is too large, nothing of it is kept."""
    text = "x" * 3_000_000
    recorded("w", service=service)(lambda given: given)(text)
    found = await _stored(service)
    assert {"input_parameters": 3_000_012, "output": 3_000_002} == found["metadata"]["recording_is_cut"]
    assert "success" == found["execute_status"]
    with record("secret", {"password": "p", "t": text}, service=service, metadata={"m": text, "k": "kept"}) as run:
        run.metadata["trace"] = text
        run.message(text)
    found = await _stored(service, "secret")
    assert "[too large: 3000023 bytes of JSON]" == found["input_parameters"]
    assert {"input_parameters", "output", "metadata.m", "metadata.trace"} == set(found["metadata"]["recording_is_cut"])
    assert ("kept", "x") == (found["metadata"]["k"], found["metadata"]["m"][0])
    assert found["output"].endswith("x…")


@pytest.mark.anyio
async def test_what_is_imported_is_no_larger(service: ExecutionHistoryService, tmp_path: Path) -> None:
    """Whole records and such that are mended."""
    whole = document("whole", output="x" * 2_000_000).body
    (tmp_path / "in.jsonl").write_bytes(
        whole
        + b'\n{"execute_id":"m","workflow_id":"v","execute_status":"success","create_time":1761901941,"output":"%b"}\n'
        % (b"y" * 2_000_000)
    )
    report = await import_history(service, [tmp_path / "in.jsonl"], limits=ReadingLimits())
    assert (2, 0) == (report.added, report.refused_count)
    for workflow_id in ("w", "v"):
        assert {"output": 2_000_002} == (await _stored(service, workflow_id))["metadata"]["recording_is_cut"]


@pytest.mark.anyio
async def test_a_larger_record_that_is_found_in_a_folder_is_left_in_its_file(tmp_path: Path) -> None:
    """Nothing of it is lost: the file is kept whole under another name, and health names it."""
    (tmp_path / "history").mkdir()
    large = {"execute_id": "e", "output": "z" * 3_000_000}
    found = json.dumps({"workflow_id": "w", "histories": [large, {"execute_id": "small"}]})
    (tmp_path / "history" / "w.json").write_text(found)
    async with ExecutionHistoryService(tmp_path / "history", record_limit_bytes=MOST) as service:
        assert "small" == (await _stored(service))["execute_id"]
        (problem,) = (await service.health()).problems
    (kept,) = (tmp_path / "history").glob("w.json.*")
    assert found == kept.read_text()
    assert repr(kept.name) in problem


def test_the_setting_reaches_every_store() -> None:
    """A store of one's own that says nothing has the usual limit."""
    assert MOST == record_limit_of(store_at("memory:", record_limit_bytes=MOST))
    assert MOST == record_limit_of(store_at(Path("h"), record_limit_bytes=MOST))
    assert LARGEST_RECORD == record_limit_of(store_at("sqlite:h"))
    assert LEAST_LIMIT == record_limit_of(store_at("memory:", record_limit_bytes=1))
    assert LARGEST_RECORD == record_limit_of(cast("HistoryStore", object()))
    assert LEAST_LIMIT == record_limit_of(store_at("sqlite:h", record_limit_bytes=1_000))


@pytest.mark.anyio
async def test_a_store_reads_back_what_it_records_under_a_small_limit(tmp_path: Path) -> None:
    """Recording and reading have the same least limit."""
    async with ExecutionHistoryService(SQLiteStore(tmp_path / "h", record_limit_bytes=1_000)) as service:
        await service.store.create(document("e", now=1_700_000_000_000, output="x" * 5_000))
        await service.flush()
    (tmp_path / "again").mkdir()
    (tmp_path / "h" / "w.json").rename(tmp_path / "again" / "w.json")
    again = SQLiteStore(tmp_path / "again", record_limit_bytes=1_000)
    async with ExecutionHistoryService(again):
        assert document("e", now=1_700_000_000_000, output="x" * 5_000).body == await again.get("w", "e")
