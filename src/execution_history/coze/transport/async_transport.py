"""The recording transport for asynchronous clients: bytes pass as they are, and every workflow run is recorded.

The upstream is read by a task of its own, which hands the bytes on through a small buffer: a slow caller slows it
down, and a caller who leaves does not stop it from reading to the end. Bytes pass untouched and unbuffered, with two
exceptions: the end of an answer waits until its record is closed, and so does, for a bounded time, the chunk of a
stream that holds a question: whoever answers it finds the record that asks.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

import httpx

from execution_history.coze.protocol.messages import Outcome, run_kind
from execution_history.coze.protocol.request_reader import parse_run_request
from execution_history.coze.protocol.run_history import HistoryRequest, RunHistory
from execution_history.coze.protocol.workflow_names import NamedWorkflows
from execution_history.coze.tracking.history_client import RunHistoryClient, stream_of
from execution_history.coze.tracking.poller import RunPoller
from execution_history.coze.transport.call_recording import CallRecord, context_of
from execution_history.coze.transport.failures import failure_of
from execution_history.coze.transport.httpx_transport import HttpxTransport
from execution_history.coze.transport.limits import QUESTION_SECONDS, REDIRECT_SECONDS, TOO_LARGE_REQUEST, Limits
from execution_history.coze.transport.passing_body import follow_answer
from execution_history.coze.transport.recorded_call import (
    LARGEST_RECORDED,
    NEVER_SENT,
    STOPPED,
    CloseRecord,
    RecordedCall,
)
from execution_history.coze.transport.redirects import Hop
from execution_history.errors import ExecutionHistoryError
from execution_history.recording.recorder import Recorder
from execution_history.settings.accounts import DEFAULT_ACCOUNT

_log = logging.getLogger("execution_history.coze")

_BUFFERED_CHUNKS: Final = 16


class RecordingTransport(httpx.AsyncBaseTransport):
    """An httpx transport that records workflow runs.

    Runs that go on upstream after their answer are polled with the caller's own ``Authorization``; a history that a
    caller polls itself is read in passing.

    Args:
        recorder: keeps the records.
        inner: does the work; a transport of httpx's own, over the environment's proxies, unless given.
        drain_limit_seconds: how long the upstream is still read after the caller has left.
        largest_recorded: the most bytes of one run's answer that are kept; what is beyond passes, and the record says
            so.
        first_pause: seconds before a run that goes on upstream is polled for the first time.
        question_seconds: how long the chunk of a stream that holds a question waits, at most, until it is recorded.
        redirect_seconds: how long the record of a redirected call stays open for a client that follows the redirect.
        account: the name of the account that the records keep, where a request names none.
    """

    def __init__(
        self,
        recorder: Recorder,
        inner: httpx.AsyncBaseTransport | None = None,
        *,
        drain_limit_seconds: float = 1800,
        largest_recorded: int = LARGEST_RECORDED,
        first_pause: float = 1.0,
        question_seconds: float = QUESTION_SECONDS,
        redirect_seconds: float = REDIRECT_SECONDS,
        account: str = DEFAULT_ACCOUNT,
    ) -> None:
        self._recorder = recorder
        self._inner = inner or HttpxTransport()
        self._limits = Limits(drain_limit_seconds, question_seconds, redirect_seconds)
        self._largest = largest_recorded
        self._account = account
        self._calls: dict[asyncio.Task[None], CallRecord] = {}
        self.poller: RunPoller = RunPoller(recorder, RunHistoryClient(self._inner), first_pause=first_pause)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request*; a run is recorded from before it leaves to its end.

        Raises:
            httpx.TransportError: the inner transport raised it.
            StoreError: only where recording is required: the record could not be written.
        """
        context = context_of(request, self._account)
        if context.is_exempt:
            return await self._inner.handle_async_request(request)
        run = context.run
        if context.is_unrecorded:
            self._recorder.count_unrecorded(TOO_LARGE_REQUEST)
        elif run is None and (kind := run_kind(request.method, request.url.path)) is not None:
            headers = request.headers
            run = parse_run_request(
                kind, await request.aread(), headers.get("content-type"), headers.get("content-encoding")
            )
        if run is not None:
            call = RecordedCall(run, self._recorder.clock, self._largest)
            return await self._send(CallRecord(self._recorder, call, request, context, self.poller))
        response = await self._inner.handle_async_request(request)
        follow_answer(request, response, self._learn, self._learn_names)
        return response

    async def aclose(self) -> None:
        """Stop reading what nobody waits for, record how far it got, and close the inner transport."""
        calls = dict(self._calls)
        for task, record in calls.items():
            record.leave_runs()
            task.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await self.poller.aclose()  # which closes the inner transport too

    async def _learn(self, call: HistoryRequest, history: RunHistory) -> None:
        try:
            await self.poller.merge_history(call, history)
        except ExecutionHistoryError as error:
            _log.warning("The history of a run that its caller polled could not be recorded: %s", error)

    def _learn_names(self, found: NamedWorkflows) -> None:
        self._recorder.names.learn_soon(found.names, found.source)

    async def _send(self, record: CallRecord) -> httpx.Response:
        call = _Call(self._inner, record, self._limits)
        self._calls[call.task] = record
        call.task.add_done_callback(self._calls.pop)
        return await call.response()


