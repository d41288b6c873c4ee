"""What the spool of a store still has to give to it, whichever program has left it there.

Each batch is looked through for whose steps it has before any of it is written: the later steps of those records, and
of no others, wait behind them.
"""

import logging
import threading
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from execution_history.errors import Message
from execution_history.recording.pending_writes import Key
from execution_history.recording.refused_steps import RefusedSteps
from execution_history.recording.spool import Spool, state_of
from execution_history.recording.spool_batch import Batch, Line

_log = logging.getLogger("execution_history.recording")
_MOST_NAMED: Final = 3


class Backlog:
    """The batches of one store, for any number of threads.

    Args:
        spool: where they are; a store without one has no backlog.

    Attributes:
        was_known: whether all batches have been looked through once: of others, programs that died have left nothing.
    """

    def __init__(self, spool: Spool | None) -> None:
        self._spool = spool
        self.refused: RefusedSteps | None = None if spool is None else RefusedSteps(spool)
        self._lock = threading.RLock()
        self._batches: dict[Path, Batch] = {}
        self._left: Counter[int] = Counter()
        self._left_alone: dict[Path, tuple[int, ...] | None] = {}
        self._begun: set[int] = set()
        self._is_listed = self.was_known = spool is None
        self._faults: dict[Path, str] = {}
        self._damaged: list[Path] = []

    def __bool__(self) -> bool:
        """Whether any step may be left."""
        return bool(self._batches)

    def count(self, others: Iterable[Key]) -> int:
        """How many records have steps here that are not done, or are among *others*."""
        with self._lock:
            return len(self._left) + sum(hash(key) not in self._left for key in others)

    def sizes(self) -> list[int]:
        """Return the bytes of each of the files."""
        with self._lock:
            paths = list(self._batches)
        found = []
        for path in paths:
            with suppress(OSError):  # it has been written meanwhile
                found.append(path.stat().st_size)
        return found

    @property
    def is_known(self) -> bool:
        """Whether it is known of every batch that was there at the last look whose steps it has."""
        with self._lock:
            return self._is_listed and all(batch.is_scanned for batch in self._batches.values())

    @property
    def batches(self) -> list[Batch]:
        """The batches that can be written, oldest first."""
        with self._lock:
            return [batch for _, batch in sorted(self._batches.items()) if batch.is_scanned]

    def begins(self, key: Key) -> None:
        """Note a record that this program begins: no other program has left anything of it."""
        with self._lock:
            if not self.was_known:
                self._begun.add(hash(key))

    def holds(self, key: Key) -> bool:
        """Whether steps of a record are left here, or may be: what comes later waits."""
        with self._lock:
            record = hash(key)
            return record in self._left or not (self.was_known or record in self._begun)

    def add(self, path: Path, keys: Iterable[Key]) -> None:
        """Note a batch that this program has put aside, with the records of its steps."""
        with self._lock:
            self._forget(path)
            batch = self._batches[path] = Batch(path, map(hash, keys))
            self._left.update(batch.left)

    def look(self) -> None:
        """Find the batches that are there now. Blocks."""
        if self._spool is None or self.refused is None:
            return
        with self._lock:
            before = set(self._batches)
        try:
            found, damaged = self._spool.batches(), self._spool.damaged()
            self.refused.look()
        except OSError as error:
            self._fault(
                self._spool.folder,
                Message(
                    "The runs that may wait in %(folder)s cannot be seen: %(reason)s.",
                    folder=self._spool.folder,
                    reason=error,
                ),
            )
            found, damaged = [*before, *self._left_alone], self._damaged
        else:
            with self._lock:
                self._faults.pop(self._spool.folder, None)
        with self._lock:
            for path in before.difference(found):
                self._forget(path)
            for path in set(self._left_alone).difference(found):
                self._faults.pop(path, None)
                del self._left_alone[path]
            for path in set(found).difference(self._batches):
                if path not in self._left_alone or self._left_alone[path] != state_of(path):
                    self._batches[path] = Batch(path)
            self._is_listed, self._damaged = True, damaged
        self._learn()

    def scan(self) -> None:
        """Find out whose steps the batches have that were found. Blocks."""
        with self._lock:
            found = [batch for batch in self._batches.values() if not batch.is_scanned]
        for batch in found:
            with self._trying(batch):
                self._scan(batch)
        self._learn()

    def claim(self, batch: Batch) -> bool:
        """Take a batch for this program until it is released; whether it could have it. Blocks."""
        with self._trying(batch):
            return batch.claim()
        return False

    def read(self, batch: Batch, begin: int, skipped: Container[int]) -> list[Line]:
        """See :meth:`Batch.read <execution_history.recording.spool_batch.Batch.read>`. Blocks."""
        with self._trying(batch):
            return batch.read(begin, skipped)
        return []

    def settle(self, batch: Batch, line: Line) -> None:
        """Note that a step need not be written any more."""
        with self._lock:
            self._discount((batch.settle(line),))

    def finish(self, batch: Batch) -> None:
        """Take a batch away when it is done, and let others have it when it is not. Blocks."""
        try:
            if batch.is_done:
                batch.finish()
                self._forget(batch.path)
        except OSError as error:
            self._leave_alone(
                batch,
                Message(
                    "What waited in %(path)s is written and cannot be removed: %(reason)s.",
                    path=batch.path,
                    reason=error,
                ),
            )
        finally:
            batch.release()

    def shorten(self) -> None:
        """Leave on the disk only what is not done, for the next program. Blocks."""
        for batch in self.batches:
            with suppress(OSError):
                if batch.shorten():
                    with self._lock:
                        self._batches[batch.path] = Batch(batch.path, batch.left)

    def problems(self) -> list[str]:
        """One sentence each for what cannot be read, was damaged or was refused."""
        with self._lock:
            found, damaged = sorted(self._faults.values()), self._damaged
        if damaged:
            named = ", ".join(str(path) for path in damaged[:_MOST_NAMED])
            found.append(
                Message(
                    "Damaged files of waiting runs: %(count)s. What could be read of them is recorded; "
                    "look at the rest, then move them away: %(named)s.",
                    count=len(damaged),
                    named=named,
                )
            )
        if self._spool is not None and self.refused:
            found.append(
                Message(
                    "Steps of runs that the store has refused for good: %(count)s. They are kept, with "
                    "the reasons, in %(refused)s: move it away, or let its name end in .jsonl to try "
                    "them again.",
                    count=len(self.refused),
                    refused=self._spool.refused,
                )
            )
        return found

    def _scan(self, batch: Batch) -> None:
        assert self._spool is not None  # noqa: S101 - a batch comes from a spool
        scanned = Batch.scanned(batch.path, self._spool.location)
        with self._lock:
            self._forget(batch.path)
            self._batches[batch.path] = scanned
            self._left.update(scanned.left)
        if scanned.is_foreign:
            self._leave_alone(scanned, None)

    @contextmanager
    def _trying(self, batch: Batch) -> Iterator[None]:
        """Forget a batch that another program has written meanwhile, and leave one alone that cannot be read."""
        try:
            yield
        except FileNotFoundError:
            self._forget(batch.path)
        except OSError as error:
            self._leave_alone(
                batch,
                Message("The runs that wait in %(path)s cannot be read: %(reason)s.", path=batch.path, reason=error),
            )

    def _learn(self) -> None:
        with self._lock:
            if self.is_known:
                self.was_known = True
                self._begun.clear()

    def _leave_alone(self, batch: Batch, sentence: str | None) -> None:
        """Do not look at a file again, unless it changes."""
        with self._lock:
            self._forget(batch.path)
            self._left_alone[batch.path] = state_of(batch.path)
        if sentence is not None:
            self._fault(batch.path, sentence)

    def _fault(self, path: Path, sentence: str) -> None:
        with self._lock:
            is_new = self._faults.get(path) != sentence
            self._faults[path] = sentence
        if is_new:
            _log.error("%s", sentence)

    def _forget(self, path: Path) -> None:
        with self._lock:
            batch = self._batches.pop(path, None)
            if batch is not None:
                self._discount(batch.left)

    def _discount(self, records: Iterable[int]) -> None:
        for record in records:
            self._left[record] -= 1
            if self._left[record] <= 0:
                del self._left[record]
