"""JSON files in a folder of one's own, kept by a follower of the change feed of any store.

The folder is near the history, not current: a file has a change some moments after the call that made it returned. Of
several processes that follow with the same folder one writes, by a lease, and another goes on when it ends. The place
in the feed is stored in the history and in the folder, so that following continues where it ended; where the feed has
forgotten what came after it, or the folder belongs to another history, every file is made anew. Files are only written:
what somebody changes in them does not reach the history, and is undone.

The store is never disturbed: whatever the disk refuses is kept as a sentence (``problems``) and tried again.
"""

import asyncio
import contextlib
import logging
import uuid
from pathlib import Path
from typing import Any, Final, NamedTuple

from execution_history.clock import boot_id, now_ms
from execution_history.errors import N_, FeedExpired, StoreClosed, StoreError, quoted
from execution_history.followers.mirror_folder import MirrorFolder
from execution_history.followers.mirror_place import FolderPlace, claim_folder, save_place
from execution_history.followers.mirror_trouble import MirrorTrouble, mirror_trouble
from execution_history.followers.workflow_reader import Stopped, WorkflowReader
from execution_history.history.service import ExecutionHistoryService
from execution_history.stores.jsonfiles.file_sizes import SIZES, FileSizes

_log = logging.getLogger("execution_history.followers")

_ELSEWHERE: Final = N_("Another process writes the JSON files in %(folder)s: they follow the history already.")
_LEASE_MS: Final = 15_000
_POLL_SECONDS: Final = 0.5
_BREATH_SECONDS: Final = 0.05
_RETRY_SECONDS: Final = 5.0
_SAVE_SECONDS: Final = 2.0
_CHANGES_AT_ONCE: Final = 500
_MOST_FAILURES: Final = 5


class MirrorStatus(NamedTuple):
    """How far a folder has come.

    Attributes:
        folder: the folder.
        is_writing: whether this process writes it; otherwise another one does, or none can.
        revision: the change up to which it has come; ``None`` where that is not known.
        newest: the newest change of the history; ``None`` where it cannot be read.
        behind_ms: how long ago it was current, in milliseconds, 0 where it is; ``None`` where this process has not seen
            it current.
        files_left: the number of files that have to be made anew.
    """

    folder: str
    is_writing: bool
    revision: int | None
    newest: int | None
    behind_ms: int | None
    files_left: int

    def to_json(self) -> dict[str, Any]:
        """Return the fields above."""
        return self._asdict()


