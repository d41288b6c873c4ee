"""The recording transport: every workflow run that passes through it is recorded, the bytes are not touched.

The upstream is read by a task of its own, which hands the bytes on through a small buffer: a slow caller slows it
down, and a caller who leaves does not stop it from reading to the end.
"""

import asyncio
import contextlib
import logging
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

import httpx
import zstandard

from execution_history.coze.stream import StreamReading
from execution_history.coze.wire import Call, Outcome, read_answer, read_request, recognise
from execution_history.errors import ExecutionHistoryError
from execution_history.recorder import Recorder, Recording

_log = logging.getLogger("execution_history.coze")

CONTEXT: Final = "execution_history"
"""The request extension under which a :class:`RunContext` is passed."""

_BUFFERED_CHUNKS: Final = 16
_RECORDED: Final = frozenset({"run", "stream_run", "chat"})


@dataclass(slots=True)
class RunContext:
    """What a caller of our own adds to a request, and where it learns the outcome."""

    account: str = "default"
    recording: Recording | None = None
    outcome: Outcome | None = None
    was_sent: bool = False
    metadata: dict[str, object] = field(default_factory=dict)


class RecordingTransport(httpx.AsyncBaseTransport):
    """An httpx transport that records workflow runs.

    Args:
        recorder: what keeps the records.
        inner: the transport that does the work; one of httpx's own when not given.
        drain_limit_seconds: how long the upstream is still read after the caller has left.
    """

    def __init__(
        self,
        recorder: Recorder,
        inner: httpx.AsyncBaseTransport | None = None,
        *,
        drain_limit_seconds: float = 1800,
    ) -> None:
        self._recorder = recorder
        self._inner = inner or httpx.AsyncHTTPTransport()
        self._drain_limit = drain_limit_seconds
        self._tasks: set[asyncio.Task[None]] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request*; a run is recorded from before it leaves to its end.

        Raises:
            httpx.TransportError: as the inner transport does.
            StoreError: only where recording is required and the record cannot be written.
        """
        kind = recognise(request.method, request.url.path)
        if kind not in _RECORDED or kind is None:
            return await self._inner.handle_async_request(request)
        call = read_request(kind, await request.aread())
        context = request.extensions.get(CONTEXT) or RunContext()
        if context.recording is None and call.workflow_id is None:
            return await self._inner.handle_async_request(request)
        context.was_sent = True
        exchange = _Exchange(self._inner, request, call, context, self._recorder)
        task = asyncio.create_task(exchange.run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await exchange.response(task, self._drain_limit)

    async def aclose(self) -> None:
        """Stop reading what nobody waits for, write down how far it got, and close the inner transport."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._inner.aclose()


async def open_recording(
    recorder: Recorder, call: Call, context: RunContext, execute_id: str | None = None
) -> Recording:
    """Begin the record of *call*.

    Raises:
        InvalidIdentifier: the workflow id cannot be one.
        StoreError: only where recording is required and the record cannot be written.
    """
    return await recorder.open(
        call.workflow_id or "",
        execute_id=execute_id,
        parameters=call.parameters,
        bot_id=call.bot_id,
        conversation_id=call.conversation_id,
        connector_id=call.connector_id,
        connector_uid=call.connector_uid,
        run_mode=call.run_mode,
        metadata={"account": context.account, **context.metadata},
    )


