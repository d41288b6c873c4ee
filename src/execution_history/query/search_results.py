"""The results of a text search: records with snippets of their texts, by time or the best first. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Final, NamedTuple

from execution_history.query.model import Selection
from execution_history.query.text import Search, Snippet, rank, snippets
from execution_history.records.partial import outline_of

RANKED: Final = 100
"""How many of the newest hits are sorted by rank."""


class Hit(NamedTuple):
    """A record that matches: its stored bytes, and its snippets."""

    body: bytes
    snippets: tuple[Snippet, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPage(Selection):
    """One page of records that match a search, each with its snippets."""

    hits: Sequence[Hit]


def page_of_hits(selection: Selection, search: Search) -> SearchPage:
    """Return the records of *selection*, in its order, with their hits."""
    hits = [Hit(body, tuple(snippets(outline_of(body), search))) for body in selection.documents]
    return SearchPage(hits=hits, **{each.name: getattr(selection, each.name) for each in fields(selection)})


def best_of(selection: Selection, search: Search, size: int) -> Selection:
    """Return the *size* best matches of *search* in *selection*, of equals the newer first, as the only page."""
    best = sorted(selection.documents, key=lambda body: rank(outline_of(body), search), reverse=True)[:size]
    return replace(selection, documents=best, next=None, has_more=False)
