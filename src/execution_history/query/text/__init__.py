"""Text search: searchable texts, syntax, matching, ranking and snippets. Pure."""

from execution_history.query.text.normalization import fold
from execution_history.query.text.ranking import has, matches, rank, searched_text
from execution_history.query.text.searchable_fields import FieldText, texts_of
from execution_history.query.text.snippets import SNIPPET_CHARACTERS, Snippet, snippets
from execution_history.query.text.syntax import Search, Term, parse_search

__all__ = [
    "SNIPPET_CHARACTERS",
    "FieldText",
    "Search",
    "Snippet",
    "Term",
    "fold",
    "has",
    "matches",
    "parse_search",
    "rank",
    "searched_text",
    "snippets",
    "texts_of",
]
