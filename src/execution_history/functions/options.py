"""From what a caller says about its runs, and what a function is called, to the plan by which they are recorded."""

import functools
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from execution_history.errors import quoted
from execution_history.functions.arguments import names
from execution_history.functions.plan import Plan
from execution_history.functions.process_recorder import RecordingProcess
from execution_history.records.identifiers import check_identifier

if TYPE_CHECKING:
    from execution_history.history.service import ExecutionHistoryService
    from execution_history.recording.recorder import Recorder


def plan_for(
    workflow_id: str,
    *,
    service: "ExecutionHistoryService | None" = None,
    recorder: "Recorder | None" = None,
    tags: Iterable[str] = (),
    metadata: Mapping[str, object] | None = None,
    redact: Iterable[str] = (),
    **fields: Any,
) -> Plan:
    """Return the plan of runs that go to *recorder*, to the store of *service*, or to the one that the settings name.

    Raises:
        InvalidIdentifier: the workflow id cannot be one.
        TypeError: the tags are one text, or the metadata is no mapping.
    """
    if isinstance(tags, str):
        raise TypeError(f"Tags are a list such as [{quoted(tags)}], not a text.")
    if metadata is not None and not isinstance(metadata, Mapping):
        raise TypeError(f"Metadata is a mapping of keys to values, not {type(metadata).__name__}.")
    return Plan(
        check_identifier("workflow id", workflow_id),
        (lambda _: recorder) if recorder is not None else functools.partial(RecordingProcess.recorder, service=service),
        tags=tuple(tags),
        metadata=dict(metadata or {}),
        redact=names(redact),
        **fields,
    )


def named(function: Callable[..., object]) -> Any:
    """Return what *function* is called by: itself, what a partial calls, or the class of another object."""
    while isinstance(function, functools.partial):
        function = function.func
    return function if hasattr(function, "__qualname__") else type(function)


def workflow_of(function: Callable[..., object]) -> str:
    """Return the module and qualified name of *function*; a script goes by its file's name, as when it is imported."""
    function = named(function)
    name = str(function.__qualname__).replace("<locals>.", "")
    module = str(getattr(function, "__module__", None) or "")
    if module == "__main__":
        file = getattr(sys.modules.get(module), "__file__", None)
        module = Path(file).stem if file else ""
    return f"{module}.{name}" if module else name
