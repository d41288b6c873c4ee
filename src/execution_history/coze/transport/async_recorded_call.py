"""One recorded call: a task that reads the upstream to its end, and a small buffer between it and the caller."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator

import httpx

from execution_history.coze.protocol.messages import Outcome, RunRequest
from execution_history.coze.protocol.response_reader import AnswerReading
from execution_history.coze.transport.call_recording import (
    STOPPED,
    RunContext,
    begin_recording,
    end_recording,
    failure_of,
    settled,
)
from execution_history.errors import ExecutionHistoryError
from execution_history.recording.recorder import Recorder, Recording

_log = logging.getLogger("execution_history.coze")

_BUFFERED_CHUNKS = 16

Finish = Callable[[Recording, Outcome], Outcome]
"""Looks at how a run seems to have ended, before that is written down; what it returns is written."""


class Exchange:
    """One recorded call.

    Args:
        inner: the transport that does the work.
        request: what is sent.
        call: what it asks for.
        context: what a caller of ours knows, and learns.
        recorder: what keeps the record.
        largest: bytes of an answer, and characters of a stream's contents, that are kept; what is beyond only passes.
        finish: has the last word on the outcome.
    """

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        request: httpx.Request,
        call: RunRequest,
        context: RunContext,
        recorder: Recorder,
        largest: int,
        finish: Finish,
    ) -> None:
        self._inner = inner
        self._request = request
        self._call = call
        self._context = context
        self._recorder = recorder
        self._largest = largest
        self._finish = finish
        self._clock = recorder.clock
        self._head: asyncio.Future[httpx.Response] = asyncio.get_running_loop().create_future()
        self._chunks: asyncio.Queue[bytes | BaseException | None] = asyncio.Queue(_BUFFERED_CHUNKS)
        self._caller_left = False
        self._recording: Recording | None = None
        self._reading = AnswerReading(call, 0)
        self._is_faulty = False
        self._held = b""
        self._answer: httpx.Response | None = None

    async def response(self, task: "asyncio.Task[None]", drain_limit: float) -> httpx.Response:
        """The upstream's answer, its body read through the buffer."""
        try:
            head = await asyncio.shield(self._head)
        except asyncio.CancelledError:
            self._leave(task, drain_limit)
            raise
        body = _Body(self._chunks, lambda: self._leave(task, drain_limit))
        return httpx.Response(head.status_code, headers=head.headers, stream=body, extensions=head.extensions)

    async def run(self) -> None:
        """Open the record, read the upstream to its end, whoever still listens, and close the record.

        A fault of ours costs the record at most, and the call only where recording is required.
        """
        try:
            opened = self._context.recording or await begin_recording(
                self._recorder, self._call, self._context, self._request
            )
        except Exception as error:  # noqa: BLE001 - a fault of ours must not leave the caller waiting for ever
            if isinstance(error, ExecutionHistoryError) or self._recorder.requires_recording:
                self._head.set_exception(error)
                return
            _log.exception("A run could not be recorded")
        else:
            self._recording = self._context.recording = opened
            self._reading = AnswerReading(self._call, opened.create_time, opened.timeline, self._largest)
        await self._run()

    async def _run(self) -> None:
        ending: BaseException | None = None
        failure: Outcome | None = None
        try:
            await self._read()
        except asyncio.CancelledError as error:
            ending, failure = error, STOPPED
        except Exception as error:  # noqa: BLE001 - the caller gets whatever the transport raised
            ending, failure = error, failure_of(error, self._request)
        try:
            try:
                await self._close(failure)
            finally:
                await self._release()
            if isinstance(ending, asyncio.CancelledError):
                self._hand_over(ending, ending)
                return
            self._fail_head(ending)
            await self._hand_on(self._held)
            self._held = b""
            await self._hand_on(ending)
        except BaseException as error:
            # What has come whole stays whole, whatever became of its record.
            self._hand_over(ending, error)
            raise

    def _fail_head(self, error: BaseException | None) -> None:
        """Tell a caller who waits for an answer that there is none."""
        if not self._head.done():
            self._head.set_exception(error or httpx.ReadError("The upstream gave no answer.", request=self._request))
            self._head.exception()

    async def _read(self) -> None:
        response = self._answer = await self._inner.handle_async_request(self._request)
        with self._guarded():
            self._reading.begin(response.status_code, response.headers)
            if self._reading.stream is not None and self._recording is not None:
                self._recording.follow(self._reading.progress)
        if not self._head.done():
            self._head.set_result(response)
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - httpx gives an async transport no other
        async for chunk in response.stream:
            self._take(chunk)
            going = chunk
            if self._reading.stream is None:
                # The end of a whole answer comes after its record: who has read it finds the record closed.
                going, self._held = self._held, chunk
            await self._hand_on(going)

    def _take(self, chunk: bytes) -> None:
        if self._recording is not None and not self._is_faulty:
            with self._guarded():
                self._reading.take(chunk, self._clock())
                if self._reading.stream is not None:
                    self._recording.touched()

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """Let the answer pass whatever goes wrong in here."""
        try:
            yield
        except Exception:  # noqa: BLE001 - a fault of ours must not keep the bytes from the caller
            self._is_faulty = True
            _log.exception("Recording a run failed")

    async def _release(self) -> None:
        """Give the connection back. Every idle one is looked at for each request: the record is closed before that."""
        if self._answer is not None:
            with contextlib.suppress(httpx.TransportError):
                await self._answer.aclose()

    async def _close(self, failure: Outcome | None) -> None:
        """Write down how the run ended: by *failure*, or as its answer says."""
        if self._recording is None:
            return
        if failure is None and self._is_faulty:
            failure = STOPPED
        with self._guarded(), contextlib.suppress(ExecutionHistoryError):
            # The recorder has logged and counted what it could not write: the caller still gets its answer.
            now = self._clock()
            outcome = self._reading.end(now) if failure is None else self._reading.cut(failure, now)
            outcome = self._finish(self._recording, outcome)
            self._context.outcome = settled(self._recording, outcome)
            await end_recording(self._recording, outcome, self._reading.stream)

    async def _hand_on(self, item: bytes | BaseException | None) -> None:
        if not self._caller_left and item != b"":
            await self._chunks.put(item)

    def _hand_over(self, ending: BaseException | None, error: BaseException) -> None:
        """Hand on the end without waiting for a caller who may not read: where there is no room, *error* is the end."""
        self._fail_head(ending or error)
        if self._caller_left:
            return
        end = [item for item in (self._held, ending) if item != b""]
        if self._chunks.qsize() + len(end) > self._chunks.maxsize:
            self._drop()
            end = [error]
        for item in end:
            self._chunks.put_nowait(item)

    def _drop(self) -> None:
        while not self._chunks.empty():
            self._chunks.get_nowait()

    def _leave(self, task: "asyncio.Task[None]", drain_limit: float) -> None:
        """The caller has gone: read on without handing on, but not for ever."""
        if self._caller_left:
            return
        self._caller_left = True
        self._drop()
        if not task.done():
            timer = asyncio.get_running_loop().call_later(drain_limit, task.cancel)
            task.add_done_callback(lambda _: timer.cancel())


class _Body(httpx.AsyncByteStream):
    """The caller's end of the buffer."""

    def __init__(self, chunks: "asyncio.Queue[bytes | BaseException | None]", leave: Callable[[], None]) -> None:
        self._chunks = chunks
        self._leave = leave

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (item := await self._chunks.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    async def aclose(self) -> None:
        """Stop listening."""
        self._leave()
