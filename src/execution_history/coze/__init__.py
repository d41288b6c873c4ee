"""Coze: its wire, its accounts, and runs recorded where their bytes pass."""

from execution_history.coze.runner import CozeRunner, WorkflowResult
from execution_history.coze.transport import RecordingTransport
from execution_history.coze.upstream import Upstream

__all__ = ["CozeRunner", "RecordingTransport", "Upstream", "WorkflowResult"]
