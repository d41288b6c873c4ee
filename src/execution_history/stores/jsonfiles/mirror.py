"""All the JSON files of a store: brought up to every commit in the writer thread, before callers are answered.

A file that has no room left, that somebody deleted or touched, or that is behind, is made anew: at once when
it is small, in a background thread otherwise, and then only those callers wait whose records it lacks.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Final

from execution_history.errors import Message, StoreBusy, StoreError, StoreFull, message_of, quoted
from execution_history.records.reading_limits import ReadingLimits
from execution_history.stores.jsonfiles.background_rebuild import Builder
from execution_history.stores.jsonfiles.cut_short import is_cut_short
from execution_history.stores.jsonfiles.disk_sync import Unsynced
from execution_history.stores.jsonfiles.file_format import Header, stamp
from execution_history.stores.jsonfiles.file_names import file_name, is_case_sensitive
from execution_history.stores.jsonfiles.file_sizes import SIZES, FileSizes
from execution_history.stores.jsonfiles.gaps import has_large_gaps
from execution_history.stores.jsonfiles.import_foreign_files import Adopter
from execution_history.stores.jsonfiles.json_file import JSONFile
from execution_history.stores.jsonfiles.json_file_reader import NotOurs
from execution_history.stores.jsonfiles.open_files import OpenFiles
from execution_history.stores.jsonfiles.rebuild import Job, make_room, write_new
from execution_history.stores.mirror_port import FileState, FileUpdate, Mirror, MirrorWriter, PendingFiles, RecordSource

_log = logging.getLogger("execution_history.stores.jsonfiles")

_NOTHING: Final[set[str]] = set()
_OPENING_SECONDS: Final = 5.0
_TRIMMING_SECONDS: Final = 2.0
_MERGING_SECONDS: Final = 1.0
_SLACK_OF_RENEWAL: Final = 8
"""A file of so many times its slack gets more before it is made anew."""


class JSONFileMirror(Mirror):
    """The JSON files of one folder.

    Args:
        folder: the store's folder.
        source: where records are read when a file is made anew.
        explain: gives what an error of the disk means for the user of the folder.
        limits: what reading files of others may take.
        sizes: see :class:`FileSizes`.
    """

    def __init__(
        self,
        folder: Path,
        source: RecordSource,
        explain: Callable[[BaseException], StoreError],
        limits: ReadingLimits | None = None,
        sizes: FileSizes = SIZES,
    ) -> None:
        self._explain = explain
        self._folder = folder
        self._limits = limits
        self._sizes = sizes
        self._source = source
        self._case_sensitive = is_case_sensitive(folder)
        self._stale: set[str] = set()
        self._brought_in: set[str] = set()  # their files are made anew at the next flush or in idle time
        self._merged_at = 0.0
        self._unsynced = Unsynced(self._path, explain)
        self._problems: dict[str, str] = {}
        self._builder = Builder(folder, source, self._install, self._trouble, sizes)
        self._files = OpenFiles(self._path, self._builder.discard, sizes)

    def begin(self, writer: MirrorWriter) -> None:
        """Make every file equal to the store: adopt what others wrote, bring back what is missing.

        Runs once, before the first caller is served, with the lock between processes held. Files that would take
        longer than some seconds altogether are made in the background; ``flush`` waits for them.
        """
        self._writer = writer
        self._builder.begin(writer)
        self._adopter = Adopter(self._folder, writer, self._path, self._limits)
        deadline = time.monotonic() + _OPENING_SECONDS
        self._renew_all(self._adopter.reconcile(self._source), deadline)

    def follow(self, updates: list[FileUpdate]) -> PendingFiles:
        """Bring the files up to a commit; the workflows whose file will only be current later. Never raises."""
        later: PendingFiles = {}
        for row in updates:
            try:
                lacks = self._follow(row)
            except BaseException as error:  # noqa: BLE001 - the record is safe in the database, whatever its file raises
                self._trouble(row.workflow_id, error)
                continue
            if lacks is None or lacks:
                later[row.workflow_id] = lacks
            elif self._problems and row.workflow_id not in self._stale:
                self._problems.pop(row.workflow_id, None)
        return later

    @property
    def is_behind(self) -> bool:
        """Whether files into which much was merged wait for idle time."""
        return bool(self._brought_in)

    def catch_up(self) -> None:
        """Make these files anew once nothing was merged into them for a second. Never raises."""
        if self._brought_in and time.monotonic() - self._merged_at > _MERGING_SECONDS:
            self._renew_all(self._brought_in)

    def when_current(self, workflow_id: str, answer: Callable[[], None]) -> None:
        """Call *answer* in the writer thread once the workflow's file is current."""
        self._builder.when_done(workflow_id, answer)

    async def flush(self) -> None:
        """Return when every file is current and on the disk.

        Raises:
            StoreError: that cannot be said of some, which are tried again with the next call.
            StoreClosed: the writer has been stopped.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def end(error: Exception | None = None) -> None:
            if not done.done():
                done.set_result(None) if error is None else done.set_exception(error)

        def tell(error: Exception | None = None) -> None:
            with contextlib.suppress(RuntimeError):  # a loop that is closed has nobody left who waits
                loop.call_soon_threadsafe(end, error)

        self._writer.post(lambda: self._settle(tell), tell)
        await done
        await asyncio.to_thread(self._unsynced.sync)
        if problems := tuple(self._problems.values()):
            raise StoreError(
                "%(count)s of the JSON files are behind their database. %(problems)s",
                count=len(problems),
                problems=problems[0],
            )

    async def give_back(self, workflow_ids: Collection[str], least_share: float) -> None:
        """See :meth:`Mirror.give_back`."""
        for workflow_id in workflow_ids:
            # One after the other: each takes as much space again until it is there.
            if await asyncio.to_thread(has_large_gaps, self._path(workflow_id), least_share):
                for work in (self._give_slack, partial(self._builder.build, aside=set())):
                    self._writer.post(partial(work, workflow_id))
                    await self.flush()

    def problems(self) -> tuple[str, ...]:
        """Return one sentence for every file that could not be brought up to date."""
        return (*self._problems.values(), *self._adopter.problems())

    def path_of(self, workflow_id: str) -> Path:
        """See :meth:`Mirror.path_of`."""
        return self._path(workflow_id)

    def renew(self, workflow_id: str) -> None:
        """Make a file anew from the store: something in it is not as it should be. Never raises."""
        self._renew_all({workflow_id})

    def close(self) -> None:
        """Wait for the background, give back the slack of small files, and let go of all. The writer has stopped."""
        self._builder.close()
        deadline = time.monotonic() + _TRIMMING_SECONDS
        for workflow_id in sorted(self._unsynced.workflow_ids):
            if time.monotonic() > deadline:
                break  # spaces do no harm, and a program that ends must not wait for them
            self._files.trim(workflow_id)
        try:
            self._unsynced.sync()
        finally:
            self._files.close()

    def _follow(self, row: FileUpdate) -> set[str] | None:
        """Return the records that the file of *row* does not show yet; ``None`` when that is all of them."""
        workflow_id, before = row.workflow_id, row.before
        self._unsynced.add(workflow_id)
        if not (row.cleared or row.anew or row.bulk or workflow_id in self._stale) and row.after.total:
            job = self._builder.jobs.get(workflow_id)
            if job is not None and job.aside is None:
                return _NOTHING if workflow_id in self._brought_in else None
            try:
                file = self._files.current(workflow_id, before)
                if file is not None:
                    return self._edit(file, row, job)
                if before.total == 0 and not self._path(workflow_id).exists():
                    self._write_new(row)
                    return _NOTHING
            except (OSError, MemoryError):
                raise
            except Exception as error:  # noqa: BLE001 - a file that is not what it says of itself is made anew
                _log.warning("A JSON file is made anew from the database, which it contradicts: %s", error)
                self._stale.add(workflow_id)
        return self._follow_anew(row)

    def _edit(self, file: JSONFile, row: FileUpdate, job: Job | None) -> set[str] | None:
        """Apply changes in place, around those that wait for the *job* in progress, or begin one for lack of room.

        Returns the records that are not shown then; ``None`` when all have to wait.
        """
        aside = _NOTHING if job is None or job.aside is None else job.aside
        waiting = [change for change in row.changes if change.execute_id in aside] if aside else []
        changes = [change for change in row.changes if change.execute_id not in aside] if waiting else row.changes
        blocked = file.apply(changes, is_complete=job is None)
        if blocked and file.size <= self._sizes.small:
            file = make_room(file, blocked)
            self._files.put(row.workflow_id, file)
            blocked = file.apply(blocked)
            if blocked:
                return set() if self._renew(row.workflow_id) else None
        file.finish(row.after, is_complete=not (blocked or aside))
        if blocked:
            no_slack = any(change.new for change in blocked)
            self._builder.build(row.workflow_id, None if no_slack else {change.execute_id for change in blocked})
        elif file.size > self._sizes.small and file.slack < file.size // self._sizes.low_slack:
            self._builder.extend(row.workflow_id, file)
        if not (blocked or waiting):
            return _NOTHING
        return None if self._builder.blocks_all(row.workflow_id) else {c.execute_id for c in (*blocked, *waiting)}

    def _follow_anew(self, row: FileUpdate) -> set[str] | None:
        """Do the same where the file cannot be edited: remove it, or make it from the store."""
        workflow_id = row.workflow_id
        if row.cleared or row.after.total == 0:
            self._remove(workflow_id)
            return set()
        if row.bulk or workflow_id in self._brought_in:
            self._merged_at = time.monotonic()
            self._brought_in.add(workflow_id)
            self._stale.add(workflow_id)
            return set()
        if not row.anew and workflow_id not in self._stale and self._is_foreign(workflow_id, row.before):
            try:
                self._stale |= self._adopter.adopt(self._path(workflow_id), row.before, is_needed=True)
            except (StoreFull, StoreBusy):
                return set()  # it must not be written over; the adopter tells of it until that is possible
        return set() if self._renew(workflow_id) else None

    def _is_foreign(self, workflow_id: str, state: FileState) -> bool:
        """Return whether somebody else has written the file: one of ours that is damaged has nothing to give."""
        path = self._path(workflow_id)
        try:
            modified = path.stat().st_mtime_ns
        except FileNotFoundError:
            return False
        is_ours = modified in {stamp(state, complete=is_complete) for is_complete in (True, False)}
        return not is_ours and not is_cut_short(path, state)

    def _write_new(self, row: FileUpdate) -> None:
        """Begin the file of a workflow that had no records."""
        latest = {change.execute_id: change for change in row.changes}
        oldest_first = sorted(latest.values(), key=lambda change: change.create_time)
        bodies = [change.body for change in reversed(oldest_first) if change.body is not None]
        write_new(
            self._path(row.workflow_id), Header(row.workflow_id, row.after), bodies, least_slack=self._sizes.least_slack
        )

    def _renew(self, workflow_id: str, *, here: bool = False) -> bool:
        """Make a file anew from the store; whether that is done, rather than begun in the background.

        A large file is made in the background unless it has to be made *here*.
        """
        self._stale.discard(workflow_id)
        self._files.forget(workflow_id)
        with self._source.snapshot() as records:
            is_small = records.is_small(workflow_id, self._sizes.rows_at_once, 2 * self._sizes.small)
            state = records.state(workflow_id)
            bodies = list(records.documents(workflow_id)) if is_small else []
        if not is_small:
            if here:
                self._builder.build_here(workflow_id)
            else:
                self._builder.build(workflow_id, None, afresh=True)
            return here
        if state is None:
            self._path(workflow_id).unlink(missing_ok=True)
        else:
            self._builder.make_way(self._path(workflow_id))
            write_new(self._path(workflow_id), Header(workflow_id, state), bodies, least_slack=self._sizes.least_slack)
        self._builder.cancel(workflow_id)
        self._brought_in.discard(workflow_id)
        self._unsynced.add(workflow_id)
        return True

    def _install(self, workflow_id: str, built: JSONFile) -> None:
        """Take a file that was made in the background; called in the writer thread, when it is current."""
        self._files.forget(workflow_id)
        self._builder.make_way(self._path(workflow_id))
        built.move(self._path(workflow_id))
        self._files.put(workflow_id, built)
        self._unsynced.add(workflow_id)
        self._brought_in.discard(workflow_id)
        self._problems.pop(workflow_id, None)

    def _remove(self, workflow_id: str) -> None:
        self._builder.cancel(workflow_id)
        self._stale.discard(workflow_id)
        self._brought_in.discard(workflow_id)
        self._files.forget(workflow_id)
        self._builder.make_way(self._path(workflow_id))
        self._path(workflow_id).unlink(missing_ok=True)

    def _give_slack(self, workflow_id: str) -> None:
        """Give a file room for what comes while it is made anew: what finds none would wait until that has ended."""
        with contextlib.suppress(OSError, NotOurs):  # it is made anew with its next change
            file = self._files.untouched(workflow_id)
            if file is not None and file.size > self._sizes.small and file.slack < file.size // _SLACK_OF_RENEWAL:
                self._builder.extend(workflow_id, file)

    def _settle(self, answer: Callable[[], object]) -> None:
        """Renew what is stale or gone, then answer when the background has nothing left to do."""
        try:
            gone = {workflow_id for workflow_id in self._unsynced.workflow_ids if not self._path(workflow_id).exists()}
            self._renew_all(self._stale | gone)
        finally:
            self._builder.when_idle(answer)

    def _renew_all(self, workflow_ids: set[str], deadline: float = 0.0) -> None:
        for workflow_id in sorted(workflow_ids):
            try:
                self._renew(workflow_id, here=time.monotonic() < deadline)
                self._brought_in.discard(workflow_id)
                self._problems.pop(workflow_id, None)
            except BaseException as error:  # noqa: BLE001 - the others are brought up to date all the same
                self._trouble(workflow_id, error)

    def _trouble(self, workflow_id: str, error: BaseException) -> None:
        """Note that a file cannot be written: the record is safe in the database, and the file is tried again."""
        self._files.forget(workflow_id)
        self._stale.add(workflow_id)
        self._brought_in.discard(workflow_id)  # it is tried with the next change, not in every idle moment
        sentence = Message(
            "The JSON file of workflow %(workflow)s is behind its database until its next change. %(reason)s",
            workflow=quoted(workflow_id),
            reason=message_of(self._explain(error)),
        )
        if self._problems.get(workflow_id) != sentence:
            _log.warning("%s", sentence)
        self._problems[workflow_id] = sentence

    def _path(self, workflow_id: str) -> Path:
        return self._folder / file_name(workflow_id, case_sensitive=self._case_sensitive)
