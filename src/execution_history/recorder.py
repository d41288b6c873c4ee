"""One run, from before it leaves to a proven ending, whatever happens to the store in between.

Recording never breaks the workflow: a record that cannot be written waits in the outbox. A recorder says through a
lease in the store that it is alive; the runs of one that is not are ended truthfully by whoever looks next.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import orjson

from execution_history.clock import new_execute_id, now_ms
from execution_history.errors import (
    ExecutionHistoryError,
    StoreClosed,
    StoreError,
)
from execution_history.outbox import Outbox
from execution_history.record import (
    ENDED_KEY,
    OPEN_STATUSES,
    UPSTREAM_KEY,
    ExecutionStatus,
    RecordChange,
    check_identifier,
    new_document,
)
from execution_history.signs_of_life import is_dead, sign_of_life
from execution_history.store import HistoryStore, record_limit_of

_log = logging.getLogger("execution_history.recorder")
RECORDER_KEY: Final = "recorder"
"""The key in a record's ``metadata`` that names the recorder that is, or was, recording it."""

_RUNNING: Final = frozenset({"running"})
_RETRY_SECONDS: Final = 1.0
_AT_ONCE: Final = 500
_MODE_ASYNC: Final = 2
_LONGEST_ASYNC_MS: Final = 26 * 3600 * 1000  # Coze ends an asynchronous run after 24 hours (coze-protocol 1.2)

RECORDER_DIED: Final = (
    "The program that recorded this run ended before the run did; what became of the run is not known."
)

Snapshot = Callable[[], dict[str, object]]

TakesOver = Callable[[dict[str, Any]], Awaitable[bool]]
"""Takes the record of a dead recorder over when it can ask the upstream what became of the run; whether it does."""


class Recorder:
    """Opens and closes records in a store, and looks after those of recorders that died.

    Args:
        store: where records go; opened when needed.
        clock: milliseconds since the epoch.
        new_id: where execute ids come from.
        progress_interval_ms: how often the progress of a run is saved.
        lease_seconds: how long a recorder counts as alive after its last sign of life.
        require_recording: refuse a run whose record cannot be written, instead of running it unrecorded.
    """

    def __init__(
        self,
        store: HistoryStore,
        *,
        clock: Callable[[], int] = now_ms,
        new_id: Callable[[], str] = new_execute_id,
        progress_interval_ms: int = 1000,
        lease_seconds: float = 15,
        require_recording: bool = False,
    ) -> None:
        self.store = store
        self.clock = clock
        self.new_id = new_id
        self.progress_interval_ms = progress_interval_ms
        self._lease_ms = int(lease_seconds * 1000)
        self._require_recording = require_recording
        self.record_limit = record_limit_of(store)
        self.owner = sign_of_life(new_id())
        self.outbox = Outbox(store)
        self._tending: asyncio.Task[None] | None = None
        self.takes_over: TakesOver | None = None

    async def start(self) -> None:
        """Say that this recorder is alive, end the runs of dead ones, and go on doing both."""
        await self._tend_once()
        self._tending = asyncio.create_task(self._tend())

    async def aclose(self) -> None:
        """Write what can be written, put the rest aside, and give the lease up. The store stays open."""
        if self._tending is not None:
            self._tending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._tending
        await self.outbox.aclose()
        with contextlib.suppress(ExecutionHistoryError):
            await self.store.open()
            await self.store.renew_lease(self.owner, 0)

    def problems(self) -> tuple[str, ...]:
        """One sentence each for what could not be recorded; none when all is well."""
        return self.outbox.problems()

    async def open(
        self,
        workflow_id: str,
        *,
        execute_id: str | None = None,
        parameters: object = None,
        metadata: Mapping[str, object] | None = None,
        **fields: object,
    ) -> "Recording":
        """Begin the record of a run that is about to leave.

        Args:
            workflow_id: which workflow.
            execute_id: the record's id; one is made when none is given.
            parameters: the run's input.
            metadata: what else is known.
            fields: other keys of the record, such as ``bot_id`` and ``run_mode``.

        Raises:
            InvalidIdentifier: an id cannot be one.
            ExecutionExists: the workflow has a record with this id.
            StoreError: only where recording is required: the record could not be written.
        """
        document = new_document(
            workflow_id=check_identifier("workflow id", workflow_id),
            execute_id=check_identifier("execute id", execute_id) if execute_id else self.new_id(),
            now=self.clock(),
            parameters=parameters,
            metadata={**(metadata or {}), RECORDER_KEY: self.owner},
            largest=self.record_limit,
            **fields,
        )
        if self._require_recording:
            await self.store.open()
            await self.store.create(document)
        else:
            await self.outbox.write(document.workflow_id, document.execute_id, document)
        return Recording(self, document.workflow_id, document.execute_id, document.create_time)

    async def reopen(
        self,
        record: Mapping[str, Any],
        *,
        metadata: Mapping[str, object] | None = None,
        question: dict[str, Any] | None = None,
    ) -> "Recording":
        """Go on with the record of an interrupted run: it is running again, and this recorder's.

        Args:
            record: the stored record, parsed.
            metadata: what is known of the continuation; merged.
            question: what the run was asking; it asks it still if the answer does not reach it.

        Raises:
            StoreError: only where recording is required: the record could not be written.
        """
        change = RecordChange.of(
            self.clock(),
            status="running",
            metadata={**(metadata or {}), RECORDER_KEY: self.owner},
            only_from=OPEN_STATUSES,
            cleared=("error_code", "error_message"),
            largest=self.record_limit,
        )
        key = (record["workflow_id"], record["execute_id"])
        if self._require_recording:
            await self.store.update(*key, change)
        else:
            await self.outbox.write(*key, change)
        return Recording(self, *key, record["create_time"], record["node_execute_status"], question)

    async def _tend(self) -> None:
        interval = self._lease_ms / 3000
        while True:
            await asyncio.sleep(min(interval, _RETRY_SECONDS) if self.outbox else interval)
            await self._tend_once()

    async def _tend_once(self) -> None:
        try:
            await self.store.open()
            await self.store.renew_lease(self.owner, self.clock() + self._lease_ms)
            await self.outbox.save()
            await self.end_orphans()
        except StoreClosed:
            raise
        except StoreError as error:
            _log.warning("The recorder could not give a sign of life: %s", error)

    async def end_orphans(self) -> int:
        """End the runs whose recorder is dead, as ``interrupted`` with the reason; how many there were.

        A run whose id upstream is known is offered to :attr:`takes_over` first. Where nobody takes it over, one that
        was accepted asynchronously is left alone for as long as it may go on upstream without a recorder.
        """
        now, ended = self.clock(), 0
        leases = await self.store.leases()
        for body in await self.store.open_records(_RUNNING, _AT_ONCE):
            record = orjson.loads(body)
            owner = record["metadata"].get(RECORDER_KEY)
            if not isinstance(owner, str) or owner == self.owner:
                continue
            expires = leases.get(owner, record["update_time"] + self._lease_ms)
            if expires >= now and not is_dead(owner):
                continue
            if isinstance(record["metadata"].get(UPSTREAM_KEY), str):
                if self.takes_over is not None and await self.takes_over(record):
                    continue
                if record["run_mode"] == _MODE_ASYNC and record["create_time"] > now - _LONGEST_ASYNC_MS:
                    continue
            ended += await self._end_orphan(record, min(expires - self._lease_ms, now), now)
        return ended

    async def _end_orphan(self, record: dict[str, Any], last_sign: int, now: int) -> int:
        # What was saved of its progress is a sign of life too. Nobody knows that it went on after the last one.
        last_sign = min(now, max(last_sign, record["update_time"]))
        change = RecordChange.of(
            now,
            status="interrupted",
            fields={"error_message": RECORDER_DIED},
            metadata={
                "proof": "recorder_died",
                ENDED_KEY: max(record["create_time"], last_sign),
                "transition": {"from": "running", "to": "interrupted", "at": now, "last_sign_of_life": last_sign},
            },
            only_from=_RUNNING,
        )
        body = await self.store.update(record["workflow_id"], record["execute_id"], change)
        return 0 if body is None else 1


