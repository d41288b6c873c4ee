"""Requests for the history of a run: passed on, translated, or answered from the records here.

Coze Studio's answers are translated to the official shape; the records stand in where the upstream no longer has a
history (coze-protocol 1.6, 1.8, 3.2 and 6). Nobody gets a record without a token, nor with one that the upstream
refuses. One that nobody could check is enough for a program, which can read the records here without any; a page of
another origin, which cannot, has to bring one that the upstream took. A record from which something was taken out
that Coze would answer is no answer of Coze's.
"""

import logging
from dataclasses import dataclass
from typing import Final

import httpx

from execution_history.coze.accounts import Upstream
from execution_history.coze.protocol.content_encoding import ContentDecoder
from execution_history.coze.protocol.run_history import (
    LARGEST_HISTORY,
    HistoryRefusal,
    HistoryRequest,
    RefusalKind,
    RunHistory,
    read_history,
    read_node,
)
from execution_history.coze.protocol.run_history_response import envelope, render_history, render_node, translate_studio
from execution_history.coze.tracking.history_client import read_body
from execution_history.errors import StoreError
from execution_history.recording.recorder import Recorder
from execution_history.records.withheld import is_answer_withheld

_log = logging.getLogger("execution_history.coze")

SOURCE_HEADER: Final = b"x-execution-history-source"
"""Marks an answer that is not the upstream's own: ``history`` for a record, ``coze-studio`` for a translation."""

_GONE: Final = frozenset({"unknown", "unavailable"})
_TAKEN: Final = frozenset({None, "unknown"})
"""Kinds of answers that only a token gets which the upstream took; ``None`` is that of a history."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status_code: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @property
    def plain(self) -> bytes:
        """Return the body without its encoding, as far as it is not larger than any history."""
        return ContentDecoder(self._header(b"content-encoding"), LARGEST_HISTORY).decode(self.body)

    @property
    def content_type(self) -> str:
        """Return the content type."""
        return self._header(b"content-type")

    def _header(self, wanted: bytes) -> str:
        return ", ".join(value.decode("latin-1") for name, value in self.headers if name.lower() == wanted)


class HistoryFallback:
    """Answers requests for histories, from the records where the upstream has none.

    Args:
        recorder: keeps the records.
        upstream: sends the requests on.
    """

    def __init__(self, recorder: Recorder, upstream: Upstream) -> None:
        self._recorder = recorder
        self._upstream = upstream

    async def answer(self, call: HistoryRequest, request: httpx.Request) -> Answer:
        """Return the upstream's answer, byte for byte, or the one that stands in for it.

        Args:
            call: the history that is requested.
            request: the request as it goes on.

        Raises:
            httpx.TransportError: the upstream gives no answer, and there is no record of the run.
        """
        try:
            answer = await self._send(request)
        except httpx.TransportError:
            recorded = await self._recorded(call, request, "unavailable")
            if recorded is None:
                raise
            return recorded
        found = read_history(answer.status_code, answer.plain, answer.content_type, call.execute_id)
        kind = found.kind if isinstance(found, HistoryRefusal) else None
        if call.node_execute_uuid is not None:
            is_final = (
                kind == "unauthorised" or read_node(answer.status_code, answer.plain, answer.content_type) is not None
            )
            return answer if is_final else await self._recorded(call, request, kind) or answer
        if kind == "studio":
            return await self._studio(call, request) or await self._recorded(call, request, kind) or answer
        if kind in _GONE or (isinstance(found, RunHistory) and _has_expired(found)):
            return await self._recorded(call, request, kind) or answer
        return answer

    async def _send(self, request: httpx.Request) -> Answer:
        response = await self._upstream.send(request)
        return Answer(response.status_code, response.headers.raw, await read_body(response))

    async def _studio(self, call: HistoryRequest, request: httpx.Request) -> Answer | None:
        """Return Coze Studio's answer to the same request, in the official shape; ``None`` where it has none.

        Where it refuses the token, its answer is as it came.
        """
        translated = httpx.Request(
            "GET",
            request.url.copy_with(raw_path=_prefix(request.url) + call.studio_path.encode()),
            headers=request.headers,
            extensions=request.extensions,
        )
        try:
            answer = await self._send(translated)
        except httpx.TransportError:
            return None
        found = read_history(answer.status_code, answer.plain, answer.content_type)
        if isinstance(found, HistoryRefusal) and found.kind == "unauthorised":
            return answer
        is_there = answer.status_code == httpx.codes.OK
        body = translate_studio(answer.plain, answer.content_type) if is_there else None
        return None if body is None else _substitute(body, b"coze-studio")

    async def _recorded(self, call: HistoryRequest, request: httpx.Request, kind: RefusalKind | None) -> Answer | None:
        """Return the answer from the record of the run; ``None`` where there is no better one than the upstream's.

        Args:
            call: the history that is requested.
            request: the request as it went on.
            kind: of the upstream's refusal; ``None`` where it has the history, without its output.
        """
        if not _may_read(request, kind):
            return None
        try:
            record = await self._recorder.records.find(call.workflow_id, call.execute_id)
        except StoreError as error:
            _log.warning("A history could not be answered from the store: %s", error)
            return None
        if record is None or is_answer_withheld(record):
            return None
        if call.node_execute_uuid is None:
            if kind is None and record["output"] in (None, ""):
                return None
            entry = render_history(record)
            return _substitute(envelope([entry], str(entry["logid"])), b"history")
        node = render_node(record, call.node_execute_uuid)
        return None if node is None else _substitute(envelope(node), b"history")


def _may_read(request: httpx.Request, kind: RefusalKind | None) -> bool:
    """Return whether a record may answer *request*, to which the upstream's answer is of this *kind*."""
    has_token = len(request.headers.get("authorization", "").split()) > 1
    return has_token and ("origin" not in request.headers or kind in _TAKEN)


def _has_expired(history: RunHistory) -> bool:
    """Return whether the run succeeded by the upstream's history, which has lost its output."""
    return history.outcome.status == "success" and history.outcome.output in (None, "", {})


def _prefix(url: httpx.URL) -> bytes:
    """Return the part of the upstream's base address that precedes the API's paths."""
    return url.raw_path.partition(b"/v1/")[0]


def _substitute(body: bytes, source: bytes) -> Answer:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), (SOURCE_HEADER, source)]
    return Answer(httpx.codes.OK, headers, body)
