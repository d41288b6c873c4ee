"""JSON files in a folder of one's own, kept by a follower of the change feed of any store.

The folder is near the history, not current: a file has a change some moments after the call that made it returned. Of
several processes that follow with the same folder one writes, by a lease, and another goes on when it ends. Files are
only written: what somebody changes in them does not reach the history, and is undone.

The store is never disturbed: whatever the disk refuses is kept as a sentence (``problems``) and tried again.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from execution_history.clock import now_ms
from execution_history.errors import N_, StoreClosed, StoreError, quoted
from execution_history.followers.mirror_place import FolderReplaced, give_up_folder
from execution_history.followers.mirror_trouble import MirrorTrouble, mirror_trouble
from execution_history.followers.mirror_writer import MirrorWriter
from execution_history.followers.workflow_reader import Stopped
from execution_history.history.lease_keeper import LeaseKeeper
from execution_history.history.service import ExecutionHistoryService
from execution_history.stores.jsonfiles.file_sizes import SIZES, FileSizes

_log = logging.getLogger("execution_history.followers")

_ELSEWHERE: Final = N_("Another process writes the JSON files in %(folder)s: they follow the history already.")
_ENDED: Final = N_("The JSON files in %(folder)s do not follow the history: this has ended, or has not begun.")
_LEASE_MS: Final = 15_000
_POLL_SECONDS: Final = 0.5
_BREATH_SECONDS: Final = 0.05
_RETRY_SECONDS: Final = 5.0


def _log_problem(problem: MirrorTrouble) -> None:
    _log.warning("%s", problem)


@dataclass(frozen=True, slots=True)
class MirrorStatus:
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
        return asdict(self)


async def give_up(folder: Path, service: ExecutionHistoryService | None) -> bool:
    """Let no JSON files follow in *folder* any more; they stay. Return whether *service* had a place for them.

    Args:
        folder: the folder.
        service: the history, which keeps no deletions for the folder any more; ``None`` where there is none.

    Raises:
        SettingsError: no JSON files follow in the folder.
        StoreError: the history cannot be read or written.
        OSError: the folder cannot be read or written.
    """
    place = await asyncio.to_thread(give_up_folder, folder)
    if service is None or await service.place_of(place.follower) is None:
        return False
    await service.save_place(place.follower, None)
    return True


class MirrorFollower:
    """Keeps the JSON files of one folder near a history.

    Args:
        service: the history.
        folder: the folder; made, for its owner only, where it is missing.
        lease_ms: how long another process waits after this one has died (milliseconds).
        poll_seconds: how often the changes of other processes are read.
        retry_seconds: how long to wait before something that failed is tried again.
        sizes: see :class:`FileSizes`.
        on_problem: called in the event loop with each problem, once for as long as it stays; logs it unless given.
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
        on_problem: Callable[[MirrorTrouble], None] = _log_problem,
    ) -> None:
        self.folder: Path = folder.absolute()  # the program may change its own folder later
        self._service = service
        self._poll_seconds, self._retry_seconds = poll_seconds, retry_seconds
        self._problem: MirrorTrouble | None = None
        self._on_problem = on_problem
        self._stop, self._changed, self._moved = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._lease = LeaseKeeper(service, lease_ms, self._note_lease)
        self._writer = MirrorWriter(
            service,
            self.folder,
            sizes,
            stop=self._stop,
            may_write=lambda: self._lease.is_held,
            on_progress=self._note_progress,
        )
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to follow in the background.

        Raises:
            SettingsError: the folder holds a history, JSON files of another program, or those that follow another
                history.
        """
        with contextlib.suppress(OSError, StoreError):  # tried again, and told by then
            await self._writer.claim()
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(lambda _: self._note_progress())

    async def aclose(self) -> None:
        """End, with everything that was taken on the disk; another process may go on at once."""
        self._stop.set()
        self._changed.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def is_current(self) -> bool:
        """Whether the folder had everything when the feed was read last."""
        return self._writer.is_current

    async def until_current(self) -> None:
        """Return once the folder has everything that the history had when this was called.

        Raises:
            MirrorTrouble: the folder cannot be written, the history not be read, another process writes the folder, or
                following has ended meanwhile.
            StoreError: the history cannot be read.
        """
        newest = await self._service.revision()
        while not (self._writer.has(newest) and await self._writer.is_in_place()):
            if self._problem is not None:
                raise self._problem
            if self._lease.is_elsewhere:
                raise MirrorTrouble(_ELSEWHERE, folder=quoted(self.folder))
            if self._task is None or self._task.done():
                raise MirrorTrouble(_ENDED, folder=quoted(self.folder))
            await self._moved.wait()

    def problems(self) -> tuple[str, ...]:
        """Return a sentence on why the folder is behind; none where it follows."""
        return () if self._problem is None else (self._problem.message,)

    async def status(self) -> MirrorStatus:
        """Return how far the folder has come; never raises."""
        writer, newest, revision = self._writer, None, None
        with contextlib.suppress(StoreError):
            newest = await self._service.revision()
            revision = writer.since
            if revision is None and writer.place is not None:
                revision = await self._service.place_of(writer.place.follower)
        behind = None if writer.current_at is None else now_ms() - writer.current_at
        return MirrorStatus(
            folder=str(self.folder),
            is_writing=self._lease.is_held,
            revision=revision,
            newest=newest,
            behind_ms=0 if writer.has(newest) else behind,
            files_left=writer.files_left,
        )

    async def _run(self) -> None:
        """Follow until the end; this is the follower's task. Whatever happens is told, and tried again."""
        end_watching = self._service.on_change(partial(self._note_change, asyncio.get_running_loop()))
        try:
            while not self._stop.is_set():
                try:
                    has_more = await self._follow()
                    self._tell(None)
                except (StoreClosed, Stopped):
                    return
                except Exception as error:  # noqa: BLE001 - the history must not notice, and the next try may succeed
                    self._tell(mirror_trouble(self.folder, error))
                    await self._wait(self._retry_seconds, even_if_changed=True)
                    continue
                if not has_more:
                    await self._wait(self._poll_seconds)
        finally:
            end_watching()
            await self._let_go()

    async def _follow(self) -> bool:
        """Do what can be done now; return whether there may be more to do."""
        try:
            return await self._go_on()
        except FolderReplaced:
            await self._writer.start_over()
            return True

    async def _go_on(self) -> bool:
        writer, lease = self._writer, self._lease
        if not lease.is_held:
            writer.since = None  # another process may write meanwhile
        if writer.since is None:
            place = await writer.claim()  # the folder may be another one by now, with a lease of its own
            await lease.keep(place.follower)
            if lease.is_held:
                await writer.begin()
            elif lease.trouble is not None:
                raise lease.trouble
        return await writer.step()

    async def _let_go(self) -> None:
        """Have what was taken on the disk, and leave the folder to others."""
        with contextlib.suppress(StoreError, OSError, FolderReplaced):
            if self._lease.is_held:
                await self._writer.save()
        with contextlib.suppress(OSError):
            await self._writer.close()
        await self._lease.release()

    def _note_change(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wake the task; called from any thread after each change of the history."""
        if not self._changed.is_set():
            with contextlib.suppress(RuntimeError):  # the loop has been closed
                loop.call_soon_threadsafe(self._changed.set)

    def _note_lease(self) -> None:
        self._changed.set()
        self._note_progress()

    def _note_progress(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def _tell(self, problem: MirrorTrouble | None) -> None:
        if problem is not None and (self._problem is None or problem.message != self._problem.message):
            self._on_problem(problem)
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
