"""The nodes of a run on one time axis: when each sent messages, and their text. Pure."""

from itertools import accumulate
from typing import Any, Final, NamedTuple

from execution_history.presentation.formatting import duration
from execution_history.records.timeline import Node, timed_nodes
from execution_history.records.usage import usage_of
from execution_history.web.pages.json_pointer import root

_WIDTH: Final = 1_000
_MOST_ROWS: Final = 60
_LONGEST_ERROR: Final = 600
_MOST_ERRORS: Final = 10
_MOST_MARKS: Final = 1_200
_MOST_PIECES: Final = 40
_MOST_PIECES_IN_ALL: Final = 240
_MOST_CHARACTERS: Final = 16_000
_MOST_OF_ONE: Final = 3_000
_STEPS: Final = tuple(base * 10**power for power in range(15) for base in (1, 2, 5))
_MOST_LABELS: Final = 5


class Piece(NamedTuple):
    """The text that arrived at one moment, in milliseconds since the run began."""

    at: int
    text: str


class Label(NamedTuple):
    """A time under the axis; ``x`` is in thousandths of its width."""

    x: int
    text: str


class Waterfall(NamedTuple):
    """The rows that are shown, in the order of the nodes' first messages, and how many more there are.

    Each has its ``node``; ``start`` is in milliseconds, ``x`` and ``width`` in thousandths of the axis, ``marks`` an
    SVG path.
    """

    rows: list[dict[str, Any]]
    labels: list[Label]
    missing: int


def waterfall_of(nodes: object, began: int, ended: int, failed: Node | None) -> Waterfall | None:
    """Return the waterfall of a record's ``node_execute_status``; ``None`` where it is not a timeline of ours.

    Args:
        nodes: the timeline.
        began: the start of the run, in milliseconds.
        ended: its end, or now.
        failed: the node in which the run failed, where one did.
    """
    known = timed_nodes(nodes, began)
    if not known:
        return None
    length = max(1, max([ended, *(node.ended for node in known)]) - began)
    slowest = max(known, key=lambda node: node.took_ms) if len(known) > 1 else None
    shown = known[:_MOST_ROWS]
    timeline = root(None).child("node_execute_status", None)
    room, pieces_left, errors = _MOST_CHARACTERS, _MOST_PIECES_IN_ALL, 0
    rows: list[dict[str, Any]] = []
    for number, node in enumerate(shown):
        pieces, is_cut = _pieces(node, min(room, _MOST_OF_ONE), min(pieces_left, _MOST_PIECES))
        room -= sum(len(piece.text) for piece in pieces)
        pieces_left -= len(pieces)
        errors += bool(node.error)
        is_failed = failed is not None and node.name == failed.name
        x, width = _span(node.started - began, node.ended - began, length)
        rows.append(
            {
                "node": node,
                "pointer": timeline.child(node.name, None, number).child("content", None).pointer,
                "start": node.started - began,
                "x": x,
                "width": width,
                "marks": _marks(node.known_packets(), length, _MOST_MARKS // len(shown)),
                "tokens": usage_of(node.usage).total,
                "pieces": pieces,
                "is_cut": is_cut,
                "error": _cut(node.error, _LONGEST_ERROR if errors <= _MOST_ERRORS or is_failed else 1),
                "is_slowest": node is slowest and node.took_ms > 0,
                "is_failed": is_failed,
            }
        )
    return Waterfall(rows, _labels(length), len(known) - len(shown))


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _span(start: int, end: int, length: int) -> tuple[int, int]:
    """Return where a bar begins and how wide it is; never too narrow to be seen, never beyond the axis."""
    x = min(_WIDTH - 4, max(0, start * _WIDTH // length))
    return x, min(_WIDTH - x, max(4, (end - start) * _WIDTH // length))


def _marks(packets: list[list[int]], length: int, limit: int) -> str:
    """Return a path of one short stroke for each moment at which a packet came, near ones merged."""
    step = max(2, _WIDTH // max(1, limit))
    places = sorted({min(_WIDTH - 1, max(0, at) * _WIDTH // length) // step * step + 1 for _, at, _ in packets})
    return "".join(f"M{x} 0v1" for x in places)


def _pieces(node: Node, room: int, limit: int) -> tuple[tuple[Piece, ...], bool]:
    """Return the content as it came, in at most *limit* pieces, and whether some is missing."""
    packets, content = node.known_packets(), node.text
    ends = list(accumulate(packet[2] for packet in packets))
    pieces: list[Piece] = []
    begin = 0
    for packet, end in zip(packets[:limit], ends, strict=False):
        text = content[begin : min(end, begin + max(0, room))]
        begin, room = begin + len(text), room - len(text)
        if text:
            pieces.append(Piece(packet[1], text))
    if not packets and content:
        text = content[: max(0, room)]
        begin = len(text)
        pieces.append(Piece(0, text))
    return tuple(pieces), begin < len(content)


def _labels(length: int) -> list[Label]:
    """Return labels for round times along the axis, at most five."""
    step = next(step for step in _STEPS if length <= step * _MOST_LABELS)
    return [Label(at * _WIDTH // length, duration(at)) for at in range(0, length, step)]
