"""The documents that ``history.db`` holds: unpacked, and looked for elsewhere where they are damaged."""

import logging
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import apsw

from execution_history.errors import N_, Message, RecordDamaged, quoted
from execution_history.query.model import RecordKey
from execution_history.stores.compression import StoredRecord, Unpacker, Unreadable
from execution_history.stores.protocol import Batch, ScanToken
from execution_history.stores.scan_token import place_of, scan_token
from execution_history.stores.sqlite.connections import load_dictionaries
from execution_history.stores.sqlite.queries import query

_log = logging.getLogger("execution_history.stores.sqlite")

NO_LIMIT: Final = 1 << 62
"""As the largest size of a document that is read: all are."""

LARGEST_BATCH: Final = 8 * 1024 * 1024
"""Bytes of documents after which an answer of many records ends."""

_MOST_REMEMBERED: Final = 1_000
_MOST_NAMED: Final = 5

Recover = Callable[[StoredRecord], bytes | None]
"""What gives a record, exactly as it was stored, from elsewhere; ``None`` where it is not there."""


def nowhere(_: StoredRecord) -> None:
    """Where there are no JSON files, nothing else has a record."""


class Documents:
    """Reads stored records; for any number of threads.

    Args:
        folder: the store's folder, for messages.
        dictionaries: its dictionaries by number.
        recover: where a damaged record is looked for.
    """

    def __init__(self, folder: Path, dictionaries: dict[int, bytes], recover: Recover = nowhere) -> None:
        self._folder = str(folder)
        self._unpacker = Unpacker(dictionaries)
        self._recover = recover
        self._lock = threading.Lock()
        self._is_recovered: dict[RecordKey, bool] = {}

    def unpack(self, connection: apsw.Connection, stored: StoredRecord) -> bytes:
        """Return the JSON bytes of a record that *connection* has read.

        Raises:
            Unreadable: its document is damaged.
        """
        if not self._unpacker.knows(stored.packing):
            # Another process, of a newer version, may have brought a dictionary since we opened.
            self._unpacker = Unpacker(load_dictionaries(connection))
        return self._unpacker.unpack(stored)

    def find(self, connection: apsw.Connection, stored: StoredRecord) -> bytes | None:
        """Return the same, from elsewhere where the document is damaged (which is logged), or ``None``."""
        try:
            return self.unpack(connection, stored)
        except Unreadable:
            body = self._recover(stored)
        self._remember(stored.key, is_recovered=body is not None)
        return body

    def body(self, connection: apsw.Connection, stored: StoredRecord) -> bytes:
        """Return the same.

        Raises:
            RecordDamaged: the record cannot be read.
        """
        body = self.find(connection, stored)
        if body is None:
            raise self.damage(stored.key)
        return body

    def damage(self, key: RecordKey) -> RecordDamaged:
        """Return the error that says that a record cannot be read."""
        return RecordDamaged(self._folder, *key)

    def scan(self, connection: apsw.Connection, after: ScanToken | None, limit: int) -> Batch:
        """See :meth:`HistoryStore.scan`."""
        bodies: list[bytes] = []
        damaged: list[RecordKey] = []
        size = 0
        # Closed when left early, or the connection would keep looking at this moment.
        with closing(connection.execute(query("scan_documents"), (place_of(after), limit))) as rows:
            for number, (seq, *row) in enumerate(rows, 1):
                stored = StoredRecord(*row)
                body = self.find(connection, stored)
                if body is None:
                    damaged.append(stored.key)
                else:
                    bodies.append(body)
                    size += len(body)
                if size >= LARGEST_BATCH or number == limit:
                    return Batch(bodies, scan_token(seq), tuple(damaged))
        return Batch(bodies, None, tuple(damaged))

    def problems(self, connection: apsw.Connection) -> tuple[str, ...]:
        """Return a sentence for the damaged records that were read from elsewhere, and one for those that were not."""
        with self._lock:
            known = dict(self._is_recovered)
        mended = {key for key in known if not self._is_damaged(connection, key)}
        with self._lock:
            for key in mended:
                self._is_recovered.pop(key, None)
        still = {key: is_recovered for key, is_recovered in known.items() if key not in mended}
        recovered = [key for key, is_recovered in still.items() if is_recovered]
        lost = [key for key, is_recovered in still.items() if not is_recovered]
        found = []
        if lost:
            sentence = N_(
                "%(records)s in %(folder)s cannot be read, because history.db is damaged there: %(names)s. "
                "Import them from a backup or an export, or delete them."
            )
            if len(lost) == 1:
                sentence = N_(
                    "%(records)s in %(folder)s cannot be read, because history.db is damaged there: %(names)s. "
                    "Import it from a backup or an export, or delete it."
                )
            found.append(Message(sentence, records=_counted(lost), folder=quoted(self._folder), names=_named(lost)))
        if recovered:
            sentence = N_(
                "%(records)s in %(folder)s can be read from JSON files only, because history.db is damaged there: "
                "%(names)s. Importing these files writes them anew."
            )
            if len(recovered) == 1:
                sentence = N_(
                    "%(records)s in %(folder)s can be read from JSON files only, because history.db is damaged there: "
                    "%(names)s. Importing these files writes it anew."
                )
            found.append(
                Message(sentence, records=_counted(recovered), folder=quoted(self._folder), names=_named(recovered))
            )
        return tuple(found)

    def _is_damaged(self, connection: apsw.Connection, key: RecordKey) -> bool:
        row = connection.execute(query("document"), (NO_LIMIT, *key)).fetchone()
        if row is None:
            return False
        try:
            self.unpack(connection, StoredRecord(*row))
        except Unreadable:
            return True
        return False

    def _remember(self, key: RecordKey, *, is_recovered: bool) -> None:
        with self._lock:
            if self._is_recovered.get(key) is is_recovered:
                return
            if key not in self._is_recovered and len(self._is_recovered) >= _MOST_REMEMBERED:
                return
            self._is_recovered[key] = is_recovered
        outcome = "and is read from its JSON file" if is_recovered else "and cannot be read"
        _log.warning("Execution %r of workflow %r is damaged in %s/history.db %s.", *key[::-1], self._folder, outcome)


def _counted(keys: list[RecordKey]) -> Message:
    """Return how many records these are, as far as they are remembered."""
    if len(keys) == 1:
        return Message("1 record")
    is_all = len(keys) < _MOST_REMEMBERED
    return Message(N_("%(count)s records") if is_all else N_("At least %(count)s records"), count=len(keys))


def _named(keys: list[RecordKey]) -> str:
    names = [f"{workflow_id[:80]}/{execute_id[:80]}" for workflow_id, execute_id in keys[:_MOST_NAMED]]
    more = len(keys) - len(names)
    shown = ", ".join(names)
    return Message("%(names)s and %(more)s more", names=shown, more=more) if more else shown
