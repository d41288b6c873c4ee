"""JSON nested however deeply becomes JSON that every parser reads, and loses nothing."""

import json
from collections import defaultdict
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_history.records.depth import WRITABLE, cut, kinds_within

_anything = st.recursive(
    st.none() | st.integers(-9, 9) | st.text('["{]},\\: ', max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('["{]}\\', max_size=3), inner, max_size=3),
    max_leaves=30,
)


def nested(levels: int, core: Any = 1, kind: str = "list") -> Any:
    """*core* in as many lists, dicts or tuples."""
    for _ in range(levels):
        core = {"k": core} if kind == "dict" else [core] if kind == "list" else (core,)
    return core


def depth_of(value: object) -> int:
    """The levels of lists and objects in *value*."""
    deepest, stack = 0, [(value, 0)]
    while stack:
        item, depth = stack.pop()
        if isinstance(item, (list, dict)):
            deepest = max(deepest, depth + 1)
            stack += [(inner, depth + 1) for inner in (item.values() if isinstance(item, dict) else item)]
    return deepest


def _cut(value: Any, levels: int) -> Any:
    """What cutting means, said in the plainest way."""
    if isinstance(value, (list, dict)) and levels == 0:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    if isinstance(value, list):
        return [_cut(inner, levels - 1) for inner in value]
    return {key: _cut(inner, levels - 1) for key, inner in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("kind", ["list", "dict"])
def test_orjson_writes_as_many_levels_as_we_rely_on(kind: str) -> None:
    """The check of a depth rests on it: 254 levels are written, 255 are refused, whatever is in them."""
    cores: list[Any] = [1, [], {}, [1]]
    for core in cores:
        own = depth_of(core)
        orjson.dumps(nested(WRITABLE - own, core, kind))
        with pytest.raises(TypeError):
            orjson.dumps(nested(WRITABLE + 1 - own, core, kind))


@pytest.mark.parametrize("levels", [1, 126, 127, 128, 254])
@pytest.mark.parametrize("kind", ["list", "dict", "tuple"])
def test_a_depth_is_told_exactly(kind: str, levels: int) -> None:
    """As many levels as are allowed fit, one more does not, alone and among many others."""
    cores: list[Any] = [1, "[[", [], {}, [None]]
    for core in cores:
        fitting = nested(levels - depth_of(core), core, kind)
        assert {type(fitting)} <= (kinds_within(fitting, levels) or set())
        assert kinds_within([fitting], levels) is None
        assert kinds_within([*[1] * 500, fitting], levels + 1) is not None


def test_only_plain_values_have_kinds() -> None:
    """What needs a careful look does not, wherever it stands; nor does what would never end."""
    doubled: Any = 1
    for _ in range(60):
        doubled = [doubled, doubled]
    circle: list[Any] = []
    circle.append(circle)
    values: list[Any] = [{1}, [{"a": {1}}], defaultdict(int), [b"x"], [Decimal(1)], doubled, circle]
    for value in values:
        assert kinds_within(value, 254) is None
    assert {dict, list, float, type(None), bool} == kinds_within({"a": [1.5, None, True]}, 254)


def test_brackets_in_a_text_are_no_levels() -> None:
    """However many there are."""
    document = orjson.dumps(["[{" * 10_000])
    assert document is cut(document, 1)


@given(_anything, st.integers(0, 5))
def test_cutting_puts_what_is_too_deep_into_strings(value: Any, levels: int) -> None:
    """Nothing else changes, and cutting once more changes nothing."""
    document = orjson.dumps(value)
    shallow = cut(document, levels)
    assert _cut(value, levels) == orjson.loads(shallow)
    assert shallow == cut(shallow, levels)


@pytest.mark.parametrize("levels", [129, 1_025, 100_000])
def test_a_document_that_no_parser_reads_becomes_one_that_all_do(levels: int) -> None:
    """The deep part is there as it was written."""
    document = b'{"a": [1, ' + b"[" * levels + b'"\\u00e9"' + b"]" * levels + b'], "b": "]"}'
    found = json.loads(cut(document, 128))
    assert (128, "]", 1) == (depth_of(found), found["b"], found["a"][0])
    inner = found["a"][1]
    for _ in range(126):
        [inner] = inner
    assert "[" * (levels - 126) + '"\\u00e9"' + "]" * (levels - 126) == inner


@pytest.mark.parametrize(
    "document", [b"[" * 200_000, b"]" * 200_000, b"[" * 200 + b"]" * 100, b'["' * 200, b"[" * 300 + b'"' + b"]" * 300]
)
def test_what_is_no_json_stays_none(document: bytes) -> None:
    """Brackets and quotes that nobody closes."""
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(cut(document, 128))


def test_a_document_that_would_fall_into_too_many_pieces_is_cut_higher_up() -> None:
    """A string for each value in the second level, or one for all of it."""
    deep = "[" * 120 + "[[[[[1]]]]]," * 150_000 + "1" + "]" * 120
    wide = "[" + "[[[[]]]]," * 150_000 + "1]"
    assert {"a": {"b": deep, "c": 1}} == json.loads(cut(f'{{"a":{{"b":{deep},"c":1}}}}'.encode(), 123))
    assert wide == json.loads(cut(wide.encode(), 3))
