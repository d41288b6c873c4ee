"""Pages of records: carries out the steps of a finder, with rows of the index and documents of the history."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import apsw
import orjson

from execution_history.errors import InvalidQuery, Message
from execution_history.query import steps
from execution_history.query.cursor import Position
from execution_history.query.finder import find
from execution_history.query.model import IndexReach, RecordQuery, Selection
from execution_history.query.predicates import And, Text
from execution_history.stores.capabilities import NO_TEXT_SEARCH
from execution_history.stores.sql_fragments import of_columns, title_of
from execution_history.stores.sqlite.index.access_path import AccessPath, choose
from execution_history.stores.sqlite.index.connections import rows as rows_of
from execution_history.stores.sqlite.index.connections import statement
from execution_history.stores.sqlite.index.history_source import HistoryView
from execution_history.stores.sqlite.index.index_scan import IndexScan
from execution_history.stores.sqlite.index.limits import USUAL, Limits
from execution_history.stores.sqlite.index.text_index import TextIndex, TextMatches
from execution_history.stores.status_numbers import STATUS_NAMES, STATUS_NUMBERS

_COUNTING_SECONDS: Final = 0.003
_STEPS: Final = 2_000
_A_PAGE: Final = 60
_MOST_AT_ONCE: Final = 10_000
_COUNTING_TEXT: Final = (10_000, 100_000)
_WITH_COUNTERS: Final = frozenset({"workflow_ids", "statuses"})


class PageEngine:
    """Carries out the steps to one page, on one connection to the index and one to the history.

    Args:
        index: a connection to ``index.db``.
        history: a connection to ``history.db``.
        query: the query.
        text: the text index, if there is one.
        limits: how many rows are few, and how many are read at once.

    Raises:
        InvalidQuery: the query has a text, and there is no text index.
    """

    def __init__(
        self, index: apsw.Connection, history: HistoryView, query: RecordQuery, text: TextIndex | None, limits: Limits
    ) -> None:
        predicate = query.filter.predicate()
        self._index = index
        self._history = history
        self._filter = query.filter
        self._at_once = limits.at_once
        self._predicates = of_columns(predicate)
        self._looks_at_documents = bool(predicate.of_documents().parts)
        self._text = text_matches(predicate, text)
        self._path = choose(index, self._predicates, query.sort, self._text, limits)
        self._scan = IndexScan(index, query, self._path, self._predicates)
        self._portion_size = self._first_portion()

    @property
    def is_text_exact(self) -> bool:
        """Whether the text index alone decides which records have the text."""
        return self._text is None or self._text.is_exact

    @property
    def is_text_rare(self) -> bool:
        """Whether rows are read from the text index, as few have the text."""
        return self._path.text is not None

    def execute(self, step: steps.Step) -> Any:  # noqa: ANN401 - each step defines the type of its result
        """Carry *step* out."""
        match step:
            case steps.Rows(after, limit, skip):
                return self._scan.rows(after, limit, skip)
            case steps.Portion(after):
                return self._portion(after)
            case steps.Documents(seqs):
                return self._history.documents(seqs)
            case steps.Summaries(rows):
                return self._summaries(rows)
            case steps.Total(at_least):
                return self._total(at_least)
            case steps.Explain():
                return tuple(self._explained())
        raise TypeError(f"No page needs the step {type(step).__name__}.")

    def _first_portion(self) -> int:
        if self._text is None or self._path.text is not None:
            return self._at_once
        # One read of about as many rows as a page needs is quicker than several of few.
        return min(max(self._at_once, int(_A_PAGE * self._text.spread)), _MOST_AT_ONCE)

    def _portion(self, after: Position | None) -> tuple[list[steps.Row], Position | None]:
        """Return some rows after *after*, more each time where a text leaves few of them, and where they end."""
        found = self._scan.rows(after, self._portion_size)
        end = found[-1].position if len(found) == self._portion_size else None
        if self._text is None:
            return found, end
        self._portion_size = min(self._portion_size * 4, _MOST_AT_ONCE)
        if self._path.text is None:
            seqs = self._text.among(self._index, [row.seq for row in found])
            found = [row for row in found if row.seq in seqs]
        return found, end

    def _summaries(self, rows: Sequence[steps.Row]) -> dict[int, bytes]:
        """Return the summaries in the index of those large records that have not changed since."""
        listed = orjson.dumps([row.seq for row in rows]).decode()
        kept = {seq: bytes(body) for seq, body in rows_of(self._index, statement("summaries_of"), (listed,))}
        current = self._history.revisions(kept) if kept else {}
        return {row.seq: kept[row.seq] for row in rows if row.seq in kept and current.get(row.seq) == row.revision}

    def _total(self, at_least: int) -> tuple[int, bool]:
        """Return the number of rows, and whether it is exact: counting stops at 10 000, or after 3 ms.

        A filter by workflows and statuses only is answered by the counters of the history.
        """
        if self._filter.given() <= _WITH_COUNTERS:
            counts = self._history.counts(self._filter.workflow_ids)
            return sum(counts[STATUS_NUMBERS[name]] for name in set(self._filter.statuses or STATUS_NAMES)), True
        highest = at_least
        with _interrupted(self._index, _COUNTING_SECONDS):
            for counted, is_exact in self._counts():
                if is_exact:
                    return counted, True
                highest = max(highest, counted)
        return highest, False

    def _counts(self) -> Iterator[tuple[int, bool]]:
        """Return the number of rows counted in each step, and whether that is all of them."""
        text = self._text
        if text is None:
            return self._scan.count()
        if self._path.seqs is not None:
            return self._scan.count() if self._predicates else iter([(len(self._path.seqs), True)])
        if self._predicates:
            return replace(self._scan, path=AccessPath("text", text=text, is_ordered=False)).count()
        counts = ((text.count(self._index, bound + 1), bound) for bound in _COUNTING_TEXT)
        return ((min(count, bound), count <= bound) for count, bound in counts)

    def _explained(self) -> Iterator[str]:
        yield from self._scan.explain()
        tests = sorted({title_of(each) for each in self._predicates if not self._path.uses(each)})
        if tests:
            yield Message("Tests each row for: %(names)s.", names=", ".join(tests))
        if self._path.is_whole and tests:
            yield Message("No index serves this filter alone: it scans the rows in order until the page is full.")
        if self._text is not None and self._path.text is None:
            yield Message("Keeps the rows that the text index has too.")
        if self._looks_at_documents or not self.is_text_exact:
            yield Message("Scans: reads and tests the documents of these rows, at most 1.5 seconds for a page.")


def text_matches(predicate: And, text: TextIndex | None) -> TextMatches | None:
    """Return the rows that may have the text of *predicate*; ``None`` where it has none.

    Raises:
        InvalidQuery: there is no text index.
    """
    search = next((part.search for part in predicate.parts if isinstance(part, Text)), None)
    if search is None:
        return None
    if text is None:
        raise InvalidQuery(NO_TEXT_SEARCH)
    return text.match(search)


def select(
    index: apsw.Connection,
    history: HistoryView,
    query: RecordQuery,
    text: TextIndex | None,
    reach: IndexReach,
    limits: Limits = USUAL,
    clock: Callable[[], float] = time.monotonic,
) -> Selection:
    """Return the result of *query*, whose reads of the index see one moment.

    Raises:
        InvalidQuery: its cursor is broken or another query's, or it has a text and there is no text search.
    """
    engine = PageEngine(index, history, query, text, limits)
    planned = find(query, reach, clock=clock, is_text_exact=engine.is_text_exact, is_text_rare=engine.is_text_rare)
    return steps.run(planned, engine.execute)


@contextmanager
def _interrupted(index: apsw.Connection, seconds: float) -> Iterator[None]:
    """Leave the block when its statements on *index* have taken *seconds*."""
    deadline = time.monotonic() + seconds
    index.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
    try:
        yield
    except apsw.InterruptError:
        pass
    finally:
        index.set_progress_handler(None)
