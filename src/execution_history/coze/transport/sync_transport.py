"""The synchronous sibling of :class:`~execution_history.coze.transport.async_transport.RecordingTransport`.

The caller's own thread reads the upstream, so that bytes come as they come and a slow caller slows the upstream down;
the record is kept on the bridge. A caller who leaves early leaves the rest to a thread, which reads to the end.
"""

import asyncio
import contextlib
import logging
import weakref
from collections.abc import Callable, Iterator

import httpx

from execution_history.background_loop import Bridge, the_bridge
from execution_history.coze.protocol.content_encoding import ContentDecoder
from execution_history.coze.protocol.messages import RunRequest, parse_run_request, run_kind
from execution_history.coze.protocol.response_reader import LARGEST_OVERHEARD, LARGEST_RECORDED
from execution_history.coze.protocol.run_history import HistoryCall, HistoryRefusal, read_history, recognise_history
from execution_history.coze.tracking.history_client import Asker
from execution_history.coze.tracking.poller import RunFollower
from execution_history.coze.transport.call_recording import CONTEXT, RunContext, is_recorded
from execution_history.coze.transport.sync_recorded_call import CLOSE_SECONDS, LONGEST_WAIT, SyncExchange
from execution_history.errors import ExecutionHistoryError, StoreError
from execution_history.functions import default_recorder, parentage
from execution_history.recording.recorder import Recorder

_log = logging.getLogger("execution_history.coze")


class SyncRecordingTransport(httpx.BaseTransport):
    """A synchronous httpx transport that records workflow runs.

    Args:
        recorder: what keeps the records; this process's own when not given.
        inner: the transport that does the work; one of httpx's own when not given.
        drain_limit_seconds: how long the upstream is still read after the caller has left.
        largest_recorded: bytes that are kept of one run's answer; what is beyond passes, and the record says so.
        first_pause: seconds before a run that goes on upstream is asked for the first time.
    """

    def __init__(
        self,
        recorder: Recorder | None = None,
        inner: httpx.BaseTransport | None = None,
        *,
        drain_limit_seconds: float = 1800,
        largest_recorded: int = LARGEST_RECORDED,
        first_pause: float = 1.0,
    ) -> None:
        self._recorder = recorder
        self._inner = inner or httpx.HTTPTransport()
        self._drain_limit = drain_limit_seconds
        self._largest = largest_recorded
        self._first_pause = first_pause
        self._following: _Following | None = None
        self._open: set[SyncExchange] = set()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request*; a run is recorded from before it leaves to its end.

        Raises:
            httpx.TransportError: as the inner transport does.
            StoreError: only where recording is required and the record cannot be written.
        """
        kind = run_kind(request.method, request.url.path)
        if kind is None:
            return self._unrecorded(request)
        context = request.extensions.get(CONTEXT) or RunContext()
        call = context.run or parse_run_request(kind, request.read())
        if not is_recorded(call, context):
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
        if self._following is not None:
            with contextlib.suppress(RuntimeError, TimeoutError):
                the_bridge().submit(self._following.aclose()).result(CLOSE_SECONDS)
        self._inner.close()

    async def stop_with_the_program(self) -> None:
        """Write down how far the runs got that are under way when the interpreter ends."""
        await asyncio.gather(*(exchange.astop() for exchange in list(self._open)), return_exceptions=True)
        if self._following is not None:
            await self._following.aclose()

    def _unrecorded(self, request: httpx.Request) -> httpx.Response:
        """Pass the answer on; one that tells the history of a run is listened to."""
        response = self._inner.handle_request(request)
        url = request.url
        call = recognise_history(request.method, url.raw_path.partition(b"?")[0].decode("ascii"), url.query.decode())
        if call is not None and call.node_execute_uuid is None:
            assert isinstance(response.stream, httpx.SyncByteStream)  # noqa: S101 - httpx gives a transport no other
            response.stream = _Overheard(response.stream, lambda body: self._hear(call, response, body))
        return response

    def _hear(self, call: HistoryCall, response: httpx.Response, body: bytes) -> None:
        """Use what a caller is told of a run; the caller gets its answer whatever comes of that."""
        plain = ContentDecoder(response.headers.get("content-encoding", "")).decode(body)
        history = read_history(response.status_code, plain)
        if isinstance(history, HistoryRefusal) or history.outcome.status == "running":
            return
        try:
            recorder = self._recorder or default_recorder()
            the_bridge().submit(self._followed_by(recorder).learn(call, history)).result(LONGEST_WAIT)
        except (ExecutionHistoryError, RuntimeError, TimeoutError) as error:
            _log.warning("What a caller learned of a run could not be recorded: %s", error)

    def _followed_by(self, recorder: Recorder) -> RunFollower:
        if self._following is None:
            self._following = _Following(recorder, self._first_pause)
        return self._following.follower

    def _begin(self, request: httpx.Request, call: RunRequest, context: RunContext) -> "SyncExchange":
        recorder = self._recorder or default_recorder()
        bridge = the_bridge()
        bridge.kept(_Transports).open.add(self)
        context.metadata = {**parentage(), **context.metadata}
        context.was_sent = True
        exchange = SyncExchange(
            bridge, recorder, request, call, context, self._drain_limit, self._largest, self._followed_by(recorder)
        )
        self._open.add(exchange)
        exchange.ended.add_done_callback(lambda _: self._open.discard(exchange))
        exchange.begin()
        return exchange


class _Following:
    """What asks, on the bridge, for runs that go on upstream."""

    def __init__(self, recorder: Recorder, first_pause: float) -> None:
        self._transport = httpx.AsyncHTTPTransport()
        self.follower = RunFollower(recorder, Asker(self._transport), first_pause=first_pause)

    async def aclose(self) -> None:
        """Stop asking."""
        await self.follower.aclose()
        await self._transport.aclose()


class _Transports:
    """The transports that have a part in the end of one bridge."""

    def __init__(self, bridge: Bridge) -> None:
        self.open: weakref.WeakSet[SyncRecordingTransport] = weakref.WeakSet()
        bridge.at_end(self._end)

    async def _end(self) -> None:
        await asyncio.gather(*(transport.stop_with_the_program() for transport in list(self.open)))


class _Overheard(httpx.SyncByteStream):
    """A body on its way to its reader, and to somebody who listens, who is told at its end."""

    def __init__(self, stream: httpx.SyncByteStream, tell: Callable[[bytes], None]) -> None:
        self._stream = stream
        self._tell = tell

    def __iter__(self) -> Iterator[bytes]:
        heard: list[bytes] = []
        room = LARGEST_OVERHEARD
        for chunk in self._stream:
            room -= len(chunk)
            if room >= 0:
                heard.append(chunk)
            yield chunk
        if room >= 0:
            self._tell(b"".join(heard))

    def close(self) -> None:
        """Close the body."""
        self._stream.close()