class MirrorFollower:
    """Keeps the JSON files of one folder near a history.

    Args:
        service: the history.
        folder: the folder; made, for its owner only, where it is missing.
        lease_ms: how long another process waits after this one has died (milliseconds).
        poll_seconds: how often the changes of other processes are read.
        retry_seconds: how long to wait before something that failed is tried again.
        sizes: see :class:`FileSizes`.
    """

    def __init__(
        self,
        service: ExecutionHistoryService,
        folder: Path,
        *,
        lease_ms: int = _LEASE_MS,
        poll_seconds: float = _POLL_SECONDS,
        retry_seconds: float = _RETRY_SECONDS,
        sizes: FileSizes = SIZES,
    ) -> None:
        self.folder = folder.absolute()  # the program may change its own folder later
        self._service = service
        self._lease_ms, self._poll_seconds, self._retry_seconds = lease_ms, poll_seconds, retry_seconds
        self._sizes = sizes
        self._owner = uuid.uuid4().hex
        self._place: FolderPlace | None = None
        self._files: MirrorFolder | None = None
        self._since: int | None = None
        self._holds = False
        self._saved_at = self._current_at = 0.0
        self._problem: MirrorTrouble | None = None
        self._is_expired = self._is_elsewhere = self._is_current = False
        self._stop, self._changed, self._moved = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to follow in the background.

        Raises:
            SettingsError: the folder holds a history, or JSON files of another program.
        """
        with contextlib.suppress(OSError):  # tried again, and told by then
            self._place = await asyncio.to_thread(claim_folder, self.folder)
        self._loop = asyncio.get_running_loop()
        self._end_watching = self._service.on_change(self._note_change)
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._keep_lease())]

    async def aclose(self) -> None:
        """End, with everything that was taken on the disk; another process may go on at once."""
        self._stop.set()
        self._changed.set()
        if not self._tasks:
            return
        self._end_watching()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        with contextlib.suppress(StoreError, OSError):
            if self._holds:
                await self._save()
        if self._files is not None:
            await asyncio.to_thread(self._files.close)
        with contextlib.suppress(StoreError):
            if self._holds and self._place is not None:
                await self._service.lease(self._place.follower, self._owner, 0)
        self._holds = False

    @property
    def is_current(self) -> bool:
        """Whether the folder had everything when the feed was read last."""
        return self._is_current

    async def until_current(self) -> None:
        """Return once the folder has everything that the history had when this was called.

        Raises:
            MirrorTrouble: the folder cannot be written, the history not be read, or another process writes the folder.
            StoreError: the history cannot be read.
        """
        newest = await self._service.revision()
        while self._since is None or self._since < newest or (self._files is not None and self._files.stale):
            if self._problem is not None:
                raise self._problem
            if self._is_elsewhere:
                raise MirrorTrouble(_ELSEWHERE, folder=quoted(self.folder))
            await self._moved.wait()

    async def forget(self) -> None:
        """End the folder's place in the feed, so that the history keeps no deletions for it; its files stay.

        Raises:
            SettingsError: the folder was never written by a follower.
            StoreError: the history cannot be written.
        """
        place = await asyncio.to_thread(claim_folder, self.folder)
        await self._service.save_place(place.follower, None)

    def problems(self) -> tuple[str, ...]:
        """Return a sentence on why the folder is behind; none where it follows."""
        return () if self._problem is None else (self._problem.message,)

    async def status(self) -> MirrorStatus:
        """Return how far the folder has come; never raises."""
        newest = revision = None
        with contextlib.suppress(StoreError):
            newest = await self._service.revision()
            revision = self._since
            if revision is None and self._place is not None:
                revision = await self._service.place_of(self._place.follower)
        left = 0 if self._files is None else len(self._files.stale)
        is_current = self._since is not None and newest is not None and self._since >= newest and not left
        behind = 0 if is_current else int(now_ms() - self._current_at * 1000) if self._current_at else None
        return MirrorStatus(str(self.folder), self._holds, revision, newest, behind, left)

    async def _run(self) -> None:
        """Follow until the end; this is the follower's task. Whatever happens is told, and tried again."""
        while not self._stop.is_set():
            has_more = False
            try:
                if self._place is None:
                    self._place = await asyncio.to_thread(claim_folder, self.folder)
                if not self._holds:
                    self._since = None  # another process may write meanwhile
                    await self._wait(self._poll_seconds)
                    continue
                if self._since is None:
                    await self._begin()
                has_more = await self._step()
                self._tell(None)
            except (StoreClosed, Stopped):
                return
            except FeedExpired:
                self._since, self._is_expired = None, True
                continue
            except Exception as error:  # noqa: BLE001 - the history must not notice, and the next try may succeed
                self._tell(mirror_trouble(self.folder, error))
                await self._wait(self._retry_seconds, even_if_changed=True)
                continue
            if not has_more:
                await self._wait(self._poll_seconds)

    async def _begin(self) -> None:
        """Find where to go on, and which files have to be made anew."""
        place = await asyncio.to_thread(claim_folder, self.folder)
        saved = await self._service.place_of(place.follower)
        newest = await self._service.revision()
        # A history that was set back to an earlier state has an earlier place than the folder.
        is_known = saved is not None and place.revision is not None and place.revision <= saved <= newest
        self._place = place
        if place.revision is None or not is_known or self._is_expired:
            await self._begin_anew()
            self._is_expired = False
            return
        await self._find_files(is_anew=False, doubtful_until=0 if place.boot == boot_id() != "" else newest)
        self._since = place.revision

    async def _begin_anew(self) -> None:
        """Have every file made anew, and follow from now on."""
        assert self._place is not None  # noqa: S101 - the folder was claimed before
        newest = await self._service.revision()
        await self._service.save_place(self._place.follower, newest)
        await self._find_files(is_anew=True)
        self._place = await asyncio.to_thread(save_place, self.folder, self._place, newest)
        self._since = newest

    async def _find_files(self, *, is_anew: bool, doubtful_until: int = 0) -> None:
        workflows = [each.workflow_id for each in await self._service.workflow_summaries()]
        reader = WorkflowReader(self._service, self._stop)

        def find() -> MirrorFolder:
            files = self._files or MirrorFolder(self.folder, reader.read, self._sizes)
            files.begin(workflows, is_anew=is_anew, doubtful_until=doubtful_until)
            return files

        self._files = await asyncio.to_thread(find)

    async def _step(self) -> bool:
        """Take the next changes, and make stale files anew; return whether there may be more to do."""
        assert self._files is not None  # noqa: S101 - it has begun
        assert self._since is not None  # noqa: S101 - the same
        changes = await self._service.changes(self._since, _CHANGES_AT_ONCE, documents=True)
        if changes:
            await asyncio.to_thread(self._files.follow, self._since, changes)
            self._since = changes[-1].revision
        await self._renew(self._files)
        self._is_current = not changes and not self._files.stale
        if self._is_current:
            self._current_at = now_ms() / 1000
        has_waited = self._loop.time() - self._saved_at > _SAVE_SECONDS
        if has_waited and not self._files.stale:
            await self._save()
        self._note_progress()
        return bool(changes)

    async def _renew(self, files: MirrorFolder) -> None:
        """Make stale files anew; one that cannot be written does not keep the others from it.

        Raises:
            OSError: some could not be written.
        """
        failures: list[OSError] = []
        for workflow_id in sorted(files.stale):
            if self._stop.is_set() or not self._holds or len(failures) == _MOST_FAILURES:
                break
            try:
                await asyncio.to_thread(files.renew, workflow_id)
            except OSError as error:
                failures.append(error)
            self._note_progress()
        if failures:
            raise failures[0]

    async def _save(self) -> None:
        """Have the files on the disk, then store the place: in the history first, which keeps deletions after it."""
        if self._files is None or self._place is None or self._since is None or self._files.stale:
            return
        self._saved_at = self._loop.time()
        if self._since != self._place.revision:
            since = self._since
            await asyncio.to_thread(self._files.sync)
            await self._service.save_place(self._place.follower, since)
            self._place = await asyncio.to_thread(save_place, self.folder, self._place, since)

    async def _keep_lease(self) -> None:
        """Renew the lease, or take it once no other process has it."""
        held_at = 0.0
        while not self._stop.is_set():
            try:
                if self._place is not None:
                    self._holds = await self._service.lease(self._place.follower, self._owner, self._lease_ms)
                    self._is_elsewhere = not self._holds
                    held_at = self._loop.time() if self._holds else held_at
                    self._note_progress()
            except StoreClosed:
                return
            except StoreError:
                self._holds = self._holds and self._loop.time() - held_at < self._lease_ms / 1000
            self._changed.set()
            seconds = self._lease_ms / 3000 if self._place is not None else self._poll_seconds
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._stop.wait()

    def _note_change(self) -> None:
        """Wake the task; called from any thread after each change of the history."""
        if not self._changed.is_set():
            with contextlib.suppress(RuntimeError):  # the loop has been closed
                self._loop.call_soon_threadsafe(self._changed.set)

    def _note_progress(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def _tell(self, problem: MirrorTrouble | None) -> None:
        if problem is not None and (self._problem is None or problem.message != self._problem.message):
            _log.warning("%s", problem)
        self._problem = problem
        self._note_progress()

    async def _wait(self, seconds: float, *, even_if_changed: bool = False) -> None:
        """Wait so long, or until something changes; changes that come in a rush are taken together."""
        event = self._stop if even_if_changed else self._changed
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()
        if not self._stop.is_set() and event is self._changed:
            await asyncio.sleep(min(_BREATH_SECONDS, seconds))
            self._changed.clear()
