"""The nodes of a run on one time axis: when each sent messages, and their text. Pure."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Final, NamedTuple

from execution_history.records.timeline import Node, timed_nodes
from execution_history.records.usage import usage_of
from execution_history.web.pages.json_pointer import root
from execution_history.web.pages.markdown import MOST_MARKDOWN, is_markdown, rendered
from execution_history.web.pages.run_axis import WIDTH, Label, RunAxis, axis_of

_MOST_ROWS: Final = 60
_LONGEST_ERROR: Final = 600
_MOST_ERRORS: Final = 10
_MOST_MARKS: Final = 1_200
_MOST_PIECES: Final = 40
_MOST_PIECES_IN_ALL: Final = 240
_MOST_CHARACTERS: Final = 16_000
_MOST_OF_ONE: Final = 3_000
_LONGEST_GIST: Final = 600


class Piece(NamedTuple):
    """The text that arrived at one moment, in milliseconds since the run began."""

    at: int
    text: str


class Waterfall(NamedTuple):
    """The rows that are shown, in the order of the nodes' first messages, and how many more there are.

    Each has its ``node``; ``start`` and ``took`` are in milliseconds without waiting, ``waited`` is the rest; ``x`` and
    ``width`` are in thousandths of the axis, ``marks`` is an SVG path; ``markdown`` is the text as HTML where it is
    Markdown. ``cuts`` are the places where waiting is cut out of the axis.
    """

    rows: list[dict[str, Any]]
    labels: list[Label]
    cuts: list[Label]
    missing: int


def waterfall_of(
    nodes: object,
    began: int,
    ended: int,
    failed: Node | None,
    *,
    waits: Sequence[tuple[int, int]] = (),
    axis: RunAxis | None = None,
) -> Waterfall | None:
    """Return the waterfall of a record's ``node_execute_status``; ``None`` where it is not a timeline of ours.

    Args:
        nodes: the timeline.
        began: the start of the run, in milliseconds.
        ended: its end, or now.
        failed: the node in which the run failed, where one did.
        waits: when it waited for answers, which is cut out of the axis.
        axis: the axis to use, where it is not the run's own.
    """
    known = timed_nodes(nodes, began)
    if not known:
        return None
    own = axis_of(began, [ended, *(node.ended for node in known)], waits)
    axis = axis or own
    worked = {node.name: own.at(node.ended) - own.at(node.started) for node in known}
    slowest = max(worked, key=lambda name: worked[name]) if len(known) > 1 else None
    shown = known[:_MOST_ROWS]
    timeline = root(None).child("node_execute_status", None)
    errors, room = 0, _Room()
    rows: list[dict[str, Any]] = []
    for number, node in enumerate(shown):
        errors += bool(node.error)
        is_failed = failed is not None and node.name == failed.name
        x, width = axis.span(node.started, node.ended)
        rows.append(
            {
                "node": node,
                "pointer": timeline.child(node.name, None, number).child("content", None).pointer,
                "start": own.at(node.started),
                "took": worked[node.name],
                "waited": node.took_ms - worked[node.name],
                "x": x,
                "width": width,
                "marks": _marks(node.known_packets(), began, axis, _MOST_MARKS // len(shown)),
                "tokens": usage_of(node.usage).total,
                **room.text_of(node),
                "error": _cut(node.error, _LONGEST_ERROR if errors <= _MOST_ERRORS or is_failed else 1),
                "is_slowest": node.name == slowest and worked[node.name] > 0,
                "is_failed": is_failed,
            }
        )
    return Waterfall(rows, axis.labels(), axis.cuts(), len(known) - len(shown))


class _Room:
    """The room for texts that one page has: characters, pieces, and characters of Markdown."""

    def __init__(self) -> None:
        self._characters, self._pieces, self._markdown = _MOST_CHARACTERS, _MOST_PIECES_IN_ALL, MOST_MARKDOWN

    def text_of(self, node: Node) -> dict[str, Any]:
        """Return as much of the text of *node* as there is room for: its pieces, its beginning, and its Markdown."""
        pieces, is_cut = _pieces(node, min(self._characters, _MOST_OF_ONE), min(self._pieces, _MOST_PIECES))
        text = "".join(piece.text for piece in pieces)
        has_markdown = len(text) <= self._markdown and is_markdown(text)
        self._characters -= len(text)
        self._pieces -= len(pieces)
        self._markdown -= len(text) if has_markdown else 0
        return {
            "pieces": pieces,
            "gist": text[:_LONGEST_GIST],
            "markdown": rendered(text) if has_markdown else None,
            "is_cut": is_cut,
        }


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _marks(packets: list[list[int]], began: int, axis: RunAxis, limit: int) -> str:
    """Return a path of one short stroke for each moment at which a packet came, near ones merged."""
    step, length = max(2, WIDTH // max(1, limit)), axis.length
    moments = (axis.at(began + at) for _, at, _ in packets)
    places = sorted({min(WIDTH - 1, max(0, at) * WIDTH // length) // step * step + 1 for at in moments})
    return "".join(f"M{x} 0v1" for x in places)


def _pieces(node: Node, room: int, limit: int) -> tuple[tuple[Piece, ...], bool]:
    """Return the content as it came, in at most *limit* pieces of as many messages, and whether some is missing."""
    packets, content = node.known_packets(), node.text
    shown = content[: max(0, room)]
    if not packets or not limit:
        return ((Piece(0, shown),) if shown and limit else ()), len(shown if limit else "") < len(content)
    ends = list(accumulate(packet[2] for packet in packets))
    count = bisect_left(ends, len(shown)) + 1
    together = -(-min(count, len(packets)) // limit)
    pieces: list[Piece] = []
    begin = 0
    for first in range(0, min(count, len(packets)), together):
        last = min(first + together, len(packets)) - 1
        end = len(shown) if last + 1 >= len(packets) else min(len(shown), ends[last])
        if text := shown[begin:end]:
            pieces.append(Piece(packets[first][1], text))
            begin = end
    return tuple(pieces), begin < len(content)