class _Exchange:
    """One recorded call: the task that reads the upstream, and the buffer between it and the caller."""

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        request: httpx.Request,
        call: Call,
        context: RunContext,
        recorder: Recorder,
    ) -> None:
        self._inner = inner
        self._request = request
        self._call = call
        self._context = context
        self._recorder = recorder
        self._clock = recorder.clock
        self._head: asyncio.Future[httpx.Response] = asyncio.get_running_loop().create_future()
        self._chunks: asyncio.Queue[bytes | BaseException | None] = asyncio.Queue(_BUFFERED_CHUNKS)
        self._caller_left = False
        self._stream: StreamReading | None = None
        self._body: list[bytes] = []

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
            opened = self._context.recording or await open_recording(self._recorder, self._call, self._context)
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
            outcome = self._failed(_STOPPED)
        except (httpx.TransportError, httpx.StreamError, OSError) as error:
            ending = error
            outcome = self._failed(failure_of(error, self._request))
        except Exception as error:  # noqa: BLE001 - a fault of ours must not leave the caller waiting for ever
            _log.exception("Recording a run failed")
            ending = error
            outcome = self._failed(_STOPPED)
        await self._close(outcome)
        if not self._head.done():
            self._head.set_exception(ending or httpx.ReadError("The upstream gave no answer.", request=self._request))
            self._head.exception()
        await self._hand_on(ending)

    async def _read(self) -> Outcome:
        response = await self._inner.handle_async_request(self._request)
        decoder = _decoder(response.headers.get("content-encoding", ""))
        if "text/event-stream" in response.headers.get("content-type", ""):
            self._stream = StreamReading(self._recording.create_time)
            self._recording.follow(self._progress)
        if not self._head.done():
            self._head.set_result(response)
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - httpx gives an async transport no other
        try:
            async for chunk in response.stream:
                self._take(decoder, chunk)
                await self._hand_on(chunk)
        finally:
            await response.aclose()
        return self._outcome(response)

    def _take(self, decoder: Callable[[bytes], bytes], chunk: bytes) -> None:
        try:
            plain = decoder(chunk)
        except (zlib.error, zstandard.ZstdError):
            return  # not in the encoding it claims: the caller gets it as it is, and the record says it was no JSON
        if self._stream is None:
            self._body.append(plain)
        else:
            self._stream.feed(plain, self._clock())
            self._recording.touched()

    def _outcome(self, response: httpx.Response) -> Outcome:
        if self._stream is None:
            return read_answer(self._call, response.status_code, b"".join(self._body), response.headers)
        self._stream.close(self._clock())
        log_id = response.headers.get("x-tt-logid") or response.headers.get("x-log-id")
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
        self._context.outcome = outcome
        with contextlib.suppress(ExecutionHistoryError):
            # The recorder has logged and counted what it could not write: the caller still gets its answer.
            await close_recording(self._recording, outcome, self._stream)

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


async def close_recording(recording: Recording, outcome: Outcome, stream: StreamReading | None) -> None:
    """End a record with what is known of its run."""
    metadata: dict[str, object] = {"proof": outcome.proof}
    known = {"coze_execute_id": outcome.execute_id, "log_id": outcome.log_id, "interrupt": outcome.interrupt}
    metadata |= {key: value for key, value in known.items() if value is not None}
    await recording.close(
        None if outcome.status == "running" else outcome.status,
        output=outcome.output,
        error_code=outcome.error_code,
        error_message=outcome.error_message,
        debug_url=outcome.debug_url,
        usage=outcome.usage,
        node_execute_status=None if stream is None else stream.timeline(),
        conversation_id=None if stream is None else stream.conversation_id,
        metadata=metadata,
    )


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


_STOPPED: Final = Outcome(
    "interrupted",
    "abandoned",
    error_message="Recording stopped before the run ended; it may still be running upstream.",
)


def failure_of(error: BaseException, request: httpx.Request) -> Outcome:
    """What a transport's error says of a run (coze-protocol 3.1: a cut does not mean that the workflow stopped)."""
    host = request.url.host
    if isinstance(error, httpx.ConnectTimeout):
        sentence = f"No connection to {host} came about in time, so the run never began."
        return Outcome("failed", "connection_failed", error_message=sentence)
    if isinstance(error, httpx.TimeoutException):
        sentence = f"{host} was silent for too long; the workflow may still be running there."
        return Outcome("failed", "timeout", error_message=sentence)
    if isinstance(error, httpx.ConnectError):
        sentence = f"{host} could not be reached ({str(error) or 'no reason given'}), so the run never began."
        return Outcome("failed", "connection_failed", error_message=sentence)
    sentence = f"The connection to {host} broke before the run ended; the workflow may still be running there."
    return Outcome("failed", "connection_broken", error_message=sentence)


def _decoder(encoding: str) -> Callable[[bytes], bytes]:
    """What turns the wire's bytes into the body's, for our copy only."""
    name = encoding.strip().lower()
    if name in {"gzip", "x-gzip", "deflate"}:
        inflate: Any = zlib.decompressobj(zlib.MAX_WBITS | 32)
        return lambda chunk: bytes(inflate.decompress(chunk))
    if name == "zstd":
        unpack: Any = zstandard.ZstdDecompressor().decompressobj()
        return lambda chunk: bytes(unpack.decompress(chunk))
    return lambda chunk: chunk
