"""The history of every Coze workflow run, on your own disk.

``ExecutionHistoryService`` writes and reads histories; ``execution_history.coze`` records runs at the
wire; ``execution_history.web`` serves them.
"""

from execution_history.errors import ExecutionHistoryError
from execution_history.finding import HistoryPage
from execution_history.record import ExecutionRecord
from execution_history.service import ExecutionHistoryService, get_execution_history_service

__all__ = [
    "ExecutionHistoryError",
    "ExecutionHistoryService",
    "ExecutionRecord",
    "HistoryPage",
    "get_execution_history_service",
]
