"""Statements that are sent without waiting for the answer to each, and transactions of them."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus

LOCK_SECONDS: Final = 5
"""How long a statement waits for a lock."""

_IDLE_SECONDS: Final = 20
"""Seconds between two statements of a transaction that writes, after which its process is taken to be frozen."""

_LIMITS: Final = (
    f"SELECT set_config('lock_timeout', '{LOCK_SECONDS}s', true), "
    f"set_config('idle_in_transaction_session_timeout', '{_IDLE_SECONDS}s', true)"
)
"""An error of a lock is tried again, and told in the end."""


@contextmanager
def conversation(connection: "psycopg.Connection[Any]") -> Iterator[None]:
    """Send the statements of the block as one transaction, in one go: their results are read at its end.

    Args:
        connection: commits each statement by itself outside of a transaction.

    Raises:
        psycopg.Error: the first that a statement, or the commit, has ended with; nothing was written, or the connection
            is lost.
    """
    try:
        with pipelined(connection) as pipeline:
            connection.execute(b"BEGIN")
            limit_locks(connection)
            yield
            connection.execute(b"COMMIT")
            pipeline.sync()
    finally:
        if connection.info.transaction_status not in {TransactionStatus.IDLE, TransactionStatus.UNKNOWN}:
            connection.rollback()


@contextmanager
def pipelined(connection: "psycopg.Connection[Any]") -> Iterator[psycopg.Pipeline]:
    """Send the statements of the block without waiting for each; psycopg would warn of those behind one that fails.

    Raises:
        psycopg.Error: the first that a statement has ended with.
    """
    failed: psycopg.Error | None = None
    with connection.pipeline() as pipeline:
        try:
            yield pipeline
        except psycopg.Error as error:
            failed = error
            with suppress(psycopg.Error):
                pipeline.sync()  # the answers to what came after it
    if failed is not None:
        raise failed


def limit_locks(connection: "psycopg.Connection[Any]") -> None:
    """Let no statement of this transaction wait for a lock for long, and no frozen process keep its own for long.

    Raises:
        psycopg.Error: it could not be set.
    """
    connection.execute(_LIMITS)
