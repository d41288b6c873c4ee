"""One call that a synchronous transport records: its record on the bridge, the bytes in the caller's thread."""

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from typing import Final

import httpx

from execution_history.background_loop import Bridge
from execution_history.coze.protocol.messages import Outcome, RunRequest
from execution_history.coze.protocol.response_reader import AnswerReading
from execution_history.coze.tracking.poller import RunFollower
from execution_history.coze.transport.call_recording import (
    NEVER_SENT,
    STOPPED,
    RunContext,
    begin_recording,
    end_recording,
    failure_of,
    settled,
)
from execution_history.coze.transport.follow_up import leave_open
from execution_history.errors import ExecutionHistoryError
from execution_history.recording.recorder import Recorder, Recording

_log = logging.getLogger("execution_history.coze")

LONGEST_WAIT: Final = 60.0
"""Seconds that a caller's thread waits for the bridge at most."""

CLOSE_SECONDS: Final = 5.0
"""Seconds that closing a transport waits for what is being read."""


class SyncExchange:
    """One recorded call: its record, and the answer's bytes on their way through."""

    def __init__(
        self,
        bridge: Bridge,
        recorder: Recorder,
        request: httpx.Request,
        call: RunRequest,
        context: RunContext,
        drain_limit: float,
        largest: int,
        follower: RunFollower,
    ) -> None:
        self._bridge = bridge
        self._recorder = recorder
        self._request = request
        self._context = context
        self._call = call
        self._drain_limit = drain_limit
        self._largest = largest
        self._follower: RunFollower | None = follower
        self._reading = AnswerReading(call, 0)
        self._response: httpx.Response | None = None
        self._chunks: Iterator[bytes] = iter(())
        # The snapshot of the progress is taken in the bridge's thread.
        self._lock = threading.RLock()
        self._opening: Future[Recording] | None = None
        self._has_left = self._is_cut = self._is_over = self._is_faulty = False
        self._draining: threading.Thread | None = None
        self.ended: Future[None] = Future()

    def begin(self) -> None:
        """Open the record. A fault of ours costs the record, and the call only where recording is required.

        Raises:
            ExecutionHistoryError: it cannot be opened.
            RuntimeError: the program is ending.
            TimeoutError: the store does not answer at all.
        """
        self._opening = self._bridge.submit(self._opened())
        try:
            opened = self._opening.result(LONGEST_WAIT)
            self._reading = AnswerReading(self._call, opened.create_time, opened.timeline, self._largest)
        except BaseException as error:
            is_ours = isinstance(error, Exception) and not isinstance(error, ExecutionHistoryError | TimeoutError)
            if not is_ours or self._recorder.requires_recording:
                self._over(NEVER_SENT, waits=False)
                raise
            _log.exception("A run could not be recorded")

    def answer(self, inner: httpx.BaseTransport) -> httpx.Response:
        """The upstream's answer, its body read through this exchange."""
        try:
            response = inner.handle_request(self._request)
        except BaseException as error:
            self._over(failure_of(error, self._request), waits=isinstance(error, Exception))
            raise
        with self._guarded():
            self._reading.begin(response.status_code, response.headers)
            self._follow()
        self._response = response
        assert isinstance(response.stream, httpx.SyncByteStream)  # noqa: S101 - httpx gives a transport no other
        self._chunks = iter(response.stream)
        return httpx.Response(
            response.status_code, headers=response.headers, stream=_Body(self), extensions=response.extensions
        )

    def chunks(self) -> Iterator[bytes]:
        """The answer's body; the record is closed before the caller sees its end."""
        held = b""
        try:
            for chunk in self._chunks:
                self._take(chunk)
                going = chunk
                if self._reading.stream is None:
                    # The end of a whole answer comes after its record: who has read it finds the record closed.
                    going, held = held, chunk
                if going:
                    yield going
        except GeneratorExit:
            self.leave()
            raise
        except BaseException as error:
            self._over(failure_of(error, self._request), waits=isinstance(error, Exception))
            if held:
                yield held
            raise
        self._over(None)
        if held:
            yield held

    def leave(self) -> None:
        """The caller has gone: what is not over is read on by a thread, but not for ever."""
        with self._lock:
            if self._has_left:
                return
            self._has_left = True
            if not self._is_over and self._response is not None:
                self._draining = threading.Thread(target=self._drain, name="execution-history-drain", daemon=True)
                with contextlib.suppress(RuntimeError):  # the interpreter is ending: ``astop`` closes the record
                    self._draining.start()

    def stop(self) -> None:
        """Read no further."""
        self._cut()
        if self._draining is not None:
            self._draining.join(CLOSE_SECONDS)
        self._over(STOPPED)

    async def astop(self) -> None:
        """The same, in the bridge's thread."""
        self._cut()
        self._follower = None  # whoever looks next follows what goes on
        with self._lock:
            if self._is_over:
                return
            self._is_over = True
            outcome = self._outcome(STOPPED)
        await self._closed(outcome)

    def _take(self, chunk: bytes) -> None:
        if self._context.recording is not None and not self._is_faulty:
            with self._guarded():
                with self._lock:
                    self._reading.take(chunk, self._recorder.clock())
                if self._reading.stream is not None:
                    self._context.recording.touched()

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """Let the answer pass whatever goes wrong in here."""
        try:
            yield
        except Exception:  # noqa: BLE001 - a fault of ours must not keep the bytes from the caller
            self._is_faulty = True
            _log.exception("Recording a run failed")

    def _drain(self) -> None:
        timer = threading.Timer(self._drain_limit, self._cut)
        timer.daemon = True
        timer.start()
        try:
            for chunk in self._chunks:
                self._take(chunk)
        except Exception as error:  # noqa: BLE001 - nobody is left to raise it to: the record has it
            self._over(STOPPED if self._is_cut else failure_of(error, self._request))
        else:
            self._over(STOPPED if self._is_cut else None)
        finally:
            timer.cancel()

    def _cut(self) -> None:
        """Wake the thread that waits for the upstream; closing a socket does not."""
        self._is_cut = True
        if self._draining is None or self._response is None:
            return
        stream = self._response.extensions.get("network_stream")
        connection = None if stream is None else stream.get_extra_info("socket")
        if isinstance(connection, socket.socket):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _over(self, failure: Outcome | None, *, waits: bool = True) -> None:
        """The answer has ended, whole or by *failure*: let go of the upstream and close the record, once."""
        with self._lock:
            if self._is_over:
                return
            self._is_over = True
            outcome = self._outcome(failure)
        if self._response is not None:
            with contextlib.suppress(httpx.TransportError, OSError):
                self._response.close()
        try:
            closing = self._bridge.submit(self._closed(outcome))
            if waits and not self._bridge.is_here():
                closing.result(LONGEST_WAIT)
        except (TimeoutError, CancelledError, RuntimeError, ExecutionHistoryError) as error:
            _log.error("A run could not be recorded to its end: %s", str(error) or type(error).__name__)

    def _follow(self) -> None:
        if self._reading.stream is not None and self._context.recording is not None:
            self._bridge.submit(self._following(self._context.recording))

    async def _following(self, recording: Recording) -> None:
        recording.follow(self._progress)

    def _progress(self) -> dict[str, object]:
        with self._lock:
            return self._reading.progress()

    async def _opened(self) -> Recording:
        context = self._context
        context.recording = context.recording or await begin_recording(
            self._recorder, self._call, context, self._request
        )
        return context.recording

    def _outcome(self, failure: Outcome | None) -> Outcome:
        """How the run has ended: by *failure*, or as its answer says, as far as that could be read."""
        if failure is None and self._is_faulty:
            failure = STOPPED
        with self._guarded():
            now = self._recorder.clock()
            return self._reading.end(now) if failure is None else self._reading.cut(failure, now)
        return failure or STOPPED

    async def _closed(self, outcome: Outcome) -> None:
        context = self._context
        try:
            if self._opening is not None:
                await asyncio.wait([asyncio.wrap_future(self._opening)])
            if context.recording is not None:
                with self._guarded():
                    outcome = leave_open(self._follower, self._request, self._call, context, context.recording, outcome)
                    outcome = settled(context.recording, outcome)
                    await end_recording(context.recording, outcome, self._reading.stream)
            context.outcome = outcome
        finally:
            self.ended.set_result(None)


class _Body(httpx.SyncByteStream):
    """The caller's end of an exchange."""

    def __init__(self, exchange: SyncExchange) -> None:
        self._exchange = exchange

    def __iter__(self) -> Iterator[bytes]:
        return self._exchange.chunks()

    def close(self) -> None:
        """Stop listening."""
        self._exchange.leave()
