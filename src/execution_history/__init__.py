"""The history of every Coze workflow run, on your own disk.

``ExecutionHistoryService`` writes and reads histories; ``execution_history.coze`` records runs at the
wire; ``recorded`` and ``record`` record any Python function or block; ``execution_history.web`` serves histories;
``run_sync`` runs a coroutine of this package for synchronous callers.
"""

from typing import TYPE_CHECKING, Any

from execution_history.background_loop import run_sync
from execution_history.errors import ExecutionHistoryError
from execution_history.functions import current_run, record, recorded
from execution_history.history.keyword_query import HistoryPage
from execution_history.history.service import ExecutionHistoryService, get_execution_history_service
from execution_history.records.record import ExecutionRecord

if TYPE_CHECKING:
    from execution_history.coze import async_recording_transport, recording_transport

__all__ = [
    "ExecutionHistoryError",
    "ExecutionHistoryService",
    "ExecutionRecord",
    "HistoryPage",
    "async_recording_transport",
    "current_run",
    "get_execution_history_service",
    "record",
    "recorded",
    "recording_transport",
    "run_sync",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    # httpx takes as long to import as everything else here: only those who call Coze pay for it.
    if name in {"async_recording_transport", "recording_transport"}:
        from execution_history import coze  # noqa: PLC0415

        return getattr(coze, name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
