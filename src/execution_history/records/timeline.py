"""The timeline of a run: the text of each of its nodes, and when it came. Pure.

It is a record's ``node_execute_status``: an object that maps the name of each node, in the order in which they first
spoke, to the 11 keys of :data:`NODE_KEYS` and whatever else its writer has of it (an error, its input, its place in a
loop). Times are milliseconds since the epoch. ``packets`` has ``[order, milliseconds since the run began, characters]``
for each message. Foreign records may have anything there, so whoever reads gets a :class:`Node` of typed values.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from execution_history.records.encoding import as_text
from execution_history.records.partial import Unread
from execution_history.records.values import count, identifier, integer, time

_MOST_PACKETS: Final = 2_000


@dataclass(slots=True, kw_only=True)
class Node:
    """One node of a run. All but the name is stored, under the names of the fields.

    Attributes:
        name: under which it stands in the timeline, unique there.
        node_title: what it is called in its workflow; empty where that is not known.
        is_finish: whether it has finished; ``None`` where that is not known.
        start_time: when it first spoke.
        update_time: when it last spoke.
        content: all its text, a text unless somebody else wrote the record.
        packets: when how much of it came.
        packet_count: of how many messages.
        usage: the tokens that it used (:mod:`execution_history.records.usage`).
        others: what else its writer has of it.
    """

    name: str = ""
    node_id: str | None = None
    node_title: str = ""
    node_type: str | None = None
    node_execute_uuid: str | None = None
    is_finish: bool | None = False
    start_time: int | None = None
    update_time: int | None = None
    content: Any = ""
    packets: list[Any] = field(default_factory=list)
    packet_count: int | None = None
    usage: Any = None
    others: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, name: str, value: object) -> "Node | None":
        """Return the node that is stored as *value* under *name*; ``None`` when it is no object."""
        if not isinstance(value, dict):
            return None
        known = {key: read(value.get(key)) for key, read in _READERS.items()}
        return cls(name=name, **known, others={key: found for key, found in value.items() if key not in _READERS})

    def to_json(self) -> dict[str, Any]:
        """Return the node as it is stored."""
        return {key: getattr(self, key) for key in _READERS} | self.others

    @property
    def label(self) -> str:
        """What people know it by: its title, else its name."""
        return self.node_title or self.name

    @property
    def started(self) -> int:
        """When it first spoke; 0 where that is not known."""
        return self.start_time or 0

    @property
    def ended(self) -> int:
        """When it last spoke; 0 where that is not known."""
        return self.update_time or 0

    @property
    def took_ms(self) -> int:
        """Milliseconds from its first to its last message, for a node of which both times are known."""
        return self.ended - self.started

    @property
    def known_ms(self) -> int | None:
        """Milliseconds from its first to its last message, never below 0; ``None`` where a time is not known."""
        return None if self.start_time is None or self.update_time is None else max(0, self.took_ms)

    @property
    def status(self) -> str:
        """Return ``failed`` where it has an error, else ``success`` once it finished, ``running`` before."""
        return "failed" if self.error else "running" if self.is_finish is False else "success"

    @property
    def text(self) -> str:
        """What it said, as text; nothing for a list or an object that was too large to be read."""
        return "" if isinstance(self.content, Unread) else as_text(self.content)

    @property
    def error(self) -> str:
        """Its error message, else its error code; empty where it has neither."""
        said = (self.others.get(key) for key in ("error_message", "error_code"))
        texts = (value.strip() if isinstance(value, str) else identifier(value) or "" for value in said)
        return next((text for text in texts if text not in {"", "0"}), "")

    def known_packets(self) -> list[list[int]]:
        """Return its packets but for those that are none."""
        return [packet for packet in self.packets if _is_packet(packet)]

    def add_packet(self, order: int, at: int, characters: int) -> None:
        """Note a message; beyond 2,000 of them the last one grows instead.

        Args:
            order: its place among all messages of the run, from 1.
            at: milliseconds since the run began.
            characters: how long it is.
        """
        self.packet_count = (self.packet_count or 0) + 1
        if len(self.packets) < _MOST_PACKETS:
            self.packets.append([order, at, characters])
        else:
            self.packets[-1] = [order, at, self.packets[-1][2] + characters]


def nodes_of(timeline: object) -> list[Node]:
    """Return the nodes of *timeline*, in their order; what is none is left out."""
    read = [Node.read(name, value) for name, value in timeline.items()] if isinstance(timeline, dict) else []
    return [node for node in read if node is not None]


def timed_nodes(timeline: object, began: int) -> list[Node]:
    """Return the nodes of *timeline*, no time of theirs before *began* and none that ends before it starts.

    There are none when an entry has no times: Coze's own node statuses, say, are no timeline of ours.
    """
    nodes = nodes_of(timeline)
    if not isinstance(timeline, dict) or len(nodes) < len(timeline):
        return []
    timed: list[Node] = []
    for node in nodes:
        if node.start_time is None or node.update_time is None:
            return []
        start = max(node.start_time, began)
        timed.append(replace(node, start_time=start, update_time=max(node.update_time, start)))
    return timed


def timeline_of(nodes: Iterable[Node]) -> dict[str, dict[str, Any]] | None:
    """Return *nodes* as a record has them, by their titles, the second of one title as ``title (2)``.

    Where there is none the result is ``None``.
    """
    timeline: dict[str, dict[str, Any]] = {}
    for node in nodes:
        name, number = node.label, 2
        while name in timeline:
            name, number = f"{node.label} ({number})", number + 1
        timeline[name] = node.to_json()
    return timeline or None


def failing_node(nodes: Sequence[Node], *, is_certain: bool = True) -> Node | None:
    """Return the one of *nodes* in which a run failed: the first that has an error, else the open one.

    Args:
        nodes: the run's.
        is_certain: whether it is known that the run failed; the open one counts only then.
    """
    failed = next((node for node in nodes if node.error), None)
    return open_node(nodes) if failed is None and is_certain else failed


def open_node(nodes: Sequence[Node]) -> Node | None:
    """Return the one of *nodes* that a run is in, or stopped in: of those that did not finish the last that spoke."""
    unfinished = [node for node in reversed(nodes) if node.is_finish is False]
    return max(unfinished, key=lambda node: node.ended, default=None)


def _is_packet(packet: object) -> bool:
    return isinstance(packet, list) and len(packet) == 3 and None not in map(integer, packet)  # noqa: PLR2004 - see above


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _as_it_is(value: object) -> Any:  # noqa: ANN401 - JSON is any of six things
    return value


_READERS: Final[Mapping[str, Callable[[object], Any]]] = {
    "node_id": identifier,
    "node_title": _string,
    "node_type": identifier,
    "node_execute_uuid": identifier,
    "is_finish": lambda value: value if isinstance(value, bool) else None,
    "start_time": time,
    "update_time": time,
    "content": _as_it_is,
    "packets": lambda value: list(value) if isinstance(value, list) else [],
    "packet_count": count,
    "usage": _as_it_is,
}
NODE_KEYS: Final = tuple(_READERS)
"""The keys that every node has in a record, in their order."""
