"""The synchronous recording transport: the sibling of :class:`~execution_history.coze.transport.RecordingTransport`.

The caller's own thread reads the upstream, so that bytes come as they come and a slow caller slows the upstream down;
the record is kept on the bridge. A caller who leaves early leaves the rest to a thread, which reads to the end.
"""

import asyncio
import contextlib
import logging
import socket
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Final

import httpx

from execution_history.bridge import Bridge, the_bridge
from execution_history.coze.callers import caller_of
from execution_history.coze.exchange import NEVER_SENT, STOPPED, ExchangeReading, failure_of
from execution_history.coze.transport import CONTEXT, RunContext, close_recording, open_recording
from execution_history.coze.wire import Call, Outcome, read_request, recognise
from execution_history.errors import ExecutionHistoryError, StoreError
from execution_history.recorder import Recorder, Recording
from execution_history.recording import default_recorder, parentage

_log = logging.getLogger("execution_history.coze")

_RECORDED: Final = frozenset({"run", "stream_run", "chat"})
_LONGEST_WAIT: Final = 60.0
_CLOSE_SECONDS: Final = 5.0


class SyncRecordingTransport(httpx.BaseTransport):
    """A synchronous httpx transport that records workflow runs.

    Args:
        recorder: what keeps the records; this process's own when not given.
        inner: the transport that does the work; one of httpx's own when not given.
        drain_limit_seconds: how long the upstream is still read after the caller has left.
    """

    def __init__(
        self,
        recorder: Recorder | None = None,
        inner: httpx.BaseTransport | None = None,
        *,
        drain_limit_seconds: float = 1800,
    ) -> None:
        self._recorder = recorder
        self._inner = inner or httpx.HTTPTransport()
        self._drain_limit = drain_limit_seconds
        self._open: set[_Exchange] = set()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request*; a run is recorded from before it leaves to its end.

        Raises:
            httpx.TransportError: as the inner transport does.
            StoreError: only where recording is required and the record cannot be written.
        """
        kind = recognise(request.method, request.url.path)
        if kind not in _RECORDED or kind is None:
            return self._inner.handle_request(request)
        call = read_request(kind, request.read())
        context = request.extensions.get(CONTEXT) or RunContext()
        if context.recording is None and call.workflow_id is None:
            return self._inner.handle_request(request)
        try:
            exchange = self._begin(request, call, context)
        except StoreError:
            raise
        except (ExecutionHistoryError, RuntimeError) as error:
            # A recorder that does not insist never keeps a run from running.
            _log.error("A run could not be recorded: %s", error)
            return self._inner.handle_request(request)
        return exchange.answer(self._inner)

    def close(self) -> None:
        """Stop reading what nobody waits for, write down how far it got, and close the inner transport."""
        for exchange in list(self._open):
            exchange.stop()
        self._inner.close()

    async def stop_with_the_program(self) -> None:
        """Write down how far the runs got that are under way when the interpreter ends."""
        await asyncio.gather(*(exchange.astop() for exchange in list(self._open)), return_exceptions=True)

    def _begin(self, request: httpx.Request, call: Call, context: RunContext) -> "_Exchange":
        recorder = self._recorder or default_recorder()
        bridge = the_bridge()
        bridge.kept(_Transports).open.add(self)
        caller = caller_of(request.headers)
        context.metadata = {**parentage(), **({"caller": caller} if caller else {}), **context.metadata}
        context.was_sent = True
        exchange = _Exchange(bridge, recorder, request, call, context, self._drain_limit)
        self._open.add(exchange)
        exchange.ended.add_done_callback(lambda _: self._open.discard(exchange))
        exchange.begin()
        return exchange


class _Transports:
    """The transports that have a part in the end of one bridge."""

    def __init__(self, bridge: Bridge) -> None:
        self.open: weakref.WeakSet[SyncRecordingTransport] = weakref.WeakSet()
        bridge.at_end(self._end)

    async def _end(self) -> None:
        await asyncio.gather(*(transport.stop_with_the_program() for transport in list(self.open)))


class _Exchange:
    """One recorded call: its record, and the answer's bytes on their way through."""

    def __init__(
        self,
        bridge: Bridge,
        recorder: Recorder,
        request: httpx.Request,
        call: Call,
        context: RunContext,
        drain_limit: float,
    ) -> None:
        self._bridge = bridge
        self._recorder = recorder
        self._request = request
        self._context = context
        self._call = call
        self._drain_limit = drain_limit
        self._reading = ExchangeReading(call, recorder.clock())
        self._response: httpx.Response | None = None
        self._chunks: Iterator[bytes] = iter(())
        # The snapshot of the progress is taken in the bridge's thread.
        self._lock = threading.RLock()
        self._opening: Future[Recording] | None = None
        self._has_left = self._is_cut = self._is_over = False
        self._draining: threading.Thread | None = None
        self.ended: Future[None] = Future()

    def begin(self) -> None:
        """Open the record.

        Raises:
            ExecutionHistoryError: it cannot be opened.
            RuntimeError: the program is ending.
            TimeoutError: the store does not answer at all.
        """
        self._opening = self._bridge.submit(self._opened())
        try:
            self._reading = ExchangeReading(self._call, self._opening.result(_LONGEST_WAIT).create_time)
        except BaseException:
            self._over(NEVER_SENT, waits=False)
            raise

    def answer(self, inner: httpx.BaseTransport) -> httpx.Response:
        """The upstream's answer, its body read through this exchange."""
        try:
            response = inner.handle_request(self._request)
            self._reading.begin(response.status_code, response.headers)
            self._follow()
        except BaseException as error:
            self._over(failure_of(error, self._request.url.host), waits=isinstance(error, Exception))
            raise
        self._response = response
        assert isinstance(response.stream, httpx.SyncByteStream)  # noqa: S101 - httpx gives a transport no other
        self._chunks = iter(response.stream)
        return httpx.Response(
            response.status_code, headers=response.headers, stream=_Body(self), extensions=response.extensions
        )

    def chunks(self) -> Iterator[bytes]:
        """The answer's body; the record is closed before the caller sees its end."""
        try:
            for chunk in self._chunks:
                self._take(chunk)
                if chunk:
                    yield chunk
        except GeneratorExit:
            self.leave()
            raise
        except BaseException as error:
            self._over(failure_of(error, self._request.url.host), waits=isinstance(error, Exception))
            raise
        self._over(None)

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
            self._draining.join(_CLOSE_SECONDS)
        self._over(STOPPED)

    async def astop(self) -> None:
        """The same, in the bridge's thread."""
        self._cut()
        with self._lock:
            if self._is_over:
                return
            self._is_over = True
            outcome = self._reading.cut(STOPPED, self._recorder.clock())
        await self._closed(outcome)

    def _take(self, chunk: bytes) -> None:
        try:
            with self._lock:
                self._reading.take(chunk, self._recorder.clock())
        except Exception:  # noqa: BLE001 - a fault of ours must not keep the bytes from the caller
            _log.exception("Recording a run failed")
        if self._reading.stream is not None and self._opening is not None:
            self._opening.result().touched()

    def _drain(self) -> None:
        timer = threading.Timer(self._drain_limit, self._cut)
        timer.daemon = True
        timer.start()
        try:
            for chunk in self._chunks:
                self._take(chunk)
        except Exception as error:  # noqa: BLE001 - nobody is left to raise it to: the record has it
            self._over(STOPPED if self._is_cut else failure_of(error, self._request.url.host))
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
            now = self._recorder.clock()
            outcome = self._reading.end(now) if failure is None else self._reading.cut(failure, now)
        if self._response is not None:
            with contextlib.suppress(httpx.TransportError, OSError):
                self._response.close()
        try:
            closing = self._bridge.submit(self._closed(outcome))
            if waits and not self._bridge.is_here():
                closing.result(_LONGEST_WAIT)
        except (TimeoutError, RuntimeError, ExecutionHistoryError) as error:
            _log.error("A run could not be recorded to its end: %s", error)

    def _follow(self) -> None:
        if self._reading.stream is not None and self._opening is not None:
            self._bridge.submit(self._following(self._opening.result()))

    async def _following(self, recording: Recording) -> None:
        recording.follow(self._progress)

    def _progress(self) -> dict[str, object]:
        with self._lock:
            return self._reading.progress()

    async def _opened(self) -> Recording:
        context = self._context
        context.recording = context.recording or await open_recording(self._recorder, self._call, context)
        return context.recording

    async def _closed(self, outcome: Outcome) -> None:
        self._context.outcome = outcome
        try:
            if self._opening is not None:
                await asyncio.wait([asyncio.wrap_future(self._opening)])
            if self._context.recording is not None:
                await close_recording(self._context.recording, outcome, self._reading.stream)
        finally:
            self.ended.set_result(None)


class _Body(httpx.SyncByteStream):
    """The caller's end of an exchange."""

    def __init__(self, exchange: _Exchange) -> None:
        self._exchange = exchange

    def __iter__(self) -> Iterator[bytes]:
        return self._exchange.chunks()

    def close(self) -> None:
        """Stop listening."""
        self._exchange.leave()
