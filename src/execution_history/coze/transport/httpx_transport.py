"""httpx's own transports, asynchronous and synchronous, over an account's connections.

An httpx client that is given a transport leaves proxies and certificates to it, those of the environment too.
"""

import contextlib
from collections.abc import Iterator
from typing import Any, Final

import httpx

from execution_history.coze.transport.broken_rules import rule_broken
from execution_history.coze.transport.connections import ConnectionSettings
from execution_history.coze.transport.proxies import Proxies, Proxy
from execution_history.coze.transport.unreachable import explained

LIMITS: Final = httpx.Limits(max_connections=None, max_keepalive_connections=20)
"""Of every transport of httpx's own here: any number of connections, of which a few are kept."""

_FAILURES: Final = (httpx.ConnectError, httpx.ProxyError)


class HttpxTransport(httpx.AsyncBaseTransport):
    """Sends each request with a transport of httpx's, one for each proxy; there is no limit of connections.

    Args:
        connection: how upstreams are reached; as the environment sets it unless given.
        account: the account that an error names; that of the request unless given.
    """

    def __init__(self, connection: ConnectionSettings | None = None, account: str | None = None) -> None:
        self._connection = connection or ConnectionSettings()
        self._account = account
        self._proxies: Proxies = self._connection.proxies()
        self._transports: dict[Proxy | None, httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request*; the answer's body has not been read yet.

        Raises:
            httpx.TransportError: the upstream could not be reached or broke off, or took too long.
            SettingsError: a file of certificates cannot be read.
        """
        proxy = self._proxies.for_url(request.url)
        transport = self._transports.get(proxy)
        if transport is None:
            transport = self._transports[proxy] = httpx.AsyncHTTPTransport(**_options(self._connection, proxy))
        with _explaining(request, proxy, self._account):
            return await transport.handle_async_request(request)

    async def aclose(self) -> None:
        """Close every connection."""
        async with contextlib.AsyncExitStack() as stack:
            for transport in self._transports.values():
                stack.push_async_callback(transport.aclose)


class SyncHttpxTransport(httpx.BaseTransport):
    """The same for synchronous clients; see :class:`HttpxTransport`."""

    def __init__(self, connection: ConnectionSettings | None = None, account: str | None = None) -> None:
        self._connection = connection or ConnectionSettings()
        self._account = account
        self._proxies: Proxies = self._connection.proxies()
        self._transports: dict[Proxy | None, httpx.HTTPTransport] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request*; the answer's body has not been read yet.

        Raises:
            httpx.TransportError: the upstream could not be reached or broke off, or took too long.
            SettingsError: a file of certificates cannot be read.
        """
        proxy = self._proxies.for_url(request.url)
        transport = self._transports.get(proxy)
        if transport is None:
            made = httpx.HTTPTransport(**_options(self._connection, proxy))
            transport = self._transports.setdefault(proxy, made)  # another thread may have made one meanwhile
        with _explaining(request, proxy, self._account):
            return transport.handle_request(request)

    def close(self) -> None:
        """Close every connection."""
        with contextlib.ExitStack() as stack:
            for transport in self._transports.values():
                stack.callback(transport.close)


@contextlib.contextmanager
def _explaining(request: httpx.Request, proxy: Proxy | None, account: str | None) -> Iterator[None]:
    """Give what httpx raises in the block the reason as its text, without any byte of the answer."""
    try:
        yield
    except _FAILURES as error:
        raise explained(type(error), error, request, proxy, account) from error
    except httpx.RemoteProtocolError as error:
        raise httpx.RemoteProtocolError(rule_broken(error), request=request) from error


def _options(connection: ConnectionSettings, proxy: Proxy | None) -> dict[str, Any]:
    tls, through = connection.tls(), None
    if proxy is not None:
        its_tls = tls if proxy.url.startswith("https:") else None
        through = httpx.Proxy(proxy.url, headers=proxy.headers, ssl_context=its_tls)
    return {"verify": tls, "limits": LIMITS, "proxy": through}
