"""The recording transport for synchronous clients.

The caller's own thread reads the upstream, so that bytes come as they come and a slow caller slows the upstream down;
the record is kept in the event loop of the bridge. A caller who leaves early leaves the rest to a thread, which reads
to the end.
"""

import asyncio
import contextlib
import logging
import socket
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from typing import Final

import httpx

from execution_history.background_loop import Bridge, the_bridge
from execution_history.coze.protocol.messages import Outcome, RunRequest, parse_run_request, run_kind
from execution_history.coze.protocol.run_history import RunHistory
from execution_history.coze.tracking.history_client import Asker
from execution_history.coze.tracking.poller import RunFollower
from execution_history.coze.transport.call_recording import CONTEXT, CallRecord, RunContext, failure_of, is_recorded
from execution_history.coze.transport.overheard_history import OverheardHistory
from execution_history.coze.transport.recorded_call import (
    LARGEST_RECORDED,
    NEVER_SENT,
    STOPPED,
    CloseRecord,
    RecordedCall,
)
from execution_history.errors import ExecutionHistoryError
from execution_history.functions import default_recorder
from execution_history.recording.recorder import Recorder

_log = logging.getLogger("execution_history.coze")

_LONGEST_WAIT: Final = 60.0
"""Seconds that a caller's thread waits for the bridge at most."""

_CLOSE_SECONDS: Final = 5.0
"""Seconds that closing a transport waits for what is being read."""


class SyncRecordingTransport(httpx.BaseTransport):
    """A synchronous httpx transport that records workflow runs.

    Args:
        recorder: keeps the records; this process's own unless given.
        inner: does the work; a transport of httpx's own unless given.
        drain_limit_seconds: how long the upstream is still read after the caller has left.
        largest_recorded: the most bytes of one run's answer that are kept; what is beyond passes, and the record says
            so.
        first_pause: seconds before a run that goes on upstream is polled for the first time.
        bridge: the event loop of the records; this process's own unless given.
    """

    def __init__(
        self,
        recorder: Recorder | None = None,
        inner: httpx.BaseTransport | None = None,
        *,
        drain_limit_seconds: float = 1800,
        largest_recorded: int = LARGEST_RECORDED,
        first_pause: float = 1.0,
        bridge: Bridge | None = None,
    ) -> None:
        self._recorder = recorder
        self._inner = inner or httpx.HTTPTransport()
        self._drain_limit = drain_limit_seconds
        self._largest = largest_recorded
        self._first_pause = first_pause
        self._bridge = bridge
        self._tracking: _Tracking | None = None
        self._open: set[_Call] = set()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request*; a run is recorded from before it leaves to its end.

        Raises:
            httpx.TransportError: the inner transport raised it.
            StoreError: only where recording is required: the record could not be written.
        """
        context = request.extensions.get(CONTEXT) or RunContext()
        kind = None if context.is_unrecorded else run_kind(request.method, request.url.path)
        if kind is not None:
            run = context.run or parse_run_request(kind, request.read())
            call = self._begin(request, run, context) if is_recorded(run, context) else None
            if call is not None:
                return call.send(self._inner)
        response = self._inner.handle_request(request)
        history = OverheardHistory.of(request, response)
        if history is not None:
            response.stream = _Overheard(_stream_of(response), history, self._learn)
        return response

    def close(self) -> None:
        """Stop reading what nobody waits for, record how far it got, and close the inner transport."""
        for call in list(self._open):
            call.stop()
        if self._tracking is not None:
            with contextlib.suppress(RuntimeError, TimeoutError):
                self._loop().submit(self._tracking.aclose()).result(_CLOSE_SECONDS)
        self._inner.close()

    async def stop_with_the_program(self) -> None:
        """Record how far the runs got that are under way when the interpreter ends; in the bridge's thread."""
        await asyncio.gather(*(call.astop() for call in list(self._open)), return_exceptions=True)
        if self._tracking is not None:
            await self._tracking.aclose()

    def _begin(self, request: httpx.Request, run: RunRequest, context: RunContext) -> "_Call | None":
        """Open the record of a call; ``None`` where it cannot be recorded, and need not be.

        Raises:
            StoreError: only where recording is required: the record could not be written.
        """
        try:
            recorder, bridge = self._recorder or default_recorder(), self._loop()
            bridge.kept(_Transports).open.add(self)
            follower = self._follower(recorder)
        except (ExecutionHistoryError, RuntimeError) as error:
            _log.error("A run could not be recorded: %s", error)
            return None
        record = CallRecord(recorder, RecordedCall(run, recorder.clock, self._largest), request, context, follower)
        call = _Call(bridge, record, self._drain_limit, self._open.discard)
        self._open.add(call)
        call.open()
        return call

    def _learn(self, history: OverheardHistory, told: RunHistory) -> None:
        try:
            follower = self._follower(self._recorder or default_recorder())
            self._loop().submit(follower.learn(history.call, told)).result(_LONGEST_WAIT)
        except (ExecutionHistoryError, RuntimeError, TimeoutError) as error:
            _log.warning("What a caller learned of a run could not be recorded: %s", error)

    def _follower(self, recorder: Recorder) -> RunFollower:
        if self._tracking is None:
            self._tracking = _Tracking(recorder, self._first_pause)
        return self._tracking.follower

    def _loop(self) -> Bridge:
        return self._bridge or the_bridge()


