"""Recording any Python function or block of code, next to the runs of workflows."""

from execution_history.recording.block import record
from execution_history.recording.decorator import recorded
from execution_history.recording.process import default_recorder
from execution_history.recording.run import Run, current_run, parentage

__all__ = ["Run", "current_run", "default_recorder", "parentage", "record", "recorded"]
