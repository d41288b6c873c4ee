"""Statements that see one moment of the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg

from execution_history.stores.postgres.connections import Connection
from execution_history.stores.postgres.conversation import pipelined
from execution_history.stores.postgres.queries import Statements
from execution_history.stores.sql_fragments import Fragment

_BEGIN: Final = b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_COMMIT: Final = b"COMMIT"

# Nothing here is quicker by reading a whole table, or by compiling a statement before it runs.
_PLANS: Final = b"SELECT set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)"

Rows = list[tuple[Any, ...]]


@dataclass(slots=True)
class Answer:
    """The rows of a statement, once it has been sent with another one."""

    rows: Rows = field(default_factory=list)


class Moment:
    """One read-only transaction on a connection. It begins with the first statement, in the same round trip.

    Args:
        connection: commits each statement by itself.
        statements: for the schema.
    """

    def __init__(self, connection: Connection, statements: Statements) -> None:
        self._connection = connection
        self._statements = statements
        self._waiting: list[tuple[Fragment, Answer]] = []
        self._has_begun = False
        self._has_plans = False

    def later(self, statement: Fragment) -> Answer:
        """Send *statement* together with the next one; return where its rows will be."""
        answer = Answer()
        self._waiting.append((statement, answer))
        return answer

    def rows(self, statement: Fragment, *, is_usual: bool = False, is_last: bool = False) -> Rows:
        """Return the rows of *statement*.

        Args:
            statement: names tables as ``execution_history.table``.
            is_usual: whether its plan is the same for all values, so that the server may keep it.
            is_last: whether the transaction ends with it; a later statement sees a moment of its own.

        Raises:
            psycopg.Error: it failed.
        """
        waiting, self._waiting = self._waiting, []
        sets_plans = not is_usual and not self._has_plans
        if self._has_begun and not (waiting or is_last or sets_plans):
            return self._sent(statement, is_usual=is_usual).fetchall()
        with pipelined(self._connection):
            if not self._has_begun:
                self._connection.execute(_BEGIN, prepare=False)
                self._has_begun = True
            if sets_plans:
                self._connection.execute(_PLANS)
                self._has_plans = True
            cursors = [self._sent(each, is_usual=True) for each, _ in waiting]
            found = self._sent(statement, is_usual=is_usual)
            if is_last:
                self._connection.execute(_COMMIT, prepare=False)
            for (_, answer), cursor in zip(waiting, cursors, strict=True):
                answer.rows = cursor.fetchall()
            return found.fetchall()

    def flush(self) -> None:
        """Send the statements that wait for another one."""
        if self._waiting:
            statement, answer = self._waiting.pop()
            answer.rows = self.rows(statement, is_usual=True, is_last=not self._has_begun)

    def _sent(self, statement: Fragment, *, is_usual: bool) -> psycopg.Cursor[tuple[Any, ...]]:
        return self._connection.execute(
            self._statements.placed(statement.sql), statement.values, prepare=None if is_usual else False, binary=True
        )


@contextmanager
def one_moment(connection: Connection, statements: Statements) -> Iterator[Moment]:
    """Yield a moment, and end its transaction.

    Raises:
        psycopg.Error: a statement failed.
    """
    try:
        yield Moment(connection, statements)
        connection.commit()
    except BaseException:
        if not connection.closed:
            connection.rollback()
        raise
