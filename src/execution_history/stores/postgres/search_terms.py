"""The searchable tokens of a record as numbers, and the condition on them of a search.

A number is the CRC-32 of a token, so that it is the same in every process and version of Python. Two tokens may have
the same number: that makes more candidates, whose documents are then checked, and never fewer, as no candidate is
excluded by its numbers.
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice, product
from typing import Any, Final
from zlib import crc32

from execution_history.query.text import Search, searched_text
from execution_history.query.text.tokens import AllOf, AnyOf, Expression, Token, Tokens, Without, needed
from execution_history.stores.sql_fragments import Fragment, together, values_of

_TOKENS: Final = Tokens()
_SIGN: Final = 1 << 31
_MOST_ALTERNATIVES: Final = 8
"""Sets of tokens that one condition names: each of two usual words has two, as a word or within a long one."""


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
            return _has_all([text])
        case Without(required):
            return _rendered(required)
        case AllOf(parts):
            return _all_rendered(parts)
        case AnyOf(parts):
            if all(isinstance(part, Token) for part in parts):
                numbers = [number_of(part.text) for part in parts if isinstance(part, Token)]
                return Fragment("e.terms && %s::integer[]", (numbers,))
            return _one_of([_rendered(part) for part in parts])
    raise AssertionError(f"{type(expression).__name__} is no expression")


def _all_rendered(parts: Sequence[Expression]) -> Fragment:
    """Return the condition that all *parts* hold, with as few conditions that are joined by AND as it goes.

    The index finds tokens that a record has together by the rarest of them; of conditions that are joined by AND it
    reads all records of each: of two frequent words a tenth of a history.
    """
    merged: list[tuple[str, ...]] = [()]
    others = []
    for part in parts:
        alternatives = _alternatives(part)
        if len(merged) * len(alternatives) <= _MOST_ALTERNATIVES:
            merged = [(*some, *more) for some in merged for more in alternatives]
        else:
            others.append(_rendered(part))
    found = [_one_of([_has_all(tokens) for tokens in merged])] if merged != [()] else []
    return together([*found, *others])


def _alternatives(expression: Expression) -> list[tuple[str, ...]]:
    """Return sets of tokens, of which a record has all of one; of many only one more than are put into a condition."""
    match expression:
        case Token(text):
            return [(text,)]
        case Without(required):
            return _alternatives(required)
        case AnyOf(parts):
            found: Iterable[tuple[str, ...]] = chain.from_iterable(map(_alternatives, parts))
        case AllOf(parts):
            found = (tuple(chain.from_iterable(chosen)) for chosen in product(*map(_alternatives, parts)))
    return list(islice(found, _MOST_ALTERNATIVES + 1))


def _has_all(tokens: Sequence[str]) -> Fragment:
    return Fragment("e.terms @> %s::integer[]", (list(dict.fromkeys(map(number_of, tokens))),))


def _one_of(conditions: Sequence[Fragment]) -> Fragment:
    if len(conditions) == 1:
        return conditions[0]
    return Fragment(" OR ".join(f"({each.sql})" for each in conditions), values_of(conditions))
