"""Large documents on their way into the bin: they are copied in pieces, each in a transaction that holds nobody up.

A copy counts once the row of the bin names its pieces, in the transaction that removes the record.
"""

import random
from dataclasses import dataclass, field
from typing import Any, Final

import apsw

from execution_history.records.time_units import HOUR_MS
from execution_history.stores.sqlite.queries import query

LARGEST_AT_ONCE: Final = 1024 * 1024
"""Bytes of JSON of a record that is copied together with others."""

_PIECE: Final = 512 * 1024
_CHANCE_BITS: Final = 20


@dataclass(frozen=True, slots=True)
class Discard:
    """How records of a workflow go into the bin.

    Attributes:
        deleted_at: when (ms).
        ends: until when they can be restored (ms).
        rule: the rule of retention by which they go.
        copy: that of the one record, where it is large.
        largest: how many bytes of JSON a record without a copy has at most; a larger one stays.
        left: the ids of those that have more.
    """

    deleted_at: int
    ends: int
    rule: str | None = None
    copy: "Copy | None" = None
    largest: int = LARGEST_AT_ONCE
    left: set[str] = field(default_factory=set)

    def takes(self, execute_id: str, size: int, revision: int) -> bool:
        """Return whether a record, as it is now, goes."""
        if self.copy is not None:
            return revision == self.copy.revision
        if size > self.largest:
            self.left.add(execute_id)
        return size <= self.largest


@dataclass(slots=True)
class Copy:
    """A copy that is being made; its methods are called in transactions.

    Attributes:
        revision: the revision of the record.
        pieces: the number of the pieces.
    """

    revision: int
    pieces: int
    _seq: int
    _length: int

    @classmethod
    def begin(cls, connection: apsw.Connection, workflow_id: str, execute_id: str, now: int) -> "Copy | None":
        """Return a copy of a record of which nothing is copied yet; ``None`` where the record is gone.

        Args:
            connection: the writing one.
            workflow_id: the workflow.
            execute_id: the record.
            now: milliseconds since the epoch.
        """
        found: Any = connection.execute(query("large_document"), (workflow_id, execute_id)).fetchone()
        if found is None:
            return None
        seq, revision, length = found
        return cls(revision, _number_at(now) + random.getrandbits(_CHANCE_BITS), seq, length)

    def step(self, connection: apsw.Connection, number: int) -> bool | None:
        """Copy a piece, from 0 on; return whether it was not the last, or ``None`` where the record was changed."""
        if connection.execute(query("revision_at"), (self._seq,)).get != self.revision:
            connection.execute(query("drop_pieces"), (self.pieces,))
            return None
        with connection.blob_open("main", "executions", "document", self._seq, False) as document:  # noqa: FBT003 - apsw's
            document.seek(number * _PIECE)
            piece = document.read(_PIECE)
        connection.execute(query("put_piece"), (self.pieces, number, piece))
        return number * _PIECE + len(piece) < self._length


def drop_lost_pieces(connection: apsw.Connection, now: int) -> bool:
    """Remove the pieces of one copy that has not come to its end in an hour; return whether there may be more."""
    found: Any = connection.execute(query("lost_pieces"), (_number_at(now - HOUR_MS),)).fetchone()
    if found is not None:
        connection.execute(query("drop_pieces"), found)
    return found is not None


def _number_at(time: int) -> int:
    """Return the least number of a copy that is begun at *time* (ms)."""
    return time << _CHANCE_BITS
