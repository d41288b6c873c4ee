"""The documents of ``history.db``: unpacked; where they are damaged, mended or read from the JSON files."""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import apsw

from execution_history.errors import N_, Message, RecordDamaged, quoted
from execution_history.query.model import RecordKey
from execution_history.stores.compression import StoredRecord, Unpacker, Unreadable
from execution_history.stores.database_files import DATABASE
from execution_history.stores.jsonfiles.recovery import recovered_from
from execution_history.stores.protocol import LARGEST_ANSWER, Batch, ScanToken
from execution_history.stores.scan_token import place_of, scan_token
from execution_history.stores.sqlite.connections import load_dictionaries, open_unchanged
from execution_history.stores.sqlite.error_mapping import faults
from execution_history.stores.sqlite.queries import query, rows

_log = logging.getLogger("execution_history.stores.sqlite")

NO_LIMIT: Final = 1 << 62
"""The limit with which documents of any size are read."""


_SCANNED_AT_ONCE: Final = 1_000
_MOST_REMEMBERED: Final = 1_000
_MOST_NAMED: Final = 5

_SENTENCES: Final = {
    False: (
        N_(
            "%(records)s in %(folder)s cannot be read, because history.db is damaged there: %(names)s. "
            "Take it from a backup with execution-history restore FOLDER --missing, import an export, or delete it."
        ),
        N_(
            "%(records)s in %(folder)s cannot be read, because history.db is damaged there: %(names)s. "
            "Take them from a backup with execution-history restore FOLDER --missing, import an export, or delete them."
        ),
    ),
    True: (
        N_(
            "%(records)s in %(folder)s is damaged in history.db, and is read from its JSON file or with the flipped "
            "bit turned back: %(names)s. execution-history doctor --repair writes it anew."
        ),
        N_(
            "%(records)s in %(folder)s are damaged in history.db, and are read from their JSON files or with the "
            "flipped bit turned back: %(names)s. execution-history doctor --repair writes them anew."
        ),
    ),
}
"""Sentences for one damaged record and for several: those that cannot be read, and those that can."""

Recover = Callable[[StoredRecord], bytes | None]
"""Returns a record, exactly as it was stored, from elsewhere; ``None`` where it is not there."""


def nowhere(_: StoredRecord) -> None:
    """Return ``None``: without JSON files nothing else has a record."""


