"""The searchable tokens of a record as numbers, and the condition on them of a search.

A number is the CRC-32 of a token, so that it is the same in every process and version of Python. Two tokens may have
the same number: that makes more candidates, whose documents are then checked, and never fewer, as no candidate is
excluded by its numbers.
"""

from array import array
from collections.abc import Mapping
from typing import Any, Final
from zlib import crc32

from execution_history.query.text import Search, searched_text
from execution_history.query.text.tokens import AllOf, AnyOf, Expression, Token, Tokens, Without, needed
from execution_history.stores.sql_fragments import Fragment, together, values_of

_TOKENS: Final = Tokens()
_SIGN: Final = 1 << 31


def terms_of(record: Mapping[str, Any]) -> list[int]:
    """Return the numbers of the tokens of *record*, a document or its outline; sorted, each once.

    They are signed numbers of 32 bits, as a column of PostgreSQL has them.
    """
    tokens = _TOKENS.of(searched_text(record)).encode("utf-8", "surrogatepass")
    return sorted(array("i", array("I", set(map(crc32, tokens.split()))).tobytes()))


def number_of(token: str) -> int:
    """Return the number of one token."""
    return (crc32(token.encode("utf-8", "surrogatepass")) ^ _SIGN) - _SIGN


def has_tokens(search: Search) -> Fragment:
    """Return the condition that a record has the tokens of *search*; it is null where its tokens are not known yet."""
    return _rendered(needed(search).expression)


def may_have(tokens: Fragment) -> Fragment:
    """Return the condition that a record may have the texts of a search whose *tokens* are these."""
    return Fragment(f"({tokens.sql}) OR e.terms IS NULL", tokens.values)


def _rendered(expression: Expression) -> Fragment:
    match expression:
        case Token(text):
            return Fragment("e.terms @> %s::integer[]", ([number_of(text)],))
        case Without(required):
            return _rendered(required)
        case AllOf(parts):
            tokens = [part.text for part in parts if isinstance(part, Token)]
            found = [_rendered(part) for part in parts if not isinstance(part, Token)]
            if tokens:
                found.insert(0, Fragment("e.terms @> %s::integer[]", (list(map(number_of, tokens)),)))
            return together(found)
        case AnyOf(parts):
            if all(isinstance(part, Token) for part in parts):
                numbers = [number_of(part.text) for part in parts if isinstance(part, Token)]
                return Fragment("e.terms && %s::integer[]", (numbers,))
            found = [_rendered(part) for part in parts]
            return Fragment(" OR ".join(f"({each.sql})" for each in found), values_of(found))
    raise AssertionError(f"{type(expression).__name__} is no expression")
