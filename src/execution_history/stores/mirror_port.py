"""The port between a store and its mirror: what a commit asks of the JSON files, and what they need of the store.

A store calls its mirror after each commit and before it answers; nothing else in the writing path knows that there are
files. Where none are kept, :class:`Mirror` itself stands there.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

from execution_history.records.record import Document

_Result = TypeVar("_Result")

PendingFiles = dict[str, set[str] | None]
"""For each workflow whose file is not current: the records it lacks, or ``None`` for all."""


class FileState(NamedTuple):
    """What a workflow's file says of itself: how many records it has, its revision and its time (milliseconds)."""

    total: int
    revision: int
    updated_at: int


class FileChange(NamedTuple):
    """One record that the file has to show, or, without a body, has to lose.

    ``document`` is where the body comes from, when that is known: it may have been read already.
    """

    execute_id: str
    create_time: int
    body: bytes | None
    new: bool = False
    document: Document | None = None


@dataclass(slots=True)
class FileUpdate:
    """What one commit asks of one file: from which state to which, by which changes.

    ``cleared`` marks a history that is gone, ``anew`` one that was cleared and begun again, ``bulk`` changes that are
    many and come from elsewhere.
    """

    workflow_id: str
    before: FileState
    after: FileState
    changes: list[FileChange]
    cleared: bool
    anew: bool
    bulk: bool


class MirrorTransaction(Protocol):
    """What reading files in needs of a transaction."""

    def merge(self, documents: list[Document], *, ties: bool = False) -> object:
        """Bring records in; one that is there gives way to a newer, and with *ties* to an equally new other one."""

    def not_deleted(self, documents: list[Document], revision: int) -> list[Document]:
        """Return those of *documents* that no change after *revision* has deleted; 0 stands for no knowledge."""

    def is_outdated(self, workflow_id: str, revision: int) -> bool:
        """Return whether a file that is up to *revision* may show what has been deleted, and forgotten, since."""

    def note_safety(self, boot: str, safe_revision: int) -> None:
        """Note during which start of the machine the store is open, and up to where its files are on the disk."""


class TransactionRunner(Protocol):
    """What reading files in needs of the store's writer."""

    def run_now(self, work: Callable[[MirrorTransaction], _Result]) -> _Result:
        """Return the result of *work*, run in a transaction of its own, in the writer thread."""


class MirrorWriter(TransactionRunner, Protocol):
    """What the mirror needs of the store's writer."""

    def post(self, work: Callable[[], None], failed: Callable[[Exception], None] | None = None) -> None:
        """Run *work* in the writer thread, outside a transaction, or call *failed* there with why it could not run."""


class RecordSnapshot(Protocol):
    """The records as they are at one moment."""

    def revision(self) -> int:
        """Return the store's newest revision."""

    def states(self) -> dict[str, FileState]:
        """Return what the file of every workflow should say of itself."""

    def state(self, workflow_id: str) -> FileState | None:
        """Return what a workflow's file should say of itself; ``None`` when it should not be there."""

    def is_small(self, workflow_id: str, count: int, size: int) -> bool:
        """Return whether a workflow has at most *count* records of together at most *size* bytes."""

    def documents(self, workflow_id: str) -> Iterator[bytes]:
        """Return all records of a workflow that can be read, newest first, one at a time."""

    def changes(self, workflow_id: str, since: int) -> list[FileChange]:
        """Return what has changed in a workflow after a revision: first what went, then what came or changed."""

    def safety(self) -> tuple[str, int]:
        """Return during which start of the machine the store was last open, and up to where its files are safe."""


class RecordSource(Protocol):
    """Where records are read when a file is made anew."""

    def snapshot(self) -> AbstractContextManager[RecordSnapshot]:
        """Return the records as they are now, for the time of a ``with`` block."""


class Mirror:
    """What follows each commit; all but ``flush`` is called by whoever has the turn to write.

    As it stands it is the mirror of a store that keeps no files: always current.
    """

    def begin(self, writer: MirrorWriter) -> None:
        """Make every file equal to the store, before the first caller is served; read in what others wrote."""

    def follow(self, updates: list[FileUpdate]) -> PendingFiles:
        """Bring the files up to the commit; return what they will only show later. Never raises."""
        del updates
        return {}

    def when_current(self, workflow_id: str, answer: Callable[[], None]) -> None:
        """Call *answer* in the writer thread once the workflow's file is current."""
        del workflow_id
        answer()

    @property
    def is_behind(self) -> bool:
        """Whether files wait for idle time."""
        return False

    def catch_up(self) -> None:
        """Use idle time: bring files up to date into which much was merged, once nothing more comes. Never raises."""

    async def flush(self) -> None:
        """Return when every file is current and on the disk.

        Raises:
            StoreError: some could not be brought up to date.
        """

    def problems(self) -> tuple[str, ...]:
        """Return one sentence for every file that is behind or could not be read in."""
        return ()

    def close(self) -> None:
        """Let go of all files; the writer has stopped."""
