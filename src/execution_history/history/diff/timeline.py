"""Where the node timelines of two runs part for the first time. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from execution_history.history.diff.texts import TextEdit, text_edits
from execution_history.history.diff.values import same
from execution_history.records.timeline import Node

DivergenceKind = Literal["order", "node", "content", "state", "end"]

_LONGEST: Final = 2_000
_ALWAYS_DIFFERENT: Final = frozenset({
    "node_execute_uuid", "start_time", "update_time", "packets", "packet_count", "usage", "sub_execute_id",
    "duration",
})  # fmt: skip
_TOLD_FIRST: Final = frozenset({"content", "node_title"})


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first place at which two timelines differ.

    ``kind`` is ``order`` (the same nodes spoke in another order), ``node`` (another node spoke), ``content`` (it said
    something else), ``state`` (something else about it differs: whether it finished, its error, its id) or ``end`` (one
    run has no node here). ``position`` counts nodes from 0. Titles and contents are ``None`` where there is no node;
    long contents are cut after 2 000 characters, and ``text`` tells them apart.
    """

    kind: DivergenceKind
    position: int
    old_title: str | None
    new_title: str | None
    old_content: str | None = None
    new_content: str | None = None
    text: tuple[TextEdit, ...] | None = None


def first_divergence(old: object, new: object) -> Divergence | None:
    """Where the ``node_execute_status`` of two runs first differ in order, title, content or state.

    Returns ``None`` when they do not differ, or when either is no timeline.
    """
    if not isinstance(old, dict) or not isinstance(new, dict):
        return None
    first, second = list(old.items()), list(new.items())
    for position in range(max(len(first), len(second))):
        before = first[position] if position < len(first) else None
        after = second[position] if position < len(second) else None
        kind = _kind(before, after, first[position:], second[position:])
        if kind is not None:
            return _told(kind, position, before, after)
    return None


_Named = tuple[str, object]


def _kind(
    before: _Named | None, after: _Named | None, first: list[_Named], second: list[_Named]
) -> DivergenceKind | None:
    if before is None or after is None:
        return "end"
    old_title, new_title = _title(before), _title(after)
    if old_title != new_title:
        comes_later = old_title in map(_title, second) and new_title in map(_title, first)
        return "order" if comes_later else "node"
    if _content(before) != _content(after):
        return "content"
    return None if same(_state(before), _state(after)) else "state"


def _told(kind: DivergenceKind, position: int, before: _Named | None, after: _Named | None) -> Divergence:
    old, new = _content(before), _content(after)
    return Divergence(
        kind,
        position,
        None if before is None else _title(before),
        None if after is None else _title(after),
        old and old[:_LONGEST],
        new and new[:_LONGEST],
        text_edits(old, new) if kind == "content" and old is not None and new is not None else None,
    )


def _title(node: _Named) -> str:
    found = Node.read(*node)
    return node[0] if found is None else found.label


def _content(node: _Named | None) -> str | None:
    facts = None if node is None else node[1]
    content = facts.get("content") if isinstance(facts, dict) else None
    return content if isinstance(content, str) else None


def _state(node: _Named) -> object:
    facts = node[1]
    if not isinstance(facts, Mapping):
        return facts
    return {key: value for key, value in facts.items() if key not in _ALWAYS_DIFFERENT | _TOLD_FIRST}
