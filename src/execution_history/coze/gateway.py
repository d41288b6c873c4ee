"""The gateway: a reverse proxy for the whole Coze API, whose way to the upstream is the recording transport.

Bytes and headers pass as they are, in both directions and as they come. Only what belongs to one connection is left
out (RFC 9110, section 7.6.1), and what HTTP does not allow in an upstream's header; double slashes in a path count as
one, and text in an address goes on percent-encoded, which the HTTP parsers before us and after us require. WebSocket
connections pass too, and are recorded where they run a workflow (:mod:`~execution_history.coze.websocket_recording`);
Coze serves them under names of their own, ``ws.coze.cn`` beside ``api.coze.cn``. The header
``x-execution-history-account`` chooses among the configured accounts' addresses; who calls proves that to the upstream
with the ``Authorization`` that came along. With ``x-execution-history: off`` a call passes unrecorded.

A stream gets one header more, ``X-Accel-Buffering: no``, so that a proxy in front does not hold it back. Redirects of
recorded calls are followed within the accounts' own hosts, and the chunk of a stream that holds a question waits for
its record (:mod:`~execution_history.coze.transport.async_transport`). A history that the upstream no longer has is
answered from the records (:mod:`~execution_history.coze.gateway_history`). An error of the gateway itself is an
envelope (:mod:`~execution_history.coze.gateway_refusals`).
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from functools import lru_cache
from typing import Any, Final

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from execution_history.access.principals import check_workflow
from execution_history.coze.accounts import Upstream
from execution_history.coze.forwarded_headers import passed_on, without_length
from execution_history.coze.gateway_exchange import Answer, CallerLeftError, Upload
from execution_history.coze.gateway_history import HistoryFallback
from execution_history.coze.gateway_refusals import BAD_REQUEST, NO_ANSWER, Refusal, gateway_path, unreachable
from execution_history.coze.protocol.messages import MODE_STREAM, UNKNOWN_WORKFLOW, RunKind, run_kind
from execution_history.coze.protocol.request_reader import parse_run_request
from execution_history.coze.protocol.run_history import history_request, is_studio_history
from execution_history.coze.transport.call_recording import CONTEXT, RunContext
from execution_history.errors import (
    BodyTooLarge,
    ExecutionHistoryError,
    Message,
    NotAllowed,
    UnknownAccount,
    message_of,
)
from execution_history.metrics import GATEWAY_BYTES, GATEWAY_REQUESTS, UPSTREAM_SECONDS
from execution_history.presentation.formatting import one_line
from execution_history.query.workflow_patterns import EVERY_WORKFLOW, WorkflowPatterns
from execution_history.recording.exemption import HEADER, asks_to_pass
from execution_history.recording.recorder import Recorder
from execution_history.records.redaction import without_credentials

_log = logging.getLogger("execution_history.coze")

ACCOUNT_HEADER: Final = b"x-execution-history-account"

_EXEMPTION_HEADER: Final = HEADER.encode()
_NOT_SENT_ON: Final = frozenset({b"host", b"expect", ACCOUNT_HEADER, _EXEMPTION_HEADER})
_COZE_DOMAINS: Final = (".coze.cn", ".coze.com")
_LARGEST_RECORDED_BODY: Final = 24 * 1024 * 1024  # Coze takes workflow bodies of 20 MB (coze-protocol 4.6)

_LONGEST_REASON: Final = 300


class Gateway:
    """An ASGI layer that answers the Coze API and leaves everything else to the application behind it.

    Args:
        app: answers every other path.
        upstream: the accounts, and the transport to them.
        recorder: keeps the records that histories are answered from.
        workflows: those that exist for the caller.
    """

    def __init__(
        self, app: ASGIApp, upstream: Upstream, recorder: Recorder, workflows: WorkflowPatterns = EVERY_WORKFLOW
    ) -> None:
        self._app = app
        self._upstream = upstream
        self._timeout = upstream.timeout.as_dict()
        self._histories = HistoryFallback(recorder, upstream)
        self._workflows = workflows

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a call to Coze on, or anything else to the application."""
        path = gateway_path(scope)
        if path is None:
            await self._app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await self._relay(scope, path, receive, send)
            return
        upload, answer = Upload(receive), Answer(send)
        forwarding = asyncio.current_task()
        assert forwarding is not None  # noqa: S101 - a coroutine runs in one
        is_active, has_left = True, False

        def leave(_: asyncio.Task[None]) -> None:
            nonlocal has_left
            if is_active:
                has_left = forwarding.cancel()

        leaving = asyncio.create_task(upload.caller_left())
        leaving.add_done_callback(leave)
        try:
            await self._forward(scope, path, upload, answer)
        except asyncio.CancelledError:
            if not has_left or forwarding.uncancel():
                raise
        finally:
            is_active = False
            leaving.cancel()
            GATEWAY_REQUESTS.count(1, answer.kind, answer.outcome)
            GATEWAY_BYTES.count(upload.size, "request")
            GATEWAY_BYTES.count(answer.size, "response")

    async def _forward(self, scope: Scope, path: bytes, upload: Upload, answer: Answer) -> None:
        try:
            target = self._target(_account_of(scope), scope, path)
            kind = run_kind(scope["method"], target.path)
            answer.kind = kind or "other"
            request = await self._request(scope, target, kind, upload)
            call = history_request(scope["method"], target.raw_path.partition(b"?")[0].decode("ascii"), "")
            if is_studio_history(target.path):
                self._check_named(target)
            if call is not None:
                check_workflow(self._workflows, call.workflow_id)
                found = await self._histories.answer(call, request)
                await answer.whole(found.status_code, found.headers, found.body)
                answer.outcome = "answered"
            else:
                with UPSTREAM_SECONDS.timed(answer.kind):
                    response = await self._upstream.send(request)
                await answer.relay(response, is_stream=_asks_for_stream(request))
        except CallerLeftError:
            return
        except Exception as error:  # noqa: BLE001 - a caller of Coze gets an answer that its SDK understands
            answer.outcome = _outcome_of(error)
            await answer.refuse(scope, self._refusal(scope, error))

    def _refusal(self, scope: Scope, error: Exception) -> Refusal:
        """Return the answer to a request that *error* kept from its own; the log has what went wrong beyond it."""
        if isinstance(error, NotAllowed):
            return Refusal(BAD_REQUEST, "not_allowed", error.message, httpx.codes.FORBIDDEN)
        if isinstance(error, BodyTooLarge):
            return Refusal(BAD_REQUEST, "body_too_large", error.message, httpx.codes.REQUEST_ENTITY_TOO_LARGE)
        if isinstance(error, UnknownAccount):
            return Refusal(BAD_REQUEST, "unknown_account", error.message, httpx.codes.BAD_REQUEST)
        if isinstance(error, httpx.InvalidURL):
            sentence = Message("The address cannot be passed on: %(reason)s.", reason=_reason(error).rstrip("."))
            return Refusal(BAD_REQUEST, "bad_request", sentence, httpx.codes.BAD_REQUEST)
        if isinstance(error, httpx.TransportError):
            reason = f"{type(error).__name__}: {_reason(error)}".removesuffix(": ")
            upstream = self._upstream.base_url(_account_of(scope))
            _log.warning("The upstream %s gave no answer: %s", upstream, reason)
            return unreachable(upstream, reason)
        if isinstance(error, ExecutionHistoryError):
            sentence = Message("The request was not sent: %(reason)s", reason=message_of(error))
            return Refusal(NO_ANSWER, "not_recorded", sentence, httpx.codes.SERVICE_UNAVAILABLE)
        _log.error("The gateway failed", exc_info=error)
        sentence = Message("The gateway failed; its log has the reason.")
        return Refusal(NO_ANSWER, "internal", sentence, httpx.codes.INTERNAL_SERVER_ERROR)

    async def _relay(self, scope: Scope, path: bytes, receive: Receive, send: Send) -> None:
        """Pass a WebSocket connection on."""
        from execution_history.coze.websocket_relay import WebSocketRelay, respond  # noqa: PLC0415 - aiohttp, for servers

        account = _account_of(scope)
        try:
            url = self._target(account, scope, path)
            connection = self._upstream.connection(account)
            self._check_named(url)  # without a workflow it may run any
        except (UnknownAccount, NotAllowed, httpx.InvalidURL) as error:
            await respond(scope, send, *self._refusal(scope, error).answer(scope))
            return
        handshake = httpx.Request("GET", url, headers=scope["headers"])
        recording = None if _asks_to_pass(scope) else self._upstream.chat_recording(account, handshake)
        relay = WebSocketRelay(receive, send, self._upstream.timeout, connection, account, recording)
        await relay.run(scope, url.copy_with(host=websocket_host(url.host)), _NOT_SENT_ON)

    def _check_named(self, url: httpx.URL) -> None:
        """Check that each workflow that an address names, or the one that it leaves open, exists for the caller.

        Raises:
            NotAllowed: one does not.
        """
        for workflow_id in url.params.get_list("workflow_id") or (UNKNOWN_WORKFLOW,):
            check_workflow(self._workflows, workflow_id)

    def _target(self, account: str, scope: Scope, path: bytes) -> httpx.URL:
        """Return the address at the upstream.

        Raises:
            UnknownAccount: there is no such account.
            InvalidURL: the path cannot be one.
        """
        query = scope["query_string"]
        return _address(self._upstream.base_url(account), path + b"?" + query if query else path)

    async def _request(self, scope: Scope, target: httpx.URL, kind: RunKind | None, upload: Upload) -> httpx.Request:
        """Build the request that goes on to *target*, where it is of that *kind*.

        Raises:
            NotAllowed: it would run a workflow that does not exist for the caller.
        """
        headers: list[tuple[bytes, bytes]] = list(scope["headers"])
        is_exempt = _asks_to_pass(scope)
        context = RunContext(_account_of(scope), redirect_hosts=self._upstream.origins, is_exempt=is_exempt)
        content: bytes | AsyncIterator[bytes] | None = None
        if kind is not None and not (is_exempt and self._workflows.are_all):
            content = await upload.whole(_LARGEST_RECORDED_BODY)
            if isinstance(content, bytes):
                found = dict(headers)
                content_type, encoding = (
                    found.get(name, b"").decode("latin-1") for name in (b"content-type", b"content-encoding")
                )
                run = parse_run_request(kind, content, content_type, encoding)
                check_workflow(self._workflows, run.workflow_id)
                context.run = None if is_exempt else run
            else:
                check_workflow(self._workflows, UNKNOWN_WORKFLOW)
                context.is_unrecorded = not is_exempt
        elif _has_body(headers):
            content = upload.rest()
        else:
            await upload.whole(0)
        kept = passed_on(headers, _NOT_SENT_ON | without_length(headers))
        extensions = {"timeout": self._timeout, CONTEXT: context}
        if isinstance(content, bytes):
            return _whole_request(scope["method"], target, kept, content, extensions)
        return httpx.Request(scope["method"], target, headers=kept, content=content, extensions=extensions)


