"""Cursors: where a page ended, as an opaque text that fits one question only. Pure."""

import base64
import binascii
from hashlib import blake2b
from typing import Final

import orjson

from execution_history.errors import InvalidCursor, quoted
from execution_history.query.matcher import Position
from execution_history.query.model import RecordQuery

_KEY: Final = b"execution-history cursor 1"
_LONGEST: Final = 500
_PARTS: Final = 4
_LARGEST: Final = 2**63 - 1


def cursor_at(query: RecordQuery, position: Position) -> str:
    """The cursor of what follows *position* in the answer to *query*.

    It carries a digest of the filter and the order. That keeps a cursor that was cut, mistyped or taken from another
    question from being answered with the wrong page. It is no secret and no permission: who reads this program can
    make one.
    """
    values = [position.value, position.create_time, position.arrival]
    return base64.urlsafe_b64encode(orjson.dumps([*values, _digest(query, values)])).decode().rstrip("=")


def position_at(query: RecordQuery) -> Position | None:
    """The position in ``query.after``; ``None`` when there is none.

    Raises:
        InvalidCursor: it is broken, or was given out for another filter or order.
    """
    cursor = query.after
    if cursor is None:
        return None
    broken = InvalidCursor(
        "The cursor %(cursor)s is broken: pass on the next of the page before as it is, or begin without one.",
        cursor=quoted(cursor),
    )
    if len(cursor) > _LONGEST or not cursor.isascii():
        raise broken
    try:
        found = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        raise broken from None
    if not isinstance(found, list) or len(found) != _PARTS or not _are_numbers(found[:3]):
        raise broken
    if found[3] != _digest(query, found[:3]):
        raise InvalidCursor(
            "The cursor belongs to another question: its filter and its order must be the same from page to page; "
            "begin without a cursor."
        )
    return Position(*found[:3])


def _are_numbers(values: list[object]) -> bool:
    value, *others = values
    kept = others if value is None else values
    return all(isinstance(each, int) and not isinstance(each, bool) and abs(each) <= _LARGEST for each in kept)


def _digest(query: RecordQuery, values: list[int | None]) -> str:
    question = repr((query.filter, query.sort, query.descending, values))
    return blake2b(question.encode(), digest_size=9, key=_KEY).hexdigest()
