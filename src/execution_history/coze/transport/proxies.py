"""The proxy of an account, or else those that the environment names.

These are ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``, in large or small letters. They are not used
for addresses of this machine itself: a sandbox or a Studio beside the gateway is no matter of theirs. SOCKS proxies are
not supported; the log has a line about one that is named.
"""

import base64
import ipaddress
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote
from urllib.request import getproxies, proxy_bypass

import httpx

_log = logging.getLogger("execution_history.coze")

_SCHEMES: Final = ("http", "https", "all")
_SUPPORTED: Final = ("http", "https")
_LARGEST_PORT: Final = 65_535


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy: its address without credentials, and the value of ``Proxy-Authorization`` that carries them."""

    url: str
    authorization: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers for the proxy itself."""
        return {} if self.authorization is None else {"Proxy-Authorization": self.authorization}

    @classmethod
    def of(cls, address: str) -> "Proxy":
        """Return the proxy at *address*, which may have a name and a password and may lack its scheme.

        Raises:
            httpx.InvalidURL: it is no address.
        """
        url = httpx.URL(address if "://" in address else f"http://{address}")
        if not url.host or (url.port or 0) > _LARGEST_PORT:
            raise httpx.InvalidURL("A proxy has a host, and a port up to 65535.")
        place = f"{url.scheme}://{url.netloc.decode('ascii')}"
        if not url.userinfo:
            return cls(place)
        credentials = base64.b64encode(unquote(url.userinfo.decode("ascii")).encode()).decode()
        return cls(place, f"Basic {credentials}")


class Proxies:
    """Chooses the proxy for an address.

    Args:
        by_scheme: the proxies by the scheme of the addresses that they are for; ``all`` for any.
        is_own: whether an account names them, so that they count for every address.
    """

    def __init__(self, by_scheme: Mapping[str, Proxy], *, is_own: bool = False) -> None:
        self._by_scheme = by_scheme
        self._is_own = is_own
        self._chosen: dict[tuple[str, str], Proxy | None] = {}

    @classmethod
    def of_environment(cls) -> "Proxies":
        """Return the proxies that the environment, or on some systems their settings, name."""
        found = {}
        for scheme, address in getproxies().items():
            if scheme not in _SCHEMES or not address:
                continue
            try:
                proxy = Proxy.of(address)
            except httpx.InvalidURL:
                _log.warning("%s_PROXY is no address: upstreams are called without it.", scheme.upper())
                continue
            if proxy.url.startswith(tuple(f"{each}://" for each in _SUPPORTED)):
                found[scheme] = proxy
            else:
                kind = proxy.url.partition(":")[0]
                _log.warning("%s_PROXY names a proxy of the kind %s, which is not supported.", scheme.upper(), kind)
        return cls(found)

    def for_url(self, url: httpx.URL) -> Proxy | None:
        """Return the proxy for *url*; ``None`` where it is to be called directly."""
        if not self._by_scheme:
            return None
        place = (url.scheme, url.netloc.decode("ascii"))
        if place not in self._chosen:
            self._chosen[place] = self._choose(*place)
        return self._chosen[place]

    def _choose(self, scheme: str, place: str) -> Proxy | None:
        if not self._is_own and (_is_loopback(httpx.URL(f"{scheme}://{place}").host) or proxy_bypass(place)):
            return None
        return self._by_scheme.get(scheme) or self._by_scheme.get("all")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
