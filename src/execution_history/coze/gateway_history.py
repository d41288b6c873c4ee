"""Questions for the history of a run: passed on, translated, or answered from our own history.

Coze Studio's answers are translated into the official shape; ours stand in where the upstream no longer tells
(coze-protocol 1.6, 1.8, 3.2 and 6).
"""

import logging
from dataclasses import dataclass
from typing import Final

import httpx

from execution_history.coze.accounts import Upstream
from execution_history.coze.protocol.content_encoding import ContentDecoder
from execution_history.coze.protocol.run_history import HistoryCall, HistoryRefusal, RunHistory, read_history, read_node
from execution_history.coze.protocol.run_history_response import envelope, tell, tell_node, translate_studio
from execution_history.coze.tracking.history_client import read_body
from execution_history.coze.tracking.upstream_records import record_of
from execution_history.errors import StoreError
from execution_history.recording.recorder import Recorder

_log = logging.getLogger("execution_history.coze")

SOURCE_HEADER: Final = b"x-execution-history-source"
"""Says that an answer is not the upstream's own: ``history`` for ours, ``coze-studio`` for a translated one."""

_GONE: Final = frozenset({"unknown", "unavailable"})


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status_code: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @property
    def plain(self) -> bytes:
        """The body without its encoding."""
        encoding = next((value for name, value in self.headers if name.lower() == b"content-encoding"), b"")
        return ContentDecoder(encoding.decode("latin-1")).decode(self.body)


class Answering:
    """Answers questions for histories.

    Args:
        recorder: whose store our own histories are in.
        upstream: the way to the upstreams.
    """

    def __init__(self, recorder: Recorder, upstream: Upstream) -> None:
        self._recorder = recorder
        self._upstream = upstream

    async def answer(self, call: HistoryCall, request: httpx.Request) -> Answer:
        """The upstream's answer, byte for byte, or the one that stands in for it.

        Raises:
            httpx.TransportError: the upstream gives no answer and we have no record of the run.
        """
        try:
            theirs = await self._send(request)
        except httpx.TransportError:
            ours = await self._ours(call)
            if ours is None:
                raise
            return ours
        if call.node_execute_uuid is not None:
            is_told = read_node(theirs.status_code, theirs.plain) is not None
            return theirs if is_told else await self._ours(call) or theirs
        found = read_history(theirs.status_code, theirs.plain)
        if isinstance(found, HistoryRefusal) and found.kind == "studio":
            return await self._studio(call, request) or await self._ours(call) or theirs
        if isinstance(found, HistoryRefusal):
            return (await self._ours(call) if found.kind in _GONE else None) or theirs
        return (await self._ours(call, only_better_than=found) if _has_expired(found) else None) or theirs

    async def _send(self, request: httpx.Request) -> Answer:
        response = await self._upstream.send(request)
        return Answer(response.status_code, response.headers.raw, await read_body(response))

    async def _studio(self, call: HistoryCall, request: httpx.Request) -> Answer | None:
        """Coze Studio's answer to the same question, in the official shape."""
        asked = httpx.Request(
            "GET",
            request.url.copy_with(raw_path=_prefix(request.url) + call.studio_path.encode()),
            headers=request.headers,
            extensions=request.extensions,
        )
        try:
            theirs = await self._send(asked)
        except httpx.TransportError:
            return None
        body = translate_studio(theirs.plain) if theirs.status_code == httpx.codes.OK else None
        return None if body is None else _ours(body, b"coze-studio")

    async def _ours(self, call: HistoryCall, *, only_better_than: RunHistory | None = None) -> Answer | None:
        """The answer from our own history, if there is one."""
        try:
            record = await record_of(self._recorder.store, call.workflow_id, call.execute_id)
        except StoreError as error:
            _log.warning("A history could not be answered from the store: %s", error)
            return None
        if record is None or (only_better_than is not None and record["output"] in (None, "")):
            return None
        if call.node_execute_uuid is None:
            entry = tell(record)
            return _ours(envelope([entry], str(entry["logid"])), b"history")
        node = tell_node(record, call.node_execute_uuid)
        return None if node is None else _ours(envelope(node), b"history")


def _has_expired(history: RunHistory) -> bool:
    """Whether the upstream knows that the run succeeded, and no longer with which output."""
    return history.outcome.status == "success" and history.outcome.output in (None, "", {})


def _prefix(url: httpx.URL) -> bytes:
    """What stands before the API's paths in the upstream's base address."""
    return url.raw_path.partition(b"/v1/")[0]


def _ours(body: bytes, source: bytes) -> Answer:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (SOURCE_HEADER, source),
    ]
    return Answer(httpx.codes.OK, headers, body)
