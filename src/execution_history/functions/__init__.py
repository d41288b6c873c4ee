"""Recording any Python function or block of code, next to the runs of workflows."""

from typing import TYPE_CHECKING

from execution_history.lazy_names import lazy_names

if TYPE_CHECKING:
    from execution_history.functions.context_manager import record
    from execution_history.functions.decorator import recorded
    from execution_history.functions.places import parentage
    from execution_history.functions.process_recorder import default_recorder
    from execution_history.functions.run import Run, current_run
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "Run": "run",
            "current_run": "run",
            "default_recorder": "process_recorder",
            "parentage": "places",
            "record": "context_manager",
            "recorded": "decorator",
        },
    )

__all__ = ["Run", "current_run", "default_recorder", "parentage", "record", "recorded"]
