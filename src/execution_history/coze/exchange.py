"""One recorded call: a task that reads the upstream to its end, and a small buffer between it and the caller."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import httpx

from execution_history.coze.decoding import BodyCopy
from execution_history.coze.recordings import (
    STOPPED,
    RunContext,
    begin_recording,
    end_recording,
    failure_of,
)
from execution_history.coze.stream import StreamReading
from execution_history.coze.wire import Call, Outcome, read_answer
from execution_history.errors import ExecutionHistoryError
from execution_history.recorder import Recorder, Recording

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
        call: Call,
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
        self._stream: StreamReading | None = None
        self._body: list[bytes] = []
        self._room = largest

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
        """Open the record, read the upstream to its end, whoever still listens, and close the record."""
        try:
            opened = self._context.recording or await begin_recording(
                self._recorder, self._call, self._context, self._request
            )
        except ExecutionHistoryError as error:
            self._head.set_exception(error)
            return
        self._recording = self._context.recording = opened
        await self._run()

    async def _run(self) -> None:
        ending: BaseException | None = None
        outcome: Outcome
        try:
            outcome = await self._read()
        except asyncio.CancelledError as error:
            ending = error
            outcome = self._failed(STOPPED)
        except (httpx.TransportError, httpx.StreamError, OSError) as error:
            ending = error
            outcome = self._failed(failure_of(error, self._request))
        except Exception as error:  # noqa: BLE001 - a fault of ours must not leave the caller waiting for ever
            _log.exception("Recording a run failed")
            ending = error
            outcome = self._failed(STOPPED)
        await self._close(outcome)
        if not self._head.done():
            self._head.set_exception(ending or httpx.ReadError("The upstream gave no answer.", request=self._request))
            self._head.exception()
        await self._hand_on(ending)

    async def _read(self) -> Outcome:
        response = await self._inner.handle_async_request(self._request)
        copy = BodyCopy(response.headers.get("content-encoding", ""))
        if "text/event-stream" in response.headers.get("content-type", ""):
            recording = self._recording
            self._stream = StreamReading(recording.create_time, recording.timeline, self._largest)
            recording.follow(self._progress)
        if not self._head.done():
            self._head.set_result(response)
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - httpx gives an async transport no other
        try:
            async for chunk in response.stream:
                self._take(copy.take(chunk))
                await self._hand_on(chunk)
        finally:
            await response.aclose()
        return self._outcome(response)

    def _take(self, plain: bytes) -> None:
        if self._stream is not None:
            self._stream.feed(plain, self._clock())
            self._recording.touched()
        elif self._room >= 0:
            self._room -= len(plain)
            self._body.append(plain)

    def _outcome(self, response: httpx.Response) -> Outcome:
        log_id = response.headers.get("x-tt-logid") or response.headers.get("x-log-id")
        if self._stream is None and self._room < 0:
            return Outcome("failed", "not_json", error_message=_TOO_LARGE.format(self._largest), log_id=log_id)
        if self._stream is None:
            return read_answer(self._call, response.status_code, b"".join(self._body), response.headers)
        self._stream.close(self._clock())
        return replace(self._stream.outcome(), log_id=log_id)

    def _failed(self, failure: Outcome) -> Outcome:
        if self._stream is None:
            return failure
        self._stream.close(self._clock())
        return self._stream.outcome(failure)

    def _progress(self) -> dict[str, object]:
        stream = self._stream
        return {} if stream is None else {"node_execute_status": stream.timeline(), "usage": stream.usage()}

    async def _close(self, outcome: Outcome) -> None:
        outcome = self._finish(self._recording, outcome)
        self._context.outcome = outcome
        with contextlib.suppress(ExecutionHistoryError):
            # The recorder has logged and counted what it could not write: the caller still gets its answer.
            await end_recording(self._recording, outcome, self._stream)

    async def _hand_on(self, item: bytes | BaseException | None) -> None:
        if not self._caller_left and item != b"":
            await self._chunks.put(item)

    def _leave(self, task: "asyncio.Task[None]", drain_limit: float) -> None:
        """The caller has gone: read on without handing on, but not for ever."""
        if self._caller_left:
            return
        self._caller_left = True
        while not self._chunks.empty():
            self._chunks.get_nowait()
        if not task.done():
            timer = asyncio.get_running_loop().call_later(drain_limit, task.cancel)
            task.add_done_callback(lambda _: timer.cancel())


_TOO_LARGE = "The answer is larger than the {} bytes that are kept of one run, so it only passed through."


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
