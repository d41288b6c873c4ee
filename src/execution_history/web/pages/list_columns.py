"""The columns of a list of runs: which it shows, and the menu in which people choose them. Pure."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from execution_history.presentation.run_columns import NUMBERS, RUN_COLUMNS, columns_of
from execution_history.web.pages.list_state import ListState

_LINKED: Final = ("started", "run", "status")
"""Columns whose text leads to the run; a list has one of them."""

_CLASSES: Final = {
    "started": "when",
    "duration": "num",
    "tokens": "num tokens",
    "cost": "num tokens",
    "workflow": "wf",
    "summary": "gist",
}
_MOVES: Final = {"up": -1, "down": 1}


class ColumnChoice(NamedTuple):
    """A column in the menu: whether the list shows it, and its place there, from 0."""

    name: str
    label: str
    is_shown: bool
    place: int


def shown_columns(chosen: Sequence[str], *, with_workflow: bool, with_cost: bool) -> tuple[str, ...]:
    """Return the columns of a list: those that were *chosen*, or the usual ones."""
    if not chosen:
        usual = {"status": True, "started": True, "duration": True, "tokens": True, "cost": with_cost}
        usual |= {"workflow": with_workflow, "summary": True}
        return tuple(name for name, is_usual in usual.items() if is_usual)
    return tuple(chosen) if any(name in _LINKED for name in chosen) else ("started", *chosen)


def shown_in(text: str) -> tuple[str, ...]:
    """Return the columns that a page names in *text* when it requests rows of its list.

    Raises:
        InvalidQuery: there is no such column.
    """
    return shown_columns(columns_of([text]), with_workflow=True, with_cost=False)


def cell_class(name: str, shown: Sequence[str]) -> str:
    """Return the class of the cells of a column: what was chosen beyond the usual columns gives way otherwise."""
    is_usual = shown == shown_columns((), with_workflow="workflow" in shown, with_cost="cost" in shown)
    if name in {"status", "started", "duration", "summary"} or is_usual:
        return _CLASSES.get(name, "")
    return "extra num" if name in NUMBERS else "extra"


def linked_column(columns: Sequence[str]) -> str:
    """Return the column whose text leads to the run."""
    return next(name for name in _LINKED if name in columns)


def column_choices(shown: Sequence[str]) -> list[ColumnChoice]:
    """Return all columns for the menu, those that are shown first, in their order."""
    rest = [name for name in RUN_COLUMNS if name not in shown]
    chosen = [ColumnChoice(name, RUN_COLUMNS[name], True, place) for place, name in enumerate(shown)]  # noqa: FBT003
    return chosen + [ColumnChoice(name, RUN_COLUMNS[name], False, len(shown)) for name in rest]  # noqa: FBT003


def moved(state: ListState, move: str) -> str:
    """Return the address of a list whose column *move*, such as ``up:tokens``, was moved by one place.

    Raises:
        InvalidQuery: there is no such column.
    """
    direction, _, name = move.partition(":")
    columns = [*columns_of([*state.columns, name])]
    at = columns.index(name) if name in columns else 0
    columns.insert(max(0, at + _MOVES.get(direction, 0)), columns.pop(at))
    return state.with_columns(columns)
