"""Whether ``index.db`` is sound, and has what the history has."""

import random
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote

import apsw

from execution_history.errors import N_, Message
from execution_history.stores.compression import StoredRecord, Unreadable
from execution_history.stores.database_files import INDEX_DATABASE
from execution_history.stores.protocol import LARGEST_ANSWER
from execution_history.stores.sqlite.checkup.index_rows import RowComparison
from execution_history.stores.sqlite.checkup.index_sums import wrong_sums
from execution_history.stores.sqlite.checkup.record_check import places_in_sample
from execution_history.stores.sqlite.checkup.view import HistoryView, limited
from execution_history.stores.sqlite.connections import BUSY_MS, one_moment
from execution_history.stores.sqlite.documents import Documents
from execution_history.stores.sqlite.index.connections import VERSION, rows, statement
from execution_history.stores.sqlite.index.history_source import ChangedRecord
from execution_history.stores.sqlite.index.state import TEXTS, IndexState
from execution_history.stores.sqlite.queries import value
from execution_history.stores.verification import Effort, Fault, Finding, Progress, Repair

_SHOWN: Final = 3
_AT_ONCE: Final = 500
_MOST_DIFFERING: Final = 100
_TEXTS_IN_SAMPLE: Final = 100
_LAST: Final = (1 << 63) - 1
_SHARE_OF_ROWS: Final = 0.6
"""Of the work, as measured with usual records; the sums are the rest."""

_REMEDY: Final = N_("--repair rebuilds the index from the records.")
_RUNS: Final = Fault(
    N_("1 run differs between index.db and its record: %(names)s."),
    N_("%(count)s runs differ between index.db and their records: %(names)s."),
    _REMEDY,
)
_SUMS: Final = Fault(
    N_("The sums in 1 table of index.db are not those of its rows: %(names)s."),
    N_("The sums in %(count)s tables of index.db are not those of its rows: %(names)s."),
    _REMEDY,
)


class _Unreadable(Exception):  # noqa: N818 - a finding
    """The index cannot be read; its cause is SQLite's error."""


class _Moment(NamedTuple):
    """How far the index has come, and the history at the same time or a little later."""

    state: IndexState
    revision: int

    @property
    def behind(self) -> int:
        """How many changes the index has not followed yet."""
        state = self.state
        return max(0, self.revision - state.revision) + state.missing * (state.behind is not None)

    @property
    def has_all(self) -> bool:
        """Whether the index should have every record as it is."""
        return not self.behind and not self.state.lacks_rows

    @property
    def has_texts(self) -> bool:
        """Whether the index should have the texts of every record as it is."""
        return "text=" in self.state.version and self.has_all and not self.state.due[TEXTS]


@dataclass(slots=True)
class IndexFaults:
    """What the check has found.

    Attributes:
        findings: what is wrong.
        behind: how many changes it has not followed yet; what is not known of them is not compared.
        records: how many it has.
        exists: whether there is one: the first question that needs it makes it.
    """

    findings: Sequence[Finding] = ()
    behind: int = 0
    records: int = 0
    exists: bool = True


def index_faults(view: HistoryView, effort: Effort, tell: Progress, repair: Repair) -> IndexFaults:
    """Return what is wrong with the index, which *repair* makes anew.

    Raises:
        StoreError: the history cannot be read.
    """
    found, path = IndexFaults(), view.folder / INDEX_DATABASE
    found.exists = path.exists()
    if not found.exists:
        return found
    sentence: Message | None = None
    try:
        with _reading_index(), closing(_opened(path)) as index:
            said = (
                ["ok"] if effort == "quick" else [str(text) for (text,) in index.execute("PRAGMA integrity_check(10)")]
            )
            if said == ["ok"]:
                with view.documents() as (history, documents):
                    check = _IndexCheck(index, history, documents, tell)
                    found.findings = check.findings(effort, path, found, repair)
            else:
                sentence = Message("SQLite finds faults in index.db: %(shown)s.", shown="; ".join(said[:_SHOWN]))
    except _Unreadable as error:
        if isinstance(error.__cause__, (apsw.SQLError, apsw.ReadOnlyError)):
            found.behind = 1  # another version's, with other tables; or only who writes can recover it
        else:
            sentence = Message("SQLite cannot read index.db: %(reason)s.", reason=str(error.__cause__))
    if sentence is not None:
        found.findings = [Finding(sentence, Message(_REMEDY), repair=repair)]
    return found


