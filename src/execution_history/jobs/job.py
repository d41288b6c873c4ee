"""One piece of periodic work, and what is kept of its last run."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import orjson

from execution_history.clock import now_ms
from execution_history.errors import N_, ExecutionHistoryError, StoreBusy, message_of
from execution_history.history.lease_keeper import LeaseKeeper
from execution_history.history.replication import HistoryReplication
from execution_history.stores.administration import EntryName

_log = logging.getLogger("execution_history.jobs")

_KIND: Final = "job"
_LEASE_MS: Final = 60_000
_UNEXPECTED: Final = N_("It failed unexpectedly: the log has the details.")
_LOST: Final = N_("It was stopped: another process may have begun it meanwhile.")
_STOPPED: Final = N_("It was stopped before its end.")

Report = dict[str, Any]
"""What a run did, as JSON."""


@dataclass(frozen=True, slots=True)
class Job:
    """Periodic work on a history.

    Attributes:
        name: its name, also of its lease (``job:name``) and of its entry in the registry.
        every_seconds: from the beginning of one run to that of the next.
        work: does it, and returns what it did; it may be cancelled at any time, and is begun anew by the next run.
    """

    name: str
    every_seconds: float
    work: Callable[[], Awaitable[Report]]


@dataclass(frozen=True, slots=True)
class JobRun:
    """The last run of a job. Times are milliseconds since the epoch.

    Attributes:
        began: when it began.
        ended: when it ended; ``None`` while it goes on, and for one whose process was killed.
        outcome: ``running``, ``done`` or ``failed``.
        reason: why it failed.
        report: what it did.
    """

    began: int
    ended: int | None = None
    outcome: Literal["running", "done", "failed"] = "running"
    reason: str | None = None
    report: Report | None = None

    def to_json(self) -> dict[str, Any]:
        """Return all fields."""
        return asdict(self)


async def last_run(service: HistoryReplication, name: str) -> JobRun | None:
    """Return the last run of the job *name*, in whatever process; ``None`` where there is none.

    Raises:
        StoreError: the store could not be read.
    """
    entry = await service.entry(EntryName(_KIND, name))
    return None if entry is None else _run_in(entry.value)


async def last_runs(service: HistoryReplication) -> dict[str, JobRun]:
    """Return the last run of each job that has ever run, by its name.

    Raises:
        StoreError: the store could not be read.
    """
    found = {entry.name.key: _run_in(entry.value) for entry in await service.entries(_KIND)}
    return {name: run for name, run in found.items() if run is not None}


def _run_in(value: bytes) -> JobRun | None:
    """Return the run that an entry of the registry holds; ``None`` where it holds none."""
    try:
        kept: dict[str, Any] = orjson.loads(value)
        found = JobRun(**{field: kept[field] for field in JobRun.__dataclass_fields__ if field in kept})
    except (ValueError, TypeError):
        return None  # whoever wrote it, no run did
    return found if isinstance(kept["began"], int) else None


async def run_job(
    service: HistoryReplication,
    job: Job,
    *,
    is_due: Callable[[JobRun | None], bool] = lambda _: True,
    clock: Callable[[], int] = now_ms,
) -> JobRun | None:
    """Run *job* once, unless another process is running it, and keep what it did.

    Args:
        service: the history that has the lease.
        job: the work.
        is_due: whether to run after a last run, which is read once the lease is held; not: ``None`` is returned.
        clock: milliseconds since the epoch.

    Raises:
        StoreBusy: another process is running it.
        StoreError: the store could not be read or written; an error of the work itself is in the run.
    """
    lost = asyncio.Event()
    keeper = LeaseKeeper(service, _LEASE_MS, lambda: None if keeper.is_held else lost.set())
    await keeper.keep(f"job:{job.name}")
    try:
        if keeper.trouble is not None:
            raise keeper.trouble
        if not keeper.is_held:
            raise StoreBusy("Another process is doing this right now: try again in a minute.")
        if not is_due(await last_run(service, job.name)):
            return None
        began = clock()
        await _keep(service, job.name, JobRun(began))
        return await _performed(service, job, began, lost, clock)
    finally:
        await keeper.release()


async def _performed(
    service: HistoryReplication, job: Job, began: int, lost: asyncio.Event, clock: Callable[[], int]
) -> JobRun:
    """Do the work until its end, or until the lease is lost."""
    work, end = asyncio.ensure_future(job.work()), asyncio.ensure_future(lost.wait())
    try:
        await asyncio.wait((work, end), return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            run = JobRun(began, clock(), "failed", _LOST)
        else:
            run = JobRun(began, clock(), "done", report=work.result())
    except ExecutionHistoryError as error:
        _log.warning("The job %s failed: %s", job.name, error)
        run = JobRun(began, clock(), "failed", message_of(error))
    except asyncio.CancelledError:
        with contextlib.suppress(ExecutionHistoryError):
            await asyncio.shield(_keep(service, job.name, JobRun(began, clock(), "failed", _STOPPED)))
        raise
    except Exception:  # noqa: BLE001 - whatever it is, the last run tells of it
        _log.exception("The job %s failed", job.name)
        run = JobRun(began, clock(), "failed", _UNEXPECTED)
    finally:
        for task in (work, end):
            task.cancel()
        await asyncio.gather(work, end, return_exceptions=True)
    await _keep(service, job.name, run)
    return run


async def _keep(service: HistoryReplication, name: str, run: JobRun) -> None:
    """Write what is known of a run; only who has the lease does."""
    entry = await service.entry(EntryName(_KIND, name))
    version = 0 if entry is None else entry.version
    await service.put_entry(EntryName(_KIND, name), orjson.dumps(run), expected=version)
