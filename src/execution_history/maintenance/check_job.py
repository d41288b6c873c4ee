"""The job that reads a whole history in the course of time, and repairs what a disk has damaged."""

import asyncio
import logging
from functools import partial
from typing import Final

import orjson

from execution_history.access.audit import Action
from execution_history.history.service import ExecutionHistoryService
from execution_history.jobs.job import Job, Report
from execution_history.stores.capabilities import Patrolled
from execution_history.stores.protocol import HistoryStore

_log = logging.getLogger("execution_history.maintenance")

CHECK_JOB: Final = "check"
"""The name of the job."""

BYTES_PER_SECOND: Final = 512 * 1024
"""How quickly a history is read; half a megabyte takes about 10 ms of a processor."""

_EVERY_SECONDS: Final = 6 * 3600
_LEAST_PAUSE: Final = 0.02


def check_jobs(service: ExecutionHistoryService) -> list[Job]:
    """Return the job for a history whose store can be patrolled; none for others."""
    store = service.store
    return [Job(CHECK_JOB, _EVERY_SECONDS, partial(check_all, store))] if isinstance(store, Patrolled) else []


async def check_all(store: HistoryStore, bytes_per_second: float = BYTES_PER_SECOND) -> Report:
    """Read all of *store* once, slowly; return how many bytes there were, and what was repaired.

    Raises:
        StoreError: it could not be read, or what is damaged not be written.
    """
    size, repaired = 0, []
    while isinstance(store, Patrolled) and (step := await store.patrol()) is not None:
        size += step.size
        if done := list(map(str, step.repaired)):
            details = {"repaired": {CHECK_JOB: done}}  # at once: the round may take hours, and be interrupted
            await store.append_audit("serve", Action.REPAIR.value, orjson.dumps(details))
        repaired += done
        for sentence in done:
            _log.warning("%s", sentence)
        await asyncio.sleep(max(_LEAST_PAUSE, step.size / bytes_per_second))
    return {"bytes": size, "repaired": repaired}