class _Call:
    """One recorded call: the bytes in the caller's thread, its record on the bridge.

    Args:
        bridge: runs what the record needs.
        record: the record.
        drain_limit: seconds that the upstream is read on after the caller has left.
        forget: is called with this call once its record is closed.
    """

    def __init__(
        self, bridge: Bridge, record: CallRecord, drain_limit: float, forget: "Callable[[_Call], None]"
    ) -> None:
        self._bridge = bridge
        self._record = record
        self._call = record.call
        self._drain_limit = drain_limit
        self._forget = forget
        self._response: httpx.Response | None = None
        self._chunks: Iterator[bytes] = iter(())
        # Events come from the caller's thread or the one that reads on; progress is read in the bridge's.
        self._lock = threading.RLock()
        self._opening: Future[None] | None = None
        self._has_left = self._is_cut = False
        self._draining: threading.Thread | None = None

    def open(self) -> None:
        """Open the record.

        Raises:
            StoreError: only where recording is required: the record could not be written.
        """
        try:
            self._opening = self._bridge.submit(self._record.open())
            self._opening.result(_LONGEST_WAIT)
        except BaseException as error:
            if self._record.is_required or not isinstance(error, Exception):
                self._end(NEVER_SENT, waits=False)
                raise
            _log.error("A run could not be recorded: %s", str(error) or type(error).__name__)

    def send(self, inner: httpx.BaseTransport) -> httpx.Response:
        """Send the request and return the answer, its body read through this call."""
        try:
            response = inner.handle_request(self._record.request)
        except BaseException as error:
            self._end(failure_of(error, self._record.request), waits=isinstance(error, Exception))
            raise
        with self._lock:
            self._call.receive_head(response.status_code, response.headers)
        if self._call.is_stream:
            with contextlib.suppress(RuntimeError):  # the program is ending
                self._bridge.submit(self._save_progress())
        self._response = response
        self._chunks = iter(_stream_of(response))
        return httpx.Response(
            response.status_code, headers=response.headers, stream=_Body(self), extensions=response.extensions
        )

    def chunks(self) -> Iterator[bytes]:
        """Iterate over the answer's body; the record is closed before the caller sees its end."""
        try:
            for chunk in self._chunks:
                if passed := self._receive(chunk):
                    yield passed
        except GeneratorExit:
            self.leave()
            raise
        except BaseException as error:
            self._end(failure_of(error, self._record.request), waits=isinstance(error, Exception))
            yield from self._released()
            raise
        self._end(None)
        yield from self._released()

    def leave(self) -> None:
        """Have a thread read on what is not over, but not for ever: the caller has gone."""
        with self._lock:
            if self._has_left or self._response is None:
                return
            self._has_left = True
            if not self._call.has_ended:
                self._draining = threading.Thread(target=self._drain, name="execution-history-drain", daemon=True)
                with contextlib.suppress(RuntimeError):  # the interpreter is ending: ``astop`` closes the record
                    self._draining.start()

    def stop(self) -> None:
        """Read no further."""
        self._cut()
        if self._draining is not None:
            self._draining.join(_CLOSE_SECONDS)
        self._end(STOPPED)

    async def astop(self) -> None:
        """Read no further; in the bridge's thread."""
        self._cut()
        self._record.leave_runs()
        with self._lock:
            action = self._call.end(STOPPED)
        if action is not None:
            await self._close(action)

    def _receive(self, chunk: bytes) -> bytes:
        with self._lock:
            passed = self._call.receive_data(chunk)
        if self._call.is_stream:
            self._record.touch()
        return passed

    def _released(self) -> Iterator[bytes]:
        if held := self._call.release():
            yield held

    def _drain(self) -> None:
        timer = threading.Timer(self._drain_limit, self._cut)
        timer.daemon = True
        timer.start()
        failure: Outcome | None = None
        try:
            for chunk in self._chunks:
                self._receive(chunk)
        except Exception as error:  # noqa: BLE001 - nobody is left to raise it to: the record has it
            failure = failure_of(error, self._record.request)
        timer.cancel()
        self._end(STOPPED if self._is_cut else failure)

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

    def _end(self, failure: Outcome | None, *, waits: bool = True) -> None:
        """Give the connection back and close the record, once.

        Args:
            failure: what ended the answer early; ``None`` where it is whole.
            waits: whether to return only when the record is closed.
        """
        with self._lock:
            action = self._call.end(failure)
        if action is None:
            return
        if self._response is not None:
            with contextlib.suppress(httpx.TransportError, OSError):
                self._response.close()
        try:
            closing = self._bridge.submit(self._close(action))
            if waits and not self._bridge.is_here():
                closing.result(_LONGEST_WAIT)
        except (TimeoutError, CancelledError, RuntimeError) as error:
            _log.error("A run could not be recorded to its end: %s", str(error) or type(error).__name__)

    async def _close(self, action: CloseRecord) -> None:
        try:
            if self._opening is not None:
                await asyncio.wait([asyncio.wrap_future(self._opening)])
            await self._record.close(action)
        finally:
            self._forget(self)

    async def _save_progress(self) -> None:
        self._record.save_progress(self._progress)

    def _progress(self) -> dict[str, object]:
        with self._lock:
            return self._call.progress()


