"""Writes the texts of records into the index, behind their rows and the newest first."""

import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

import apsw
import orjson

from execution_history.query.model import RecordKey
from execution_history.records.partial import outline_of
from execution_history.stores.sqlite.index.connections import committed, rows, statement
from execution_history.stores.sqlite.index.history_source import HistoryView
from execution_history.stores.sqlite.index.limits import Limits
from execution_history.stores.sqlite.index.precedence import Precedence
from execution_history.stores.sqlite.index.row_writer import is_of_record
from execution_history.stores.sqlite.index.state import TEXTS, Due, IndexState, drop_due, some_due
from execution_history.stores.sqlite.index.text_index import TextIndex

_log = logging.getLogger("execution_history.stores.sqlite")

_MOST_SECONDS: Final = 1.0


class TextWriter:
    """Writes texts; for any number of threads, each on a connection of its own.

    Args:
        text: the text index.
        limits: how much a step writes.
        precedence: queries, which go before.
    """

    def __init__(self, text: TextIndex, limits: Limits, precedence: Precedence) -> None:
        self._text = text
        self._limits = limits
        self._precedence = precedence

    def put_one(self, index: apsw.Connection, seq: int, key: RecordKey, record: Mapping[str, Any]) -> None:
        """Write the texts of a record that has none in the index, within a transaction of the caller."""
        prepared = self._prepared(key, record)
        if prepared is not None:
            self._put(index, seq, key, prepared)

    def remove(self, index: apsw.Connection, seqs: Iterable[int]) -> None:
        """Remove the texts of records, if any."""
        for seq in seqs:
            self._text.remove(index, seq)

    def step(self, index: apsw.Connection, history: HistoryView) -> bool:
        """Write some of the texts that are due; return whether there were any.

        They are prepared before the transaction, so that it is short. A record that changes meanwhile stays due.

        Raises:
            apsw.Error: the index failed; nothing was written.
            StoreError: the history failed; nothing was written.
        """
        due = some_due(index, TEXTS, self._limits.texts)
        if not due:
            return False
        until = time.monotonic() + _MOST_SECONDS
        prepared: dict[int, tuple[int, RecordKey, str | None]] = {}
        taken = 0
        while taken < len(due) and time.monotonic() < until:
            self._precedence.give_way()
            count, found = history.documents([seq for _, seq in due[taken : taken + self._limits.at_once]])
            taken += count
            for stored in found:
                tokens = None if stored.body is None else self._prepared_body(stored.key, stored.body)
                prepared[stored.seq] = stored.revision, stored.key, tokens
        self._write(index, due[:taken], prepared)
        return True

    def _write(
        self, index: apsw.Connection, due: Iterable[Due], prepared: Mapping[int, tuple[int, RecordKey, str | None]]
    ) -> None:
        index.execute("BEGIN IMMEDIATE")
        with committed(index):
            listed = orjson.dumps([seq for _, seq in due]).decode()
            revisions = {seq: revision for seq, revision, *_ in rows(index, statement("rows_of"), (listed,))}
            still = set(rows(index, statement("which_due"), (TEXTS, orjson.dumps(list(due)).decode())))
            # A record that the index lacks is not due; one of another revision is, until its row is written again.
            done = [
                each
                for each in due
                if each in still and (each[1] not in revisions or prepared.get(each[1], (-1,))[0] == revisions[each[1]])
            ]
            # In the order of rowids: for a smaller one a full-text table writes its buffer.
            for seq in sorted(seq for _, seq in done if seq in revisions):
                _, key, tokens = prepared[seq]
                if tokens is not None:
                    self._put(index, seq, key, tokens)
            IndexState.read(index).with_due(TEXTS, -drop_due(index, TEXTS, done)).save(index)

    def _prepared_body(self, key: RecordKey, body: bytes) -> str | None:
        try:
            record = outline_of(body)
        except ValueError as error:
            _log_left_out(key, error)
            return None
        return self._prepared(key, record)

    def _prepared(self, key: RecordKey, record: Mapping[str, Any]) -> str | None:
        try:
            return self._text.prepare(record)
        except Exception as error:  # noqa: BLE001 - whatever a record has, the others are indexed
            _log_left_out(key, error)
            return None

    def _put(self, index: apsw.Connection, seq: int, key: RecordKey, prepared: str) -> None:
        try:
            self._text.put(index, seq, prepared)
        except Exception as error:
            if not is_of_record(error):
                raise
            _log_left_out(key, error)


def _log_left_out(key: RecordKey, error: Exception) -> None:
    _log.warning(
        "The texts of execution %r of workflow %r cannot be taken into the index: %s: %s",
        key.execute_id, key.workflow_id, type(error).__name__, error,
    )  # fmt: skip
