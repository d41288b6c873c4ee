"""A WebSocket connection through the gateway: messages pass as they are, in both directions (coze-protocol 9)."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import aiohttp
import httpx
from starlette.types import Receive, Scope, Send

from execution_history.coze.forwarded_headers import passed_on, sendable
from execution_history.coze.gateway_refusals import unreachable
from execution_history.coze.transport.aiohttp_session import as_yarl, open_session
from execution_history.coze.transport.connections import ConnectionSettings
from execution_history.coze.transport.proxies import Proxy
from execution_history.coze.transport.unreachable import reason_of
from execution_history.coze.websocket_recording import ChatRecording

_log = logging.getLogger("execution_history.coze")

_LARGEST_MESSAGE: Final = 64 * 1024 * 1024
"""Bytes of a message from the upstream; a larger one ends the connection."""

_TOO_LARGE: Final = "A message of the upstream is larger than the 64 MiB that the gateway takes"

_OF_THE_HANDSHAKE: Final = frozenset(
    {
        b"host",
        b"content-length",
        b"sec-websocket-accept",
        b"sec-websocket-extensions",
        b"sec-websocket-key",
        b"sec-websocket-protocol",
        b"sec-websocket-version",
    }
)
_NORMAL, _BAD_GATEWAY = 1000, 1014
_CODES: Final = frozenset({*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)})
_LARGEST_REFUSAL: Final = 1024 * 1024
_SECONDS_TO_FINISH: Final = 5


class _RedirectedError(aiohttp.ClientError):
    """The upstream answered the handshake with a redirect."""


class WebSocketRelay:
    """One connection between a caller and the upstream.

    Args:
        receive: the caller's messages.
        send: takes the answers to the caller.
        timeout: of the account's upstream; only connecting is limited, and how long the handshake takes.
        connection: how the account's upstream is reached.
        account: the account's name, for what went wrong.
        recording: reads what passes; ``None`` where the connection runs no workflow.
    """

    def __init__(
        self,
        receive: Receive,
        send: Send,
        timeout: httpx.Timeout,
        connection: ConnectionSettings,
        account: str,
        recording: ChatRecording | None = None,
    ) -> None:
        self._receive = receive
        self._send = send
        self._timeout = timeout
        self._connection = connection
        self._account = account
        self._recording = recording
        self._proxy: Proxy | None = None
        self._answer: aiohttp.ClientResponse | None = None
        self._body = b""

    async def run(self, scope: Scope, url: httpx.URL, others: frozenset[bytes]) -> None:
        """Connect to *url* and pass messages on until one side ends the connection.

        An upstream that refuses the connection is handed on with its status, headers and body where the server can do
        that; one that cannot be reached is refused with 502.

        Args:
            scope: the caller's handshake.
            url: the upstream's address, with ``http`` or ``https``.
            others: headers that do not go on, besides those of the handshake.
        """
        await self._receive()  # the message websocket.connect
        tracing = aiohttp.TraceConfig()
        tracing.on_request_end.append(self._keep_answer)
        tracing.on_request_redirect.append(self._refuse_redirect)
        connect = self._timeout.connect
        timeout = aiohttp.ClientTimeout(total=None, connect=connect, sock_connect=connect)
        self._proxy = self._connection.proxies().for_url(url)
        async with open_session(self._connection.tls(), trace_configs=[tracing], timeout=timeout) as session:
            connecting = asyncio.create_task(self._connect(session, scope, url, others))
            try:
                if not await self._waits_for(connecting):
                    return
                socket = connecting.result()
            except (aiohttp.ClientError, OSError, ValueError) as error:
                await self._fail(scope, url, error)
                return
            try:
                async with socket:
                    await self._accept(socket)
                    await self._relay(socket)
            finally:
                if self._recording is not None:
                    await self._recording.aclose()

    async def _waits_for(self, connecting: "asyncio.Task[aiohttp.ClientWebSocketResponse]") -> bool:
        """Return whether the caller has waited for the upstream's handshake.

        Raises:
            TimeoutError: that took too long.
        """
        self._next = asyncio.ensure_future(self._receive())  # there is nothing to receive but that the caller leaves
        try:
            done, _ = await asyncio.wait(
                {connecting, self._next}, timeout=self._timeout.read, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                raise TimeoutError
            return connecting in done
        finally:
            if not connecting.done():
                connecting.cancel()
                await asyncio.wait({connecting})

    async def _connect(
        self, session: aiohttp.ClientSession, scope: Scope, url: httpx.URL, others: frozenset[bytes]
    ) -> aiohttp.ClientWebSocketResponse:
        passed = passed_on(scope["headers"], _OF_THE_HANDSHAKE | others)
        headers = [(name.decode("latin-1"), value.decode("utf-8", "replace")) for name, value in passed]
        proxy = self._proxy
        if proxy is not None and url.scheme == "http":
            headers += proxy.headers.items()
        protocols: Sequence[str] = scope.get("subprotocols", ())
        return await session.ws_connect(
            as_yarl(url),
            protocols=protocols,
            headers=headers,
            max_msg_size=_LARGEST_MESSAGE,
            autoclose=False,
            proxy=None if proxy is None else proxy.url,
            proxy_headers=None if proxy is None else proxy.headers,
        )

    async def _keep_answer(self, _session: object, _context: object, ended: aiohttp.TraceRequestEndParams) -> None:
        self._answer = ended.response
        if ended.response.status != httpx.codes.SWITCHING_PROTOCOLS:
            self._body = await _beginning_of(ended.response)

    async def _refuse_redirect(
        self, _session: object, _context: object, redirected: aiohttp.TraceRequestRedirectParams
    ) -> None:
        """Hand the redirect on instead of following it with the caller's token."""
        self._answer, self._body = redirected.response, await _beginning_of(redirected.response)
        raise _RedirectedError

    async def _accept(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        raw = () if self._answer is None else self._answer.raw_headers
        headers = sendable(passed_on(((name.lower(), value) for name, value in raw), _OF_THE_HANDSHAKE))
        if self._recording is not None:
            self._recording.opened(headers)
        await self._send({"type": "websocket.accept", "subprotocol": socket.protocol, "headers": headers})

    async def _relay(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        up, down = asyncio.create_task(self._to_upstream(socket)), asyncio.create_task(self._to_caller(socket))
        try:
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
            if down.done() and down.exception() is not None:
                # The caller has left; what it sent before that still goes on, and so does its code.
                await asyncio.wait({up}, timeout=_SECONDS_TO_FINISH)
        finally:
            up.cancel()
            down.cancel()
            results = await asyncio.gather(up, down, return_exceptions=True)
        if isinstance(error := results[0], Exception):
            _log.warning("A WebSocket connection broke off: %s", type(error).__name__)

    async def _to_upstream(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        message = await self._next
        while message["type"] == "websocket.receive":
            if message.get("text") is not None:
                if self._recording is not None:
                    self._recording.sent(message["text"])
                await socket.send_str(message["text"])
            else:
                await socket.send_bytes(message["bytes"])
            message = await self._receive()
        await socket.close(code=_sendable(message.get("code")), message=(message.get("reason") or "").encode())

    async def _to_caller(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            message = await socket.receive()
            if message.type is aiohttp.WSMsgType.TEXT:
                if self._recording is not None:
                    self._recording.received(message.data)
                await self._send({"type": "websocket.send", "text": message.data})
            elif message.type is aiohttp.WSMsgType.BINARY:
                await self._send({"type": "websocket.send", "bytes": message.data})
            else:
                break
        code, reason = _BAD_GATEWAY, "The upstream broke off."
        if getattr(message.data, "code", None) == aiohttp.WSCloseCode.MESSAGE_TOO_BIG:
            code, reason = aiohttp.WSCloseCode.MESSAGE_TOO_BIG, f"{_TOO_LARGE}."
            _log.warning("A WebSocket connection was ended: %s", reason)
            if self._recording is not None:
                self._recording.refuse(f"{_TOO_LARGE}; the chat may still be running there.")
        if message.type is aiohttp.WSMsgType.CLOSE:
            code, reason = _sendable(message.data), message.extra or ""
        with suppress(RuntimeError):  # the caller has closed at the same moment
            await self._send({"type": "websocket.close", "code": code, "reason": reason})

    async def _fail(self, scope: Scope, url: httpx.URL, error: Exception) -> None:
        """Hand the upstream's refusal on, or refuse where it could not be reached."""
        answer = self._answer
        is_refusal = isinstance(error, (aiohttp.WSServerHandshakeError, _RedirectedError))
        if answer is None or not is_refusal or answer.status == httpx.codes.SWITCHING_PROTOCOLS:
            reason = reason_of(error, url.host, self._proxy, self._account)
            _log.warning("A WebSocket connection to the upstream failed: %s", reason)
            refusal = unreachable(f"{url.scheme}://{url.netloc.decode('ascii')}", reason)
            await respond(scope, self._send, *refusal.answer(scope))
            return
        headers = sendable(passed_on(((name.lower(), value) for name, value in answer.raw_headers), _OF_THE_HANDSHAKE))
        await respond(scope, self._send, answer.status, headers, self._body)


async def respond(scope: Scope, send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    """Answer the handshake with an HTTP status instead of a connection; where the server cannot do that, close it."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": _BAD_GATEWAY})
        return
    start: dict[str, Any] = {"type": "websocket.http.response.start", "status": status, "headers": headers}
    await send(start)
    await send({"type": "websocket.http.response.body", "body": body})


async def _beginning_of(response: aiohttp.ClientResponse) -> bytes:
    """Return the body of a refusal, as far as it has the size of one."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _LARGEST_REFUSAL:
            break
    return bytes(body[:_LARGEST_REFUSAL])


def _sendable(code: int | None) -> int:
    """Return *code* where a close frame can have it (RFC 6455, section 7.4); else that of a normal end."""
    return code if code is not None and code in _CODES else _NORMAL
