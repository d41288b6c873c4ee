"""One part of a record on a page of its own: a branch, or a slice of a long text. Pure."""

from dataclasses import replace
from typing import Any, Final, NamedTuple

import orjson

from execution_history.records.encoding import encode
from execution_history.web.pages.json_pointer import Part, embedded_json, find_part
from execution_history.web.pages.json_tree import Limits, matches, scalar, tree_of
from execution_history.web.pages.run_view import parsed

_SLICE: Final = 20_000
_AROUND: Final = 40
_LONGEST_MATCH: Final = 80
_LIMITS: Final = Limits(values=400, children=100, characters=24_000)


class Slice(NamedTuple):
    """A slice of a text: characters *start* to *end* of *total*; *before* is where the previous slice begins."""

    text: str
    start: int
    end: int
    total: int
    before: int


class Hit(NamedTuple):
    """A place with the words, and a little of the text around them."""

    part: Part
    before: str
    match: str
    after: str


def part_view(body: bytes, pointer: str, start: int, words: str, link: int = 100) -> dict[str, Any]:
    """Return the value at *pointer* in a record, as a ``tree`` or a ``slice`` of its text, and what was ``found``.

    Args:
        body: the record as it is stored.
        pointer: into the record.
        start: the first child, or the first character, to show.
        words: the words to find; empty for none.
        link: the length of a link to a part without its pointer.

    Raises:
        NoSuchPart: nothing is there.
    """
    part = find_part(parsed(body), pointer)
    found = matches(part, words) if words else None
    is_text = isinstance(part.value, str) and (start > 0 or embedded_json(part.value) is None)
    return {
        "part": part,
        "tree": tree_of(part, limits=replace(_LIMITS, link=link), start=0 if is_text else start),
        "slice": _slice(part.value, start) if is_text else None,
        "find": words,
        "found": found,
        "hits": [] if found is None else [_hit(each, words) for each in found.parts],
    }


def raw_part(body: bytes, pointer: str) -> tuple[bytes, bool]:
    """Return the value at *pointer* as bytes, and whether it is text rather than JSON.

    Raises:
        NoSuchPart: nothing is there.
    """
    value = find_part(parsed(body), pointer).value
    if isinstance(value, str):
        return value.encode("utf-8", "replace"), True
    try:
        return orjson.dumps(value, option=orjson.OPT_INDENT_2), False
    except TypeError:  # an integer of more than 64 bits
        return encode(value), False


def _slice(text: str, start: int) -> Slice:
    begin = start if start < len(text) else 0
    return Slice(text[begin : begin + _SLICE], begin, min(len(text), begin + _SLICE), len(text), max(0, begin - _SLICE))


def _hit(part: Part, words: str) -> Hit:
    value = part.value
    text = "" if isinstance(value, (dict, list)) else scalar(value)[1]
    at = text.casefold().find(words.casefold())
    if at < 0:
        return Hit(part, text[:_LONGEST_MATCH], "", "")
    end = at + len(words)
    return Hit(part, text[max(0, at - _AROUND) : at], text[at:end][:_LONGEST_MATCH], text[end : end + _AROUND])
