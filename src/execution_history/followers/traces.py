"""Finished runs sent to an OpenTelemetry receiver as traces, by a follower of the change feed.

Of several processes with the setting one sends, by a lease. Its place in the feed is stored after a receiver has taken
a batch, so that nothing is left out; after a crash the last batch may be sent again, with the same ids. A receiver that
cannot be reached, or refuses the credentials, is tried again with growing pauses; a batch that it refuses as such is
sent run by run, and what it refuses alone is left out and logged.
"""

import asyncio
import contextlib
import gzip
import logging
from collections import OrderedDict
from collections.abc import Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import httpx
import orjson
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from execution_history.errors import N_, FeedExpired, Message, StoreClosed, StoreError, message_of, quoted
from execution_history.followers.spans import RunPlace, place_of, request_of, root_of
from execution_history.followers.trace_place import FOLLOWER, LEASE_MS
from execution_history.history.lease_keeper import LeaseKeeper
from execution_history.history.name_book import WorkflowName
from execution_history.history.service import ExecutionHistoryService
from execution_history.metrics import EXPORT_FAILURES, EXPORTED_RUNS
from execution_history.query.model import RecordKey
from execution_history.records.metadata import ENDED_AT, INTERRUPT
from execution_history.records.redaction import without_credentials

_log = logging.getLogger("execution_history.followers")

_PATH: Final = "/v1/traces"
_POLL_SECONDS: Final = 1.0
_CHANGES_AT_ONCE: Final = 100
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
_SEND_SECONDS: Final = 30.0
_MOST_KNOWN: Final = 10_000
_ENDED: Final = frozenset({"success", "failed", "interrupted"})
_OF_THE_BATCH: Final = frozenset({400, 413, 422})
"""What a receiver answers to a batch that it will never take."""

_UNREACHABLE: Final = N_(
    "Finished runs cannot be sent to %(receiver)s: it cannot be reached (%(reason)s). They are sent once it can be."
)
_REFUSED: Final = N_(
    "Finished runs cannot be sent to %(receiver)s: it answers %(status)s. Check otel_endpoint and otel_headers; the "
    "runs are sent once it takes them."
)
_STORE: Final = N_("Finished runs cannot be sent to %(receiver)s for now: %(reason)s")


