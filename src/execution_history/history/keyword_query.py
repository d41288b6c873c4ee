"""From the keyword arguments of a Python caller to a question, and from its answer to plain dicts. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NotRequired, TypedDict, cast

import orjson

from execution_history.errors import InvalidQuery, quoted
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordKey, Selection
from execution_history.query.parameters import filter_of
from execution_history.records.record import ExecutionRecord

FilterValue = str | int | float | bool | Sequence[str | int] | None
"""What a keyword filter may be: the text that HTTP and the command line take, or the plain value it stands for."""


class HistoryPage(TypedDict):
    """One page of records; ``total`` counts all that were asked for, in the order asked for, newest first by default.

    The last two keys are there when a filter, an order or a cursor was given: without ``total_is_exact`` there are at
    least ``total``, and ``next_cursor`` leads to the page behind this one. ``damaged`` is there when records that
    belong on the page cannot be read: their ``workflow_id`` and ``execute_id``.
    """

    histories: list[ExecutionRecord]
    total: int
    has_more: bool
    next_cursor: NotRequired[str | None]
    total_is_exact: NotRequired[bool]
    damaged: NotRequired[list[dict[str, str]]]


def keyword_filter(words: Mapping[str, FilterValue], *, workflow_id: str | None, now: int) -> RecordFilter:
    """Return the filter of these keyword arguments, named as in :data:`execution_history.query.fields.FILTERS`.

    Args:
        words: names to values; numbers are milliseconds where a time or a duration is meant.
        workflow_id: the one workflow whose records match, or ``None`` for all.
        now: milliseconds since the epoch.

    Raises:
        InvalidQuery: a name is unknown or a value cannot be read.
    """
    texts = {name: _texts(name, value) for name, value in words.items() if value is not None}
    return filter_of(texts, now=now, workflow_id=workflow_id)


def damaged_of(keys: Sequence[RecordKey]) -> dict[str, list[dict[str, str]]]:
    """Return an answer's entry for records that cannot be read; empty when there are none."""
    return {"damaged": [key._asdict() for key in keys]} if keys else {}


def page_of(selection: Selection) -> HistoryPage:
    """Return an answer with its records parsed."""
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


def _texts(name: str, value: FilterValue) -> list[str]:
    if isinstance(value, (str, int, float)):
        return [_text(name, value)]
    if isinstance(value, Iterable):
        return [_text(name, each) for each in value]
    raise InvalidQuery(
        "The filter %(name)s takes text, a number, true or false, or a list, not %(value)s.",
        name=quoted(name),
        value=quoted(value),
    )


def _text(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int)):
        return str(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    raise InvalidQuery(
        "The filter %(name)s takes text or whole numbers, not %(value)s.", name=quoted(name), value=quoted(value)
    )
