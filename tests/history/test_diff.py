"""Two runs side by side: what differs is told with its path, and no size makes the comparison hang."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_history.history.diff import Comparison, Difference, TextEdit, compare_records, differences, text_edits
from execution_history.records.record import Document, RecordChange
from tests.sample_records import document

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("ab甲_ ."),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text("ab_", max_size=3), inner, max_size=5),
    max_leaves=25,
)


def record(execute_id: str = "e", now: int = 1_000, **fields: Any) -> dict[str, Any]:
    """A record as a reader gets it."""
    found: dict[str, Any] = orjson.loads(document(execute_id, now=now, **fields).body)
    return found


def ended(execute_id: str, took: int, **fields: Any) -> dict[str, Any]:
    """A record of a run that has succeeded after so many milliseconds."""
    body = document(execute_id).body
    change = RecordChange.of(1_000 + took, status="success", fields=fields)
    changed = change.apply(body)
    assert isinstance(changed, Document)
    found: dict[str, Any] = orjson.loads(changed.body)
    return found


def told(old: object, new: object) -> list[tuple[str, str, Any, Any]]:
    """Kind, path and values of what differs."""
    return [(each.kind, each.path, each.old, each.new) for each in differences("output", old, new).found]


@pytest.mark.parametrize(
    ("expected", "old", "new"),
    [
        ([], {"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}),
        ([], {"a": 1, "b": 2}, {"b": 2.0, "a": 1.0}),
        ([("added", "output.b", None, [1])], {"a": 1}, {"a": 1, "b": [1]}),
        ([("removed", "output.a", {"x": 1}, None)], {"a": {"x": 1}}, {}),
        ([("changed", "output.a[1].b", 1, 2)], {"a": [0, {"b": 1}]}, {"a": [0, {"b": 2}]}),
        ([("type_changed", "output.a", 1, "1")], {"a": 1}, {"a": "1"}),
        ([("type_changed", "output.a", True, 1)], {"a": True}, {"a": 1}),
        ([("changed", "output.a", None, {"b": 1})], {"a": None}, {"a": {"b": 1}}),
        ([("changed", 'output.城市["a b"]', 1, 2)], {"城市": {"a b": 1}}, {"城市": {"a b": 2}}),
        ([("changed", "output.__private", 1, 2)], {"__private": 1}, {"__private": 2}),
        ([("changed", 'output["say \\"hi\\""]', 1, 2)], {'say "hi"': 1}, {'say "hi"': 2}),
        ([("type_changed", "output", {"a": 1}, [1])], {"a": 1}, [1]),
        ([("added", "output[0]", None, {"n": "x"})], [{"n": "a"}, {"n": "b"}], [{"n": "x"}, {"n": "a"}, {"n": "b"}]),
        ([("removed", "output[1]", "b", None)], ["a", "b", "c"], ["a", "c"]),
        ([("removed", "output[0]", 1, None), ("added", "output[3]", None, 5)], [1, 2, 3, 4], [2, 3, 4, 5]),
        ([("changed", "output[0][0]", 0, 2), ("added", "output[0][1]", None, 1)], [[0], "x"], [[2, 1], "x"]),
        ([("changed", "output[1].i", 9, 0)], [{}, {"i": 9}, {}], [{}, {"i": 0}, {}]),
        ([("type_changed", "output[0]", 0, False)], [0, True], [False, True]),
        ([("type_changed", "output[0]", True, 1), ("type_changed", "output[1]", 0, False)], [True, 0], [1, False]),
        ([("changed", "output[1]", True, False)], [[True], True, 2], [[True], False, 2]),
    ],
)  # fmt: skip
def test_what_differs_is_told_with_kind_path_and_values(
    expected: list[tuple[str, str, Any, Any]], old: object, new: object
) -> None:
    """Each part that came, went or changed has one difference, whose path reads like a filter's."""
    assert expected == told(old, new)


@given(JSON, JSON)
def test_values_have_no_difference_exactly_when_they_are_the_same(old: Any, new: Any) -> None:
    """Nothing is told of equal values and something of all others, for any two JSON values."""
    assert (normal(old) == normal(new)) is (differences("output", old, new).found == ())


def normal(value: Any) -> Any:
    """A value in which true is not 1."""
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, list):
        return [normal(item) for item in value]
    return {key: normal(item) for key, item in value.items()} if isinstance(value, dict) else value


def test_paths_are_in_order_and_indices_count_as_numbers() -> None:
    """Differences stand in the order of their paths, the tenth item behind the second."""
    old, new = {"b": list(range(12)), "a": 1}, {"b": list(range(1, 24, 2)), "a": 2}

    assert ["output.a", *(f"output.b[{at}]" for at in range(12))] == [each[1] for each in told(old, new)]


