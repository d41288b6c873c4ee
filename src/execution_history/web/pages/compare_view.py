"""Two runs side by side: their differences in pairs, the old run on the left. Pure."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import orjson

from execution_history.errors import N_
from execution_history.history.diff import Comparison, Difference, Divergence, Measure, TextEdit
from execution_history.presentation.formatting import duration, thin
from execution_history.presentation.phrases import PARTS
from execution_history.web.pages.run_row import Stretch

_LONGEST: Final = 2_000
_MOST_PAIRS: Final = 200
_ROOM: Final = 60_000


class Pair(NamedTuple):
    """One place that differs; a side that has nothing there is ``None``."""

    path: str
    old: list[Stretch] | None
    new: list[Stretch] | None


class Section(NamedTuple):
    """One part of the records: the places that differ, and how many more are not shown."""

    name: str
    pairs: tuple[Pair, ...]
    missing: int


class Amount(NamedTuple):
    """A number of both runs as text, and the ratio of the new one to the old one."""

    name: str
    old: str
    new: str
    more: str


def sections_of(comparison: Comparison) -> tuple[Section, ...]:
    """Return the parts of a comparison that differ, the ending first."""
    sections, room = [], _ROOM
    for name in PARTS:
        found: Sequence[Difference] = getattr(comparison, name)
        pairs: list[Pair] = []
        for difference in found[:_MOST_PAIRS]:
            if room <= 0:
                break
            old = None if difference.kind == "added" else _text(difference.old)
            new = None if difference.kind == "removed" else _text(difference.new)
            pairs.append(pair := _pair(difference.path, difference.text, old, new))
            room -= len(pair.path) + sum(len(piece.text) for side in (pair.old, pair.new) for piece in side or ())
        if found:
            sections.append(Section(name, tuple(pairs), len(found) - len(pairs)))
    return tuple(sections)


def same_parts(comparison: Comparison) -> tuple[str, ...]:
    """Return the names of the parts that are the same in both runs."""
    return tuple(name for name in PARTS if not getattr(comparison, name))


def divergence_pair(divergence: Divergence) -> Pair:
    """Return the contents of the first nodes that differ."""
    return _pair("", divergence.text, divergence.old_content, divergence.new_content)


def amounts_of(comparison: Comparison) -> tuple[Amount, ...]:
    """Return durations and tokens, as far as one of the runs has them."""
    amounts = [_amount(N_("Duration"), comparison.duration, duration)]
    amounts += [_amount(N_("Tokens"), comparison.tokens["total"], thin)] if "total" in comparison.tokens else []
    return tuple(amount for amount in amounts if amount.old or amount.new)


def _amount(name: str, measure: Measure, shown: Callable[[int], str]) -> Amount:
    old, new = ("" if value is None else shown(value) for value in (measure.old, measure.new))
    return Amount(name, old, new, "" if measure.ratio is None else f"×{measure.ratio:.2f}")


def _pair(path: str, edits: Sequence[TextEdit] | None, old: str | None, new: str | None) -> Pair:
    if edits is not None:
        return Pair(path, _side(edits, "removed"), _side(edits, "added"))
    return Pair(path, *(None if text is None else [Stretch(text[:_LONGEST], is_marked=True)] for text in (old, new)))


def _side(edits: Sequence[TextEdit], own: str) -> list[Stretch]:
    """Return the part of *edits* that one side has: the pieces of both, and its *own*."""
    stretches: list[Stretch] = []
    room = _LONGEST
    for edit in edits:
        if edit.kind in {"same", own} and room > 0:
            text = edit.text if len(edit.text) <= room else edit.text[:room] + "…"
            stretches.append(Stretch(text, edit.kind == own))
            room -= len(text)
    return stretches


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    try:
        return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    except TypeError:  # an integer of more than 64 bits
        return str(value)
