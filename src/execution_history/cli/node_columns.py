"""Runs beside each other in columns, as ``diff`` shows them: their figures, their nodes, and the values that differ."""

from collections.abc import Sequence
from typing import Final

import orjson

from execution_history.cli.output import Cell, aligned, cropped
from execution_history.cli.run_pages import shape_of, status_cell
from execution_history.cli.session import Session
from execution_history.history.diff import NodeRow, NodeState, SeveralComparison
from execution_history.presentation.field_labels import KNOWN_FIELDS, field_label, field_value
from execution_history.presentation.formatting import clock, duration, grouped, one_line, short_id
from execution_history.presentation.phrases import PARTS

_LONGEST_TITLE: Final = 28
_LONGEST_VALUE: Final = 24
_MOST_ROWS: Final = 100


def show_nodes(session: Session, nodes: Sequence[NodeRow]) -> None:
    """Show what each node did in every run; those that are the same in all are counted only."""
    different = [row for row in nodes if not row.is_same or row.has_failed][:_MOST_ROWS]
    if not different:
        return
    session.output.heading(session.translate("Nodes"))
    rows = [
        [
            Cell(f"  {one_line(row.title, _LONGEST_TITLE)}"),
            *(_node_cell(session, row, n) for n in range(len(row.states))),
        ]
        for row in different
    ]
    session.output.lines(cropped(line, session.output.width) for line in aligned(rows))
    same = len(nodes) - len(different)
    if same:
        sentence = session.translate.plural(
            "%(num)s node is the same in all of them", "%(num)s nodes are the same in all of them", same
        )
        session.output.answer(f"  {sentence}", style="dim")


def show_several(session: Session, found: SeveralComparison) -> None:
    """Show several runs in columns, the baseline first, or print the comparison as JSON."""
    if session.as_json:
        session.output.document(found.to_json())
        return
    _ = session.translate
    heads = [
        [Cell(""), *(Cell(one_line(short_id(run.execute_id), _LONGEST_VALUE), "bold") for run in found.runs)],
        [Cell(f"  {_('Status')}", "dim"), *(status_cell(_, run.status) for run in found.runs)],
        [Cell(f"  {_('Started')}", "dim"), *(Cell(clock(run.create_time)) for run in found.runs)],
        [Cell(f"  {_('Duration')}", "dim"),
         *(Cell("–" if run.duration_ms is None else duration(run.duration_ms)) for run in found.runs)],
        [Cell(f"  {_('Tokens')}", "dim"), *(Cell(grouped(run.tokens) or "–") for run in found.runs)],
    ]  # fmt: skip
    session.output.lines(cropped(line, session.output.width) for line in aligned(heads))
    show_nodes(session, found.nodes)
    for name in PARTS:
        _show_values(session, found, name)


def _node_cell(session: Session, row: NodeRow, number: int) -> Cell:
    state: NodeState | None = row.states[number]
    if state is None:
        return Cell("–", "dim")
    shape, colour = shape_of(state.status)
    parts = [shape, "" if state.took_ms is None else duration(state.took_ms)]
    parts += [] if row.says_the_same[number] else [session.translate("different text")]
    return Cell(" ".join(part for part in parts if part), colour if state.status == "failed" else "")


def _show_values(session: Session, found: SeveralComparison, name: str) -> None:
    parts = [{each.path: each for each in getattr(comparison, name)} for comparison in found.comparisons]
    paths = list(dict.fromkeys(path for part in parts for path in part))[:_MOST_ROWS]
    if not paths:
        return
    session.output.heading(session.translate(PARTS[name]))
    rows = []
    for path in paths:
        first = next(part[path] for part in parts if path in part)
        values = ["–" if first.kind == "added" else _value(session, path, first.old)]
        for part in parts:
            each = part.get(path)
            values.append("=" if each is None else "–" if each.kind == "removed" else _value(session, path, each.new))
        label = one_line(field_label(session.translate, path), _LONGEST_TITLE)
        rows.append([Cell(f"  {label}", "dim"), *map(Cell, values)])
    session.output.lines(cropped(line, session.output.width) for line in aligned(rows))


def _value(session: Session, path: str, value: object) -> str:
    if value is None and path in KNOWN_FIELDS:
        return "–"
    words = field_value(session.translate, path, value)
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return one_line(text if words is None else words, _LONGEST_VALUE)
