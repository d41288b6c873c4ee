"""Varied records and filters for hypothesis: few values each, so that filters meet records often."""

from typing import Any

import orjson
from hypothesis import strategies as st

from execution_history.query.fields import RecordFilter
from execution_history.query.path_conditions import parse_condition
from execution_history.query.values import NodeTime
from execution_history.records.record import Document, new_document

BASE = 1_761_900_000_000
HOUR = 3_600_000

_TIMES = st.integers(0, 60).map(lambda step: BASE + step * HOUR // 2)
_IDS = st.sampled_from([*(f"e{number}" for number in range(28)), "run-00000001", "another-run-00000001"])
_NAMES = st.sampled_from(["x", "y", "北京", "x y"])
_STATUSES = st.sampled_from(["running", "success", "failed", "interrupted", "weird"])
_CODES = st.sampled_from([4000, "4000", 5000, "timeout"])
_MESSAGES = st.sampled_from(["timed out after 3 s", "timed out after 40 s", 'no such "thing"', "no such 'one'"])
_NODES: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        [],
        {"x": {"node_title": "x", "node_id": "7", "error_message": "no"}, "y": {"is_finish": False}},
        {"x": {"node_title": "x", "is_finish": True}, "y": {"node_title": 5, "node_id": 7, "is_finish": False}},
        {"x_2": {"node_title": "x", "error_code": 1, "start_time": BASE, "update_time": BASE + 30}, "y": "odd"},
        {
            "x": {"node_type": "LLM", "start_time": BASE, "update_time": BASE + 700, "usage": {"input_count": 3}},
            "y": {"node_id": "7", "start_time": BASE, "usage": {"tokens": 2}, "is_finish": False},
        },
    ]
)


_USAGE = st.fixed_dictionaries(
    {"token_count": st.sampled_from([0, 1, 10, 500])},
    optional={"input_count": st.sampled_from([1, 7]), "output_count": st.sampled_from([2, "odd"])},
)
_COSTS: st.SearchStrategy[Any] = st.sampled_from(
    [
        *({"amount": amount, "currency": "CNY", "price": "1"} for amount in (0, 0.01, 0.25, 3)),
        {"amount": 0.25, "currency": "USD"},
        {"amount": "1", "currency": "CNY"},
        {"amount": 1e30, "currency": "CNY"},
        {"amount": 1},
        "odd",
    ]
)


def _some(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


_NUMBERS = st.sampled_from([80241446968629135069, "80241446968629135069", 42, "42", None])


@st.composite
def documents(draw: st.DrawFn, execute_ids: st.SearchStrategy[str] | None = None) -> Document:
    """A record with any facts."""
    status = draw(_STATUSES)
    created = draw(_TIMES)
    record = orjson.loads(
        new_document(
            workflow_id=draw(st.sampled_from(["w", "v", "u"])),
            execute_id=draw(_IDS if execute_ids is None else execute_ids),
            now=created,
            parameters={"city": draw(_NAMES), "list": [1, draw(st.integers(0, 3))], "n": draw(_NUMBERS)},
            metadata=draw(_metadata()),
        ).body
    )
    record |= {
        "execute_status": status,
        "update_time": created + draw(st.sampled_from([0, 5, 100, 2_000, 90_000])),
        "run_mode": draw(st.integers(0, 2)),
        "bot_id": draw(_some(_NAMES)),
        "conversation_id": draw(_some(_NAMES)),
        "usage": draw(_some(_USAGE)),
        "output": draw(st.sampled_from([None, "", {}, "text", {"score": 1}, {"score": 95.5}, '{"score": "95"}'])),
    }
    record["node_execute_status"] = draw(_NODES)
    if status in {"failed", "interrupted"}:
        record |= {"error_code": draw(_some(_CODES)), "error_message": draw(_some(_MESSAGES))}
    return Document.of(record, orjson.dumps(record))


def _metadata() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {},
        optional={
            "account": _NAMES,
            "caller": _NAMES | st.fixed_dictionaries({"name": _NAMES}),
            "tags": st.lists(_NAMES, max_size=3),
            "pinned": st.booleans(),
            "rating": st.integers(1, 5),
            "parent": _NAMES,
            "cost": _COSTS,
            "log_id": st.sampled_from(["l1", "l2", 3]),
            "coze_execute_id": st.sampled_from(["111", "222"]),
            "ended_at": st.integers(BASE, BASE + 5 * HOUR),
        },
    )