class _Call(httpx.AsyncByteStream):
    """One recorded call: a task that reads the upstream to its end, and a small buffer between it and the caller."""

    def __init__(self, inner: httpx.AsyncBaseTransport, record: CallRecord, limits: Limits) -> None:
        self._inner = inner
        self._limits = limits
        self._record = record
        self._call = record.call
        self._sent = record.request
        self._head: asyncio.Future[httpx.Response] = asyncio.get_running_loop().create_future()
        self._chunks: deque[bytes | BaseException | None] = deque()
        self._change: asyncio.Future[None] | None = None
        self._caller_left = False
        self._upstream: httpx.AsyncByteStream | None = None
        self._closing: asyncio.Task[None] | None = None
        self._ending: CloseRecord | None = None
        self._hop: Hop | None = None
        self.task: asyncio.Task[None] = asyncio.create_task(self._run())
        self.task.add_done_callback(lambda _: self._fail_head(None))  # cancelled before the record was opened

    async def response(self) -> httpx.Response:
        """Return the upstream's answer, its body read through the buffer.

        Raises:
            httpx.TransportError: the inner transport raised it.
            StoreError: only where recording is required: the record could not be written.
        """
        try:
            return await self._head
        except asyncio.CancelledError:
            await self.aclose()
            raise

    async def __aiter__(self) -> AsyncIterator[bytes]:
        chunks = self._chunks
        while True:
            while not chunks:
                if self._caller_left:
                    return
                await self._changed()
            item = chunks.popleft()
            self._note_change()
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    async def aclose(self) -> None:
        """Read on without handing on, for a while: the caller has gone."""
        if self._caller_left:
            return
        self._caller_left = True
        self._chunks.clear()
        self._note_change()
        if not self.task.done():
            timer = asyncio.get_running_loop().call_later(self._limits.drain, self.task.cancel)
            self.task.add_done_callback(lambda _: timer.cancel())

    async def _run(self) -> None:
        """Open the record, read the upstream to its end, with or without its caller, and close the record."""
        try:
            await self._record.open()
        except asyncio.CancelledError:
            await self._record.close(self._call.end(NEVER_SENT))
            raise
        except Exception as error:  # noqa: BLE001 - the caller gets it, and must not wait for ever
            self._fail_head(error)
            return
        ending: BaseException | None = None
        failure: Outcome | None = None
        try:
            await self._read()
        except asyncio.CancelledError as error:
            ending, failure = error, STOPPED
        except Exception as error:  # noqa: BLE001 - the caller gets whatever the transport raised
            ending, failure = error, failure_of(error, self._sent, is_answered=self._upstream is not None)
        try:
            await self._close(failure)
            if isinstance(ending, asyncio.CancelledError):
                self._hand_over(ending, ending)
                return
            self._fail_head(ending)
            await self._hand_on(self._call.release())
            await self._hand_on(ending)
        except BaseException as error:
            # What has come whole stays whole, whatever became of its record.
            self._hand_over(ending, error)
            raise
        if self._hop is not None:
            await self._expire(self._hop)

    async def _read(self) -> None:
        response = await self._answer()
        upstream = self._upstream = stream_of(response)
        response.stream = self
        self._call.receive_head(response.status_code, response.headers)
        if self._call.is_redirected:
            self._hop = self._record.hop_of(response)
        elif self._call.is_stream:
            self._record.save_progress(self._call.progress)
        if not self._head.done():
            self._head.set_result(response)
        async for chunk in upstream:
            passed = self._call.receive_data(chunk)
            if self._call.is_stream:
                self._record.touch()
                if self._call.is_over:
                    await self._close_at_once()
            await self._hand_on(passed)

    async def _answer(self) -> httpx.Response:
        """Return the upstream's answer, that of the last hop where redirects are followed here."""
        response = await self._inner.handle_async_request(self._sent)
        trail = self._record.trail if response.has_redirect_location else None
        while trail is not None and (onward := trail.next(self._sent, response)) is not None:
            await response.aclose()
            self._sent = onward
            response = await self._inner.handle_async_request(onward)
        return response

    async def _close_at_once(self) -> None:
        """Close the record of a stream in which the end of the run has come, beside the bytes that go on.

        Only a question is waited for, so long as it may be.
        """
        action = self._ending = self._call.end()
        self._closing = asyncio.create_task(self._record.close(action))
        if action is not None and action.outcome.status == "interrupted":
            await asyncio.wait({self._closing}, timeout=self._limits.question)

    async def _close(self, failure: Outcome | None) -> None:
        try:
            if self._closing is not None:
                try:
                    await asyncio.wait({self._closing})
                finally:
                    # A task that is cancelled before its first step has closed nothing; a second closing does nothing.
                    await self._record.close(self._ending)
                await self._record.complete(self._call.complete())
            elif self._hop is None or (failure is not None and self._hop.claim()):
                await self._record.close(self._call.end(failure))
        finally:
            # Every idle connection is looked at for each request: the record is closed before this one is given back.
            if self._upstream is not None:
                with contextlib.suppress(httpx.TransportError):
                    await self._upstream.aclose()

    async def _expire(self, hop: Hop) -> None:
        """Close the record of a redirected call, unless the request that follows the redirect goes on with it."""
        try:
            await asyncio.sleep(self._limits.redirect)
        finally:
            if hop.claim():
                await self._record.close(self._call.end())

    def _fail_head(self, error: BaseException | None) -> None:
        """Raise *error* to a caller that waits for the head."""
        if not self._head.done():
            request = self._record.request
            self._head.set_exception(error or httpx.ReadError("The upstream gave no answer.", request=request))
            self._head.exception()  # nobody may be left to take it

    async def _hand_on(self, item: bytes | BaseException | None) -> None:
        if self._caller_left or item == b"":
            return
        while len(self._chunks) >= _BUFFERED_CHUNKS and not self._caller_left:
            await self._changed()
        self._chunks.append(item)
        self._note_change()

    async def _changed(self) -> None:
        """Wait until something is in the buffer, or until there is room in it: never both at once."""
        self._change = asyncio.get_running_loop().create_future()
        await self._change

    def _note_change(self) -> None:
        if self._change is not None and not self._change.done():
            self._change.set_result(None)

    def _hand_over(self, ending: BaseException | None, error: BaseException) -> None:
        """Hand the end on without waiting for the caller; where there is no room for it, *error* is the end."""
        self._fail_head(ending or error)
        if self._caller_left:
            return
        end = [item for item in (self._call.release(), ending) if item != b""]
        if len(self._chunks) + len(end) > _BUFFERED_CHUNKS:
            self._chunks.clear()
            end = [error]
        self._chunks.extend(end)
        self._note_change()
