"""Pages of records: rows from the index, documents from the history."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import apsw
import orjson

from execution_history.cursors import cursor_at, position_at
from execution_history.errors import InvalidQuery
from execution_history.facts import Facts, facts_of
from execution_history.matching import NO_TEXT_SEARCH, Position, matches
from execution_history.query import IndexReach, RecordFilter, RecordQuery, Selection
from execution_history.stores.sqlite.changes import STATUS_NUMBERS
from execution_history.stores.sqlite.index.conditions import Condition, conditions_of
from execution_history.stores.sqlite.index.history import HistoryView
from execution_history.stores.sqlite.index.parts import Fragment, Part
from execution_history.stores.sqlite.index.plan import Driver, choose
from execution_history.stores.sqlite.index.walking import Row, Walk
from execution_history.summaries import summary_of

_COUNTING_SECONDS: Final = 0.003
_SEARCHING_SECONDS: Final = 1.5
_STEPS: Final = 2_000
_AT_ONCE: Final = 50
_FARTHEST: Final = 2**62
_COUNTED: Final = frozenset({"workflow_ids", "statuses"})


@dataclass(frozen=True, slots=True)
class Found:
    """A row whose record has been read and is what was asked for."""

    row: Row
    body: bytes
    record: dict[str, Any]
    facts: Facts


@dataclass(slots=True)
class Question:
    """A question while it is answered, on one connection to the index and one to the history."""

    index: apsw.Connection
    history: HistoryView
    wanted: RecordFilter
    conditions: list[Condition]
    driver: Driver
    walk: Walk

    @classmethod
    def of(cls, index: apsw.Connection, history: HistoryView, query: RecordQuery, parts: Sequence[Part]) -> "Question":
        """Decide how *query* is answered.

        Raises:
            InvalidQuery: it asks for a text, and no part of the index knows texts.
        """
        conditions = conditions_of(index, query.filter)
        driver = choose(index, conditions, query.sort)
        walk = Walk(index, query, driver, conditions, text_fragments(query.filter, parts))
        return cls(index, history, query.filter, conditions, driver, walk)

    def records(self, rows: Sequence[Row]) -> Iterator[Found]:
        """The records of *rows* that are still there and are what is asked for, with what stands in documents."""
        by_seq = {row.seq: row for row in rows}
        for seq, revision, body in self.history.documents(by_seq):
            row = by_seq[seq]
            record = orjson.loads(body)
            facts = facts_of(record)
            # A record that has changed since the index took it in is looked at anew.
            if (revision == row.revision and not self.wanted.conditions) or matches(self.wanted, record, facts):
                yield Found(row, body, record, facts)

    def search(self, after: Position | None, most: int, deadline: float) -> tuple[list[Found], Position | None]:
        """At most *most* records behind *after* that fulfil the conditions on documents.

        The second is the place where the search stopped because of its *deadline*; ``None`` when it did not.
        """
        found: list[Found] = []
        for rows in self._portions(after):
            for each in self.records(rows):
                found.append(each)
                if len(found) == most:
                    return found, None
            if len(rows) == _AT_ONCE and time.monotonic() > deadline:
                return found, rows[-1].position
        return found, None

    def everything(self) -> Iterator[Found]:
        """All records that fulfil the conditions on documents, however long that takes; one at a time."""
        for rows in self._portions(None):
            yield from self.records(rows)

    def _portions(self, after: Position | None) -> Iterator[list[Row]]:
        """All rows behind *after*, some at a time."""
        while rows := self.walk.rows(after, _AT_ONCE):
            yield rows
            after = rows[-1].position


def text_fragments(wanted: RecordFilter, parts: Sequence[Part]) -> list[Fragment]:
    """The condition that a record has the text that is asked for.

    Raises:
        InvalidQuery: no part of the index knows texts, or the text cannot be searched for.
    """
    if wanted.text is None:
        return []
    for part in parts:
        fragment = part.matching(wanted.text)
        if fragment is not None:
            return [fragment]
    raise InvalidQuery(NO_TEXT_SEARCH)


def select(
    index: apsw.Connection, history: HistoryView, query: RecordQuery, parts: Sequence[Part], reach: IndexReach
) -> Selection:
    """The answer to *query*.

    Raises:
        InvalidQuery: its cursor is broken or another question's, or it asks for text and there is no text search.
    """
    after = position_at(query)
    with one_moment(index):
        question = Question.of(index, history, query, parts)
        if query.filter.conditions:
            return _searched(question, query, after, reach)
        skip = 0 if query.index is None else min((query.index - 1) * query.size, _FARTHEST)
        rows = question.walk.rows(after, query.size + 1, skip)
        page, has_more = rows[: query.size], len(rows) > query.size
        if after is None and not has_more and (page or not skip):
            total, is_exact = skip + len(page), True
        else:
            total, is_exact = _total(question, skip + len(rows) if page else 0)
        explain = tuple(_explained(question, query)) if query.explain else ()
    found = list(question.records(page))
    return Selection(
        documents=[_shown(each, query) for each in found],
        total=total,
        total_is_exact=is_exact,
        next=cursor_at(query, page[-1].position) if has_more else None,
        has_more=has_more,
        reach=reach,
        explain=explain,
    )


def _searched(question: Question, query: RecordQuery, after: Position | None, reach: IndexReach) -> Selection:
    """The answer where documents have to be looked into."""
    skip = 0 if query.index is None else min((query.index - 1) * query.size, _FARTHEST)
    deadline = time.monotonic() + _SEARCHING_SECONDS
    found, stopped = question.search(after, skip + query.size + 1, deadline)
    page = found[skip : skip + query.size]
    is_full = len(found) > skip + query.size
    end = page[-1].row.position if is_full else stopped
    is_whole = after is None and not is_full and stopped is None
    return Selection(
        documents=[_shown(each, query) for each in page],
        total=len(found),
        total_is_exact=is_whole,
        next=None if end is None else cursor_at(query, end),
        has_more=end is not None,
        reach=reach,
        explain=tuple(_explained(question, query)) if query.explain else (),
    )


def _total(question: Question, at_least: int) -> tuple[int, bool]:
    """How many records there are, and whether that is exact: counting stops at 10 000, or after 3 ms."""
    if question.wanted.given() <= _COUNTED:
        return _counted(question), True
    most = at_least
    with _interrupted(question.index, _COUNTING_SECONDS):
        for counted, is_exact in question.walk.count():
            if is_exact:
                return counted, True
            most = max(most, counted)
    return most, False


def _counted(question: Question) -> int:
    """The total that the history's counters know."""
    wanted = question.wanted
    numbers = [STATUS_NUMBERS[status] for status in dict.fromkeys(wanted.statuses)] or list(STATUS_NUMBERS.values())
    tables = [question.history.counts(workflow_id) for workflow_id in dict.fromkeys(wanted.workflow_ids)]
    if not wanted.workflow_ids:
        tables = [question.history.all_counts()]
    return sum(counts[number] for counts in tables if counts for number in numbers)


