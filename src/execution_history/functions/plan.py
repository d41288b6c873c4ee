"""How the runs of one function, or of one block, are recorded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from execution_history.functions.process_recorder import RecordingProcess
from execution_history.recording.exemption import is_exempt

if TYPE_CHECKING:
    from execution_history.recording.recorder import Recorder

MODE_CALL: Final = 0
MODE_STREAM: Final = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """How the runs of one function, or one block, are recorded: mostly the parameters of ``recorded``."""

    workflow_id: str
    recorder: "Callable[[RecordingProcess], Recorder]"
    title: str
    kind: str = "function"
    run_mode: int = MODE_CALL
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, object] = field(default_factory=dict)
    redact: frozenset[str] = frozenset()
    capture_input: bool = True
    capture_output: bool = True
    record: bool | Callable[[], bool] = True
    bot_id: str | None = None
    conversation_id: str | None = None

    def is_recorded(self) -> bool:
        """Return whether a run that begins now is recorded."""
        return not is_exempt() and bool(self.record() if callable(self.record) else self.record)
