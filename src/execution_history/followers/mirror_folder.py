"""The JSON files that follow a change feed: the files of one folder, in the format of the embedded store's.

Every file carries the revision up to which it is current, and a time that proves that no edit of it was cut short
(:mod:`execution_history.stores.jsonfiles.file_format`). So the same changes may come again, and a file that is missing,
or that is not what it says of itself, is made anew from the store. Used by one thread at a time.

The folder may be removed or replaced meanwhile. So a file is made beside its place, in the folder, and gets its name
after a look at the folder; what was edited in place while another folder came there is removed from that one.
"""

import contextlib
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

from execution_history.followers.file_changes import file_changes
from execution_history.followers.mirror_place import FolderReplaced
from execution_history.followers.mirror_trouble import mirror_trouble
from execution_history.records.partial import outline_of
from execution_history.stores.jsonfiles.disk_sync import Unsynced
from execution_history.stores.jsonfiles.file_format import HEADER_LIMIT, Header, parse_header
from execution_history.stores.jsonfiles.file_names import SUFFIX, file_name, is_case_sensitive
from execution_history.stores.jsonfiles.file_sizes import SIZES, FileSizes
from execution_history.stores.jsonfiles.json_file import JSONFile
from execution_history.stores.jsonfiles.json_file_reader import NotOurs
from execution_history.stores.jsonfiles.open_files import OpenFiles
from execution_history.stores.jsonfiles.rebuild import build_from_file, build_from_store, make_room, write_new
from execution_history.stores.mirror_port import FileChange, FileState
from execution_history.stores.protocol import Change

ReadWorkflow = Callable[[str], tuple[int, Iterator[bytes]]]
"""Returns a revision, and the documents that a workflow has at that revision or later, newest first."""


