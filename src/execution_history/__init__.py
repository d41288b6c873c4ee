"""The history of every Coze workflow run, on your own disk.

``ExecutionHistoryService`` writes and reads histories; ``execution_history.coze`` records runs at the
wire; ``recorded`` and ``record`` record any Python function or block; ``execution_history.web`` serves histories;
``run_sync`` runs a coroutine of this package for synchronous callers.
"""

from execution_history.bridge import run_sync
from execution_history.errors import ExecutionHistoryError
from execution_history.finding import HistoryPage
from execution_history.record import ExecutionRecord
from execution_history.recording import current_run, record, recorded
from execution_history.service import ExecutionHistoryService, get_execution_history_service

__all__ = [
    "ExecutionHistoryError",
    "ExecutionHistoryService",
    "ExecutionRecord",
    "HistoryPage",
    "current_run",
    "get_execution_history_service",
    "record",
    "recorded",
    "run_sync",
]
