"""What face files owe the writer and need of it, and what stands in for them when they are turned off."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from execution_history.stores.jsonfiles.file_update import FaceWork
from execution_history.stores.sqlite.write_transaction import WriteTransaction

_Result = TypeVar("_Result")

Later = dict[str, set[str] | None]
"""For each workflow whose file is not current: the records it lacks, or ``None`` for all."""


class CommitsWrites(Protocol):
    """What the faces need of the writer."""

    def run_now(self, work: Callable[[WriteTransaction], _Result]) -> tuple[_Result, list[FaceWork]]:
        """Run *work* in a transaction of its own, in the writer thread."""

    def post(self, work: Callable[[], None], failed: Callable[[Exception], None] | None = None) -> None:
        """Run *work* in the writer thread, outside a transaction, or call *failed* there with why it could not run."""


class FacesOff:
    """No files: what stands in for :class:`Faces` when the setting turns them off."""

    def begin(self, writer: CommitsWrites) -> None:
        """Nothing to adopt."""

    def follow(self, rows: list[FaceWork]) -> Later:
        """Nothing to bring up to date."""
        del rows
        return {}

    is_behind = False

    def catch_up(self) -> None:
        """Nothing to bring up to date."""

    def when_current(self, workflow_id: str, answer: Callable[[], None]) -> None:
        """Always."""
        del workflow_id
        answer()

    async def flush(self) -> None:
        """Nothing to wait for."""

    def problems(self) -> tuple[str, ...]:
        """None."""
        return ()

    def close(self) -> None:
        """Nothing to close."""
