"""Whether a record matches a search, and how well: the executable specification of text search."""

from collections.abc import Iterable, Mapping
from math import log2
from typing import Any, Final

from execution_history.query.text.character_classes import BREAK
from execution_history.query.text.normalization import fold
from execution_history.query.text.searchable_fields import FieldText, fields_of, texts_of
from execution_history.query.text.syntax import Search, Term

_WEIGHTS: Final = {"metadata": 4.0, "error_message": 3.0, "error_code": 3.0, "input_parameters": 2.0}
_MOST_COUNTED: Final = 16
_WHOLE_WORD: Final = 1.5


def searched_text(record: Mapping[str, Any]) -> str:
    """Return all searchable texts of a record as one folded text; no term reaches from one text into the next."""
    return fold(BREAK.join([text for _, texts in fields_of(record) for text in texts]))


def matches(record: Mapping[str, Any], search: Search) -> bool:
    """Return whether *record* has all required terms, anywhere, and none that is excluded."""
    return has(searched_text(record), search)


def has(searched: str, search: Search) -> bool:
    """Return whether *searched*, the :func:`searched_text` of a record, matches."""
    return all(term.is_in(searched) for term in search.required) and not any(
        term.is_in(searched) for term in search.excluded
    )


def rank(record: Mapping[str, Any], search: Search) -> float:
    """Return how well *record* matches: the higher the better, 0 for a record that lacks a term.

    A term counts more in a note than in an error, in an error than in the input, and least in the output; more as a
    whole word than inside one; a little more when it is there often, and a little less in a long text.
    """
    score = 0.0
    fields = _by_weight(texts_of(record))
    for term in search.required:
        best = max((weight * _fit(term, text) for weight, text in fields.items()), default=0.0)
        if best == 0:
            return 0.0
        score += best
    return score


def _by_weight(texts: Iterable[FieldText]) -> dict[float, str]:
    """Return the folded texts of fields of the same weight, together."""
    gathered: dict[float, list[str]] = {}
    for text in texts:
        gathered.setdefault(_WEIGHTS.get(text.field.partition(".")[0], 1.0), []).append(text.text)
    return {weight: BREAK.join(map(fold, parts)) for weight, parts in gathered.items()}


def _fit(term: Term, folded: str) -> float:
    found, at, whole = 0, 0, False
    while found < _MOST_COUNTED and (place := term.find(folded, at)) is not None:
        found += 1
        at = place[1]
        whole = whole or _is_whole(folded, *place)
    if not found:
        return 0.0
    return log2(1 + found) * (_WHOLE_WORD if whole else 1.0) / (1 + log2(1 + len(folded) / 1_000) / 4)


def _is_whole(folded: str, start: int, end: int) -> bool:
    return not folded[max(0, start - 1) : start].isalnum() and not folded[end : end + 1].isalnum()
