"""The prices of tokens, for the runs that end in this process."""

import time
from typing import Final

from execution_history.records.price_book import KIND, Costs, PriceBook
from execution_history.stores.postgres.connections import Connection
from execution_history.stores.postgres.queries import Statements
from execution_history.stores.postgres.stored_texts import stored_text

_SECONDS: Final = 1.0
"""How long prices that were read count as those that hold: what other processes change is seen after that."""


class ReadPrices:
    """Reads prices where they are needed; for the one thread that writes.

    Args:
        book: the prices.
        statements: for the schema.
    """

    def __init__(self, book: PriceBook, statements: Statements) -> None:
        self._book = book
        self._statements = statements
        self._read_at = -_SECONDS
        self._read: list[bytes] = []

    def costs(self, connection: Connection) -> Costs:
        """Return what tells the cost of a run.

        Raises:
            psycopg.Error: the prices could not be read.
        """
        now = time.monotonic()
        if now > self._read_at + _SECONDS:
            self._book.forget()
        if not self._book.is_known:
            rows = connection.execute(self._statements["entries"], (stored_text(KIND), "", None)).fetchall()
            self._read = [bytes(value) for _, value, _ in rows]
            self._book.renew(self._read)
            self._read_at = now
        # Another thread may let the book forget while a run is being ended, for which those just read then hold.
        return self._book.costs(lambda: self._read)
