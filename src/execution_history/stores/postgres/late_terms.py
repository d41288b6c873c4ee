"""What nobody waits for: the terms of large records, written behind the transactions of their runs, tidying, and sums.

Cutting a megabyte of text into terms takes a second, and every caller of the writer would wait for it. Until its terms
are there, a record is a candidate of every search, which checks its document.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterable
from functools import partial
from queue import SimpleQueue
from typing import Final
from uuid import uuid4

from execution_history.errors import StoreError, message_of
from execution_history.query.model import RecordKey
from execution_history.records.partial import outline_of
from execution_history.stores.compression import StoredRecord
from execution_history.stores.postgres.connections import Connection, Connections
from execution_history.stores.postgres.record_rows import array_text, stored_key
from execution_history.stores.postgres.retention import tidy
from execution_history.stores.postgres.search_terms import terms_of
from execution_history.stores.postgres.tasks import Tasks

_log = logging.getLogger("execution_history.stores.postgres")

_MOST_MISSING: Final = 1_000


class LateTerms:
    """The thread that writes terms, tidies and adds up; it starts with the first of these.

    Args:
        connections: connects to the server.
        clock: milliseconds since the epoch.
        slot: the slot of this process for counters.
    """

    def __init__(self, connections: Connections, clock: Callable[[], int], slot: int = 0) -> None:
        self._connections = connections
        self._clock = clock
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._ending = threading.Event()
        self._tasks = Tasks(connections, uuid4().hex, slot)
        self._is_at_tasks = False
        self._thread: threading.Thread | None = None

    def add(self, keys: Iterable[RecordKey]) -> None:
        """Write the terms of records soon."""
        for key in keys:
            self._put(partial(self._write, stored_key(*key)))

    def tidy(self) -> None:
        """Forget soon what has been kept long enough, fold counters, add up, and write terms that others have left."""
        self._put(self._add_missing)
        self._put(lambda: tidy(self._connections, self._clock()))
        self.catch_up()

    def catch_up(self) -> None:
        """Fill rows and add up days soon, some at a time, so that terms do not wait for all of them."""
        if not self._is_at_tasks:
            self._is_at_tasks = True
            self._put(self._do_tasks)

    def _do_tasks(self) -> None:
        self._is_at_tasks = False
        if self._tasks.go_on(self._clock()):
            self.catch_up()

    def stop(self) -> None:
        """End the thread; what is left is found by whoever looks for missing terms next."""
        self._ending.set()
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join()
            with contextlib.suppress(StoreError):
                self._tasks.leave()

    def _put(self, work: Callable[[], None]) -> None:
        self._queue.put(work)
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="execution-history-terms", daemon=True)
            self._thread.start()

    def _serve(self) -> None:
        while (work := self._queue.get()) is not None and not self._ending.is_set():
            try:
                work()
            except StoreError as error:
                _log.warning("Terms of large runs, tidying or sums will come later: %s", message_of(error))
            except Exception:  # noqa: BLE001 - whatever is odd in a record, the others are searched
                _log.exception(
                    "Work behind the writes has failed: until it is done, searches and breakdowns read more."
                )

    def _add_missing(self) -> None:
        for row in self._connections.rows("missing_terms", _MOST_MISSING):
            self._put(partial(self._write, RecordKey(*row)))

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

        self._connections.execute("save_terms", (terms, *key, version))
