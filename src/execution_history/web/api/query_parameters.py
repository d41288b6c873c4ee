"""The query of an address: filters, order and page, read and documented from one table.

The filters are those of :mod:`execution_history.query.fields`. An error names the parameter that is wrong; no unknown
parameter is ignored, except for those that callers sent to the old addresses before there were filters.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final
from zoneinfo import ZoneInfo

from execution_history.errors import InvalidQuery, Message, quoted, shortened
from execution_history.query.fields import FILTERS, RecordFilter
from execution_history.query.hints import hint
from execution_history.query.model import RecordQuery, order_of, sort_of
from execution_history.query.parameters import LIKENESS, filter_of, is_filter
from execution_history.query.time_buckets import zone_of
from execution_history.query.values import read_time

Pairs = Sequence[tuple[str, str]]
"""The parameters of a query, in order; a name may come several times."""

RELEVANCE: Final = "relevance"
VIEWS: Final = ("full", "summary")

_FLAGS: Final = {"true": True, "1": True, "false": False, "0": False}
_OLD: Final = frozenset({"page_size", "page_index", "account_id"})
_MEANINGS: Final = {
    "sort": "By create_time (the default), duration, tokens, cost; with q also relevance: the best of the newest 100.",
    "order": "desc (the default) or asc.",
    "cursor": "The next_cursor of the page before; everything else as it was.",
    "view": "summary leaves input, output and nodes out, and gives the beginning of both as one line; or full.",
    "explain": "true: explain how the records were found, a sentence for each step.",
    "zone": "The time zone of times without one, such as Asia/Shanghai; UTC by default.",
}
_NEW: Final = frozenset(_MEANINGS)


def documented(*names: str, workflow: bool = True) -> dict[str, Any]:
    """Return the OpenAPI of all filters and of the parameters *names*; *workflow*: whether that is a filter here."""
    text = {"type": "string"}
    rows = [row for row in FILTERS if workflow or row.name != "workflow"]
    shown = [(r.name, r.meaning, {"type": "array", "items": text} if r.is_repeatable else text) for r in rows]
    shown += [(name, _MEANINGS[name], text) for name in names]
    return {
        "parameters": [
            {"name": name, "in": "query", "description": meaning, "schema": kind} for name, meaning, kind in shown
        ]
    }


HISTORY_PARAMETERS: Final = tuple(_MEANINGS)


def has_new_parameters(pairs: Pairs) -> bool:
    """Return whether a query has a parameter that is newer than the old addresses, or a typo of one."""
    known = [*_NEW, *(row.name for row in FILTERS)]
    return any(
        name not in _OLD and get_close_matches(shortened(name), known, n=1, cutoff=LIKENESS) for name, _ in pairs
    )


def history_query(
    pairs: Pairs, *, now: int, size: int, index: int, workflow_id: str | None
) -> tuple[RecordQuery, bool]:
    """Return the query for a store that the parameters *pairs* describe, and whether the best hits come first.

    Args:
        pairs: the parameters.
        now: milliseconds since the epoch.
        size: records on a page.
        index: the number of the page, where *pairs* has one.
        workflow_id: the workflow that the address names.

    Raises:
        InvalidQuery: a parameter is unknown, or its value is invalid; the message names it.
    """
    words = parameters_of(pairs, _NEW | _OLD, workflow_id)
    sort = words.only("sort")
    is_ranked = sort == RELEVANCE
    if is_ranked and (not words.filters.get("q") or words.only("cursor") or index > 1):
        raise InvalidQuery("sort=relevance needs q, the text that is searched for, and has one page only.")
    cursor = words.only("cursor")
    query = RecordQuery(
        filter=words.record_filter(now),
        sort="create_time" if sort is None or is_ranked else sort_of(sort, (RELEVANCE,)),
        descending=order_of(words.only("order") or "desc") == "desc",
        size=size,
        after=cursor,
        index=index if words.only("page_index") and not (cursor and index == 1) else None,
        summaries=_one_of("view", words.only("view") or "full", {view: view == "summary" for view in VIEWS}),
        explain=truth("explain", words.only("explain") or "false"),
    )
    return query, is_ranked


@dataclass(frozen=True, slots=True)
class QueryParameters:
    """The parameters of a query: the filters, the others, and the workflow that the address names."""

    filters: dict[str, list[str]]
    others: dict[str, list[str]]
    workflow_id: str | None

    def only(self, name: str) -> str | None:
        """Return the one value of a parameter that is not a filter; ``None`` when it is missing or blank.

        Raises:
            InvalidQuery: it has several.
        """
        values = self.others.get(name, [])
        if len(values) > 1:
            raise InvalidQuery(
                "The parameter %(name)s takes one value, not %(count)s.", name=quoted(name), count=len(values)
            )
        return (values[0].strip() or None) if values else None

    def zone(self) -> ZoneInfo:
        """Return the time zone.

        Raises:
            InvalidQuery: there is no such zone.
        """
        return zone_of(self.only("zone") or "UTC")

    def record_filter(self, now: int) -> RecordFilter:
        """Return the filter.

        Raises:
            InvalidQuery: a filter is invalid.
        """
        return filter_of(self.filters, now=now, zone=self.zone(), workflow_id=self.workflow_id)

    def time(self, name: str, now: int) -> int | None:
        """Return the time (ms) in the parameter *name*; ``None`` when it is missing or blank.

        Raises:
            InvalidQuery: it is not a time.
        """
        value = self.only(name)
        return None if value is None else read_time(name, value, now=now, zone=self.zone())


def parameters_of(
    pairs: Iterable[tuple[str, str]], others: frozenset[str], workflow_id: str | None = None, *, filters: bool = True
) -> QueryParameters:
    """Return the parameters *pairs*: those named in *others*, and filters, where *filters* are allowed.

    Raises:
        InvalidQuery: one is unknown, or names another workflow than the address.
    """
    words = QueryParameters({}, {}, workflow_id)
    for name, value in pairs:
        if name in others:
            words.others.setdefault(name, []).append(value)
        elif not (filters and is_filter(name)):
            raise InvalidQuery(_unknown(name, others, filters=filters))
        elif name == "workflow" and workflow_id is not None:
            raise InvalidQuery("The address names the workflow already: leave the filter 'workflow' out.")
        else:
            words.filters.setdefault(name, []).append(value)
    return words


def _unknown(name: str, others: frozenset[str], *, filters: bool) -> str:
    if name == "by" and "new_since" in others:  # of statistics
        return Message("Statistics are of time spans (bucket=day); GET /coze/breakdown counts by something else.")
    known = sorted({*others, *(row.name for row in FILTERS if filters)} - {"account_id"})
    return Message("There is no parameter %(name)s: %(hint)s.", name=quoted(name), hint=hint(name, known))


def truth(name: str, value: str) -> bool:
    """Return whether *value* of the parameter *name* is true.

    Raises:
        InvalidQuery: it is neither true nor false.
    """
    return _one_of(name, value, _FLAGS)


def _one_of(name: str, value: str, meanings: dict[str, bool]) -> bool:
    if value not in meanings:
        raise InvalidQuery(
            "The parameter %(name)s is %(names)s, not %(value)s.",
            name=quoted(name),
            names=" or ".join(meanings),
            value=quoted(value),
        )
    return meanings[value]
