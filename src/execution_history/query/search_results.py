"""What a text search found, as it is shown: records with pieces of their texts, by time or the best first. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from execution_history.query.model import IndexReach, RecordKey, Selection
from execution_history.query.text import Search, Snippet, rank, snippets
from execution_history.records.partial import outline_of

RANKED: Final = 100
"""So many of the newest hits are put into the order of their rank."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A record that has what was searched for: its stored bytes, and where."""

    body: bytes
    snippets: tuple[Snippet, ...]


@dataclass(frozen=True, slots=True)
class SearchPage:
    """One page of hits; what stands beside these is as in :class:`Selection`."""

    hits: Sequence[Hit]
    total: int
    total_is_exact: bool
    next: str | None
    has_more: bool
    reach: IndexReach
    damaged: tuple[RecordKey, ...] = ()


def page_of_hits(selection: Selection, search: Search) -> SearchPage:
    """Return the records of *selection*, in its order, with their hits."""
    return _page(selection, search, selection.documents, selection.next)


def best_of(selection: Selection, search: Search, size: int) -> SearchPage:
    """Return the *size* records of *selection* that fit *search* best; of equals the newer first. No page follows."""
    return _page(selection, search, best_first(selection.documents, search)[:size], None)


def best_first(bodies: Iterable[bytes], search: Search) -> list[bytes]:
    """Return stored records by their rank; of two alike the one that came first stays first."""
    return sorted(bodies, key=lambda body: rank(outline_of(body), search), reverse=True)


def _page(selection: Selection, search: Search, bodies: Sequence[bytes], following: str | None) -> SearchPage:
    return SearchPage(
        hits=[Hit(body, tuple(snippets(outline_of(body), search))) for body in bodies],
        total=selection.total,
        total_is_exact=selection.total_is_exact,
        next=following,
        has_more=following is not None,
        reach=selection.reach,
        damaged=selection.damaged,
    )
