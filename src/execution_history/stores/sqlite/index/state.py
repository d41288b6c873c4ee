"""How far an index has come: the one row of its table ``state``, and the records that are due."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import apsw
import orjson

from execution_history.query.model import IndexReach
from execution_history.stores.sqlite.index.connections import rows, statement

ROWS: Final = 0
TEXTS: Final = 1

Due = tuple[int, int]
"""The create time (ms) and the seq of a record of which something is to be written."""


class Place(NamedTuple):
    """A place in the order of (create_time, seq), the newest first."""

    create_time: int
    seq: int


@dataclass(frozen=True, slots=True)
class IndexState:
    """How far an index has come; its documentation is in ``schema.sql``.

    Attributes:
        version: the form of the file.
        store: the identity of the history that it follows.
        file: a random name of this file.
        revision: the change up to which it has followed the feed, but for what is behind or due.
        high: the revision up to which records are taken from ``behind`` on.
        behind: the place of the oldest record that was taken in order; ``None``: all were.
        missing: about how many records are older than that.
        stops_at: how many of these are left to a file that is filled beside.
        due: how many rows and how many texts are to be written.
        newest_due: the newest create times of these; ``None`` without any.
    """

    version: str
    store: str
    file: str
    revision: int
    high: int
    behind: Place | None
    missing: int
    stops_at: int
    due: tuple[int, int]
    newest_due: tuple[int | None, int | None]

    @classmethod
    def read(cls, index: apsw.Connection) -> "IndexState":
        """Return the state of the index on a connection."""
        [row] = rows(index, statement("state"))
        version, store, file, revision, high, time, seq, missing, stops_at, *due = row
        behind = None if time is None else Place(time, seq)
        return cls(version, store, file, revision, high, behind, missing, stops_at, (due[0], due[1]), (due[2], due[3]))

    @property
    def takes_older(self) -> bool:
        """Whether older records are to be taken into this file, not into one beside."""
        return self.behind is not None and self.missing > self.stops_at

    @property
    def lacks_rows(self) -> bool:
        """Whether rows of this file are to be written, besides those of new changes."""
        return self.due[ROWS] > 0 or self.takes_older

    @property
    def needs_another(self) -> bool:
        """Whether the older records are left to a file that is filled beside."""
        return self.behind is not None and not self.takes_older

    def save(self, index: apsw.Connection) -> None:
        """Write what changes of it."""
        time, seq = (None, 0) if self.behind is None else self.behind
        index.execute(statement("save_state"), (self.revision, time, seq, self.missing, *self.due))

    def with_due(self, what: int, change: int) -> "IndexState":
        """Return the state with so many more, or fewer, rows or texts due."""
        due = list(self.due)
        due[what] += change
        return replace(self, due=(due[0], due[1]))

    def reach(self, newest: int, *, with_texts: bool) -> IndexReach:
        """Return how complete an answer is, of a history whose newest change is *newest*."""
        since = [] if self.behind is None else [self.behind.create_time + 1]
        due = list(zip(self.due, self.newest_due, strict=True))[: 1 + with_texts]
        since += [time + 1 for _, time in due if time is not None]
        missing = sum(count for count, _ in due) + (0 if self.behind is None else self.missing)
        return IndexReach(min(self.revision, newest), newest, max(since, default=None), max(1, missing) if since else 0)


def add_due(index: apsw.Connection, what: int, found: Iterable[Due]) -> int:
    """Note that something of records is to be written; return of how many that was not known."""
    return _changed(index, "add_due", what, found)


def drop_due(index: apsw.Connection, what: int, found: Iterable[Due]) -> int:
    """Note that it was written; return of how many that was not known."""
    return _changed(index, "drop_due", what, found)


def _changed(index: apsw.Connection, name: str, what: int, found: Iterable[Due]) -> int:
    index.execute(statement(name), (what, orjson.dumps(list(found)).decode()))
    return index.changes()  # not of all changes: a full-text table may write its buffer meanwhile


def some_due(index: apsw.Connection, what: int, limit: int) -> Sequence[Due]:
    """Return the newest of the records of which something is to be written."""
    found: list[Any] = rows(index, statement("some_due"), (what, limit))
    return found


def which_done(index: apsw.Connection, what: int, found: Sequence[tuple[int, int, int]]) -> list[tuple[int, int, bool]]:
    """Return those of *found*, records with their revisions, that are due and not changed since.

    With each stands whether the index has it: one that it lacks is not due any more. One of another revision stays due
    until its row is written again.
    """
    listed = orjson.dumps(found).decode()
    # As one row: between two rows another thread may take the interpreter for 5 ms.
    [(done,)] = rows(index, statement("which_done"), (what, listed))
    return [(time, seq, bool(is_there)) for time, seq, is_there in orjson.loads(done)]
