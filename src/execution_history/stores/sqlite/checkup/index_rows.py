"""Whether the rows and the texts of ``index.db`` are those that the records give.

What these should be is what the index itself makes of a record, so every column that
:data:`execution_history.query.fields.ATTRIBUTES` has is compared.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import apsw
import orjson

from execution_history.query.text.tokens import Token
from execution_history.records.partial import outline_of
from execution_history.stores.sqlite.index.connections import rows
from execution_history.stores.sqlite.index.history_source import ChangedRecord
from execution_history.stores.sqlite.index.predicate_sql import STORED
from execution_history.stores.sqlite.index.record_rows import RecordRows, Row
from execution_history.stores.sqlite.index.row_writer import RowWriter
from execution_history.stores.sqlite.index.text_index import TextIndex, fts5_of

_COLUMNS: Final = ("seq", "revision", *(each.column for each in STORED))
_EXECUTE_ID: Final = _COLUMNS.index("execute_id")
_FACETS: Final = f"SELECT {', '.join(_COLUMNS)} FROM facets WHERE "  # noqa: S608 - columns of ours
_OTHERS: Final = ("tags", "failed_nodes", "nodes", "summaries")
"""The other tables that have rows of a record."""

_LISTED: Final = "seq IN (SELECT value FROM json_each(?))"
_BETWEEN: Final = "seq BETWEEN ? AND ?"
_MATCHES: Final = "SELECT rowid FROM words WHERE words MATCH ? AND +rowid IN (SELECT value FROM json_each(?))"
_VOCABULARY: Final = "CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab('main', 'words', 'instance')"
_POSTINGS: Final = "SELECT term, count(*), sum(doc) FROM temp.vocabulary GROUP BY term"
_MOST_TOKENS: Final = 100


class RowComparison:
    """Compares records with their rows in the index. Not for several threads at once.

    Args:
        index: a connection to ``index.db`` that only reads.

    Attributes:
        differing: the columns and tables that differ, by the ids of the runs.
    """

    def __init__(self, index: apsw.Connection) -> None:
        self.differing: dict[str, list[str]] = {}
        self._index = index
        self._writer = RowWriter()
        self._text = TextIndex()
        self._digest = (0, 0)

    def forget(self) -> None:
        """Forget the numbers of texts: in an index that was written meanwhile others may have got them."""
        self._writer.forget()

    def compare(self, changes: Iterable[ChangedRecord], between: tuple[int, int] | None, *, is_all: bool) -> None:
        """Compare records; those without a body are only looked for.

        Args:
            changes: the records.
            between: places between which the index should have no other record; ``None``: there may be.
            is_all: whether it should have all of them as they are; it may have another version of them otherwise.
        """
        made = {change.seq: change for change in changes}
        if between is None:
            facets = rows(self._index, _FACETS + _LISTED, (_listed(made),))
        else:
            facets = rows(self._index, _FACETS + _BETWEEN, between)
        stored = {row[0]: row for row in facets}
        others = {table: self._others(table, made) for table in _OTHERS}
        for seq, change in made.items():
            row = stored.get(seq)
            if row is None:
                if is_all:
                    self.differing[change.stored.execute_id] = ["facets"]
            elif change.body is not None and (is_all or row[1] == change.revision):
                self._compare(change, row, {table: found.get(seq, set()) for table, found in others.items()})
        if is_all:
            self.differing |= {str(row[_EXECUTE_ID]): ["facets"] for seq, row in stored.items() if seq not in made}

    def compare_texts(self, changes: Sequence[ChangedRecord]) -> None:
        """Look which of some records, all of which the index should have, it finds by some of their tokens."""
        texts = {change.seq: self._tokens(change) for change in changes}
        names = {change.seq: change.stored.execute_id for change in changes}
        tokens = list(set[str]().union(*texts.values()))
        for token in random.sample(tokens, min(len(tokens), _MOST_TOKENS)):
            found = {seq for (seq,) in rows(self._index, _MATCHES, (fts5_of(Token(token)), _listed(texts)))}
            for seq in found.symmetric_difference(seq for seq, text in texts.items() if token in text):
                self.differing[names[seq]] = ["words"]

    def add_texts(self, changes: Iterable[ChangedRecord]) -> None:
        """Take the texts of some records into what :meth:`has_other_texts` compares."""
        number, places = self._digest
        for change in changes:
            digest = sum(map(hash, self._tokens(change)))
            number, places = number + digest, places + digest * change.seq
        self._digest = number, places

    def has_other_texts(self) -> bool:
        """Return whether the index has other texts than those that were added, which are those of all records."""
        number = places = 0
        self._index.execute(_VOCABULARY)
        try:
            for term, count, seqs in self._index.execute(_POSTINGS):
                digest = hash(term)
                number, places = number + digest * count, places + digest * seqs
        finally:
            self._index.execute("DROP TABLE temp.vocabulary")
        return self._digest != (number, places)

    def _compare(self, change: ChangedRecord, facets: Row, others: Mapping[str, set[Row]]) -> None:
        names = self._differences(self._writer.prepare(self._index, change, keeps_record=False), facets, others)
        if names:  # of a record that SQLite would not take the index has what its columns say
            columns = self._writer.prepare(self._index, change._replace(body=None), keeps_record=False)
            if self._differences(columns, facets, others):
                self.differing[change.stored.execute_id] = names

    def _differences(self, made: RecordRows, facets: Row, others: Mapping[str, set[Row]]) -> list[str]:
        pairs = zip(_COLUMNS, made.facets, facets, strict=True)
        names = [] if made.facets == facets else [name for name, one, other in pairs if one != other]
        summaries = () if made.summary is None else ((made.seq, made.summary),)
        for table, should in zip(_OTHERS, (made.tags, made.failed_nodes, made.nodes, summaries), strict=True):
            if others[table] != set(should):
                names.append(table)
        if made.failure is not None:
            named = rows(self._index, "SELECT 1 FROM failures WHERE fingerprint = ?", made.failure[:1])
            names += [] if named else ["failures"]
        return names

    def _others(self, table: str, seqs: Iterable[int]) -> dict[int, set[Row]]:
        found: dict[int, set[Row]] = {}
        sql = f"SELECT seq, * FROM {table} WHERE {_LISTED}"  # noqa: S608 - a table of ours
        for seq, *row in rows(self._index, sql, (_listed(seqs),)):
            found.setdefault(seq, set()).add(tuple(row))
        return found

    def _tokens(self, change: ChangedRecord) -> set[str]:
        """Return the tokens of a record; none of one whose texts cannot be in the index."""
        try:
            tokens = "" if change.body is None else self._text.prepare(outline_of(change.body))
            tokens.encode()  # SQLite takes no half of a surrogate pair
        except Exception:  # noqa: BLE001 - as the index does it: whatever a record has, others are indexed
            return set()
        return set(tokens.split())


def _listed(seqs: Iterable[int]) -> str:
    return orjson.dumps(list(seqs)).decode()