def _outcome_of(error: Exception) -> str:
    """Return what the metrics call a request that *error* kept from its own answer."""
    if isinstance(error, httpx.TransportError):
        return "unreachable"
    return "refused" if isinstance(error, ExecutionHistoryError | httpx.InvalidURL) else "failed"


@lru_cache(maxsize=256)  # runs have the same few
def _address(base_url: str, raw_path: bytes) -> httpx.URL:
    base = httpx.URL(base_url)
    return base.copy_with(raw_path=base.raw_path.rstrip(b"/") + raw_path)


def _whole_request(
    method: str, target: httpx.URL, headers: list[tuple[bytes, bytes]], content: bytes, extensions: dict[str, Any]
) -> httpx.Request:
    """Return a request whose body is here; httpx itself searches five times for the headers that it adds to one."""
    headers = [(b"Host", target.netloc), *headers]
    if not _has_body(headers):
        headers.append((b"Content-Length", b"%d" % len(content)))
    request = httpx.Request(method, target, headers=headers, stream=httpx.ByteStream(content), extensions=extensions)
    request.read()
    return request


def _account_of(scope: Scope) -> str:
    return dict(scope["headers"]).get(ACCOUNT_HEADER, b"default").decode("utf-8", "replace")  # type: ignore[no-any-return]


def _asks_to_pass(scope: Scope) -> bool:
    return asks_to_pass(dict(scope["headers"]).get(_EXEMPTION_HEADER))


def websocket_host(host: str) -> str:
    """Return the host that serves the WebSockets of one that serves Coze's API; other hosts serve their own."""
    is_coze = host.endswith(_COZE_DOMAINS)
    return f"ws{host.removeprefix('api')}" if is_coze and host.startswith(("api.", "api-")) else host


def _asks_for_stream(request: httpx.Request) -> bool:
    run = request.extensions[CONTEXT].run
    return run is not None and run.run_mode == MODE_STREAM


def _reason(error: Exception) -> str:
    return one_line(without_credentials(str(error)), _LONGEST_REASON)


def _has_body(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(key.lower() in {b"content-length", b"transfer-encoding"} for key, _ in headers)
