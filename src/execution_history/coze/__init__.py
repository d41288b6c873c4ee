"""Coze: its wire, its accounts, and runs recorded where their bytes pass."""

from typing import TYPE_CHECKING

from execution_history.lazy_names import lazy_names

if TYPE_CHECKING:
    from execution_history.coze.accounts import Upstream
    from execution_history.coze.gateway import Gateway
    from execution_history.coze.reconciler import Reconciler
    from execution_history.coze.runner import CozeRunner, WorkflowResult
    from execution_history.coze.transport.async_transport import RecordingTransport
    from execution_history.coze.transport.factories import async_recording_transport, recording_transport
    from execution_history.coze.transport.sync_transport import SyncRecordingTransport
    from execution_history.coze.upstream_names import UpstreamNames
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "CozeRunner": "runner",
            "Gateway": "gateway",
            "Reconciler": "reconciler",
            "RecordingTransport": "transport.async_transport",
            "SyncRecordingTransport": "transport.sync_transport",
            "Upstream": "accounts",
            "UpstreamNames": "upstream_names",
            "WorkflowResult": "runner",
            "async_recording_transport": "transport.factories",
            "recording_transport": "transport.factories",
        },
    )

__all__ = [
    "CozeRunner",
    "Gateway",
    "Reconciler",
    "RecordingTransport",
    "SyncRecordingTransport",
    "Upstream",
    "UpstreamNames",
    "WorkflowResult",
    "async_recording_transport",
    "recording_transport",
]
