"""The nodes of a run's event stream and their messages (coze-protocol 2.2). Pure."""

import sys
from dataclasses import dataclass, field, fields
from typing import Any, Final

from execution_history.coze.protocol.messages import text
from execution_history.records.charset import with_joined_pairs
from execution_history.records.encoding import as_text
from execution_history.records.timeline import Node, nodes_of, timeline_of

_END_TITLES: Final = frozenset({"end", "结束", "end node", "结束节点"})


@dataclass(slots=True, kw_only=True)
class StreamNode(Node):
    """The output of one node of the run so far, in pieces, and what makes it the same node in every message."""

    identity: str
    pieces: list[str] = field(default_factory=list)

    @property
    def said(self) -> str:
        """Return all its text so far; halves of a surrogate pair from two messages are one character."""
        self.pieces = [with_joined_pairs("".join(self.pieces))]
        return self.pieces[0]

    def to_json(self) -> dict[str, Any]:
        """Return the node as it is stored, with all of its output so far."""
        self.content = self.said
        return Node.to_json(self)


class StreamNodes:
    """The nodes of one run, in the order in which they first spoke.

    Args:
        began: when the run began, in milliseconds.
        timeline: the timeline of an earlier stream of the same run, to be continued.
        largest: the most characters of all contents that are kept.

    Attributes:
        is_cut: whether something was larger than that.
    """

    def __init__(self, began: int, timeline: object = None, largest: int = sys.maxsize) -> None:
        self._began = began
        self._room = largest
        self.is_cut: bool = False
        self._nodes: dict[str, StreamNode] = {node.identity: node for node in _known_nodes(timeline)}
        self._order = sum(node.packet_count or 0 for node in self._nodes.values())

    def timeline(self) -> dict[str, Any] | None:
        """Return the nodes so far, by name; ``None`` before the first message."""
        return timeline_of(self._nodes.values())

    def of_message(self, content: dict[str, Any], now: int) -> StreamNode:
        """Return the node of a message: by run of the node, then node, then title (coze-protocol 2.2)."""
        uuid, node_id = text(content.get("node_execute_uuid")), text(content.get("node_id"))
        title = text(content.get("node_title")) or ""
        node = self.named(uuid or node_id or title or "node", title, now)
        node.node_id = node.node_id or node_id
        node.node_execute_uuid = node.node_execute_uuid or uuid
        node.node_type = node.node_type or text(content.get("node_type"))
        return node

    def named(self, identity: str, title: str, now: int) -> StreamNode:
        """Return the node of an identity, which begins at *now* where there is none."""
        node = self._nodes.get(identity)
        if node is None:
            node = StreamNode(name=identity, identity=identity, node_title=title, start_time=now)
            self._nodes[identity] = node
        return node

    def unnamed(self, title: str, now: int) -> StreamNode:
        """Return a new node that has a title alone."""
        return self.named(f"{title} {len(self._nodes)}", title, now)

    def add(self, node: StreamNode, words: str, now: int) -> None:
        """Add the text of a message to its node."""
        node.pieces.append(self.kept(words))
        node.update_time = now
        self._order += 1
        node.add_packet(self._order, now - self._began, len(words))

    def restate(self, node: StreamNode, words: str, now: int) -> None:
        """Put *words*, all the text of a node, in the place of its text so far."""
        said = node.said
        self._room += len(said)
        node.pieces = []
        if len(words) > len(said):
            self.add(node, words, now)
            node.packets[-1][2] -= len(said)
        else:
            node.pieces, node.update_time = [self.kept(words)], now

    def kept(self, words: str) -> str:
        """Return as much of *words* as there is room for."""
        kept = words[: self._room]
        self._room -= len(kept)
        self.is_cut = self.is_cut or len(kept) < len(words)
        return kept

    def end_node(self, *, only_end: bool = False) -> StreamNode | None:
        """Return the end node, else the last one that finished; *only_end* is for the end node alone."""
        nodes = list(self._nodes.values())
        for node in reversed(nodes):
            if (node.node_type or "").lower() == "end":
                return node
        for node in reversed(nodes):
            if node.node_title.strip().lower() in _END_TITLES:
                return node
        if only_end:
            return None
        finished = [node for node in nodes if node.is_finish]
        return max(finished or nodes, key=lambda node: node.update_time or 0, default=None)


def _known_nodes(timeline: object) -> list[StreamNode]:
    """Return the nodes of a stored timeline, as far as it has this module's shape."""
    return [
        StreamNode(
            **{field.name: getattr(node, field.name) for field in fields(Node)}
            | {"packets": node.known_packets(), "is_finish": node.is_finish is True},
            identity=node.node_execute_uuid or node.node_id or node.label,
            pieces=[node.text],
        )
        for node in nodes_of(timeline)
    ]


def text_of(content: dict[str, Any]) -> str:
    """Return the text of a message."""
    return as_text(content.get("content"))
