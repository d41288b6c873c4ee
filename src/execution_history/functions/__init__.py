"""Recording any Python function or block of code, next to the runs of workflows."""

from execution_history.functions.context_manager import record
from execution_history.functions.decorator import recorded
from execution_history.functions.process_recorder import default_recorder
from execution_history.functions.run import Run, current_run, parentage

__all__ = ["Run", "current_run", "default_recorder", "parentage", "record", "recorded"]
