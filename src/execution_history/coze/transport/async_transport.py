"""The recording transport: every workflow run that passes through it is recorded, the bytes are not touched.

The upstream is read by a task of its own, which hands the bytes on through a small buffer: a slow caller slows it
down, and a caller who leaves does not stop it from reading to the end.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx

from execution_history.coze.protocol.content_encoding import BodyCopy
from execution_history.coze.protocol.messages import read_request, recognise
from execution_history.coze.protocol.response_reader import LARGEST_OVERHEARD, LARGEST_RECORDED
from execution_history.coze.protocol.run_history import HistoryCall, HistoryRefusal, read_history, recognise_history
from execution_history.coze.tracking.history_client import Asker
from execution_history.coze.tracking.poller import RunFollower
from execution_history.coze.transport.async_recorded_call import Exchange
from execution_history.coze.transport.call_recording import CONTEXT, RunContext, is_recorded
from execution_history.coze.transport.follow_up import leave_open
from execution_history.errors import ExecutionHistoryError
from execution_history.functions import parentage
from execution_history.recording.recorder import Recorder

_log = logging.getLogger("execution_history.coze")


class RecordingTransport(httpx.AsyncBaseTransport):
    """An httpx transport that records workflow runs.

    Runs that go on upstream after their answer are followed with the caller's own ``Authorization``, and a caller's
    own questions for the history of a run are listened to.

    Args:
        recorder: what keeps the records.
        inner: the transport that does the work; one of httpx's own when not given.
        drain_limit_seconds: how long the upstream is still read after the caller has left.
        largest_recorded: bytes that are kept of one run's answer; what is beyond passes, and the record says so.
        first_pause: seconds before a run that goes on upstream is asked for the first time.
    """

    def __init__(
        self,
        recorder: Recorder,
        inner: httpx.AsyncBaseTransport | None = None,
        *,
        drain_limit_seconds: float = 1800,
        largest_recorded: int = LARGEST_RECORDED,
        first_pause: float = 1.0,
    ) -> None:
        self._recorder = recorder
        self._inner = inner or httpx.AsyncHTTPTransport()
        self._drain_limit = drain_limit_seconds
        self._largest = largest_recorded
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self.asker: Asker = Asker(self._inner)
        self.follower: RunFollower = RunFollower(recorder, self.asker, first_pause=first_pause)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request*; a run is recorded from before it leaves to its end.

        Raises:
            httpx.TransportError: as the inner transport does.
            StoreError: only where recording is required and the record cannot be written.
        """
        kind = recognise(request.method, request.url.path)
        context = request.extensions.get(CONTEXT) or RunContext()
        if kind is None or context.is_unrecorded:
            return await self._unrecorded(request)
        call = read_request(kind, await request.aread())
        if not is_recorded(call, context):
            return await self._inner.handle_async_request(request)
        context.was_sent = True
        context.metadata = {**parentage(), **context.metadata}
        exchange = Exchange(
            self._inner,
            request,
            call,
            context,
            self._recorder,
            self._largest,
            lambda recording, outcome: leave_open(
                None if self._closing else self.follower, request, call, context, recording, outcome
            ),
        )
        task = asyncio.create_task(exchange.run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await exchange.response(task, self._drain_limit)

    async def aclose(self) -> None:
        """Stop reading what nobody waits for, write down how far it got, and close the inner transport."""
        self._closing = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.follower.aclose()
        await self._inner.aclose()

    async def _unrecorded(self, request: httpx.Request) -> httpx.Response:
        """Pass the answer on; one that tells the history of a run is listened to."""
        response = await self._inner.handle_async_request(request)
        url = request.url
        call = recognise_history(request.method, url.raw_path.partition(b"?")[0].decode("ascii"), url.query.decode())
        if call is None or call.node_execute_uuid is not None:
            return response
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - httpx gives an async transport no other
        response.stream = _Overheard(response.stream, lambda body: self._hear(call, response, body))
        return response

    async def _hear(self, call: HistoryCall, response: httpx.Response, body: bytes) -> None:
        """Use what a caller is told of a run; the caller gets its answer whatever comes of that."""
        plain = BodyCopy(response.headers.get("content-encoding", "")).take(body)
        history = read_history(response.status_code, plain)
        if isinstance(history, HistoryRefusal) or history.outcome.status == "running":
            return
        try:
            await self.follower.learn(call, history)
        except ExecutionHistoryError as error:
            _log.warning("What a caller learned of a run could not be recorded: %s", error)


class _Overheard(httpx.AsyncByteStream):
    """A body on its way to its reader, and to somebody who listens, who is told at its end."""

    def __init__(self, stream: httpx.AsyncByteStream, tell: Callable[[bytes], Awaitable[None]]) -> None:
        self._stream = stream
        self._tell = tell

    async def __aiter__(self) -> AsyncIterator[bytes]:
        heard: list[bytes] = []
        room = LARGEST_OVERHEARD
        async for chunk in self._stream:
            room -= len(chunk)
            if room >= 0:
                heard.append(chunk)
            yield chunk
        if room >= 0:
            await self._tell(b"".join(heard))

    async def aclose(self) -> None:
        """Close the body."""
        await self._stream.aclose()
