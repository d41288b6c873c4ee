"""How calls to Coze are authorised: with a token, or with one that cozepy signs for and fetches."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import httpx
from pydantic import ValidationError

from execution_history.coze.tracking.history_client import OF_ACCOUNT
from execution_history.errors import AccountError, ExecutionHistoryError, InvalidInput, UpstreamRefused, quoted
from execution_history.records.redaction import without_credentials
from execution_history.settings import AccountSettings
from execution_history.settings.accounts import refuse_unsendable


class Authenticates(Protocol):
    """The protocol of cozepy's asynchronous auth classes, which put a fresh token into a request's headers."""

    async def aauthentication(self, headers: dict[str, str]) -> None:
        """Add ``Authorization`` to *headers*."""


class Authorisation:
    """Authorises the calls of one account; its token is read, or fetched, when it is first needed.

    Args:
        name: of the account.
        account: its settings.
        connected: returns the transport to its upstream, in whichever event loop.
    """

    def __init__(self, name: str, account: AccountSettings, connected: Callable[[], httpx.AsyncBaseTransport]) -> None:
        self._name = name
        self._account = account
        self._transport = _TokenTransport(name, connected)
        self._auth: Authenticates | None = None

    async def headers(self) -> dict[str, str]:
        """Return the headers that authorise a call.

        Raises:
            AccountError: the token or the key of the account cannot be one.
            UpstreamRefused: no token could be fetched for it.
        """
        headers: dict[str, str] = {}
        try:
            if self._auth is None:
                self._auth = _authentication(self._name, self._account, self._transport)
            await self._auth.aauthentication(headers)
        except AccountError:
            raise
        except Exception as error:  # noqa: BLE001 - it signs, calls and parses, each with errors of other libraries
            raise _no_token(self._name, error) from None
        return headers


class _TokenTransport(httpx.AsyncBaseTransport):
    """Carries cozepy's requests for tokens over the connections of their account."""

    def __init__(self, account: str, connected: Callable[[], httpx.AsyncBaseTransport]) -> None:
        self._account = account
        self._connected = connected

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request*; see :meth:`httpx.AsyncBaseTransport.handle_async_request`."""
        request.extensions = {**request.extensions, OF_ACCOUNT: self._account}
        return await self._connected().handle_async_request(request)


class _Token:
    """Authenticates with a personal or service token."""

    def __init__(self, token: str) -> None:
        self._authorization = f"Bearer {token}"

    async def aauthentication(self, headers: dict[str, str]) -> None:
        """Add ``Authorization`` to *headers*."""
        headers["Authorization"] = self._authorization


def _authentication(name: str, account: AccountSettings, transport: httpx.AsyncBaseTransport) -> Authenticates:
    if account.token is not None:
        return _Token(account.token.get_secret_value())
    if account.token_file is not None:
        return _Token(_token_in(name, account.token_file))
    # cozepy takes half a second to import: only those who sign for tokens pay for it.
    with warnings.catch_warnings():
        # Its import of authlib.jose warns of that module's successor, which does not concern our users.
        warnings.simplefilter("ignore")
        from cozepy import AsyncJWTAuth, AsyncJWTOAuthApp  # noqa: PLC0415
        from cozepy.request import AsyncHTTPClient, Requester  # noqa: PLC0415

    key = (
        account.private_key.get_secret_value()
        if account.private_key
        else _read(name, "private_key_file", account.private_key_file)
    )
    base_url = account.oauth_base_url or account.base_url
    app = AsyncJWTOAuthApp(account.client_id or "", key, account.public_key_id or "", base_url)
    # It makes its client itself, without the account's proxy and certificates.
    app._requester = Requester(async_client=AsyncHTTPClient(transport=transport))  # type: ignore[no-untyped-call] # noqa: SLF001
    return AsyncJWTAuth(oauth_app=app)


def _token_in(name: str, path: Path) -> str:
    token = _read(name, "token_file", path).strip()
    try:
        refuse_unsendable(token)
    except InvalidInput as error:
        raise AccountError(
            "The file of accounts.%(name)s.token_file holds no token: it %(problem)s.", name=name, problem=error.message
        ) from None
    if not token:
        raise AccountError("The file of accounts.%(name)s.token_file is empty.", name=name)
    return token


def _read(name: str, setting: str, path: Path | None) -> str:
    try:
        return "" if path is None else path.expanduser().read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise AccountError(
            "The setting accounts.%(name)s.%(setting)s names %(path)s, which cannot be read.",
            name=name,
            setting=setting,
            path=quoted(path),
        ) from None


def _no_token(name: str, error: Exception) -> ExecutionHistoryError:
    """Return the error of an account whose token could not be signed for, or fetched, because of *error*."""
    reason = without_credentials(str(error)).rstrip(".")
    if isinstance(error, ValueError) and not isinstance(error, ValidationError):
        return AccountError(
            "The Coze account %(name)s cannot sign for a token (%(reason)s): check that "
            "accounts.%(account)s.private_key, or the file of private_key_file, is the PEM text "
            "that Coze gave out.",
            name=quoted(name),
            reason=quoted(reason),
            account=name,
        )
    return UpstreamRefused(
        "No token could be fetched for the Coze account %(name)s: %(reason)s.",
        name=quoted(name),
        reason=(reason if isinstance(error, httpx.HTTPError) else quoted(reason)) if reason else type(error).__name__,
    )
