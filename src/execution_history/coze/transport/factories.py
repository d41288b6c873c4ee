"""Transports that are ready to be given to a client: they record into the store of the settings, without a server.

``SyncHTTPClient(transport=recording_transport())`` and ``AsyncHTTPClient(transport=async_recording_transport())`` are
all that cozepy needs; any httpx client takes them too. A client that is given a transport leaves connecting to it: the
proxies and certificates of the environment and of the account's settings count here as they do for the gateway.
"""

from typing import Any

import httpx

from execution_history.coze.transport.async_transport import RecordingTransport
from execution_history.coze.transport.connections import ConnectionSettings
from execution_history.coze.transport.httpx_transport import HttpxTransport, SyncHttpxTransport
from execution_history.coze.transport.sync_transport import SyncRecordingTransport
from execution_history.functions import default_recorder
from execution_history.recording.recorder import Recorder
from execution_history.settings import DEFAULT_ACCOUNT, Settings, find_account, load_settings


def recording_transport(
    recorder: Recorder | None = None, inner: httpx.BaseTransport | None = None, *, account: str = DEFAULT_ACCOUNT
) -> SyncRecordingTransport:
    """Return a transport for synchronous clients.

    Args:
        recorder: keeps the records; this process's own unless given.
        inner: does the work; a transport of httpx's own, over the account's connections, unless given.
        account: the account that the records keep, and whose ``proxy``, ``ca_file`` and ``verify`` count; the
            environment's where it has none.

    Raises:
        SettingsError: a setting is wrong, or a file of certificates cannot be read.
        UnknownAccount: there is no such account.
    """
    settings = load_settings()
    inner = inner or SyncHttpxTransport(_connection(settings, account), account)
    return SyncRecordingTransport(recorder, inner, account=account, **_limits(settings))


def async_recording_transport(
    recorder: Recorder | None = None, inner: httpx.AsyncBaseTransport | None = None, *, account: str = DEFAULT_ACCOUNT
) -> RecordingTransport:
    """Return a transport for asynchronous clients; see :func:`recording_transport`.

    Raises:
        SettingsError: a setting is wrong, or a file of certificates cannot be read.
        UnknownAccount: there is no such account.
    """
    settings = load_settings()
    inner = inner or HttpxTransport(_connection(settings, account), account)
    return RecordingTransport(recorder or default_recorder(), inner, account=account, **_limits(settings))


def _connection(settings: Settings, account: str) -> ConnectionSettings:
    connection = ConnectionSettings.of(find_account(settings.accounts, account))
    connection.check(account)
    return connection


def _limits(settings: Settings) -> dict[str, Any]:
    return {"drain_limit_seconds": settings.drain_limit_seconds, "largest_recorded": settings.largest_recorded_bytes}
