"""Writes the rows of records, many at once, and keeps the hourly rollups in step with them."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import apsw
import orjson

from execution_history.stores.sqlite.index.connections import add_rows, rows, statement
from execution_history.stores.sqlite.index.history_source import ChangedRecord
from execution_history.stores.sqlite.index.predicate_sql import STORED
from execution_history.stores.sqlite.index.record_rows import (
    Cell,
    NodeFigures,
    RecordRows,
    SharedTexts,
    columns_of,
    rows_of,
)
from execution_history.stores.sqlite.index.rollup_writer import Rollups

_log = logging.getLogger("execution_history.stores.sqlite")

_VALUE_ERRORS: Final = (apsw.ConstraintError, apsw.MismatchError, apsw.TooBigError)
"""SQLite's errors for a value rather than for the file."""

_ADD_FACETS: Final = (
    f"INSERT INTO facets (seq, revision, {', '.join(each.column for each in STORED)}) "  # noqa: S608 - columns of ours
    f"SELECT {', '.join(f'value ->> {place}' for place in range(2 + len(STORED)))} FROM jsonb_each(?)"
)
_DROPS: Final = ("drop_facets", "drop_tags", "drop_failed_nodes", "drop_nodes", "drop_summary")


def is_of_record(error: Exception) -> bool:
    """Return whether *error* is the fault of a record's values rather than of the index."""
    return not isinstance(error, apsw.Error) or isinstance(error, _VALUE_ERRORS)


def log_left_out(change: ChangedRecord, error: Exception) -> None:
    """Log that of a record only its columns are in the index."""
    _log.warning(
        "Execution %r of workflow %r cannot be taken into the index, except for its columns: %s: %s",
        change.stored.execute_id, change.stored.workflow_id, type(error).__name__, error,
    )  # fmt: skip


class RowWriter:
    """Writes rows of records within a transaction of its caller. Not for several threads at once.

    Args:
        is_alone: whether nobody else writes the file.
    """

    def __init__(self, *, is_alone: bool = False) -> None:
        self._texts = SharedTexts(is_alone=is_alone)

    def forget(self) -> None:
        """Drop the caches: the file is another one, or a transaction was undone."""
        self._texts.forget()

    def finish(self, index: apsw.Connection) -> None:
        """Write what is left to be written, before the transaction ends."""
        self._texts.index = index
        self._texts.add_new()

    def prepare(self, index: apsw.Connection, change: ChangedRecord, *, keeps_record: bool) -> RecordRows:
        """Return the rows of a record; of one that cannot be read, or fails in any way, its columns only."""
        self._texts.index = index
        if change.body is not None:
            try:
                return rows_of(self._texts, change, change.body, keeps_record=keeps_record)
            except Exception as error:
                if not is_of_record(error):
                    raise
                log_left_out(change, error)
        return columns_of(self._texts, change)

    def text_number(self, index: apsw.Connection, text: str) -> int:
        """Return the number of a text."""
        self._texts.index = index
        return self._texts[text]

    def add(self, index: apsw.Connection, prepared: Mapping[int, tuple[ChangedRecord, RecordRows]]) -> None:
        """Write records, by their seq, that the index does not have."""
        found = [each for _, each in prepared.values()]
        try:
            with index:
                _insert(index, found)
        except Exception as error:
            if not is_of_record(error):
                raise
            found = [self._add_one(index, change, each) for change, each in prepared.values()]
        rollups = Rollups()
        rollups.count((each.cell for each in found), 1)
        rollups.write(index)

    def _add_one(self, index: apsw.Connection, change: ChangedRecord, prepared: RecordRows) -> RecordRows:
        try:
            with index:
                _insert(index, [prepared])
        except Exception as error:
            if not is_of_record(error):
                raise
            log_left_out(change, error)
        else:
            return prepared
        columns = columns_of(self._texts, change)
        _insert(index, [columns])
        return columns

    def known(self, index: apsw.Connection, seqs: Iterable[int]) -> dict[int, tuple[int, Cell]]:
        """Return the revisions of the records at *seqs* that the index has, and what rollups count of them."""
        listed = orjson.dumps(list(seqs)).decode()
        nodes: dict[int, list[NodeFigures]] = {}
        for seq, *figures in rows(index, statement("nodes_of"), (listed,)):
            nodes.setdefault(seq, []).append(NodeFigures._make(figures))
        return {
            seq: (revision, Cell._make([*figures, tuple(nodes.get(seq, ()))]))
            for seq, revision, *figures in rows(index, statement("rows_of"), (listed,))
        }

    def remove(self, index: apsw.Connection, known: Mapping[int, Cell]) -> None:
        """Remove the rows of records, except those of their texts."""
        seqs = [(seq,) for seq in known]
        for name in _DROPS:
            index.executemany(statement(name), seqs)
        rollups = Rollups()
        rollups.count(known.values(), -1)
        rollups.write(index)


def _insert(index: apsw.Connection, prepared: Sequence[RecordRows]) -> None:
    add_rows(index, _ADD_FACETS, [each.facets for each in prepared])
    for name, found in (
        ("add_tag", [row for each in prepared for row in each.tags]),
        ("add_failed_node", [row for each in prepared for row in each.failed_nodes]),
        ("add_node", [row for each in prepared for row in each.nodes]),
        ("name_failures", [each.failure for each in prepared if each.failure is not None]),
    ):
        add_rows(index, statement(name), found)
    summaries = [(each.seq, each.summary) for each in prepared if each.summary is not None]
    index.executemany(statement("put_summary"), summaries)
