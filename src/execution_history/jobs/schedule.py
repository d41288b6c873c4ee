"""The schedule of a process that serves: each job when its time has come, in one of all processes."""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable
from typing import Final

from execution_history.clock import now_ms
from execution_history.errors import ExecutionHistoryError, StoreBusy
from execution_history.history.replication import HistoryReplication
from execution_history.jobs.job import Job, JobRun, last_run, run_job

_log = logging.getLogger("execution_history.jobs")

_FIRST_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 60.0
_JITTER: Final = 0.05


class Schedule:
    """Runs jobs of a history periodically, from :meth:`start` to :meth:`aclose`.

    A job is due its period after its last run began, in whatever process that was, plus a little by chance, so that
    processes do not all look at once. One that never ran, or whose time has passed, begins half a minute after the
    start.

    Args:
        service: the history, which has the leases and the last runs.
        jobs: the jobs, each of another name.
        clock: milliseconds since the epoch.
        first_seconds: how long after the start the first job may begin.
    """

    def __init__(
        self,
        service: HistoryReplication,
        jobs: Iterable[Job],
        *,
        clock: Callable[[], int] = now_ms,
        first_seconds: float = _FIRST_SECONDS,
    ) -> None:
        self.jobs: dict[str, Job] = {job.name: job for job in jobs}
        self._service, self._clock, self._first_seconds = service, clock, first_seconds
        self._delays = {name: random.random() * _JITTER for name in self.jobs}  # noqa: S311 - no secret
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin, in the event loop that is running."""
        self._tasks = [asyncio.create_task(self._serve(job)) for job in self.jobs.values()]

    async def aclose(self) -> None:
        """Stop, also what is being done; it is begun anew by the next run."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def last_run(self, name: str) -> JobRun | None:
        """Return the last run of a job; see :func:`~execution_history.jobs.job.last_run`."""
        return await last_run(self._service, name)

    def next_run(self, name: str, last: JobRun | None) -> int:
        """Return when a job is due next (milliseconds) after its *last* run; now where that has passed."""
        job, now = self.jobs[name], self._clock()
        # A clock that was set back must not keep it waiting.
        if last is None or last.began > now:
            return now
        return max(now, last.began + int(job.every_seconds * 1000 * (1 + self._delays[name])))

    async def _serve(self, job: Job) -> None:
        await asyncio.sleep(self._first_seconds)
        while True:
            wait = min(_LOOK_SECONDS, job.every_seconds)
            try:
                due = self.next_run(job.name, await self.last_run(job.name))
                if due <= self._clock():
                    await run_job(self._service, job, is_due=lambda last: self._is_due(job.name, last))
                else:
                    wait = min(wait, (due - self._clock()) / 1000)
            except StoreBusy:
                pass  # another process does it
            except ExecutionHistoryError as error:
                _log.warning("The job %s will be tried again in a minute: %s", job.name, error)
            except Exception:  # noqa: BLE001 - the schedule goes on, whatever one run raises
                _log.exception("The job %s will be tried again in a minute", job.name)
            await asyncio.sleep(wait)

    def _is_due(self, name: str, last: JobRun | None) -> bool:
        return self.next_run(name, last) <= self._clock()
