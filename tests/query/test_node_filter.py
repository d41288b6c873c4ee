"""The filter of nodes: runs in which a node took part, or was slow."""

from typing import Any

import pytest

from execution_history.errors import InvalidQuery
from execution_history.query.fields import RecordFilter
from execution_history.query.parameters import filter_of
from execution_history.query.values import NodeTime
from execution_history.records.attributes import attributes_of
from execution_history.records.record import KEYS


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("Writer", NodeTime("Writer")),
        ("Writer >= 12s", NodeTime("Writer", 12_000)),
        ("润色≥1.5s", NodeTime("润色", 1_500)),
        ("a >= b >= 200 ms", NodeTime("a >= b", 200)),
        ("score >= 12", NodeTime("score >= 12")),
    ],
)
def test_a_node_and_a_time_are_read(text: str, node: NodeTime) -> None:
    """The last comparison with a time that has a unit is one; everything else is part of the name."""
    assert node == filter_of({"node": [text]}, now=0).node


@pytest.mark.parametrize("value", ["Writer", NodeTime("\ud800"), NodeTime("x", True), ("x", 1)])
def test_what_is_no_node_is_refused(value: Any) -> None:
    """Before a store is asked."""
    with pytest.raises(InvalidQuery):
        RecordFilter(node=value)


@pytest.mark.parametrize(
    ("node", "status", "holds"),
    [
        (NodeTime("7"), "success", True),
        (NodeTime("Writer"), "failed", True),
        (NodeTime("LLM_1"), "success", False),
        (NodeTime("Writer", 3_000), "success", True),
        (NodeTime("Writer", 3_001), "success", False),
        (NodeTime("untimed"), "success", True),
        (NodeTime("untimed", 0), "success", False),
        (NodeTime("Writer"), "running", False),
    ],
)
def test_a_node_is_found_by_its_id_or_title(node: NodeTime, status: str, *, holds: bool) -> None:
    """With the time from its first to its last message, in runs that have ended."""
    record = {
        **dict.fromkeys(KEYS), "workflow_id": "w", "execute_id": "e", "create_time": 0, "update_time": 9_000,
        "execute_status": status, "metadata": {},
        "node_execute_status": {
            "LLM_1": {"node_id": "7", "node_title": "Writer", "start_time": 1_000, "update_time": 4_000},
            "untimed": {"start_time": 5_000},
        },
    }  # fmt: skip
    assert holds == RecordFilter(node=node).predicate().holds(record, attributes_of(record))
