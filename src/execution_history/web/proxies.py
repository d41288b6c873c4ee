"""What proxies in front say of their callers, believed where the settings name the proxy and nowhere else."""

from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send

_SCHEMES: Final = {"http": "ws", "https": "wss"}


class TrustedProxies:
    """Middleware that takes the caller, the scheme and the host of a request from the headers of a trusted proxy.

    Args:
        app: gets the request as the caller sent it to the proxy.
        proxies: addresses and networks (CIDR).
    """

    def __init__(self, app: ASGIApp, proxies: Iterable[str]) -> None:
        self._app = app
        self._networks = [ip_network(each) for each in proxies]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if self._networks and scope["type"] in {"http", "websocket"} and self._is_trusted(_client_of(scope)):
            self._believe(scope)
        await self._app(scope, receive, send)

    def _believe(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        # Proxies append: of several the first that is no proxy of ours, counted from the last, is the caller.
        chain = [each.strip() for each in ",".join(headers.getlist("x-forwarded-for")).split(",") if each.strip()]
        if chain:
            caller = next((each for each in reversed(chain) if not self._is_trusted(each)), chain[0])
            scope["client"] = (caller.strip("[]"), 0)
        scheme = _last(headers, "x-forwarded-proto").lower()
        if scheme in _SCHEMES:
            scope["scheme"] = _SCHEMES[scheme] if scope["type"] == "websocket" else scheme
        if host := _last(headers, "x-forwarded-host"):
            scope["headers"] = list(scope["headers"])
            MutableHeaders(scope=scope)["host"] = host

    def _is_trusted(self, address: str) -> bool:
        try:
            found = ip_address(address.strip("[]"))
        except ValueError:
            return False
        return any(found in network for network in self._networks)


def _client_of(scope: Scope) -> str:
    return str(scope["client"][0]) if scope.get("client") else ""


def _last(headers: Headers, name: str) -> str:
    """Return the value that the proxy nearest to us has written."""
    return ",".join(headers.getlist(name)).rpartition(",")[2].strip()
