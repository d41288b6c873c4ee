"""The arguments of a Python caller as keys or a query, and its result as plain dicts. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, tzinfo
from decimal import Decimal
from math import isfinite
from typing import Final, NotRequired, TypedDict, cast

import orjson

from execution_history.errors import InvalidInput, InvalidQuery, quoted
from execution_history.history.answers import damaged_of
from execution_history.query.fields import FILTERS, RecordFilter
from execution_history.query.model import RecordKey, Selection
from execution_history.query.parameters import filter_of
from execution_history.records.record import ExecutionRecord

FilterValue = str | int | float | bool | Sequence[str | int] | None
"""The value of a keyword filter: the text that HTTP and the command line take, or the plain value it stands for."""

_FLAGS: Final = frozenset(row.name for row in FILTERS if row.values.kind == "bool")
_AMOUNTS: Final = frozenset(row.name for row in FILTERS if row.values.kind == "amount")
_LAST_EXACT: Final = 2**53
"""A float that is larger, such as an id with its last digits lost, stands for several whole numbers."""


class HistoryPage(TypedDict):
    """One page of records, newest first by default; ``total`` counts all that match.

    ``next_cursor`` and ``total_is_exact`` are there when the call has a filter, an order or a cursor. Unless
    ``total_is_exact``, at least ``total`` records match; ``next_cursor`` leads to the next page. ``damaged`` is there
    when records of the page cannot be read, and has their ``workflow_id`` and ``execute_id``.
    """

    histories: list[ExecutionRecord]
    total: int
    has_more: bool
    next_cursor: NotRequired[str | None]
    total_is_exact: NotRequired[bool]
    damaged: NotRequired[list[dict[str, str]]]


def keyword_filter(words: Mapping[str, FilterValue], *, now: int, zone: tzinfo = UTC) -> RecordFilter:
    """Return the filter of these keyword arguments, named as in :data:`execution_history.query.fields.FILTERS`.

    Args:
        words: names to values; the numbers of times and durations are milliseconds.
        now: milliseconds since the epoch.
        zone: where times without an offset are local.

    Raises:
        InvalidQuery: a name is unknown or a value cannot be read.
    """
    texts = {name: texts_of(name, value) for name, value in words.items() if value is not None}
    return filter_of(texts, now=now, zone=zone)


def pairs_of_ids(given: Iterable[object]) -> list[RecordKey]:
    """Return the keys that a caller has *given* as pairs of a workflow id and an execute id; the ids may be anything.

    Raises:
        InvalidInput: they are no list, or one of them is not a pair.
    """
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise InvalidInput(
            "Runs are named by a list of pairs, each a workflow id and an execute id, not by %(given)s.",
            given=quoted(given),
        )
    keys = []
    for pair in given:
        if not isinstance(pair, (tuple, list)) or len(pair) != len(RecordKey._fields):
            raise InvalidInput(
                "A run is named by a pair, its workflow id and its execute id, not by %(pair)s.", pair=quoted(pair)
            )
        keys.append(RecordKey(*pair))
    return keys


def page_of(selection: Selection) -> HistoryPage:
    """Return *selection* with its records parsed."""
    page: HistoryPage = {
        "histories": [cast("ExecutionRecord", orjson.loads(body)) for body in selection.documents],
        "total": selection.total,
        "has_more": selection.has_more,
        "next_cursor": selection.next,
        "total_is_exact": selection.total_is_exact and selection.reach.is_complete,
    }
    if selection.damaged:
        page["damaged"] = damaged_of(selection.damaged)["damaged"]
    return page


def texts_of(name: str, value: FilterValue) -> list[str]:
    """Return the value of the filter *name* as the texts that stand for it.

    Raises:
        InvalidQuery: it is of another kind.
    """
    if isinstance(value, (str, int, float)):
        return [_text(name, value)]
    if isinstance(value, Iterable) and not isinstance(value, (bytes, bytearray, memoryview)):
        return [_text(name, each) for each in value]
    raise InvalidQuery(
        "The filter %(name)s takes text, a number, true or false, or a list, not %(value)s.",
        name=quoted(name),
        value=quoted(value),
    )


def _text(name: str, value: object) -> str:
    if isinstance(value, bool) and name in _FLAGS:
        return "true" if value else "false"
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < _LAST_EXACT:
        return str(int(value))
    if isinstance(value, float) and name in _AMOUNTS and isfinite(value):
        return f"{Decimal(repr(value)):f}"
    raise InvalidQuery(
        "The filter %(name)s takes text or whole numbers, not %(value)s.", name=quoted(name), value=quoted(value)
    )
