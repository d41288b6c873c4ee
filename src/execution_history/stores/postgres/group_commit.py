"""Groups of operations, committed together, again where it has to be.

Where another process has changed a record meanwhile, or the server has gone away, a group is worked out again, until
the time of its callers is over. A commit whose answer was lost is looked up before it is repeated, so that nothing is
done twice.
"""

import contextlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

import psycopg

from execution_history.errors import ExecutionHistoryError, StoreBusy, StoreError
from execution_history.query.model import RecordKey
from execution_history.records.price_book import PriceBook
from execution_history.stores.compression import Packer
from execution_history.stores.postgres.batch import Batch, ChangedState, StoredState
from execution_history.stores.postgres.change_log import was_committed
from execution_history.stores.postgres.commit import Conflict, Written, read_states, write
from execution_history.stores.postgres.connections import Connection, Connections
from execution_history.stores.postgres.error_mapping import as_store_error, is_lost, is_transient, reason_of
from execution_history.stores.postgres.late_terms import LateTerms
from execution_history.stores.postgres.prices import ReadPrices
from execution_history.stores.status_numbers import OPEN_NUMBERS
from execution_history.stores.write_queue import Caller

_log = logging.getLogger("execution_history.stores.postgres")

_PAUSES: Final = (0.0, 0.01, 0.05, 0.2, 0.5, 1.0)
"""Seconds before each further try; the last one before all others."""

_MOST_KEPT: Final = 5_000
_LARGEST_KEPT: Final = 16 * 1024


@dataclass(slots=True, eq=False)
class Operation:
    """Work for one caller.

    Attributes:
        work: returns the caller's result from the batch, or from a connection in a transaction and the token of its
            entry in the log; it may be called again.
        caller: who waits for it.
        keys: the records that it needs.
        creates: records that it makes, which are taken to be new until the database knows better.
        size: roughly the number of bytes that will be written.
        is_alone: whether it is a transaction of its own, which *work* carries out.
        submitted_at: seconds on the monotonic clock.
    """

    work: Callable[..., Any]
    caller: Caller
    keys: Collection[RecordKey] = ()
    creates: Collection[RecordKey] = ()
    size: int = 0
    is_alone: bool = False
    submitted_at: float = field(default_factory=time.monotonic)


class Outcome(NamedTuple):
    """What an operation has returned, or the error that it ended with."""

    operation: Operation
    result: Any
    error: Exception | None = None

    @property
    def caller(self) -> Caller:
        """Who waits for it."""
        return self.operation.caller


