"""Figures of runs as a table, of buckets of time or of groups, as wide as the terminal allows."""

from collections.abc import Sequence
from typing import Final

from execution_history.cli.output import Cell, aligned, natural_width
from execution_history.cli.session import Session
from execution_history.errors import N_
from execution_history.presentation.formatting import duration, grouped, sums
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
    _, width = session.translate, session.output.width
    about = "" if is_exact else "≈ "
    heads = {name: Cell(_(text).upper(), "dim", right=True) for name, text in _HEADS.items()}
    table = [(Cell(head.upper(), "dim"), heads), *((cell, _cells(figures, about)) for cell, figures in rows)]
    if total is not None:
        bold = {name: cell._replace(style="bold") for name, cell in _cells(total, about).items()}
        table.append((Cell(_("all"), "bold"), bold))
    names = [name for name in _HEADS if name not in _OCCASIONAL or any(cells[name].text for _, cells in table[1:])]
    lines = aligned([[first, *(cells[name] for name in names)] for first, cells in table])
    for name in (name for name in _DISPENSABLE if name in names):
        if width is None or natural_width(lines) <= width:
            break
        names.remove(name)
        lines = aligned([[first, *(cells[each] for each in names)] for first, cells in table])
    session.output.lines(lines, are_cut=True)


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
