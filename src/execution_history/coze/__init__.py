"""Coze: its wire, its accounts, and runs recorded where their bytes pass."""

from execution_history.coze.gateway import Gateway
from execution_history.coze.prepared import WorkflowResult
from execution_history.coze.ready import async_recording_transport, recording_transport
from execution_history.coze.reconcile import Reconciler
from execution_history.coze.runner import CozeRunner
from execution_history.coze.sync_transport import SyncRecordingTransport
from execution_history.coze.transport import RecordingTransport
from execution_history.coze.upstream import Upstream

__all__ = [
    "CozeRunner",
    "Gateway",
    "Reconciler",
    "RecordingTransport",
    "SyncRecordingTransport",
    "Upstream",
    "WorkflowResult",
    "async_recording_transport",
    "recording_transport",
]
