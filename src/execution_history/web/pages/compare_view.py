"""Runs side by side: what differs from the baseline, which is the first column. Pure."""

from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple

import orjson

from execution_history.errors import N_
from execution_history.history.diff import Difference, Divergence, NodeRow, SeveralComparison, TextEdit
from execution_history.history.diff.several import RunFigures
from execution_history.presentation.field_labels import field_label, field_value
from execution_history.presentation.formatting import duration, money, thin
from execution_history.presentation.phrases import PARTS
from execution_history.presentation.translator import Translator
from execution_history.records.cost import units_of
from execution_history.web.pages.run_row import Stretch

_LONGEST: Final = 2_000
_MOST_ROWS: Final = 200
_ROOM: Final = 60_000
_MOST_NODES: Final = 200
_BOTH: Final = 2

Kind = Literal["own", "same", "absent", "partly"]


class Cell(NamedTuple):
    """What a run has at one place: a value of its own, the baseline's, nothing, or a difference in another row."""

    kind: Kind
    stretches: Sequence[Stretch] = ()


class Row(NamedTuple):
    """One place that differs, and what each run has there, the baseline first."""

    label: str
    cells: tuple[Cell, ...]


class Section(NamedTuple):
    """One part of the records: the places that differ, how many more are not shown, and how many values are equal."""

    name: str
    rows: tuple[Row, ...]
    missing: int
    equal: int


class Amount(NamedTuple):
    """A number of each run as text, and its ratio to the baseline's; both empty where it is not known."""

    name: str
    values: tuple[str, ...]
    ratios: tuple[str, ...]


class NodeSections(NamedTuple):
    """The nodes that differ between the runs, those that are the same in all, and how many more there are."""

    different: tuple[NodeRow, ...]
    same: tuple[NodeRow, ...]
    missing: int


def sections_of(_: Translator, found: SeveralComparison) -> tuple[Section, ...]:
    """Return the parts of a comparison that differ, the result first."""
    sections, room = [], _ROOM
    for name in PARTS:
        parts: list[dict[str, Difference]] = [
            {each.path: each for each in getattr(comparison, name)} for comparison in found.comparisons
        ]
        paths = list(dict.fromkeys(path for part in parts for path in part))
        rows: list[Row] = []
        for path in paths[:_MOST_ROWS]:
            if room <= 0:
                break
            row = Row(field_label(_, path), (_baseline(_, path, parts), *(_other(_, path, part) for part in parts)))
            rows.append(row)
            room -= len(row.label) + sum(len(piece.text) for cell in row.cells for piece in cell.stretches)
        if paths:
            sections.append(Section(name, tuple(rows), len(paths) - len(rows), found.equal_values.get(name, 0)))
    return tuple(sections)


def same_parts(found: SeveralComparison) -> tuple[str, ...]:
    """Return the names of the parts that are the same in all runs."""
    return tuple(name for name in PARTS if not any(getattr(each, name) for each in found.comparisons))


def node_sections(found: SeveralComparison) -> NodeSections:
    """Return the nodes of a comparison, those that differ apart from those that are the same in all runs."""
    shown = found.nodes[:_MOST_NODES]
    different = tuple(row for row in shown if not row.is_same or row.has_failed)
    same = tuple(row for row in shown if row.is_same and not row.has_failed)
    return NodeSections(different, same, len(found.nodes) - len(shown))


def divergence_cells(divergence: Divergence) -> tuple[Cell, Cell]:
    """Return the contents of the first nodes that differ in two runs."""
    old, new = divergence.old_content, divergence.new_content
    return _sided(divergence.text, old, "removed"), _sided(divergence.text, new, "added")


def amounts_of(found: SeveralComparison) -> tuple[Amount, ...]:
    """Return durations and tokens, as far as one of the runs has them."""
    measures: tuple[tuple[str, Callable[[RunFigures], int | None], Callable[[int], str]], ...] = (
        (N_("Duration"), lambda run: run.duration_ms, duration),
        (N_("Waiting for answers"), lambda run: run.waited_ms or None, duration),
        (N_("Tokens"), lambda run: run.tokens, thin),
        (N_("Input tokens"), lambda run: run.input_tokens, thin),
        (N_("Output tokens"), lambda run: run.output_tokens, thin),
    )
    amounts = [_amount(name, [read(run) for run in found.runs], shown) for name, read, shown in measures]
    costs = ["" if run.cost is None else money(units_of(run.cost), run.currency or "") for run in found.runs]
    amounts.append(Amount(N_("Cost"), tuple(costs), ("",) * len(costs)))
    return tuple(amount for amount in amounts if any(amount.values))


def _amount(name: str, values: Sequence[int | None], shown: Callable[[int], str]) -> Amount:
    base = values[0]
    ratios = ["" if not base or value is None else f"×{value / base:.2f}" for value in values[1:]]
    return Amount(name, tuple("" if value is None else shown(value) for value in values), ("", *ratios))


def _baseline(_: Translator, path: str, parts: Sequence[dict[str, Difference]]) -> Cell:
    found = next(part[path] for part in parts if path in part)
    if found.kind == "added" or _is_nothing(path, found.old):
        return Cell("absent")
    # Of several others each differs in words of its own, so that none is marked.
    edits = found.text if len(parts) + 1 == _BOTH else None
    text = _text(_, path, found.old)
    if edits is None:
        return Cell("own", [Stretch(_cut(text), is_marked=len(parts) + 1 == _BOTH)])
    return _sided(edits, text, "removed")


def _other(_: Translator, path: str, part: dict[str, Difference]) -> Cell:
    found = part.get(path)
    if found is None:
        return Cell("partly" if any(_is_inside(path, each) or _is_inside(each, path) for each in part) else "same")
    if found.kind == "removed" or _is_nothing(path, found.new):
        return Cell("absent")
    return _sided(found.text, _text(_, path, found.new), "added")


def _is_nothing(path: str, value: object) -> bool:
    """Return whether *value* is nothing: null is a value inside of an input or an output, but none of a field."""
    return value is None and not any(mark in path for mark in ".[")


def _is_inside(path: str, other: str) -> bool:
    return path.startswith(other) and path[len(other) : len(other) + 1] in {".", "["}


def _sided(edits: Sequence[TextEdit] | None, text: str | None, own: str) -> Cell:
    """Return the part of *edits* that one side has, the pieces of both and its *own*; without edits all of its text."""
    if edits is None:
        return Cell("absent") if text is None else Cell("own", [Stretch(_cut(text), is_marked=True)])
    stretches: list[Stretch] = []
    room = _LONGEST
    for edit in edits:
        if edit.kind in {"same", own} and room > 0:
            piece = edit.text if len(edit.text) <= room else edit.text[:room] + "…"
            stretches.append(Stretch(piece, edit.kind == own))
            room -= len(piece)
    return Cell("own", stretches)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def _text(_: Translator, path: str, value: object) -> str:
    words = field_value(_, path, value)
    if words is not None:
        return words
    if isinstance(value, str):
        return value
    try:
        return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    except TypeError:  # an integer of more than 64 bits
        return str(value)
