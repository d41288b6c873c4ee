"""One run, from before it leaves to a proven ending, whatever happens to the store in between.

Recording never breaks the workflow: a record that cannot be written is kept in memory, counted, shown by
``problems`` and written when that is possible again. A recorder says through a lease in the store that it is
alive; the runs of one that is not are ended truthfully by whoever looks next.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import orjson

from execution_history.clock import new_execute_id, now_ms
from execution_history.errors import (
    ExecutionHistoryError,
    IllegalTransition,
    InvalidInput,
    StoreClosed,
    StoreError,
)
from execution_history.record import Document, ExecutionStatus, RecordChange, check_identifier, new_document
from execution_history.signs_of_life import is_dead, sign_of_life
from execution_history.store import HistoryStore

_log = logging.getLogger("execution_history.recorder")
_Result = TypeVar("_Result")

RECORDER_KEY: Final = "recorder"
"""The key in a record's ``metadata`` that names the recorder that is, or was, recording it."""

_PATIENCE_SECONDS: Final = 2.0
_MOST_UNSAVED: Final = 10_000
_RETRY_SECONDS: Final = 1.0
_AT_ONCE: Final = 500
_MODE_ASYNC: Final = 2

_RECORDER_DIED: Final = (
    "The program that recorded this run ended before the run did; what became of the run is not known."
)

Snapshot = Callable[[], dict[str, object]]


