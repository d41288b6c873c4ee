"""The background threads that make large JSON files anew, off the writers' path.

A file is built beside the old one from a snapshot of the store, or from the old file with new slack, and
caught up with the change feed until little is missing. The rest, and the renaming, are done in the
writer thread in one go. Meanwhile the old file is edited in place as ever.
"""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from execution_history.errors import StoreClosed
from execution_history.stores.jsonfiles.file_format import Header
from execution_history.stores.jsonfiles.file_sizes import FileSizes
from execution_history.stores.jsonfiles.json_file import JSONFile
from execution_history.stores.jsonfiles.json_file_reader import NotOurs
from execution_history.stores.jsonfiles.rebuild import (
    Job,
    NoRoom,
    boundary,
    build_from_file,
    build_from_store,
    copy_before,
)
from execution_history.stores.mirror_port import FileState, MirrorWriter, RecordSource

_log = logging.getLogger("execution_history.stores.jsonfiles")

_FEW_CHANGES: Final = 20
_ATTEMPTS: Final = 5
_MOST_FRONTS: Final = 8
_LEFTOVER_SECONDS: Final = 600


class Builder:
    """Builds files, and gives them new slack.

    Args:
        folder: where the files are.
        source: where records come from.
        install: takes a finished file, in the writer thread.
        give_up: takes the workflow whose file could not be made, and why, in the writer thread.
        sizes: of the files.

    Attributes:
        jobs: the files in the making, by workflow.
    """

    def __init__(
        self,
        folder: Path,
        source: RecordSource,
        install: Callable[[str, JSONFile], None],
        give_up: Callable[[str, BaseException], None],
        sizes: FileSizes,
    ) -> None:
        self._folder = folder
        self._source = source
        self._install = install
        self._give_up = give_up
        self._sizes = sizes
        self.jobs: dict[str, Job] = {}
        self._when_idle: list[Callable[[], object]] = []
        self._lanes: dict[str, SimpleQueue[Callable[[], object] | None]] = {}
        self._threads: list[threading.Thread] = []

    def begin(self, writer: MirrorWriter) -> None:
        """Know the writer, and remove what a process that was killed left behind long ago."""
        self._writer = writer
        for pattern in (".*.building*", ".*.new"):
            for leftover in self._folder.glob(pattern):
                # Not what another process is at work on: that changes all the time.
                with contextlib.suppress(FileNotFoundError):
                    if time.time() - leftover.stat().st_ctime > _LEFTOVER_SECONDS:
                        leftover.unlink()

    def build(self, workflow_id: str, aside: set[str] | None, *, afresh: bool = False) -> None:
        """Make a workflow's file anew from the store; *aside* are the records that wait, ``None`` for all.

        A build that is under way will do, unless *afresh* says that it began too early: what has come since
        cannot be added record by record.
        """
        job = self.jobs.get(workflow_id)
        if job is None:
            self._start(Job(workflow_id, aside))
            return
        job.afresh = job.afresh or afresh
        job.old = None  # what was an extension has to become a build: something found no room
        job.aside = None if aside is None or job.aside is None else job.aside | aside

    def build_here(self, workflow_id: str) -> None:
        """Make a workflow's file anew in this thread, before the writer serves and with the processes' lock held.

        Raises:
            OSError: it cannot be written.
        """
        job = Job(workflow_id, None)
        built = self._make(job)
        if built is not None and not self._complete(job, built):
            built.close()
            self._path(job).unlink(missing_ok=True)
            self._start(job)

    def extend(self, workflow_id: str, file: JSONFile) -> None:
        """Give a file new slack before the old is used up."""
        if workflow_id not in self.jobs:
            file.deepest_edit = 0
            self._start(Job(workflow_id, set(), file, boundary(file, self._sizes.front)))

    def cancel(self, workflow_id: str) -> None:
        """End a job that is over, or whose file is not wanted any more; answer whoever waits for it."""
        job = self.jobs.pop(workflow_id, None)
        if job is not None:
            job.cancelled = True
            self._answer(job)

    def blocks_all(self, workflow_id: str) -> bool:
        """Return whether no record of the workflow can be shown before its file is there."""
        job = self.jobs.get(workflow_id)
        return job is not None and job.aside is None

    def when_done(self, workflow_id: str, answer: Callable[[], None]) -> None:
        """Call *answer* when the workflow's file is there."""
        job = self.jobs.get(workflow_id)
        if job is None:
            answer()
        else:
            job.waiting.append(answer)

    def when_idle(self, answer: Callable[[], object]) -> None:
        """Call *answer* when nothing is in the making."""
        if self.jobs:
            self._when_idle.append(answer)
        else:
            answer()

    def close(self) -> None:
        """Stop after the job at hand. The writer has stopped: what is unfinished is made anew at the next opening."""
        for lane in self._lanes.values():
            lane.put(None)
        for thread in self._threads:
            thread.join()
        for job in list(self.jobs.values()):
            with contextlib.suppress(OSError):
                self._path(job).unlink(missing_ok=True)
            self.cancel(job.workflow_id)

    def discard(self, file: JSONFile) -> None:
        """Let go of a file, a large one in the background, where giving up its space stalls nobody."""
        if file.size > self._sizes.small:
            self._put("closing", file.close)
        else:
            file.close()

    def make_way(self, path: Path) -> None:
        """Take a large file out of its place, to be removed in the background; a small one stays to be replaced."""
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_size > self._sizes.small:
                hidden = path.with_name(f".{id(path):x}.{time.monotonic_ns()}.building")
                path.rename(hidden)
                self._put("closing", partial(hidden.unlink, missing_ok=True))

    def _start(self, job: Job) -> None:
        self.jobs[job.workflow_id] = job
        self._queue(job)

    def _queue(self, job: Job) -> None:
        self._put("builds" if job.old is None else "slack", partial(self._work, job))

    def _put(self, name: str, work: Callable[[], object]) -> None:
        """Queue *work* with its like: new slack must not wait for a build, or for a large file to be given up."""
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = SimpleQueue()
            thread = threading.Thread(target=_serve, args=(lane,), name=f"execution-history-{name}", daemon=True)
            self._threads.append(thread)
            thread.start()
        lane.put(work)

    def _work(self, job: Job) -> None:
        made: JSONFile | BaseException | None = None
        try:
            made = None if job.cancelled else self._make(job)
        except BaseException as error:  # noqa: BLE001 - whoever waits for this file must hear of it, whatever it is
            made = error
        self._post(job, made)

    def _post(self, job: Job, made: JSONFile | BaseException | None) -> None:
        """Have a job finished in the writer thread; after that has stopped, the next opening makes the file."""
        try:
            self._writer.post(lambda: self._finish(job, made), failed=lambda _: self._post(job, made))
        except StoreClosed:
            if isinstance(made, JSONFile):
                made.close()

    def _path(self, job: Job) -> Path:
        return self._folder / f".{id(job):x}.{os.getpid()}.building"

    def _make(self, job: Job) -> JSONFile | None:
        """Return the new file, caught up until little is missing; ``None`` when the workflow is gone."""
        path, old = self._path(job), job.old
        if old is not None:
            source = JSONFile(old.path, self._sizes)
            try:
                if job.built is not None:
                    copy_before(source, job.begin, job.end, job.built)
                    return job.built
                build_from_file(path, source, job.begin)
            finally:
                source.close()
            return JSONFile(path, self._sizes)
        if job.built is not None:
            job.built.close()  # it began as more room for the old file, and something found none there
            job.built = None
        with self._source.snapshot() as records:
            state = records.state(job.workflow_id)
            if state is None:
                return None
            job.seen = records.revision()
            build_from_store(path, Header(job.workflow_id, state), records.documents(job.workflow_id), self._sizes)
        built = JSONFile(path, self._sizes)
        try:
            while self._catch_up(job, built, _FEW_CHANGES):
                pass
        except BaseException:
            built.close()
            raise
        return built

    def _catch_up(self, job: Job, file: JSONFile, few: int) -> bool:
        """Apply what has changed since the file was last up to date; whether that was more than *few* changes."""
        before = file.added
        since = max(file.header.state.revision, job.seen)
        with self._source.snapshot() as records:
            state = records.state(file.header.workflow_id)
            changes = records.changes(file.header.workflow_id, since)
            job.seen = records.revision()
        if changes is None or file.apply(changes):
            raise NoRoom  # or another process has cleared the workflow
        if state is not None:
            if file.added - before != state.total - file.header.state.total:
                raise NotOurs(f"{file.path} has not as many records as the store")
            file.finish(state)
        return len(changes) > few

    def _finish(self, job: Job, made: JSONFile | BaseException | None) -> None:
        """In the writer thread: bring the new file up to date and put it in its place, or try again."""
        built = made if isinstance(made, JSONFile) else None
        failure = made if isinstance(made, BaseException) else None
        try:
            if made is None:
                self._drop(job, None)
                self.cancel(job.workflow_id)
                return
            if built is not None:
                if self._has_long_front(job, built):
                    self._queue(job)
                    return
                if not (job.cancelled or job.afresh) and self._complete(job, built):
                    self.cancel(job.workflow_id)
                    return
        except BaseException as error:  # noqa: BLE001 - the callers that wait for this file are answered all the same
            failure = error
        try:
            self._drop(job, built)
        except OSError as error:
            _log.warning("A JSON file that was not finished could not be removed: %s", error)
        if not job.cancelled:
            self._retry(job, failure)

    def _drop(self, job: Job, built: JSONFile | None) -> None:
        """Give up what was made, a large file in the background."""
        for made in {made for made in (built, job.built) if made is not None}:
            made.close()
        job.built = None
        self.make_way(self._path(job))
        self._path(job).unlink(missing_ok=True)

    def _has_long_front(self, job: Job, built: JSONFile) -> bool:
        """Return whether so much has come before what was copied that most of it is better copied in the background."""
        old = job.old
        if old is None or job.cancelled or job.afresh or job.fronts >= _MOST_FRONTS or old.deepest_edit > job.begin:
            return False
        if job.begin - old.header.newest_at <= 2 * self._sizes.front:
            return False
        job.fronts += 1
        job.begin, job.end, job.built = boundary(old, self._sizes.front), job.begin, built
        old.deepest_edit = 0
        return True

    def _retry(self, job: Job, failure: BaseException | None) -> None:
        """Queue the job once more, from the store; after some attempts the file is behind until its next change."""
        if failure is not None:
            _log.warning("Making a JSON file anew failed and is tried again: %s", type(failure).__name__)
        job.attempt += 0 if job.afresh else 1
        job.old, job.begin, job.fronts, job.seen, job.afresh = None, 0, 0, 0, False
        if job.attempt < _ATTEMPTS:
            self._queue(job)
            return
        self._give_up(job.workflow_id, failure or NoRoom())
        self.cancel(job.workflow_id)

    def _complete(self, job: Job, built: JSONFile) -> bool:
        with self._source.snapshot() as records:
            state = records.state(job.workflow_id)
        if state is None:
            return False
        if job.begin and not self._add_front(job, built, state):
            return False
        self._catch_up(job, built, 0)
        self._install(job.workflow_id, built)
        return True

    def _add_front(self, job: Job, built: JSONFile, state: FileState) -> bool:
        """Copy the newest records of the old file, unless it was touched behind them in the meantime."""
        old = job.old
        if old is None or job.aside or old.deepest_edit > job.begin:
            return False
        if old.header.state.revision != state.revision or not old.is_untouched(state):
            return False
        copy_before(old, old.header.newest_at, job.begin, built)
        built.finish(state)
        return True

    def _answer(self, job: Job) -> None:
        waiting: list[Callable[[], object]] = [*job.waiting]
        job.waiting = []
        if not self.jobs:
            waiting += self._when_idle
            self._when_idle = []
        for answer in waiting:
            try:
                answer()
            except Exception:  # noqa: BLE001 - one who cannot be answered must not keep the others waiting
                _log.exception("Whoever waits for a JSON file could not be answered")


def _serve(lane: "SimpleQueue[Callable[[], object] | None]") -> None:
    while (work := lane.get()) is not None:
        try:
            work()
        except OSError as error:
            _log.warning("A file that is not used any more could not be given up: %s", error)
