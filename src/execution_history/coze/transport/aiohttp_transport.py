"""The gateway's way to its upstreams: aiohttp's client behind httpx's transport interface, for speed.

aiohttp parses HTTP in C and does not look at every idle connection for each request. What passes is what httpx's own
transport passes: headers and bodies as they are, addresses as they came; redirects, cookies and encodings are left to
the caller. aiohttp writes header values as UTF-8: a request with other bytes in one goes by httpx's transport.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from contextlib import asynccontextmanager, nullcontext, suppress
from functools import lru_cache
from typing import Final

import aiohttp
import httpx

from execution_history.coze.transport.aiohttp_session import (
    BrokenConnectionError,
    UnusableConnectionError,
    as_yarl,
    open_session,
)
from execution_history.coze.transport.broken_rules import rule_broken
from execution_history.coze.transport.connections import ConnectionSettings
from execution_history.coze.transport.httpx_transport import HttpxTransport
from execution_history.coze.transport.proxies import Proxy
from execution_history.coze.transport.unreachable import explained

_PIECE: Final = 64 * 1024

# By the first entry that fits: what aiohttp raises, and what httpx's transports raise for the same.
_ERRORS: Final[tuple[tuple[type[BaseException], type[httpx.TransportError]], ...]] = (
    (aiohttp.ConnectionTimeoutError, httpx.ConnectTimeout),
    (aiohttp.ServerTimeoutError, httpx.ReadTimeout),
    (aiohttp.ClientHttpProxyError, httpx.ProxyError),
    (aiohttp.ClientConnectorError, httpx.ConnectError),
    (aiohttp.ServerDisconnectedError, httpx.RemoteProtocolError),
    (aiohttp.ClientPayloadError, httpx.RemoteProtocolError),
    (aiohttp.ClientResponseError, httpx.RemoteProtocolError),
    (aiohttp.InvalidURL, httpx.UnsupportedProtocol),
    (aiohttp.ClientError, httpx.ReadError),
    (TimeoutError, httpx.WriteTimeout),
    (OSError, httpx.ReadError),
    (ValueError, httpx.LocalProtocolError),
)
_UNREACHED: Final = frozenset({httpx.ConnectError, httpx.ProxyError})


class AiohttpTransport(httpx.AsyncBaseTransport):
    """An httpx transport over aiohttp's client, for the event loop that is running; it limits no connections.

    A request is sent once, whatever happens.

    Args:
        connection: how upstreams are reached; as the environment sets it unless given.
    """

    def __init__(self, connection: ConnectionSettings | None = None) -> None:
        connection = connection or ConnectionSettings()
        self._proxies = connection.proxies()
        self._plain = HttpxTransport(connection)
        self._session = open_session(connection.tls())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request*; the answer's body has not been read yet.

        Raises:
            httpx.TransportError: the upstream could not be reached or broke off, or took too long.
        """
        try:
            headers = _as_text(request.headers.raw)
        except UnicodeDecodeError:
            return await self._plain.handle_async_request(request)
        proxy = self._proxies.for_url(request.url)
        if proxy is not None and request.url.scheme == "http":
            headers += proxy.headers.items()  # aiohttp sends these only to open a tunnel
        upload = _Upload(request, request.extensions.get("timeout", {}).get("write"))
        try:
            while True:
                with suppress(UnusableConnectionError):  # another connection, then
                    response = await self._send(request, headers, upload, proxy)
                    break
        except Exception as error:
            raise upload.fault or _as_httpx(error, request, proxy) from error
        if response.status == httpx.codes.SWITCHING_PROTOCOLS:
            response.close()
            raise httpx.RemoteProtocolError("The upstream changed to another protocol, for which nobody asked.")
        return httpx.Response(response.status, headers=list(response.raw_headers), stream=_Answer(response))

    async def _send(
        self, request: httpx.Request, headers: list[tuple[str, str]], upload: "_Upload", proxy: Proxy | None
    ) -> aiohttp.ClientResponse:
        timeout = request.extensions.get("timeout", {})
        body = upload.body()
        async with nullcontext() if isinstance(body, bytes | None) else upload.limited():
            return await self._session.request(
                request.method,
                as_yarl(request.url),
                headers=headers,
                data=body,
                allow_redirects=False,
                proxy=None if proxy is None else proxy.url,
                proxy_headers=None if proxy is None else proxy.headers,
                server_hostname=request.extensions.get("sni_hostname"),
                timeout=_timeout(timeout.get("connect"), timeout.get("read")),
            )

    async def aclose(self) -> None:
        """Close every connection."""
        await self._plain.aclose()
        await self._session.close()