class GroupCommit:
    """Commits groups of operations, on a connection of its own. Not for several threads at once.

    Args:
        connections: connects to the server.
        packer: packs documents.
        slot: the slot of this process for counters.
        clock: milliseconds since the epoch.
        committed: called after each commit.
        prices: what tokens cost, for the runs that end.
    """

    def __init__(
        self,
        connections: Connections,
        packer: Packer,
        slot: int,
        clock: Callable[[], int],
        committed: Callable[[], None],
        prices: PriceBook,
    ) -> None:
        self._connections = connections
        self._packer = packer
        self._slot = slot
        self._clock = clock
        self._committed = committed
        self._prices = ReadPrices(prices, connections.statements)
        self._terms = LateTerms(connections, clock, slot)
        self._known: OrderedDict[RecordKey, StoredState] = OrderedDict()
        self._connection: Connection | None = None
        self.is_untold: bool = False
        """Whether other processes have not been told of the last commits."""

    def run(self, group: Sequence[Operation]) -> list[Outcome]:
        """Commit *group*; return what each operation has returned or raised. Never raises."""
        if group[0].is_alone:
            self._known.clear()
            return [self._run_alone(group[0])]
        return self._run(_Attempts(list(group), self._connections.wait_seconds))

    def _run_alone(self, operation: Operation) -> Outcome:
        try:
            outcome = Outcome(operation, self._connections.run(operation.work, is_long=True))
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller learns of it and the thread goes on
            return Outcome(operation, None, _error_of(error))
        self.is_untold = True
        return outcome

    def _run(self, attempts: "_Attempts") -> list[Outcome]:
        outcomes: list[Outcome] = []
        while attempts.group:
            try:
                return outcomes + self._tried(attempts)
            except _Late as late:
                outcomes += [Outcome(each, None, late.error) for each in late.group]
                attempts.group = [each for each in attempts.group if each not in late.group]
            except Exception as error:  # noqa: BLE001 - whatever it is, the callers learn of it and the thread goes on
                if len(attempts.group) == 1:
                    return [*outcomes, Outcome(attempts.group[0], None, _error_of(error))]
                # What the database refuses concerns one of them.
                return outcomes + [outcome for each in attempts.group for outcome in self._run(attempts.only(each))]
        return outcomes

    def tell(self) -> None:
        """Tell other processes of the last commits, if any; where this fails, they find them when they look."""
        if not self.is_untold:
            return
        self.is_untold = False
        if self._connection is not None:
            seconds = self._connections.wait_seconds / 10
            with (
                contextlib.suppress(psycopg.Error),
                self._connections.watchdog.watching(self._connection, seconds, seconds),
            ):
                self._connection.execute(self._connections.statements["notify"], (self._connections.channel,))

    def tidy(self) -> None:
        """Do soon, in another thread, what is done once an hour."""
        self._terms.tidy()

    def catch_up(self) -> None:
        """Do soon, in another thread, what older processes have left to do, and add up what is not added up yet."""
        self._terms.catch_up()

    def close(self) -> None:
        """End what goes on, and close the connection."""
        self._terms.stop()
        self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        self._known.clear()
        if connection is not None:
            with contextlib.suppress(psycopg.Error):
                connection.close()

    def _tried(self, attempts: "_Attempts") -> list[Outcome]:
        """Commit the group, by as many attempts as there is time for.

        Raises:
            _Late: the time of some callers is over.
            psycopg.Error: the database refuses it.
        """
        unsure: set[RecordKey] = set()
        while True:
            try:
                connection = self._connected()
                seconds, most = self._connections.wait_seconds, self._connections.most_seconds
                with self._connections.watchdog.watching(connection, seconds, most):
                    outcomes, written = self._attempted(connection, attempts, unsure)
            except Conflict as conflict:
                unsure.update(conflict.keys)
                for key in conflict.keys:
                    self._known.pop(key, None)
                attempts.pause(StoreBusy("Other processes change the same records again and again; try again."))
            except psycopg.Error as error:
                is_unreached = self._connection is None
                is_away = is_lost(error) or self._connection is None or self._connection.closed
                self._disconnect()
                if not (is_away or is_transient(error)):
                    raise
                if is_unreached and self._connections.is_ending:
                    raise _Late(attempts.group, as_store_error(error)) from error
                _log.debug("A write is tried again: %s", reason_of(error))
                attempts.pause(as_store_error(error))
            else:
                if written is None:
                    return outcomes
                self._remember(written)
                self._terms.add([each.key for each in written if each.lacks_terms])
                self.is_untold = True
                self._committed()
                return outcomes

    def _attempted(
        self, connection: Connection, attempts: "_Attempts", unsure: set[RecordKey]
    ) -> tuple[list[Outcome], list[Written] | None]:
        """Return what the operations return, and what was written; ``None`` where nothing had to be.

        Raises:
            Conflict: another process was quicker; nothing was written.
            psycopg.Error: it could not be written, or the answer to the commit was lost.
        """
        done = attempts.committed(connection, self._connections)
        if done is not None:
            self._known.clear()
            return done, None
        outcomes, changes = self._worked_out(connection, attempts.group, unsure)
        while self._forget_unchecked(attempts.group, changes, unsure):
            outcomes, changes = self._worked_out(connection, attempts.group, unsure)
        if not changes:
            return outcomes, None
        token = attempts.begin(outcomes)
        return outcomes, write(
            connection, self._connections.statements, self._packer, changes,
            slot=self._slot, now=self._clock(), token=token,
        )  # fmt: skip

    def _worked_out(
        self, connection: Connection, group: Sequence[Operation], unsure: Collection[RecordKey]
    ) -> tuple[list[Outcome], list[ChangedState]]:
        """Return what the operations return, and what they change; nothing is written yet."""
        needed = dict.fromkeys(key for each in group for key in each.keys)
        created = dict.fromkeys(key for each in group for key in each.creates)
        missing = [key for key in needed if key not in self._known]
        missing += [key for key in created if key not in needed and key in unsure]
        states: dict[RecordKey, StoredState | None] = dict.fromkeys(created)
        states |= {key: self._known[key] for key in (*created, *needed) if key in self._known}
        states |= read_states(self._connections, connection, missing)
        batch = Batch(self._connections.location.name, states, self._prices.costs(connection))
        return [_outcome(each, batch) for each in group], batch.changes()

    def _forget_unchecked(
        self, group: Sequence[Operation], changes: Sequence[ChangedState], unsure: set[RecordKey]
    ) -> bool:
        """Forget the records whose remembered state decided something that no write checks.

        Another process may have changed or deleted them meanwhile. Return whether there are any.
        """
        changed = {each.key for each in changes}
        used = {key for each in group for key in (*each.keys, *each.creates)}
        unchecked = [key for key in used if key in self._known and key not in changed]
        for key in unchecked:
            del self._known[key]
        unsure.update(unchecked)
        return bool(unchecked)

    def _remember(self, written: Sequence[Written]) -> None:
        """Keep the records that are likely to change again: those that go on."""
        for key, state, _ in written:
            self._known.pop(key, None)
            if state is not None and state.counted.status in OPEN_NUMBERS and len(state.body or b"") <= _LARGEST_KEPT:
                self._known[key] = state
        while len(self._known) > _MOST_KEPT:
            self._known.popitem(last=False)

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._connections.connect()
        return self._connection


