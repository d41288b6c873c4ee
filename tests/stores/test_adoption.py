"""JSON files of others, one at a time: whatever is whole is found, once, whatever the file is like, in linear time."""

import io
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_history.records.reading_limits import ReadingLimits
from execution_history.stores.jsonfiles.file_format import Header
from execution_history.stores.jsonfiles.rebuild import write_new
from execution_history.stores.jsonfiles.tolerant_reader import FoundFile
from execution_history.stores.mirror_port import FileState
from tests.examples import examples
from tests.sample_records import document

_HOSTILE = st.text(max_size=20) | st.sampled_from(
    [
        '{"execute_id":"inner"}',
        '\n    {\n      "execute_id": "e1",\n',
        "\n    }",
        '"histories": [',
        "]}",
        "\\",
        '\\"',
        '"',
    ]
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _HOSTILE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_HOSTILE, inner, max_size=3),
    max_leaves=10,
)
_RECORDS = st.lists(st.fixed_dictionaries({"execute_id": _HOSTILE, "output": _VALUES}), max_size=5)
_LAYOUTS = st.fixed_dictionaries(
    {"indent": st.sampled_from([None, 0, 2, 4]), "ensure_ascii": st.booleans(), "sort_keys": st.booleans()}
)


class _Trickle(io.BytesIO):
    """A stream that gives a few bytes at a time, so that everything stands across the end of a piece once."""

    def __init__(self, data: bytes, at_once: int) -> None:
        super().__init__(data)
        self._at_once = at_once

    def read(self, size: int | None = -1, /) -> bytes:
        """See :meth:`io.BytesIO.read`."""
        return super().read(min(size or self._at_once, self._at_once) if size != -1 else self._at_once)


def _looked_at(
    data: bytes, at_once: int = 1 << 20, limits: ReadingLimits | None = None
) -> tuple[FoundFile, list[dict[str, Any]], list[str]]:
    """What a file with these bytes turns out to be, the records in it, and why others are not read."""
    found = FoundFile(lambda: _Trickle(data, at_once), limits)
    items = list(found.records())
    return (
        found,
        [item for item in items if not isinstance(item, str)],
        [item for item in items if isinstance(item, str)],
    )


def _file(records: list[dict[str, Any]], **layout: Any) -> bytes:
    content = {"workflow_id": "w", "total": len(records), "histories": records, "updated_at": 1}
    return json.dumps(content, **({"ensure_ascii": False} | layout)).encode("utf-8", "surrogatepass")


@examples(25)
@given(records=_RECORDS, layout=_LAYOUTS, at_once=st.sampled_from([1, 2, 7, 4_096]), bare=st.booleans())
def test_a_whole_file_gives_its_records(
    records: list[dict[str, Any]], layout: dict[str, Any], at_once: int, bare: bool
) -> None:
    """However it is laid out and wherever pieces end; the workflow is known although it is named behind them."""
    data = json.dumps(records, **layout).encode() if bare else _file(records, **layout)
    found, read, refused = _looked_at(data, at_once)
    assert (records, []) == (read, refused)
    assert (not found.is_damaged, None if bare else "w") == (True, found.workflow_id)
    assert found.is_history is (bool(records) or not bare)


@examples(25)
@given(records=_RECORDS, layout=_LAYOUTS, cut=st.floats(0, 1), at_once=st.sampled_from([3, 4_096]))
def test_a_file_that_is_cut_off_gives_what_is_whole(
    records: list[dict[str, Any]], layout: dict[str, Any], cut: float, at_once: int
) -> None:
    """The records before the cut, in their order, and nothing that stands within the one that is cut."""
    whole = _file(records, **layout)
    data = whole[: int(len(whole) * cut)]
    found, read, refused = _looked_at(data, at_once)
    assert records[: len(read)] == read
    assert [] == refused
    assert found.is_damaged is found.is_history is (data != whole and b'"histories"' in data) or data == whole