@dataclass(slots=True)
class _Unsaved:
    """What the store has not taken yet of one record, in order."""

    workflow_id: str
    execute_id: str
    steps: deque[Document | RecordChange] = field(default_factory=deque)


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
        self.owner = sign_of_life(new_id())
        self._unsaved: dict[tuple[str, str], _Unsaved] = {}
        self._lost = 0
        self._trouble: str | None = None
        self._tending: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Say that this recorder is alive, end the runs of dead ones, and go on doing both."""
        await self._tend_once()
        self._tending = asyncio.create_task(self._tend())

    async def aclose(self) -> None:
        """Write what can be written and give the lease up. The store stays open."""
        if self._tending is not None:
            self._tending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._tending
        with contextlib.suppress(ExecutionHistoryError):
            await self.store.open()
            await self._save_unsaved()
            await self.store.renew_lease(self.owner, 0)

    def problems(self) -> tuple[str, ...]:
        """One sentence each for what could not be recorded; none when all is well."""
        found = []
        if self._unsaved:
            found.append(f"{len(self._unsaved)} runs wait to be recorded: {self._trouble}")
        if self._lost:
            found.append(f"{self._lost} runs could not be recorded and were given up.")
        return tuple(found)

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
            **fields,
        )
        if self._require_recording:
            await self.store.open()
            await self.store.create(document)
        else:
            await self._write(document.workflow_id, document.execute_id, document)
        return Recording(self, document)

    async def _write(self, workflow_id: str, execute_id: str, step: Document | RecordChange) -> None:
        """Have one step written, now or, when the store cannot, later and in order."""
        key = (workflow_id, execute_id)
        if key in self._unsaved:
            self._unsaved[key].steps.append(step)
            return
        try:
            await _patiently(lambda: self._apply(workflow_id, execute_id, step))
        except (StoreError, TimeoutError) as error:
            self._keep(key, step, error)

    async def _apply(self, workflow_id: str, execute_id: str, step: Document | RecordChange) -> None:
        await self.store.open()
        if isinstance(step, Document):
            await self.store.create(step)
            return
        try:
            await self.store.update(workflow_id, execute_id, step)
        except IllegalTransition as error:
            _log.warning("A run was ended twice; the first ending stands: %s", error)

    def _keep(self, key: tuple[str, str], step: Document | RecordChange, error: Exception) -> None:
        sentence = str(error) or "the store did not answer in time"
        if self._trouble != sentence:
            _log.error("A run could not be recorded and waits: %s", sentence)
        self._trouble = sentence
        if isinstance(error, TimeoutError):
            # The write is still under way and will be answered by nobody: it is not repeated.
            return
        if len(self._unsaved) >= _MOST_UNSAVED:
            self._unsaved.pop(next(iter(self._unsaved)))
            self._lost += 1
        self._unsaved.setdefault(key, _Unsaved(*key)).steps.append(step)

    async def _save_unsaved(self) -> None:
        """Write what waits, oldest first, until the store refuses again."""
        while self._unsaved:
            key, waiting = next(iter(self._unsaved.items()))
            while waiting.steps:
                try:
                    await self._apply(waiting.workflow_id, waiting.execute_id, waiting.steps[0])
                except StoreError as error:
                    self._trouble = str(error)
                    return
                except ExecutionHistoryError as error:
                    _log.warning("A step of a record was refused and is left out: %s", error)
                waiting.steps.popleft()
            self._unsaved.pop(key, None)
        self._trouble = None

    async def _tend(self) -> None:
        interval = self._lease_ms / 3000
        while True:
            await asyncio.sleep(min(interval, _RETRY_SECONDS) if self._unsaved else interval)
            await self._tend_once()

    async def _tend_once(self) -> None:
        try:
            await self.store.open()
            await self.store.renew_lease(self.owner, self.clock() + self._lease_ms)
            await self._save_unsaved()
            await self.end_orphans()
        except StoreClosed:
            raise
        except StoreError as error:
            _log.warning("The recorder could not give a sign of life: %s", error)

    async def end_orphans(self) -> int:
        """End the runs whose recorder is dead, as ``interrupted`` with the reason; how many there were.

        A run that was accepted asynchronously goes on upstream without a recorder, and is left alone.
        """
        now, ended = self.clock(), 0
        leases = await self.store.leases()
        for body in await self.store.open_records(frozenset({"running"}), _AT_ONCE):
            record = orjson.loads(body)
            owner = record["metadata"].get(RECORDER_KEY)
            if not isinstance(owner, str) or owner == self.owner:
                continue
            if record["run_mode"] == _MODE_ASYNC and record["metadata"].get("coze_execute_id"):
                continue
            expires = leases.get(owner, record["update_time"] + self._lease_ms)
            if expires >= now and not is_dead(owner):
                continue
            ended += await self._end_orphan(record, min(expires - self._lease_ms, now), now)
        return ended

    async def _end_orphan(self, record: dict[str, Any], last_sign: int, now: int) -> int:
        change = RecordChange.of(
            now,
            status="interrupted",
            fields={"error_message": _RECORDER_DIED},
            metadata={
                "proof": "recorder_died",
                "transition": {"from": "running", "to": "interrupted", "at": now, "last_sign_of_life": last_sign},
            },
            only_from=frozenset({"running"}),
        )
        body = await self.store.update(record["workflow_id"], record["execute_id"], change)
        return 0 if body is None else 1


class Recording:
    """The open record of one run."""

    def __init__(self, recorder: Recorder, document: Document) -> None:
        self._recorder = recorder
        self.workflow_id = document.workflow_id
        self.execute_id = document.execute_id
        self.create_time = document.create_time
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
        change = RecordChange.of(self._recorder.clock(), status=status, metadata=metadata, fields=fields)
        await self._recorder._write(self.workflow_id, self.execute_id, change)  # noqa: SLF001 - two halves of one thing

    async def _save_progress(self) -> None:
        pause = self._recorder.progress_interval_ms / 1000
        while not self._closed:
            await asyncio.sleep(pause)
            if not self._dirty or self._snapshot is None:
                continue
            self._dirty = False
            began = self._recorder.clock()
            change = RecordChange.of(began, only_from=frozenset({"running"}), fields=self._snapshot())
            await asyncio.shield(self._recorder._write(self.workflow_id, self.execute_id, change))  # noqa: SLF001
            # Saving a very large run must not become the main work.
            pause = max(self._recorder.progress_interval_ms, 20 * (self._recorder.clock() - began)) / 1000


async def _patiently(work: Callable[[], Awaitable[_Result]]) -> _Result:
    """The result of *work*, for which a caller waits only so long; it goes on when he has left."""
    task = asyncio.ensure_future(work())
    task.add_done_callback(_seen)
    return await asyncio.wait_for(asyncio.shield(task), _PATIENCE_SECONDS)


def _seen(task: "asyncio.Future[Any]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, InvalidInput):
        _log.debug("A write of a record failed: %s", type(error).__name__)
