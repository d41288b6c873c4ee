"""The Coze accounts that calls go to: their addresses, their tokens, and one client for each event loop."""

import asyncio
import warnings
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import httpx

from execution_history.coze.transport import RecordingTransport
from execution_history.errors import AccountError, SettingsError
from execution_history.recorder import Recorder
from execution_history.settings import AccountSettings


class Authenticates(Protocol):
    """What cozepy's asynchronous auth classes do: put a fresh token into a request's headers."""

    async def aauthentication(self, headers: dict[str, str]) -> None:
        """Add ``Authorization`` to *headers*."""


class Upstream:
    """Calls Coze for several accounts; every call passes the recording transport.

    Args:
        accounts: the accounts by name.
        recorder: what records the runs.
        timeout_seconds: how long an upstream may stay silent.
        connect_seconds: how long connecting may take.
        drain_limit_seconds: how long an upstream is read after its caller has left.
    """

    def __init__(
        self,
        accounts: Mapping[str, AccountSettings],
        recorder: Recorder,
        *,
        timeout_seconds: float = 600,
        connect_seconds: float = 10,
        drain_limit_seconds: float = 1800,
    ) -> None:
        self._accounts = accounts
        self._recorder = recorder
        self._timeout = httpx.Timeout(timeout_seconds, connect=connect_seconds)
        self._drain_limit = drain_limit_seconds
        self._auth: dict[str, Authenticates] = {}
        self._clients: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = (
            weakref.WeakKeyDictionary()
        )

    def check(self, account_id: str) -> AccountSettings:
        """The account of this name, when it can be used.

        Raises:
            AccountError: there is none, or it has no token; the sentence says what to set.
        """
        account = self._accounts.get(account_id)
        if account is None and account_id != "default":
            raise AccountError(
                f"There is no Coze account {account_id[:80]!r}: set accounts.{account_id[:80]}.token, or use 'default'."
            )
        if account is None or not (account.token or account.client_id):
            where = "COZE_API_TOKEN" if account_id == "default" else f"accounts.{account_id}.token"
            raise AccountError(
                f"The Coze account {account_id!r} has no token: set {where}"
                " (and COZE_API_BASE for coze.cn or Coze Studio)."
            )
        return account

    async def request(
        self, account_id: str, path: str, body: dict[str, Any], extensions: dict[str, Any]
    ) -> httpx.Request:
        """A POST request to *path* of the account, with its token.

        Raises:
            AccountError: the account cannot be used.
        """
        account = self.check(account_id)
        headers = {"Accept-Encoding": "identity"}
        await self._auth_of(account_id, account).aauthentication(headers)
        return self._client().build_request(
            "POST", account.base_url + path, json=body, headers=headers, extensions=extensions
        )

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Send *request*; the answer's body has not been read yet.

        Raises:
            httpx.TransportError: the upstream could not be reached or broke off.
        """
        return await self._client().send(request, stream=True)

    async def aclose(self) -> None:
        """Close this event loop's client; recordings that are under way are closed as they stand."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()
        for auth in self._auth.values():
            await _close_token_client(auth)

    def _client(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            inner = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=None, max_keepalive_connections=20))
            transport = RecordingTransport(self._recorder, inner, drain_limit_seconds=self._drain_limit)
            client = self._clients[loop] = httpx.AsyncClient(transport=transport, timeout=self._timeout)
        return client

    def _auth_of(self, name: str, account: AccountSettings) -> Authenticates:
        if name not in self._auth:
            self._auth[name] = _authentication(name, account)
        return self._auth[name]


def _authentication(name: str, account: AccountSettings) -> Authenticates:
    # cozepy takes half a second to import: only those who call Coze pay for it.
    with warnings.catch_warnings():
        # Its import of authlib.jose announces that module's successor, which is not our users' concern.
        warnings.simplefilter("ignore")
        from cozepy import AsyncJWTAuth, AsyncTokenAuth  # noqa: PLC0415

    if account.token is not None:
        return AsyncTokenAuth(account.token.get_secret_value())
    key = account.private_key.get_secret_value() if account.private_key else _read_key(name, account.private_key_file)
    return AsyncJWTAuth(
        client_id=account.client_id,
        private_key=key,
        public_key_id=account.public_key_id,
        base_url=account.oauth_base_url or account.base_url,
    )


async def _close_token_client(auth: Authenticates) -> None:
    """Close the connection over which cozepy fetched a token: it keeps it, and offers no way to close it."""
    requester = getattr(getattr(auth, "_oauth_cli", None), "_requester", None)
    client = getattr(requester, "_async_client", None)
    if isinstance(client, httpx.AsyncClient):
        await client.aclose()


def _read_key(name: str, path: Path | None) -> str:
    try:
        return "" if path is None else path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise SettingsError(
            f"The setting accounts.{name}.private_key_file names {str(path)!r}, which cannot be read."
        ) from None