class _Late(Exception):  # noqa: N818 - a signal within this module
    """The time of some callers is over."""

    def __init__(self, group: Sequence[Operation], error: StoreError) -> None:
        super().__init__()
        self.group = group
        self.error = error


class _Attempts:
    """The attempts to commit one group, whose callers wait for so many seconds."""

    def __init__(
        self, group: list[Operation], wait_seconds: float, begun: Sequence[tuple[UUID, list[Outcome]]] = ()
    ) -> None:
        self.group = group
        self._wait_seconds = wait_seconds
        self._begun = list(begun)
        self._pauses = 0

    def only(self, operation: Operation) -> "_Attempts":
        """Return the attempts to commit *operation* alone, which may have been committed with the others."""
        return _Attempts([operation], self._wait_seconds, self._begun)

    def begin(self, outcomes: list[Outcome]) -> UUID:
        """Note that a transaction with these outcomes begins; return what names it."""
        token = uuid4()
        self._begun.append((token, outcomes))
        return token

    def committed(self, connection: Connection, connections: Connections) -> list[Outcome] | None:
        """Return the outcomes of an earlier attempt that turns out to have been committed."""
        for token, outcomes in self._begun:
            if was_committed(connection, connections.statements, token):
                return [each for each in outcomes if each.operation in self.group]
        return None

    def pause(self, error: StoreError) -> None:
        """Wait before the next attempt.

        Raises:
            _Late: the time of some callers is over; *error* is what they get.
        """
        seconds = _PAUSES[min(self._pauses, len(_PAUSES) - 1)]
        self._pauses += 1
        since = time.monotonic() + seconds - self._wait_seconds
        late = [each for each in self.group if each.submitted_at <= since]
        if late:
            raise _Late(late, error)
        time.sleep(seconds)


def _outcome(operation: Operation, batch: Batch) -> Outcome:
    try:
        return Outcome(operation, operation.work(batch))
    except Exception as error:  # noqa: BLE001 - it is the caller's
        return Outcome(operation, None, _error_of(error))


def _error_of(error: Exception) -> Exception:
    if isinstance(error, ExecutionHistoryError):
        return error
    if not isinstance(error, psycopg.Error):
        _log.error("A write has failed.", exc_info=error)
    return as_store_error(error)
