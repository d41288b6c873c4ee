"""How upstreams are reached: through which proxy, and which certificates are trusted.

One :class:`ConnectionSettings` is what every way to an upstream is made of: synchronous, asynchronous, the gateway's
quicker one, and WebSockets. Without an account's own settings they are those of the environment: ``HTTP_PROXY``,
``HTTPS_PROXY``, ``ALL_PROXY``, ``NO_PROXY``, ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``.
"""

import logging
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Self

import httpx

from execution_history.coze.transport.proxies import Proxies, Proxy
from execution_history.errors import SettingsError, quoted
from execution_history.settings.accounts import DIRECT, AccountSettings

_log = logging.getLogger("execution_history.coze")

_FILE, _FOLDER = "SSL_CERT_FILE", "SSL_CERT_DIR"


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """How an account's upstream is reached.

    Attributes:
        proxy: the proxy of every request; that of the environment where it is ``None``.
        is_direct: whether no proxy is used, whatever the environment sets.
        ca_file: PEM certificates that are trusted besides those of the environment, or else of certifi.
        verify: whether certificates are checked.
    """

    proxy: Proxy | None = None
    is_direct: bool = False
    ca_file: Path | None = None
    verify: bool = True

    @classmethod
    def of(cls, account: AccountSettings) -> Self:
        """Return the connection settings of an account."""
        address = None if account.proxy is None else account.proxy.get_secret_value()
        proxy = None if address in (None, DIRECT) else Proxy.of(str(address))
        return cls(proxy, address == DIRECT, account.ca_file, account.verify)

    def proxies(self) -> Proxies:
        """Return what chooses the proxy for an address; the log has a line about what the environment has wrong."""
        if self.is_direct:
            return Proxies({})
        return Proxies.of_environment() if self.proxy is None else Proxies({"all": self.proxy}, is_own=True)

    def tls(self) -> ssl.SSLContext:
        """Return the TLS settings; one object for equal settings, which takes 10 ms to make.

        Raises:
            SettingsError: a file of certificates cannot be read; the message names the setting.
        """
        return _tls(self.ca_file, self.verify, os.environ.get(_FILE) or None, os.environ.get(_FOLDER) or None)

    def check(self, account: str) -> None:
        """Check what can be checked before the first call, and log a warning where certificates are not checked.

        Raises:
            SettingsError: a file of certificates cannot be read; the message names the setting.
        """
        if not self.verify:
            _log.warning(
                "accounts.%s.verify is false: whoever is on the way to the upstream can read its token.", account
            )
        if self.ca_file is not None:
            with _explained(f"accounts.{account}.ca_file", self.ca_file):
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(self.ca_file)
        if self.verify and any(map(os.environ.get, (_FILE, _FOLDER))):
            self.tls()


@lru_cache(maxsize=64)
def _tls(ca_file: Path | None, verify: bool, file: str | None, folder: str | None) -> ssl.SSLContext:  # noqa: FBT001
    if not verify:
        return httpx.create_ssl_context(verify=False)
    if file is not None:
        with _explained(_FILE, Path(file)):
            context = ssl.create_default_context(cafile=file)
    elif folder is not None:
        with _explained(_FOLDER, Path(folder)):
            next(Path(folder).iterdir(), None)  # OpenSSL does not report that it is missing
            context = ssl.create_default_context(capath=folder)
    else:
        context = httpx.create_ssl_context(trust_env=False)
    if ca_file is not None:
        with _explained("ca_file", ca_file):
            context.load_verify_locations(ca_file)
    return context


@contextmanager
def _explained(setting: str, path: Path) -> Iterator[None]:
    """Raise :class:`SettingsError` where the certificates in a file or folder cannot be read."""
    try:
        yield
    except ssl.SSLError:
        raise SettingsError(
            "%(setting)s names %(path)s, which holds no certificate in PEM form.", setting=setting, path=quoted(path)
        ) from None
    except OSError as error:
        raise SettingsError(
            "%(setting)s names %(path)s, which cannot be read: %(reason)s.",
            setting=setting,
            path=quoted(path),
            reason=error.strerror,
        ) from None
