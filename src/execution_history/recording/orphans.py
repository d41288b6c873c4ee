"""The runs of recorders that died: each is ended truthfully by whoever looks next."""

import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

import orjson

from execution_history.errors import StoreError
from execution_history.recording.attempts import attempt
from execution_history.recording.outbox import Outbox
from execution_history.recording.process_identity import is_dead
from execution_history.recording.store_trouble import PASSING
from execution_history.records.metadata import COZE_EXECUTE_ID, ENDED_AT, PROOF, RECORDER, TRANSITION
from execution_history.records.proof import Proof
from execution_history.records.record import RecordChange
from execution_history.stores.protocol import HistoryStore

_log = logging.getLogger("execution_history.recording")
RECORDER_DIED: Final = (
    "The program that recorded this run ended before the run did; what became of the run is not known."
)

_AT_ONCE: Final = 500
_MODE_ASYNC: Final = 2
_LONGEST_ASYNC_MS: Final = 26 * 3600 * 1000  # Coze ends an asynchronous run after 24 hours (coze-protocol 1.2)
_SHOWN_BYTES: Final = 200

TakesOver = Callable[[dict[str, Any]], Coroutine[Any, Any, bool]]
"""Takes the record of a dead recorder over when it can ask the upstream what became of the run; whether it does."""


def last_sign_of_dead(record: Mapping[str, Any], leases: Mapping[str, int], now: int, lease_ms: int) -> int | None:
    """Return when the recorder of a running record was alive for the last time; ``None`` unless it is dead.

    Args:
        record: names its recorder in its metadata.
        leases: the milliseconds that remain of each recorder's lease.
        now: milliseconds since the epoch.
        lease_ms: how long a recorder counts as alive after its last sign of life.
    """
    recorder, update_time = RECORDER.of(record), int(record["update_time"])
    if recorder is None:
        return None
    expires = now + leases[recorder] if recorder in leases else update_time + lease_ms
    if expires > now and not is_dead(recorder):
        return None
    # What was saved of its progress is a sign of life too. Nobody knows that it went on after the last one.
    return min(now, max(expires - lease_ms, update_time))


class Orphans:
    """Ends the runs of dead recorders, as ``interrupted`` with the reason.

    A run whose id upstream is known is offered to whoever may take it over first. Where nobody does, one that was
    accepted asynchronously is left alone for as long as it may go on upstream without a recorder. One of which steps
    wait in the spool is left alone until they are written. A record that cannot be understood stays as it is, and
    keeps no other from being ended.

    Args:
        store: where the records are.
        outbox: what waits to be written there.
        lease_ms: how long a recorder counts as alive after its last sign of life.
    """

    def __init__(self, store: HistoryStore, outbox: Outbox, lease_ms: int) -> None:
        self._store = store
        self._outbox = outbox
        self._lease_ms = lease_ms
        self._odd: set[int] = set()

    async def end(self, owner: str, now: int, takes_over: TakesOver | None) -> int:
        """End those that there are now; how many were ended.

        Args:
            owner: the recorder that looks; its own runs are none.
            now: milliseconds since the epoch.
            takes_over: who may take a run over.

        Raises:
            StoreError: the store cannot be used now.
        """
        leases, orphans = await self._store.leases(), []
        for body in await self._store.open_records(frozenset({"running"}), _AT_ONCE):
            try:
                record = orjson.loads(body)
                own = RECORDER.of(record) == owner
                last_sign = None if own else last_sign_of_dead(record, leases, now, self._lease_ms)
            except Exception as error:  # noqa: BLE001 - whatever is in a record, the others are ended
                self._pass_over(body, error)
            else:
                orphans += [] if last_sign is None else [(body, record, last_sign)]
        # What a recorder had put aside before it died is there to be seen by now.
        if not orphans or not await self._outbox.look():
            return 0
        ended = 0
        for body, record, last_sign in orphans:
            is_ended, fault = await attempt(self._end(record, last_sign, now, takes_over))
            if isinstance(fault, PASSING):
                raise fault
            if fault is not None:
                self._pass_over(body, fault)
            ended += bool(is_ended)
        return ended

    async def _end(self, record: dict[str, Any], last_sign: int, now: int, takes_over: TakesOver | None) -> bool:
        key = (record["workflow_id"], record["execute_id"])
        if self._outbox.holds(*key):
            return False
        if isinstance(COZE_EXECUTE_ID.raw(record), str):
            if takes_over is not None and await self._is_taken_over(record, takes_over):
                return False
            if record["run_mode"] == _MODE_ASYNC and record["create_time"] > now - _LONGEST_ASYNC_MS:
                return False
        change = RecordChange.of(
            now,
            status="interrupted",
            fields={"error_message": RECORDER_DIED},
            metadata={
                PROOF.name: Proof.RECORDER_DIED,
                ENDED_AT.name: max(record["create_time"], last_sign),
                TRANSITION.name: {"from": "running", "to": "interrupted", "at": now, "last_sign_of_life": last_sign},
            },
            only_from=frozenset({"running"}),
        )
        return await self._store.update(*key, change) is not None

    async def _is_taken_over(self, record: dict[str, Any], takes_over: TakesOver) -> bool:
        is_taken, error = await attempt(takes_over(record))
        if isinstance(error, StoreError):
            raise error
        if error is not None:
            _log.warning("A run that was left behind cannot be followed: %s", error, exc_info=error)
        return bool(is_taken)

    def _pass_over(self, body: bytes, error: BaseException) -> None:
        if hash(body) not in self._odd:
            self._odd.add(hash(body))
            _log.warning(
                "A running record is left as it is (%s: %s): %r", type(error).__name__, error, body[:_SHOWN_BYTES]
            )
