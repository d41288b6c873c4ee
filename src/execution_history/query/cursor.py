"""Positions in sorted records, and cursors: where a page ended, as an opaque text for one query only. Pure."""

import base64
import binascii
from hashlib import blake2b
from typing import Final, NamedTuple

import orjson

from execution_history.errors import InvalidCursor, quoted
from execution_history.query.model import RecordQuery
from execution_history.records.attributes import RunAttributes

_KEY: Final = b"execution-history cursor 1"
_LONGEST: Final = 500
_PARTS: Final = 4
_LARGEST: Final = 2**63 - 1


class Position(NamedTuple):
    """The position of a record in an order: its sort key (``None`` where it has none), create time, arrival."""

    value: int | None
    create_time: int
    arrival: int

    def rank(self, *, descending: bool) -> tuple[bool, int, int, int]:
        """Return a key that sorts ascending into the requested order."""
        sign = -1 if descending else 1
        return (self.value is None, sign * (self.value or 0), sign * self.create_time, sign * self.arrival)


def position_of(query: RecordQuery, facts: RunAttributes, arrival: int) -> Position:
    """Return the position of the record with *facts*; *arrival* rises with every record that the store takes."""
    values = {
        "create_time": facts.create_time,
        "duration": facts.duration_ms,
        "tokens": facts.tokens,
        "cost": facts.cost,
    }
    value = values[query.sort]
    return Position(value, facts.create_time, arrival)


def cursor_at(query: RecordQuery, position: Position) -> str:
    """Return the cursor of what follows *position* in the answer to *query*.

    It contains a digest of the filter and the order, so that a cursor that was cut, mistyped or taken from another
    query is not answered with the wrong page. It is neither a secret nor a permission: anybody who reads this code can
    make one.
    """
    values = [position.value, position.create_time, position.arrival]
    return base64.urlsafe_b64encode(orjson.dumps([*values, _digest(query, values)])).decode().rstrip("=")


def position_at(query: RecordQuery) -> Position | None:
    """Return the position in ``query.after``; ``None`` without one.

    Raises:
        InvalidCursor: it is broken, or was made for another filter or order.
    """
    cursor = query.after
    if cursor is None:
        return None
    broken = InvalidCursor(
        "The cursor %(cursor)s is broken: pass the `next` of the previous page unchanged, or start without one.",
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
    # Workflows that were listed from patterns may have become more since the page before.
    listed = {"workflow_ids": query.filter.within} if query.filter.within else {}
    filters = [(name, listed.get(name, getattr(query.filter, name))) for name in sorted(query.filter.given())]
    question = repr((filters, query.sort, query.descending, values))
    return blake2b(question.encode(), digest_size=9, key=_KEY).hexdigest()
