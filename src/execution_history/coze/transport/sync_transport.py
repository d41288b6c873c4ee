"""The recording transport for synchronous clients.

The caller's own thread reads the upstream, so that bytes come as they come and a slow caller slows the upstream down;
the record is kept in the event loop of the bridge. A caller who leaves early leaves the rest to a thread, which reads
to the end. The chunk of a stream that holds a question waits, for a bounded time, until the question is recorded:
whoever answers it finds the record that asks.
"""

import asyncio
import contextlib
import logging
import weakref

import httpx

from execution_history.background_loop import Bridge, the_bridge
from execution_history.coze.protocol.messages import RunRequest, run_kind
from execution_history.coze.protocol.request_reader import parse_run_request
from execution_history.coze.protocol.run_history import HistoryRequest, RunHistory
from execution_history.coze.protocol.workflow_names import NamedWorkflows
from execution_history.coze.tracking.history_client import RunHistoryClient
from execution_history.coze.tracking.poller import RunPoller
from execution_history.coze.transport.call_recording import CallRecord, RunContext, context_of
from execution_history.coze.transport.httpx_transport import SyncHttpxTransport
from execution_history.coze.transport.limits import QUESTION_SECONDS, REDIRECT_SECONDS, TOO_LARGE_REQUEST, Limits
from execution_history.coze.transport.passing_body import follow_answer
from execution_history.coze.transport.recorded_call import LARGEST_RECORDED, RecordedCall
from execution_history.coze.transport.sync_call import CLOSE_SECONDS, LONGEST_WAIT, SyncCall
from execution_history.coze.transport.threaded_transport import ThreadedTransport
from execution_history.errors import ExecutionHistoryError
from execution_history.functions import default_recorder
from execution_history.recording.recorder import Recorder
from execution_history.settings.accounts import DEFAULT_ACCOUNT

_log = logging.getLogger("execution_history.coze")


class SyncRecordingTransport(httpx.BaseTransport):
    """A synchronous httpx transport that records workflow runs.

    Runs that go on upstream after their answer are polled through the inner transport too, with the caller's own
    ``Authorization``.

    Args:
        recorder: keeps the records; this process's own unless given.
        inner: does the work; a transport of httpx's own, over the environment's proxies, unless given.
        drain_limit_seconds: how long the upstream is still read after the caller has left.
        largest_recorded: the most bytes of one run's answer that are kept; what is beyond passes, and the record says
            so.
        first_pause: seconds before a run that goes on upstream is polled for the first time.
        question_seconds: how long the chunk of a stream that holds a question waits, at most, until it is recorded.
        redirect_seconds: how long the record of a redirected call stays open for a client that follows the redirect.
        account: the name of the account that the records keep, where a request names none.
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
        question_seconds: float = QUESTION_SECONDS,
        redirect_seconds: float = REDIRECT_SECONDS,
        account: str = DEFAULT_ACCOUNT,
        bridge: Bridge | None = None,
    ) -> None:
        self._recorder = recorder
        self._inner = inner or SyncHttpxTransport()
        self._limits = Limits(drain_limit_seconds, question_seconds, redirect_seconds)
        self._largest = largest_recorded
        self._account = account
        self._first_pause = first_pause
        self._bridge = bridge
        self._polling: RunPoller | None = None
        self._open: set[SyncCall] = set()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request*; a run is recorded from before it leaves to its end.

        Raises:
            httpx.TransportError: the inner transport raised it.
            StoreError: only where recording is required: the record could not be written.
            RuntimeError: only where recording is required: the program is ending.
            TimeoutError: only where recording is required: the store does not answer.
        """
        context = context_of(request, self._account)
        if context.is_exempt:
            return self._inner.handle_request(request)
        run = context.run
        if context.is_unrecorded:
            (self._recorder or default_recorder()).count_unrecorded(TOO_LARGE_REQUEST)
        elif run is None and (kind := run_kind(request.method, request.url.path)) is not None:
            headers = request.headers
            run = parse_run_request(kind, request.read(), headers.get("content-type"), headers.get("content-encoding"))
        if run is not None and (call := self._begin(request, run, context)) is not None:
            return call.send(self._inner)
        response = self._inner.handle_request(request)
        follow_answer(request, response, self._learn, self._learn_names)
        return response

    def close(self) -> None:
        """Stop reading what nobody waits for, record how far it got, and close the inner transport."""
        for call in list(self._open):
            call.stop()
        if self._polling is not None:
            with contextlib.suppress(RuntimeError, TimeoutError):
                self._loop().submit(self._polling.aclose()).result(CLOSE_SECONDS)
        self._inner.close()

    async def stop_with_the_program(self) -> None:
        """Record how far the runs got that are under way when the interpreter ends; in the bridge's thread."""
        await asyncio.gather(*(call.astop() for call in list(self._open)), return_exceptions=True)
        if self._polling is not None:
            await self._polling.aclose()

    def _begin(self, request: httpx.Request, run: RunRequest, context: RunContext) -> "SyncCall | None":
        """Open the record of a call; ``None`` where it cannot be recorded, and need not be.

        Raises:
            StoreError: only where recording is required: the record could not be written.
            RuntimeError: only where recording is required: the program is ending.
            TimeoutError: only where recording is required: the store does not answer.
        """
        try:
            recorder, bridge = self._recorder or default_recorder(), self._loop()
            bridge.kept(_Transports).open.add(self)
            poller = self._poller(recorder)
        except (ExecutionHistoryError, RuntimeError) as error:
            if self._recorder is None:
                _log.error("A run passes unrecorded: %s", error)
            else:
                self._recorder.count_unrecorded(str(error))
            return None
        record = CallRecord(recorder, RecordedCall(run, recorder.clock, self._largest), request, context, poller)
        call = SyncCall(bridge, record, self._limits, self._forget)
        self._open.add(call)
        call.open()
        return call

    def _forget(self, call: SyncCall) -> None:
        """Forget a call that is over; until then it keeps this transport, which ends it with the program."""
        self._open.discard(call)

    def _learn(self, call: HistoryRequest, history: RunHistory) -> None:
        try:
            poller = self._poller(self._recorder or default_recorder())
            self._loop().submit(poller.merge_history(call, history)).result(LONGEST_WAIT)
        except (ExecutionHistoryError, RuntimeError, TimeoutError) as error:
            _log.warning("The history of a run that its caller polled could not be recorded: %s", error)

    def _learn_names(self, found: NamedWorkflows) -> None:
        names = (self._recorder or default_recorder()).names
        self._loop().submit(names.learn(found.names, found.source))

    def _poller(self, recorder: Recorder) -> RunPoller:
        if self._polling is None:
            client = RunHistoryClient(ThreadedTransport(self._inner))
            self._polling = RunPoller(recorder, client, first_pause=self._first_pause)
        return self._polling

    def _loop(self) -> Bridge:
        return self._bridge or the_bridge()


class _Transports:
    """The transports that have a part in the end of one bridge."""

    def __init__(self, bridge: Bridge) -> None:
        self.open: weakref.WeakSet[SyncRecordingTransport] = weakref.WeakSet()
        bridge.at_end(self._end)

    async def _end(self) -> None:
        await asyncio.gather(*(transport.stop_with_the_program() for transport in list(self.open)))