@examples(25)
@given(records=_RECORDS, layout=_LAYOUTS, data=st.data())
def test_a_file_with_any_byte_changed_is_read_to_its_end(
    records: list[dict[str, Any]], layout: dict[str, Any], data: st.DataObject
) -> None:
    """Nothing fails, and no more is parsed than a few times what there is."""
    broken = bytearray(_file(records, **layout))
    broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    found, _, _ = _looked_at(bytes(broken))
    assert found.parsed <= 3 * len(broken)


def test_a_raw_line_break_in_a_text_is_no_damage() -> None:
    """Some programs write them; the reader takes them as they are."""
    found, read, refused = _looked_at(_damaged(lambda record: record.replace(b"xx", b"x\n", 1)))
    assert (30, [], False, "w") == (len(read), refused, found.is_damaged, found.workflow_id)
    assert {"text": "x\n" + "x" * 48} in [record["output"] for record in read]


def _damaged(what: Callable[[bytes], bytes]) -> bytes:
    """A file of thirty records of which the tenth is changed."""
    records = [{"execute_id": f"e{n}", "output": {"text": "x" * 50}} for n in range(30)]
    data = _file(records, indent=2)
    begin, end = data.index(b'"e10"'), data.index(b'"e11"')
    return data[:begin] + what(data[begin:end]) + data[end:]


@pytest.mark.parametrize(
    ("what", "lost"),
    [
        (lambda record: record.replace(b'"e10"', b'"e10', 1), 1),
        (lambda record: record.replace(b'x"', b"x", 1), 1),
        (lambda record: record.replace(b'"text": "', b'"text": ', 1), 1),
        (lambda record: record.replace(b"}", b"", 1), 1),
        (lambda record: record.replace(b"}", b"]", 1), 1),
        (lambda record: record.replace(b"    },", b"    ", 1), 1),
        (lambda record: record.replace(b"    },", b"    }", 1), 0),
        (lambda record: record.replace(b'"output": {', b'"output": ', 1), 1),
        (lambda record: record.replace(b'"text"', b"text", 1), 1),
        (lambda record: record.replace(b"x", b"\xff", 1), 0),
        (lambda record: b"\0" * len(record), 2),
        (lambda record: record[:20], 2),
        (lambda record: record + b"<<<<<<< mine\n", 1),
        (lambda record: record.replace(b"    },", b"    },,", 1), 0),
        (lambda record: record.replace(b"    },", b'    },"', 1), 0),
        (lambda record: record.replace(b"    },", b"    }],", 1), 0),
        (lambda record: record.replace(b"    },", b"    }}", 1), 0),
        (lambda record: record.replace(b"    },", b"    },[", 1), 0),
        (lambda record: record.replace(b'"text": ', b'"text": [[{', 1), 1),
    ],
)
def test_damage_costs_the_record_that_it_is_in(what: Callable[[bytes], bytes], lost: int) -> None:
    """And perhaps the one that its rest runs into; the others are found, and the file counts as damaged."""
    found, read, refused = _looked_at(_damaged(what))
    expected = [f"e{n}" for n in range(30) if n not in (10, 11)]
    assert expected == [record["execute_id"] for record in read if record["execute_id"] not in ("e10", "e11")]
    assert (30 - lost, [], True, "w") == (len(read), refused, found.is_damaged, found.workflow_id)


def test_a_piece_that_is_lost_costs_the_records_it_was_cut_from() -> None:
    """Also where what comes next could stand within what is broken, because of its place in its line."""
    records = [{"execute_id": f"e{n}", "output": [{"text": "x" * 50}] * 9} for n in range(30)]
    data = _file(records, indent=2)
    for begin in range(data.index(b'"e10"'), data.index(b'"e11"'), 37):
        found, read, _ = _looked_at(data[:begin] + data[begin + 800 :])
        kept = {record["execute_id"] for record in read}
        assert {f"e{n}" for n in range(30) if n not in (10, 11)} <= kept <= {f"e{n}" for n in range(30)}
        assert found.workflow_id == "w"


