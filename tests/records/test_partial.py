"""Records that are too large to be read for a list: what is left unread changes nothing of what is found and shown."""

import gc
from typing import Any

import orjson
import pytest

from execution_history.query.text import texts_of
from execution_history.records.adoption import adopt_record
from execution_history.records.attributes import attributes_of
from execution_history.records.json_text import HUGE
from execution_history.records.partial import LARGE, Unread, outline_of, read_record
from execution_history.records.record import KEYS
from execution_history.records.summary import summary_of
from tests.sample_records import change, document

_MANY = [{"name": f'客户 "{number}"\n', "é\\": -number / 7, "ok": True, "no": None} for number in range(3_000)]
_NODES = {
    f"node {number}": {
        "node_title": f"第{number}步",
        "content": "好" * 50,
        "inner": _MANY[:5],
        "is_finish": number != 7,
    }
    for number in range(300)
}

_LARGE: dict[str, dict[str, Any]] = {
    "a list in the output": {"output": _MANY},
    "an object in the input": {"input_parameters": {"list": _MANY, "text": "“quoted”"}},
    "a text in the output": {"output": "长" * LARGE},
    "an error": {"status": "failed", "error_message": "no such thing 123 " * 10_000},
    "the timeline": {"status": "failed", "error_code": 5000, "node_execute_status": _NODES},
    "one node": {
        "status": "failed",
        "node_execute_status": {"a": {"node_title": "A", "error_code": "x", "data": _MANY}},
    },
    "a node's content": {"node_execute_status": {"a": {"node_title": "A", "content": _MANY}, "b": "text"}},
    "a timeline that is none": {"status": "failed", "node_execute_status": [_MANY]},
    "metadata": {"metadata": {"raw": _MANY, "tags": ["x"], "account": "a", "caller": {"name": "n", "all": "v"}}},
    "tags": {"metadata": {"tags": [f"tag {number}" for number in range(9_000)], "pinned": True}},
    "a caller": {"metadata": {"caller": {"name": "cozepy", "headers": _MANY}}},
    "usage": {"usage": {"token_count": 12, "details": _MANY}},
    "what is of the wrong kind": {"bot_id": _MANY, "metadata": {"rating": _MANY, "note": _MANY}},
}


def _body(fields: dict[str, Any]) -> bytes:
    fields = {**fields}
    begun = document("e", parameters=fields.pop("input_parameters", {"q": "?"}), metadata=fields.pop("metadata", {}))
    changed = change(9_000, fields.pop("status", "success"), **fields).apply(begun.body)
    assert changed is not None
    return changed.body


@pytest.mark.parametrize("fields", _LARGE.values(), ids=_LARGE)
def test_an_outline_is_found_by_the_same_facts(fields: dict[str, Any]) -> None:
    """Whatever is large in the record."""
    body = _body(fields)
    assert len(body) > LARGE
    assert attributes_of(orjson.loads(body)) == attributes_of(outline_of(body))


@pytest.mark.parametrize("fields", _LARGE.values(), ids=_LARGE)
def test_an_outline_has_the_same_summary_and_a_small_one(fields: dict[str, Any]) -> None:
    """Lists show the same of a record, however it was read."""
    body = _body(fields)
    record, outline = orjson.loads(body), outline_of(body)
    assert summary_of(record, attributes_of(record)) == (summary := summary_of(outline, attributes_of(outline)))
    assert len(summary) < 16_000


@pytest.mark.parametrize("fields", _LARGE.values(), ids=_LARGE)
def test_an_outline_is_searched_in_the_same_texts(fields: dict[str, Any]) -> None:
    """Keys, texts with escapes in them, numbers, in their order."""
    body = _body(fields)
    assert list(texts_of(orjson.loads(body))) == list(texts_of(outline_of(body)))


def test_a_large_list_is_left_unread_and_a_small_record_is_not() -> None:
    """That is what an outline is for."""
    outline = outline_of(_body({"output": _MANY}))
    assert KEYS == tuple(outline)
    assert Unread(orjson.dumps(_MANY)) == outline["output"]
    assert {"q": "?"} == outline["input_parameters"]
    assert orjson.loads(small := _body({"output": _MANY[:3]})) == outline_of(small)


def test_a_record_with_everything_large_has_a_small_summary() -> None:
    """So a page of a hundred stays a page."""
    deep: Any = "x" * 5_000
    for _ in range(4):
        deep = {f"{number} {'k' * 200}": deep for number in range(6)}
    record = orjson.loads(_body({"metadata": dict.fromkeys(("tags", "note", "caller", "proof", "account"), deep)}))
    record |= dict.fromkeys(set(KEYS) - {"create_time", "update_time", "metadata", "execute_status"}, deep)
    assert len(summary_of(record, attributes_of(record))) < 64_000


def adopted(found: dict[str, Any]) -> bytes:
    """The body of a record with these keys."""
    made = adopt_record(found, "w", 1)
    assert made is not None
    return made.body


@pytest.mark.parametrize("huge", ["input_parameters", "node_execute_status", "metadata", "output"])
def test_a_huge_record_is_changed_as_a_small_one_is(huge: str) -> None:
    """Values that a change does not look at are not read for it; what comes of it is the same, to the byte."""
    value = {"many": _MANY * 30, "text": "“quoted”\n"}
    fields = {"metadata" if huge == "metadata" else huge: value}
    body = adopted({"execute_id": "e", "execute_status": "interrupted", "update_time": 5, **fields})
    assert len(body) > HUGE
    assert orjson.loads(body) == read_record(body)
    for asked in (change(status="success", output=1), change(usage={"a": 1}, metadata={"k": [1], "ended_at": 3})):
        from_parts = asked.apply(body)
        from_values = asked.apply(body, orjson.loads(body))
        assert from_parts is not None
        assert from_values is not None
        assert from_values.body == from_parts.body
        assert from_parts.parts is not None
        assert asked.apply(from_parts.body, from_parts.parts) == asked.apply(from_parts.body)


def test_the_garbage_collector_is_as_it_was() -> None:
    """It rests only while a huge record is read."""
    body = adopted({"execute_id": "e", "output": _MANY * 30})
    for is_enabled in (True, False):
        (gc.enable if is_enabled else gc.disable)()
        try:
            read_record(body)
            with pytest.raises(ValueError, match="unexpected end"):
                read_record(body[:-1])
            assert is_enabled is gc.isenabled()
        finally:
            gc.enable()