def _several(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(values, min_size=1, max_size=3).map(tuple)


_WHERE = st.sampled_from(
    [
        'input.city = "北京"',
        "input.list[1] >= 2",
        "output.score >= 90",
        "output.score exists",
        "metadata.tags[0] != x",
        "output.score = 95",
        "output.score != 95",
        "input.n = 80241446968629135069",
    ]
).map(parse_condition)

SEARCHED_TEXTS = [
    "北",
    "京",
    "北京",
    "x",
    '"x y"',
    "tim*",
    "imed",
    "thing",
    "timed -40",
    "thing one",
    "95.5",
    "weird",
    "-x text",
    "x 北",
]
"""Searches that find some of the documents: signs, parts of words, phrases, words that must be absent."""

_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "workflow_ids": _several(st.sampled_from(["w", "v", "none"])),
    "workflows": _several(st.sampled_from(["w", "v", "none"])),
    "statuses": _several(st.sampled_from(["running", "success", "failed", "interrupted", "other"])),
    "created_from": _TIMES,
    "created_before": _TIMES,
    "duration_from": st.sampled_from([0, 5, 1_000]),
    "duration_to": st.sampled_from([5, 1_000, 2**70]),
    "run_modes": _several(st.integers(0, 3)),
    "bot_ids": _several(_NAMES),
    "conversation_ids": _several(_NAMES),
    "accounts": _several(_NAMES),
    "callers": _several(_NAMES),
    "error_codes": _several(st.sampled_from(["4000", "timeout", "none"])),
    "failed_nodes": _several(st.sampled_from(["x", "y", "7", "x_2", "none"])),
    "node": st.builds(
        NodeTime, st.sampled_from(["x", "y", "7", "x_2", "none"]), st.sampled_from([None, 0, 30, 700, 2**70])
    ),
    "tokens_from": st.sampled_from([0, 1, 400]),
    "tokens_to": st.sampled_from([0, 100]),
    "cost_from": st.sampled_from([0, 10_000, 250_000]),
    "cost_to": st.sampled_from([0, 250_000, 2**70]),
    "has_output": st.booleans(),
    "tags": _several(_NAMES),
    "pinned": st.booleans(),
    "rating_from": st.integers(1, 5),
    "rating_to": st.integers(1, 5),
    "upstream_ids": _several(st.sampled_from(["111", "222", "333"])),
    "execute_id_prefix": st.sampled_from(["e", "e1", "x", "", "\U0010ffff"]),
    "execute_id_suffix": st.sampled_from(["1", "00000001", "t-run-00000001", "x", ""]),
    "log_ids": _several(st.sampled_from(["l1", "3", "none"])),
    "nested": st.booleans(),
    "fingerprints": _several(st.sampled_from(["no fingerprint", "0" * 16])),
    "parents": _several(_NAMES),
    "conditions": _several(_WHERE),
    "text": st.sampled_from(SEARCHED_TEXTS),
}
KEYWORDS = frozenset(_FIELDS)
"""The filters that are drawn."""


@st.composite
def filters(draw: st.DrawFn) -> RecordFilter:
    """A filter of no, one or a few fields."""
    names = draw(st.lists(st.sampled_from(sorted(_FIELDS)), max_size=3, unique=True))
    return RecordFilter(**{name: draw(_FIELDS[name]) for name in names})
