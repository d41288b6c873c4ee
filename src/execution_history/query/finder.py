"""Find pages: plan what to read, step by step, and assemble the answer. Pure.

:func:`find` plans and assembles; an engine executes::

    answer = steps.run(find(query, reach, ...), engine.execute)

It is a generator of engine-neutral steps: it yields what to read, receives what was read, and returns the answer. So
a store brings its statements, and a page is defined here. No step reads one record alone. Statistics are found alike
(:mod:`execution_history.query.statistics_plan`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import orjson

from execution_history.query import steps
from execution_history.query.cursor import Position, cursor_at, position_at
from execution_history.query.fields import RecordFilter
from execution_history.query.model import IndexReach, RecordKey, RecordQuery, Selection
from execution_history.query.predicates import And, JsonPath, Text
from execution_history.records.attributes import RunAttributes, attributes_of
from execution_history.records.partial import outline_of
from execution_history.records.summary import summary_of

_SEARCHING_SECONDS: Final = 1.5
_COUNTED_BY_READING: Final = 100
_COUNTING_SECONDS: Final = 0.005
_LEAST_READ: Final = 16
_MOST_READ: Final = 50
_FARTHEST: Final = 2**62


@dataclass(frozen=True)
class Found:
    """A row whose record matches.

    Attributes:
        row: in the order.
        body: the stored bytes.
        is_whole: whether all of the record is needed, however large, rather than its outline.
    """

    row: steps.Row
    body: bytes
    is_whole: bool

    @cached_property
    def record(self) -> dict[str, Any]:
        """The record, or its outline; parsed on first use."""
        record: dict[str, Any] = orjson.loads(self.body) if self.is_whole else outline_of(self.body)
        return record

    @cached_property
    def facts(self) -> RunAttributes:
        """The facts of the record."""
        return attributes_of(self.record)

    def shown(self, *, as_summary: bool) -> bytes:
        """Return it as a page has it: its summary or its stored bytes."""
        return summary_of(self.record, self.facts) if as_summary else self.body


@dataclass(slots=True)
class Reading:
    """The reading of one query: rows, and documents that are tested where rows cannot decide.

    ``undecided`` are the parts of the predicate that rows do not decide. ``damaged`` collects the records that had to
    be read for the answer and cannot be.
    """

    predicate: And
    undecided: tuple[JsonPath | Text, ...]
    is_whole: bool
    damaged: list[RecordKey] = field(default_factory=list)

    @property
    def checks_documents(self) -> bool:
        """Whether documents have to be read to find what matches."""
        return bool(self.undecided)

    def read(self, rows: Sequence[steps.Row], limit: int = _FARTHEST) -> steps.Steps[tuple[list[Found], int]]:
        """Read the first of *rows*; return at most *limit* matching records, and how many rows were read."""
        count, documents = yield steps.Documents(tuple(row.seq for row in rows))
        by_seq = {row.seq: row for row in rows}
        found: list[Found] = []
        for stored in documents:
            each = self._matching(by_seq[stored.seq], stored)
            if each is not None:
                found.append(each)
                if len(found) == limit:
                    break
        return found, count

    def read_all(self, rows: Sequence[steps.Row]) -> steps.Steps[list[Found]]:
        """Read the records of all *rows*."""
        found: list[Found] = []
        at = 0
        while at < len(rows):
            some, count = yield from self.read(rows[at:])
            found += some
            at += count
        return found

    def _matching(self, row: steps.Row, stored: steps.StoredDocument) -> Found | None:
        """Return a record if it matches; one that has changed since its row was read is tested."""
        if stored.body is None:
            self.damaged.append(stored.key)
            return None
        found = Found(row, stored.body, self.is_whole)
        if stored.revision == row.revision:
            is_match = all(part.holds(found.record) for part in self.undecided)
        else:
            is_match = self.predicate.holds(found.record, found.facts)
        return found if is_match else None


def reading_of(record_filter: RecordFilter, *, is_text_exact: bool) -> Reading:
    """Return the reading of the records of *record_filter*; *is_text_exact* where rows decide its text."""
    predicate = record_filter.predicate()
    kinds = JsonPath if is_text_exact else (JsonPath, Text)
    undecided = tuple(part for part in predicate.parts if isinstance(part, kinds))
    return Reading(predicate, undecided, bool(record_filter.conditions))


def find(
    query: RecordQuery,
    reach: IndexReach,
    *,
    clock: Callable[[], float],
    is_text_exact: bool = False,
    is_text_rare: bool = False,
) -> steps.Steps[Selection]:
    """Return the steps that find the answer to *query*.

    Args:
        query: the query.
        reach: how far the rows have followed the history.
        clock: seconds, from any beginning; reading documents stops after 1.5.
        is_text_exact: whether rows that match the text need no check of their documents.
        is_text_rare: whether these rows are few, so that a few more than a page are read to count them.

    Raises:
        InvalidQuery: its cursor is broken or another query's, or its text cannot be searched for.
    """
    reading = reading_of(query.filter, is_text_exact=is_text_exact)
    after = position_at(query)
    skip = 0 if query.index is None else min((query.index - 1) * query.size, _FARTHEST)
    if reading.checks_documents or query.filter.text is not None:
        least = skip + query.size + 1
        # A few more are cheap, and make the total of rare texts exact.
        limit = max(least, _COUNTED_BY_READING) if is_text_rare else least
        found, stopped = yield from _search(reading, after, least, limit, clock)
        page = found[skip : least - 1]
        end = page[-1].row.position if len(found) >= least else stopped
        total, is_exact = len(found), after is None and stopped is None and len(found) < limit
        if not is_exact and not reading.checks_documents:
            total, is_exact = yield steps.Total(len(found))
        documents = [each.shown(as_summary=query.summaries) for each in page]
    else:
        rows = yield steps.Rows(after, query.size + 1, skip)
        page_rows, has_more = rows[: query.size], len(rows) > query.size
        end = page_rows[-1].position if has_more else None
        if after is None and not has_more and (page_rows or not skip):
            total, is_exact = skip + len(page_rows), True
        else:
            total, is_exact = yield steps.Total(skip + len(rows) if page_rows else 0)
        documents = yield from _show(reading, page_rows, as_summaries=query.summaries)
    return Selection(
        documents=documents,
        total=total,
        total_is_exact=is_exact,
        next=None if end is None else cursor_at(query, end),
        has_more=end is not None,
        reach=reach,
        explain=(yield steps.Explain()) if query.explain else (),
        damaged=tuple(reading.damaged),
    )


def _show(reading: Reading, rows: Sequence[steps.Row], *, as_summaries: bool) -> steps.Steps[list[bytes]]:
    """Return *rows* as a page has them; a record whose summary is stored is not read."""
    kept = (yield steps.Summaries(tuple(rows))) if as_summaries else {}
    found = yield from reading.read_all([row for row in rows if row.seq not in kept])
    shown = kept | {each.row.seq: each.shown(as_summary=as_summaries) for each in found}
    return [shown[row.seq] for row in rows if row.seq in shown]


def _search(
    reading: Reading, after: Position | None, least: int, limit: int, clock: Callable[[], float]
) -> steps.Steps[tuple[list[Found], Position | None]]:
    """Return at most *limit* records after *after*, and where the search stopped early, if it did.

    Those beyond the *least* are only counted, and searched for only as long as that takes next to no time.
    """
    deadline, enough = clock() + _SEARCHING_SECONDS, clock() + _COUNTING_SECONDS
    found: list[Found] = []
    end = after
    while True:
        rows, end = yield steps.Portion(end)
        at = 0
        while at < len(rows):
            missing = _MOST_READ if reading.checks_documents else least - len(found)
            size = max(_LEAST_READ, min(missing, _MOST_READ))
            some, count = yield from reading.read(rows[at : at + size], limit - len(found))
            found += some
            at += count
            if len(found) == limit:
                return found, None
            is_late = clock() > (deadline if len(found) < least else enough)
            if is_late and (at < len(rows) or end is not None):
                return found, rows[at - 1].position
        if end is None:
            return found, None
        if clock() > (deadline if len(found) < least else enough):
            return found, end