class _Upload:
    """The body of a request on its way.

    Args:
        request: has the body.
        limit: the seconds that the upstream may take for a piece of it; ``None`` for any time.
    """

    def __init__(self, request: httpx.Request, limit: float | None) -> None:
        self._request = request
        self._limit = limit
        self._timer: asyncio.Timeout | None = None
        self.fault: Exception | None = None

    @asynccontextmanager
    async def limited(self) -> AsyncIterator[None]:
        """Limit the time that pieces take while the block runs.

        Raises:
            TimeoutError: one took longer.
        """
        async with asyncio.timeout(None) as timer:
            self._timer = timer
            try:
                yield
            finally:
                self._timer = None

    def body(self) -> bytes | AsyncIterable[bytes] | None:
        """Return the body as aiohttp takes it; a small one whole, so that it leaves together with the headers.

        Raises:
            httpx.LocalProtocolError: it is shorter or longer than its ``Content-Length``.
        """
        if isinstance(self._request.stream, httpx.ByteStream):
            content = self._request.content
            if len(content) <= _PIECE:
                self._check_length(len(content))
                return content or None
        return self._pieces()

    def _check_length(self, length: int) -> None:
        declared = self._request.headers.get("content-length")
        if declared is not None and declared != str(length):
            raise httpx.LocalProtocolError(f"The body has {length} bytes and not {declared}, its Content-Length.")

    async def _pieces(self) -> AsyncIterator[bytes]:
        assert isinstance(self._request.stream, httpx.AsyncByteStream)  # noqa: S101 - an async transport gets no other
        length = 0
        try:
            async for chunk in self._request.stream:
                length += len(chunk)
                for start in range(0, len(chunk), _PIECE):
                    self._limit_time(self._limit)
                    yield chunk[start : start + _PIECE]
                    self._limit_time(None)
            self._check_length(length)
        except Exception as error:
            self.fault = error  # aiohttp raises one of its own in the place of what the body raises
            raise

    def _limit_time(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.reschedule(None if seconds is None else asyncio.get_running_loop().time() + seconds)


class _Answer(httpx.AsyncByteStream):
    """The body of an answer, in the pieces in which it comes."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._protocol = None if response.connection is None else response.connection.protocol

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except Exception as error:
            raise _as_httpx(error) from error
        # A body that ends with its connection is whole only where that was closed, not where it broke.
        broken = None if self._protocol is None else self._protocol.exception()
        if isinstance(broken, aiohttp.ClientOSError):
            raise _as_httpx(broken) from broken

    async def aclose(self) -> None:
        """Give the connection back after the whole body, or close it."""
        self._response.close()


@lru_cache(maxsize=16)  # those of the settings, and of requests for histories
def _timeout(connect: float | None, read: float | None) -> aiohttp.ClientTimeout:
    # The first includes the way through a proxy, the second does not.
    return aiohttp.ClientTimeout(total=None, connect=connect, sock_connect=connect, sock_read=read)


def _as_text(raw: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """Return headers for aiohttp, which writes ``Transfer-Encoding`` itself where it is needed.

    Those of one name get one spelling of it: of two spellings, aiohttp sends the last header only.

    Raises:
        UnicodeDecodeError: a value is not UTF-8.
    """
    spellings: dict[bytes, str] = {}
    return [
        (spellings.setdefault(lower, name.decode()), value.decode())
        for name, value in raw
        if (lower := name.lower()) != b"transfer-encoding"
    ]


def _as_httpx(error: Exception, request: httpx.Request | None = None, proxy: Proxy | None = None) -> Exception:
    """Return what httpx's own transports raise where aiohttp raises *error*, for *request* through *proxy*."""
    if isinstance(error, httpx.TransportError):
        return error
    if isinstance(error, BrokenConnectionError) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    for kind, counterpart in _ERRORS:
        if isinstance(error, kind):
            if counterpart is httpx.RemoteProtocolError:
                return counterpart(rule_broken(error))
            if request is None or counterpart not in _UNREACHED:
                return counterpart(str(error) or type(error).__name__)
            return explained(counterpart, error, request, proxy)
    return error