class _NotTaken(Exception):  # noqa: N818 - a signal within this module
    """The receiver has not taken a batch now; the sentence says why."""

    def __init__(self, sentence: Message, seconds: float | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.seconds = seconds


class TraceFollower:
    """Sends each run that ends from the first start on.

    Args:
        service: the history.
        endpoint: the receiver's address for OTLP over HTTP; without a path ``/v1/traces`` is added.
        headers: sent along, credentials for example.
        has_contents: whether inputs, outputs and messages are sent.
        first_pause: how long after a failure the next try is (seconds); twice as long after each further one.
    """

    def __init__(
        self,
        service: ExecutionHistoryService,
        endpoint: str,
        *,
        headers: Mapping[str, str] | None = None,
        has_contents: bool = False,
        first_pause: float = _FIRST_PAUSE,
    ) -> None:
        self._service, self._has_contents, self._first_pause = service, has_contents, first_pause
        self._url = _traces_address(endpoint)
        self._shown = quoted(without_credentials(self._url))
        self._headers = dict(headers or {})
        self._stop, self._changed = asyncio.Event(), asyncio.Event()
        self._lease = LeaseKeeper(service, LEASE_MS, self._changed.set)
        self._since: int | None = None
        self._sent: OrderedDict[tuple[str, str], int | None] = OrderedDict()
        self._roots: OrderedDict[tuple[str, str], Mapping[str, Any] | None] = OrderedDict()
        self._problem: Message | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin in the background; where nothing was ever sent, with the runs that end from now on."""
        with contextlib.suppress(StoreError):  # tried again
            await self._find_place()
        self._task = asyncio.create_task(self._run())

    async def aclose(self) -> None:
        """End; what was not sent is sent by the next process that has the setting."""
        self._stop.set()
        if self._task is not None:
            self._task.cancel()  # a receiver may take its time; what it has taken or not is sent again
            await asyncio.gather(self._task, return_exceptions=True)

    def problems(self) -> tuple[str, ...]:
        """Return a sentence on why runs are not sent; none where they are."""
        return () if self._problem is None else (self._problem,)

    async def _run(self) -> None:
        """Send until the end; this is the follower's task. Whatever happens is told, and tried again."""
        end_watching = self._service.on_change(partial(self._note_change, asyncio.get_running_loop()))
        pause = self._first_pause
        try:
            async with httpx.AsyncClient(headers=self._headers, timeout=_SEND_SECONDS) as client:
                while not self._stop.is_set():
                    try:
                        has_more = await self._step(client)
                    except StoreClosed:
                        return
                    except Exception as error:  # noqa: BLE001 - the history must not notice, and the next try may succeed
                        seconds = self._tell(error) or pause
                        pause = min(2 * pause, _LONGEST_PAUSE)
                        await self._wait(self._stop, min(seconds, _LONGEST_PAUSE))
                        continue
                    pause, self._problem = self._first_pause, None
                    if not has_more:
                        self._changed.clear()
                        await self._wait(self._changed, _POLL_SECONDS)
        finally:
            end_watching()
            await self._lease.release()

    async def _step(self, client: httpx.AsyncClient) -> bool:
        """Send the runs of the next changes; return whether there may be more."""
        if not self._lease.is_held:
            self._since = None  # another process may send meanwhile
            await self._lease.keep(FOLLOWER)
            if self._lease.trouble is not None:
                raise self._lease.trouble
            if not self._lease.is_held:
                return False
        if self._since is None:
            self._since = await self._find_place()
        try:
            changes = await self._service.changes(self._since, _CHANGES_AT_ONCE, documents=True)
        except FeedExpired:  # the place was given up by a process without the setting, long ago
            self._since = await self._service.revision()
            await self._service.save_place(FOLLOWER, self._since)
            return True
        if not changes:
            return False
        names = await self._service.names()
        documents = [each.document for each in changes if each.status in _ENDED and each.document is not None]
        runs = [record for record in map(orjson.loads, documents) if self._is_to_be_sent(record)]
        if runs:
            await self._send(client, [(run, await self._place(run), _name(run, names)) for run in runs])
        for run in runs:
            self._note_sent(run)
        self._since = changes[-1].revision
        await self._service.save_place(FOLLOWER, self._since)
        return True

    async def _find_place(self) -> int:
        place = await self._service.place_of(FOLLOWER)
        if place is None:
            place = await self._service.revision()
            await self._service.save_place(FOLLOWER, place)
        return place

    def _is_to_be_sent(self, record: Mapping[str, Any]) -> bool:
        """Return whether a run has ended, and not been sent as it ended: later changes are tags, notes and the like."""
        is_asking = record["execute_status"] == "interrupted" and INTERRUPT.raw(record) is not None
        return not is_asking and (_key(record) not in self._sent or self._sent[_key(record)] != _end(record))

    def _note_sent(self, record: Mapping[str, Any]) -> None:
        self._sent[_key(record)] = _end(record)
        while len(self._sent) > _MOST_KNOWN:
            self._sent.popitem(last=False)

    async def _place(self, record: Mapping[str, Any]) -> RunPlace:
        """Return where a run stands; the outermost run around it may name the trace of its caller."""
        key = root_of(record)
        if key is None or not key[0]:
            return place_of(record, None)
        if key not in self._roots:
            found = await self._service.get_many([RecordKey(*key)])
            document = found.documents.get(RecordKey(*key))
            root = None if document is None else orjson.loads(document)
            self._roots[key] = None if root is None else {"metadata": root["metadata"]}
            if len(self._roots) > _MOST_KNOWN:
                self._roots.popitem(last=False)
        return place_of(record, self._roots[key])

    async def _send(self, client: httpx.AsyncClient, runs: list[tuple[Mapping[str, Any], RunPlace, str]]) -> None:
        """Have the receiver take *runs*, but for those that it will never take.

        Raises:
            _NotTaken: it has not taken them now.
        """
        body = await asyncio.to_thread(request_of, runs, has_contents=self._has_contents)
        headers = {"content-type": "application/x-protobuf", "content-encoding": "gzip"}
        try:
            answer = await client.post(self._url, content=gzip.compress(body, 1), headers=headers)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            EXPORT_FAILURES.count(1, "unreachable")
            reason = without_credentials(str(error)) or type(error).__name__
            raise _NotTaken(Message(_UNREACHABLE, receiver=self._shown, reason=reason)) from None
        if answer.status_code in _OF_THE_BATCH:
            await self._send_each(client, runs, answer)
        elif not answer.is_success:
            EXPORT_FAILURES.count(1, "status")
            wait = answer.headers.get("retry-after", "")
            sentence = Message(_REFUSED, receiver=self._shown, status=answer.status_code)
            raise _NotTaken(sentence, float(wait) if wait.isdecimal() else None)
        else:
            EXPORTED_RUNS.count(len(runs))
            self._note_partial(answer)

    async def _send_each(
        self, client: httpx.AsyncClient, runs: list[tuple[Mapping[str, Any], RunPlace, str]], answer: httpx.Response
    ) -> None:
        if len(runs) > 1:
            for run in runs:
                await self._send(client, [run])
            return
        EXPORT_FAILURES.count(1, "refused")
        workflow_id, execute_id = map(quoted, _key(runs[0][0]))
        _log.warning("%s does not take the run %s/%s: %s", self._shown, workflow_id, execute_id, answer.status_code)

    def _note_partial(self, answer: httpx.Response) -> None:
        """Log what a receiver has left out of a batch that it took; OTLP says not to send that again."""
        with contextlib.suppress(Exception):  # an answer without a body, or in JSON, has taken everything
            found = ExportTraceServiceResponse.FromString(answer.content).partial_success
            if found.rejected_spans:
                EXPORT_FAILURES.count(1, "refused")
                _log.warning("%s has left out %s spans: %s", self._shown, found.rejected_spans, found.error_message)

    def _tell(self, error: Exception) -> float | None:
        """Keep why runs are not sent, and log it once; return the seconds that the receiver asks to wait."""
        match error:
            case _NotTaken():
                sentence = error.sentence
            case StoreError():
                sentence = Message(_STORE, receiver=self._shown, reason=message_of(error))
            case _:
                _log.error("Finished runs could not be sent as traces", exc_info=error)
                sentence = Message(_STORE, receiver=self._shown, reason=type(error).__name__)
        if sentence != self._problem:
            _log.warning("%s", sentence)
        self._problem = sentence
        return error.seconds if isinstance(error, _NotTaken) else None

    def _note_change(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wake the task; called from any thread after each change of the history."""
        if not self._changed.is_set():
            with contextlib.suppress(RuntimeError):  # the loop has been closed
                loop.call_soon_threadsafe(self._changed.set)

    async def _wait(self, event: asyncio.Event, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()


def _traces_address(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    return urlunsplit(parts._replace(path=_PATH)) if parts.path in {"", "/"} else endpoint


def _name(record: Mapping[str, Any], names: Mapping[str, WorkflowName]) -> str:
    known = names.get(record["workflow_id"])
    return (None if known is None else known.name) or str(record["workflow_id"])


def _key(record: Mapping[str, Any]) -> tuple[str, str]:
    return record["workflow_id"], record["execute_id"]


def _end(record: Mapping[str, Any]) -> int | None:
    ended = ENDED_AT.of(record)
    return record["update_time"] if ended is None else ended
