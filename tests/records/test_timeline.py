"""The nodes of a run: one shape for all who write and read them, and one node that failed."""

from typing import Any

import orjson
import pytest

from execution_history.records.partial import Unread
from execution_history.records.timeline import (
    NODE_KEYS,
    Node,
    failing_node,
    nodes_of,
    open_node,
    timed_nodes,
    timeline_of,
)


def test_a_node_is_read_as_it_was_stored() -> None:
    """All its keys and what else its writer knew, in their order."""
    node = Node(node_title="Ask", is_finish=True, start_time=1, update_time=2, content="?", others={"loop_index": 3})
    node.add_packet(1, 0, 1)
    timeline = timeline_of([node])
    assert timeline is not None
    assert [*NODE_KEYS, "loop_index"] == list(timeline["Ask"])
    assert [[1, 0, 1]] == timeline["Ask"]["packets"]
    assert timeline == timeline_of(nodes_of(orjson.loads(orjson.dumps(timeline))))


def test_nodes_of_one_title_have_names_of_their_own() -> None:
    """The first keeps the title; one without a title is named by what is known of it."""
    timeline = timeline_of([Node(node_title="A"), Node(node_title="A"), Node(name="id 7"), Node(node_title="A")])
    assert ["A", "A (2)", "id 7", "A (3)"] == list(timeline or ())
    assert ["A", "A", "id 7", "A"] == [node.label for node in nodes_of(timeline)]
    assert timeline_of([]) is None


def test_packets_beyond_two_thousand_make_the_last_one_longer() -> None:
    """None is lost of what they count."""
    node = Node(node_title="A")
    for order in range(1, 2_003):
        node.add_packet(order, order, 2)
    assert (2_002, 2_000, [2_002, 2_002, 6]) == (node.packet_count, len(node.packets), node.packets[-1])


@pytest.mark.parametrize(
    ("timeline", "failed", "is_open"),
    [
        ({"A": {"is_finish": False}, "B": {"error_message": "no"}}, "B", "A"),
        ({"A": {"error_code": 5, "node_title": "Pay"}, "B": {"error_message": "no"}}, "Pay", None),
        ({"A": {"error_message": " ", "error_code": 0}, "B": {"error_code": "0", "is_finish": False}}, "B", "B"),
        ({"A": {"is_finish": False, "update_time": 9}, "B": {"is_finish": False, "update_time": 5}, "C": {}}, "A", "A"),
        ({"A": {"is_finish": False}, "B": {"is_finish": False}}, "B", "B"),
        ({"A": {"is_finish": True}, "B": {"is_finish": "no"}, "C": 7}, None, None),
        ([], None, None),
    ],
)
def test_the_failing_node_is_the_first_with_an_error_else_the_open_one(
    timeline: Any, failed: str | None, is_open: str | None
) -> None:
    """Of several that have not finished the one that spoke last; a code of 0 and an empty message are no errors."""
    found = failing_node(nodes_of(timeline)), open_node(nodes_of(timeline))
    assert (failed, is_open) == tuple(node and node.label for node in found)


@pytest.mark.parametrize(
    "timeline", [None, [], "x", {}, {"a": 1}, {"a": {"start_time": "1"}}, {"a": {"start_time": True, "update_time": 2}}]
)
def test_what_has_no_times_is_no_timeline_of_ours(timeline: Any) -> None:
    """Coze's own node statuses are shown as the JSON they are."""
    assert [] == timed_nodes(timeline, 0)


def test_no_node_begins_before_its_run_or_ends_before_it_begins() -> None:
    """Whatever the clocks said."""
    early, late = timed_nodes(
        {"A": {"start_time": 5, "update_time": 3}, "B": {"start_time": 30, "update_time": 20}}, 10
    )
    assert [(10, 10, 0), (30, 30, 0)] == [(node.started, node.ended, node.took_ms) for node in (early, late)]


def test_odd_values_are_not_there() -> None:
    """Anybody may write anything; a text that was too large to be read is none."""
    node = Node.read(
        "A", {"packets": [1, [1, 2], [1, 2, 3], [1, 2, True]], "packet_count": -1, "content": Unread(b"[]")}
    )
    assert node is not None
    assert ([[1, 2, 3]], None, "") == (node.known_packets(), node.packet_count, node.text)
    assert Node.read("A", ["x"]) is None