class Recording:
    """The open record of one run.

    ``timeline`` is what an earlier part of the run has left, and ``question`` what it was asking, when it goes on.
    """

    def __init__(
        self,
        recorder: Recorder,
        workflow_id: str,
        execute_id: str,
        create_time: int,
        timeline: object = None,
        question: dict[str, Any] | None = None,
    ) -> None:
        self._recorder = recorder
        self.workflow_id = workflow_id
        self.execute_id = execute_id
        self.create_time = create_time
        self.timeline = timeline
        self.question = question
        self._snapshot: Snapshot | None = None
        self._dirty = False
        self._saving: asyncio.Task[None] | None = None
        self._closed = False

    def follow(self, snapshot: Snapshot) -> None:
        """Save what *snapshot* returns (record keys to values) regularly, whenever ``touched`` was called since."""
        self._snapshot = snapshot
        self._saving = asyncio.create_task(self._save_progress())

    def touched(self) -> None:
        """There is progress to save."""
        self._dirty = True

    async def close(
        self, status: ExecutionStatus | None, *, metadata: Mapping[str, object] | None = None, **fields: object
    ) -> None:
        """End the record; a second call does nothing. ``None`` as status leaves it running.

        Args:
            status: how the run ended.
            metadata: what else is known now; merged.
            fields: record keys and their values; ``None`` changes nothing.
        """
        if self._closed:
            return
        self._closed = True
        if self._saving is not None:
            self._saving.cancel()
        limit = self._recorder.record_limit
        change = RecordChange.of(self._recorder.clock(), status, metadata, fields=fields, largest=limit)
        await self._recorder.outbox.write(self.workflow_id, self.execute_id, change)

    async def _save_progress(self) -> None:
        pause = self._recorder.progress_interval_ms / 1000
        while not self._closed:
            await asyncio.sleep(pause)
            if not self._dirty or self._snapshot is None:
                continue
            self._dirty = False
            began = self._recorder.clock()
            limit = self._recorder.record_limit
            change = RecordChange.of(began, only_from=_RUNNING, fields=self._snapshot(), largest=limit)
            await asyncio.shield(self._recorder.outbox.write(self.workflow_id, self.execute_id, change))
            # Saving a very large run must not become the main work.
            pause = max(self._recorder.progress_interval_ms, 20 * (self._recorder.clock() - began)) / 1000