def test_what_stands_within_a_broken_record_is_no_record() -> None:
    """The run of a workflow that works on histories has records in its input."""
    inner = b'{"execute_id": "inner", "output": 1}'
    data = b'{"workflow_id": "w", "histories": [{"execute_id": "a", "input_parameters": ' + inner + b', "output": tru'
    assert [] == _looked_at(data)[1]


def test_what_python_writes_and_json_does_not_know_is_no_damage() -> None:
    """NaN, the infinities and halves of surrogate pairs; the record that holds them may begin with any key."""
    records = [{"execute_id": "a"}, {"colour": "red", "execute_id": "b", "output": [float("inf"), "\ud800"]}]
    found, read, _ = _looked_at(json.dumps({"workflow_id": "w", "histories": records}).encode())
    assert (records, False) == (read, found.is_damaged)


def test_records_behind_a_broken_beginning_are_found() -> None:
    """Their list is not recognised as such then."""
    data = _file([{"execute_id": "a"}, {"execute_id": "b"}]).replace(b'"histories": [', b'"histories":%[')
    found, read, _ = _looked_at(data)
    assert (["a", "b"], "w", True) == ([each["execute_id"] for each in read], found.workflow_id, found.is_damaged)


def test_two_files_in_one_are_both_read() -> None:
    """Somebody has put them one behind the other."""
    one, two = ([{"execute_id": f"{name}{n}"} for n in range(3)] for name in "ab")
    found, read, _ = _looked_at(_file(one, indent=2) + _file(two))
    assert (one + two, True) == (read, found.is_damaged)


_UNITS = {
    "lists in records": b'{"execute_id":[',
    "objects in records": b'{"execute_id":{"a":',
    "records that break off": b'{"execute_id": x ',
    "records that do not end": b'{"execute_id":"x",',
    "frames in frames": b'{"workflow_id":1,"histories":[',
    "frames with more before": b'{"workflow_id":1,"x":{},"histories":[',
    "numbers without end": b'{"execute_id":[' * 50 + b"9" * 5_000,
    "whole records": b'{"execute_id":"x"}',
    "braces": b"{",
    "brackets": b"[",
    "quotes": b'"',
    "quotes in records": b'{"execute_id":"',
    "backslashes": b"\\",
    "a text of backslashes": b'{"execute_id":"\\',
    "commas": b",",
    "line breaks": b"\n",
}


