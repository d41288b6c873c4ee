"""Redactions that a server begins: they go on when whoever asked for one has left."""

import asyncio
from collections.abc import Collection
from typing import Final

from execution_history.history.service import ExecutionHistoryService
from execution_history.jobs.job import JobRun
from execution_history.maintenance.redaction import last_redaction, redact_history

_PATIENCE_SECONDS: Final = 10.0


class RedactionRuns:
    """Begins redactions of one history.

    Args:
        service: the history, with the rules in force.
    """

    def __init__(self, service: ExecutionHistoryService) -> None:
        self._service = service
        self._running: set[asyncio.Task[JobRun]] = set()

    async def begin(
        self, actor: str, workflow_ids: Collection[str] = (), seconds: float = _PATIENCE_SECONDS
    ) -> JobRun | None:
        """Begin a redaction, and return its run once it is over, or as far as it is after so many seconds.

        Raises:
            StoreBusy: another process is doing it.
            StoreError: the store could not be read or written.
        """
        task = asyncio.create_task(redact_history(self._service, workflow_ids=workflow_ids, actor=actor))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        await asyncio.wait({task}, timeout=seconds)
        return task.result() if task.done() else await last_redaction(self._service)
