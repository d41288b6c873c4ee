"""A run's nodes as lines: when each spoke, on one axis, and what it said. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from rich.text import Text

from execution_history.cli.output import Cell, aligned, cropped
from execution_history.presentation.formatting import duration, grouped, one_line, visible
from execution_history.presentation.translator import Translator
from execution_history.records.attributes import names_of_failed_node
from execution_history.records.timeline import Node, timed_nodes
from execution_history.records.usage import usage_of

_AXIS: Final = 24
_LEAST_WIDTH_FOR_AXIS: Final = 96
_LONGEST_TITLE: Final = 32
_LONGEST_CONTENT: Final = 400


def node_lines(_: Translator, record: Mapping[str, Any], width: int | None, *, full: bool) -> list[Text] | None:
    """Return the lines of a record's timeline.

    ``None`` when it is not a timeline of ours (Coze's own has other keys), to be shown as it is.
    """
    began = record["create_time"]
    known = timed_nodes(record["node_execute_status"], began)
    if not known:
        return None
    failed = names_of_failed_node(record)[:1]
    end = max(node.ended for node in known)
    has_axis = (width is None or width >= _LEAST_WIDTH_FOR_AXIS) and end > began
    rows = [
        _row(_, node, began, end if has_axis else None, is_failed=node.name in failed or node.error != "")
        for node in known
    ]
    lines: list[Text] = []
    for node, line in zip(known, aligned(rows), strict=True):
        lines.append(cropped(line, width))
        for said, style in ((node.text, "dim"), (node.error, "red")):
            if full:
                lines += [Text("    " + part, "" if style == "dim" else style) for part in visible(said).splitlines()]
            elif said:
                lines.append(cropped(Text("    " + one_line(said, _LONGEST_CONTENT), style=style), width or 120))
    return lines


def _row(_: Translator, node: Node, began: int, axis_end: int | None, *, is_failed: bool) -> list[Cell]:
    is_finished, count, length = node.is_finish is not False, node.packet_count, len(node.text)
    used = usage_of(node.usage).total
    name, kind = one_line(node.name, _LONGEST_TITLE), one_line(node.node_type or "", _LONGEST_TITLE)
    row = [Cell(f"  {name}"), Cell(kind, "dim"), Cell(f"+{duration(node.started - began)}", "dim", right=True)]
    if axis_end is not None:
        row.append(Cell(_bar(node.started - began, node.ended - began, axis_end - began), "blue"))
    row.append(Cell(duration(node.took_ms), right=True))
    said = [] if count is None else [_.plural("%(num)s message", "%(num)s messages", count, num=grouped(count))]
    said += [_.plural("%(num)s character", "%(num)s characters", length, num=grouped(length))]
    said += [] if used is None else [_.plural("%(num)s token", "%(num)s tokens", used, num=grouped(used))]
    said += [] if is_finished or is_failed else [_("unfinished")]
    said += [_("failed")] if is_failed else []
    row.append(Cell(", ".join(said), "red" if is_failed else "" if is_finished else "yellow"))
    return row


def _bar(start: int, end: int, length: int) -> str:
    """Return the time from *start* to *end* as a bar on an axis of *length*; never less than one mark."""
    first = min(_AXIS - 1, max(0, start * _AXIS // length))
    last = min(_AXIS, max(first + 1, -(-end * _AXIS // length)))
    return "·" * first + "━" * (last - first) + "·" * (_AXIS - last)
