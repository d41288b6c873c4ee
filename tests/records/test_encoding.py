"""Any value has a JSON form, and no value can break the encoder."""

import itertools
import json
from collections import deque, namedtuple
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePosixPath
from typing import Any, Self
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from execution_history.records.encoding import encode, indent
from execution_history.records.json_text import read_json
from tests.records.test_cut import depth_of, nested


@dataclass
class _Point:
    x: int
    y: float


class _Model(BaseModel):
    name: str
    at: datetime


class _SdkObject:
    def __init__(self) -> None:
        self.code = 0
        self.inner = _Point(1, 2.5)
        self._secret = "no"

    def method(self) -> None:
        """Not an attribute to keep."""


class _Hostile:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    @property
    def anything(self) -> str:
        raise RuntimeError("no value")


class _Slotted:
    __slots__ = ("shown",)

    def __init__(self) -> None:
        self.shown = [1]


class _Closed:
    """An object of which one attribute can be read, one raises, and one was never set."""

    __slots__ = ("broken", "shown", "unset")

    def __init__(self) -> None:
        self.shown, self.broken = 1, 2

    def __getattribute__(self, name: str) -> object:
        if name == "broken":
            raise RuntimeError("closed")
        return super().__getattribute__(name)


class _Colour(Enum):
    RED = "red"


_Pair = namedtuple("_Pair", "left right")  # noqa: PYI024 - untyped ones are what foreign code has


class _Elusive:
    """A value that cannot even be asked for its class."""

    @property  # type: ignore[misc]  # that is what is tested
    def __class__(self) -> type:
        raise RuntimeError("not bound")


class _Numbers:
    """An iterator of its own."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> int:
        raise AssertionError


class _Shown(_Numbers):
    def __repr__(self) -> str:
        return "numbers from 1"


async def _work() -> None: ...


def _steps() -> Iterator[int]:
    raise AssertionError
    yield 1


async def _asteps() -> AsyncIterator[int]:
    raise AssertionError
    yield 1


_FORMS: list[tuple[object, object]] = [
    ({"a": [1, 2.5, None, True, "文"]}, {"a": [1, 2.5, None, True, "文"]}),
    (2**64, "18446744073709551616"),
    (-(2**63) - 1, "-9223372036854775809"),
    (2**64 - 1, 2**64 - 1),
    ([float("nan"), float("inf"), float("-inf")], ["NaN", "Infinity", "-Infinity"]),
    ("a\ud800b", "a\\ud800b"),
    ("\ud83d" + "\ude00", "😀"),
    ({"\ud83d": 1}, {"\\ud83d": 1}),
    ({None: 1, True: 2, 3: 4, "3": 5}, {"null": 1, "true": 2, "3": 4, "3 (2)": 5}),
    ({"b", "a"}, ["a", "b"]),
    (deque([1, 2]), [1, 2]),
    (_Pair(1, 2), {"left": 1, "right": 2}),
    (_Pair(1, {1}), {"left": 1, "right": [1]}),
    (_Point(1, 2.0), {"x": 1, "y": 2.0}),
    (_Model(name="n", at=datetime(2026, 1, 2, tzinfo=UTC)), {"name": "n", "at": "2026-01-02T00:00:00+00:00"}),
    (datetime(2026, 1, 2, 3, 4, 5, 6000), "2026-01-02T03:04:05.006000"),  # noqa: DTZ001 - naive on purpose
    (date(2026, 1, 2), "2026-01-02"),
    (timedelta(minutes=1), 60.0),
    (_Colour.RED, "red"),
    (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (Decimal("1.10"), "1.10"),
    (PurePosixPath("/a/b"), "/a/b"),
    ("文".encode(), "文"),
    (b"\xff\xfe", {"$base64": "//4="}),
    (ValueError("bad"), {"type": "ValueError", "message": "bad"}),
    (_SdkObject(), {"code": 0, "inner": {"x": 1, "y": 2.5}}),
    (_Slotted(), {"shown": [1]}),
    (_Hostile(), "<_Hostile>"),
    (_Closed(), {"broken": "[unreadable: RuntimeError]", "shown": 1}),
    (object, "<class 'object'>"),
    ([_Elusive(), 1], ["[unreadable: RuntimeError]", 1]),
    ([_steps(), {"a": _asteps()}], ["[generator _steps]", {"a": "[async_generator _asteps]"}]),
    ((each for each in [1]), "[generator <genexpr>]"),
    ([iter([1]), iter({}), map(str, [1])], ["[list_iterator]", "[dict_keyiterator]", "[map]"]),
    ({iter([1]): 1}, {"[list_iterator]": 1}),
    (itertools.count(3), "count(3)"),
    ([_Numbers(), _Shown()], ["[_Numbers]", "numbers from 1"]),
]


@pytest.mark.parametrize(("value", "expected"), _FORMS, ids=lambda item: type(item).__name__)
def test_each_kind_of_value_has_the_form_that_is_documented(value: object, expected: object) -> None:
    """Every row of the module's table is what encode does."""
    assert expected == json.loads(encode(value))


def test_a_coroutine_is_named_and_left_to_be_awaited() -> None:
    """Wherever it stands; so is what awaits its steps."""
    work = _work()
    steps = work.__await__()
    assert ["[coroutine _work]", "[coroutine_wrapper]"] == json.loads(encode([work, steps]))
    with pytest.raises(StopIteration):
        work.send(None)


