"""One run of a function or a block: its record is begun, followed and ended on the bridge, whatever its caller is.

Waiting is bounded: for the beginning and the ending as long as the outbox has patience, for an ending by cancellation
not at all. Nothing in here raises into the run, except where recording is required and cannot be done.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Self, cast

import orjson

from execution_history.clock import now_ms
from execution_history.errors import SettingsError, StoreError, quoted
from execution_history.functions.arguments import Redaction
from execution_history.functions.endings import PROGRAM_ENDED, NeverUsed, said_of, status_of
from execution_history.functions.foreign import comes_from_outside, reason_of
from execution_history.functions.messages import Messages
from execution_history.functions.places import Place, nearest, parentage
from execution_history.functions.plan import MODE_STREAM, Plan
from execution_history.functions.process_recorder import (
    LONGEST_WAIT,
    RecordingProcess,
    is_recording_required,
    settled,
    this_process,
)
from execution_history.records.depth import IN_VALUE
from execution_history.records.metadata import DURATION, PROOF, RECORDED_AS, ROOT, TAGS, of_caller
from execution_history.records.proof import Proof
from execution_history.records.record import ExecutionStatus

if TYPE_CHECKING:
    from execution_history.recording.open_record import Recording
    from execution_history.recording.recorder import Recorder

_log = logging.getLogger("execution_history.functions")

_UNSET: Final = object()


Begin = Callable[[tuple[object, ...], Mapping[str, object]], "Run | None"]
"""Makes the run of one call, from its arguments; ``None`` when it cannot be recorded."""


def current_run() -> "Run | None":
    """Return the nearest run around the caller that is being recorded; ``None`` outside of any."""
    return cast("Run | None", nearest())


class Run:
    """A run that is being recorded. Inside it, these may be set; they are kept as they are when the run ends.

    ``output`` is the result (a function's return value sets it), ``usage`` what it has consumed, and ``metadata``
    whatever else is worth keeping. ``is_over``, whether the record has been ended, is only read.
    """

    def __init__(self, plan: Plan, parameters: object) -> None:
        self._plan = plan
        self._redaction = Redaction(plan.redact)
        self.workflow_id: str = plan.workflow_id
        self.output: object = _UNSET
        self._unused_value: object = _UNSET
        self.usage: object = None
        self.metadata: dict[str, Any] = {}
        self._process = os.getpid()
        self.is_over: bool = False
        self._has_begun = self._goes_on = self._is_used = False
        self.place: Place = Place(self)
        self._here: RecordingProcess | None = None
        self._recorder: Recorder | None = None
        self._recording: Recording | None = None
        self._beginning: Future[None] | None = None
        self._parameters = b"{}"
        self._is_recorded = True
        self._opening = parentage()
        self.execute_id: str = ""
        with self.unseen():
            self._prepare(parameters)
        self._messages = self._no_messages()
        self._began = time.perf_counter()
        self.root: object = self._opening.get(ROOT.name) or self.identity

    def _prepare(self, parameters: object) -> None:
        plan = self._plan
        self._is_recorded = plan.is_recorded()
        self._here = this_process()
        self._recorder = plan.recorder(self._here)
        self._redaction.largest = self._recorder.record_limit
        self.execute_id = self._recorder.new_id()
        if plan.capture_input:
            self._parameters = self._redaction.document("input_parameters", parameters)
        if plan.tags:
            self._opening[TAGS.name] = list(plan.tags)
        if plan.metadata:
            self._opening |= self._redaction.metadata(of_caller(plan.metadata, is_function=True))
        self._opening[RECORDED_AS.name] = plan.kind

    @property
    def identity(self) -> dict[str, str]:
        """The ids of the run's record."""
        return {"workflow_id": self.workflow_id, "execute_id": self.execute_id}

    def message(self, value: object) -> None:
        """Note something that the run says before it ends; all of it is the output, unless that is set."""
        with self.unseen():
            document = self._redaction.document("output", value, IN_VALUE - 1)  # they may become a list
            self._messages.add(document, now_ms())
            if self._messages.is_cut:
                self._redaction.cuts["output"] = self._messages.size
            if self._recording is not None:
                self._recording.touched()

    def go_on(self) -> None:
        """Do not end the record with the block that is left next: what the function has returned goes on with it.

        Entering the run again, which does not begin it again, ends it.
        """
        self._goes_on = True

    def become_stream(self) -> None:
        """Take the messages of a generator from here on: the record has ``run_mode`` 1, and its progress is saved."""
        if self._plan.run_mode != MODE_STREAM:
            self._plan = replace(self._plan, run_mode=MODE_STREAM, kind="generator")
            self._messages = self._no_messages()
            with self.unseen():
                if self._here is not None and self._beginning is not None:
                    self._here.bridge.submit(self._follow())

    def leave(self) -> None:
        """End the record, without waiting: what the function returned is gone, so that nothing can end it any more."""
        if self._is_used or self._unused_value is _UNSET:
            self.end_soon(GeneratorExit() if self._is_used else NeverUsed())
        else:
            self.end_as(self._unused_value)

    def end_as(self, value: object) -> None:
        """End the record without waiting: what the function returned is a value after all."""
        self.output = value
        self.end_soon()
        self.output = _UNSET  # it would keep alive what is kept alive until it is gone

    def end_unused_as(self, value: object) -> None:
        """Let the record end with *value* where nobody does with it what the run would go on with."""
        self._unused_value = value

    def start(self) -> None:
        """Begin the record, and wait for it; the second call does nothing.

        Raises:
            StoreError: recording is required and cannot be done.
        """
        if (future := self._begin()) is not None:
            with self._starting():
                future.result(LONGEST_WAIT)

    async def astart(self) -> None:
        """Begin the record, and await it: :meth:`start` for a coroutine.

        Raises:
            StoreError: recording is required and cannot be done.
        """
        if (future := self._begin()) is not None:
            with self._starting():
                await settled(future)

    def end_soon(self, error: BaseException | None = None) -> None:
        """End the record without waiting until that is written."""
        self._end(error)

    def finish(self, error: BaseException | None = None) -> None:
        """End the record; *error* is what ended the run. Does not wait when the run was cancelled."""
        if (future := self._end(error)) is not None:
            with self.unseen(is_waiting=True):
                future.result(LONGEST_WAIT)

    async def afinish(self, error: BaseException | None = None) -> None:
        """End the record, and await it: :meth:`finish` for a coroutine."""
        if (future := self._end(error)) is not None:
            with self.unseen(is_waiting=True):
                await settled(future)

    def __enter__(self) -> Self:
        self._enter()
        self.start()
        self.place.__enter__()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.place.__exit__()
        if not self._is_to_go_on(error):
            self.finish(error)

    async def __aenter__(self) -> Self:
        self._enter()
        await self.astart()
        self.place.__enter__()
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.place.__exit__()
        if not self._is_to_go_on(error):
            await self.afinish(error)

    async def end_with_the_program(self) -> None:
        """See :class:`~execution_history.functions.process_recorder.OpenRun`."""
        self.is_over = True
        fields, metadata = dict[str, object](), dict[str, object]()
        self._say(None, fields, metadata)
        fields["error_message"] = PROGRAM_ENDED
        await self._close("interrupted", fields, metadata | {PROOF.name: Proof.PROGRAM_ENDED})

    def _enter(self) -> None:
        self.place.is_call = not self._has_begun and self._plan.kind == "function"

    def _is_to_go_on(self, error: BaseException | None) -> bool:
        goes_on, self._goes_on = self._goes_on and error is None, False
        return goes_on

    def _no_messages(self) -> Messages:
        plan = self._plan
        return Messages(
            plan.title, plan.kind, now_ms(), largest=self._redaction.largest, keeps_content=plan.capture_output
        )

    def _begin(self) -> "Future[None] | None":
        if self._has_begun:
            self._is_used = True
            return None
        self._has_begun = True
        with self.unseen():
            here = self._here
            if here is None or self._recorder is None or here.bridge.is_here():
                return None
            self._beginning = here.bridge.submit(self._open(self._recorder))
            here.open_runs.add(self)
            return self._beginning
        return None

    async def _open(self, recorder: "Recorder") -> None:
        plan = self._plan
        self._recording = await recorder.open(
            self.workflow_id,
            execute_id=self.execute_id,
            parameters=orjson.Fragment(self._parameters),
            metadata=self._opening | self._redaction.said_of_cuts(),
            bot_id=plan.bot_id,
            conversation_id=plan.conversation_id,
            run_mode=plan.run_mode,
            is_recorded=self._is_recorded,
            secrets=self._redaction.secrets,
        )
        if plan.run_mode == MODE_STREAM:
            await self._follow()

    async def _follow(self) -> None:
        if self._recording is not None:
            self._recording.follow(lambda: {"run_mode": MODE_STREAM, "node_execute_status": self._messages.timeline()})

    @contextlib.contextmanager
    def _starting(self) -> Iterator[None]:
        """Log a beginning that fails; where recording is required the store's error ends the run."""
        try:
            yield
        except BaseException as error:
            # An outbox keeps what it cannot write: only a recorder that must record raises a StoreError.
            if isinstance(error, StoreError) or not isinstance(error, Exception):
                self._end(error)
                raise
            _log.error("A run could not be recorded: %s", str(error) or type(error).__name__)
        self._began = time.perf_counter()

    def _end(self, error: BaseException | None) -> "Future[None] | None":
        """End the record, once; what comes of it is returned unless the run was cancelled."""
        # A forked child leaves the run to its parent.
        if self.is_over or self._beginning is None or self._here is None or self._process != os.getpid():
            return None
        self.is_over = True
        status, proof = status_of(error)
        metadata: dict[str, object] = {PROOF.name: proof}
        fields: dict[str, object] = {}
        future = None
        try:
            metadata[DURATION.name] = round((time.perf_counter() - self._began) * 1000, 3)
            self._messages.is_finished = error is None
            self._say(error, fields, metadata)
        finally:  # whatever comes from outside meanwhile
            with self.unseen():
                future = self._here.bridge.submit(self._close(status, fields, metadata))
        return future if status != "interrupted" else None

    def _say(self, error: BaseException | None, fields: dict[str, object], metadata: dict[str, object]) -> None:
        """Add to the record's keys and metadata what came out of the run, and what *error* says: each as far as it can.

        What came out is first, as its secrets are taken out of the error.
        """
        with self.unseen():
            self._put_result(fields)
        with self.unseen():
            metadata |= self._redaction.metadata(of_caller(self.metadata, is_function=True))
        with self.unseen():
            metadata |= self._redaction.said_of_cuts()
        with self.unseen():
            said, reason = said_of(error, self._redaction)
            fields |= said
            metadata |= reason

    async def _close(self, status: ExecutionStatus, fields: dict[str, object], metadata: dict[str, object]) -> None:
        try:
            if self._beginning is not None:
                await asyncio.wait([asyncio.wrap_future(self._beginning)])
            if self._recording is not None:
                await self._recording.close(status, metadata=metadata, **fields)
        finally:
            if self._here is not None:
                self._here.open_runs.discard(self)

    def _put_result(self, fields: dict[str, object]) -> None:
        """Put what came out into the record's keys: the timeline, the usage and the output."""
        fields["node_execute_status"] = self._messages.timeline()
        fields["run_mode"] = MODE_STREAM if self._plan.run_mode == MODE_STREAM else None
        if self.usage is not None:
            fields["usage"] = orjson.Fragment(self._redaction.document("usage", self.usage))
        if self._plan.capture_output:
            if self.output is not _UNSET:
                fields["output"] = orjson.Fragment(self._redaction.document("output", self.output))
            elif len(self._messages) or self._plan.run_mode == MODE_STREAM:
                fields["output"] = orjson.Fragment(self._messages.output())

    @contextlib.contextmanager
    def unseen(self, *, is_waiting: bool = False) -> Iterator[None]:
        """Whatever goes wrong in recording is told by the log, and the run goes on.

        What comes from outside, such as Ctrl-C, is handed on. While the block is waiting, nothing foreign is called in
        it, so that all but exceptions does.

        Raises:
            SettingsError: recording is required, and there is no store to record in.
        """
        try:
            yield
        except BaseException as error:
            if self._recorder is None and isinstance(error, SettingsError) and is_recording_required():
                raise
            if (is_waiting and not isinstance(error, Exception)) or comes_from_outside(error):
                raise
            outcome = "could not be recorded" if self._recorder else "will not be recorded"
            _log.error("The run %s %s: %s", quoted(self.workflow_id), outcome, reason_of(error))
