"""Pages of records: carries out the steps of a finder, with rows and documents of PostgreSQL."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from execution_history.errors import InvalidQuery, Message
from execution_history.query import steps
from execution_history.query.cursor import Position, position_at
from execution_history.query.fields import RecordFilter
from execution_history.query.finder import find
from execution_history.query.model import IndexReach, RecordKey, RecordQuery, Selection
from execution_history.query.predicates import And, Text
from execution_history.records.attributes import attributes_of
from execution_history.records.partial import outline_of, read_record
from execution_history.stores.capabilities import NO_TEXT_SEARCH
from execution_history.stores.compression import StoredRecord
from execution_history.stores.postgres.access_path import choose
from execution_history.stores.postgres.connections import Connection, Connections
from execution_history.stores.postgres.limits import USUAL, Limits
from execution_history.stores.postgres.long_texts import keys_at, keys_of_stored
from execution_history.stores.postgres.moment import Answer, Moment, one_moment
from execution_history.stores.postgres.row_scan import FoundRow, RowScan, by_seq
from execution_history.stores.postgres.search_terms import has_tokens
from execution_history.stores.postgres.stored_texts import stored_text
from execution_history.stores.sql_fragments import Fragment, of_columns, title_of
from execution_history.stores.status_numbers import STATUS_NAMES, STATUS_NUMBERS

REVISION: Final = Fragment("SELECT f.revision FROM execution_history.feed f")
"""The newest revision."""

_LARGEST_BATCH: Final = 8 * 1024 * 1024
_MOST_WITH_DOCUMENTS: Final = 200
_READ_AT_ONCE: Final = 50
_HALF: Final = 0.5
"""What is added to a number of hits in a sample, so that none does not stand for never."""

_WITH_COUNTERS: Final = frozenset({"workflow_ids", "statuses"})
_SUMS: Final = ", ".join(f"coalesce(sum(c.{name}), 0)::bigint" for name in STATUS_NAMES)


class PageEngine:
    """Carries out the steps to one page.

    Args:
        moment: reads.
        read_body: returns the bytes of a stored record, ``None`` where it is damaged.
        query: the query.
        has_text: whether texts can be searched for.
        seeks_all: whether all records are read, rather than those of a page.
        limits: how many rows are few, and how many are read at once.

    Raises:
        InvalidCursor: its cursor is broken or another query's.
        InvalidQuery: the query has a text, and there is no text search.
    """

    def __init__(
        self,
        moment: Moment,
        read_body: Callable[[StoredRecord], bytes | None],
        query: RecordQuery,
        *,
        has_text: bool,
        seeks_all: bool = False,
        limits: Limits = USUAL,
    ) -> None:
        predicate = query.filter.predicate()
        text = text_condition(predicate, has_text=has_text)
        self._moment = moment
        self._read_body = read_body
        self._filter = query.filter
        self._seeks_all = seeks_all
        self._limits = limits
        self._predicates = of_columns(predicate)
        self._has_path_conditions = bool(predicate.of_documents().parts)
        self._found: dict[int, FoundRow] = {}
        self._counts: Answer | None = None
        self._portion_size = limits.portion
        self._first: tuple[Position | None, Sequence[FoundRow]] | None = None
        self._finds_text = self._has_tried = False
        self._looked_at = self._met = 0
        self._wanted = query.size + 1
        self._sampled: float | None = None
        self._query = query
        if text is None and not self._has_path_conditions and query.filter.given() <= _WITH_COUNTERS:
            self._counts = moment.later(counts_of(query.filter.workflow_ids))
        path = choose(moment, self._predicates, query.sort, limits.few)
        self._scan = RowScan(moment, query, path, self._predicates, text)
        self.is_text_rare = text is not None and path.has_few
        if text is not None and not path.has_few:
            self._look_for_text(position_at(query))

    def execute(self, step: steps.Step) -> Any:  # noqa: ANN401 - each step defines the type of its result
        """Carry *step* out."""
        match step:
            case steps.Rows(after, limit, skip):
                return self._remembered(self._scan.rows(after, limit, skip, is_last=self._counts is not None))
            case steps.Portion(after):
                return self._portion(after)
            case steps.Documents(seqs):
                return self._documents(seqs)
            case steps.Summaries(rows):
                found = {row.seq: self._found[row.seq].summary for row in rows}
                return {seq: bytes(summary) for seq, summary in found.items() if summary is not None}
            case steps.Total(at_least):
                return self._total(at_least)
            case steps.Explain():
                return tuple(self._explained())
        raise TypeError(f"No page needs the step {type(step).__name__}.")

    def keys(self, limit: int) -> list[tuple[RecordKey, int]]:
        """Return the ids and the update times (ms) of the first *limit* records that match."""
        if self._scan.text is None and not self._has_path_conditions:
            rows = self._scan.rows(None, limit, with_documents=False)
            return keys_at(self._moment, [found.row.seq for found in rows])
        keys: list[tuple[RecordKey, int]] = []
        end: Position | None = None
        while len(keys) < limit:
            rows_of_portion, end = self._portion(end)
            keys += self._matching([row.seq for row in rows_of_portion], limit - len(keys))
            if end is None:
                break
        return keys

    def _matching(self, seqs: Sequence[int], limit: int) -> list[tuple[RecordKey, int]]:
        keys: list[tuple[RecordKey, int]] = []
        predicate, at = self._filter.predicate(), 0
        while at < len(seqs):
            count, documents = self._documents(seqs[at : at + _READ_AT_ONCE])
            at += count
            for body in (each.body for each in documents if each.body is not None):
                record = read_record(body) if self._has_path_conditions else outline_of(body)
                if predicate.holds(record, attributes_of(record)):
                    keys.append((RecordKey(record["workflow_id"], record["execute_id"]), record["update_time"]))
                    if len(keys) == limit:
                        return keys
        return keys

    def _look_for_text(self, after: Position | None) -> None:
        """Find out whether the text is rare: then rows are found by it, else they are met in their order."""
        if self._seeks_all:
            self._find_by_text(after, self._limits.few_of_all, self._limits.largest_portion)
            return
        found: list[FoundRow] = []
        is_end, size = False, 0
        for more in (self._limits.window, 4 * self._limits.window):
            read = self._scan.rows(found[-1].row.position if found else after, more, with_documents=False)
            self._note(read)
            found += read
            size += more
            is_end = len(read) < more
            if is_end or self._met >= self._wanted or not self._is_frequent():
                break
        if not is_end and not self._is_frequent():
            self._find_by_text(after, self._limits.most_with_text, _MOST_WITH_DOCUMENTS)
        if not self._finds_text:
            self._begin(after, found, size)
        self.is_text_rare = is_end or self._finds_text

    def _note(self, found: Sequence[FoundRow]) -> None:
        """Note how many rows that were met in their order have the text."""
        self._looked_at += len(found)
        self._met += sum(each.has_text is True for each in found)

    def _is_frequent(self) -> bool:
        """Whether the rows that a page still lacks are met sooner in their order than all are found by the text.

        The share of rows with the text tells both: how many have to be walked, and how many would have to be sorted.
        """
        ahead = (self._wanted - self._met) * self._looked_at / (self._met + _HALF)
        return ahead * self._limits.row <= self._share * self._limits.runs

    @property
    def _share(self) -> float:
        """The share of all rows that have the text; those that come first in another order may be special."""
        if self._query.sort == "create_time":
            return (self._met + _HALF) / self._looked_at
        if self._sampled is None:
            newest = replace(self._query, sort="create_time", descending=True)
            size = 4 * self._limits.window
            scan = RowScan(self._moment, newest, self._scan.path, self._predicates, self._scan.text)
            found = scan.rows(None, size, with_documents=False)
            self._sampled = (sum(each.has_text is True for each in found) + _HALF) / (len(found) + 1)
        return self._sampled

    def _find_by_text(self, after: Position | None, most: int, size: int) -> None:
        """Find the rows after *after* by the text from now on, *size* at once, unless they are more than *most*."""
        self._has_tried = True
        count, found = self._scan.with_text(after, size, most)
        self._finds_text = count <= most
        if self._finds_text:
            self._begin(after, found, size)

    def _begin(self, after: Position | None, found: Sequence[FoundRow], size: int) -> None:
        """Keep the rows that were found already for the next portion, for which *size* rows were asked."""
        self._first = after, found
        self._portion_size = size

    def _remembered(self, found: list[FoundRow]) -> list[steps.Row]:
        self._found = {each.row.seq: each for each in found}
        return [each.row for each in found]

    def _portion(self, after: Position | None) -> tuple[list[steps.Row], Position | None]:
        """Return some rows after *after*, more each time, and where they end."""
        is_walk = self._scan.text is not None and not self._scan.path.has_few
        if is_walk and self._first is None and not self._has_tried and not self._is_frequent():
            self._find_by_text(after, self._limits.most_with_text, _MOST_WITH_DOCUMENTS)
        size = self._portion_size
        if is_walk and self._first is None and not self._finds_text and self._met:
            # No more rows than have the documents that are read at once.
            size = min(size, max(self._limits.window, _READ_AT_ONCE * self._looked_at // self._met))
        # Without a text every row of a portion is tested, and comes with its document.
        largest = _MOST_WITH_DOCUMENTS if self._scan.text is None else self._limits.largest_portion
        self._portion_size = min(self._portion_size * 4, largest)
        first, self._first = self._first, None
        if first is not None and first[0] == after:
            found: Sequence[FoundRow] = first[1]
        elif self._finds_text:
            _, found = self._scan.with_text(after, size)
        else:
            found = self._scan.rows(after, size, with_documents=size <= _MOST_WITH_DOCUMENTS and not is_walk)
            self._note(found)
        end = found[-1].row.position if len(found) == size else None
        return self._remembered([each for each in found if each.has_text is not False]), end

    def _documents(self, seqs: Sequence[int]) -> tuple[int, list[steps.StoredDocument]]:
        """Read the first of *seqs*, as many as are not too large together."""
        count, size = 0, 0
        for seq in seqs:
            count += 1
            size += self._found[seq].size
            if size >= _LARGEST_BATCH:
                break
        read: dict[int, tuple[int, StoredRecord]] = {}
        for seq in seqs[:count]:
            row, *_, stored, _ = self._found[seq]
            if stored is not None and stored.document is not None:
                read[seq] = row.revision, stored
        missing = [seq for seq in seqs[:count] if seq not in read]
        if missing:
            for seq, version, *columns in self._moment.rows(by_seq(missing)):
                read[seq] = version, StoredRecord._make(columns)
        return count, self._unpacked([(seq, *read[seq]) for seq in seqs[:count] if seq in read])

    def _unpacked(self, read: Sequence[tuple[int, int, StoredRecord]]) -> list[steps.StoredDocument]:
        found: list[steps.StoredDocument] = []
        damaged: dict[int, RecordKey] = {}
        for seq, version, stored in read:
            body = self._read_body(stored)
            if body is None:
                damaged[seq] = stored.key
            found.append(steps.StoredDocument(seq, version, stored.key, body))
        if damaged:
            keys = keys_of_stored(self._moment, damaged.values())
            found = [each._replace(key=keys[each.key]) if each.seq in damaged else each for each in found]
        return found

    def _total(self, at_least: int) -> tuple[int, bool]:
        """Return the number of rows, and whether it is exact: at most 10,000 are counted.

        A filter by workflows and statuses only is answered by the counters.
        """
        if self._counts is not None:
            self._moment.flush()
            [counts] = self._counts.rows
            return sum(counts[STATUS_NUMBERS[name]] for name in set(self._filter.statuses or STATUS_NAMES)), True
        counted, is_exact = self._scan.total(self._limits.counted, self._limits.tested)
        return (counted, True) if is_exact else (max(at_least, counted), False)

    def _explained(self) -> Iterator[str]:
        path = self._scan.path
        if self._finds_text:
            yield Message("Reads the rows with the text from the text index.")
        else:
            yield from self._scan.explain()
        tests = sorted({title_of(each) for each in self._predicates if each not in path.decided})
        if tests:
            yield Message("Tests each row for: %(names)s.", names=", ".join(tests))
        if not path.decided and tests:
            yield Message("No index serves this filter alone: it scans the rows in order until the page is full.")
        if self._scan.text is not None and not self._finds_text:
            yield Message("Keeps the rows that the text index has too.")
        if self._has_path_conditions or self._scan.text is not None:
            yield Message("Scans: reads and tests the documents of these rows, at most 1.5 seconds for a page.")


def text_condition(predicate: And, *, has_text: bool) -> Fragment | None:
    """Return the condition that a row has the tokens of the text of *predicate*; ``None`` where it has none.

    Raises:
        InvalidQuery: texts cannot be searched for.
    """
    search = next((part.search for part in predicate.parts if isinstance(part, Text)), None)
    if search is None:
        return None
    if not has_text:
        raise InvalidQuery(NO_TEXT_SEARCH)
    return has_tokens(search)


def counts_of(workflow_ids: Sequence[str]) -> Fragment:
    """Return the statement that reads the number of records in each status, of some workflows or of all."""
    if not workflow_ids:
        return Fragment(f"SELECT {_SUMS} FROM execution_history.total_counters c")  # noqa: S608 - literals of ours
    stored = list(map(stored_text, workflow_ids))
    return Fragment(f"SELECT {_SUMS} FROM execution_history.counters c WHERE c.workflow_id = ANY(%s)", (stored,))  # noqa: S608


def select(connections: Connections, query: RecordQuery, *, has_text: bool, limits: Limits = USUAL) -> Selection:
    """Return the result of *query*, of one moment.

    Raises:
        InvalidQuery: its cursor is broken or another query's, or it has a text and texts cannot be searched for.
        StoreError: it could not be read.
    """

    def read(connection: Connection) -> Selection:
        sized = limits.of(connections.runs(connection))
        with one_moment(connection, connections.statements) as moment:
            revision = moment.later(REVISION)
            engine = PageEngine(moment, partial(connections.body, connection), query, has_text=has_text, limits=sized)
            planned = find(query, IndexReach(0, 0), clock=time.monotonic, is_text_rare=engine.is_text_rare)
            found = steps.run(planned, engine.execute)
            return replace(found, reach=reach_of(moment, revision))

    return connections.read(read)


def keys_of(
    connections: Connections, record_filter: RecordFilter, limit: int, *, has_text: bool, limits: Limits = USUAL
) -> list[tuple[RecordKey, int]]:
    """Return the ids and the update times (ms) of at most *limit* records that match, the oldest first.

    Damaged records are left out where documents decide.

    Raises:
        StoreError: they could not be read.
    """
    query = RecordQuery(filter=record_filter, descending=False)

    def read(connection: Connection) -> list[tuple[RecordKey, int]]:
        sized = limits.of(connections.runs(connection))
        with one_moment(connection, connections.statements) as moment:
            body = partial(connections.body, connection)
            engine = PageEngine(moment, body, query, has_text=has_text, seeks_all=True, limits=sized)
            return engine.keys(limit)

    return connections.read(read)


def reach_of(moment: Moment, revision: Answer) -> IndexReach:
    """Return the reach of an answer that has every change up to *revision*."""
    moment.flush()
    [(newest,)] = revision.rows
    return IndexReach(newest, newest)
