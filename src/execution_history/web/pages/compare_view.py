"""Two runs side by side: what differs, in pairs, the old one left. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from execution_history.errors import N_
from execution_history.history.diff import Comparison, Difference, Divergence, Measure, TextEdit
from execution_history.presentation.formatting import duration, thin
from execution_history.presentation.phrases import PARTS

_LONGEST: Final = 2_000
_MOST_PAIRS: Final = 200
_ROOM: Final = 60_000


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of one side: what both have, or what only this one has."""

    text: str
    is_changed: bool


@dataclass(frozen=True, slots=True)
class Pair:
    """One place that differs; a side that has nothing there is ``None``."""

    path: str
    kind: str
    old: tuple[Piece, ...] | None
    new: tuple[Piece, ...] | None


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the records: the places that differ, and how many more there are than are shown."""

    name: str
    pairs: tuple[Pair, ...]
    missing: int


@dataclass(frozen=True, slots=True)
class Amount:
    """A number of both runs as text, and by how much the new one is more."""

    name: str
    old: str
    new: str
    more: str


def sections_of(comparison: Comparison) -> tuple[Section, ...]:
    """Return the parts of a comparison that differ, the ending first: it is what one asks about."""
    sections, room = [], _ROOM
    for name in PARTS:
        found: Sequence[Difference] = getattr(comparison, name)
        pairs: list[Pair] = []
        for difference in found[:_MOST_PAIRS]:
            if room <= 0:
                break
            pairs.append(pair := _pair(difference))
            room -= len(pair.path) + sum(len(piece.text) for side in (pair.old, pair.new) for piece in side or ())
        if found:
            sections.append(Section(name, tuple(pairs), len(found) - len(pairs)))
    return tuple(sections)


def same_parts(comparison: Comparison) -> tuple[str, ...]:
    """Return the names of the parts that are the same in both runs."""
    return tuple(name for name in PARTS if not getattr(comparison, name))


def divergence_pair(divergence: Divergence) -> Pair:
    """Return the contents of the two runs' nodes where they part."""
    old, new = divergence.old_content, divergence.new_content
    if divergence.text is not None:
        return Pair("", divergence.kind, _side(divergence.text, "removed"), _side(divergence.text, "added"))
    return Pair(
        "",
        divergence.kind,
        None if old is None else (Piece(old[:_LONGEST], is_changed=True),),
        None if new is None else (Piece(new[:_LONGEST], is_changed=True),),
    )


def amounts_of(comparison: Comparison) -> tuple[Amount, ...]:
    """Durations and tokens, as far as both runs have them."""
    amounts = [_amount(N_("Duration"), comparison.duration, duration)]
    amounts += [_amount(N_("Tokens"), comparison.tokens["total"], thin)] if "total" in comparison.tokens else []
    return tuple(amount for amount in amounts if amount.old or amount.new)


def _amount(name: str, measure: Measure, shown: Any) -> Amount:  # noqa: ANN401 - a function from a number to its text
    old = "" if measure.old is None else shown(measure.old)
    new = "" if measure.new is None else shown(measure.new)
    ratio = measure.ratio
    return Amount(name, old, new, "" if ratio is None else f"×{ratio:.2f}")


def _pair(difference: Difference) -> Pair:
    if difference.text is not None:
        old, new = _side(difference.text, "removed"), _side(difference.text, "added")
        return Pair(difference.path, difference.kind, old, new)
    has_old, has_new = difference.kind != "added", difference.kind != "removed"
    return Pair(
        difference.path,
        difference.kind,
        (Piece(_text(difference.old), is_changed=True),) if has_old else None,
        (Piece(_text(difference.new), is_changed=True),) if has_new else None,
    )


def _side(edits: Sequence[TextEdit], own: str) -> tuple[Piece, ...]:
    """Return the part of *edits* that one side has: the pieces of both, and its *own*."""
    pieces: list[Piece] = []
    room = _LONGEST
    for edit in edits:
        if edit.kind in {"same", own} and room > 0:
            text = edit.text if len(edit.text) <= room else edit.text[:room] + "…"
            pieces.append(Piece(text, edit.kind == own))
            room -= len(text)
    return tuple(pieces)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value[:_LONGEST]
    try:
        return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()[:_LONGEST]
    except TypeError:  # an integer of more than 64 bits
        return str(value)[:_LONGEST]
