"""A record that would be too large keeps the beginnings of its largest values, and says what was cut."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execution_history.oversize import CUT_KEY, LEAST_LIMIT, fit
from execution_history.record import KEYS, RecordChange, new_document
from tests.records import document

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
        assert {"input_parameters": size} == record["metadata"][CUT_KEY]
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
    assert {"output": 500_002} == record["metadata"][CUT_KEY]
    assert (300_000, 400_000, "n") == (
        len(record["input_parameters"]), len(record["metadata"]["trace"]), record["metadata"]["note"],
    )  # fmt: skip
    record = _read(_changed(before, metadata={"trace": "t" * 900_000}).body)
    assert {"metadata.trace": 900_002} == record["metadata"][CUT_KEY]


def test_what_was_cut_and_is_replaced_is_whole_again() -> None:
    """The metadata speak of what is in the record now."""
    cut = _changed(document("e"), output="o" * 2_000_000, usage=["u" * 2_000_000])
    assert {"output", "usage"} == set(_read(cut.body)["metadata"][CUT_KEY])
    assert {"usage"} == set(_read(_changed(cut, output="short").body)["metadata"][CUT_KEY])
    assert CUT_KEY not in _read(_changed(cut, output="short", usage=1).body)["metadata"]
    both = _read(_changed(cut, metadata={CUT_KEY: True}).body)
    assert {"output", "usage"} == set(both["metadata"][CUT_KEY])


def test_metadata_of_many_keys_lose_some() -> None:
    """The first ones, as a recorder adds its own at the end; their size is told."""
    many = {f"k{number}": "v" * 50 for number in range(100_000)}
    made = document("e", parameters=1, metadata={"x" * 900_000: 1, **many, "recorder": "r"}, largest=MOST)
    metadata = _read(made.body)["metadata"]
    assert ("r", "k99999") == (metadata["recorder"], list(metadata)[-3])
    assert metadata[CUT_KEY]["metadata"] > 6_000_000
    assert len(metadata) > 10_000


def test_a_record_that_was_larger_before_loses_nothing() -> None:
    """The limit may have been another one when it was kept, and a change brings little."""
    before = document("e", parameters="x" * 3_000_000)
    changed = _changed(before, metadata={"tags": ["t"]}, output="o" * 2_000_000)
    record = orjson.loads(changed.body)
    assert (3_000_000, {"output": 2_000_002}) == (len(record["input_parameters"]), record["metadata"][CUT_KEY])


_sizes = st.lists(st.sampled_from([0, 10, 70_000, 300_000, 900_000, 2_000_000]), min_size=4, max_size=4)


@settings(max_examples=40, deadline=None)
@given(_sizes, _sizes)
def test_whatever_comes_a_record_fits_and_is_cut_once(first: list[int], then: list[int]) -> None:
    """However large its values are, and whether they come at once or later; to fit it again changes nothing."""
    names = ("parameters", "output", "usage")
    values: dict[str, Any] = {name: "x" * size for name, size in zip(names, first, strict=False)}
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