class MirrorFolder:
    """The JSON files of one folder.

    Args:
        folder: the folder, which exists and has no other JSON files.
        read: reads a workflow whose file is made anew.
        check: raises :class:`FolderReplaced` where another folder has come into its place.
        sizes: see :class:`FileSizes`.

    Attributes:
        stale: the workflows whose file has to be made anew.
    """

    def __init__(self, folder: Path, read: ReadWorkflow, check: Callable[[], None], sizes: FileSizes = SIZES) -> None:
        self.stale: set[str] = set()
        self._folder = folder
        self._read = read
        self._check = check
        self._sizes = sizes
        self._case_sensitive = is_case_sensitive(folder)
        self._files = OpenFiles(self._path, JSONFile.close, sizes)
        self._unsynced = Unsynced(self._path, partial(mirror_trouble, folder))
        self._doubtful_until = 0
        self._checked: set[str] = set()

    def begin(self, workflow_ids: Collection[str], *, is_anew: bool, doubtful_until: int = 0) -> None:
        """Remove the files of other workflows, and find those that have to be made anew.

        Args:
            workflow_ids: the workflows that have history.
            is_anew: whether no file is trusted, because the feed has forgotten what came after it, or is another's.
            doubtful_until: after the machine has started anew: a file of a workflow with changes up to this revision
                may not have reached the disk whole, however it looks.

        Raises:
            FolderReplaced: another folder has come; nothing was removed from it.
            OSError: the folder cannot be read or written.
        """
        self.close()
        self._doubtful_until = doubtful_until
        self._checked.clear()
        paths = {self._path(workflow_id).name: workflow_id for workflow_id in workflow_ids}
        self.stale = set(workflow_ids) if is_anew else {each for each in workflow_ids if not self._is_whole(each)}
        self._check()
        for pattern in (".*.building*", ".*.new"):
            for leftover in self._folder.glob(pattern):
                leftover.unlink(missing_ok=True)
        for path in self._folder.glob(f"*{SUFFIX}"):
            if path.name not in paths and _is_ours(path):
                path.unlink(missing_ok=True)
            elif is_anew and path.name in paths:
                os.utime(path)  # it no longer says that it is whole, should this process end before it is made anew

    def follow(self, since: int, changes: Sequence[Change]) -> None:
        """Bring the files up to *changes*, which follow *since* in the feed; what cannot be edited becomes stale.

        Raises:
            FolderReplaced: another folder has come; no file of it is left that was edited here.
            OSError: the folder cannot be read.
        """
        by_workflow: dict[str, list[Change]] = {}
        for change in changes:
            if change.workflow_id is not None and change.workflow_id not in self.stale:
                by_workflow.setdefault(change.workflow_id, []).append(change)
        edited: str | None = None
        try:
            for workflow_id, own in by_workflow.items():
                self._check()
                edited = workflow_id
                self._follow_or_doubt(workflow_id, own, since)
            self._check()
        except FolderReplaced:
            if edited is not None:  # those before it were edited before the last look at the folder
                self._take_back(edited)
            raise

    def renew(self, workflow_id: str) -> None:
        """Make the file of a stale workflow anew from the store; remove it where there are no records.

        Raises:
            FolderReplaced: another folder has come; the file was not put into it.
            OSError: it cannot be written.
            StoreError: the store cannot be read.
        """
        self._files.forget(workflow_id)
        revision, documents = self._read(workflow_id)
        state, first = FileState(0, revision, 0), list[bytes]()
        for body in documents:
            state = _with(state, body)
            first.append(body)
            if len(first) > self._sizes.rows_at_once or sum(map(len, first)) > self._sizes.small:
                self._renew_large(workflow_id, state, first, documents)
                break
        else:
            path = self._path(workflow_id)
            if first:
                with self._beside() as beside:
                    write_new(beside, Header(workflow_id, state), first, least_slack=self._sizes.least_slack)
                    self._check()
                    beside.replace(path)
            else:
                self._check()
                path.unlink(missing_ok=True)
        self._unsynced.add(workflow_id)
        self._checked.add(workflow_id)
        self.stale.discard(workflow_id)

    def sync(self) -> None:
        """Have everything on the disk, files and their names.

        Raises:
            MirrorTrouble: something could not be brought there.
            OSError: the folder could not be.
        """
        self._unsynced.sync()
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Close all files."""
        self._files.close()

    def _follow_or_doubt(self, workflow_id: str, changes: list[Change], since: int) -> None:
        """Edit the file of a workflow; it becomes stale where that cannot be done, or it may have lost an edit."""
        is_doubtful = changes[0].revision <= self._doubtful_until and workflow_id not in self._checked
        try:
            if is_doubtful or not self._follow(workflow_id, changes, since):
                self.stale.add(workflow_id)
        except (OSError, NotOurs, ValueError):
            self._files.forget(workflow_id)
            self.stale.add(workflow_id)

    def _take_back(self, workflow_id: str) -> None:
        """Remove the file of a workflow if it may have been edited, or put there, while the folder was replaced."""
        with contextlib.suppress(OSError, NotOurs):
            if self._files.untouched(workflow_id) is not None:
                self._remove(workflow_id)

    def _follow(self, workflow_id: str, changes: list[Change], since: int) -> bool:
        """Edit the file of a workflow; return whether that could be done."""
        file = self._files.untouched(workflow_id)
        known = 0 if file is None else file.header.state.revision
        changes = [change for change in changes if change.revision > known]
        cleared = [number for number, change in enumerate(changes) if change.execute_id is None]
        if cleared:
            self._remove(workflow_id)
            changes = changes[cleared[-1] + 1 :]
            return not changes
        if file is None or not changes:
            # A file that is missing is made anew, unless all that happened is that something was deleted.
            return file is not None or all(change.kind == "deleted" for change in changes)
        edits = file_changes(file, changes, since)
        total, before = file.header.state.total, file.added
        blocked = file.apply(edits, is_complete=True)
        total += file.added - before
        if blocked:
            file = self._with_room(workflow_id, file, blocked)
            if file.apply(blocked, is_complete=True):
                return False
            total += file.added
        if not total:
            self._remove(workflow_id)
            return True
        times = [time for edit in edits if edit.body is not None for time in _times(edit.body)]
        updated_at = max(file.header.state.updated_at, *times) if times else file.header.state.updated_at
        file.finish(FileState(total, changes[-1].revision, updated_at))
        self._unsynced.add(workflow_id)
        return True

    def _with_room(self, workflow_id: str, file: JSONFile, blocked: Sequence[FileChange]) -> JSONFile:
        """Return the file with more slack, in its place."""
        if file.size <= self._sizes.small:
            file = make_room(file, blocked)
        else:
            with self._beside() as beside:
                path = file.path
                build_from_file(beside, file, file.header.newest_at)
                self._check()
                self._files.forget(workflow_id)
                file = JSONFile(beside, self._sizes)
                file.move(path)
        self._files.put(workflow_id, file)
        return file

    def _renew_large(self, workflow_id: str, state: FileState, first: list[bytes], rest: Iterator[bytes]) -> None:
        """Make a file anew, record by record; *state* counts those in *first*."""

        def counted() -> Iterator[bytes]:
            nonlocal state
            for body in rest:
                state = _with(state, body)
                yield body

        with self._beside() as beside:
            build_from_store(beside, Header(workflow_id, state), chain(first, counted()), self._sizes)
            file = JSONFile(beside, self._sizes)
            try:
                file.finish(state)
                self._check()
                file.move(self._path(workflow_id))
            finally:
                file.close()

    def _is_whole(self, workflow_id: str) -> bool:
        try:
            return self._files.untouched(workflow_id) is not None
        except (OSError, NotOurs):
            return False

    def _remove(self, workflow_id: str) -> None:
        self._files.forget(workflow_id)
        self._path(workflow_id).unlink(missing_ok=True)

    @contextlib.contextmanager
    def _beside(self) -> Iterator[Path]:
        """Give the path of a file in the making, which is removed should that fail."""
        beside = self._folder / f".{os.getpid()}.building"
        try:
            yield beside
        except BaseException:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
            raise

    def _path(self, workflow_id: str) -> Path:
        return self._folder / file_name(workflow_id, case_sensitive=self._case_sensitive)


def _is_ours(path: Path) -> bool:
    """Return whether a file begins like one of ours."""
    with path.open("rb") as file:
        return parse_header(file.read(HEADER_LIMIT)) is not None


def _times(body: bytes) -> tuple[int, int]:
    record = outline_of(body)
    return record["create_time"], record["update_time"]


def _with(state: FileState, body: bytes) -> FileState:
    """Return the state of a file with one more record."""
    return FileState(state.total + 1, state.revision, max(state.updated_at, *_times(body)))
