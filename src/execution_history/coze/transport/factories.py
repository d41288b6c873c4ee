"""Transports that are ready to be given to a client: they record where the settings say, without a server.

``SyncHTTPClient(transport=recording_transport())`` and ``AsyncHTTPClient(transport=async_recording_transport())`` are
all that cozepy needs; any httpx client takes them too. A client that is given a transport leaves connecting to it, so a
proxy or certificates of your own go into ``inner``: ``httpx.HTTPTransport(proxy=…, verify=…)``.
"""

from typing import Any

import httpx

from execution_history.coze.transport.async_transport import RecordingTransport
from execution_history.coze.transport.httpx_transport import LIMITS
from execution_history.coze.transport.sync_transport import SyncRecordingTransport
from execution_history.functions import default_recorder
from execution_history.recording.recorder import Recorder
from execution_history.settings import load_settings


def recording_transport(
    recorder: Recorder | None = None, inner: httpx.BaseTransport | None = None
) -> SyncRecordingTransport:
    """Return a transport for synchronous clients.

    Args:
        recorder: keeps the records; this process's own unless given.
        inner: does the work; a transport of httpx's own unless given.

    Raises:
        SettingsError: a setting is wrong.
    """
    return SyncRecordingTransport(recorder, inner or httpx.HTTPTransport(limits=LIMITS), **_limits())


def async_recording_transport(
    recorder: Recorder | None = None, inner: httpx.AsyncBaseTransport | None = None
) -> RecordingTransport:
    """Return a transport for asynchronous clients.

    Args:
        recorder: keeps the records; this process's own unless given.
        inner: does the work; a transport of httpx's own unless given.

    Raises:
        SettingsError: a setting is wrong.
    """
    limits = _limits()
    return RecordingTransport(
        recorder or default_recorder(), inner or httpx.AsyncHTTPTransport(limits=LIMITS), **limits
    )


def _limits() -> dict[str, Any]:
    settings = load_settings()
    return {"drain_limit_seconds": settings.drain_limit_seconds, "largest_recorded": settings.largest_recorded_bytes}
