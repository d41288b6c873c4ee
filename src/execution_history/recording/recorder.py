"""One run, from before it leaves to a proven ending, whatever happens to the store in between.

Recording never breaks the workflow: a record that cannot be written waits in the outbox. A recorder shows by a
lease in the store that it is alive; the runs of one that is not are ended truthfully by whoever looks next.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from execution_history.clock import new_execute_id, now_ms
from execution_history.errors import ExecutionHistoryError, StoreClosed, StoreError, message_of
from execution_history.metrics import RUNS_BEGUN
from execution_history.recording.attempts import attempt
from execution_history.recording.chat_questions import ChatQuestions
from execution_history.recording.name_learner import NameLearner
from execution_history.recording.open_record import Recording
from execution_history.recording.orphans import Orphans, TakesOver
from execution_history.recording.outbox import CLOSING_SECONDS, Outbox
from execution_history.recording.pending_writes import Step
from execution_history.recording.process_identity import sign_of_life
from execution_history.recording.stored_records import StoredRecords
from execution_history.records.content_rules import ContentRules
from execution_history.records.identifiers import check_identifier
from execution_history.records.metadata import RECORDER, TAKEN_OVER
from execution_history.records.record import OPEN_STATUSES, Document, RecordChange, new_document
from execution_history.stores.capabilities import record_limit_of
from execution_history.stores.protocol import HistoryStore

if TYPE_CHECKING:
    from execution_history.settings import Settings

_log = logging.getLogger("execution_history.recording")
_RUNNING: Final = frozenset({"running"})
_RETRY_SECONDS: Final = 1.0
_LONGEST_TENDING: Final = 60.0


class Recorder:
    """Opens and closes records in a store, and ends those of recorders that died.

    Args:
        store: where records go; opened when needed.
        clock: milliseconds since the epoch.
        new_id: where execute ids come from.
        progress_interval_ms: how often the progress of a run is saved.
        lease_seconds: how long a recorder counts as alive after its last sign of life.
        require_recording: refuse a run whose record cannot be written, instead of running it unrecorded.
        rules: what of a run's contents is kept.
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
        rules: ContentRules | None = None,
    ) -> None:
        self._store = store
        self.clock = clock
        self.new_id = new_id
        self.progress_interval_ms = progress_interval_ms
        self._lease_ms = int(lease_seconds * 1000)
        self.requires_recording = require_recording
        self.record_limit: int = record_limit_of(store)
        self.rules: ContentRules = rules or ContentRules()
        self.records: StoredRecords = StoredRecords(store, self.record_limit, self.rules)
        self.names: NameLearner = NameLearner(store, clock)
        self.chat_questions: ChatQuestions = ChatQuestions(store, self.records)
        self.owner: str = sign_of_life(new_id())
        self.outbox: Outbox = Outbox(store, clock=clock)
        self._tending: asyncio.Task[None] | None = None
        self._hindrances: dict[str, str | None] = {}
        self._orphans = Orphans(store, self.outbox, self._lease_ms)
        self.takes_over: TakesOver | None = None
        self.unrecorded: int = 0
        self.unrecorded_at: int | None = None
        self._counting = threading.Lock()

    @classmethod
    def of_settings(cls, store: HistoryStore, settings: "Settings") -> "Recorder":
        """Return the recorder that *settings* describe, with its records in *store*."""
        return cls(
            store,
            progress_interval_ms=settings.progress_interval_ms,
            lease_seconds=settings.lease_seconds,
            require_recording=settings.require_recording,
            rules=settings.content_rules,
        )

    async def start(self) -> None:
        """Say that this recorder is alive, end the runs of dead ones, and go on doing both.

        What other programs have left in the spool is written in the background.
        """
        await self._tend_once()
        self._tending = asyncio.create_task(self._tend())

    async def aclose(self, seconds: float = CLOSING_SECONDS) -> None:
        """Write what can be written, put the rest aside, and give the lease up. The store stays open.

        Args:
            seconds: how long all of this takes at most, whatever the store does.
        """
        try:
            if self._tending is not None:
                self._tending.cancel()
                await asyncio.wait({self._tending}, timeout=seconds / 8)
            await self.names.aclose(seconds / 8)
        finally:
            await self.outbox.aclose(seconds * 5 / 8)
        await attempt(self._renew_lease(is_last=True), seconds / 8)

    def count_unrecorded(self, reason: str, fault: BaseException | None = None) -> None:
        """Count a run that passes without a record, and log the reason.

        ``unrecorded`` has how many did, and ``unrecorded_at`` when the last one did, in milliseconds.

        Args:
            reason: is one sentence.
            fault: is logged with its traceback, where it is one that nobody expects.
        """
        with self._counting:
            self.unrecorded += 1
            with suppress(Exception):  # whatever has cost the record costs its caller nothing
                self.unrecorded_at = self.clock()
        _log.warning("A run passes unrecorded: %s", reason, exc_info=fault)

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
        is_recorded: bool = True,
        secrets: Iterable[str] = (),
        **fields: object,
    ) -> Recording:
        """Begin the record of a run that is about to leave.

        Args:
            workflow_id: which workflow.
            execute_id: the record's id; one is made when none is given.
            parameters: the run's input.
            metadata: what else is known.
            is_recorded: whether the run is recorded at all.
            secrets: what is to be taken out wherever it comes back.
            fields: other keys of the record, such as ``bot_id`` and ``run_mode``.

        Raises:
            InvalidIdentifier: an id cannot be one.
            ExecutionExists: the workflow has a record with this id.
            StoreError: only where recording is required: the record could not be written.
        """
        recording = self.prepare(
            workflow_id, execute_id=execute_id, parameters=parameters, metadata=metadata, is_recorded=is_recorded,
            secrets=secrets, **fields,
        )  # fmt: skip
        await recording.begin()
        return recording

    def prepare(
        self,
        workflow_id: str,
        *,
        execute_id: str | None = None,
        parameters: object = None,
        metadata: Mapping[str, object] | None = None,
        is_recorded: bool = True,
        secrets: Iterable[str] = (),
        **fields: object,
    ) -> Recording:
        """Return the record of a run that is about to leave; nothing is written before :meth:`Recording.begin`.

        The arguments are those of :meth:`open`.

        Raises:
            InvalidIdentifier: an id cannot be one.
        """
        document = new_document(
            workflow_id=check_identifier("workflow id", workflow_id),
            execute_id=check_identifier("execute id", execute_id) if execute_id else self.new_id(),
            now=self.clock(),
            parameters=parameters,
            metadata={**(metadata or {}), RECORDER.name: self.owner},
            largest=self.record_limit,
            **fields,
        )
        contents = self.rules.of_run(document.workflow_id, is_recorded=is_recorded)
        contents.know(secrets)
        key = (document.workflow_id, document.execute_id)
        return Recording(self, contents.document(document), key, document.create_time, contents)

    def prepare_again(
        self,
        record: Mapping[str, Any],
        *,
        metadata: Mapping[str, object] | None = None,
        question: dict[str, Any] | None = None,
        only_while: Mapping[str, object] | None = None,
        is_shared: bool = False,
    ) -> Recording:
        """Return the record of an interrupted run to go on with: it is running again, and this recorder's.

        Nothing is written before :meth:`Recording.begin`.

        Args:
            record: the stored record, parsed.
            metadata: what is known of the continuation; merged.
            question: what the run was asking; it asks it still if the answer does not reach it.
            only_while: the metadata that the record must still have for that.
            is_shared: whether another call goes on with the run already, which stays that call's.
        """
        change = RecordChange.of(
            self.clock(),
            status=None if is_shared else "running",
            metadata={**(metadata or {}), **({} if is_shared else {RECORDER.name: self.owner})},
            only_from=_RUNNING if is_shared else OPEN_STATUSES,
            only_while=only_while,
            cleared=() if is_shared else ("error_code", "error_message"),
            largest=self.record_limit,
        )
        key = (record["workflow_id"], record["execute_id"])
        timeline, contents = record["node_execute_status"], self.rules.of_run(key[0])
        return Recording(
            self, contents.change(change), key, record["create_time"], contents, timeline, question, is_shared=is_shared
        )

    async def claim(self, record: Mapping[str, Any]) -> bool:
        """Make a run this recorder's while its recorder is still the one that *record* names; whether it is now.

        Raises:
            StoreError: the record could not be written.
        """
        dead, now = RECORDER.raw(record), self.clock()
        claim = RecordChange.of(
            now,
            metadata={RECORDER.name: self.owner, TAKEN_OVER.name: {"from": dead, "at": now}},
            only_from=_RUNNING,
            only_while={RECORDER.name: dead},
            largest=self.record_limit,
        )
        return await self.records.update(record["workflow_id"], record["execute_id"], claim) is not None

    async def begin(self, workflow_id: str, execute_id: str, step: Step) -> bool:
        """Write the step before a run leaves; where recording is required it must succeed.

        Returns:
            ``False`` where the record is not any more what the step changes.

        Raises:
            ExecutionHistoryError: it did not, whatever was raised.
        """
        if isinstance(step, Document):
            self.names.learn_from(step)
            RUNS_BEGUN.count()
        if not self.requires_recording:
            return await self.outbox.write(workflow_id, execute_id, step)
        is_written, error = await attempt(self._write(workflow_id, execute_id, step))
        if isinstance(error, ExecutionHistoryError):
            raise error
        if error is not None:
            raise StoreError(
                "The run cannot be recorded: %(reason)s.", reason=message_of(error) or type(error).__name__
            ) from error
        return bool(is_written)

    async def _write(self, workflow_id: str, execute_id: str, step: Step) -> bool:
        await self._store.open()
        if isinstance(step, Document):
            await self._store.create(step)
            return True
        return await self._store.update(workflow_id, execute_id, step) is not None

    async def _tend(self) -> None:
        interval = self._lease_ms / 3000
        is_of_use = True
        while is_of_use:
            await asyncio.sleep(min(interval, _RETRY_SECONDS) if self.outbox else interval)
            is_of_use = await self._tend_once()

    async def _tend_once(self) -> bool:
        """Do what is to be done now; whether there is any use in doing it again."""
        for tend in (self._renew_lease, self.outbox.look, self.end_orphans):
            _, error = await attempt(tend(), _LONGEST_TENDING)
            if isinstance(error, StoreClosed):
                return False
            self._warn_once(tend.__name__, error)
        return True

    def _warn_once(self, duty: str, error: BaseException | None) -> None:
        """Log what keeps the recorder from a *duty*, unless that has been so the last time too."""
        reason = None if error is None else str(error) or type(error).__name__
        if reason is not None and reason not in self._hindrances.values():
            is_promised = isinstance(error, ExecutionHistoryError | TimeoutError | asyncio.CancelledError)
            _log.warning(
                "The recorder could not look after its history: %s", reason, exc_info=None if is_promised else error
            )
        self._hindrances[duty] = reason

    async def _renew_lease(self, *, is_last: bool = False) -> None:
        await self._store.open()
        await self._store.renew_lease(self.owner, 0 if is_last else self._lease_ms)

    async def end_orphans(self) -> int:
        """End the runs whose recorder is dead, as ``interrupted`` with the reason; how many there were.

        See :class:`~execution_history.recording.orphans.Orphans`.

        Raises:
            StoreError: the store cannot be used now.
        """
        return await self._orphans.end(self.owner, self.clock(), self.takes_over)
