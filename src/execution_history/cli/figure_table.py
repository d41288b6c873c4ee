"""Figures of runs as a table, of buckets of time or of groups, as wide as the terminal allows."""

from collections.abc import Mapping, Sequence
from typing import Final

from execution_history.cli.output import Cell, fitted
from execution_history.cli.session import Session
from execution_history.errors import N_
from execution_history.presentation.formatting import duration, grouped, sums
from execution_history.presentation.phrases import enumerated
from execution_history.query.model import Figures

_HEADS: Final = {
    "runs": N_("Runs"),
    "failed": N_("Failed"),
    "open": N_("Unfinished"),
    "success_rate": N_("Success rate"),
    "p50": "p50",
    "p95": "p95",
    "p99": "p99",
    "tokens": N_("Tokens"),
    "read": N_("Input"),
    "written": N_("Output"),
    "cost": N_("Cost"),
}
_FIRST: Final = ""
_DISPENSABLE: Final = ("written", "read", "p99", "tokens", "p50", "open", "cost", "p95")
_OCCASIONAL: Final = ("read", "written", "cost")

Row = tuple[Cell, Figures]
"""What a row is about, and its figures."""


def show_figures(
    session: Session, head: str, rows: Sequence[Row], total: Figures | None = None, *, is_exact: bool = True
) -> None:
    """Show a row for each of *rows* and one for all; on a narrow terminal the least needed columns are left out.

    Args:
        session: the session.
        head: what the first column is called.
        rows: the rows.
        total: the figures of all.
        is_exact: whether percentiles are exact.
    """
    _, about = session.translate, "" if is_exact else "≈ "
    heads = {name: Cell(_(text).upper(), "dim", right=True) for name, text in _HEADS.items()}
    table = [{_FIRST: cell} | _cells(figures, about) for cell, figures in rows]
    if total is not None:
        table.append({_FIRST: Cell(_("all"))} | _cells(total, about))
        table[-1] = {name: cell._replace(style="bold") for name, cell in table[-1].items()}
    names = [name for name in _HEADS if name not in _OCCASIONAL or any(cells[name].text for cells in table)]
    table.insert(0, {_FIRST: Cell(head.upper(), "dim")} | heads)
    show_fitting(session, table, [_FIRST, *names], _DISPENSABLE)


def show_fitting(
    session: Session, rows: Sequence[Mapping[str, Cell]], names: Sequence[str], dispensable: Sequence[str]
) -> None:
    """Show *rows*, the first of them heads, and name the columns that the terminal is too narrow for.

    Args:
        session: the session.
        rows: the cells of each row by the names of their columns.
        names: the columns, in order.
        dispensable: the columns that may be left out, the first of them first.
    """
    width = session.output.width
    kept, lines = fitted(rows, names, dispensable, width)
    session.output.lines(lines, are_cut=True)
    if left := [rows[0][name].text.lower() for name in names if name not in kept]:
        session.notice(
            "Not shown at %(columns)s columns: %(names)s.", columns=width, names=enumerated(left), style="dim"
        )


def notice_approximate(session: Session, *, is_exact: bool) -> None:
    """Print how far off percentiles may be that are not exact."""
    if not is_exact:
        session.notice(
            "p50, p95 and p99 of so many runs are approximate: the error is below %(error)s.", error="2 %", style="dim"
        )


def _cells(figures: Figures, about: str) -> dict[str, Cell]:
    rate = "" if figures.success_rate is None else f"{100 * figures.success_rate:.1f} %"
    times = ["" if each is None else f"{about}{duration(each)}" for each in (figures.p50, figures.p95, figures.p99)]
    failed = Cell(grouped(figures.counts["failed"] or None), "red" if figures.counts["failed"] else "", right=True)
    numbers = (figures.tokens, figures.input_tokens, figures.output_tokens)
    texts = [
        grouped(figures.counts["running"] + figures.counts["interrupted"] or None),
        rate,
        *times,
        *(grouped(number or None) for number in numbers),
        sums(figures.costs) if figures.costs else "",
    ]
    cells = [Cell(grouped(figures.runs), right=True), failed, *(Cell(text, right=True) for text in texts)]
    return dict(zip(_HEADS, cells, strict=True))