def _shown(found: Found, query: RecordQuery) -> bytes:
    return summary_of(found.record, found.facts) if query.summaries else found.body


def _explained(question: Question, query: RecordQuery) -> Iterator[str]:
    yield from question.walk.explain()
    tests = sorted({c.name for c in question.conditions if not question.driver.answers(c)})
    if tests:
        yield f"Tests each row for: {', '.join(tests)}."
    if not question.driver.equal and question.driver.tag is None and not question.driver.given and tests:
        yield "No index serves this filter alone: it scans the rows in order until the page is full."
    if query.filter.text is not None:
        yield "Looks each row up in the text index."
    if query.filter.conditions:
        yield "Scans: reads and tests the documents of these rows, at most 1.5 seconds for a page."


@contextmanager
def one_moment(index: apsw.Connection) -> Iterator[None]:
    """All reads in the block see the index as it was at one moment."""
    index.execute("BEGIN")
    try:
        yield
    finally:
        if index.in_transaction:
            index.execute("COMMIT")


@contextmanager
def _interrupted(index: apsw.Connection, seconds: float) -> Iterator[None]:
    """Leave the block when what *index* does in it has taken *seconds*."""
    deadline = time.monotonic() + seconds
    index.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
    try:
        yield
    except apsw.InterruptError:
        pass
    finally:
        index.set_progress_handler(None)
