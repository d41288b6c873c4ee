"""The Coze accounts: their addresses, their tokens, and one recording transport for each event loop."""

import asyncio
import weakref
from collections.abc import Iterable, Mapping
from functools import cached_property
from importlib.metadata import version
from typing import Any

import httpx

from execution_history.coze.authorisation import Authorisation
from execution_history.coze.protocol.messages import RunRequest
from execution_history.coze.tracking.history_client import Address, origin_of
from execution_history.coze.transport.account_transport import Connect, transport_of
from execution_history.coze.transport.async_transport import RecordingTransport
from execution_history.coze.transport.call_recording import CONTEXT, CallRecord, RunContext
from execution_history.coze.transport.connections import ConnectionSettings
from execution_history.coze.transport.httpx_transport import HttpxTransport
from execution_history.coze.transport.recorded_call import LARGEST_RECORDED, RecordedCall
from execution_history.coze.websocket_recording import ChatRecording, recorded_chat
from execution_history.errors import AccountError, quoted, shortened
from execution_history.recording.recorder import Recorder
from execution_history.records.metadata import UPSTREAM
from execution_history.records.origin import acting_account
from execution_history.records.redaction import without_credentials
from execution_history.settings import DEFAULT_ACCOUNT, AccountSettings, find_account, missing_settings


