r"""Whatever others write as JSON is read with its values, and has a documented form in a record."""

import json
import math
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from execution_history.records.encoding import encode
from execution_history.records.json_text import read_json

_INTEGER = 80241446968629135069

_READ: list[tuple[bytes | str, object, bytes]] = [
    (b'{"a":1,"b":[2.5,null,true,"\xe6\x96\x87"]}', {"a": 1, "b": [2.5, None, True, "文"]}, b""),
    (b'{"n":80241446968629135069}', {"n": _INTEGER}, b'{"n":"80241446968629135069"}'),
    (b"80241446968629135069", _INTEGER, b'"80241446968629135069"'),
    (b"-80241446968629135069", -_INTEGER, b'"-80241446968629135069"'),
    (b"[1,\n80241446968629135069]", [1, _INTEGER], b'[1,"80241446968629135069"]'),
    (b'{"a" : 18446744073709551615}', {"a": 2**64 - 1}, b'{"a":18446744073709551615}'),
    (b"[%b]" % (b"9" * 100_000), ["9" * 100_000], b'["%b"]' % (b"9" * 100_000)),
    (b"[0.1234567890123456789]", ["0.1234567890123456789"], b'["0.1234567890123456789"]'),
    (b"[123456789.123456789]", ["123456789.123456789"], b'["123456789.123456789"]'),
    (b"[0.30000000000000004,0.10000000000000000]", [0.30000000000000004, 0.1], b"[0.30000000000000004,0.1]"),
    (b"[0.10000000000000001,0.100000000000000011]", [0.1, "0.100000000000000011"], b'[0.1,"0.100000000000000011"]'),
    (b"[1e5,1E23,-1.5e-7]", [1e5, 1e23, -1.5e-7], b"[100000.0,1e+23,-1.5e-7]"),
    (b"[1e400,-1e400]", ["1e400", "-1e400"], b'["1e400","-1e400"]'),
    (b"[1e-400,5e-324]", ["1e-400", 5e-324], b'["1e-400",5e-324]'),
    (b"[1e-%b]" % (b"9" * 30), ["1e-" + "9" * 30], b""),
    (b'{"a":Infinity,"b":-Infinity}', {"a": math.inf, "b": -math.inf}, b'{"a":"Infinity","b":"-Infinity"}'),
    (rb'{"\ud83d":"cut \ud83d"}', {"\ud83d": "cut \ud83d"}, rb'{"\\ud83d":"cut \\ud83d"}'),
    (rb'"\ud83d\ude00"', "😀", '"😀"'.encode()),
    (b'"\xed\xa0\xbd"', "\ud83d", rb'"\\ud83d"'),
    (b'"\xed\xa0\xbd\xed\xb8\x80"', "😀", '"😀"'.encode()),
    ('"\ud83d"', "\ud83d", rb'"\\ud83d"'),
    (b'"a\nb\tc\x00"', "a\nb\tc\0", rb'"a\nb\tc\u0000"'),
    (b'\xef\xbb\xbf{"a":1}', {"a": 1}, b'{"a":1}'),
    ('\ufeff{"a":1}', {"a": 1}, b'{"a":1}'),
    (b' \r\n{"a":1}\n', {"a": 1}, b'{"a":1}'),
    (rb'["ab\xff","c:\\x41"]', [r"ab\xff", r"c:\x41"], rb'["ab\\xff","c:\\x41"]'),
    (b'{"a":1,"a":2}', {"a": 2}, b'{"a":2}'),
    (b'{"a":NaN,"a":80241446968629135069}', {"a": _INTEGER}, b""),
]


@pytest.mark.parametrize(("text", "value", "form"), _READ, ids=lambda item: str(item)[:20])
def test_each_kind_of_text_is_read_and_written_as_documented(text: bytes | str, value: object, form: bytes) -> None:
    """Every row of the module's table, and the form that a record has for it."""
    found = read_json(text)
    assert value == found
    assert repr(value) == repr(found)
    if form:
        assert form == encode(found)


def test_nan_is_read_as_such() -> None:
    """It equals nothing, so it is looked at alone."""
    found = read_json('{"score": NaN}')
    assert math.isnan(found["score"])
    assert b'{"score":"NaN"}' == encode(found)


@pytest.mark.parametrize("levels", [130, 1_000, 1_025, 100_000])
def test_tolerance_and_depth_go_together(levels: int) -> None:
    """What is too deep and no strict JSON either is read all the same."""
    found = read_json(b"[NaN," + b"[" * levels + rb'80241446968629135069,"\ud83d"' + b"]" * levels + b"]")
    assert math.isnan(found[0])
    assert b"80241446968629135069" in encode(found)


@pytest.mark.parametrize(
    "text", ["", " ", "{", "nan", "Infini", "01", "1.", ".5", "+1", "'a'", "[1,]", "{a:1}", "1 2", r'"\q"', r'"\xzz"']
)
def test_what_is_no_json_stays_none(text: str) -> None:
    """Tolerance is for values that JSON has no form for; the structure is JSON's."""
    for each in (text, text.encode()):
        with pytest.raises(ValueError, match=r"^This is not valid JSON: [^\n]+\.$"):
            read_json(each)


def test_other_charsets_are_not_guessed_here() -> None:
    """Whoever reads bytes that are no UTF-8 decodes them first, and knows by which charset."""
    with pytest.raises(ValueError, match=r"^This is not valid JSON: .*utf-8"):
        read_json('{"a":"中文"}'.encode("gbk"))


_numbers = st.decimals(allow_nan=False, allow_infinity=False).map(str) | st.floats(
    allow_nan=False, allow_infinity=False
).map(repr)


@given(st.lists(_numbers | st.integers().map(str), min_size=1), st.sampled_from(["[%s]", '{"a": [%s]}', "[[%s ] ]"]))
@example(["1234567.8901234567"], "[%s]")
@example(["9007199254740993.0"], "[%s]")
@example(["269201228822.84821"], "[%s]")
def test_no_number_changes_its_value(written: list[str], frame: str) -> None:
    """Whether it becomes a number or a text, its digits are those that were written: of a double the shortest or 17."""
    found = read_json(frame % ",".join(written))
    while isinstance(found, dict) or isinstance(found[0], list):
        found = found["a"] if isinstance(found, dict) else found[0]
    for text, number in zip(written, found, strict=True):
        seventeen = f"{number:.17g}" if isinstance(number, float) else str(number)
        assert Decimal(text) in (Decimal(str(number)), Decimal(seventeen))
    assert len(written) == len(json.loads(encode(found)))


@given(st.recursive(st.none() | st.booleans() | st.floats(-1e15, 1e15) | st.text(), st.lists, max_leaves=20))
def test_plain_json_is_read_as_any_parser_reads_it(value: Any) -> None:
    """Tolerance changes nothing where none is needed."""
    document = orjson.dumps(value)
    assert value == read_json(document) == read_json(document.decode())
