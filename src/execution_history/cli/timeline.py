"""A run's nodes as lines: when each spoke, on one axis, and what it said. Pure."""

from dataclasses import dataclass
from typing import Any, Final

from rich.text import Text

from execution_history.cli.output import Cell, aligned, cropped
from execution_history.presentation.terminal_formatting import duration, grouped, one_line, tokens, visible
from execution_history.presentation.translator import Translator

_AXIS: Final = 24
_LEAST_WIDTH_FOR_AXIS: Final = 96
_LONGEST_TITLE: Final = 32
_LONGEST_CONTENT: Final = 400


@dataclass(frozen=True, slots=True)
class _Node:
    """One node's facts, as far as the record has them; times are milliseconds since the epoch."""

    title: str
    kind: str
    start: int
    end: int
    is_finished: bool
    messages: int | None
    content: str
    error: str
    tokens: int | None


def node_lines(_: Translator, nodes: object, began: int, width: int | None, *, whole: bool) -> list[Text] | None:
    """The timeline of *nodes*, the ``node_execute_status`` of a record that began at *began* (milliseconds).

    Returns ``None`` when it is not a timeline of ours (Coze's own has other keys), to be shown as it is.
    """
    read = [_node(name, facts) for name, facts in nodes.items()] if isinstance(nodes, dict) else []
    known = [node for node in read if node is not None]
    if not known or len(known) != len(read):
        return None
    end = max(node.end for node in known)
    has_axis = (width is None or width >= _LEAST_WIDTH_FOR_AXIS) and end > began
    rows = [_row(_, node, began, end if has_axis else None) for node in known]
    lines: list[Text] = []
    for node, line in zip(known, aligned(rows), strict=True):
        lines.append(cropped(line, width))
        for said, style in ((node.content, "dim"), (node.error, "red")):
            if whole:
                lines += [Text("    " + part, "" if style == "dim" else style) for part in visible(said).splitlines()]
            elif said:
                lines.append(cropped(Text("    " + one_line(said, _LONGEST_CONTENT), style=style), width or 120))
    return lines


def _node(name: str, facts: object) -> _Node | None:
    if not isinstance(facts, dict):
        return None
    start, end = facts.get("start_time"), facts.get("update_time")
    if not isinstance(start, int) or not isinstance(end, int):
        return None
    messages, content = facts.get("packet_count"), facts.get("content")
    return _Node(
        title=one_line(name, _LONGEST_TITLE),
        kind=one_line(_text(facts.get("node_type")), _LONGEST_TITLE),
        start=start,
        end=end,
        is_finished=facts.get("is_finish") is not False,
        messages=messages if isinstance(messages, int) else None,
        content=_text(content),
        error=_text(facts.get("error_message")),
        tokens=tokens(facts.get("usage")).total,
    )


def _text(value: Any) -> str:  # noqa: ANN401 - whatever a record holds
    return value if isinstance(value, str) else ""


def _row(_: Translator, node: _Node, began: int, axis_end: int | None) -> list[Cell]:
    row = [Cell(f"  {node.title}"), Cell(node.kind, "dim"), Cell(f"+{duration(node.start - began)}", "dim", right=True)]
    if axis_end is not None:
        row.append(Cell(_bar(node.start - began, node.end - began, axis_end - began), "blue"))
    row.append(Cell(duration(node.end - node.start), right=True))
    count, length, used = node.messages, len(node.content), node.tokens
    said = [] if count is None else [_.plural("%(num)s message", "%(num)s messages", count, num=grouped(count))]
    said += [_.plural("%(num)s character", "%(num)s characters", length, num=grouped(length))]
    said += [] if used is None else [_.plural("%(num)s token", "%(num)s tokens", used, num=grouped(used))]
    said += [] if node.is_finished or node.error else [_("unfinished")]
    said += [_("failed")] if node.error else []
    row.append(Cell(", ".join(said), "red" if node.error else "" if node.is_finished else "yellow"))
    return row


def _bar(start: int, end: int, length: int) -> str:
    """The time from *start* to *end* on an axis of *length*; never less than one mark."""
    first = min(_AXIS - 1, max(0, start * _AXIS // length))
    last = min(_AXIS, max(first + 1, -(-end * _AXIS // length)))
    return "·" * first + "━" * (last - first) + "·" * (_AXIS - last)
