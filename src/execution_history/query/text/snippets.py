"""Snippets: short pieces of a record's texts with the hits of a search marked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from execution_history.query.text.normalization import Folded
from execution_history.query.text.searchable_fields import FieldText, texts_of
from execution_history.query.text.syntax import Search, Term

SNIPPET_CHARACTERS: Final = 160
_DOTS: Final = "…"
_BEFORE: Final = 3  # a third of the piece comes before the hit


@dataclass(frozen=True, slots=True)
class Snippet:
    """A piece of a text of a record.

    Attributes:
        field: the field it is from, such as ``output`` or ``metadata.note``.
        text: the piece, as it stands in the record; with ``…`` where the text goes on.
        hits: begin and end of each hit in ``text``, in order; they do not touch each other.
    """

    field: str
    text: str
    hits: tuple[tuple[int, int], ...]


def snippets(
    record: Mapping[str, Any], search: Search, length: int = SNIPPET_CHARACTERS, limit: int = 3
) -> list[Snippet]:
    """Return at most *limit* pieces of about *length* characters, in the order of the texts they are from.

    Together they show as many of the terms as they can: a piece that shows a term for the first time goes before one
    that does not. A text has more than one piece only for terms that its first piece does not show.
    """
    showing: list[tuple[int, Snippet]] = []
    repeating: list[tuple[int, Snippet]] = []
    missing = set(search.required)
    for number, text in enumerate(texts_of(record)):
        if len(showing) >= limit or (not missing and len(showing) + len(repeating) >= limit):
            break
        for snippet, seen in _pieces(text, search, length, missing):
            (showing if missing & seen else repeating).append((number, snippet))
            missing -= seen
    chosen = showing[:limit] + repeating[: max(0, limit - len(showing))]
    return [snippet for _, snippet in sorted(chosen, key=lambda each: each[0])]


def _pieces(text: FieldText, search: Search, length: int, missing: set[Term]) -> list[tuple[Snippet, set[Term]]]:
    """Return pieces of one text with the terms that each shows: one, and more while they show terms of *missing*."""
    folded = Folded(text.text)
    first = [(place, term) for term in search.required if (place := term.find(folded.text)) is not None]
    pieces: list[tuple[Snippet, set[Term]]] = []
    seen: set[Term] = set()
    while first:
        place = min(place for place, _ in first)
        pieces.append(_piece(text, folded, search, place, length))
        seen |= pieces[-1][1]
        first = [(place, term) for place, term in first if term in missing and term not in seen]
    return pieces


def _piece(
    text: FieldText, folded: Folded, search: Search, hit: tuple[int, int], length: int
) -> tuple[Snippet, set[Term]]:
    begin = max(0, min(hit[0] - length // _BEFORE, len(folded.text) - length))
    end = min(begin + length, len(folded.text))
    places, seen = _hits(folded.text, search, begin, end)
    if not places:  # the hit alone is longer than the piece
        places, seen = [(hit[0], end)], {term for term in search.required if term.find(folded.text, hit[0]) == hit}
    left, right = folded.origin(begin, end)
    dots = _DOTS if left else ""
    shown = dots + text.text[left:right] + (_DOTS if right < len(text.text) else "")
    marks = [folded.origin(*place) for place in places]
    shift = len(dots) - left
    return Snippet(text.field, shown, tuple((start + shift, stop + shift) for start, stop in _merged(marks))), seen


def _hits(folded: str, search: Search, begin: int, end: int) -> tuple[list[tuple[int, int]], set[Term]]:
    """Return the places of all terms between *begin* and *end*, and the terms that have one."""
    window = folded[: end + 1]  # one more character decides whether a word ends
    places: list[tuple[int, int]] = []
    seen: set[Term] = set()
    for term in search.required:
        at = begin
        while (place := term.find(window, at)) is not None and place[1] <= end:
            places.append(place)
            seen.add(term)
            at = place[1]
    return places, seen


def _merged(places: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(places):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged
