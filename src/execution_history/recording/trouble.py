"""What a recorder reports of itself."""

from collections.abc import Sequence
from typing import Final, Protocol


class RecordingTrouble(Protocol):
    """What is wrong with recording, and what was not recorded."""

    @property
    def unrecorded(self) -> int:
        """How many runs passed without a record."""

    @property
    def unrecorded_at(self) -> int | None:
        """When the last of them did (milliseconds); ``None`` for never."""

    def problems(self) -> Sequence[str]:
        """Return one sentence for each problem."""


class _NoTrouble:
    unrecorded = 0
    unrecorded_at: int | None = None

    def problems(self) -> Sequence[str]:
        """Return none."""
        return ()


NO_TROUBLE: Final = _NoTrouble()
"""What those are told who may not see every workflow: the sentences are about any of them."""
