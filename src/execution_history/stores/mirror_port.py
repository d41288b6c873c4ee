"""The port between a store and its mirror: the changes that a commit makes to JSON files, and what these need of it.

A store calls its mirror after each commit and before it answers; the rest of the write path does not depend on files.
Where none are kept, :class:`Mirror` itself is used.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from execution_history.records.record import Document

_Result = TypeVar("_Result")

PendingFiles = dict[str, set[str] | None]
"""For each workflow whose file is not current: the records it lacks, or ``None`` for all."""


class FileState(NamedTuple):
    """The state in the header of a workflow's file: its number of records, its revision and its time (milliseconds)."""

    total: int
    revision: int
    updated_at: int


class FileChange(NamedTuple):
    """One record to write into the file, or, without a body, to remove from it."""

    execute_id: str
    create_time: int
    body: bytes | None
    new: bool = False


@dataclass(slots=True)
class FileUpdate:
    """The changes of one commit to one file, and its states before and after.

    ``cleared`` marks a history that is gone, ``anew`` one that was cleared and begun again, ``bulk`` many changes that
    come from an import.
    """

    workflow_id: str
    before: FileState
    after: FileState
    changes: list[FileChange]
    cleared: bool = False
    anew: bool = False
    bulk: bool = False


class Part(NamedTuple):
    """Records of one workflow that stand together, newest first.

    Attributes:
        bodies: their documents by their ids; ``None`` for one that cannot be read.
        oldest: the create time of the last one; ``None`` at the end of the file.
        size: the bytes of the documents.
    """

    bodies: dict[str, bytes | None]
    oldest: int | None
    size: int


class MirrorTransaction(Protocol):
    """The part of a transaction that importing files needs."""

    def merge(self, documents: list[Document], *, ties: bool = False, are_copies: bool = False) -> object:
        """Merge records; a newer one replaces the stored one, and with *ties* a different one of the same time too.

        Of records that *are_copies*, made here and kept on a disk, one with nothing new but its times is damaged.
        """

    def not_deleted(self, documents: list[Document], revision: int | None) -> list[Document]:
        """Return those of *documents* that no change after *revision* has deleted; ``None`` is an unknown one."""

    def is_outdated(self, workflow_id: str, revision: int) -> bool:
        """Return whether a file of *revision* may have records that were deleted, and forgotten, since."""

    def note_safety(self, boot: str, safe_revision: int) -> None:
        """Store the id of this start of the machine, and the revision up to which the files are on the disk."""


class TransactionRunner(Protocol):
    """The part of the store's writer that importing files needs."""

    def run_now(self, work: Callable[[MirrorTransaction], _Result]) -> _Result:
        """Run *work* in a transaction of its own, in the writer thread, and return its result."""


class MirrorWriter(TransactionRunner, Protocol):
    """The part of the store's writer that the mirror needs."""

    def post(self, work: Callable[[], None], failed: Callable[[Exception], None] | None = None) -> None:
        """Run *work* in the writer thread, outside a transaction; if it cannot run, call *failed* with the error."""


class ComparedSnapshot(Protocol):
    """The part of the records of one moment with which files are compared."""

    def revision(self) -> int:
        """Return the store's newest revision."""

    def states(self) -> dict[str, FileState]:
        """Return the state that the file of every workflow should have."""

    def state(self, workflow_id: str) -> FileState | None:
        """Return the state that a workflow's file should have; ``None`` where there should be no file."""

    def part(self, workflow_id: str, before: int | None, size: int) -> Part:
        """Return the next records of a workflow, newest first: those of all equal create times together.

        Args:
            workflow_id: the workflow.
            before: the create time of the oldest record of the part before; ``None`` for the first.
            size: the bytes of documents with which a part ends.
        """


class RecordSnapshot(ComparedSnapshot, Protocol):
    """The records as they are at one moment."""

    def is_small(self, workflow_id: str, count: int, size: int) -> bool:
        """Return whether a workflow has at most *count* records of together at most *size* bytes."""

    def documents(self, workflow_id: str) -> Iterator[bytes]:
        """Yield all readable records of a workflow, newest first."""

    def changes(self, workflow_id: str, since: int) -> list[FileChange] | None:
        """Return the changes of a workflow after a revision: deletions first, then new and changed records.

        ``None`` where the workflow was cleared after it.
        """

    def safety(self) -> tuple[str, int]:
        """Return the start of the machine in which the store was last open, and up to which revision files are safe."""


class ComparedSource(Protocol):
    """The records with which files are compared."""

    def snapshot(self) -> AbstractContextManager[ComparedSnapshot]:
        """Return the records of one moment, for the time of a ``with`` block."""


class RecordSource(Protocol):
    """The records from which a file is rebuilt."""

    def snapshot(self) -> AbstractContextManager[RecordSnapshot]:
        """Return the records of one moment, for the time of a ``with`` block."""


class Mirror:
    """The follower of each commit; all methods but ``flush`` are called with the writer's turn held.

    This class itself is the mirror of a store without files: it is always current.
    """

    def begin(self, writer: MirrorWriter) -> None:
        """Import the files that others wrote and bring every file up to date, before the first caller is served."""

    def follow(self, updates: list[FileUpdate]) -> PendingFiles:
        """Bring the files up to the commit; return the changes that will be written later. Never raises."""
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
        """Use idle time: bring files up to date into which much was merged, once merging has ended. Never raises."""

    async def flush(self) -> None:
        """Wait until every file is current and on the disk.

        Raises:
            StoreError: some could not be brought up to date.
        """

    async def give_back(self, workflow_ids: Collection[str], least_share: float) -> None:
        """Make files anew that have large gaps, in the background; return when that is done.

        Args:
            workflow_ids: whose files.
            least_share: which share of a file the gaps between its records must be.

        Raises:
            StoreError: it could not be done.
        """
        del workflow_ids, least_share

    def problems(self) -> tuple[str, ...]:
        """Return one sentence for every file that is behind or could not be imported."""
        return ()

    def path_of(self, workflow_id: str) -> Path | None:
        """Return the file of a workflow; ``None`` where no files are kept."""
        del workflow_id
        return None

    def renew(self, workflow_id: str) -> None:
        """Make a file anew, of which something is not as it should be. Never raises."""

    def close(self) -> None:
        """Close all files; the writer has stopped."""
