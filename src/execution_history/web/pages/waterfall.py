"""The nodes of a run on one time axis: when each spoke, and what it said as it streamed. Pure."""

from dataclasses import dataclass
from itertools import accumulate
from typing import Final, TypeGuard

from execution_history.presentation.formatting import duration
from execution_history.records.usage import usage_of
from execution_history.web.pages.json_pointer import root

_WIDTH: Final = 1_000
_MOST_ROWS: Final = 60
_LONGEST_ERROR: Final = 600
_MOST_ERRORS: Final = 10
_MOST_MARKS: Final = 1_200
_MOST_PIECES: Final = 40
_MOST_PIECES_IN_ALL: Final = 240
_LONGEST_TIME: Final = 10**14
_LARGEST_COUNT: Final = 10**15
_MOST_CHARACTERS: Final = 16_000
_MOST_OF_ONE: Final = 3_000
_STEPS: Final = tuple(base * 10**power for power in range(12) for base in (1, 2, 5))
_MOST_LABELS: Final = 5


@dataclass(frozen=True, slots=True)
class Piece:
    """What came at one moment, in milliseconds since the run began."""

    at: int
    text: str


@dataclass(frozen=True, slots=True)
class Label:
    """A time under the axis; ``x`` is in thousandths of its width."""

    x: int
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """One node. Times are milliseconds, ``x`` and ``width`` thousandths of the axis, ``marks`` an SVG path."""

    name: str
    kind: str
    pointer: str
    start: int
    took: int
    x: int
    width: int
    marks: str
    messages: int
    characters: int
    tokens: int | None
    pieces: tuple[Piece, ...]
    is_cut: bool
    is_finished: bool
    error: str = ""
    is_slowest: bool = False
    is_failed: bool = False


@dataclass(frozen=True, slots=True)
class Waterfall:
    """The rows that are shown, in the order in which the nodes first spoke, and how many more there are."""

    rows: tuple[Row, ...]
    labels: tuple[Label, ...]
    missing: int
    length: int


@dataclass(frozen=True, slots=True)
class _Facts:
    """A node as far as its facts can be read."""

    name: str
    kind: str
    start: int
    end: int
    content: str
    packets: list[list[int]]
    messages: int
    tokens: int | None
    is_finished: bool
    error: str


