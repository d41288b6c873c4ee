"""What the operations of one transaction do, worked out on copies of the records: nothing is read or written. Pure.

An operation is a function of the records that it names, so that it can be done again where another process was quicker.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from execution_history.errors import ExecutionExists, RecordDamaged
from execution_history.query.model import RecordKey
from execution_history.records.price_book import Costs
from execution_history.records.record import Document, RecordChange
from execution_history.stores.postgres.record_rows import Counted
from execution_history.stores.protocol import MergeReport


@dataclass(frozen=True, slots=True)
class StoredState:
    """A record as the database has it.

    Attributes:
        seq: its place in the order of arrival.
        version: rises with each of its changes.
        filled: the version at which all of its columns were written, -1 where that is not known.
        update_time: in milliseconds.
        counted: what counters and rollups count of it.
        body: its bytes; ``None`` where they are damaged.
        parts: what it was written from, where that is known.
    """

    seq: int
    version: int
    filled: int
    update_time: int
    counted: Counted
    body: bytes | None
    parts: Mapping[str, Any] | None = None


class Binned(NamedTuple):
    """The bytes of a deleted record, when it was deleted, until when it can be restored (ms), and by which rule."""

    body: bytes
    deleted_at: int
    ends: int
    rule: str | None = None


@dataclass(slots=True)
class _Held:
    """A record within a batch: as it is stored, and, once it was touched, as it will be."""

    stored: StoredState | None
    current: Document | None = None
    is_touched: bool = False
    is_new: bool = False
    binned: "Binned | None" = None

    @property
    def is_there(self) -> bool:
        """Whether there is a record now."""
        return self.current is not None or (self.stored is not None and not self.is_touched)

    @property
    def body(self) -> bytes | None:
        """Its bytes now; ``None`` where there is none, or it is damaged."""
        if self.current is not None:
            return self.current.body
        return None if self.stored is None else self.stored.body

    @property
    def update_time(self) -> int:
        """Its update time (ms); -1 without one."""
        known = self.current or self.stored
        return -1 if known is None else known.update_time


@dataclass(frozen=True, slots=True)
class ChangedState:
    """What a batch makes of one record.

    Attributes:
        key: its ids.
        stored: as it was; ``None`` where there was none.
        document: as it is to be; ``None`` where it is deleted.
        is_new: whether it was created, perhaps after a deletion.
        binned: what is kept of a deleted one for a while.
    """

    key: RecordKey
    stored: StoredState | None
    document: Document | None
    is_new: bool
    binned: "Binned | None" = None


@dataclass(slots=True)
class Batch:
    """The records of one transaction, and what becomes of them.

    An operation checks before it changes anything, so that one that raises does not disturb the others.

    Args:
        place: the name of the store, for messages.
        states: the records that the operations name, as they are stored; ``None`` for one that is not there.
        costs: returns what a run that ends costs.
    """

    place: str
    states: Mapping[RecordKey, StoredState | None]
    costs: Costs
    _held: dict[RecordKey, _Held] = field(default_factory=dict)

    def create(self, document: Document) -> None:
        """Add a record.

        Raises:
            ExecutionExists: there is one with its ids.
        """
        if not self.add(document.with_cost(self.costs)):
            raise ExecutionExists(document.workflow_id, document.execute_id)

    def add(self, document: Document) -> bool:
        """Add a record, unless there is one with its ids; return whether it was added."""
        held = self._find(RecordKey(document.workflow_id, document.execute_id))
        if held.is_there:
            return False
        self._put(held, document)
        return True

    def update(self, key: RecordKey, change: RecordChange) -> Document | None:
        """Apply *change*; return the new record, or ``None`` where there is none to change.

        Raises:
            IllegalTransition: the record has ended and the change has another status.
            RecordDamaged: the record cannot be read.
        """
        held = self._find(key)
        if not held.is_there:
            return None
        body = held.body
        if body is None:
            raise RecordDamaged(self.place, *key)
        known = held.current or held.stored
        document = change.apply(body, None if known is None else known.parts, self.costs)
        if document is not None:
            self._put(held, document)
        return document

    def merge(self, documents: Iterable[Document]) -> MergeReport:
        """Merge records; see :meth:`HistoryStore.merge`."""
        added = replaced = unchanged = 0
        differing: list[int] = []
        for place, document in enumerate(documents):
            held = self._find(RecordKey(document.workflow_id, document.execute_id))
            if not held.is_there:
                added += 1
            elif held.body is None or held.update_time < document.update_time:
                replaced += 1  # any version is better than a damaged one
            else:
                unchanged += 1
                if held.update_time == document.update_time and held.body != document.body:
                    differing.append(place)
                continue
            self._put(held, document)
        return MergeReport(added, replaced, unchanged, tuple(differing))

    def delete(
        self, update_times: Mapping[RecordKey, int | None], binned: tuple[int, int, str | None] | None = None
    ) -> list[RecordKey]:
        """Delete the records that have these update times, ``None`` for any; return those deleted.

        Args:
            update_times: the records.
            binned: when they are deleted, until when they can be restored (ms) and by which rule they go; ``None``:
                they cannot be restored.
        """
        deleted = []
        for key, update_time in update_times.items():
            held = self._find(key)
            if held.is_there and update_time in (None, held.update_time):
                body = held.body
                held.binned = None if binned is None or body is None else Binned(body, *binned)
                held.current = None
                self._touch(key, held)
                deleted.append(key)
        return deleted

    def changes(self) -> list[ChangedState]:
        """Return what has changed, in the order of the last changes; a record that came and went has not."""
        return [
            ChangedState(key, held.stored, held.current, held.is_new, held.binned)
            for key, held in self._held.items()
            if held.is_touched and (held.stored is not None or held.current is not None or held.binned is not None)
        ]

    def _find(self, key: RecordKey) -> _Held:
        held = self._held.get(key)
        if held is None:
            held = self._held[key] = _Held(self.states[key])
        return held

    def _put(self, held: _Held, document: Document) -> None:
        held.is_new = held.is_new or not held.is_there
        held.current = document
        self._touch(RecordKey(document.workflow_id, document.execute_id), held)

    def _touch(self, key: RecordKey, held: _Held) -> None:
        held.is_touched = True
        del self._held[key]  # its last change decides its place
        self._held[key] = held
