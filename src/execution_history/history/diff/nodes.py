"""The nodes of several runs beside each other: what each did in every run, the failed ones first. Pure and bounded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from execution_history.records.attributes import node_of_failure
from execution_history.records.timeline import Node, nodes_of
from execution_history.records.usage import usage_of

MOST_NODES: Final = 1_000
"""How many nodes are compared; those behind are left out."""

_LONGEST_ERROR: Final = 300


@dataclass(frozen=True, slots=True)
class NodeState:
    """What a node did in one run.

    Attributes:
        status: ``success``, ``failed`` or ``running``: where a run failed, that is the node that it failed in.
        took_ms: milliseconds from its first to its last message; ``None`` where that is not known.
        tokens: how many it used.
        error: the beginning of its error; empty without one.
        is_failing: whether the run failed in it.
        characters: how long is what it said.
    """

    status: str
    took_ms: int | None
    tokens: int | None
    error: str
    is_failing: bool
    characters: int


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One node in every run, ``None`` for a run that does not have it.

    ``says_the_same`` tells of each run whether the node said there what it said in the first of the runs that has it;
    ``is_same`` whether all runs have it, it said the same in all, and ended alike.
    """

    title: str
    states: tuple[NodeState | None, ...]
    says_the_same: tuple[bool, ...]
    is_same: bool

    @property
    def has_failed(self) -> bool:
        """Whether a run failed in it, or it has an error in one."""
        return any(state is not None and (state.is_failing or state.error) for state in self.states)


def node_rows(records: Sequence[Mapping[str, Any]]) -> tuple[NodeRow, ...]:
    """Return the nodes of *records*, those that failed in any first, the others in the order in which they spoke."""
    timelines = [
        {node.name: node for node in nodes_of(record["node_execute_status"])[:MOST_NODES]} for record in records
    ]
    failing = [_failing(record) for record in records]
    rows = [_row(name, timelines, failing) for name in _merged([list(timeline) for timeline in timelines])]
    return tuple(sorted(rows, key=lambda row: not row.has_failed))


def _failing(record: Mapping[str, Any]) -> str | None:
    node = node_of_failure(record) if record["execute_status"] == "failed" else None
    return None if node is None else node.name


def _merged(orders: Sequence[Sequence[str]]) -> list[str]:
    """Return all names: in the order of the first list, and what only later lists have behind what stands before it."""
    merged = dict.fromkeys(orders[0] if orders else ())
    for order in orders[1:]:
        behind: dict[str | None, list[str]] = {}
        last: str | None = None
        for name in order:
            if name in merged:
                last = name
            else:
                behind.setdefault(last, []).append(name)
        if behind:
            placed = [*behind.get(None, ())]
            for name in merged:
                placed += [name, *behind.get(name, ())]
            merged = dict.fromkeys(placed)
    return list(merged)


def _row(name: str, timelines: Sequence[Mapping[str, Node]], failing: Sequence[str | None]) -> NodeRow:
    nodes = [timeline.get(name) for timeline in timelines]
    states = [
        None if node is None else _state(node, is_failing=failed == name)
        for node, failed in zip(nodes, failing, strict=True)
    ]
    first = next(node for node in nodes if node is not None)
    says_the_same = tuple(node is not None and node.content == first.content for node in nodes)
    ends = {(state.status, state.error) for state in states if state is not None}
    is_same = all(says_the_same) and len(ends) == 1
    # Of several nodes with one title each has its number in its name.
    title = name if name.startswith(first.label) else first.label
    return NodeRow(title, tuple(states), says_the_same, is_same)


def _state(node: Node, *, is_failing: bool) -> NodeState:
    return NodeState(
        "failed" if is_failing else node.status,
        node.known_ms,
        usage_of(node.usage).total,
        node.error[:_LONGEST_ERROR],
        is_failing,
        len(node.text),
    )