def test_long_texts_are_told_apart_word_by_word() -> None:
    """Chinese is compared by character, other languages by word, and the same parts are named too."""
    edits = text_edits(
        "天气很好，今天适合出去散步，大家都很开心，真是不错。", "天气不好，今天适合出去散步，大家都很开心，真是不错。"
    )

    assert (
        TextEdit("same", "天气"),
        TextEdit("removed", "很"),
        TextEdit("added", "不"),
        TextEdit("same", "好，今天适合出去散步，大家都很开心，真是不错。"),
    ) == edits


@given(st.text("ab \n甲", max_size=200), st.text("ab \n甲", max_size=200))
def test_edits_make_the_new_text_of_the_old(old: str, new: str) -> None:
    """What is the same and what is removed is the old text, what is the same and what is added the new one."""
    edits = text_edits(old, new) or ()
    whole = [edit for edit in edits if "…" not in edit.text]

    if edits and len(whole) == len(edits):
        assert old == "".join(edit.text for edit in edits if edit.kind != "added")
        assert new == "".join(edit.text for edit in edits if edit.kind != "removed")
    else:
        assert any("…" in edit.text for edit in edits) or max(len(old), len(new)) < 24


def test_short_texts_need_no_edits() -> None:
    """Where both are short, the two values say it."""
    assert Difference("changed", "output", "yes", "no") == differences("output", "yes", "no").found[0]


def test_settings_are_compared_and_what_always_differs_is_not() -> None:
    """Bot, mode and account are told; ids, times, the debug address and what people noted are not."""
    old = record("e1", bot_id="1", debug_url="x", metadata={"account": "a", "coze_execute_id": "7", "tags": ["t"]})
    new = record("e2", now=9_000, bot_id="2", run_mode=2, debug_url="y", metadata={"account": "b", "log_id": "8"})

    found = compare_records(old, new)

    assert ["bot_id", "run_mode", "metadata.account"] == [each.path for each in found.settings]
    assert () == found.input + found.output + found.ending


def test_equal_runs_are_the_same() -> None:
    """Two runs that differ in ids and times only are told to be the same."""
    assert compare_records(record("e1"), record("e2", now=5_000)).is_same


def test_status_and_error_are_told_as_the_ending() -> None:
    """How the runs ended stands apart from what they put out."""
    found = compare_records(record("e1"), record("e2", execute_status="failed", error_code=4000))

    assert [("execute_status", "running", "failed"), ("error_code", None, 4000)] == [
        (each.path, each.old, each.new) for each in found.ending
    ]


def test_durations_and_tokens_are_told_absolute_and_relative() -> None:
    """A run that took twice as long and half the tokens says so."""
    old = ended("e1", 1_000, usage={"input_count": 30, "output_count": 70, "token_count": 100})
    new = ended("e2", 2_000, usage={"input_count": 30, "output_count": 20, "token_count": 50})

    told = compare_records(old, new).to_json()

    assert {"old": 1_000, "new": 2_000, "difference": 1_000, "ratio": 2.0} == told["duration"]
    assert {"old": 100, "new": 50, "difference": -50, "ratio": 0.5} == told["tokens"]["total"]
    assert {"old": 30, "new": 30, "difference": 0, "ratio": 1.0} == told["tokens"]["input"]


def test_a_number_that_one_run_lacks_has_no_difference() -> None:
    """A run that still goes on has no duration, and nothing is said against none or against zero."""
    told = compare_records(record("e1"), ended("e2", 5, usage={"token_count": 3})).to_json()

    assert {"old": None, "new": 5, "difference": None, "ratio": None} == told["duration"]
    assert {"old": None, "new": 3, "difference": None, "ratio": None} == told["tokens"]["total"]


def node(content: str = "said", **facts: Any) -> dict[str, Any]:
    """A node of a timeline."""
    return {"node_title": "", "content": content, "is_finish": True, "start_time": 1, "packets": [], **facts}


@pytest.mark.parametrize(
    ("expected", "old", "new"),
    [
        (None, {"Start": node(start_time=1)}, {"Start": node(start_time=99, node_execute_uuid="u")}),
        (None, None, None),
        (("order", 0, "A", "B"), {"A": node(), "B": node()}, {"B": node(), "A": node()}),
        (("node", 1, "B", "C"), {"A": node(), "B": node()}, {"A": node(), "C": node()}),
        (("content", 1, "B", "B"), {"A": node(), "B": node("x")}, {"A": node(), "B": node("y"), "C": node()}),
        (("state", 0, "A", "A"), {"A": node()}, {"A": node(is_finish=False)}),
        (("state", 0, "A", "A"), {"A": node()}, {"A": node(error_message="no")}),
        (("end", 1, None, "B"), {"A": node()}, {"A": node(), "B": node()}),
        (("end", 1, "B", None), {"A": node(), "B": node()}, {"A": node()}),
        (("state", 0, "A", "A"), {"A": 1}, {"A": 2}),
    ],
)
def test_the_first_node_at_which_two_runs_part_is_told(
    expected: tuple[str, int, str | None, str | None] | None, old: Any, new: Any
) -> None:
    """Order, title, content and state of the nodes are compared, and the first difference counts."""
    found = compare_records(record(node_execute_status=old), record(node_execute_status=new)).divergence

    assert expected == (found and (found.kind, found.position, found.old_title, found.new_title))