class _Body(httpx.SyncByteStream):
    """The caller's end of a call."""

    def __init__(self, call: _Call) -> None:
        self._call = call

    def __iter__(self) -> Iterator[bytes]:
        return self._call.chunks()

    def close(self) -> None:
        """Leave what has not been read."""
        self._call.leave()


class _Overheard(httpx.SyncByteStream):
    """The body of a history on its way to its reader."""

    def __init__(
        self,
        stream: httpx.SyncByteStream,
        copy: OverheardHistory,
        learn: Callable[[OverheardHistory, RunHistory], None],
    ) -> None:
        self._stream = stream
        self._copy = copy
        self._learn = learn

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            self._copy.receive_data(chunk)
            yield chunk
        history = self._copy.end()
        if history is not None:
            self._learn(self._copy, history)

    def close(self) -> None:
        """Close the body."""
        self._stream.close()


class _Tracking:
    """Polls, on the bridge, the runs that go on upstream."""

    def __init__(self, recorder: Recorder, first_pause: float) -> None:
        self._transport = httpx.AsyncHTTPTransport()
        self.follower = RunFollower(recorder, Asker(self._transport), first_pause=first_pause)

    async def aclose(self) -> None:
        """Stop polling."""
        await self.follower.aclose()
        await self._transport.aclose()


class _Transports:
    """The transports that have a part in the end of one bridge."""

    def __init__(self, bridge: Bridge) -> None:
        self.open: weakref.WeakSet[SyncRecordingTransport] = weakref.WeakSet()
        bridge.at_end(self._end)

    async def _end(self) -> None:
        await asyncio.gather(*(transport.stop_with_the_program() for transport in list(self.open)))


def _stream_of(response: httpx.Response) -> httpx.SyncByteStream:
    assert isinstance(response.stream, httpx.SyncByteStream)  # noqa: S101 - httpx gives a transport no other
    return response.stream
