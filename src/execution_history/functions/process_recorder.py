"""What this process records with: one recorder for each store, living on the bridge, and the runs that are open.

A forked child has its own.
"""

import asyncio
import contextlib
import os
import threading
from typing import TYPE_CHECKING, Final, Protocol

from execution_history.background_loop import END_SECONDS, Bridge, the_bridge
from execution_history.errors import SettingsError

if TYPE_CHECKING:
    from concurrent.futures import Future

    from execution_history.history.service import ExecutionHistoryService
    from execution_history.recording.recorder import Recorder
    from execution_history.stores.protocol import HistoryStore

_RUNS_SECONDS: Final = END_SECONDS / 10
_SAVE_SECONDS: Final = END_SECONDS * 0.4
LONGEST_WAIT: Final = 60.0
"""How long a caller waits for a step of a recording (seconds)."""

_TRUE: Final = frozenset({"1", "true", "t", "yes", "y", "on"})


class OpenRun(Protocol):
    """A run that has begun and not ended."""

    async def end_with_the_program(self) -> None:
        """Close the record: the program ends before the run."""


class RecordingProcess:
    """The recorders and open runs that end with one bridge."""

    def __init__(self, bridge: Bridge) -> None:
        self.bridge = bridge
        self.open_runs: set[OpenRun] = set()
        self._recorders: dict[int, Recorder] = {}
        self._making = threading.RLock()
        bridge.at_end(self._end)

    def recorder(self, service: "ExecutionHistoryService | None" = None) -> "Recorder":
        """Return the recorder for the store of *service*, or for the one that the settings name.

        Raises:
            SettingsError: a setting is wrong.
        """
        # Not at the top: the first run waits for a database and its settings, not whoever imports decorated functions.
        from execution_history.history.service import get_execution_history_service  # noqa: PLC0415 - as said

        with self._making:
            store = (service or get_execution_history_service()).store
            if id(store) not in self._recorders:
                self._recorders[id(store)] = self._begin(store)
            return self._recorders[id(store)]

    def _begin(self, store: "HistoryStore") -> "Recorder":
        from execution_history.recording.recorder import Recorder  # noqa: PLC0415 - as above
        from execution_history.settings import load_settings  # noqa: PLC0415 - as above

        recorder = Recorder.of_settings(store, load_settings())
        self.bridge.submit(recorder.start())
        return recorder

    async def _end(self) -> None:
        runs = [run.end_with_the_program() for run in list(self.open_runs)]
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*runs, return_exceptions=True), _RUNS_SECONDS)
        # A store that is held by another process may take half a minute to say so, which is too long for an exit.
        closings = [recorder.aclose(_SAVE_SECONDS) for recorder in self._recorders.values()]
        await asyncio.gather(*closings, return_exceptions=True)


def this_process() -> RecordingProcess:
    """Return what this process records with, as long as its bridge lives."""
    return the_bridge().kept(RecordingProcess)


def is_recording_required() -> bool:
    """Return whether a run that cannot be recorded is refused, by the settings in force.

    Where these are wrong, the variable decides.
    """
    from execution_history.settings import PREFIX, load_settings  # noqa: PLC0415 - as above

    try:
        return load_settings().require_recording
    except SettingsError:
        return os.environ.get(f"{PREFIX}REQUIRE_RECORDING", "").strip().lower() in _TRUE


def default_recorder() -> "Recorder":
    """Return the recorder on the store that the settings name, which gives its signs of life in the background.

    Raises:
        SettingsError: a setting is wrong.
        RuntimeError: the program is ending.
    """
    return this_process().recorder()


async def settled(future: "Future[None]") -> None:
    """Return when a step of a recording is done; raise what it raised, or a timeout after a minute."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:  # a coroutine on a loop that is not asyncio's
        future.result(LONGEST_WAIT)
        return
    # Cancelling the caller must not cancel the writing.
    await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), LONGEST_WAIT)
