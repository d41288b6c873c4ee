"""The terms of large records, written behind the transactions of their runs.

Cutting a megabyte of text into terms takes a second, and every caller of the writer would wait for it. Until its terms
are there, a record is a candidate of every search, which checks its document.
"""

import logging
import threading
from collections.abc import Iterable
from queue import SimpleQueue
from typing import Final
from uuid import UUID

from execution_history.errors import StoreError, message_of
from execution_history.query.model import RecordKey
from execution_history.records.partial import outline_of
from execution_history.stores.compression import StoredRecord
from execution_history.stores.postgres.connections import Connection, Connections
from execution_history.stores.postgres.record_rows import array_text, stored_key
from execution_history.stores.postgres.search_terms import terms_of

_log = logging.getLogger("execution_history.stores.postgres")

_MOST_MISSING: Final = 1_000


class LateTerms:
    """The thread that writes terms; it starts with the first record.

    Args:
        connections: connects to the server.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._queue: SimpleQueue[RecordKey | None] = SimpleQueue()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, keys: Iterable[RecordKey]) -> None:
        """Write the terms of records soon."""
        for key in keys:
            self._put(stored_key(*key))

    def add_missing(self) -> None:
        """Write the terms that a process which has ended left to be written.

        Raises:
            StoreError: they could not be found.
        """
        for row in self._connections.rows("missing_terms", _MOST_MISSING):
            self._put(RecordKey(*row))

    def stop(self) -> None:
        """End the thread; what is left is found by whoever looks for missing terms next."""
        self._ending.set()
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join()

    def _put(self, key: RecordKey) -> None:
        self._queue.put(key)
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="execution-history-terms", daemon=True)
            self._thread.start()

    def _serve(self) -> None:
        while (key := self._queue.get()) is not None and not self._ending.is_set():
            try:
                self._write(key)
            except StoreError as error:
                _log.warning("The terms of a large run will be written later: %s", message_of(error))
            except Exception:  # noqa: BLE001 - whatever is odd in a record, the others are searched
                _log.exception("The terms of a large run could not be made: every search reads it.")

    def _write(self, key: RecordKey) -> None:
        statements = self._connections.statements

        def read(connection: Connection) -> tuple[int, bytes] | None:
            row = connection.execute(statements["document_without_terms"], key).fetchone()
            body = None if row is None else self._connections.body(connection, StoredRecord(*key, *row[1:]))
            return None if row is None or body is None else (row[0], body)

        found = self._connections.read(read)
        if found is None:
            return
        version, body = found
        terms = array_text(terms_of(outline_of(body)))

        def write(connection: Connection, _: UUID) -> None:
            connection.execute(statements["save_terms"], (terms, *key, version))

        self._connections.run(write)