class Upstream:
    """Calls Coze for several accounts; every call passes the recording transport.

    Args:
        accounts: the accounts by name.
        recorder: keeps the records of the runs.
        timeout_seconds: how long an upstream may stay silent.
        connect_seconds: how long connecting may take.
        drain_limit_seconds: how long an upstream is read after its caller has left.
        largest_recorded: the most bytes of one run's answer that are kept.
        first_pause: seconds before a run that goes on upstream is polled for the first time.
        connect: returns a transport to upstreams by their settings; an event loop keeps it for all its calls.

    Raises:
        SettingsError: a file of certificates cannot be read.
    """

    def __init__(
        self,
        accounts: Mapping[str, AccountSettings],
        recorder: Recorder,
        *,
        timeout_seconds: float = 600,
        connect_seconds: float = 10,
        drain_limit_seconds: float = 1800,
        largest_recorded: int = LARGEST_RECORDED,
        first_pause: float = 1.0,
        connect: Connect = HttpxTransport,
    ) -> None:
        self._accounts = {DEFAULT_ACCOUNT: find_account(accounts, DEFAULT_ACCOUNT), **accounts}
        for name, account in self._accounts.items():
            ConnectionSettings.of(account).check(name)
        self.recorder = recorder
        self.timeout: httpx.Timeout = httpx.Timeout(timeout_seconds, connect=connect_seconds)
        self._limits: dict[str, Any] = {
            "drain_limit_seconds": drain_limit_seconds,
            "largest_recorded": largest_recorded,
            "first_pause": first_pause,
        }
        self._connect = connect
        self._authorisations: dict[str, Authorisation] = {}
        self._transports: weakref.WeakKeyDictionary[
            asyncio.AbstractEventLoop, tuple[RecordingTransport, httpx.AsyncBaseTransport]
        ] = weakref.WeakKeyDictionary()

    def check(self, account_id: str) -> AccountSettings:
        """Return the account of this name, where it can be used.

        Raises:
            UnknownAccount: there is none.
            AccountError: it has no token, or lacks a part of its key; the message names what to set.
        """
        account = find_account(self._accounts, account_id)
        if account.missing:
            raise AccountError(
                "The Coze account %(account_id)s is incomplete: set %(names)s.",
                account_id=quoted(account_id),
                names=" and ".join(missing_settings(account, account_id)),
            )
        return account

    def base_url(self, account_id: str) -> str:
        """Return the base address of an account, whether or not it has a token of its own.

        Raises:
            UnknownAccount: there is no such account.
        """
        return find_account(self._accounts, account_id).base_url

    @property
    def account_names(self) -> list[str]:
        """Return the names of all accounts."""
        return list(self._accounts)

    @cached_property
    def origins(self) -> frozenset[str]:
        """Return the schemes, hosts and ports of all accounts: a redirect to one of them may be followed."""
        return frozenset(origin_of(account.base_url) for account in self._accounts.values())

    def connection(self, account_id: str) -> ConnectionSettings:
        """Return how an account's upstream is reached.

        Raises:
            UnknownAccount: there is no such account.
        """
        return ConnectionSettings.of(find_account(self._accounts, account_id))

    def chat_recording(self, account_id: str, request: httpx.Request) -> ChatRecording | None:
        """Return what records the chats of a WebSocket connection; ``None`` where it runs no workflow.

        Args:
            account_id: the name of the account that is called.
            request: the handshake, with the account's address.
        """
        run = recorded_chat(request.url.path, request.url.query.decode("latin-1"))
        if run is None:
            return None

        def begin(run: RunRequest) -> CallRecord:
            call = RecordedCall(run, self.recorder.clock, self._limits["largest_recorded"])
            return CallRecord(self.recorder, call, request, RunContext(account_id), self.transport().poller)

        return ChatRecording(run, begin)

    def account_that_acts(self, record: Mapping[str, Any]) -> str:
        """Return the name of the account that acts for the run of *record*: answers it, repeats it, follows it.

        It is the account that began the run as long as it calls the address where the run took place, or else another
        one that does. For a record that no recorder of ours has kept only the account ``default`` acts. Where no
        address is known, the account acts that began the run, or else ``default``.

        Raises:
            AccountError: none can; the message names what to set.
        """
        kept, origin = acting_account(record), UPSTREAM.of(record)
        if origin is None:
            return kept or DEFAULT_ACCOUNT
        found = account_at(self._accounts, origin, (DEFAULT_ACCOUNT,) if kept is None else (kept, *self._accounts))
        if found is not None:
            return found
        run, place = quoted(record["execute_id"]), shortened(without_credentials(origin))
        if kept is None:
            raise AccountError(
                "Run %(run)s took place at %(upstream)s, which the account 'default' does not call, and no recorder "
                "here has kept which other account may act for it: name one with --account or account_id.",
                run=run,
                upstream=place,
            )
        raise AccountError(
            "Run %(run)s took place at %(upstream)s, and no account that is complete calls that address: set "
            "COZE_API_BASE=%(upstream)s and COZE_API_TOKEN (of a sandbox: sandbox-token), or name an account with "
            "--account or account_id.",
            run=run,
            upstream=place,
        )

    def address(self, account_id: str) -> Address:
        """Return the address at which an account's histories are requested, with its authorisation.

        Raises:
            AccountError: the account cannot be used.
        """
        account = self.check(account_id)

        async def authorise() -> Mapping[str, str]:
            return await self._headers(account_id, account)

        return Address(account.base_url, authorise, account_id)

    async def request(self, run: RunRequest, context: RunContext) -> httpx.Request:
        """Build the HTTP request of *run*, with the token of the context's account.

        Raises:
            UnknownAccount: there is no such account.
            AccountError: the account cannot be used.
            UpstreamRefused: no token could be fetched for it.
        """
        account = self.check(context.account)
        context.run, context.authorise = run, self.address(context.account).authorise
        headers = {
            "Accept-Encoding": "identity",
            "User-Agent": f"execution-history/{version('execution-history')}",
            **await self._headers(context.account, account),
        }
        extensions = {"timeout": self.timeout.as_dict(), CONTEXT: context}
        return httpx.Request(
            "POST", account.base_url + run.path, json=run.body(), headers=headers, extensions=extensions
        )

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Send *request* through this event loop's transport; the answer's body has not been read yet.

        Raises:
            httpx.TransportError: the upstream could not be reached or broke off.
        """
        return await self.transport().handle_async_request(request)

    async def aclose(self) -> None:
        """Close this event loop's transport; recordings that are under way are closed as they stand."""
        found = self._transports.pop(asyncio.get_running_loop(), None)
        if found is not None:
            await found[0].aclose()

    def transport(self) -> RecordingTransport:
        """Return this event loop's transport: the one way to the upstreams."""
        return self._both()[0]

    def connected(self) -> httpx.AsyncBaseTransport:
        """Return the transport to the upstreams without its recording."""
        return self._both()[1]

    def _both(self) -> tuple[RecordingTransport, httpx.AsyncBaseTransport]:
        loop = asyncio.get_running_loop()
        found = self._transports.get(loop)
        if found is None:
            inner = transport_of(self._accounts, self._connect)
            found = self._transports[loop] = (RecordingTransport(self.recorder, inner, **self._limits), inner)
        return found

    async def _headers(self, name: str, account: AccountSettings) -> dict[str, str]:
        if name not in self._authorisations:
            self._authorisations[name] = Authorisation(name, account, self.connected)
        return await self._authorisations[name].headers()


def account_at(accounts: Mapping[str, AccountSettings], origin: str, names: Iterable[str]) -> str | None:
    """Return the first of *names* whose account is complete and calls *origin*; ``None`` where there is none."""
    for name in names:
        account = accounts.get(name)
        if account is not None and not account.missing and origin_of(account.base_url) == origin:
            return name
    return None
