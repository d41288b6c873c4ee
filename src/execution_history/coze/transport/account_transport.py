"""Sends each request over its account's own connections, where accounts have different ones."""

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack

import httpx

from execution_history.coze.tracking.history_client import origin_of
from execution_history.coze.transport.call_recording import account_named_by
from execution_history.coze.transport.connections import ConnectionSettings
from execution_history.settings import DEFAULT_ACCOUNT, AccountSettings

Connect = Callable[[ConnectionSettings], httpx.AsyncBaseTransport]
"""Returns a transport, for the event loop that is running, which reaches upstreams as the settings describe."""


class AccountTransport(httpx.AsyncBaseTransport):
    """Sends each request over connections that no account with other connection settings uses.

    A request that does not name its account, or was redirected to the origin of another one, goes over the connections
    of the account that calls its origin.

    Args:
        accounts: the accounts by name.
        connect: makes a transport.
    """

    def __init__(self, accounts: Mapping[str, AccountSettings], connect: Connect) -> None:
        self._connect = connect
        self._settings = {name: ConnectionSettings.of(account) for name, account in accounts.items()}
        # Of several accounts at one origin the account ``default`` counts, then the first.
        names = sorted(accounts, key=lambda name: (name != DEFAULT_ACCOUNT, name), reverse=True)
        self._by_origin = {origin_of(accounts[name].base_url): name for name in names}
        self._origins = {
            name: {origin_of(account.base_url), origin_of(account.oauth_base_url or account.base_url)}
            for name, account in accounts.items()
        }
        self._transports: dict[ConnectionSettings, httpx.AsyncBaseTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request*; the answer's body has not been read yet.

        Raises:
            httpx.TransportError: the upstream could not be reached or broke off, or took too long.
        """
        return await self.transport_for(request).handle_async_request(request)

    def transport_for(self, request: httpx.Request) -> httpx.AsyncBaseTransport:
        """Return the transport of a request's account."""
        name, origin = account_named_by(request) or "", origin_of(request.url)
        if origin not in self._origins.get(name, ()):
            name = self._by_origin.get(origin, name)
        settings = self._settings.get(name) or ConnectionSettings()
        transport = self._transports.get(settings)
        if transport is None:
            transport = self._transports[settings] = self._connect(settings)
        return transport

    async def aclose(self) -> None:
        """Close every connection."""
        async with AsyncExitStack() as stack:
            for transport in self._transports.values():
                stack.push_async_callback(transport.aclose)


def transport_of(accounts: Mapping[str, AccountSettings], connect: Connect) -> httpx.AsyncBaseTransport:
    """Return one transport to the upstreams of all *accounts*, which keeps apart what has different settings."""
    settings = {ConnectionSettings(), *map(ConnectionSettings.of, accounts.values())}
    return connect(ConnectionSettings()) if len(settings) == 1 else AccountTransport(accounts, connect)
