"""The open record of one run: begun before the run leaves, saved while it goes on, ended once, completed afterwards."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from execution_history.errors import quoted
from execution_history.metrics import RUNS_ENDED
from execution_history.recording.attempts import error_of
from execution_history.recording.outbox import Outbox
from execution_history.recording.pending_writes import Step
from execution_history.records.content_rules import RunContents
from execution_history.records.metadata import INTERRUPT
from execution_history.records.record import ExecutionStatus, RecordChange

_log = logging.getLogger("execution_history.recording")
_RUNNING: Final = frozenset({"running"})
_ENDINGS: Final = frozenset({"success", "failed"})

Snapshot = Callable[[], dict[str, object]]


class Keeper(Protocol):
    """What a recording needs of its recorder."""

    clock: Callable[[], int]
    progress_interval_ms: int
    record_limit: int
    outbox: Outbox

    async def begin(self, workflow_id: str, execute_id: str, step: Step) -> bool:
        """Write the step before a run leaves; where recording is required it must succeed.

        Returns:
            ``False`` where the record is not any more what the step changes.

        Raises:
            ExecutionHistoryError: it did not, whatever was raised.
        """


class Recording:
    """The open record of one run.

    Args:
        recorder: keeps it.
        first: the step that begins the record, or goes on with it.
        key: the workflow's id and the record's.
        create_time: when the run began, in milliseconds.
        contents: what of the run's contents is kept, and whether the run is.
        timeline: what an earlier part of the run has left.
        question: what the run was asking; it asks it still if the answer does not reach it.
        is_shared: whether another call goes on with the run already, whose end is that call's to record.
    """

    def __init__(
        self,
        recorder: Keeper,
        first: Step,
        key: tuple[str, str],
        create_time: int,
        contents: RunContents,
        timeline: object = None,
        question: dict[str, Any] | None = None,
        *,
        is_shared: bool = False,
    ) -> None:
        self._recorder = recorder
        self._first: Step | None = first
        self.workflow_id: str = key[0]
        self.execute_id: str = key[1]
        self.create_time = create_time
        self.timeline = timeline
        self.question = question
        self.is_shared = is_shared
        self._contents = contents
        self._goes_on = isinstance(first, RecordChange)
        # A run that goes on has a record already.
        self._is_held = not self._goes_on and not contents.rule.is_kept(self.execute_id)
        self.is_kept: bool = self._goes_on or contents.rule.record != "nothing"
        self._snapshot: Snapshot | None = None
        self._metadata: Mapping[str, object] | None = None
        self._dirty = False
        self._first_save: asyncio.TimerHandle | None = None
        self._saving: asyncio.Task[None] | None = None
        self._closed = False

    async def begin(self) -> bool:
        """Write its first step; a second call does nothing, nor does one for a run of which no record may be kept.

        A caller who is cancelled has a record all the same, or will have one: it is to be closed.

        Returns:
            ``False`` where the record has changed since it was read, so that this is not the one to go on with.

        Raises:
            ExecutionExists: the workflow has a record with this id.
            StoreError: only where recording is required: the record could not be written.
        """
        if self._is_held:
            return True
        first, self._first = self._first, None
        return first is None or await self._recorder.begin(self.workflow_id, self.execute_id, first)

    def follow(self, snapshot: Snapshot, metadata: Mapping[str, object] | None = None) -> None:
        """Save what *snapshot* returns (record keys to values) regularly, whenever ``touched`` was called since.

        Args:
            snapshot: returns the progress.
            metadata: is merged with the first that is saved.
        """
        if self._is_held:
            return
        self._snapshot, self._metadata = snapshot, metadata
        pause = self._recorder.progress_interval_ms / 1000
        self._first_save = asyncio.get_running_loop().call_later(pause, self._begin_saving)

    def touched(self) -> None:
        """There is progress to save."""
        self._dirty = True

    async def close(
        self, status: ExecutionStatus | None, *, metadata: Mapping[str, object] | None = None, **fields: object
    ) -> bool:
        """End the record; a second call does nothing. ``None`` as status leaves it running.

        Args:
            status: how the run ended.
            metadata: what else is known now; merged.
            fields: record keys and their values; ``None`` changes nothing.

        Returns:
            whether this call ended it, and no earlier one.
        """
        if self._closed:
            return False
        self._closed = True
        if self._first_save is not None:
            self._first_save.cancel()
        if self._saving is not None:
            self._saving.cancel()
        cleared: tuple[str, ...] = ()
        if self._goes_on and status in _ENDINGS:
            # Another answer may have been rejected meanwhile, which has left its error and the question here.
            metadata = {INTERRUPT.name: None, **(metadata or {})}
            cleared = ("error_code", "error_message") if status == "success" else ()
        now, limit = self._recorder.clock(), self._recorder.record_limit
        if self._is_held and not await self._write_after_all(status):
            return False
        RUNS_ENDED.count(1, status or "running")
        await self._write(RecordChange.of(now, status, metadata, fields=fields, cleared=cleared, largest=limit))
        return True

    async def complete(
        self,
        fields: Mapping[str, object],
        metadata: Mapping[str, object],
        *,
        only_from: frozenset[str],
        only_while: Mapping[str, object],
    ) -> None:
        """Add what became known after the record was closed, where it still says what it said then.

        Args:
            fields: record keys and their values; ``None`` changes nothing.
            metadata: what is merged.
            only_from: the status that the record was closed with.
            only_while: the metadata that it still has to have; a run that was gone on with since is left alone.
        """
        if self._is_held:
            return
        now, limit = self._recorder.clock(), self._recorder.record_limit
        await self._write(
            RecordChange.of(
                now, metadata=metadata, only_from=only_from, fields=fields, only_while=only_while, largest=limit
            )
        )

    async def _write_after_all(self, status: ExecutionStatus | None) -> bool:
        """Write the beginning of a run outside of a sample that did not succeed; return whether it was one."""
        first, self._first = self._first, None
        if not self.is_kept or status == "success" or first is None:
            return False
        self._is_held = False
        return await self._recorder.outbox.write(self.workflow_id, self.execute_id, first)

    async def _write(self, change: RecordChange, *, grows: bool = False) -> None:
        change = self._contents.change(change, grows=grows)
        await self._recorder.outbox.write(self.workflow_id, self.execute_id, change)

    def _begin_saving(self) -> None:
        self._saving = asyncio.create_task(self._save_progress())

    async def _save_progress(self) -> None:
        shortest = self._recorder.progress_interval_ms / 1000
        pause, has_failed, loop = shortest, False, asyncio.get_running_loop()
        while not self._closed:
            if not self._dirty or self._snapshot is None:
                await asyncio.sleep(pause)
                continue
            self._dirty = False
            began = loop.time()
            saving = asyncio.ensure_future(self._save(self._snapshot))
            saving.add_done_callback(error_of)
            # What is under way goes on when the record is closed meanwhile: the ending comes after it.
            await asyncio.wait({saving})
            error = error_of(saving)
            if error is not None and not has_failed:
                has_failed = True
                _log.error("The progress of %s/%s cannot be saved; the run goes on, and its ending is recorded: %s",
                           quoted(self.workflow_id), quoted(self.execute_id), error, exc_info=error)  # fmt: skip
            # Saving a very large run must not become the main work.
            pause = max(shortest, 20 * (loop.time() - began))
            await asyncio.sleep(pause)

    async def _save(self, snapshot: Snapshot) -> None:
        recorder = self._recorder
        now, limit = recorder.clock(), recorder.record_limit
        metadata, self._metadata = self._metadata, None
        change = RecordChange.of(now, metadata=metadata, only_from=_RUNNING, fields=snapshot(), largest=limit)
        await self._write(change, grows=True)
