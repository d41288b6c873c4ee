"""Pages of records: rows from the index, documents from the history."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import apsw
import orjson

from execution_history.errors import InvalidQuery, Message
from execution_history.query.cursor import cursor_at, position_at
from execution_history.query.matcher import NO_TEXT_SEARCH, Position, matches
from execution_history.query.model import IndexReach, RecordFilter, RecordKey, RecordQuery, Selection
from execution_history.query.path_conditions import all_hold
from execution_history.query.text import matches as has_text
from execution_history.query.text import parse_search
from execution_history.records.attributes import Facts, facts_of
from execution_history.records.partial import outline_of
from execution_history.records.summary import summary_of
from execution_history.stores.sqlite.index.access_path import Driver, choose, text_driver
from execution_history.stores.sqlite.index.connections import rows as rows_of
from execution_history.stores.sqlite.index.connections import statement
from execution_history.stores.sqlite.index.history_source import HistoryView
from execution_history.stores.sqlite.index.index_plugin import Part
from execution_history.stores.sqlite.index.index_scan import Row, Walk
from execution_history.stores.sqlite.index.predicate_sql import Condition, conditions_of
from execution_history.stores.sqlite.index.text_candidates import Candidates
from execution_history.stores.status_numbers import STATUS_NUMBERS

_COUNTING_SECONDS: Final = 0.003
_SEARCHING_SECONDS: Final = 1.5
_STEPS: Final = 2_000
_AT_ONCE: Final = 50
_A_PAGE: Final = 60
_MOST_AT_ONCE: Final = 10_000
_COUNTED_BY_LOOKING: Final = 100
_COUNTING_BY_LOOKING_SECONDS: Final = 0.005
_COUNTING_TEXT: Final = (10_000, 100_000)
_FARTHEST: Final = 2**62
_COUNTED: Final = frozenset({"workflow_ids", "statuses"})


@dataclass(frozen=True)
class Found:
    """A row whose record is what was asked for.

    Attributes:
        row: in the index.
        body: the stored bytes.
        is_whole: whether all of the record is wanted, however large, rather than its outline.
    """

    row: Row
    body: bytes
    is_whole: bool

    @cached_property
    def record(self) -> dict[str, Any]:
        """The record, or its outline; read when it is first asked for."""
        record: dict[str, Any] = orjson.loads(self.body) if self.is_whole else outline_of(self.body)
        return record

    @cached_property
    def facts(self) -> Facts:
        """The facts of the record."""
        return facts_of(self.record)

    def shown(self, *, as_summary: bool) -> bytes:
        """What a page gives of it."""
        return summary_of(self.record, self.facts) if as_summary else self.body


@dataclass(slots=True)
class Question:
    """A question while it is answered, on one connection to the index and one to the history.

    ``damaged`` gathers the records that would have had to be read for the answer and cannot be.
    """

    index: apsw.Connection
    history: HistoryView
    wanted: RecordFilter
    conditions: list[Condition]
    driver: Driver
    walk: Walk
    text: Candidates | None
    damaged: list[RecordKey] = field(default_factory=list)

    @classmethod
    def of(cls, index: apsw.Connection, history: HistoryView, query: RecordQuery, parts: Sequence[Part]) -> "Question":
        """Decide how *query* is answered.

        Raises:
            InvalidQuery: it asks for a text, and no part of the index knows texts.
        """
        conditions = conditions_of(index, query.filter)
        text = text_candidates(query.filter, parts)
        driver = choose(index, conditions, query.sort, text)
        walk = Walk(index, query, driver, conditions)
        return cls(index, history, query.filter, conditions, driver, walk, text)

    def count(self) -> Iterator[tuple[int, bool]]:
        """How many rows there are, in steps, and whether that is all of them; documents are not looked at."""
        if self.text is None:
            return self.walk.count()
        if self.driver.seqs is not None:
            return self.walk.count() if self.conditions else iter([(len(self.driver.seqs), True)])
        if self.conditions:
            return self.walk.with_driver(text_driver(self.text)).count()
        counts = ((self.text.count(self.index, bound + 1), bound) for bound in _COUNTING_TEXT)
        return ((min(count, bound), count <= bound) for count, bound in counts)

    @property
    def looks_at_documents(self) -> bool:
        """Whether the index alone cannot say which records are meant."""
        return bool(self.wanted.conditions) or (self.text is not None and not self.text.match.is_exact)

    def records(self, rows: Sequence[Row]) -> Iterator[Found]:
        """The records of *rows* that are still there and are what is asked for, with what stands in documents."""
        by_seq = {row.seq: row for row in rows}
        for seq, revision, key, body in self.history.documents(by_seq):
            if body is None:
                self.damaged.append(key)
                continue
            row = by_seq[seq]
            found = Found(row, body, bool(self.wanted.conditions))
            if self._is_meant(found, is_current=revision == row.revision):
                yield found

    def page(self, rows: Sequence[Row], *, as_summaries: bool) -> Iterator[bytes]:
        """What a page shows of *rows*; the summary of a large record is in the index, and the record is not read."""
        for row in rows:
            kept = self._summary(row) if as_summaries else None
            if kept is not None:
                yield kept
            else:
                yield from (found.shown(as_summary=as_summaries) for found in self.records([row]))

    def _summary(self, row: Row) -> bytes | None:
        """The summary that the index has of a record, if it has not changed since."""
        kept = rows_of(self.index, statement("summary_of"), (row.seq,))
        return bytes(kept[0][0]) if kept and self.history.revision(row.seq) == row.revision else None

    def search(
        self, after: Position | None, least: int, most: int, deadline: float
    ) -> tuple[list[Found], Position | None]:
        """At most *most* records behind *after* that have the text and fulfil the conditions on documents.

        Those beyond the *least* are only counted, and looked for as long as that takes next to no time. The second is
        the place where the search stopped for its *deadline*, or for that; ``None`` when it did not.
        """
        enough = time.monotonic() + _COUNTING_BY_LOOKING_SECONDS
        found: list[Found] = []
        for rows in self._portions(after):
            for each in self.records(self._with_text(rows)):
                found.append(each)
                if len(found) == most:
                    return found, None
                if time.monotonic() > (deadline if len(found) < least else enough):
                    return found, each.row.position
            if time.monotonic() > (deadline if len(found) < least else enough):
                return found, rows[-1].position
        return found, None

    def everything(self) -> Iterator[Found]:
        """All records that have the text and fulfil the conditions on documents, however long that takes."""
        for rows in self._portions(None):
            yield from self.records(self._with_text(rows))

    def _portions(self, after: Position | None) -> Iterator[list[Row]]:
        """All rows behind *after*, some at a time; more and more where a text leaves few of them."""
        at_once = _AT_ONCE
        if self.text is not None and self.driver.text is None:
            # One look at about as many rows as a page takes is quicker than several at few.
            at_once = min(max(at_once, int(_A_PAGE * self.text.spread)), _MOST_AT_ONCE)
        while rows := self.walk.rows(after, at_once):
            yield rows
            after = rows[-1].position
            at_once = at_once if self.text is None else min(at_once * 4, _MOST_AT_ONCE)

    def _is_meant(self, found: Found, *, is_current: bool) -> bool:
        """Whether a record is what is asked for, where it is not, or may have changed since, what the index said."""
        if is_current and not self.looks_at_documents:
            return True
        if is_current:
            return all_hold(self.wanted.conditions, found.record) and self._has_text(found.record)
        return matches(self.wanted, found.record, found.facts) and self._has_text(found.record)

    def _has_text(self, record: dict[str, Any]) -> bool:
        return self.text is None or has_text(record, self.text.search)

    def _with_text(self, rows: Sequence[Row]) -> Sequence[Row]:
        if self.text is None or self.driver.text is not None:
            return rows
        seqs = self.text.among(self.index, [row.seq for row in rows])
        return [row for row in rows if row.seq in seqs]


def text_candidates(wanted: RecordFilter, parts: Sequence[Part]) -> Candidates | None:
    """The rows that may have the text that is asked for; ``None`` when none is.

    Raises:
        InvalidQuery: no part of the index knows texts, or the text cannot be searched for.
    """
    if wanted.text is None:
        return None
    search = parse_search(wanted.text)
    for part in parts:
        match = part.match(search)
        if match is not None:
            return Candidates(search, match)
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
        if query.filter.conditions or question.text is not None:
            return _searched(question, query, after, reach)
        skip = 0 if query.index is None else min((query.index - 1) * query.size, _FARTHEST)
        rows = question.walk.rows(after, query.size + 1, skip)
        page, has_more = rows[: query.size], len(rows) > query.size
        if after is None and not has_more and (page or not skip):
            total, is_exact = skip + len(page), True
        else:
            total, is_exact = _total(question, skip + len(rows) if page else 0)
        explain = tuple(_explained(question)) if query.explain else ()
    documents = list(question.page(page, as_summaries=query.summaries))
    return Selection(
        documents=documents,
        total=total,
        total_is_exact=is_exact,
        next=cursor_at(query, page[-1].position) if has_more else None,
        has_more=has_more,
        reach=reach,
        explain=explain,
        damaged=tuple(question.damaged),
    )


def _searched(question: Question, query: RecordQuery, after: Position | None, reach: IndexReach) -> Selection:
    """The answer where rows of the index have to be looked up in the text index, or documents to be looked into."""
    skip = 0 if query.index is None else min((query.index - 1) * query.size, _FARTHEST)
    deadline = time.monotonic() + _SEARCHING_SECONDS
    # A few more are cheap, and make the total of what is rare exact.
    most = max(skip + query.size + 1, 0 if question.driver.text is None else _COUNTED_BY_LOOKING)
    found, stopped = question.search(after, skip + query.size + 1, most, deadline)
    page = found[skip : skip + query.size]
    end = page[-1].row.position if len(found) > skip + query.size else stopped
    total, is_exact = len(found), after is None and stopped is None and len(found) < most
    if not is_exact and not question.looks_at_documents:
        total, is_exact = _total(question, len(found))
    return Selection(
        documents=[each.shown(as_summary=query.summaries) for each in page],
        total=total,
        total_is_exact=is_exact,
        next=None if end is None else cursor_at(query, end),
        has_more=end is not None,
        reach=reach,
        explain=tuple(_explained(question)) if query.explain else (),
        damaged=tuple(question.damaged),
    )


def _total(question: Question, at_least: int) -> tuple[int, bool]:
    """How many records there are, and whether that is exact: counting stops at 10 000, or after 3 ms."""
    if question.wanted.given() <= _COUNTED:
        return _counted(question), True
    most = at_least
    with _interrupted(question.index, _COUNTING_SECONDS):
        for counted, is_exact in question.count():
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


def _explained(question: Question) -> Iterator[str]:
    yield from question.walk.explain()
    tests = sorted({c.name for c in question.conditions if not question.driver.answers(c)})
    if tests:
        yield Message("Tests each row for: %(names)s.", names=", ".join(tests))
    driver = question.driver
    if not driver.equal and driver.tag is None and driver.text is None and not driver.given and tests:
        yield Message("No index serves this filter alone: it scans the rows in order until the page is full.")
    if question.text is not None and question.driver.text is None:
        yield Message("Keeps the rows that the text index has too.")
    if question.looks_at_documents:
        yield Message("Scans: reads and tests the documents of these rows, at most 1.5 seconds for a page.")


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