class Documents:
    """Reads stored records; for any number of threads.

    Args:
        folder: the store's folder, for messages.
        dictionaries: its dictionaries by number.
        recover: returns a damaged record from elsewhere.
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
        if not self._unpacker.can_unpack(stored.packing):
            # Another process, of a newer version, may have added a dictionary meanwhile.
            self._unpacker = Unpacker(load_dictionaries(connection))
        return self._unpacker.unpack(stored)

    def find(self, connection: apsw.Connection, stored: StoredRecord) -> bytes | None:
        """Return the JSON bytes of a record, recovered where it is damaged (which is logged), or ``None``."""
        try:
            return self.unpack(connection, stored)
        except Unreadable:
            body = self._recovered(stored)
        self._remember(stored.key, is_recovered=body is not None)
        return body

    def _recovered(self, stored: StoredRecord) -> bytes | None:
        """Return a damaged record from elsewhere, or mended where its checksum contradicts what is there."""
        copy = self._recover(stored)
        if copy is not None and self._unpacker.is_original(stored, copy):
            return copy
        is_hopeless = self._is_recovered.get(stored.key) is False  # looking for the bit takes up to half a second
        return copy if is_hopeless else self._unpacker.mend(stored) or copy

    def body(self, connection: apsw.Connection, stored: StoredRecord) -> bytes:
        """Return the JSON bytes of a record, from elsewhere where it is damaged.

        Raises:
            RecordDamaged: the record cannot be read.
        """
        body = self.find(connection, stored)
        if body is None:
            raise self.damage(stored.key)
        return body

    def damage(self, key: RecordKey) -> RecordDamaged:
        """Return the error of a record that cannot be read."""
        return RecordDamaged(self._folder, *key)

    def read(
        self, connection: apsw.Connection, found: Iterable[tuple[Any, ...]]
    ) -> Iterator[tuple[RecordKey, bytes | None]]:
        """Yield the records of the rows *found*, without bytes where they cannot be read."""
        for stored in map(StoredRecord._make, found):
            yield stored.key, self.find(connection, stored)

    def scan(self, connection: apsw.Connection, after: ScanToken | None, limit: int) -> Batch:
        """See :meth:`HistoryStore.scan`."""
        bodies: list[bytes] = []
        damaged: list[RecordKey] = []
        size = 0
        # Closed when left early, or the connection would stay at this moment.
        with closing(connection.execute(query("scan_documents"), (place_of(after), limit))) as found:
            for number, (seq, *row) in enumerate(found, 1):
                stored = StoredRecord(*row)
                body = self.find(connection, stored)
                if body is None:
                    damaged.append(stored.key)
                else:
                    bodies.append(body)
                    size += len(body)
                if size >= LARGEST_ANSWER or number == limit:
                    return Batch(bodies, scan_token(seq), tuple(damaged))
        return Batch(bodies, None, tuple(damaged))

    def problems(self, connection: apsw.Connection) -> tuple[str, ...]:
        """Return a sentence for the damaged records that were recovered, and one for those that were not."""
        with self._lock:
            known = dict(self._is_recovered)
        still = {key: is_recovered for key, is_recovered in known.items() if self._is_damaged(connection, key)}
        with self._lock:
            for key in known.keys() - still:
                self._is_recovered.pop(key, None)
        found = []
        for is_recovered, (one, several) in _SENTENCES.items():
            if keys := [key for key in still if still[key] is is_recovered]:
                sentence = one if len(keys) == 1 else several
                found.append(Message(sentence, records=_counted(keys), folder=quoted(self._folder), names=_named(keys)))
        return tuple(found)

    def recoverable(self) -> list[RecordKey]:
        """Return the records that were damaged when they were read last, and read from elsewhere."""
        with self._lock:
            return [key for key, is_recovered in self._is_recovered.items() if is_recovered]

    def _is_damaged(self, connection: apsw.Connection, key: RecordKey) -> bool:
        with contextlib.suppress(Unreadable):
            for row in rows(connection, "document", NO_LIMIT, *key):
                self.unpack(connection, StoredRecord(*row))
            return False
        return True

    def _remember(self, key: RecordKey, *, is_recovered: bool) -> None:
        with self._lock:
            if self._is_recovered.get(key) is is_recovered:
                return
            if key not in self._is_recovered and len(self._is_recovered) >= _MOST_REMEMBERED:
                return
            self._is_recovered[key] = is_recovered
        outcome = "and is recovered" if is_recovered else "and cannot be read"
        _log.warning("Execution %r of workflow %r is damaged in %s/history.db %s.", *key[::-1], self._folder, outcome)


def _counted(keys: list[RecordKey]) -> Message:
    """Return the number of *keys* in words; beyond a limit further ones are not remembered."""
    if len(keys) == 1:
        return Message("1 record")
    is_all = len(keys) < _MOST_REMEMBERED
    return Message(N_("%(count)s records") if is_all else N_("At least %(count)s records"), count=len(keys))


def _named(keys: list[RecordKey]) -> str:
    names = [f"{workflow_id[:80]}/{execute_id[:80]}" for workflow_id, execute_id in keys[:_MOST_NAMED]]
    more = len(keys) - len(names)
    shown = ", ".join(names)
    return Message("%(names)s and %(more)s more", names=shown, more=more) if more else shown


def stored_elsewhere(place: Path) -> Iterator[Batch]:
    """Yield the records of a history in batches, in the order of creation, without changing it.

    A damaged record is read from the JSON file beside the database where it is there.

    Args:
        place: the folder of the history, or its database, such as an archive.

    Raises:
        StoreError: the database cannot be read, or is damaged as a whole; earlier batches are sound.
    """
    folder, database = (place, place / DATABASE) if place.is_dir() else (place.parent, place)
    with faults(place), closing(open_unchanged(database)) as connection:
        documents = Documents(folder, load_dictionaries(connection), recovered_from(folder))
        after: ScanToken | None = None
        while True:
            batch = documents.scan(connection, after, _SCANNED_AT_ONCE)
            yield batch
            after = batch.next
            if after is None:
                return
