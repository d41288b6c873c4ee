"""The JSON files of a folder, brought from their place in a change feed to its end, step by step.

The place is stored in the history and in the folder, so that following continues where it ended; where the feed has
forgotten what came after it, every file is made anew. A folder whose place the history does not know follows another
one and is refused. A folder may be removed or replaced at any time, so no step counts unless the folder still says
afterwards what it said before.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from execution_history.clock import boot_id, now_ms
from execution_history.errors import FeedExpired, SettingsError, quoted
from execution_history.followers.mirror_folder import MirrorFolder
from execution_history.followers.mirror_place import FolderReplaced, check_place, claim_folder, save_place
from execution_history.followers.workflow_reader import WorkflowReader
from execution_history.history.replication import HistoryReplication
from execution_history.presentation.command_line import command_line
from execution_history.stores.folder_place import FolderPlace, read_place
from execution_history.stores.jsonfiles.file_sizes import FileSizes

_SAVE_SECONDS: Final = 2.0
_CHANGES_AT_ONCE: Final = 500
_MOST_FAILURES: Final = 5


class MirrorWriter:
    """Brings the files of one folder up to a history; called by one task, while it may write.

    Args:
        service: the history.
        folder: the folder.
        sizes: see :class:`FileSizes`.
        stop: set when the task is to end.
        may_write: whether no other process writes into the folder.
        on_progress: called in the event loop when some files have come further.

    Attributes:
        place: what the folder says of itself; ``None`` before that was read.
        since: the change up to which the folder has come; ``None`` before it has begun.
        reached: the change up to which the folder had everything after a step; ``None`` where it never had.
        current_at: when the folder had everything (milliseconds since the epoch); ``None`` where it never had.
        is_current: whether the folder had everything when the feed was read last.
    """

    def __init__(
        self,
        service: HistoryReplication,
        folder: Path,
        sizes: FileSizes,
        *,
        stop: asyncio.Event,
        may_write: Callable[[], bool],
        on_progress: Callable[[], None],
    ) -> None:
        self.place: FolderPlace | None = None
        self.since: int | None = None
        self.reached: int | None = None
        self.current_at: int | None = None
        self.is_current: bool = False
        self._service, self._folder, self._sizes = service, folder, sizes
        self._stop, self._may_write, self._on_progress = stop, may_write, on_progress
        self._store = service.location or "memory:"
        self._known = set[str]()
        self._files: MirrorFolder | None = None
        self._saved_at = 0.0
        self._is_expired = False

    @property
    def files_left(self) -> int:
        """The number of files that have to be made anew."""
        return 0 if self._files is None else len(self._files.stale)

    def has(self, revision: int | None) -> bool:
        """Return whether the folder had everything up to *revision* after the last step; false for ``None``."""
        if self.since is None or self.reached is None or revision is None:
            return False
        return self.reached >= revision and not self.files_left

    async def is_in_place(self) -> bool:
        """Return whether the folder is there now, as it was left; false where it cannot be read."""
        place = self.place
        with contextlib.suppress(OSError):
            return place is not None and await asyncio.to_thread(read_place, self._folder) == place
        return False

    async def claim(self) -> FolderPlace:
        """Read what the folder says of itself, and make it where it is missing.

        The place of one that was here before is given up: nobody could name it later, and the feed would keep
        deletions for it. Should it come back, as with a disk that was away, its files are made anew.

        Raises:
            SettingsError: it holds a history, JSON files of another program, or those that follow another history.
            StoreError: the history cannot be read or written.
            OSError: it cannot be read or written.
        """
        place = await asyncio.to_thread(claim_folder, self._folder, self._store)
        if self.place is not None and self.place.id != place.id:
            await self._service.save_place(self.place.follower, None)
            self.place = None
        if await self._service.place_of(place.follower) is None:
            # One that has not begun is known by nobody: it is of the history that it names.
            is_new = place.revision is None and place.store in ("", self._store)
            if not is_new and place.id not in self._known:
                raise _of_another(self._folder, place)
            await self._service.save_place(place.follower, await self._service.revision())
        self.place = place
        self._known.add(place.id)
        return place

    async def begin(self) -> None:
        """Find where to go on, and which files have to be made anew.

        Raises:
            SettingsError: see :meth:`claim`.
            FolderReplaced: see :meth:`start_over`; the new one has a lease of its own.
            StoreError: the history cannot be read or written.
            OSError: the folder cannot be.
        """
        self.reached = None
        known, place = self.place, await self.claim()
        if known is None or known.id != place.id:
            raise FolderReplaced
        saved = await self._service.place_of(place.follower)
        newest = await self._service.revision()
        # A history that was set back to an earlier state has an earlier place than the folder.
        is_known = saved is not None and place.revision is not None and place.revision <= saved <= newest
        if place.revision is None or not is_known or self._is_expired:
            await self._begin_anew(place)
            self._is_expired = False
            return
        await self._find_files(is_anew=False, doubtful_until=0 if place.boot == boot_id() != "" else newest)
        self.since = place.revision

    async def step(self) -> bool:
        """Take the next changes, and make stale files anew; return whether there may be more to do.

        Raises:
            Stopped: the task is to end.
            FolderReplaced: see :meth:`start_over`.
            StoreError: the history cannot be read.
            OSError: some files could not be written.
        """
        if self._files is None or self.since is None:
            return False
        try:
            changes = await self._service.changes(self.since, _CHANGES_AT_ONCE, documents=True)
        except FeedExpired:
            self.since, self._is_expired = None, True
            return True
        if changes:
            await asyncio.to_thread(self._files.follow, self.since, changes)
            self.since = changes[-1].revision
        await self._renew(self._files)
        await self._check()  # what was written just now may be all that is there
        if not self._files.stale:
            self.reached = self.since
        self.is_current = not changes and not self._files.stale
        if self.is_current:
            self.current_at = now_ms()
        if time.monotonic() - self._saved_at > _SAVE_SECONDS:
            await self.save()
        self._on_progress()
        return bool(changes)

    async def save(self) -> None:
        """Have the files on the disk, then store the place: in the history first, which keeps deletions after it.

        There is nothing to store while some have to be made anew.

        Raises:
            FolderReplaced: see :meth:`start_over`.
            StoreError: the history cannot be written.
            OSError: the folder cannot be.
        """
        if self._files is None or self.place is None or self.since is None or self._files.stale:
            return
        self._saved_at = time.monotonic()
        if self.since != self.place.revision:
            since = self.since
            await asyncio.to_thread(self._files.sync)
            await self._check()
            await self._service.save_place(self.place.follower, since)
            self.place = await asyncio.to_thread(save_place, self._folder, self.place, since, self._store)

    async def start_over(self) -> None:
        """Take the folder as one that is seen for the first time, since it was removed or replaced."""
        self.since, self.reached, self.is_current = None, None, False
        await self.close()
        self._files = None  # a new folder may treat names in another way

    async def close(self) -> None:
        """Close all files."""
        if self._files is not None:
            await asyncio.to_thread(self._files.close)

    async def _check(self) -> None:
        await asyncio.to_thread(self._check_place)

    def _check_place(self) -> None:
        """Return if the folder is still the one whose place is known; called in any thread."""
        if self.place is None:
            raise FolderReplaced
        check_place(self._folder, self.place)

    async def _begin_anew(self, place: FolderPlace) -> None:
        """Have every file made anew, and follow from now on."""
        newest = await self._service.revision()
        await self._service.save_place(place.follower, newest)
        await self._find_files(is_anew=True)
        self.place = await asyncio.to_thread(save_place, self._folder, place, newest, self._store)
        self.since = newest

    async def _find_files(self, *, is_anew: bool, doubtful_until: int = 0) -> None:
        workflows = [each.workflow_id for each in await self._service.workflow_summaries()]
        reader = WorkflowReader(self._service, self._stop)

        def find() -> MirrorFolder:
            files = self._files or MirrorFolder(self._folder, reader.read, self._check_place, self._sizes)
            files.begin(workflows, is_anew=is_anew, doubtful_until=doubtful_until)
            return files

        self._files = await asyncio.to_thread(find)

    async def _renew(self, files: MirrorFolder) -> None:
        """Make stale files anew; one that cannot be written does not keep the others from it.

        Raises:
            OSError: some could not be written.
        """
        failures: list[OSError] = []
        for workflow_id in sorted(files.stale):
            if self._stop.is_set() or not self._may_write() or len(failures) == _MOST_FAILURES:
                break
            try:
                await asyncio.to_thread(files.renew, workflow_id)
            except OSError as error:
                failures.append(error)
            self._on_progress()
        if failures:
            await self._check()
            raise failures[0]


def _of_another(folder: Path, place: FolderPlace) -> SettingsError:
    """Return that a folder follows another history, and what to do."""
    return SettingsError(
        "The JSON files in %(folder)s follow another history (%(store)s): choose another folder, or give this one up "
        "with %(command)s, and its files are then made anew.",
        folder=quoted(folder),
        store=place.shown_store,
        command=command_line("mirror", folder, "--forget", store=place.store or None),
    )
