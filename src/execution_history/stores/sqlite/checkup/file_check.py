"""Whether the JSON files say what the database says."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from execution_history.errors import Message
from execution_history.stores.foreign_files import begins_like_history
from execution_history.stores.jsonfiles.comparison import FileComparison, compared
from execution_history.stores.jsonfiles.file_names import SUFFIX, file_of
from execution_history.stores.sqlite.checkup.view import HistoryView


@dataclass(slots=True)
class FileFaults:
    """What is wrong with the JSON files.

    Attributes:
        count: how many were compared.
        differing: where a file differs, by workflow.
        behind: the files that the next opening reads or makes anew: others wrote them, or an edit was cut short.
        kept: files and folders that were set aside, with what could not be used.
    """

    count: int = 0
    differing: dict[str, Message] = field(default_factory=dict)
    behind: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


def file_faults(view: HistoryView, tell: Callable[[int, int], None], *, are_in_use: bool) -> FileFaults:
    """Return what is wrong with the files.

    Args:
        view: the history.
        tell: gets of how many records the files were compared, and of how many there are.
        are_in_use: whether somebody may be editing them meanwhile, so that what differs is compared again.

    Raises:
        StoreError: the database cannot be read.
        OSError: a file cannot be read.
    """
    faults = FileFaults(kept=sorted(_set_aside(view.folder)))
    with view.snapshot() as records:
        workflows = [(name, state.total) for name, state in sorted(records.states().items()) if state.total]
    done, total = 0, sum(number for _, number in workflows)
    expected = set()
    for workflow_id, number in workflows:
        path = file_of(view.folder, workflow_id)
        expected.add(path.name)
        comparison = compared(FileComparison(path, workflow_id, view), are_in_use=are_in_use)
        faults.count += 1
        if comparison.is_behind:
            faults.behind.append(path.name)
        elif comparison.difference is not None:
            faults.differing[workflow_id] = comparison.difference
        done += number
        tell(done, total)
    faults.behind += sorted(_foreign(view.folder, expected))
    return faults


def _foreign(folder: Path, expected: set[str]) -> Iterator[str]:
    """Yield the JSON files that belong to no workflow of the history: the next opening imports what is a history."""
    for path in folder.glob(f"*{SUFFIX}"):
        if path.name not in expected and not path.name.startswith("."):
            with suppress(OSError):
                if begins_like_history(path):
                    yield path.name


def _set_aside(folder: Path) -> Iterator[str]:
    names = (path.name for path in folder.iterdir() if not path.name.startswith("."))
    return (name for name in names if f"{SUFFIX}." in name or ".db.damaged-" in name)
