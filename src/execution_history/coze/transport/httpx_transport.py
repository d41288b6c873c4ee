"""httpx's own transport through the proxy that the environment names, as an httpx client uses it."""

import contextlib
from typing import Final

import httpx

from execution_history.coze.transport.proxies import Proxies, Proxy

LIMITS: Final = httpx.Limits(max_connections=None, max_keepalive_connections=20)
"""Of every transport of httpx's own here: any number of connections, of which a few are kept."""


class HttpxTransport(httpx.AsyncBaseTransport):
    """Sends each request with a transport of httpx's, one for each proxy; there is no limit of connections.

    Args:
        proxies: chooses the proxy of a request; those of the environment unless given.
    """

    def __init__(self, proxies: Proxies | None = None) -> None:
        self._proxies = proxies or Proxies.of_environment()
        self._transports: dict[Proxy | None, httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request*; the answer's body has not been read yet.

        Raises:
            httpx.TransportError: the upstream could not be reached or broke off, or took too long.
        """
        proxy = self._proxies.for_url(request.url)
        transport = self._transports.get(proxy)
        if transport is None:
            through = None if proxy is None else httpx.Proxy(proxy.url, headers=proxy.headers)
            transport = self._transports[proxy] = httpx.AsyncHTTPTransport(limits=LIMITS, proxy=through)
        return await transport.handle_async_request(request)

    async def aclose(self) -> None:
        """Close every connection."""
        async with contextlib.AsyncExitStack() as stack:
            for transport in self._transports.values():
                stack.push_async_callback(transport.aclose)