def test_a_timeline_that_only_one_run_has_is_not_a_divergence() -> None:
    """What was not recorded is named, and the runs are not called the same."""
    found = compare_records(record(), record(node_execute_status={"A": node()}))

    assert found.divergence is None
    assert ("nodes: only one of the two runs has a node timeline.",) == found.left_out
    assert not found.is_same


@pytest.mark.parametrize(
    ("cut", "parts"),
    [
        ({"input_parameters": 9, "output": 9, "usage": 9}, ["input", "output"]),
        ({"output": 9, "metadata.trace": 9}, ["output", "settings"]),
        ({"node_execute_status": 9, "metadata.note": 9, "error_message": 9}, ["nodes", "ending"]),
        (True, ["output"]),
        (None, []),
    ],
)
def test_runs_of_which_only_beginnings_were_recorded_are_not_called_the_same(cut: Any, parts: list[str]) -> None:
    """What of either run was cut at recording is named, as what was cut off may differ."""
    whole, beginning = record("e1"), record("e2", metadata={"recording_is_cut": cut})

    for found in (compare_records(whole, beginning), compare_records(beginning, whole)):
        assert tuple(f"{part}: only the beginnings were kept and compared." for part in parts) == found.left_out
        assert found.is_same is not bool(parts)


def deep(inner: object) -> object:
    """A value inside ten thousand lists."""
    value = inner
    for _ in range(10_000):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ([{"i": i} for i in range(100_000)], [{"i": i + 1} for i in range(100_000)]),
        (list("ab" * 50_000), list("ba" * 50_001)),
        ({f"k{i}": i for i in range(100_000)}, {f"j{i}": i for i in range(100_000)}),
        (deep(1), deep(2)),
        ([[i, "x" * 50] for i in range(30_000)], {"whole": "another"}),
    ],
)  # fmt: skip
def test_what_is_too_large_is_told_as_a_whole_and_named(old: object, new: object) -> None:
    """A comparison of huge or endlessly nested values ends, is bounded, and can be written as JSON."""
    found = compare_records({**record(), "output": old}, {**record(), "output": new})

    assert 1 <= len(found.output) <= 1_000
    assert found.left_out or found.output[0].is_shortened
    assert len(orjson.dumps(found.to_json())) < 2_000_000


def test_huge_texts_are_shortened() -> None:
    """Five million characters do not come back; the beginning and the length do."""
    found = differences("output", "word and so " * 400_000, "word or so " * 400_000).found[0]

    assert found.is_shortened
    assert found.old.endswith("… (4800000 characters)")
    assert len(found.old) < 2_100


def test_deep_values_that_are_the_same_are_the_same() -> None:
    """Depth alone is no difference."""
    assert () == differences("output", deep(1), deep(1)).found


def test_one_change_in_a_hundred_thousand_is_found() -> None:
    """What is the same at both ends is taken off before the bound counts."""
    old = [{"i": i} for i in range(100_000)]
    new = [{"i": 7 if i == 90_000 else i} for i in range(100_000)]

    assert [("changed", "output[90000].i", 90_000, 7)] == told(old, new)


def test_a_comparison_has_a_documented_json_form() -> None:
    """Every field is there, whatever was found."""
    shown = compare_records(record("e1"), record("e2", output={"a": 1})).to_json()

    assert {
        "old", "new", "is_same", "input", "output", "settings", "ending", "divergence", "nodes", "duration", "tokens",
        "left_out",
    } == set(shown)  # fmt: skip
    assert {"workflow_id": "w", "execute_id": "e1", "create_time": 1_000, "status": "running"} == shown["old"]
    assert [
        {"kind": "changed", "path": "output", "old": None, "new": {"a": 1}, "is_shortened": False, "text": None}
    ] == shown["output"]


def test_adopted_records_of_any_shape_are_compared() -> None:
    """Metadata that are no object and a status that is no text disturb nothing."""
    odd = {**record(), "metadata": [1], "usage": "many", "execute_status": 7, "node_execute_status": ["x"]}

    assert isinstance(compare_records(odd, record()), Comparison)
