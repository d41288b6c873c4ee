"""Taking into the store what others wrote into the folder, and finding which files must be made anew."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final, Protocol, TypeVar

from execution_history.adopted import adopt_record
from execution_history.clock import now_ms
from execution_history.record import Document
from execution_history.stores.sqlite.changes import FaceState, FaceWork
from execution_history.stores.sqlite.face.adoption import FoundFile
from execution_history.stores.sqlite.face.layout import stamp
from execution_history.stores.sqlite.face.names import SUFFIX, workflow_id_of
from execution_history.stores.sqlite.reader import Reader
from execution_history.stores.sqlite.transaction import WriteTransaction

_log = logging.getLogger("execution_history.stores.sqlite")
_Result = TypeVar("_Result")

_AT_ONCE: Final = 500
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class RunsTransactions(Protocol):
    """What adoption needs of the writer."""

    def run_now(self, work: Callable[[WriteTransaction], _Result]) -> tuple[_Result, list[FaceWork]]:
        """Run *work* in a transaction of its own, in the writer thread."""


class Adopter:
    """Merges files into the store by ``execute_id``: the newer ``update_time`` wins.

    Args:
        folder: where the files are.
        writer: what runs the merges.
        path_of: the file of a workflow.
        record_limit_bytes: how large a record may be.
    """

    def __init__(
        self, folder: Path, writer: RunsTransactions, path_of: Callable[[str], Path], record_limit_bytes: int
    ) -> None:
        self._record_limit_bytes = record_limit_bytes
        self._folder = folder
        self._writer = writer
        self._path_of = path_of

    def reconcile(self, reader: Reader) -> list[str]:
        """Look at every file once and adopt those that are not exactly what we wrote.

        Returns the workflows whose file has to be made anew. A file is recognised by its modification
        time alone, so that opening a store does not depend on how large its files are.
        """
        boot = _boot()
        with reader.connection() as connection:
            states = reader.face_states(connection)
            last_boot, safe_revision = reader.safety(connection)
        doubt_from = safe_revision if last_boot and last_boot != boot else None
        self._writer.run_now(lambda transaction: transaction.note_safety(boot, safe_revision))
        expected = {self._path_of(workflow_id).name: workflow_id for workflow_id in states}
        renew = set(states)
        for name, modified in list(_json_files(self._folder)):
            workflow_id = expected.get(name)
            if workflow_id is not None and _is_exact(states[workflow_id], modified, doubt_from):
                renew.discard(workflow_id)
            else:
                renew |= self.adopt(self._folder / name, is_needed=workflow_id is not None)
        return sorted(renew)

    def adopt(self, path: Path, *, is_needed: bool) -> set[str]:
        """Merge what *path* holds; the workflows whose file has to be made anew.

        A file of which something could not be read is set aside under another name, and so is one that
        is not under the name of its workflow. JSON that is no history at all is left alone, unless the name
        *is_needed* for a file of ours.

        Raises:
            OSError: the file cannot be read.
        """
        found = FoundFile(path)
        touched: set[str] = set()
        documents = self._documents(found)
        while group := list(islice(documents, _AT_ONCE)):
            # What was deleted after this file was last brought up to date does not come back.
            self._writer.run_now(lambda t, group=group: t.merge(t.not_deleted(group, found.revision), ties=True))  # type: ignore[misc]
            touched.update(document.workflow_id for document in group)
        if not found.is_history:
            if is_needed:
                _set_aside(path, "foreign")
        elif found.is_damaged:
            _set_aside(path, "damaged")
        elif path.name not in {self._path_of(workflow_id).name for workflow_id in touched}:
            if touched:
                _set_aside(path, "adopted")
            elif found.workflow_id is not None and self._path_of(found.workflow_id).name == path.name:
                path.unlink(missing_ok=True)
        return touched

    def _documents(self, found: FoundFile) -> Iterator[Document]:
        by_name = workflow_id_of(found.path.name)
        for record in found.records():
            stated = record.get("workflow_id")
            workflow_id = found.workflow_id or by_name or (stated if isinstance(stated, str) else None)
            document = None if not workflow_id else adopt_record(record, workflow_id, now_ms())
            if document is None:
                found.is_damaged = True
            else:
                yield document.fitted(self._record_limit_bytes)


def _json_files(folder: Path) -> Iterator[tuple[str, int]]:
    """The names and modification times of the files that could be faces."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(SUFFIX) and not entry.name.startswith(".") and entry.is_file(follow_symlinks=False):
                yield entry.name, entry.stat(follow_symlinks=False).st_mtime_ns


def _is_exact(state: FaceState, modified: int, doubt_from: int | None) -> bool:
    if doubt_from is not None and state.revision > doubt_from:
        return False  # the machine went down since: what was written last may not have reached the disk
    return modified == stamp(state.updated_at, state.revision)


def _set_aside(path: Path, why: str) -> None:
    """Rename a file that is not ours to keep, so that it stays and is not read again."""
    kept = path.with_name(f"{path.name}.{why}-{time.strftime('%Y%m%d-%H%M%S')}")
    number = 1
    while kept.exists():
        number += 1
        kept = kept.with_name(f"{path.name}.{why}-{time.strftime('%Y%m%d-%H%M%S')}-{number}")
    path.rename(kept)
    _log.warning("A history file was %s and is kept as %s", why, kept.name)


def _boot() -> str:
    """Which start of the machine this is; a fixed word where the system does not tell."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return "unknown"