def waterfall_of(nodes: object, began: int, ended: int, status: str) -> Waterfall | None:
    """The waterfall of a record's ``node_execute_status``; ``None`` where it is not a timeline of ours.

    Args:
        nodes: the timeline.
        began: when the run began, in milliseconds.
        ended: when it ended, or now.
        status: of the run.
    """
    read = [_facts(name, facts, began) for name, facts in nodes.items()] if isinstance(nodes, dict) else []
    known = [facts for facts in read if facts is not None]
    if not known or len(known) != len(read):
        return None
    length = max(1, max([ended, *(facts.end for facts in known)]) - began)
    failed = failing_node(known) if status == "failed" else None
    slowest = max(known, key=lambda facts: facts.end - facts.start) if len(known) > 1 else None
    shown = known[:_MOST_ROWS]
    timeline = root(None).child("node_execute_status", None)
    room, most, errors = _MOST_CHARACTERS, _MOST_PIECES_IN_ALL, 0
    rows: list[Row] = []
    for number, facts in enumerate(shown):
        pieces, is_cut = _pieces(facts, min(room, _MOST_OF_ONE), min(most, _MOST_PIECES))
        room -= sum(len(piece.text) for piece in pieces)
        most -= len(pieces)
        errors += bool(facts.error)
        error = _cut(facts.error, _LONGEST_ERROR if errors <= _MOST_ERRORS or facts is failed else 1)
        rows.append(
            Row(
                facts.name,
                facts.kind,
                timeline.child(facts.name, None, number).child("content", None).pointer,
                facts.start - began,
                facts.end - facts.start,
                *_span(facts.start - began, facts.end - began, length),
                _marks(facts.packets, length, _MOST_MARKS // len(shown)),
                facts.messages,
                len(facts.content),
                facts.tokens,
                pieces,
                is_cut,
                facts.is_finished,
                error,
                facts is slowest and facts.end > facts.start,
                facts is failed,
            )
        )
    return Waterfall(tuple(rows), _labels(length), len(known) - len(shown), length)


def name_of_node(nodes: object, status: str) -> str | None:
    """The node in which a run with this *status* failed, else is now, as far as its timeline says so."""
    read = [_facts(name, facts, 0) for name, facts in nodes.items()] if isinstance(nodes, dict) else []
    known = [facts for facts in read if facts is not None]
    found = failing_node(known) if status == "failed" else open_node(known)
    return None if found is None else found.name


def failing_node(nodes: list[_Facts]) -> _Facts | None:
    """The first of *nodes* that says an error, else the last that did not finish."""
    return next((facts for facts in nodes if facts.error), None) or open_node(nodes)


def open_node(nodes: list[_Facts]) -> _Facts | None:
    """The last of *nodes* that has not finished."""
    return max((facts for facts in nodes if not facts.is_finished), key=lambda facts: facts.end, default=None)


def _facts(name: str, facts: object, began: int) -> _Facts | None:
    if not isinstance(facts, dict):
        return None
    start, end = facts.get("start_time"), facts.get("update_time")
    if not _is_whole(start) or not _is_whole(end) or max(start, end) > _LONGEST_TIME:
        return None
    kind, content, messages = facts.get("node_type"), facts.get("content"), facts.get("packet_count")
    error = facts.get("error_message")
    packets = facts.get("packets")
    return _Facts(
        name,
        kind if isinstance(kind, str) else "",
        max(start, began),
        max(start, end, began),
        content if isinstance(content, str) else "",
        [packet for packet in packets if _is_packet(packet)] if isinstance(packets, list) else [],
        min(messages, _LARGEST_COUNT) if _is_whole(messages) else 0,
        usage_of(facts.get("usage")).total,
        facts.get("is_finish") is not False,
        error.strip() if isinstance(error, str) else "",
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_packet(packet: object) -> bool:
    return isinstance(packet, list) and len(packet) == 3 and all(_is_whole(number) for number in packet)  # noqa: PLR2004


def _span(start: int, end: int, length: int) -> tuple[int, int]:
    """Where a bar begins and how wide it is; never too narrow to be seen, never beyond the axis."""
    x = min(_WIDTH - 4, max(0, start * _WIDTH // length))
    return x, min(_WIDTH - x, max(4, (end - start) * _WIDTH // length))


def _marks(packets: list[list[int]], length: int, most: int) -> str:
    """A path of one short stroke for each moment at which something came, near ones drawn as one."""
    step = max(2, _WIDTH // max(1, most))
    places = sorted({min(_WIDTH - 1, max(0, at) * _WIDTH // length) // step * step + 1 for _, at, _ in packets})
    return "".join(f"M{x} 0v1" for x in places)


def _pieces(facts: _Facts, room: int, most: int) -> tuple[tuple[Piece, ...], bool]:
    """The content as it came, in at most so many pieces, and whether some is not here; packets say how long each is."""
    ends = list(accumulate(packet[2] for packet in facts.packets))
    pieces: list[Piece] = []
    begin = 0
    for packet, end in zip(facts.packets[:most], ends, strict=False):
        text = facts.content[begin : min(end, begin + max(0, room))]
        begin, room = begin + len(text), room - len(text)
        if text:
            pieces.append(Piece(packet[1], text))
    if not facts.packets and facts.content:
        text = facts.content[: max(0, room)]
        begin = len(text)
        pieces.append(Piece(0, text))
    return tuple(pieces), begin < len(facts.content)


def _labels(length: int) -> tuple[Label, ...]:
    """Round times along the axis, at most five."""
    step = next(step for step in _STEPS if length <= step * _MOST_LABELS)
    return tuple(Label(at * _WIDTH // length, duration(at)) for at in range(0, length, step))
