"""The history of every Coze workflow run, on your own disk.

``ExecutionHistoryService`` writes and reads histories; ``execution_history.coze`` records runs at the
wire; ``recorded`` and ``record`` record any Python function or block; ``execution_history.web`` serves histories;
``run_sync`` runs a coroutine of this package for synchronous callers.
"""

from typing import TYPE_CHECKING

from execution_history.lazy_names import lazy_names

if TYPE_CHECKING:
    from execution_history.background_loop import run_sync
    from execution_history.coze import async_recording_transport, recording_transport
    from execution_history.errors import ExecutionHistoryError
    from execution_history.functions import current_run, record, recorded
    from execution_history.history.keyword_query import HistoryPage
    from execution_history.history.service import ExecutionHistoryService, get_execution_history_service
    from execution_history.recording.exemption import unrecorded
    from execution_history.records.record import ExecutionRecord
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "ExecutionHistoryError": "errors",
            "ExecutionHistoryService": "history.service",
            "ExecutionRecord": "records.record",
            "HistoryPage": "history.keyword_query",
            "async_recording_transport": "coze",
            "current_run": "functions",
            "get_execution_history_service": "history.service",
            "record": "functions",
            "recorded": "functions",
            "recording_transport": "coze",
            "run_sync": "background_loop",
            "unrecorded": "recording.exemption",
            # Programs use them as attributes, after nothing but "import execution_history".
            **dict.fromkeys(("errors", "functions", "history", "records", "settings", "stores"), ""),
        },
    )

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
    "unrecorded",
]