class _IndexCheck:
    """Compares an index with its history.

    Args:
        index: a connection to it.
        history: a connection to the history.
        documents: reads its documents.
        tell: called with how much is done, and of how much.
    """

    def __init__(self, index: apsw.Connection, history: apsw.Connection, documents: Documents, tell: Progress) -> None:
        self._index, self._history, self._documents, self._tell = index, history, documents, tell
        self._rows = RowComparison(index)
        self._revision = -1
        self._total = 1
        self._done = 0

    def findings(self, effort: Effort, path: Path, found: IndexFaults, repair: Repair) -> Sequence[Finding]:
        """Return what is wrong, and note in *found* how far the index has come."""
        with self._moment() as moment:
            store = value(self._history, "store_identity")
            if moment.state.store != store or moment.state.version.partition(";")[0] != VERSION:
                found.behind = moment.revision  # it is another history's, or another version's, and made anew
                return []
            found.behind = moment.behind
            with _reading_index():
                found.records = int(rows(self._index, "SELECT count(*) FROM facets")[0][0])
            self._total = max(1, found.records)
            other_texts = effort == "thorough" and moment.has_texts and self._has_other_texts(moment)
            if effort != "thorough" or not moment.has_texts:
                self._compare_sample(moment, has_rows=effort == "quick")
        if effort == "usual" or (effort == "thorough" and not moment.has_texts):
            self._compare_all()
        if other_texts:
            sentence = Message("The texts in index.db are not those of the records.")
            return [Finding(sentence, Message(_REMEDY), repair=repair)]
        runs = [f"{run} ({', '.join(names)})" for run, names in self._rows.differing.items()]
        if runs or effort == "quick" or found.behind:
            return _RUNS.of(runs, repair)
        with _reading_index():
            return _SUMS.of(wrong_sums(path, self._tell_of_sums), repair)

    def _compare_sample(self, moment: _Moment, *, has_rows: bool) -> None:
        """Compare some records, and of a few of them every token."""
        changes, _ = self._records(statement("documents_at"), places_in_sample(self._history))
        with _reading_index():
            if has_rows:
                self._rows.compare(changes, None, is_all=moment.has_all)
            if moment.has_texts:
                # By a token that every record has even one costs as much as reading all.
                with limited(self._index, "quick" if has_rows else "usual"):
                    self._rows.compare_texts(random.sample(changes, min(_TEXTS_IN_SAMPLE, len(changes))))

    def _has_other_texts(self, moment: _Moment) -> bool:
        """Compare every row and every text, as they are at one moment."""
        place: int | None = 0
        while place is not None:
            place, changes = self._compare_next(moment, place)
            self._rows.add_texts(changes)
        with _reading_index():
            return not self._rows.differing and self._rows.has_other_texts()

    def _compare_all(self) -> None:
        """Compare every row; each batch as it is at a moment of its own, so that no log has to grow meanwhile."""
        place: int | None = 0
        while place is not None and len(self._rows.differing) < _MOST_DIFFERING:
            with self._moment() as moment:
                place, _ = self._compare_next(moment, place)

    def _compare_next(self, moment: _Moment, place: int) -> tuple[int | None, list[ChangedRecord]]:
        """Compare some records after *place*; return the place then, ``None`` at the end, and the records."""
        changes, is_end = self._records(statement("documents_after"), place, _AT_ONCE)
        last = _LAST if is_end else changes[-1].seq
        with _reading_index():
            self._rows.compare(changes, (place + 1, last), is_all=moment.has_all)
        self._done += len(changes)
        self._tell(int(self._done * _SHARE_OF_ROWS), max(self._total, self._done))
        return None if is_end else last, changes

    def _records(self, sql: str, *values: int | str) -> tuple[list[ChangedRecord], bool]:
        """Return the first records that a statement finds, without a body where it is damaged; whether they are all."""
        found, size = list[ChangedRecord](), 0
        with closing(self._history.execute(sql, values)) as cursor:
            for revision, seq, upstream_id, *row in cursor:
                stored = StoredRecord(*row)
                found.append(ChangedRecord(revision, seq, upstream_id, stored, self._body(stored)))
                size += stored.size
                if size > LARGEST_ANSWER:
                    return found, False
        return found, len(found) < _AT_ONCE

    def _body(self, stored: StoredRecord) -> bytes | None:
        with suppress(Unreadable):
            return self._documents.unpack(self._history, stored)
        return None

    def _tell_of_sums(self, count: int) -> None:
        share = _SHARE_OF_ROWS + (1 - _SHARE_OF_ROWS) * min(1, count / self._total)
        self._tell(int(self._total * share), self._total)

    @contextmanager
    def _moment(self) -> Iterator[_Moment]:
        """Make all reads in the block see one moment, the index first: it never has what the history has not yet."""
        with one_moment(self._index):
            with _reading_index():
                state = IndexState.read(self._index)
            if state.revision != self._revision:
                self._revision = state.revision
                self._rows.forget()
            with one_moment(self._history):
                yield _Moment(state, int(value(self._history, "feed_revision")))


@contextmanager
def _reading_index() -> Iterator[None]:
    """Tell the errors of the index from those of the history."""
    try:
        yield
    except (apsw.Error, UnicodeDecodeError) as error:
        raise _Unreadable from error


def _opened(path: Path) -> apsw.Connection:
    address = f"file:{quote(str(path.absolute()))}?mode=ro"
    index = apsw.Connection(address, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    index.set_busy_timeout(BUSY_MS)
    return index
