"""Writes the texts of records into the index, behind their rows and the newest first."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import Any, Final

import apsw

from execution_history.query.model import RecordKey
from execution_history.records.partial import outline_of
from execution_history.stores.sqlite.index.connections import committed
from execution_history.stores.sqlite.index.history_source import HistoryView
from execution_history.stores.sqlite.index.limits import Limits
from execution_history.stores.sqlite.index.overlap import overlapped
from execution_history.stores.sqlite.index.precedence import Precedence
from execution_history.stores.sqlite.index.row_writer import is_of_record
from execution_history.stores.sqlite.index.state import TEXTS, Due, IndexState, drop_due, some_due, which_done
from execution_history.stores.sqlite.index.text_index import TextIndex

_log = logging.getLogger("execution_history.stores.sqlite")

_MOST_SECONDS: Final = 2.0
_PAUSE: Final = 0.002
"""Between two transactions: whoever waits for the lock of the file looks at it every millisecond."""

_Prepared = tuple[int, RecordKey, str | None]
"""The revision of a record, its key, and its tokens."""

_Portion = dict[Due, _Prepared]
"""Records by their place."""

_GONE: Final[_Prepared] = (-1, RecordKey("", ""), None)


class TextWriter:
    """Writes texts; for any number of threads, each on a connection of its own.

    Args:
        text: the text index.
        limits: how much a step writes.
        precedence: queries, which go before.
        is_stopped: whether to end a step early; called often.
    """

    def __init__(self, text: TextIndex, limits: Limits, precedence: Precedence, is_stopped: Callable[[], bool]) -> None:
        self._text = text
        self._limits = limits
        self._precedence = precedence
        self._is_stopped = is_stopped

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

        They are prepared outside of the transactions, so that these are short, and while the portion before is written.
        A record that changes meanwhile stays due.

        Raises:
            apsw.Error: the index failed; texts of earlier portions may have been written.
            StoreError: the history failed; likewise.
        """
        due = some_due(index, TEXTS, self._limits.texts * self._limits.text_portions)
        if not due:
            return False
        overlapped(self._portions(history, due), partial(self._write, index))
        return True

    def _portions(self, history: HistoryView, due: Sequence[Due]) -> Iterator[_Portion]:
        until = time.monotonic() + _MOST_SECONDS

        def is_over() -> bool:
            return self._is_stopped() or time.monotonic() > until

        taken = 0
        while taken < len(due) and not is_over():
            portion = self._prepared_portion(history, due[taken : taken + self._limits.texts], is_over)
            taken += len(portion)
            yield portion

    def _prepared_portion(self, history: HistoryView, due: Sequence[Due], is_over: Callable[[], bool]) -> _Portion:
        """Return the first of *due*, with their texts, until the step is over; at least one."""
        prepared: dict[int, _Prepared] = {}
        taken = 0
        while taken < len(due) and not (taken and is_over()):
            self._precedence.give_way()
            count, found = history.documents([seq for _, seq in due[taken : taken + self._limits.at_once]])
            taken += count
            for stored in found:
                tokens = None if stored.body is None else self._prepared_body(stored.key, stored.body)
                prepared[stored.seq] = stored.revision, stored.key, tokens
        return {each: prepared.get(each[1], _GONE) for each in due[:taken]}

    def _write(self, index: apsw.Connection, portion: _Portion) -> None:
        index.execute("BEGIN IMMEDIATE")
        with committed(index):
            listed = [(*place, revision) for place, (revision, *_) in portion.items()]
            done = which_done(index, TEXTS, listed)
            # In the order of rowids: for a smaller one a full-text table writes its buffer.
            texts = {seq: portion[at, seq] for at, seq, is_there in sorted(done, key=itemgetter(1)) if is_there}
            self._put_all(index, {seq: (key, tokens) for seq, (_, key, tokens) in texts.items() if tokens is not None})
            dropped = drop_due(index, TEXTS, [(at, seq) for at, seq, _ in done])
            IndexState.read(index).with_due(TEXTS, -dropped).save(index)
        time.sleep(_PAUSE)

    def _put_all(self, index: apsw.Connection, texts: Mapping[int, tuple[RecordKey, str]]) -> None:
        try:
            self._text.put_all(index, {seq: tokens for seq, (_, tokens) in texts.items()})
        except Exception as error:
            if not is_of_record(error):
                raise
            for seq, (key, tokens) in texts.items():
                self._put(index, seq, key, tokens)

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
