"""What is left of a record whose contents were removed."""

from typing import Any

import orjson
import pytest

from execution_history.records.attributes import attributes_of
from execution_history.records.contents import prune_contents
from execution_history.records.record import KEYS, Document
from tests.sample_records import changed, document

NODE = {
    "node_id": "7", "node_title": "Ask", "node_type": "llm", "node_execute_uuid": None, "is_finish": True,
    "start_time": 1_000, "update_time": 1_500, "content": "private " * 50, "packets": [[1, 5, 400]], "packet_count": 1,
    "usage": {"token_count": 3}, "input": {"q": "private"}, "error_message": "no",
}  # fmt: skip


def _ended(status: str = "failed", **metadata: Any) -> Document:
    begun = document("e", parameters={"q": "private " * 20}, metadata={"tags": ["a"], **metadata})
    return changed(
        begun, 9_000, status, output={"answer": "private " * 90}, error_code=5, error_message="no",
        usage={"token_count": 3}, node_execute_status={"Ask": NODE}, metadata={"rating": 4, "cost": {"amount": 1}},
    )  # fmt: skip


def test_contents_go_and_the_line_stays() -> None:
    """All 19 keys are there, contents are null, and whatever is counted is as before."""
    before = _ended(answers=[{"at": 3_000, "asked_at": 2_000, "answer": "private"}], traceback="private", mine="short")
    after = prune_contents(before, 20_000, "older than 30 days")
    assert after is not None
    record = orjson.loads(after.body)
    assert tuple(record) == KEYS
    assert b"private" not in after.body
    assert record["input_parameters"] is record["output"] is None
    node = record["node_execute_status"]["Ask"]
    assert node == {**NODE, "content": None, "packets": [], "input": None}
    pruned = record["metadata"]["pruned"]
    assert (pruned["at"], pruned["rule"]) == (20_000, "older than 30 days")
    assert 0 < pruned["bytes"] < len(before.body)
    assert record["metadata"]["mine"] == "short"
    unlike = {"has_output"}
    old, new = attributes_of(orjson.loads(before.body))._asdict(), attributes_of(record)._asdict()
    assert {key for key in old if old[key] != new[key]} == unlike


def test_the_time_of_the_end_stays_known_and_the_version_rises() -> None:
    """Whoever copies the history takes the shorter record for the newer one."""
    after = prune_contents(_ended(), 5_000, "r")
    assert after is not None
    assert after.update_time == 9_001
    assert orjson.loads(after.body)["metadata"]["ended_at"] == 9_000


@pytest.mark.parametrize("is_pruned", [True, False])
def test_nothing_is_pruned_twice_or_for_nothing(*, is_pruned: bool) -> None:
    """A record that would not become shorter stays as it is."""
    first = prune_contents(_ended(), 20_000, "r") if is_pruned else document("e")
    assert first is not None
    assert prune_contents(first, 30_000, "r") is None


def test_what_was_cut_is_not_said_of_values_that_are_gone() -> None:
    """``recording_is_cut`` names what is still there."""
    cuts = {"output": 5_000_000, "error_message": 7_000_000}
    before = changed(_ended(), 9_500, metadata={"recording_is_cut": cuts})
    after = prune_contents(before, 20_000, "r")
    assert after is not None
    assert orjson.loads(after.body)["metadata"]["recording_is_cut"] == {"error_message": 7_000_000}


@pytest.mark.parametrize("timeline", [[1, 2], "x" * 500, {"a": 5}])
def test_a_foreign_timeline_is_no_obstacle(timeline: Any) -> None:
    """What is no node says nothing that is counted."""
    before = changed(_ended(), 9_500, node_execute_status=timeline)
    after = prune_contents(before, 20_000, "r")
    assert after is not None
    assert orjson.loads(after.body)["node_execute_status"] in (None, {"a": None})
