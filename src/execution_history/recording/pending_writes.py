"""The steps of records that a store has not taken yet: in order, folded together, and of a known size. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import orjson

from execution_history.errors import IllegalTransition
from execution_history.records.record import RESTATED, Document, RecordChange
from execution_history.records.size_limit import named, restated

Step = Document | RecordChange
"""The beginning of a record, or a change of one."""

Key = tuple[str, str]
"""A workflow's and an execution's id."""

_OVERHEAD: Final = 512
_LARGEST_FOLDED: Final = 1024 * 1024  # folding into a record reads and writes all of it


@dataclass(slots=True, eq=False)
class Entry:
    """One step that waits.

    ``under_way``: the store is working on it; ``is_unsure``: the store may have it already.
    """

    step: Step
    under_way: bool = False
    is_unsure: bool = False

    def size(self) -> int:
        """Roughly how many bytes it takes."""
        return _OVERHEAD + (len(self.step.body) if isinstance(self.step, Document) else self.step.size())


class Waiting:
    """The queues of all records that wait, the one that has waited longest first."""

    def __init__(self) -> None:
        self._queues: dict[Key, list[Entry]] = {}
        self.bytes: int = 0

    def __len__(self) -> int:
        return len(self._queues)

    def __contains__(self, key: object) -> bool:
        return key in self._queues

    @property
    def keys(self) -> list[Key]:
        """The records that wait now."""
        return list(self._queues)

    def of(self, key: Key) -> list[Entry]:
        """Return what waits of one record, oldest first."""
        return self._queues.get(key, [])

    def add(self, key: Key, step: Step, *, under_way: bool = False) -> Entry:
        """Let *step* wait behind what waits of its record; the entry that holds it, alone or folded into another."""
        queue = self._queues.setdefault(key, [])
        last = queue[-1] if queue else None
        if last is not None and not (last.under_way or last.is_unsure or under_way):
            folded = _fold(last.step, step)
            if folded is not None:
                self.bytes -= last.size()
                last.step = _light(folded)
                self.bytes += last.size()
                return last
        entry = Entry(_light(step), under_way)
        queue.append(entry)
        self.bytes += entry.size()
        return entry

    def done(self, key: Key, entry: Entry) -> None:
        """*entry* need not wait any more."""
        queue = self.of(key)
        if entry in queue:
            queue.remove(entry)
            self.bytes -= entry.size()
            if not queue:
                del self._queues[key]

    def take(self, key: Key) -> list[Step]:
        """Let nothing of this record wait; what did."""
        queue = self._queues.pop(key, [])
        self.bytes -= sum(entry.size() for entry in queue)
        return [entry.step for entry in queue]

    def take_oldest(self, bytes_to_free: int) -> Iterator[tuple[Key, list[Step]]]:
        """Take records out, those that have waited longest first, until so much is free.

        Also what the store is working on: how that ends is not known, and writing it twice does no harm.
        """
        wanted = self.bytes - bytes_to_free
        for key in list(self._queues):
            if self.bytes <= wanted:
                return
            yield key, self.take(key)


def _light(step: Step) -> Step:
    """Return the same step without what it only carries to be written faster: that would double what waits."""
    return replace(step, parts=None, given=None, _plain=None) if isinstance(step, Document) else step


def _fold(first: Step, second: Step) -> Step | None:
    """One step that does what the two do, or ``None`` where it takes both."""
    if isinstance(second, Document):
        return None
    if isinstance(first, Document):
        if len(first.body) + second.size() > _LARGEST_FOLDED:
            return None
        try:
            return second.apply(first.body) or first
        except IllegalTransition:
            return first  # it has ended: the first ending stands, as it would in the store
        except Exception:  # noqa: BLE001 - what the store makes of the two, it says itself
            return None
    if first.status is None and (first.only_from, first.only_while) == (second.only_from, second.only_while):
        return RecordChange(
            second.now,
            second.status,
            first.fields | second.fields,
            _merged(first, second),
            second.only_from,
            second.only_while,
            second.largest,
        )
    return None


def _merged(first: RecordChange, second: RecordChange) -> dict[str, bytes]:
    """Return the metadata that two changes bring, without the first one's notes on values that the second replaces."""
    merged = first.metadata | second.metadata
    for key in RESTATED & first.metadata.keys():
        replaced = {*second.fields, *map(named, second.metadata)}
        brought = orjson.loads(second.metadata[key]) if key in second.metadata else None
        merged[key] = orjson.dumps(restated(orjson.loads(first.metadata[key]), replaced, brought))
    return merged
