"""One call that a synchronous transport records: the bytes in the caller's thread, the record on the bridge."""

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

from execution_history.background_loop import Bridge
from execution_history.coze.protocol.messages import Outcome
from execution_history.coze.transport.call_recording import CallRecord
from execution_history.coze.transport.failures import failure_of
from execution_history.coze.transport.limits import Limits
from execution_history.coze.transport.recorded_call import NEVER_SENT, STOPPED, CloseRecord, CompleteRecord
from execution_history.coze.transport.redirects import Hop

_log = logging.getLogger("execution_history.coze")

LONGEST_WAIT: Final = 60.0
"""Seconds that a caller's thread waits for the bridge at most."""

CLOSE_SECONDS: Final = 5.0
"""Seconds that closing a transport waits for what is being read."""


class SyncCall(httpx.SyncByteStream):
    """One recorded call: the bytes in the caller's thread, its record on the bridge.

    Args:
        bridge: runs what the record needs.
        record: the record.
        limits: how long the call waits.
        forget: is called with this call once its record is closed.
    """

    def __init__(
        self, bridge: Bridge, record: CallRecord, limits: Limits, forget: "Callable[[SyncCall], None]"
    ) -> None:
        self._bridge = bridge
        self._record = record
        self._call = record.call
        self._limits = limits
        self._forget = forget
        self._response: httpx.Response | None = None
        self._chunks: Iterator[bytes] = iter(())
        # Events come from the caller's thread or the one that reads on; progress is read in the bridge's.
        self._lock = threading.RLock()
        self._opening: Future[None] | None = None
        self._closing: Future[None] | None = None
        self._hop: Hop | None = None
        self._has_left = self._is_cut = self._is_over = False
        self._draining: threading.Thread | None = None
        self._expiring: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Open the record.

        Raises:
            StoreError: only where recording is required: the record could not be written.
            RuntimeError: only where recording is required: the program is ending.
            TimeoutError: only where recording is required: the store does not answer.
        """
        try:
            self._opening = self._bridge.submit(self._record.open())
            self._opening.result(LONGEST_WAIT)
        except BaseException as error:
            if self._record.is_required or not isinstance(error, Exception):
                self._end(NEVER_SENT, waits=False)
                raise
            if isinstance(error, TimeoutError):
                _log.error("The store does not answer; what becomes of the record of a run is not known yet.")
            else:
                self._record.count_unrecorded(str(error) or type(error).__name__)

    def send(self, inner: httpx.BaseTransport) -> httpx.Response:
        """Send the request and return the answer, its body read through this call."""
        try:
            response = inner.handle_request(self._record.request)
        except BaseException as error:
            self._end(failure_of(error, self._record.request), waits=isinstance(error, Exception))
            raise
        with self._lock:
            self._call.receive_head(response.status_code, response.headers)
        if self._call.is_redirected:
            self._hop = self._record.hop_of(response)
        elif self._call.is_stream:
            with contextlib.suppress(RuntimeError):  # the program is ending
                self._bridge.submit(self._save_progress())
        self._response = response
        self._chunks = iter(stream_of(response))
        return httpx.Response(
            response.status_code, headers=response.headers, stream=_Body(self), extensions=response.extensions
        )

    def __iter__(self) -> Iterator[bytes]:
        """Iterate over the answer's body; the record is closed before its end reaches the caller."""
        try:
            for chunk in self._chunks:
                if passed := self._receive(chunk):
                    yield passed
        except GeneratorExit:
            self.close()
            raise
        except BaseException as error:
            failure = failure_of(error, self._record.request, is_answered=True)
            self._end(failure, waits=isinstance(error, Exception))
            yield from self._released()
            raise
        self._end(None)
        yield from self._released()

    def close(self) -> None:
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
            self._draining.join(CLOSE_SECONDS)
        self._end(STOPPED)
        if self._hop is not None:
            with contextlib.suppress(TimeoutError, CancelledError, RuntimeError):
                self._bridge.submit(self._close(*self._actions(STOPPED))).result(CLOSE_SECONDS)

    async def astop(self) -> None:
        """Read no further; in the bridge's thread."""
        self._cut()
        self._record.leave_runs()
        await self._close(*self._actions(STOPPED))

    def _receive(self, chunk: bytes) -> bytes:
        with self._lock:
            passed = self._call.receive_data(chunk)
        if self._call.is_stream:
            self._record.touch()
            if self._call.is_over:
                self._close_at_once()
        return passed

    def _released(self) -> Iterator[bytes]:
        if held := self._call.release():
            yield held

    def _drain(self) -> None:
        timer = threading.Timer(self._limits.drain, self._cut)
        timer.daemon = True
        timer.start()
        failure: Outcome | None = None
        try:
            for chunk in self._chunks:
                self._receive(chunk)
        except Exception as error:  # noqa: BLE001 - nobody is left to raise it to: the record has it
            failure = failure_of(error, self._record.request, is_answered=True)
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

    def _close_at_once(self) -> None:
        """Close the record of a stream in which the end of the run has come, beside the bytes that go on.

        Only a question is waited for, so long as it may be.
        """
        with self._lock:
            action = self._call.end()
        if action is None:
            return
        with contextlib.suppress(TimeoutError, CancelledError, RuntimeError):  # the end of the stream shows it
            self._closing = self._bridge.submit(self._close_opened(action))
            if action.outcome.status == "interrupted" and not self._bridge.is_here():
                self._closing.result(self._limits.question)

    def _end(self, failure: Outcome | None, *, waits: bool = True) -> None:
        """Give the connection back and close the record, once.

        Args:
            failure: what ended the answer early; ``None`` where it is whole.
            waits: whether to return only when the record is closed.
        """
        with self._lock:
            is_second, self._is_over = self._is_over, True
        if is_second:
            return
        if self._response is not None:
            with contextlib.suppress(httpx.TransportError, OSError):
                self._response.close()
        try:
            if self._hop is not None and failure is None:
                self._bridge.submit(self._expire())
                return
            closing = self._bridge.submit(self._close(*self._actions(failure)))
            if waits and not self._bridge.is_here():
                closing.result(LONGEST_WAIT)
        except (TimeoutError, CancelledError, RuntimeError) as error:
            _log.error("A run could not be recorded to its end: %s", str(error) or type(error).__name__)

    def _actions(self, failure: Outcome | None) -> tuple[CloseRecord | None, CompleteRecord | None]:
        """Return what is left to be done to the record; nothing where the request after a redirect goes on with it."""
        with self._lock:
            if self._hop is not None and not self._hop.claim():
                return None, None
            return self._call.end(failure), self._call.complete()

    async def _close(self, action: CloseRecord | None, completion: CompleteRecord | None) -> None:
        try:
            if self._closing is not None:
                await asyncio.wait([asyncio.wrap_future(self._closing)])
            await self._close_opened(action)
            await self._record.complete(completion)
        finally:
            self._forget(self)

    async def _close_opened(self, action: CloseRecord | None) -> None:
        if self._opening is not None and action is not None:
            await asyncio.wait([asyncio.wrap_future(self._opening)])
        await self._record.close(action)

    async def _expire(self) -> None:
        """Close the record of a redirected call later, unless the request that follows the redirect goes on with it."""

        def close() -> None:
            self._expiring = asyncio.create_task(self._close(*self._actions(None)))

        asyncio.get_running_loop().call_later(self._limits.redirect, close)

    async def _save_progress(self) -> None:
        self._record.save_progress(self._progress)

    def _progress(self) -> dict[str, object]:
        with self._lock:
            return self._call.progress()


class _Body(httpx.SyncByteStream):
    """The body of an answer as its caller has it: one that is dropped is closed."""

    def __init__(self, call: SyncCall) -> None:
        self._call = call
        # The end of the program ends what is under way by itself.
        weakref.finalize(self, call.close).atexit = False

    def __iter__(self) -> Iterator[bytes]:
        """Iterate over the body."""
        return iter(self._call)

    def close(self) -> None:
        """See :meth:`SyncCall.close`."""
        self._call.close()


def stream_of(response: httpx.Response) -> httpx.SyncByteStream:
    """Return the body of a response from a synchronous transport, chunk by chunk."""
    assert isinstance(response.stream, httpx.SyncByteStream)  # noqa: S101 - httpx gives a transport no other
    return response.stream