@pytest.mark.parametrize("unit", _UNITS.values(), ids=_UNITS.keys())
@pytest.mark.parametrize("beginning", [b"", b'{"histories":[', b"["])
def test_what_is_parsed_grows_with_the_file_and_no_more(unit: bytes, beginning: bytes) -> None:
    """Of whatever it consists: each character is given to a parser a few times at most."""
    data = beginning + unit * (100_000 // len(unit))
    found, _, _ = _looked_at(data)
    assert found.parsed <= 4 * len(data)


def test_a_first_record_that_ends_inside_a_list_costs_no_other_one(tmp_path: Path) -> None:
    """Its siblings are told by their indentation."""
    bodies = [document(f"e{number}", now=100 - number, parameters={"v": ["a", "b", "c"]}).body for number in range(9)]
    write_new(tmp_path / "w.json", Header("w", FileState(9, 1, 1)), bodies, 0)
    data = (tmp_path / "w.json").read_bytes()
    at = data.index(b'"b"', data.index(b'"e2"'))
    end = data.index(b"\n    },", at) + len(b"\n    }")
    read = _looked_at(data[:at] + b'"b"' + data[end:])[1]
    assert ["e0", "e1", "e3", "e4", "e5", "e6", "e7", "e8"] == [record["execute_id"] for record in read]


@pytest.mark.parametrize(
    ("beginning", "unit"),
    [
        (b"", b"\n"),
        (b"", b"{"),
        (b'{"histories":[', b" "),
        (b'{"histories":[', b","),
        (b'{"histories":[', b"["),
        (b'["execute_id",', b"{"),
        (b'{"execute_id":', b'"'),
    ],
)
def test_a_file_of_nothing_takes_no_memory(beginning: bytes, unit: bytes) -> None:
    """Neither for itself nor for what could be made of it."""
    data = beginning + unit * (100_000 // len(unit))
    tracemalloc.start()
    try:
        read = _looked_at(data, limits=ReadingLimits(record=100_000))[1]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [] == read
    assert peak < 1_000_000


def test_a_record_that_is_too_large_is_passed_over_with_its_number() -> None:
    """Those around it are read, and the file is not damaged; nor does it matter that it stands in one line."""
    records = [{"execute_id": "a"}, {"execute_id": "b", "output": "x" * 100_000}, {"execute_id": "c"}]
    found = FoundFile(lambda: _Trickle(_file(records), 1_000), ReadingLimits(record=10_000))
    assert [records[0], "It has more than 10000 bytes (the setting record_limit_bytes).", records[2]] == list(
        found.records()
    )
    assert not found.is_damaged


def test_what_stands_around_records_takes_little_memory() -> None:
    """It is not parsed where its values would take too much; the records are read all the same."""
    around = b'{"histories": [{"execute_id": "a"}], "more": [' + b"{}," * 30_000 + b"{}]}"
    _, read, refused = _looked_at(around, limits=ReadingLimits(memory=1_000_000))
    assert (["a"], []) == ([record["execute_id"] for record in read], refused)


@pytest.mark.parametrize("beginning", [b"", b"// broken\n"])
def test_a_record_is_read_up_to_the_largest_in_damaged_files_too(beginning: bytes) -> None:
    """However much stands behind it."""
    data = beginning + _file([{"execute_id": "a", "output": "x" * 40_000}, {"execute_id": "b", "output": "y" * 60_000}])
    _, read, refused = _looked_at(data, limits=ReadingLimits(record=50_000))
    assert (["a"], 1) == ([record["execute_id"] for record in read], len(refused))


def test_a_record_that_is_nested_deeply_is_read_too() -> None:
    """What lies too deep in it is text."""
    deep = b'{"execute_id": "b", "output": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    found, read, refused = _looked_at(b'{"histories": [{"execute_id": "a"}, ' + deep + b', {"execute_id": "c"}]}')
    assert ["a", "b", "c"] == [record["execute_id"] for record in read]
    assert (0, False) == (len(refused), found.is_damaged)


@pytest.mark.parametrize(
    ("text", "is_history", "is_damaged"),
    [
        ('{"name": "x"}', False, False),
        ('[{"a": 1}, {"b": 2}]', False, False),
        ("[1, 2]", False, False),
        ("", False, False),
        ("7", False, False),
        ('// comments\n{"strict": true}', False, False),
        ('{"histories": []}', True, False),
        ('{"histories": [null]}', True, False),
        ('{"histories": [1]}', True, True),
        ('{"histories": [null, {"execute_id": "a"}, null, null, {"execute_id": "b"}, null]}', True, False),
        ('{"histories": [{"execute_id": "a"}, 1]}', True, True),
        ('{"histories": [{"execute_id": "a"},]}', True, True),
        ('{"histories": [,{"execute_id": "a"}]}', True, True),
        ('{"histories": [[]]}', True, True),
        ('{"histories": [{"execute_id": "a"} {"execute_id": "b"}]}', True, True),
        ('{"histories": {"execute_id": "a"}}', True, False),
        ('{"histories": 1}', False, False),
        ('{"histories": [', True, True),
        ('{"histories": []} ]', True, True),
        ('[{"a": 1}, {"execute_id": "b"}]', True, False),
    ],
)
def test_what_is_a_history_and_what_is_damaged(text: str, is_history: bool, is_damaged: bool) -> None:
    """JSON that is something else is neither."""
    found, _, _ = _looked_at(text.encode())
    assert (is_history, is_damaged) == (found.is_history, found.is_damaged)
