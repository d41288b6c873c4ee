"""Periodic work runs once, in whatever process, and what it did is kept."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from execution_history import ExecutionHistoryService
from execution_history.errors import InvalidInput, StoreBusy
from execution_history.jobs.job import Job, Report, last_run, run_job
from execution_history.jobs.schedule import Schedule
from execution_history.stores.protocol import HistoryStore
from tests.stores_under_test import Clock

pytestmark = pytest.mark.anyio

_DAY = 86_400


def _job(work: Callable[[], Awaitable[Report]]) -> Job:
    return Job("work", _DAY, work)


class _Work:
    """Work that counts how often it was begun, and goes on until it is let go."""

    def __init__(self) -> None:
        self.begun = 0
        self.has_begun = asyncio.Event()
        self.may_end = asyncio.Event()

    async def __call__(self) -> Report:
        self.begun += 1
        self.has_begun.set()
        await self.may_end.wait()
        return {"number": self.begun}


async def test_what_a_job_did_is_kept(store: HistoryStore) -> None:
    """For every process that asks."""
    work = _Work()
    work.may_end.set()
    service = ExecutionHistoryService(store)
    run = await run_job(service, _job(work))
    assert run is not None
    assert ("done", {"number": 1}) == (run.outcome, run.report)
    assert run == await last_run(ExecutionHistoryService(store), "work")
    assert None is await last_run(service, "other")


async def test_one_process_does_it_at_a_time(store: HistoryStore) -> None:
    """Another one is refused, and may do it afterwards."""
    work, service = _Work(), ExecutionHistoryService(store)
    first = asyncio.create_task(run_job(service, _job(work)))
    await work.has_begun.wait()
    with pytest.raises(StoreBusy):
        await run_job(service, _job(work))
    current = await last_run(service, "work")
    assert current is not None
    assert ("running", None) == (current.outcome, current.ended)
    work.may_end.set()
    await first
    assert await run_job(service, _job(work)) is not None
    assert 2 == work.begun


async def test_a_failure_is_kept_with_its_reason(store: HistoryStore) -> None:
    """Whether it is one of ours or a defect."""

    async def refused() -> Report:
        raise InvalidInput("No.")

    async def broken() -> Report:
        raise ZeroDivisionError

    service = ExecutionHistoryService(store)
    run = await run_job(service, _job(refused))
    assert run is not None
    assert ("failed", "No.", None) == (run.outcome, run.reason, run.report)
    run = await run_job(service, _job(broken))
    assert run is not None
    assert ("failed", "It failed unexpectedly: the log has the details.") == (run.outcome, run.reason)


async def test_work_that_is_stopped_says_so_and_frees_its_lease(store: HistoryStore) -> None:
    """As at the end of a process."""
    work, service = _Work(), ExecutionHistoryService(store)
    task = asyncio.create_task(run_job(service, _job(work)))
    await work.has_begun.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    run = await last_run(service, "work")
    assert run is not None
    assert ("failed", "It was stopped before its end.") == (run.outcome, run.reason)
    work.may_end.set()
    assert await run_job(service, _job(work)) is not None


async def test_a_schedule_runs_what_is_due_and_nothing_else(store: HistoryStore, clock: Clock) -> None:
    """Due is what never ran, and what ran longer ago than its period, in whatever process."""
    work, service = _Work(), ExecutionHistoryService(store)
    work.may_end.set()
    schedule = Schedule(service, [_job(work)], clock=clock, first_seconds=0)
    schedule.start()
    await work.has_begun.wait()
    await schedule.aclose()
    last = await schedule.last_run("work")
    assert last is not None
    assert _DAY - 60 < (schedule.next_run("work", last) - clock()) / 1000 < 1.06 * _DAY
    work.has_begun.clear()
    clock.go_on(days=2)
    assert schedule.next_run("work", last) <= clock()
    again = Schedule(service, [_job(work)], clock=clock, first_seconds=0)
    again.start()
    await work.has_begun.wait()
    await again.aclose()
    assert 2 == work.begun


async def test_a_clock_that_was_set_back_keeps_no_job_waiting(store: HistoryStore, clock: Clock) -> None:
    """A last run in the future counts as one of long ago."""
    work, service = _Work(), ExecutionHistoryService(store)
    work.may_end.set()
    clock.go_on(days=30)
    await run_job(service, _job(work), clock=clock)
    clock.go_on(days=-30)
    assert Schedule(service, [_job(work)], clock=clock).next_run("work", await last_run(service, "work")) <= clock()