def test_a_value_inside_itself_is_named_as_such() -> None:
    """A cycle ends where it closes."""
    value: dict[str, Any] = {"a": 1}
    value["self"] = value
    assert {"a": 1, "self": "[circular]"} == json.loads(encode(value))


def test_the_same_value_twice_is_written_twice() -> None:
    """Only a value inside itself is circular."""
    shared = {1}
    assert [[1], [1]] == json.loads(encode([shared, shared]))


@pytest.mark.parametrize(
    ("core", "shown"), [("core", "core"), ({"s": {1}}, '"s"'), (b"\xff", "$base64"), (float("nan"), "NaN")]
)
@pytest.mark.parametrize("kind", ["list", "dict", "tuple"])
@pytest.mark.parametrize("depth", [99, 127, 128, 249, 250, 251, 252, 253, 254, 255, 256, 1_000, 10_000])
def test_deep_nesting_is_kept_in_a_form_that_every_parser_reads(
    depth: int, kind: str, core: object, shown: str
) -> None:
    """What lies too deep becomes its own JSON text, so that no reader runs out of stack."""
    value = nested(depth, core, kind)
    for levels in (126, 254):
        document = encode(value, levels=levels)
        assert levels >= depth_of(json.loads(document))
        assert document == encode(orjson.loads(document), levels=levels)
        assert shown in document.decode().replace("\\", "")


def test_a_hundred_thousand_levels_are_kept() -> None:
    """Without the stack: of lists, and of tuples, which the writer does not count."""
    for kind in ("list", "tuple"):
        document = encode(nested(100_000, "core", kind))
        assert (100_000, 254) == (document.count(b"["), depth_of(json.loads(document)))


def test_what_is_too_deep_is_its_json() -> None:
    """Whether orjson could have written it or not."""
    for depth in (128, 255):
        for core, written in (('"', b'"\\""'), ({"a": [], "b": None}, b'{"a":[],"b":null}')):
            inner: Any = orjson.loads(encode(nested(depth, core), levels=127))
            for _ in range(127):
                [inner] = inner
            assert b"[" * (depth - 127) + written + b"]" * (depth - 127) == inner.encode()


def test_a_value_is_kept_where_little_of_the_stack_is_left() -> None:
    """A recorded function may be called amid a deep recursion."""

    def descended(value: Any) -> bytes:
        try:
            return descended(value)
        except RecursionError:
            return encode(value)

    assert "core" in json.dumps(json.loads(descended(nested(300, "core"))))


def test_a_doubling_structure_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty levels that each hold the last one twice do not fill the memory."""
    monkeypatch.setattr("execution_history.records.encoding._MOST_VALUES", 50_000)
    value: Any = {1}
    for _ in range(60):
        value = [value, value]
    assert b"[too large]" in encode(value)


def test_a_generator_is_not_consumed() -> None:
    """Recording a run must not have effects on it."""
    numbers = (number for number in [1, 2])
    encode({"numbers": numbers})
    assert [1, 2] == list(numbers)


def test_large_integers_of_foreign_documents_stay_exact() -> None:
    """A reader of old files does not round what is in them."""
    number = 123456789012345678901234567890
    for before in (0, 262_100, 262_110, 262_120, 262_130, 262_140, 600_000):
        assert {"x": "0" * before, "a": number} == read_json(b'{"x": "%b", "a": %d}' % (b"0" * before, number))
        assert {"x": "-" * before, "a": number} == read_json(b'{"x": "%b", "a": %d}' % (b"-" * before, number))


@pytest.mark.parametrize("levels", [1_024, 1_025, 100_000])
@pytest.mark.parametrize("core", [b"1", b"123456789012345678901234567890"])
def test_a_document_of_any_depth_is_read(levels: int, core: bytes) -> None:
    """What no parser takes as it is comes with the deep part as a string, large integers and all."""
    found = read_json(b'{"a": ' + b"[" * levels + core + b"]" * levels + b"}")
    assert core in encode(found)
    assert core in encode(orjson.loads(encode(found, levels=127)))


def test_invalid_json_is_refused_with_a_sentence() -> None:
    """The error says what is wrong."""
    for document in (b"{", b"[" * 100_000, b"[" * 2_000 + b"1,,2" + b"]" * 1_999):
        with pytest.raises(ValueError, match=r"^This is not valid JSON: .*\.$"):
            read_json(document)


_anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()))
    | st.binary()
    | st.datetimes()
    | st.decimals(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.none() | st.booleans() | st.integers() | st.text(), inner)
        | st.frozensets(st.integers() | st.text())
    ),
)


@given(_anything, st.sampled_from([0, 1, 2, 126, 127, 128, 254]), st.integers(0, 400))
def test_encode_never_raises_and_what_it_writes_is_stable(value: object, levels: int, deeper: int) -> None:
    """Whatever goes in, everybody reads what comes out, and encoding that again changes nothing."""
    document = encode(nested(deeper, value), levels=levels)
    assert levels >= depth_of(json.loads(document))
    assert document == encode(orjson.loads(document), levels=levels) == encode(read_json(document), levels=levels)


@given(_anything)
def test_indent_is_the_layout_of_pythons_json(value: object) -> None:
    """The indented form of a document means the same."""
    document = encode(value)
    assert json.loads(document) == json.loads(indent(document))
